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
 * two is linked, it goes through, and after three seconds the other output ends with a warning: with
 * one black frame, or a moment of silence, since muxers make files that cannot be read of an empty stream.
 *
 * One input may be ahead of the other by as much as it takes for the other to come: slides with a long
 * speech, tracks that begin late. `max-size-bytes` limits that; a WARNING message says when it is
 * reached. An output that is not linked takes nothing, and stops nothing.
 *
 * Who has room for one filter with one output, as #playbin has with `video-filter`, asks for a pad `src`:
 * the video leaves by it instead of `video_src`. Without audio it passes through unchanged, with a warning.
 *
 * All properties of #lipsync are here too.
 *
 * ## Example pipelines
 *
 * File to file:
 *
 * |[
 * gst-launch-1.0 filesrc location=in.mp4 ! decodebin name=d ! videoconvert \
 *     ! videoflip video-direction=auto ! l.video_sink d. ! l.audio_sink \
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
use std::sync::{
    Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use gst::{glib, prelude::*, subclass::prelude::*};

use crate::{
    lipsync::{Lipsync, mapped_frame, properties},
    lipsyncbin::{
        filter_pad::{self, FilterPad},
        interleave::{self, Input, Interleave},
        parts::{self, Gate, Listening, Parts},
        placeholder,
    },
};

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "lipsyncbin",
        gst::DebugColorFlags::empty(),
        Some("lipsync with converters and queues"),
    )
});

pub struct LipsyncBin {
    lipsync: Lipsync,
    video_sink: gst::GhostPad,
    audio_sink: gst::GhostPad,
    video_src: gst::GhostPad,
    audio_src: gst::GhostPad,
    /// There while somebody has asked for it.
    filter_pad: Mutex<Option<FilterPad>>,
    /// `Err` with what is missing.
    parts: OnceLock<Result<Parts, glib::BoolError>>,
    /// There while sound goes to `lipsync`.
    listening: Mutex<Option<Listening>>,
    interleave: OnceLock<Arc<Interleave>>,
    /// There while one input has begun and the other may still be linked.
    gate: Mutex<Option<Gate>>,
    /// An output has ended since nobody linked its input, and a warning has said so.
    has_ended_one: AtomicBool,
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
            filter_pad: Mutex::default(),
            parts: OnceLock::new(),
            listening: Mutex::default(),
            interleave: OnceLock::new(),
            gate: Mutex::default(),
            has_ended_one: AtomicBool::default(),
        }
    }
}

/// The bin's own property, besides those of `lipsync`.
const MAX_SIZE_BYTES: &str = "max-size-bytes";

impl ObjectImpl for LipsyncBin {
    fn properties() -> &'static [glib::ParamSpec] {
        static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let own = glib::ParamSpecUInt::builder(MAX_SIZE_BYTES)
                .nick("Size at most")
                .blurb(
                    "Bytes of raw frames, or of audio, that wait in the bin at most while the other input has \
                     nothing; a warning says when that is too little; 0 = no limit",
                )
                .default_value(interleave::BYTES)
                .mutable_playing()
                .build();
            let of_lipsync = properties::proxy_param_specs().iter().cloned();
            of_lipsync.chain([own]).collect()
        });
        &SPECS
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        match (pspec.name(), self.parts.get()) {
            (MAX_SIZE_BYTES, Some(Ok(parts))) => {
                (parts.multiqueue).set_property_from_value(MAX_SIZE_BYTES, value);
            }
            (MAX_SIZE_BYTES, _) => (),
            (name, _) => self.lipsync.set_property_from_value(name, value),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match (pspec.name(), self.parts.get()) {
            (MAX_SIZE_BYTES, Some(Ok(parts))) => parts.multiqueue.property_value(MAX_SIZE_BYTES),
            (MAX_SIZE_BYTES, _) => pspec.default_value().clone(),
            (name, _) => self.lipsync.property_value(name),
        }
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
        let parts = Parts::build(obj.upcast_ref(), &self.lipsync).and_then(|parts| {
            self.video_sink.set_target(Some(&parts.video_in))?;
            self.audio_sink.set_target(Some(&parts.audio_in))?;
            self.video_src.set_target(Some(&parts.video_out))?;
            self.audio_src.set_target(Some(&parts.audio_out))?;
            parts::drop_where_unlinked(&parts.video_out);
            parts::drop_where_unlinked(&parts.audio_out);
            Ok(parts)
        });
        let built = parts.is_ok();
        let _ = self.parts.set(parts);
        if built {
            self.proxy_controls();
            self.watch_interleave();
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
                "Audio and video in, both out, with mouths redrawn to match the speech",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let mut video = gst::Caps::new_empty_simple("video/x-raw");
            video.merge(mapped_frame::as_single_fields(&video));
            let audio = gst::Caps::new_empty_simple("audio/x-raw");
            let template = |name, direction, presence, caps| {
                gst::PadTemplate::new(name, direction, presence, caps)
                    .expect("the arguments are valid")
            };
            let [sink, src] = [gst::PadDirection::Sink, gst::PadDirection::Src];
            let [always, request] = [gst::PadPresence::Always, gst::PadPresence::Request];
            vec![
                template("video_sink", sink, always, &video),
                template("audio_sink", sink, always, &audio),
                template("video_src", src, always, &video),
                template("audio_src", src, always, &audio),
                template(filter_pad::NAME, src, request, &video),
            ]
        });
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        _name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let parts = self.parts.get()?.as_ref().ok()?;
        if lock(&self.filter_pad).is_some() {
            return None;
        }
        let filter_pad = FilterPad::new(template, &self.video_src, &parts.video_out);
        let pad = filter_pad.pad().clone();
        // Before it is added: whoever hears of that may ask for another.
        *lock(&self.filter_pad) = Some(filter_pad.clone());
        match filter_pad.add(self.obj().upcast_ref()) {
            Ok(()) => Some(pad),
            Err(err) => {
                gst::warning!(CAT, imp = self, "{err}");
                lock(&self.filter_pad).take_if(|own| own.pad() == &pad);
                None
            }
        }
    }

    fn release_pad(&self, pad: &gst::Pad) {
        let released = lock(&self.filter_pad).take_if(|own| own.pad() == pad);
        if let Some(Err(err)) = released.map(|own| own.remove(self.obj().upcast_ref())) {
            gst::warning!(CAT, imp = self, "{err}");
        }
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
                ("{err}; expected GStreamer's base plugins to be installed")
            );
            return Err(gst::StateChangeError);
        }
        if transition == gst::StateChange::NullToReady
            && let Err(err) = self.listen()
        {
            self.post_deaf(&err);
            return Err(gst::StateChangeError);
        }
        if transition == gst::StateChange::PausedToReady {
            self.open_gate();
            self.has_ended_one.store(false, Ordering::Release);
        }
        let success = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady
            && let Some(interleave) = self.interleave.get()
        {
            interleave.reset();
        }
        Ok(success)
    }
}

impl BinImpl for LipsyncBin {
    /// `lipsync` warns of a pad that it has not. Of the bin it is an input that is not linked.
    fn handle_message(&self, message: gst::Message) {
        let is_deaf = matches!(message.view(), gst::MessageView::Warning(warning)
            if warning.error().matches(gst::CoreError::Pad));
        if !(is_deaf && message.src() == Some(self.lipsync.upcast_ref())) {
            return self.parent_handle_message(message);
        }
        if !self.has_ended_one.load(Ordering::Acquire) {
            gst::element_imp_warning!(
                self,
                gst::CoreError::Pad,
                (
                    "nothing is linked to `{}`, so frames pass through unchanged; expected the audio that \
                     belongs to them",
                    self.audio_sink.name()
                )
            );
        }
    }
}

impl LipsyncBin {
    /// A property of the bin that is under control moves `lipsync`'s.
    fn proxy_controls(&self) {
        let controllable = properties::proxy_param_specs()
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
                    this.linked();
                }
            });
            let weak = self.downgrade();
            pad.connect_unlinked(move |_, _| {
                if let Some(this) = weak.upgrade() {
                    this.stop_listening();
                }
            });
            let weak = self.downgrade();
            pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
                if let Some(this) = weak.upgrade()
                    && let Some(event) = info.event()
                    && event.type_() == gst::EventType::Segment
                {
                    // Both may be linked a moment before either signal says so.
                    this.linked();
                    this.await_other();
                }
                gst::PadProbeReturn::Ok
            });
        }
    }

    /// What fails now fails again, and for good, where the bin has yet to leave NULL.
    fn linked(&self) {
        match self.listen() {
            Ok(()) => (),
            Err(err) if self.obj().current_state() == gst::State::Null => {
                gst::warning!(CAT, imp = self, "{err}");
            }
            Err(err) => self.post_deaf(&err),
        }
    }

    /// Begins to listen where both inputs are linked.
    fn listen(&self) -> Result<(), glib::BoolError> {
        let Some(Ok(parts)) = self.parts.get() else {
            return Ok(());
        };
        if !self.video_sink.is_linked() || !self.audio_sink.is_linked() {
            return Ok(());
        }
        {
            let mut listening = lock(&self.listening);
            if listening.is_some() {
                return Ok(());
            }
            *listening = Some(Listening::start(parts, &self.lipsync)?);
        }
        if !self.video_sink.is_linked() || !self.audio_sink.is_linked() {
            // Whoever unlinked it meanwhile found nothing to stop.
            self.stop_listening();
            return Ok(());
        }
        self.has_ended_one.store(false, Ordering::Release);
        gst::info!(CAT, imp = self, "Both inputs are linked: lipsync hears");
        self.open_gate();
        Ok(())
    }

    fn post_deaf(&self, err: &glib::BoolError) {
        gst::element_imp_error!(
            self,
            gst::CoreError::Pad,
            ("the audio cannot be led to lipsync: {err}")
        );
    }

    fn watch_interleave(&self) {
        let Some(Ok(parts)) = self.parts.get() else {
            return;
        };
        let weak = self.downgrade();
        let interleave = Interleave::watch(parts, &self.lipsync, move |ahead| {
            if let Some(this) = weak.upgrade() {
                this.warn_of_full(ahead);
            }
        });
        let _ = self.interleave.set(interleave);
    }

    /// Nothing moves any more unless what is missing comes from elsewhere.
    fn warn_of_full(&self, ahead: Input) {
        let (full, empty) = match ahead {
            Input::Video => (&self.video_sink, &self.audio_sink),
            Input::Audio => (&self.audio_sink, &self.video_sink),
        };
        let limit = self.obj().property::<u32>(MAX_SIZE_BYTES);
        gst::element_imp_warning!(
            self,
            gst::CoreError::Failed,
            (
                "`{}` holds {MAX_SIZE_BYTES}={limit} bytes and takes no more, but nothing comes to `{}` that belongs \
                 to them: if both come from one demuxer, the pipeline stands still; set {MAX_SIZE_BYTES} higher",
                full.name(),
                empty.name()
            )
        );
    }

    fn stop_listening(&self) {
        let listening = lock(&self.listening).take();
        if listening.is_some() {
            gst::info!(
                CAT,
                imp = self,
                "An input was unlinked: lipsync hears no more"
            );
        }
        if let (Some(listening), Some(Ok(parts))) = (listening, self.parts.get())
            && let Err(err) = listening.stop(parts, &self.lipsync)
        {
            gst::warning!(CAT, imp = self, "{err}");
        }
    }

    /// One input has begun. Where the other has an output that is linked, it is to come as well:
    /// demuxers link it a little later, and until then nothing may go past.
    fn await_other(&self) {
        let Some(Ok(parts)) = self.parts.get() else {
            return;
        };
        let mut gate = lock(&self.gate);
        let has_ended = self.has_ended_one.load(Ordering::Acquire);
        if gate.is_some() || has_ended || self.missing(parts).next().is_none() {
            return;
        }
        gst::debug!(
            CAT,
            imp = self,
            "Holds back what has come until the other input is linked"
        );
        let weak = self.downgrade();
        match Gate::close(parts, move || {
            // The clock's thread serves others as well.
            if let Some(this) = weak.upgrade() {
                this.obj().call_async(|bin| bin.imp().end_missing());
            }
        }) {
            Ok(closed) => *gate = Some(closed),
            Err(err) => gst::warning!(CAT, imp = self, "{err}"),
        }
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

    /// Nobody has linked the other input: its output gets a placeholder and ends, so that a muxer does not wait
    /// for it, and makes a file that can be read.
    fn end_missing(&self) {
        let Some(Ok(parts)) = self.parts.get() else {
            return;
        };
        // The input has come meanwhile, or the bin has been stopped.
        if lock(&self.gate).is_none() {
            return;
        }
        for (input, inner, output) in self.missing(parts) {
            self.has_ended_one.store(true, Ordering::Release);
            let (placeholder, data) = match input == &self.video_sink {
                true => ("one black frame", placeholder::black_frame(inner)),
                false => ("a moment of silence", placeholder::silence(inner)),
            };
            gst::element_imp_warning!(
                self,
                gst::CoreError::Pad,
                (
                    "nothing is linked to `{}`, so `{}` carries {placeholder} and ends, and no mouth is redrawn; \
                     expected both audio and video in the input",
                    input.name(),
                    output.name()
                )
            );
            let stream_id = format!("{}/{}", self.obj().name(), input.name());
            inner.send_event(gst::event::StreamStart::new(&stream_id));
            let sent = data.and_then(|(caps, buffer)| {
                inner.send_event(gst::event::Caps::new(&caps));
                let segment = gst::FormattedSegment::<gst::ClockTime>::new();
                inner.send_event(gst::event::Segment::new(&segment));
                let flow = inner.chain(buffer);
                flow.map_err(|flow| glib::bool_error!("its placeholder: {flow}"))
            });
            if let Err(err) = sent {
                gst::warning!(
                    CAT,
                    imp = self,
                    "`{}` ends without data: {err}",
                    output.name()
                );
            }
            inner.send_event(gst::event::Eos::new());
        }
        self.open_gate();
    }

    fn open_gate(&self) {
        let gate = lock(&self.gate).take();
        if let Some(gate) = gate {
            gate.open();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
