//! How far one input may run ahead of the other in the bin: as far as it must for the other to come.
//!
//! A demuxer gives both from one thread, in the order in which they lie in the file. Where one has nothing for
//! a while, as between two slides or before a track that begins late, the other has to be let in meanwhile, or
//! nothing moves any more. Each time that is seen the limit grows, up to a number of bytes.
//!
//! Must not know links or pads outside of the bin.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

use crate::{
    lipsync::Lipsync,
    lipsyncbin::{
        imp::CAT,
        parts::{FRAMES_OUT, Parts},
    },
};

/// How far one input runs ahead at first. Containers interleave within a second; `lipsync` itself hears a fraction
/// of a second ahead.
pub const USUAL: gst::ClockTime = gst::ClockTime::from_seconds(3);
/// Bytes of one input that wait for the other, unless `max-size-bytes` says something else.
pub const BYTES: u32 = 1 << 30;
/// Where nothing has moved for this long, nothing will.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_mseconds(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Video,
    Audio,
}

/// See the module.
pub struct Interleave {
    /// That both inputs share.
    queue: gst::Element,
    /// Its sink pads, in the order of [`Input`].
    inputs: [gst::Pad; 2],
    heard: gst::Element,
    video_out: gst::Element,
    lipsync: Lipsync,
    watch: Mutex<Watch>,
    /// Is told which input has reached `max-size-bytes`.
    tell: Box<dyn Fn(Input) + Send + Sync>,
}

#[derive(Default)]
struct Watch {
    next: Option<gst::SingleShotClockId>,
    seen: Progress,
    told: bool,
}

/// What `lipsync` has taken in and given back.
type Progress = [u64; 4];

impl Interleave {
    /// Looks after the queue of these parts. `tell` is called, once in a stream, when it can grow no further.
    pub fn watch(
        parts: &Parts,
        lipsync: &Lipsync,
        tell: impl Fn(Input) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let interleave = Arc::new(Self {
            queue: parts.multiqueue.clone(),
            inputs: parts.inputs.clone(),
            heard: parts.heard.clone(),
            video_out: parts.video_out_queue.clone(),
            lipsync: lipsync.clone(),
            watch: Mutex::default(),
            tell: Box::new(tell),
        });
        let weak = Arc::downgrade(&interleave);
        interleave.queue.connect("overrun", false, move |_| {
            if let Some(this) = weak.upgrade() {
                this.look_later(&mut this.lock());
            }
            None
        });
        interleave
    }

    /// Forgets what the stream before needed.
    pub fn reset(&self) {
        if let Some(next) = std::mem::take(&mut *self.lock()).next {
            next.unschedule();
        }
        self.set_limit(USUAL);
    }

    fn set_limit(&self, limit: gst::ClockTime) {
        self.queue.set_property("max-size-time", limit.nseconds());
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_later(self: &Arc<Self>, watch: &mut Watch) {
        if watch.next.is_some() {
            return;
        }
        watch.seen = self.progress();
        let clock = gst::SystemClock::obtain();
        let next = clock.new_single_shot_id(clock.time() + PATIENCE);
        let weak = Arc::downgrade(self);
        let scheduled = next.wait_async(move |_, _, _| {
            if let Some(this) = weak.upgrade() {
                this.look();
            }
        });
        watch.next = scheduled.is_ok().then_some(next);
    }

    /// Lets an input run further ahead, or tells of it, where it keeps the other from coming.
    fn look(self: &Arc<Self>) {
        let mut watch = self.lock();
        watch.next = None;
        let stuck = [Input::Video, Input::Audio]
            .into_iter()
            .find(|&ahead| self.waits_for_other(ahead));
        match stuck.filter(|_| watch.seen == self.progress()) {
            None if self.inputs.iter().all(is_empty) => (),
            None => self.look_later(&mut watch),
            Some(ahead) if self.is_out_of_bytes(ahead) => {
                self.look_later(&mut watch);
                if !std::mem::replace(&mut watch.told, true) {
                    drop(watch);
                    (self.tell)(ahead);
                }
            }
            // Twice as far each time: a long pause is found out in a moment, and bytes bound it.
            Some(_) => {
                let limit = self.queue.property::<u64>("max-size-time");
                let limit = twice(limit);
                self.look_later(&mut watch);
                drop(watch);
                gst::debug!(
                    CAT,
                    obj = self.queue,
                    "Nothing moves: {limit} may wait for the other input now"
                );
                self.set_limit(limit);
            }
        }
    }

    /// Whether this input has something, and `lipsync` waits for what is to come to the other.
    fn waits_for_other(&self, ahead: Input) -> bool {
        let (other, pad) = match ahead {
            Input::Video => (Input::Audio, "audio"),
            Input::Audio => (Input::Video, "video"),
        };
        let may_come = |pad: gst::Pad| !pad.pad_flags().contains(gst::PadFlags::EOS);
        self.heard
            .static_pad("sink")
            .is_some_and(|pad| pad.is_linked())
            && !is_empty(&self.inputs[ahead as usize])
            && is_empty(&self.inputs[other as usize])
            && (other == Input::Video || is_empty(&self.heard))
            && self.lipsync.static_pad(pad).is_some_and(may_come)
            && level(&self.video_out) < FRAMES_OUT
    }

    fn is_out_of_bytes(&self, input: Input) -> bool {
        let limit = self.queue.property::<u32>("max-size-bytes");
        let level = self.inputs[input as usize].property::<u32>("current-level-bytes");
        limit != 0 && level >= limit
    }

    fn progress(&self) -> Progress {
        let stats = self.lipsync.property::<gst::Structure>("stats");
        ["frames-in", "frames-out", "audio-samples-in", "audio-gaps"]
            .map(|field| stats.get(field).unwrap_or_default())
    }
}

/// Twice as many nanoseconds, as far as there are such times.
fn twice(limit: u64) -> gst::ClockTime {
    let most = gst::ClockTime::MAX.nseconds();
    gst::ClockTime::from_nseconds(limit.saturating_mul(2).min(most))
}

/// Buffers in a queue, or behind a pad of a `multiqueue`.
fn level(queue: &impl IsA<gst::Object>) -> u32 {
    queue.property("current-level-buffers")
}

fn is_empty(queue: &impl IsA<gst::Object>) -> bool {
    level(queue) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_doubled_for_long_stays_a_time() {
        let mut limit = gst::ClockTime::from_seconds(3);
        for _ in 0..100 {
            limit = twice(limit.nseconds());
        }
        assert_eq!(limit, gst::ClockTime::MAX);
        assert_eq!(twice(5).nseconds(), 10);
    }
}
