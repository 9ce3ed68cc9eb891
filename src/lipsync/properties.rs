//! Every property of the element in one table: name, description, range, default, when it may
//! change, and where its value is kept.
//!
//! Must not know what a value is for.

use std::sync::LazyLock;

use gst::{glib, prelude::*};

use crate::lipsync::settings::Settings;

/// Of frames of 1080p in I420 these are 200 MB.
const BATCH_SIZE_MAX: u32 = 64;

pub struct Property {
    spec: glib::ParamSpec,
    pub access: Access,
}

pub enum Access {
    Setting {
        get: fn(&Settings) -> glib::Value,
        /// Fails with what is expected instead.
        set: fn(&mut Settings, &glib::Value) -> Result<(), &'static str>,
    },
    /// Computed by the element.
    Reported,
}

/// Read and write access to one field of [`Settings`]. GObject has checked the value's type.
macro_rules! setting {
    ($($field:ident).+) => {
        Access::Setting {
            get: |settings| settings.$($field).+.to_value(),
            set: |settings, value| {
                if let Ok(value) = value.get() {
                    settings.$($field).+ = value;
                }
                Ok(())
            },
        }
    };
}

/// The same of a field that is shown as text.
macro_rules! text_setting {
    ($field:ident, $expected:literal) => {
        Access::Setting {
            get: |settings| settings.$field.to_string().to_value(),
            set: |settings, value| {
                let text = value.get::<Option<&str>>().ok().flatten();
                settings.$field = text.unwrap_or_default().parse().map_err(|_| $expected)?;
                Ok(())
            },
        }
    };
}

pub fn find(name: &str) -> Option<&'static Property> {
    TABLE.iter().find(|property| property.spec.name() == name)
}

/// The parameter specifications, in the order of the table.
pub fn param_specs() -> &'static [glib::ParamSpec] {
    static SPECS: LazyLock<Vec<glib::ParamSpec>> =
        LazyLock::new(|| TABLE.iter().map(|property| property.spec.clone()).collect());
    &SPECS
}

/// The same once more, for a class that passes them on: GObject lets a specification belong to one
/// class only.
pub fn proxy_param_specs() -> &'static [glib::ParamSpec] {
    static SPECS: LazyLock<Vec<glib::ParamSpec>> =
        LazyLock::new(|| table().into_iter().map(|property| property.spec).collect());
    &SPECS
}

impl Settings {
    /// The value of the property, or `None` where it is not a setting.
    pub fn get(&self, name: &str) -> Option<glib::Value> {
        match find(name)?.access {
            Access::Setting { get, .. } => Some(get(self)),
            Access::Reported => None,
        }
    }

    /// Sets the property; one that is not a setting is left alone.
    ///
    /// # Errors
    /// What is expected instead of this value. The one before stays.
    pub fn set(&mut self, name: &str, value: &glib::Value) -> Result<(), &'static str> {
        match find(name).map(|property| &property.access) {
            Some(Access::Setting { set, .. }) => set(self, value),
            _ => Ok(()),
        }
    }
}

static TABLE: LazyLock<Vec<Property>> = LazyLock::new(table);

fn table() -> Vec<Property> {
    let default = Settings::default();
    let table = [
        // Model and runtime.
        (
            glib::ParamSpecString::builder("model")
                .nick("Model")
                .blurb(
                    "What draws the mouths: a manifest (.toml), a folder that holds one, or an \
                     .onnx file, of Wav2Lip, SyncTalk_2D, Ultralight-Digital-Human, EDTalk, MuseTalk or \
                     DINet; empty = the built-in model. Set while frames flow it takes over \
                     between two of them, once it is loaded, and set again it takes up files that \
                     have changed; if it cannot be loaded, there is a \
                     warning and this says again what runs",
                )
                .mutable_playing()
                .build(),
            setting!(setup.model),
        ),
        (
            glib::ParamSpecEnum::builder_with_default(
                "execution-provider",
                default.setup.execution_provider,
            )
            .nick("Execution provider")
            .blurb(
                "What runs the networks. A provider that is named here runs or the element \
                 fails; only auto may fall back, with a warning",
            )
            .mutable_playing()
            .build(),
            setting!(setup.execution_provider),
        ),
        (
            glib::ParamSpecString::builder("active-execution-provider")
                .nick("Active execution provider")
                .blurb("What does run the networks; null before READY")
                .read_only()
                .build(),
            Access::Reported,
        ),
        (
            glib::ParamSpecUInt::builder("device-id")
                .nick("Device")
                .blurb("Which of several NVIDIA GPUs runs the networks")
                .default_value(default.setup.device_id)
                .mutable_playing()
                .build(),
            setting!(setup.device_id),
        ),
        (
            glib::ParamSpecBoxed::builder::<gst::Structure>("provider-options")
                .nick("Provider options")
                .blurb(
                    "Options of ONNX Runtime's execution provider after whom the structure is \
                     named, such as openvino,device_type=GPU; or of the server: remote with any of \
                     model, model-version, ca, cert, key, token-file, token-header, shared-memory, \
                     batching",
                )
                .mutable_playing()
                .build(),
            setting!(setup.provider_options),
        ),
        (
            glib::ParamSpecBoolean::builder("allow-custom-ops")
                .nick("Allow custom operators")
                .blurb(
                    "Whether provider-options may name libraries and operators of your own, whose \
                     code then runs in this process",
                )
                .default_value(default.setup.allow_custom_ops)
                .mutable_playing()
                .build(),
            setting!(setup.allow_custom_ops),
        ),
        (
            glib::ParamSpecEnum::builder_with_default("precision", default.setup.precision)
                .nick("Precision")
                .blurb("What the networks that draw compute with; auto never loses precision")
                .mutable_playing()
                .build(),
            setting!(setup.precision),
        ),
        (
            glib::ParamSpecString::builder("cache-dir")
                .nick("Cache folder")
                .blurb(
                    "Where TensorRT's engines and what OpenVINO compiles for a GPU are kept for \
                     the next start; only you should be able to write there; empty = nowhere",
                )
                .mutable_playing()
                .build(),
            setting!(setup.cache_dir),
        ),
        (
            glib::ParamSpecUInt::builder("intra-threads")
                .nick("Threads")
                .blurb(
                    "Threads that work on one network at once; 0 = all physical cores, one for the \
                     built-in model's small networks",
                )
                .maximum(1024)
                .default_value(default.setup.intra_threads)
                .mutable_playing()
                .build(),
            setting!(setup.intra_threads),
        ),
        (
            glib::ParamSpecUInt::builder("batch-size")
                .nick("Batch size")
                .blurb(
                    "Frames that are collected, drawn at once and sent one after the other. For \
                     files: each waits for the last of its batch, which the reported latency \
                     says. A network whose first dimension is fixed draws as many as that says",
                )
                .minimum(1)
                .maximum(BATCH_SIZE_MAX)
                .default_value(default.setup.batch_size)
                .mutable_playing()
                .build(),
            setting!(setup.batch_size),
        ),
        (
            glib::ParamSpecString::builder("onnxruntime-library")
                .nick("ONNX Runtime library")
                .blurb(
                    "Path of libonnxruntime; empty = ORT_DYLIB_PATH, beside the plugin, \
                     .setup above it, then the system's",
                )
                .mutable_ready()
                .build(),
            setting!(setup.onnxruntime_library),
        ),
        (
            glib::ParamSpecString::builder("server")
                .nick("Server")
                .blurb(
                    "With execution-provider=remote: what runs the networks that draw, \
                     grpc://HOST:PORT or, with TLS, grpcs://HOST:PORT; of several, with commas \
                     between them, the one with the fewest calls under way",
                )
                .mutable_playing()
                .build(),
            setting!(setup.server),
        ),
        (
            glib::ParamSpecUInt64::builder("remote-timeout")
                .nick("Remote timeout")
                .blurb(
                    "Nanoseconds (1000000000 is 1 s) that a call may take before its server counts \
                     as unreachable. What is only late for its frame is a matter of late-policy",
                )
                .minimum(REMOTE_TIMEOUT_MIN_NS)
                .maximum(REMOTE_TIMEOUT_MAX_NS)
                .default_value(default.setup.remote_timeout)
                .mutable_playing()
                .build(),
            setting!(setup.remote_timeout),
        ),
        (
            glib::ParamSpecEnum::builder_with_default(
                "on-unreachable",
                default.setup.on_unreachable,
            )
            .nick("On unreachable")
            .blurb("What becomes of frames while no server can draw them")
            .mutable_playing()
            .build(),
            setting!(setup.on_unreachable),
        ),
        // Faces.
        (
            glib::ParamSpecUInt::builder("max-faces")
                .nick("Faces at most")
                .blurb("How many mouths are redrawn at once")
                .minimum(1)
                .maximum(16)
                .default_value(default.max_faces)
                .mutable_ready()
                .build(),
            setting!(max_faces),
        ),
        (
            glib::ParamSpecEnum::builder_with_default("face-select", default.face_select)
                .nick("Face selection")
                .blurb(
                    "Whose mouth is redrawn where there are more faces than max-faces; speaking and point \
                     follow up to eight faces, to see whose own mouth moves or is pointed at",
                )
                .mutable_ready()
                .build(),
            setting!(face_select),
        ),
        (
            glib::ParamSpecDouble::builder("face-x")
                .nick("Face across")
                .blurb(
                    "With face-select=point: where the face is, from 0 = the left edge to 1 = the right one. The faces \
                     nearest to face-x, face-y are chosen when these change, and stay chosen wherever they go; -1 = nowhere: \
                     the largest",
                )
                .minimum(-1.0)
                .maximum(1.0)
                .default_value(default.face_x)
                .mutable_playing()
                .build(),
            setting!(face_x),
        ),
        (
            glib::ParamSpecDouble::builder("face-y")
                .nick("Face down")
                .blurb("The same from 0 = the upper edge to 1 = the lower one")
                .minimum(-1.0)
                .maximum(1.0)
                .default_value(default.face_y)
                .mutable_playing()
                .build(),
            setting!(face_y),
        ),
        (
            glib::ParamSpecUInt::builder("detect-interval")
                .nick("Detection interval")
                .blurb("Frames between two runs of the face detector while faces are tracked")
                .minimum(1)
                .default_value(default.detect_interval)
                .mutable_ready()
                .build(),
            setting!(detect_interval),
        ),
        (
            glib::ParamSpecDouble::builder("min-confidence")
                .nick("Least confidence")
                .blurb("A face is taken for one from this confidence on")
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.min_confidence)
                .mutable_ready()
                .build(),
            setting!(min_confidence),
        ),
        (
            glib::ParamSpecDouble::builder("smoothing")
                .nick("Smoothing")
                .blurb("How much the tracked face is steadied: 0 = not at all, 1 = most")
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.smoothing)
                .mutable_ready()
                .build(),
            setting!(smoothing),
        ),
        (
            glib::ParamSpecBoolean::builder("roi-meta")
                .nick("Regions of interest")
                .blurb(
                    "Faces that upstream marked with region-of-interest metas of type \"face\" \
                     replace detection",
                )
                .default_value(default.roi_meta)
                .mutable_playing()
                .build(),
            setting!(roi_meta),
        ),
        // Look.
        (
            glib::ParamSpecDouble::builder("strength")
                .nick("Strength")
                .blurb("0 = the original mouth, 1 = as the model draws it, 2 = exaggerated")
                .minimum(0.0)
                .maximum(2.0)
                .default_value(default.strength)
                .mutable_playing()
                .controllable()
                .build(),
            setting!(strength),
        ),
        (
            glib::ParamSpecBoolean::builder("bypass")
                .nick("Bypass")
                .blurb("Frames go through untouched, with the same latency")
                .default_value(default.bypass)
                .mutable_playing()
                .controllable()
                .build(),
            setting!(bypass),
        ),
        (
            glib::ParamSpecUInt64::builder("fade-time")
                .nick("Fade time")
                .blurb(
                    "Nanoseconds (200000000 is 200 ms) in which strength moves by 1 when it or bypass changes; slower \
                     changes are followed exactly; 0 = at once",
                )
                .maximum(FADE_TIME_MAX_NS)
                .default_value(default.fade_time)
                .mutable_playing()
                .build(),
            setting!(fade_time),
        ),
        (
            glib::ParamSpecDouble::builder("feather")
                .nick("Feather")
                .blurb(
                    "Width of the soft edge around the mouth: 0 = hard, 1 = the widest that fits",
                )
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.feather)
                .mutable_playing()
                .controllable()
                .build(),
            setting!(feather),
        ),
        (
            glib::ParamSpecEnum::builder_with_default("mouth-memory", default.mouth_memory)
                .nick("Mouth memory")
                .blurb(
                    "Where teeth and tongue of an opened mouth come from: live = from what the \
                     stream has shown of the person's own mouth, at the frame's resolution, and \
                     by rule until it has; clip = the same, but from the first frame on as \
                     mouth-memory-file has it; learn = for that: frames pass through unchanged, and \
                     at the end of the stream mouth-memory-file is written; off = by rule. For the \
                     built-in model",
                )
                .mutable_playing()
                .build(),
            setting!(mouth_memory),
        ),
        (
            glib::ParamSpecString::builder("mouth-memory-file")
                .nick("Mouth memory file")
                .blurb(
                    "What a first reading of a clip has shown of the mouths in it: written by \
                     mouth-memory=learn, read by mouth-memory=clip when the element goes to PAUSED",
                )
                .mutable_ready()
                .build(),
            setting!(mouth_memory_file),
        ),
        (
            glib::ParamSpecDouble::builder("articulation")
                .nick("Articulation")
                .blurb(
                    "How far the mouth opens: 0 = automatic: as far as the person's own mouth does \
                     when speaking in the stream, spreading or narrowing as it does; as the model \
                     draws it until the stream has shown that. Otherwise the factor on the model's \
                     opening: 1 = as the model draws it. For the built-in model",
                )
                .minimum(0.0)
                .maximum(3.0)
                .default_value(default.articulation)
                .mutable_playing()
                .controllable()
                .build(),
            setting!(articulation),
        ),
        // Time.
        (
            glib::ParamSpecInt64::builder("sync-offset")
                .nick("Sync offset")
                .blurb(
                    "Nanoseconds by which the mouth moves later than the audio: 40000000 is 40 ms later, \
                     -40000000 as much earlier",
                )
                .minimum(-SYNC_OFFSET_MAX_NS)
                .maximum(SYNC_OFFSET_MAX_NS)
                .default_value(default.sync_offset)
                .mutable_playing()
                .controllable()
                .build(),
            setting!(sync_offset),
        ),
        (
            glib::ParamSpecString::builder("audio-channel")
                .nick("Audio channel")
                .blurb(
                    "Which channel the mouth follows: auto (the front centre while it carries \
                     audio, else left and right, else the others; silent channels do not count, \
                     and opposite phase cancels nothing), mix (the mean of all but low-frequency \
                     effects), left, right, centre, or a channel's number, counted from 0",
                )
                .default_value(&*default.audio_channel.to_string())
                .mutable_playing()
                .build(),
            text_setting!(audio_channel, "auto, mix, left, right, centre or a number from 0"),
        ),
        (
            glib::ParamSpecUInt64::builder("processing-deadline")
                .nick("Processing deadline")
                .blurb("The part of the reported latency kept for work, in nanoseconds: 40000000 is 40 ms")
                .maximum(PROCESSING_DEADLINE_MAX_NS)
                .default_value(default.processing_deadline)
                .mutable_playing()
                .build(),
            setting!(processing_deadline),
        ),
        (
            glib::ParamSpecBoolean::builder("qos")
                .nick("Quality of service")
                .blurb(
                    "Frames that are late, by the clock of a live pipeline or by what downstream \
                     says, lose what takes time; without, each is drawn however late",
                )
                .default_value(default.qos)
                .mutable_playing()
                .build(),
            setting!(qos),
        ),
        (
            glib::ParamSpecEnum::builder_with_default("late-policy", default.late_policy)
                .nick("Late policy")
                .blurb("What a frame shows that the networks were too late for")
                .mutable_playing()
                .build(),
            setting!(late_policy),
        ),
        // Silence.
        (
            glib::ParamSpecEnum::builder_with_default("silence", default.silence)
                .nick("Silence")
                .blurb("What the mouth does when nobody speaks")
                .mutable_playing()
                .controllable()
                .build(),
            setting!(silence),
        ),
        (
            glib::ParamSpecDouble::builder("silence-threshold")
                .nick("Silence threshold")
                .blurb(
                    "Louder than this is speech, in dBFS; 0 = automatic: -50, or less where the \
                     voice is quiet and the noise under it allows that",
                )
                .minimum(-120.0)
                .maximum(0.0)
                .default_value(default.silence_threshold)
                .mutable_playing()
                .build(),
            setting!(silence_threshold),
        ),
        (
            glib::ParamSpecUInt64::builder("silence-hold")
                .nick("Silence hold")
                .blurb("Pauses shorter than this are not silence, in nanoseconds: 120000000 is 120 ms")
                .maximum(SILENCE_HOLD_MAX_NS)
                .default_value(default.silence_hold)
                .mutable_playing()
                .build(),
            setting!(silence_hold),
        ),
        // Faults.
        (
            glib::ParamSpecEnum::builder_with_default("on-error", default.on_error)
                .nick("On error")
                .blurb(
                    "What becomes of a frame on which a network fails; a model or library that \
                     cannot be loaded is always an error",
                )
                .mutable_playing()
                .build(),
            setting!(on_error),
        ),
        // Observability.
        (
            glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                .nick("Statistics")
                .blurb("Frames, faces and audio since the stream began, and times in microseconds")
                .read_only()
                .build(),
            Access::Reported,
        ),
        (
            glib::ParamSpecUInt64::builder("stats-interval")
                .nick("Statistics interval")
                .blurb(
                    "Nanoseconds between two element messages \"lipsync-stats\" with what stats \
                     shows: 1000000000 is one each second; 0 = none",
                )
                .default_value(default.stats_interval)
                .mutable_playing()
                .build(),
            setting!(stats_interval),
        ),
        (
            glib::ParamSpecBoolean::builder("attach-meta")
                .nick("Attach metas")
                .blurb(
                    "Marks each face on its frame with a region-of-interest meta of type \"lipsync-face\": \
                     confidence, openness of the mouth as it came in, and whether it is drawn, which with \
                     face-select=point not all have to be. Frames that pass through unchanged have none",
                )
                .default_value(default.attach_meta)
                .mutable_playing()
                .build(),
            setting!(attach_meta),
        ),
        (
            glib::ParamSpecBoolean::builder("tag-altered")
                .nick("Tag altered")
                .blurb(
                    "Says with a tag, a comment that muxers write into the file, that the video is altered; from \
                     the first frame on that is",
                )
                .default_value(default.tag_altered)
                .mutable_ready()
                .build(),
            setting!(tag_altered),
        ),
        (
            glib::ParamSpecBoolean::builder("draw-debug")
                .nick("Draw debug")
                .blurb(
                    "Draws face box, mesh, mouth mask, audio level and time spent into the frame",
                )
                .default_value(default.draw_debug)
                .mutable_playing()
                .controllable()
                .build(),
            setting!(draw_debug),
        ),
    ];
    table
        .into_iter()
        .map(|(spec, access)| Property { spec, access })
        .collect()
}

/// Nobody hears sound 10 s off as belonging to the picture.
const SYNC_OFFSET_MAX_NS: i64 = 10_000_000_000;
const PROCESSING_DEADLINE_MAX_NS: u64 = 10_000_000_000;
const REMOTE_TIMEOUT_MIN_NS: u64 = 10_000_000;
const REMOTE_TIMEOUT_MAX_NS: u64 = 600_000_000_000;
const FADE_TIME_MAX_NS: u64 = 10_000_000_000;
const SILENCE_HOLD_MAX_NS: u64 = 10_000_000_000;
