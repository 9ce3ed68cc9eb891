//! The bin behind `lipsyncbin`: what is around `lipsync` so that sound and picture leave together.
//!
//! Must not know models, pixels or how frames and sound are paired.

/**
 * SECTION:element-lipsyncbin
 * @title: lipsyncbin
 * @short_description: Sound and picture in, both out, with mouths that match the sound.
 *
 * Wraps #lipsync with what it needs in most pipelines: converters, which do nothing where none is
 * needed, a `tee` for the sound, and queues. The sound leaves as it came. Where only one of the
 * two is linked, it goes through, and after three seconds the other output ends with a warning.
 *
 * All properties of #lipsync are here too.
 *
 * ## Example pipelines
 *
 * File to file:
 *
 * |[
 * gst-launch-1.0 filesrc location=in.mp4 ! decodebin name=d ! l.video_sink d. ! l.audio_sink \
 *     lipsyncbin name=l ! videoconvert ! x264enc ! mp4mux name=m ! filesink location=out.mp4 \
 *     l.audio_src ! audioconvert ! avenc_aac ! m.
 * ]|
 *
 * Camera and microphone to RTMP:
 *
 * |[
 * gst-launch-1.0 v4l2src ! l.video_sink autoaudiosrc ! l.audio_sink \
 *     lipsyncbin name=l ! videoconvert ! x264enc tune=zerolatency \
 *     ! flvmux streamable=true name=m ! rtmp2sink location=rtmp://... \
 *     l.audio_src ! audioconvert ! avenc_aac ! m.
 * ]|
 */
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use gst::{glib, prelude::*, subclass::prelude::*};

use crate::element::{lipsync::Lipsync, settings};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "lipsyncbin",
        gst::DebugColorFlags::empty(),
        Some("lipsync with converters and queues"),
    )
});

/// How far one input may run ahead of the other before it has to wait. Containers interleave within
/// a second; `lipsync` itself hears a fraction of a second ahead.
const INTERLEAVE_MAX: gst::ClockTime = gst::ClockTime::from_seconds(3);
/// How long after one input begins the other is waited for.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(3);
/// Frames between `lipsync` and what follows, so that both can work at once.
const FRAMES_OUT: u32 = 3;

pub struct LipsyncBin {
    lipsync: Lipsync,
    video_sink: gst::GhostPad,
    audio_sink: gst::GhostPad,
    video_src: gst::GhostPad,
    audio_src: gst::GhostPad,
    /// `Err` with what is missing.
    parts: OnceLock<Result<Parts, glib::BoolError>>,
    /// There while sound goes to `lipsync`.
    listening: Mutex<Option<Listening>>,
    /// There while one input has begun and the other may still be linked.
    gate: Mutex<Option<Gate>>,
}

/// The elements around `lipsync`.
struct Parts {
    /// Ways into and out of the queue that both inputs share.
    video_in: gst::Pad,
    audio_in: gst::Pad,
    video_queued: gst::Pad,
    audio_queued: gst::Pad,
    tee: gst::Element,
    heard: gst::Element,
    /// The last before `lipsync`.
    heard_convert: gst::Element,
}

/// Holds back both streams.
struct Gate {
    probes: [(gst::Pad, Option<gst::PadProbeId>); 2],
    patience: gst::ClockId,
}

/// Pads that exist while sound goes to `lipsync`.
struct Listening {
    tee_pad: gst::Pad,
    lipsync_pad: gst::Pad,
}

#[glib::object_subclass]
impl ObjectSubclass for LipsyncBin {
    const NAME: &'static str = "GstLipsyncBin";
    type Type = super::LipsyncBin;
    type ParentType = gst::Bin;

    fn with_class(klass: &Self::Class) -> Self {
        let pad = |name: &str| {
            let template = klass
                .pad_template(name)
                .expect("the class has the template");
            gst::GhostPad::builder_from_template(&template).build()
        };
        Self {
            lipsync: glib::Object::builder().property("name", "lipsync").build(),
            video_sink: pad("video_sink"),
            audio_sink: pad("audio_sink"),
            video_src: pad("video_src"),
            audio_src: pad("audio_src"),
            parts: OnceLock::new(),
            listening: Mutex::default(),
            gate: Mutex::default(),
        }
    }
}

impl ObjectImpl for LipsyncBin {
    fn properties() -> &'static [glib::ParamSpec] {
        settings::proxy_param_specs()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.lipsync.set_property_from_value(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        self.lipsync.property_value(pspec.name())
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        for pad in [
            &self.video_sink,
            &self.audio_sink,
            &self.video_src,
            &self.audio_src,
        ] {
            obj.add_pad(pad).expect("a new bin has no pad of this name");
        }
        let parts = self.build();
        let built = parts.is_ok();
        let _ = self.parts.set(parts);
        if built {
            self.proxy_controls();
            self.watch_links();
        }
    }
}

impl GstObjectImpl for LipsyncBin {}

impl ElementImpl for LipsyncBin {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Lip sync bin",
                "Generic/Bin/Filter/Effect/Video/Audio",
                "Sound and picture in, both out, with mouths that match the sound",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let video = gst::Caps::new_empty_simple("video/x-raw");
            let audio = gst::Caps::new_empty_simple("audio/x-raw");
            let template = |name, direction, caps| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, caps)
                    .expect("the arguments are valid")
            };
            vec![
                template("video_sink", gst::PadDirection::Sink, &video),
                template("audio_sink", gst::PadDirection::Sink, &audio),
                template("video_src", gst::PadDirection::Src, &video),
                template("audio_src", gst::PadDirection::Src, &audio),
            ]
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::NullToReady
            && let Some(Err(err)) = self.parts.get()
        {
            gst::element_imp_error!(
                self,
                gst::CoreError::MissingPlugin,
                ("{err}; GStreamer's base plugins are wanted")
            );
            return Err(gst::StateChangeError);
        }
        if transition == gst::StateChange::PausedToReady {
            self.open_gate();
        }
        self.parent_change_state(transition)
    }
}

impl BinImpl for LipsyncBin {}

impl LipsyncBin {
    /// Makes and links everything but the way from the `tee` to `lipsync`.
    fn build(&self) -> Result<Parts, glib::BoolError> {
        let make = |factory: &str, name: &str| {
            let element = gst::ElementFactory::make(factory).name(name).build()?;
            self.obj().add(&element)?;
            Ok::<_, glib::BoolError>(element)
        };
        self.obj().add(&self.lipsync)?;
        let multiqueue = make("multiqueue", "in")?;
        let video_convert = make("videoconvert", "video-convert")?;
        let video_out = make("queue", "video-out")?;
        let tee = make("tee", "sound")?;
        let heard = make("queue", "heard")?;
        let heard_convert = make("audioconvert", "heard-convert")?;
        let played = make("queue", "played")?;

        // Grows by itself where one input is ahead of the other.
        multiqueue.set_property("max-size-bytes", 0u32);
        multiqueue.set_property("max-size-time", INTERLEAVE_MAX.nseconds());
        limit(&video_out, FRAMES_OUT, gst::ClockTime::ZERO);
        limit(&heard, 0, INTERLEAVE_MAX);
        // Holds what `lipsync` has heard ahead and no more, since `heard` holds the tee back.
        limit(&played, 0, gst::ClockTime::ZERO);
        tee.set_property("allow-not-linked", true);

        let pad = |element: &gst::Element, name: &str| {
            let pad = match element.static_pad(name) {
                Some(pad) => Some(pad),
                None => element.request_pad_simple(name),
            };
            pad.ok_or_else(|| glib::bool_error!("{} has no pad {name}", element.name()))
        };
        let video_in = pad(&multiqueue, "sink_0")?;
        let audio_in = pad(&multiqueue, "sink_1")?;
        multiqueue.link_pads(Some("src_0"), &video_convert, Some("sink"))?;
        video_convert.link_pads(Some("src"), &self.lipsync, Some("video"))?;
        self.lipsync
            .link_pads(Some("src"), &video_out, Some("sink"))?;
        multiqueue.link_pads(Some("src_1"), &tee, Some("sink"))?;
        tee.link_pads(Some("src_%u"), &played, Some("sink"))?;
        gst::Element::link_many([&heard, &heard_convert])?;

        let tee_sink = pad(&tee, "sink")?;
        tee_sink.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, refuse_allocation);

        self.video_sink.set_target(Some(&video_in))?;
        self.audio_sink.set_target(Some(&audio_in))?;
        self.video_src.set_target(Some(&pad(&video_out, "src")?))?;
        self.audio_src.set_target(Some(&pad(&played, "src")?))?;
        Ok(Parts {
            video_in,
            audio_in,
            video_queued: pad(&multiqueue, "src_0")?,
            audio_queued: pad(&multiqueue, "src_1")?,
            tee,
            heard,
            heard_convert,
        })
    }

    /// A property of the bin that is under control moves `lipsync`'s.
    fn proxy_controls(&self) {
        let controllable = settings::proxy_param_specs()
            .iter()
            .filter(|spec| spec.flags().contains(gst::PARAM_FLAG_CONTROLLABLE));
        for spec in controllable {
            let proxy = gst_controller::ProxyControlBinding::new(
                &self.lipsync,
                spec.name(),
                &*self.obj(),
                spec.name(),
            );
            if let Err(err) = self.lipsync.add_control_binding(&proxy) {
                gst::warning!(CAT, imp = self, "{err}");
            }
        }
    }

    /// Listens while both inputs are linked: `lipsync` waits for the sound of a frame as long as it
    /// has a pad for it.
    fn watch_links(&self) {
        for pad in [&self.video_sink, &self.audio_sink] {
            let weak = self.downgrade();
            pad.connect_linked(move |_, _| {
                if let Some(this) = weak.upgrade() {
                    this.listen();
                }
            });
            let weak = self.downgrade();
            pad.connect_unlinked(move |_, _| {
                if let Some(this) = weak.upgrade() {
                    this.stop_listening();
                }
            });
        }
        for pad in [&self.video_sink, &self.audio_sink] {
            let weak = self.downgrade();
            pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
                if let Some(this) = weak.upgrade()
                    && let Some(event) = info.event()
                    && event.type_() == gst::EventType::Segment
                {
                    this.await_other();
                }
                gst::PadProbeReturn::Ok
            });
        }
    }

    fn listen(&self) {
        let Some(Ok(parts)) = self.parts.get() else {
            return;
        };
        if !self.video_sink.is_linked() || !self.audio_sink.is_linked() {
            return;
        }
        let mut listening = self.listening();
        if listening.is_some() {
            return;
        }
        match Listening::start(parts, &self.lipsync) {
            Ok(started) => *listening = Some(started),
            Err(err) => gst::error!(CAT, imp = self, "Cannot listen: {err}"),
        }
        drop(listening);
        self.open_gate();
    }

    fn stop_listening(&self) {
        let listening = self.listening().take();
        if let (Some(listening), Some(Ok(parts))) = (listening, self.parts.get()) {
            listening.stop(parts, &self.lipsync);
        }
    }

    fn listening(&self) -> MutexGuard<'_, Option<Listening>> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One input has begun. Where the other has an output that is linked, it is to come as well:
    /// demuxers link it a little later, and until then nothing may go past.
    fn await_other(&self) {
        let Some(Ok(parts)) = self.parts.get() else {
            return;
        };
        let mut gate = self.gate();
        if gate.is_some() || self.missing(parts).next().is_none() {
            return;
        }
        let weak = self.downgrade();
        match Gate::close(parts, move || {
            if let Some(this) = weak.upgrade() {
                this.end_missing();
            }
        }) {
            Ok(closed) => *gate = Some(closed),
            Err(err) => gst::warning!(CAT, imp = self, "{err}"),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Option<Gate>> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Inputs that are not linked though their outputs are: input, where it leads to, output.
    fn missing<'a>(
        &'a self,
        parts: &'a Parts,
    ) -> impl Iterator<Item = (&'a gst::GhostPad, &'a gst::Pad, &'a gst::GhostPad)> {
        [
            (&self.video_sink, &parts.video_in, &self.video_src),
            (&self.audio_sink, &parts.audio_in, &self.audio_src),
        ]
        .into_iter()
        .filter(|(input, _, output)| output.is_linked() && !input.is_linked())
    }

    /// Nobody has linked the other input: its output ends, so that a muxer does not wait for it.
    fn end_missing(&self) {
        let Some(Ok(parts)) = self.parts.get() else {
            return;
        };
        for (input, queue, output) in self.missing(parts) {
            gst::element_imp_warning!(
                self,
                gst::CoreError::Pad,
                (
                    "nothing is linked to `{}`, so `{}` ends without data",
                    input.name(),
                    output.name()
                )
            );
            let stream_id = format!("{}/{}", self.obj().name(), input.name());
            queue.send_event(gst::event::StreamStart::new(&stream_id));
            queue.send_event(gst::event::Eos::new());
        }
        self.open_gate();
    }

    fn open_gate(&self) {
        let gate = self.gate().take();
        if let Some(gate) = gate {
            gate.open();
        }
    }
}

impl Gate {
    /// `too_late` is called when the gate has not been opened after [`PATIENCE`].
    fn close(
        parts: &Parts,
        too_late: impl FnOnce() + Send + 'static,
    ) -> Result<Self, gst::ClockError> {
        let clock = gst::SystemClock::obtain();
        let patience = clock.new_single_shot_id(clock.time() + PATIENCE);
        patience.wait_async(move |_, _, _| too_late())?;
        let kind = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        let probes = [&parts.video_queued, &parts.audio_queued].map(|pad| {
            let id = pad.add_probe(kind, |_, _| gst::PadProbeReturn::Ok);
            (pad.clone(), id)
        });
        Ok(Self {
            probes,
            patience: patience.into(),
        })
    }

    fn open(self) {
        self.patience.unschedule();
        for (pad, id) in self.probes {
            if let Some(id) = id {
                pad.remove_probe(id);
            }
        }
    }
}

impl Listening {
    fn start(parts: &Parts, lipsync: &Lipsync) -> Result<Self, glib::BoolError> {
        let request = |element: &gst::Element, name: &str| {
            element
                .request_pad_simple(name)
                .ok_or_else(|| glib::bool_error!("{} has no pad {name} to give", element.name()))
        };
        let lipsync_pad = request(lipsync.upcast_ref(), "audio")?;
        let tee_pad = request(&parts.tee, "src_%u")?;
        parts
            .heard_convert
            .link_pads(Some("src"), lipsync, Some(&lipsync_pad.name()))?;
        for element in [&parts.heard, &parts.heard_convert] {
            element.sync_state_with_parent()?;
        }
        parts
            .tee
            .link_pads(Some(&tee_pad.name()), &parts.heard, Some("sink"))?;
        Ok(Self {
            tee_pad,
            lipsync_pad,
        })
    }

    fn stop(self, parts: &Parts, lipsync: &Lipsync) {
        parts.tee.release_request_pad(&self.tee_pad);
        lipsync.release_request_pad(&self.lipsync_pad);
        // A queue whose peer has gone while it pushed takes nothing more until it is started anew.
        for element in [&parts.heard, &parts.heard_convert] {
            if element.current_state() > gst::State::Ready
                && let Err(err) = element.set_state(gst::State::Ready)
            {
                gst::warning!(CAT, obj = element, "{err}");
            }
        }
    }
}

/// Limits a queue to so many buffers and so much time; 0 = no limit.
fn limit(queue: &gst::Element, buffers: u32, time: gst::ClockTime) {
    queue.set_property("max-size-buffers", buffers);
    queue.set_property("max-size-bytes", 0u32);
    queue.set_property("max-size-time", time.nseconds());
}

/// Asked behind the `tee`, the muxer's branch would answer only after the first frame has come out,
/// for which `lipsync` waits for the sound that the asking decoder holds.
fn refuse_allocation(_pad: &gst::Pad, info: &mut gst::PadProbeInfo) -> gst::PadProbeReturn {
    match info.query().map(|query| query.view()) {
        Some(gst::QueryView::Allocation(_)) => gst::PadProbeReturn::Drop,
        _ => gst::PadProbeReturn::Ok,
    }
}
