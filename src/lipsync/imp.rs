//! The Aggregator behind `lipsync`: what GObject, GstElement and GstAggregator ask of it.
//!
//! Must not know models or pixels.

/**
 * SECTION:element-lipsync
 * @title: lipsync
 * @short_description: Redraws mouths in video to match the speech.
 *
 * Takes a video stream on the pad `video` and the speech that belongs to it on the request pad
 * `audio`, finds the faces in each frame and redraws their mouths in place, so that they move as
 * the sound says. Frames leave with the timestamps, metas and format they came with. Without an
 * `audio` pad they pass untouched.
 *
 * The sound is only listened to; where it is to be heard as well, it goes past the element
 * through a `tee` and a `queue` that holds what the element listens ahead. #lipsyncbin has all
 * that inside. By hand: both inputs need a `queue` of their own when one demuxer feeds them, and
 * `identity drop-allocation=true` before the `tee` keeps a decoder from asking the far end of the
 * other branch for memory, which would answer only after the first frame.
 *
 * Where frames come for two seconds and there is no pad `audio`, one WARNING message says so: what has
 * room for one video filter only, such as `video-filter` of #playbin or an effect in GES, has no sound
 * to give. Upstream events about frames (QOS, NAVIGATION, RECONFIGURE, requests for key frames) go to the
 * video's upstream; seeks and latency to both.
 *
 * At the end of a stream an INFO message says in how many frames there was a face and how many were
 * synced, or a WARNING message that there was no face at all.
 *
 * ## Audio channels and levels
 *
 * The mouth follows one channel. `audio-channel=auto` takes the front centre while that carries
 * something, else left and right, else the others; it leaves out channels that carry nothing and those
 * of low-frequency effects, and turns round what is in opposite phase. `mix`, `left`, `right`,
 * `centre` or a number (counted from 0) choose otherwise, also while frames flow, without a click.
 *
 * With `silence-threshold=0` quiet voices are found by how they stand out from the noise; any other
 * value is a fixed threshold in dBFS.
 *
 * ## Faces
 *
 * Faces are found any way up, from 32 pixels between the temples on, in frames of any size. Where the
 * stream's tags name an `image-orientation`, faces are looked for that way up first; the frames are
 * not turned: `videoflip video-direction=auto` before this element does that. A new shot is searched
 * at once; in a live pipeline, and where a sink says that frames are late, as much of it as fits into
 * three quarters of each frame's time. Afterwards a frame in which no face is known has its share of a
 * search that takes a second.
 *
 * People are told apart by their looks: who is hidden behind somebody else for a moment keeps the
 * mouth and the id. With `face-select=speaking` up to eight faces are followed, or `max-faces`, and
 * those are drawn whose own mouth moves with the audio, or moved last; as long as none has, none.
 *
 * ## Seeking
 *
 * A mouth follows sound that is played as it was recorded. Frames that are played backwards, faster
 * or slower, or with frames or sound left out (any segment whose rate is not 1, or that is flagged as
 * a trick mode) pass untouched and count as `frames-bypassed`. Seeks are answered by the video's
 * upstream.
 *
 * ## Models
 *
 * Going to READY finds ONNX Runtime, reads the model and checks it; what a person has to put right
 * fails there. The networks are loaded in the background, with PROGRESS messages of the code
 * `open-model`; what only shows then comes as an ERROR message. Until they are loaded the first
 * frame waits, in a live pipeline frames pass untouched and `stats` counts them as
 * `frames-loading`. Going back to NULL never waits for networks.
 *
 * `model`, and all that says on what it runs, may be set while frames flow: the new one is loaded
 * beside the old one and takes over between two frames, on the same faces, and a LATENCY message
 * tells where it listens further or less far ahead. Of several the last one counts. Where it cannot
 * be loaded a WARNING message says why, the old one goes on and the properties say so again.
 *
 * ## Latency
 *
 * A mouth moves before its sound is heard, so each frame waits for the sound that follows it: the
 * look-ahead of the model. The reported latency is this look-ahead, what resampling to the
 * model's rate holds back, and `processing-deadline`, the time that is kept for work. Where the
 * networks are slower than `processing-deadline`, raise it; `stats` has the times. Half of it may
 * pass while late sound is waited for; then a frame goes on with what was heard.
 *
 * While the networks draw a frame the next one is begun, if it has come. None waits for one that
 * has not, unless `batch-size` says so.
 *
 * ## Overload
 *
 * In a live pipeline the networks have a frame until it must leave to be in time: its running time
 * and the reported latency, less what painting takes. Where they are late, the frame shows the
 * mouth that was drawn last (`late-policy=last-mouth`, for 2 s at most) or its own
 * (`late-policy=original`), and leaves in time all the same. Networks that are too slow for good
 * draw as many frames as they can; the first run that is in time shows. A frame that comes to this
 * element too late for that is not looked at and goes on as it is. What downstream reports as late
 * with QOS events is dropped when it is late by more than 40 ms; a sink of a pipeline that is not
 * live is given time to catch up besides, in frames that need no network. Each such frame posts a
 * QOS message and counts in `stats`: frames-repeated, frames-skipped, frames-dropped. `qos=false`
 * draws each frame however late.
 *
 * ## The log
 *
 * `GST_DEBUG=lipsync:5` tells the story of a stream: caps, segments, flushes, the latency with its
 * parts, the model and what runs it, faces found and lost, other shots, late frames. 6 adds every
 * event, 7 every frame.
 *
 * ## Altered pictures say so
 *
 * Unless `tag-altered=false`, the stream's tags say from the first frame on whose mouth was redrawn
 * that mouths were altered: "mouths-altered-by-lipsync" in the comment, behind what upstream had said
 * there. `matroskamux`, `mp4mux`, `qtmux` and `avimux` write it into the file; `flvmux` and
 * `mpegtsmux` write no comments. Streams that pass untouched are not marked.
 *
 * ## Example pipelines
 *
 * A camera, with its own microphone heard by the mouth only:
 *
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! lipsync name=l ! queue ! videoconvert ! autovideosink \
 *     autoaudiosrc ! audioconvert ! queue ! l.audio
 * ]|
 */
use std::sync::{
    LazyLock, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use gst::{glib, prelude::*, subclass::prelude::*};
use gst_base::{prelude::*, subclass::prelude::*};

use crate::lipsync::{
    audio_input::AudioInput,
    frame_pass::FramePass,
    input_events,
    latency::Latency,
    lateness::Lateness,
    mapped_frame, memory_layout, messages,
    model_swap::ModelSwap,
    mouth_file, properties, qos,
    schedule::{self, Schedule},
    settings::Settings,
    stats::Stats,
    stream_state::Stream,
    video_input::VideoInput,
};
use lipsync_core::sound;

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "lipsync",
        gst::DebugColorFlags::empty(),
        Some("Redraws mouths to match the speech"),
    )
});

/// Largest picture, in pixels a side.
pub(super) const SIZE_MAX: i32 = 16384;

/// Frames and sound of 146 years ahead and more have broken timestamps. No clock can wait for them: the sums
/// of GStreamer's system clock overflow, and it waits in a busy loop.
pub(super) const FURTHEST_NS: i64 = i64::MAX / 2;

/// Locks that a panic elsewhere must not poison: the element answers with an error then anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The parts of the element. Locks are taken in the order in which they stand here; those from
/// `stats` on are held for single statements, and none while another is taken. No lock is held across
/// a push, a query, a message or inference: whoever works with the stream takes it out.
pub struct Lipsync {
    pub(super) models: ModelSwap,
    pub(super) settings: Mutex<Settings>,
    /// There from READY on.
    pub(super) stream: Mutex<Option<Box<Stream>>>,
    pub(super) video: VideoInput,
    pub(super) audio: AudioInput,
    pub(super) latency: Latency,
    pub(super) stats: Mutex<Stats>,
    /// What is to be said of a value that was refused before anybody could hear it.
    pub(super) refused: Mutex<Option<String>>,
    pub(super) lateness: Mutex<Lateness>,
    /// The streaming thread is to come to an end.
    pub(super) stops: AtomicBool,
    /// The next timeout means that frames crowd the video pad, or audio comes without any, not that
    /// one is late.
    pub(super) woken_for_room: AtomicBool,
}

impl Lipsync {
    pub(super) fn take_stream(&self) -> Option<Box<Stream>> {
        lock(&self.stream).take()
    }

    pub(super) fn put_stream(&self, stream: Box<Stream>) {
        *lock(&self.stream) = Some(stream);
    }
}

#[glib::object_subclass]
impl ObjectSubclass for Lipsync {
    const NAME: &'static str = "GstLipsync";
    type Type = super::Lipsync;
    type ParentType = gst_base::Aggregator;

    fn with_class(klass: &Self::Class) -> Self {
        let template = klass
            .pad_template("video")
            .expect("the class has the template");
        let video_pad = gst::PadBuilder::from_template(&template).build();
        Self {
            models: ModelSwap::default(),
            settings: Mutex::default(),
            stream: Mutex::default(),
            video: VideoInput::new(video_pad),
            audio: AudioInput::default(),
            latency: Latency::default(),
            stats: Mutex::default(),
            refused: Mutex::default(),
            lateness: Mutex::default(),
            stops: AtomicBool::new(false),
            woken_for_room: AtomicBool::new(false),
        }
    }
}

impl ObjectImpl for Lipsync {
    fn properties() -> &'static [glib::ParamSpec] {
        properties::param_specs()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let set = lock(&self.settings).set(pspec.name(), value);
        if let Err(expected) = set {
            messages::warn_of_value(self, pspec.name(), value, expected);
            return;
        }
        match pspec.name() {
            "sync-offset" | "processing-deadline" => self.latency.update(self),
            // Untouched frames need no model.
            "bypass" | "strength" => self.models.loader.wake(),
            "model" => self.models.reread(self),
            _ => self.models.swap(self),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let setting = lock(&self.settings).get(pspec.name());
        setting.unwrap_or_else(|| match pspec.name() {
            "stats" => lock(&self.stats).to_structure().to_value(),
            "active-execution-provider" => lock(&self.stats).provider.to_value(),
            _ => pspec.default_value().clone(),
        })
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.add_pad(&self.video.pad)
            .expect("a new element has no pad of this name");
        let weak = self.downgrade();
        self.video
            .pad
            .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                if let Some(this) = weak.upgrade() {
                    this.video.level.add();
                }
                gst::PadProbeReturn::Ok
            });
        let weak = self.downgrade();
        obj.src_pad()
            .add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
                if let Some(this) = weak.upgrade() {
                    input_events::name_stream(&this, info);
                }
                gst::PadProbeReturn::Ok
            });
    }
}

impl GstObjectImpl for Lipsync {}

impl ElementImpl for Lipsync {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Lip sync",
                "Filter/Effect/Video/Audio",
                "Redraws the mouths in a video to match the speech",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let formats = mapped_frame::FORMATS.iter().map(|(format, _)| *format);
            let mut video = gst_video::VideoCapsBuilder::new()
                .format_list(formats)
                .width_range(1..=SIZE_MAX)
                .height_range(1..=SIZE_MAX)
                .build();
            video.merge(mapped_frame::as_single_fields(&video));
            let audio = gst_audio::AudioCapsBuilder::new_interleaved()
                .format_list([
                    gst_audio::AudioFormat::S16le,
                    gst_audio::AudioFormat::S32le,
                    gst_audio::AudioFormat::F32le,
                    gst_audio::AudioFormat::F64le,
                ])
                .rate_range(*sound::RATES.start() as i32..=*sound::RATES.end() as i32)
                .build();
            let template = |name, direction, presence, caps| {
                gst::PadTemplate::with_gtype(
                    name,
                    direction,
                    presence,
                    caps,
                    gst_base::AggregatorPad::static_type(),
                )
                .expect("the arguments are valid")
            };
            use gst::{PadDirection::*, PadPresence::*};
            vec![
                template("video", Sink, Always, &video),
                template("audio", Sink, Request, &audio),
                template("src", Src, Always, &video),
            ]
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::NullToReady => {
                if let Err(message) = self.models.set_up(self) {
                    self.post_error_message(message);
                    return Err(gst::StateChangeError);
                }
                let refused = lock(&self.refused).take();
                if let Some(warning) = refused {
                    gst::element_imp_warning!(self, gst::LibraryError::Settings, ("{warning}"));
                }
            }
            gst::StateChange::ReadyToPaused => self.stops.store(false, Ordering::Release),
            gst::StateChange::PausedToReady => {
                self.stops.store(true, Ordering::Release);
                self.models.loader.wake();
                self.models.interrupt();
            }
            _ => (),
        }
        let success = self.parent_change_state(transition);
        if transition == gst::StateChange::PausedToReady {
            // The streaming thread has ended; the networks are there for the next one.
            self.models.resume();
        }
        let success = success?;
        if transition == gst::StateChange::ReadyToNull {
            self.models.unload(self);
        }
        Ok(success)
    }

    /// In place of Aggregator's `create_new_pad`: what that returns is added with one reference too
    /// many, by gstreamer-rs 0.25 at least, and never freed.
    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        _name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let is_audio = template.name_template() == "audio";
        let Some(pad) = is_audio.then(|| self.audio.request(template)).flatten() else {
            gst::warning!(CAT, imp = self, "There is one audio pad at most");
            return None;
        };
        self.audio.watch(self, &pad);
        self.audio.ask_to_flush();
        self.latency.update(self);
        if let Err(err) = self.obj().add_pad(&pad) {
            gst::error!(CAT, imp = self, "{err}");
            self.audio.release(pad.upcast_ref());
            return None;
        }
        Some(pad.upcast())
    }

    fn release_pad(&self, pad: &gst::Pad) {
        if !self.audio.release(pad) {
            return;
        }
        self.models.loader.wake();
        self.parent_release_pad(pad);
        self.audio.ask_to_flush();
        self.latency.update(self);
    }
}

impl AggregatorImpl for Lipsync {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.models.set_up(self)?;
        let known_mouths = mouth_file::read(self)?;
        let stream = self.take_stream().unwrap_or_default();
        let look_ahead_ns = self.latency.look_ahead_ns();
        let mut stream = stream.restarted(look_ahead_ns);
        if let Some(engine) = stream.engine_mut() {
            engine.set_tracking(lock(&self.settings).tracking());
            let begun = engine.know_mouths(known_mouths.as_deref());
            if let Err(err) = begun {
                self.put_stream(Box::new(stream));
                return Err(messages::error_message(&err));
            }
        }
        stream.known_mouths = known_mouths;
        self.put_stream(Box::new(stream));
        lock(&self.stats).begin();
        lock(&self.lateness).reset();
        self.video.reset();
        self.audio.reset();
        self.models.swap_from_now_on(self);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        self.models.stop_swapping();
        // Frames and sound go now, the engine stays until NULL.
        if let Some(stream) = self.take_stream() {
            schedule::drop_waiting(self, &stream);
            self.put_stream(Box::new(stream.restarted(0)));
        }
        Ok(())
    }

    fn flush(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.obj().set_position(gst::ClockTime::NONE);
        self.video.ask_to_flush();
        self.audio.ask_to_flush();
        Ok(gst::FlowSuccess::Ok)
    }

    /// The frame's caps come from upstream as they are. Called where downstream has changed.
    fn negotiate(&self) -> bool {
        if let Some(stream) = lock(&self.stream).as_deref_mut() {
            stream.reads_video_meta = None;
        }
        true
    }

    /// When a live element is called though a pad has nothing, less the latency: in time to work on
    /// the next frame, or at once where frames crowd the pad.
    fn next_time(&self) -> Option<gst::ClockTime> {
        let audio_pad = self.audio.pad()?;
        if !self.video.pad.has_buffer() {
            self.video.level.found_empty();
        }
        let (collected_ns, next_ns, heard_alone) = {
            let stream = lock(&self.stream);
            let stream = stream.as_deref()?;
            let wants_room = self.video.wants_room(self, stream);
            self.woken_for_room.store(wants_room, Ordering::Relaxed);
            if wants_room {
                return Some(gst::ClockTime::ZERO);
            }
            let collected = stream.batch.front().map(|turn| turn.frame.running_ns);
            let waiting = stream.waiting.first_ns();
            let next = waiting.or_else(|| self.video.pad_ns(stream));
            let heard_alone = match next {
                Some(_) => None,
                None => self.audio.due(self, stream, &audio_pad),
            };
            (collected, next, heard_alone)
        };
        let due = collected_ns
            .or(next_ns)
            .and_then(|ns| schedule::frame_due(self, ns));
        let sound_is_first = heard_alone.is_some() && due.is_none_or(|due| heard_alone < Some(due));
        if !sound_is_first {
            return due;
        }
        self.woken_for_room.store(true, Ordering::Relaxed);
        heard_alone
    }

    fn aggregate(&self, timeout: bool) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(mut stream) = self.take_stream() else {
            return Err(gst::FlowError::Flushing);
        };
        let flow = Schedule::new(self, &mut stream).work(timeout);
        self.put_stream(stream);
        flow
    }

    fn sink_event(&self, pad: &gst_base::AggregatorPad, event: gst::Event) -> bool {
        gst::log!(CAT, obj = pad, "Event {event:?}");
        let is_video = pad == &self.video.pad;
        match event.type_() {
            gst::EventType::FlushStart | gst::EventType::FlushStop => {
                match is_video {
                    true => self.video.ask_to_flush(),
                    false => self.audio.ask_to_flush(),
                }
                if event.type_() == gst::EventType::FlushStop {
                    match is_video {
                        true => self.video.level.reset(),
                        false => self.audio.level.reset(),
                    }
                }
                self.models.loader.wake();
                self.parent_sink_event(pad, event)
            }
            gst::EventType::Eos | gst::EventType::Gap => self.parent_sink_event(pad, event),
            _ if !event.is_serialized() => self.parent_sink_event(pad, event),
            _ => {
                let Some(mut stream) = self.take_stream() else {
                    return false;
                };
                schedule::apply_flushes(self, &mut stream);
                // It comes behind them, or changes the sound that they hear.
                FramePass::new(self, &mut stream).send_batch_early();
                let done = match is_video {
                    true => input_events::video_event(self, &mut stream, pad, event),
                    false => input_events::audio_event(self, &mut stream, pad, event),
                };
                self.put_stream(stream);
                done
            }
        }
    }

    fn src_event(&self, event: gst::Event) -> bool {
        if let gst::EventView::Qos(qos) = event.view() {
            qos::downstream_said(self, qos);
        }
        match event.type_() {
            // Frames and sound go on from another time, or wait for each other.
            gst::EventType::Seek | gst::EventType::Latency => self.parent_src_event(event),
            // What else downstream says is about the frames. Aggregator would keep RECONFIGURE and
            // NAVIGATION, and tell the sound of the rest.
            _ => self.video.pad.push_event(event),
        }
    }

    fn sink_query(&self, pad: &gst_base::AggregatorPad, query: &mut gst::QueryRef) -> bool {
        if pad != &self.video.pad {
            return self.parent_sink_query(pad, query);
        }
        match query.view_mut() {
            gst::QueryViewMut::Caps(_) => pad.proxy_query_caps(query),
            gst::QueryViewMut::Allocation(_) => {
                // What downstream does not answer is answered with nothing, so that upstream need
                // not ask again.
                self.obj().src_pad().peer_query(query);
                if let gst::QueryViewMut::Allocation(allocation) = query.view_mut() {
                    memory_layout::widen_allocation(self, allocation);
                }
                true
            }
            _ => self.parent_sink_query(pad, query),
        }
    }

    fn src_query(&self, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Caps(caps) => {
                let template = self.video.pad.pad_template_caps();
                let filter = match caps.filter_owned() {
                    Some(filter) => {
                        filter.intersect_with_mode(&template, gst::CapsIntersectMode::First)
                    }
                    None => template.clone(),
                };
                let upstream = self.video.pad.peer_query_caps(Some(&filter));
                caps.set_result(&upstream.intersect(&template));
                true
            }
            gst::QueryViewMut::Seeking(_)
            | gst::QueryViewMut::Duration(_)
            | gst::QueryViewMut::Position(_)
            | gst::QueryViewMut::Uri(_) => self.video.pad.peer_query(query),
            _ => self.parent_src_query(query),
        }
    }
}
