//! What flows through the element: the engine, the sound heard so far and the frames that wait
//! for theirs. One thread at a time owns all of it, without a lock.
//!
//! Must not know pads, properties or messages.

use std::{
    collections::VecDeque,
    mem::{Discriminant, discriminant},
    time::Duration,
};

use gst_audio::{AudioFormat, AudioInfo};
use gst_video::VideoInfo;

use crate::lipsync::{
    altered_tag::Mark,
    frame_queue::{self, Frame, Waiting},
    log::Faces,
    mapped_frame,
    memory_layout::Copies,
    orientation::Orientation,
    queue_check::TooSmall,
    turn::{Metas, Turn},
};
use lipsync_core::{
    Error,
    pixels::Rows,
    rect::Rect,
    render::{Controls, Engine, Fade, Networks, Outcome, Timings},
    sound::{Channel, Position, SampleFormat, Sound},
};

/// Sound is kept this much longer than the window needs, for frames out of order.
const KEEP_NS: i64 = 1_000_000_000;
/// Frames may come this long before it is worth a warning that no sound can.
const UNHEARD_NS: i64 = 2_000_000_000;
/// Sound that a model may want to hear before it is known how much.
const LONGEST_WINDOW_NS: i64 = 4_000_000_000;

/// See the module.
#[derive(Default)]
pub struct Stream {
    /// `None` until the model is loaded.
    pub(super) engine: Option<Engine>,
    /// Sound that a frame needs after its own time.
    look_ahead_ns: i64,
    sound: Sound,
    audio: Option<AudioInfo>,
    /// The buffer at the front of the audio pad, once it was heard.
    pub heard: Option<gst::Buffer>,
    /// Which channel is listened to, and whether that was looked for among those that come.
    channel: Channel,
    channel_is_checked: bool,
    /// Where sound without timestamp goes on.
    audio_next_ns: i64,
    audio_ended: bool,
    /// The segment of the sound has been played, and another is to come.
    pub awaits_segment: bool,
    /// A gap without end is silence only until sound comes.
    gap_is_open: bool,
    pub waiting: Waiting,
    /// Frames whose sound is there, and that are drawn at once when they are enough.
    pub batch: VecDeque<Turn>,
    /// Frames that the networks draw, while those that come next are begun.
    pub begun: VecDeque<Turn>,
    /// What became of frames that were sent while nobody could be told.
    pub failed: Option<gst::FlowError>,
    /// Of the frames that go out next.
    pub video: Option<VideoInfo>,
    /// Where a frame without timestamp is shown.
    pub video_next_ns: i64,
    /// When the field before was shown, of fields that come alone.
    field_ns: Option<i64>,
    /// Downstream knows that no frames come any more.
    pub ended: bool,
    /// The bus knows how many frames had a face.
    pub is_summed_up: bool,
    /// Since when frames have come without a pad for sound, until that is warned of.
    unheard_since_ns: Option<i64>,
    warned_of_no_audio: bool,
    /// Whether downstream reads in a meta where the rows of a frame lie; `None` until it matters.
    pub reads_video_meta: Option<bool>,
    pub copies: Copies,
    fade: Fade,
    /// The queue that was last warned of.
    pub too_small: Option<TooSmall>,
    /// A frame before the one that goes out next was dropped.
    pub has_dropped: bool,
    /// Whether downstream knows that the picture is altered.
    pub mark: Mark,
    /// For the log.
    pub faces: Faces,
    pub shots: u64,
    /// Which way up the frames are.
    pub orientation: Orientation,
    /// What is known of mouths from an earlier reading of the clip.
    pub known_mouths: Option<Vec<u8>>,
    regions: Vec<Rect>,
    warned: Vec<Discriminant<Error>>,
}

/// What a buffer of sound was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// So many samples of every channel.
    Samples(u64),
    Gap,
    Nothing,
}

impl Stream {
    /// The same engine for a stream that has not begun. `look_ahead_ns` is for as long as there is
    /// none.
    pub fn restarted(self, look_ahead_ns: i64) -> Self {
        let mut stream = Self {
            look_ahead_ns,
            ..Self::default()
        };
        if let Some(mut engine) = self.engine {
            engine.reset();
            stream.go_on_with(engine);
        }
        stream
    }

    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    pub fn engine_mut(&mut self) -> Option<&mut Engine> {
        self.engine.as_mut()
    }

    /// From the next frame on another engine draws, on the same faces. What is left of the one
    /// before is given back.
    pub fn go_on_with(&mut self, mut engine: Engine) -> Option<Engine> {
        self.look_ahead_ns = engine.hearing().look_ahead_ns;
        let old = self.engine.take().map(|old| engine.take_over(old));
        self.shots = engine.shots();
        self.engine = Some(engine);
        old
    }

    /// Drops what waits and forgets earlier pictures.
    pub fn flush_video(&mut self) {
        self.ended = false;
        self.is_summed_up = false;
        self.unheard_since_ns = None;
        self.waiting.flush();
        self.batch.clear();
        self.failed = None;
        self.field_ns = None;
        self.fade.reset();
        self.forget_pictures();
    }

    pub fn flush_audio(&mut self) {
        self.sound.reset();
        self.heard = None;
        self.audio_next_ns = 0;
        self.audio_ended = false;
        self.gap_is_open = false;
    }

    /// Frames of another kind come next.
    pub fn set_video(&mut self, info: VideoInfo) {
        let moved = self
            .video
            .as_ref()
            .is_some_and(|old| (old.width(), old.height()) != (info.width(), info.height()));
        if moved {
            self.forget_pictures();
        }
        self.reads_video_meta = None;
        self.video = Some(info);
    }

    fn forget_pictures(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.reset();
        }
    }

    /// Fails with [`Error::SoundFormat`].
    pub fn set_audio(&mut self, info: AudioInfo) -> Result<(), Error> {
        let format = match info.format() {
            AudioFormat::S16le => SampleFormat::S16,
            AudioFormat::S32le => SampleFormat::S32,
            AudioFormat::F32le => SampleFormat::F32,
            AudioFormat::F64le => SampleFormat::F64,
            other => return Err(Error::SoundFormat(format!("{other:?}"))),
        };
        self.sound.configure(format, info.rate(), &places(&info))?;
        self.audio = Some(info);
        self.channel_is_checked = false;
        Ok(())
    }

    /// From the next buffer of audio on, this channel is listened to. False, once, where it is not
    /// among those that come.
    pub fn listen_to(&mut self, channel: Channel) -> bool {
        if self.channel != channel {
            self.channel = channel;
            self.channel_is_checked = false;
            self.sound.set_channel(channel);
        }
        match &self.audio {
            Some(info) if !self.channel_is_checked => {
                self.channel_is_checked = true;
                channel.is_among(&places(info))
            }
            _ => true,
        }
    }

    /// A new audio stream begins, perhaps after the end of another.
    pub fn begin_audio(&mut self) {
        if self.audio_ended {
            self.flush_audio();
        }
    }

    /// From here on there is silence.
    pub fn end_audio(&mut self) {
        if !self.audio_ended {
            self.audio_ended = true;
            self.sound.finish();
        }
    }

    /// Takes in one buffer of the audio pad. Sound that does not run forwards at its own speed
    /// counts as silence.
    pub fn hear(
        &mut self,
        buffer: gst::Buffer,
        segment: &gst::FormattedSegment<gst::ClockTime>,
    ) -> Heard {
        let discont = buffer
            .flags()
            .intersects(gst::BufferFlags::DISCONT | gst::BufferFlags::RESYNC);
        let is_gap = buffer.flags().contains(gst::BufferFlags::GAP);
        // Some sources send a duration without samples for a pause.
        let is_pause = buffer.size() == 0 && buffer.duration().is_some();
        if is_gap || is_pause || segment.rate() != 1.0 {
            return self.hear_gap(&buffer, segment);
        }
        let Some(info) = &self.audio else {
            return Heard::Nothing;
        };
        let (rate, bpf) = (info.rate(), info.bpf());
        let Some(buffer) = gst_audio::audio_buffer_clip(buffer, segment.upcast_ref(), rate, bpf)
        else {
            return Heard::Nothing;
        };
        let from_ns = frame_queue::running_ns(&buffer, segment).unwrap_or(self.audio_next_ns);
        let Ok(map) = buffer.map_readable() else {
            return Heard::Nothing;
        };
        let samples = map.len() / bpf as usize;
        if samples == 0 {
            return Heard::Nothing;
        }
        self.gap_is_open = false;
        self.sound
            .push(&map[..samples * bpf as usize], from_ns, discont);
        self.audio_next_ns = from_ns.saturating_add(samples_to_ns(samples as u64, rate));
        Heard::Samples(samples as u64)
    }

    /// Silence as long as the buffer says; without duration, until there is sound again.
    fn hear_gap(
        &mut self,
        buffer: &gst::BufferRef,
        segment: &gst::FormattedSegment<gst::ClockTime>,
    ) -> Heard {
        let from_ns = frame_queue::running_ns(buffer, segment).unwrap_or(self.audio_next_ns);
        let end = buffer
            .pts()
            .zip(buffer.duration())
            .and_then(|(pts, duration)| pts.checked_add(duration));
        match end.and_then(|end| frame_queue::position_to_running_ns(end, segment)) {
            // Played backwards a buffer ends before it begins.
            Some(to_ns) => {
                self.gap_is_open = false;
                self.sound.gap(from_ns.min(to_ns), from_ns.max(to_ns));
                self.audio_next_ns = from_ns.max(to_ns);
            }
            None => {
                self.sound.finish();
                self.gap_is_open = true;
            }
        }
        Heard::Gap
    }

    /// Of the sound as it comes in.
    pub fn bytes_per_second(&self) -> u64 {
        let per_second = |info: &AudioInfo| u64::from(info.rate()) * u64::from(info.bpf());
        self.audio.as_ref().map_or(0, per_second)
    }

    /// Whether sound is to be taken in even where frames need none.
    pub fn awaits_sound(&self) -> bool {
        self.gap_is_open
    }

    /// Whether all sound that the frame at `running_ns` needs is there.
    pub fn is_covered(&self, running_ns: i64, sync_offset_ns: i64) -> bool {
        let needed_ns = running_ns
            .saturating_sub(sync_offset_ns)
            .saturating_add(self.look_ahead_ns);
        self.sound.covered_until() >= needed_ns
    }

    /// Running time up to which the sound is known; `i64::MAX` where nothing more is to come.
    pub fn heard_until(&self) -> i64 {
        self.sound.covered_until()
    }

    /// What the resampler holds back, in nanoseconds.
    pub fn sound_latency_ns(&self) -> i64 {
        self.sound.latency_ns()
    }

    /// What the frame is to be drawn with, where it can be drawn, so that strength and bypass do not
    /// jump.
    pub fn fade(
        &mut self,
        frame: &Frame,
        wanted: Controls,
        fade_ns: i64,
        can_draw: bool,
    ) -> Controls {
        if !can_draw {
            self.fade.show_nothing(frame.running_ns);
            return wanted;
        }
        self.fade.follow(wanted, frame.running_ns, fade_ns)
    }

    /// How long the frame lasts; `None` where nothing says so.
    pub fn duration(&self, frame: &Frame) -> Option<gst::ClockTime> {
        let rate = || mapped_frame::duration(self.video.as_ref()?);
        frame.buffer.duration().or_else(rate)
    }

    /// Begins to redraw the frame, each field of it as a picture of its own. `None` when there is no
    /// engine or the buffer cannot be mapped. Only where this succeeds is the frame to be finished;
    /// elsewhere it is as it was.
    pub fn begin(
        &mut self,
        frame: &mut Frame,
        controls: &Controls,
        metas: Metas,
        networks: Networks,
    ) -> Option<Result<(), Error>> {
        let (first_ns, apart_ns) = self.picture_times(frame)?;
        let pictures = self.pictures(frame);
        let Self {
            engine,
            sound,
            regions,
            video,
            ..
        } = self;
        let (engine, info) = (engine.as_mut()?, video.as_ref()?);
        regions.clear();
        if metas.read {
            mapped_frame::face_regions(&frame.buffer, regions);
        }
        let mut time_ns = first_ns;
        for (begun, &rows) in pictures.iter().enumerate() {
            let buffer = frame.buffer.make_mut();
            let result = mapped_frame::with_view(buffer, info, rows, |view| {
                engine.track(view, time_ns, regions, controls)?;
                engine.begin(view, time_ns, sound, controls, networks)
            });
            if !matches!(result, Some(Ok(()))) {
                (0..begun).for_each(|_| engine.retract());
                return result;
            }
            time_ns = time_ns.saturating_add(apart_ns);
        }
        Some(Ok(()))
    }

    /// Which rows of the frame are the pictures that it holds, the first one first.
    pub fn pictures(&self, frame: &Frame) -> &'static [Rows] {
        let info = self.video.as_ref();
        info.map_or(&[], |info| mapped_frame::pictures(&frame.buffer, info))
    }

    /// When the first picture of the buffer is shown, and how long after it the second. Of fields
    /// that come alone, the second has the timestamp of the first.
    fn picture_times(&mut self, frame: &Frame) -> Option<(i64, i64)> {
        let info = self.video.as_ref()?;
        let lasts = self.duration(frame);
        let half_ns = lasts.map_or(0, |lasts| frame_queue::signed_ns(lasts) / 2);
        let mut first_ns = frame.running_ns;
        if info.interlace_mode() == gst_video::VideoInterlaceMode::Alternate {
            match self.field_ns {
                Some(field_ns) if field_ns == first_ns => {
                    self.field_ns = None;
                    first_ns = first_ns.saturating_add(half_ns);
                }
                _ => self.field_ns = Some(first_ns),
            }
        }
        Some((first_ns, half_ns))
    }

    /// Finishes the frame, the first of those that were begun: however long it takes, or while there
    /// is time `left`. `None` when the buffer cannot be mapped.
    pub fn finish(
        &mut self,
        frame: &mut Frame,
        metas: Metas,
        mut left: Option<&mut dyn FnMut() -> Duration>,
    ) -> Option<Result<(Outcome, Timings), Error>> {
        let pictures = self.pictures(frame);
        let (engine, info) = (self.engine.as_mut()?, self.video.as_ref()?);
        let mut whole: Option<Result<(Outcome, Timings), Error>> = None;
        for &rows in pictures {
            // Reborrowed for each: a `dyn` cannot be.
            let mut left = left.as_mut().map(|left| || left());
            let left = left
                .as_mut()
                .map(|left| left as &mut dyn FnMut() -> Duration);
            let buffer = frame.buffer.make_mut();
            let result =
                mapped_frame::with_view(buffer, info, rows, |view| engine.finish(view, left))?
                    .map(|outcome| (outcome, engine.timings()));
            whole = Some(match (whole, result) {
                (None, result) => result,
                (Some(Ok((first, mut timings))), Ok((second, more))) => {
                    timings += more;
                    Ok((first.or(second), timings))
                }
                (Some(Err(err)), _) | (_, Err(err)) => Err(err),
            });
        }
        if metas.attach && matches!(whole, Some(Ok(_))) {
            let buffer = frame.buffer.make_mut();
            mapped_frame::mark_faces(buffer, engine.faces(), true);
            mapped_frame::mark_faces(buffer, engine.others(), false);
        }
        whole
    }

    /// Forgets the sound that frames do not need which come `span_ns` after it, or earlier.
    pub fn forget_sound_but(&mut self, span_ns: i64) {
        let from_ns = self.sound.covered_until().saturating_sub(span_ns);
        self.forget_sound_before(from_ns, 0);
    }

    /// Forgets the sound that frames from `running_ns` on do not need.
    pub fn forget_sound_before(&mut self, running_ns: i64, sync_offset_ns: i64) {
        let window_ns = match &self.engine {
            Some(engine) => engine.hearing().window_ns(),
            None => LONGEST_WINDOW_NS,
        };
        self.sound.forget_before(
            running_ns
                .saturating_sub(sync_offset_ns.max(0))
                .saturating_sub(window_ns + KEEP_NS),
        );
    }

    /// Whether frames have come without sound for so long, up to `running_ns`, that it is time for a warning. Once
    /// in a stream.
    pub fn is_long_unheard(&mut self, running_ns: i64) -> bool {
        let since_ns = *self.unheard_since_ns.get_or_insert(running_ns);
        let is_long = running_ns.saturating_sub(since_ns) >= UNHEARD_NS;
        is_long && !std::mem::replace(&mut self.warned_of_no_audio, true)
    }

    /// Whether this kind of fault is new in this stream.
    pub fn is_first_of_its_kind(&mut self, err: &Error) -> bool {
        let kind = discriminant(err);
        let first = !self.warned.contains(&kind);
        if first {
            self.warned.push(kind);
        }
        first
    }
}

/// Where the channels stand; nowhere in particular where the caps do not say.
fn places(info: &AudioInfo) -> Vec<Position> {
    use gst_audio::AudioChannelPosition::*;
    let place = |position: &gst_audio::AudioChannelPosition| match position {
        Mono | FrontCenter => Position::Centre,
        FrontLeft | FrontLeftOfCenter => Position::Left,
        FrontRight | FrontRightOfCenter => Position::Right,
        Lfe1 | Lfe2 => Position::LowFrequency,
        _ => Position::Elsewhere,
    };
    let count = info.channels() as usize;
    match info.positions() {
        Some(positions) if positions.len() == count => positions.iter().map(place).collect(),
        _ => vec![Position::Elsewhere; count],
    }
}

fn samples_to_ns(samples: u64, rate: u32) -> i64 {
    let ns = u128::from(samples) * 1_000_000_000 / u128::from(rate.max(1));
    i64::try_from(ns).unwrap_or(i64::MAX)
}
