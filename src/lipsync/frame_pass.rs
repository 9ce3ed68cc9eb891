//! Frames whose turn it is: as many as `batch-size` says are collected, redrawn together and sent
//! one after the other. While the networks draw them, the next ones are begun. All but the networks
//! in the source pad's thread.
//!
//! Must not know when a frame's turn comes.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use gst::{prelude::*, subclass::prelude::*};
use gst_base::prelude::*;

use crate::lipsync::{
    OnError, OnUnreachable,
    frame_queue::{Frame, signed_ns},
    imp::{CAT, Lipsync, lock},
    input_events,
    latency::USUAL_FRAME_NS,
    lateness::Verdict,
    log::{Change, Time},
    memory_layout, messages, qos,
    qos::Deadline,
    stream_state::Stream,
    turn::{Course, FrameSettings, Turn},
};
use lipsync_core::{
    Error,
    face::{Effort, Face, Outlook},
    render::{Controls, Networks, Outcome},
};

/// What of a live frame's time the search for new faces may take.
const SEARCH_SHARE: f64 = 0.75;

/// The frames of a stream whose turn it is.
pub struct FramePass<'a> {
    imp: &'a Lipsync,
    stream: &'a mut Stream,
}

impl<'a> FramePass<'a> {
    pub fn new(imp: &'a Lipsync, stream: &'a mut Stream) -> Self {
        Self { imp, stream }
    }

    /// Takes a frame whose sound is there, and begins it with those that were collected before it
    /// unless more are wanted. Sends what need not be waited for, or was waited for long enough:
    /// what is left is to be sent by [`send_begun`](Self::send_begun) when there is nothing better
    /// to do. `None` where nothing was sent.
    pub fn collect(
        &mut self,
        frame: Frame,
        listens: bool,
    ) -> Result<Option<gst::FlowSuccess>, gst::FlowError> {
        if frame.is_gap() {
            self.send_batch()?;
            input_events::send_tags(self.imp, self.stream);
            return Ok(Some(self.send_gap(&frame)));
        }
        // A frame that is not drawn has nothing to wait for.
        let most = match listens {
            true => self.batch_size(),
            false => 1,
        };
        let settings = lock(&self.imp.settings).for_frame();
        self.stream
            .batch
            .push_back(Turn::new(frame, listens, settings));
        if self.stream.batch.len() < most {
            return Ok(None);
        }
        let mut sent = None;
        if !self.can_wait() {
            sent = self.send_begun(0)?;
        }
        let drawn = self.begin_batch();
        Ok(self.send_begun(drawn)?.or(sent))
    }

    /// Whether the frames that are begun are in time when another batch is begun before they go out.
    fn can_wait(&self) -> bool {
        let first = self.stream.begun.front().and_then(|turn| {
            let left_ns = Deadline::of(self.imp, turn)?.left_ns();
            Some((left_ns, turn.settings.work_ns))
        });
        let lateness = lock(&self.imp.lateness);
        first.is_none_or(|(left_ns, work_ns)| {
            let left_ns = left_ns.saturating_sub(lateness.reserve_ns(work_ns));
            lateness.begins_within(left_ns, self.stream.batch.len())
        })
    }

    fn batch_size(&self) -> usize {
        let wanted = lock(&self.imp.settings).setup.batch_size as usize;
        let engine = self.stream.engine();
        engine.map_or(1, |engine| engine.batch().min(wanted))
    }

    /// As [`send_batch`](Self::send_batch), where nobody can be told what comes of it: the next
    /// call will be.
    pub fn send_batch_early(&mut self) {
        if let Err(err) = self.send_batch() {
            self.stream.failed = Some(err);
        }
    }

    /// Redraws the frames that were collected, and pushes them. What cannot go out is dropped.
    pub fn send_batch(&mut self) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.begin_batch();
        let sent = self.send_begun(0)?;
        Ok(sent.unwrap_or(gst::FlowSuccess::Ok))
    }

    /// Begins the frames that were collected. How many of them may be drawn while others are begun.
    fn begin_batch(&mut self) -> usize {
        let mut turns = std::mem::take(&mut self.stream.batch);
        for turn in &mut turns {
            self.begin(turn);
        }
        let is_limited = turns
            .iter()
            .any(|turn| Deadline::of(self.imp, turn).is_some());
        let is_drawn = |turn: &Turn| matches!(turn.course, Course::Begun(Some(Ok(()))));
        let mut drawn = 0;
        if turns.iter().any(is_drawn)
            && let Some(engine) = self.stream.engine_mut()
        {
            let overlaps = engine.overlaps();
            if overlaps || is_limited {
                engine.submit();
            }
            if overlaps {
                drawn = turns.len();
            }
        }
        self.stream.begun.append(&mut turns);
        self.stream.batch = turns;
        drawn
    }

    /// Finishes and pushes the frames that were begun, but for the last `kept`. What cannot go out
    /// is dropped. `None` where nothing was sent.
    pub fn send_begun(&mut self, kept: usize) -> Result<Option<gst::FlowSuccess>, gst::FlowError> {
        let mut sent = Ok(None);
        while sent.is_ok()
            && self.stream.begun.len() > kept
            && !self.imp.video.is_flushed()
            && let Some(turn) = self.stream.begun.pop_front()
        {
            sent = self.finish(turn).map(Some);
            if sent.is_err() {
                lock(&self.imp.stats).dropped += 1;
            }
        }
        if sent.is_err() {
            self.stream.begun.append(&mut self.stream.batch);
        }
        if sent.is_err() || self.stream.begun.len() > kept {
            lock(&self.imp.stats).dropped += self.stream.begun.len() as u64;
            self.stream.begun.clear();
            if let Some(engine) = self.stream.engine_mut() {
                engine.abandon();
            }
        }
        sent
    }

    /// Begins to do with the frame what there is time for.
    fn begin(&mut self, turn: &mut Turn) {
        let obj = self.imp.obj();
        if let Some(time) = turn.frame.stream_time
            && obj.has_active_control_bindings()
            && let Err(err) = obj.sync_values(time)
        {
            gst::warning!(CAT, imp = self.imp, "{err}");
        }
        let settings = lock(&self.imp.settings).for_frame();
        turn.settings = settings;
        let limit = Deadline::of(self.imp, turn);
        let mut wanted = settings.controls;
        wanted.outlook = Outlook {
            upright: self.stream.orientation.upright(),
            effort: self.effort(&turn.frame, limit.as_ref(), settings.work_ns),
        };
        let can_draw = turn.listens && self.stream.engine().is_some();
        turn.controls = self
            .stream
            .fade(&turn.frame, wanted, settings.fade_ns, can_draw);
        let (verdict, late_ns) = match settings.qos {
            true => qos::verdict(self.imp, &turn.frame, limit.as_ref(), settings.work_ns),
            false => (Verdict::Draw, 0),
        };
        turn.late_ns = late_ns;
        turn.course = match verdict {
            Verdict::Drop => {
                lock(&self.imp.stats).dropped += 1;
                qos::report_loss(self.imp, self.stream, &turn.frame, late_ns);
                Course::Dropped
            }
            _ if !self.draws(&turn.controls, turn.listens) => Course::Untouched,
            Verdict::Pass => {
                lock(&self.imp.stats).skipped += 1;
                qos::report_loss(self.imp, self.stream, &turn.frame, late_ns);
                Course::Untouched
            }
            Verdict::Repeat | Verdict::Draw => {
                let networks = match verdict {
                    Verdict::Draw if limit.is_none() => Networks::Draw,
                    Verdict::Draw => Networks::DrawInTime,
                    _ => Networks::Skip,
                };
                let started = Instant::now();
                let begun =
                    self.stream
                        .begin(&mut turn.frame, &turn.controls, settings.metas, networks);
                lock(&self.imp.lateness).begun(started.elapsed());
                Course::Begun(begun)
            }
        };
    }

    /// How long the search for faces may take in each picture of this frame: as long as it does,
    /// unless somebody waits for the frame.
    fn effort(&self, frame: &Frame, limit: Option<&Deadline>, work_ns: i64) -> Effort {
        let is_live = self.imp.obj().latency().is_some();
        let (is_watched, reserve_ns) = {
            let lateness = lock(&self.imp.lateness);
            (lateness.is_watched(), lateness.reserve_ns(work_ns))
        };
        if !is_live && !is_watched {
            return Effort::Thorough;
        }
        let lasts_ns = self
            .stream
            .duration(frame)
            .map_or(USUAL_FRAME_NS, signed_ns);
        let lasts = Duration::from_nanos(u64::try_from(lasts_ns).unwrap_or(0));
        let left = limit.map_or(lasts, |limit| limit.left_but(reserve_ns));
        let pictures = self.stream.pictures(frame).len().max(1) as u32;
        Effort::Within(lasts.min(left).mul_f64(SEARCH_SHARE) / pictures)
    }

    /// Finishes the frame and pushes it.
    fn finish(&mut self, mut turn: Turn) -> Result<gst::FlowSuccess, gst::FlowError> {
        let obj = self.imp.obj();
        let goes_on = !matches!(turn.course, Course::Dropped);
        if let Course::Begun(begun) = std::mem::take(&mut turn.course) {
            self.redraw(&mut turn, begun)?;
        }
        let Turn {
            frame,
            controls,
            settings,
            ..
        } = turn;
        let duration = self.stream.duration(&frame);
        let mut buffer = frame.buffer;
        let (pts, dts) = (buffer.pts(), buffer.dts());
        lock(&self.imp.lateness).frames_last(duration.map_or(0, signed_ns));
        self.stream
            .forget_sound_before(frame.running_ns, controls.sync_offset_ns);
        obj.selected_samples(pts, dts, duration, None);
        if let Some(pts) = pts {
            obj.set_position(pts.saturating_add(duration.unwrap_or_default()));
        }
        if !goes_on {
            self.stream.has_dropped = true;
            self.post_stats(settings.stats_interval);
            return Ok(gst::FlowSuccess::Ok);
        }
        if std::mem::take(&mut self.stream.has_dropped) {
            buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        input_events::send_tags(self.imp, self.stream);
        let buffer = memory_layout::laid_out(self.imp, self.stream, buffer);
        let success = obj.finish_buffer(buffer)?;
        lock(&self.imp.stats).frames_out += 1;
        self.post_stats(settings.stats_interval);
        Ok(success)
    }

    /// Whether there is anything to be drawn; counts the frame where there is not.
    fn draws(&self, controls: &Controls, listens: bool) -> bool {
        if !listens || !controls.draws() {
            lock(&self.imp.stats).count(Outcome::Bypassed, None);
            return false;
        }
        if self.stream.engine().is_none() {
            lock(&self.imp.stats).loading += 1;
            return false;
        }
        true
    }

    /// Finishes the redrawing of the frame, as it was `begun`.
    fn redraw(
        &mut self,
        turn: &mut Turn,
        begun: Option<Result<(), Error>>,
    ) -> Result<(), gst::FlowError> {
        let FrameSettings { metas, work_ns, .. } = turn.settings;
        let limit = Deadline::of(self.imp, turn);
        let reserve_ns = lock(&self.imp.lateness).reserve_ns(work_ns);
        let frame = &mut turn.frame;
        let frame_ns = frame.running_ns;
        let result = match (begun, &limit) {
            (Some(Ok(())), None) => self.stream.finish(frame, metas, None),
            (Some(Ok(())), Some(limit)) => {
                let mut left = || limit.left_but(reserve_ns);
                self.stream.finish(frame, metas, Some(&mut left))
            }
            (Some(Err(err)), _) => Some(Err(err)),
            (None, _) => None,
        };
        self.tell_of_servers(turn.settings.on_unreachable);
        let mut stats = lock(&self.imp.stats);
        if let Some(engine) = self.stream.engine() {
            stats.faces_last = engine.faces().len() as u64;
            stats.detect_runs = engine.detector_runs();
        }
        stats.av_offset_ns = turn.controls.sync_offset_ns;
        match result {
            Some(Ok((outcome, timings))) => {
                stats.count(outcome, Some(&timings));
                if let Some(engine) = self.stream.engine() {
                    stats.count_memory(engine.remembered());
                    stats.note_articulation(engine.articulation());
                    stats.heard = Some(engine.heard());
                }
                drop(stats);
                lock(&self.imp.lateness).painted(timings.blend);
                gst::trace!(
                    CAT,
                    imp = self.imp,
                    "Frame at {}: {outcome:?}, {:?} in all",
                    Time(frame.running_ns),
                    timings.total
                );
                self.log_faces(frame_ns);
                if turn.settings.tags(outcome) {
                    self.stream.mark.set();
                }
                if matches!(outcome, Outcome::Repeated | Outcome::Late) {
                    let late_ns = match &limit {
                        Some(limit) if turn.late_ns == 0 => {
                            reserve_ns.saturating_sub(limit.left_ns())
                        }
                        _ => turn.late_ns,
                    };
                    qos::report_loss(self.imp, self.stream, frame, late_ns);
                }
                Ok(())
            }
            // It was interrupted.
            Some(Err(_)) if self.imp.stops.load(Ordering::Acquire) => {
                stats.skipped += 1;
                Ok(())
            }
            Some(Err(err)) => {
                stats.errors += 1;
                drop(stats);
                self.report(&err, &turn.settings)
            }
            None => {
                stats.errors += 1;
                drop(stats);
                gst::warning!(
                    CAT,
                    imp = self.imp,
                    "{:?} is no frame of its caps",
                    frame.buffer
                );
                Ok(())
            }
        }
    }

    /// Tells of servers that were lost or found since the frame before.
    fn tell_of_servers(&self, on_unreachable: OnUnreachable) {
        let Some(engine) = self.stream.engine() else {
            return;
        };
        while let Some(event) = engine.calls().next_event() {
            messages::tell_of_server(self.imp, &event, on_unreachable);
        }
    }

    /// Logs what is another shot, and which faces came and went.
    fn log_faces(&mut self, running_ns: i64) {
        if !CAT.above_threshold(gst::DebugLevel::Debug) {
            return;
        }
        let Stream {
            engine: Some(engine),
            faces,
            shots,
            ..
        } = &mut *self.stream
        else {
            return;
        };
        let time = Time(running_ns);
        if std::mem::replace(shots, engine.shots()) != engine.shots() {
            gst::debug!(CAT, imp = self.imp, "Another shot, by the frame at {time}");
        }
        faces.follow(engine.faces(), |change| match change {
            Change::Found(Face { id, mesh, .. }) => {
                let [x0, y0, x1, y1] = mesh.bbox().edges().map(f32::round);
                gst::debug!(
                    CAT,
                    imp = self.imp,
                    "Face {id} found in the frame at {time}: {}x{} at ({x0}, {y0}), confidence {:.2}",
                    x1 - x0,
                    y1 - y0,
                    mesh.score
                );
            }
            Change::Lost(id) => {
                gst::debug!(CAT, imp = self.imp, "Face {id} lost in the frame at {time}");
            }
        });
    }

    /// A frame could not be redrawn: the first time of each kind is worth a warning, unless it is
    /// to end the self.stream.
    fn report(&mut self, err: &Error, settings: &FrameSettings) -> Result<(), gst::FlowError> {
        let is_end = match err {
            Error::Unreachable { .. } => settings.on_unreachable == OnUnreachable::Error,
            _ => settings.on_error == OnError::Error,
        };
        if is_end {
            self.imp.post_error_message(messages::error_message(err));
            return Err(gst::FlowError::Error);
        }
        gst::warning!(CAT, imp = self.imp, "{err}");
        // The bus knows of servers already.
        let is_known = matches!(err, Error::Unreachable { .. });
        if !is_known && self.stream.is_first_of_its_kind(err) {
            gst::element_imp_warning!(
                self.imp,
                gst::StreamError::Failed,
                ("{err}. The original frames go on; `stats` counts them")
            );
        }
        Ok(())
    }

    /// Where upstream had no picture, downstream gets none.
    fn send_gap(&self, frame: &Frame) -> gst::FlowSuccess {
        let src_pad = self.imp.obj().src_pad().clone();
        let begun = src_pad.sticky_event::<gst::event::Segment>(0).is_some();
        if let Some(pts) = frame.buffer.pts().filter(|_| begun) {
            self.push_new_segment();
            let gap = gst::event::Gap::builder(pts).duration(frame.buffer.duration());
            src_pad.push_event(gap.build());
        }
        gst::FlowSuccess::Ok
    }

    /// Aggregator holds a new segment back until the next buffer, and events go past it.
    fn push_new_segment(&self) {
        let obj = self.imp.obj();
        let src_pad = obj.src_pad();
        let newest = src_pad
            .downcast_ref::<gst_base::AggregatorPad>()
            .map(|pad| pad.segment());
        let sent = src_pad.sticky_event::<gst::event::Segment>(0);
        if let (Some(newest), Some(sent)) = (newest, sent)
            && *sent.segment() != newest
        {
            src_pad.push_event(gst::event::Segment::new(&newest));
        }
    }

    /// Tells the bus what `stats` shows, when it is time to.
    fn post_stats(&self, interval: Option<Duration>) {
        let Some(interval) = interval else {
            return;
        };
        let due = lock(&self.imp.stats).due(Instant::now(), interval);
        if let Some(structure) = due {
            let obj = self.imp.obj();
            let message = gst::message::Element::builder(structure).src(&*obj);
            // Fails where nobody listens.
            let _ = obj.post_message(message.build());
        }
    }
}
