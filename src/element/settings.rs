//! Every property of the element in one table: name, description, range, default, when it may
//! change, and where its value is kept.
//!
//! Must not know pads or streams.

use std::{path::PathBuf, sync::LazyLock};

use gst::{glib, prelude::*};

use super::lipsync::{ExecutionProvider, FaceSelect, OnError, Precision, Silence};
use crate::{engine, face, generator, runtime};

/// Values of all properties that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    pub setup: Setup,
    max_faces: u32,
    face_select: FaceSelect,
    detect_interval: u32,
    min_confidence: f64,
    smoothing: f64,
    strength: f64,
    bypass: bool,
    feather: f64,
    sync_offset: i64,
    processing_deadline: u64,
    silence: Silence,
    silence_threshold: f64,
    silence_hold: u64,
    pub on_error: OnError,
    draw_debug: bool,
}

/// What the engine is built from; a change takes effect when the element next leaves READY.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup {
    model: Option<String>,
    execution_provider: ExecutionProvider,
    device_id: u32,
    provider_options: Option<gst::Structure>,
    precision: Precision,
    cache_dir: Option<String>,
    intra_threads: u32,
    onnxruntime_library: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            setup: Setup::default(),
            max_faces: 1,
            face_select: FaceSelect::default(),
            detect_interval: 12,
            min_confidence: 0.5,
            smoothing: 0.5,
            strength: 1.0,
            bypass: false,
            feather: 0.5,
            sync_offset: 0,
            processing_deadline: gst::ClockTime::from_mseconds(40).nseconds(),
            silence: Silence::default(),
            silence_threshold: -50.0,
            silence_hold: gst::ClockTime::from_mseconds(120).nseconds(),
            on_error: OnError::default(),
            draw_debug: false,
        }
    }
}

impl Settings {
    /// What may change from frame to frame.
    pub fn controls(&self) -> engine::Controls {
        engine::Controls {
            strength: self.strength as f32,
            feather: self.feather as f32,
            bypass: self.bypass,
            sync_offset_ns: self.sync_offset,
            silence: self.silence.into(),
            silence_threshold_db: self.silence_threshold as f32,
            silence_hold_ns: i64::try_from(self.silence_hold).unwrap_or(i64::MAX),
            draw_debug: self.draw_debug,
        }
    }

    pub fn tracking(&self) -> face::Settings {
        face::Settings {
            max_faces: self.max_faces as usize,
            select: self.face_select.into(),
            detect_interval: self.detect_interval,
            min_confidence: self.min_confidence as f32,
            smoothing: self.smoothing as f32,
        }
    }

    pub fn engine_config(&self) -> engine::Config {
        let setup = &self.setup;
        engine::Config {
            generator: match named(&setup.model) {
                Some(path) => generator::Source::Path(path),
                None => generator::Source::BuiltIn,
            },
            runtime: runtime::Options {
                provider: setup.execution_provider.into(),
                device_id: setup.device_id,
                intra_threads: setup.intra_threads as usize,
                library: named(&setup.onnxruntime_library),
                precision: setup.precision.into(),
                cache_dir: named(&setup.cache_dir),
                provider_options: setup.provider_options.as_deref().map(provider_options),
            },
            tracking: self.tracking(),
        }
    }

    /// How much of the reported latency is kept for work.
    pub fn processing_deadline(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.processing_deadline)
    }

    /// Sound that is needed earlier because the mouth shall move earlier.
    pub fn extra_look_ahead_ns(&self) -> i64 {
        self.sync_offset.saturating_neg().max(0)
    }

    /// The value of the property, or `None` where it is not a setting.
    pub fn get(&self, name: &str) -> Option<glib::Value> {
        match find(name)?.access {
            Access::Setting { get, .. } => Some(get(self)),
            Access::Reported => None,
        }
    }

    /// Sets the property; one that is not a setting is left alone.
    pub fn set(&mut self, name: &str, value: &glib::Value) {
        if let Some(Property {
            access: Access::Setting { set, .. },
            ..
        }) = find(name)
        {
            set(self, value);
        }
    }
}

/// An empty string names nothing.
fn named(path: &Option<String>) -> Option<PathBuf> {
    path.as_deref()
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// The structure's name is the provider's, its fields are the options.
fn provider_options(structure: &gst::StructureRef) -> runtime::ProviderOptions {
    let text = |value: &glib::SendValue| match value.get::<String>() {
        Ok(text) => text,
        // `gst-launch-1.0` takes `num_streams=2` for a number.
        Err(_) => value.serialize().map(String::from).unwrap_or_default(),
    };
    runtime::ProviderOptions {
        provider: structure.name().to_string(),
        values: structure
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
    }
}

struct Property {
    spec: glib::ParamSpec,
    access: Access,
}

enum Access {
    Setting {
        get: fn(&Settings) -> glib::Value,
        set: fn(&mut Settings, &glib::Value),
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
            },
        }
    };
}

fn find(name: &str) -> Option<&'static Property> {
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
                     .onnx file; empty = the built-in model",
                )
                .mutable_ready()
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
            .mutable_ready()
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
                .blurb("Which of several NVIDIA cards runs the networks")
                .default_value(default.setup.device_id)
                .mutable_ready()
                .build(),
            setting!(setup.device_id),
        ),
        (
            glib::ParamSpecBoxed::builder::<gst::Structure>("provider-options")
                .nick("Provider options")
                .blurb(
                    "Options of ONNX Runtime's execution provider after whom the structure is \
                     named, such as openvino,device_type=GPU",
                )
                .mutable_ready()
                .build(),
            setting!(setup.provider_options),
        ),
        (
            glib::ParamSpecEnum::builder_with_default("precision", default.setup.precision)
                .nick("Precision")
                .blurb("What the networks that draw compute with; auto never loses precision")
                .mutable_ready()
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
                .mutable_ready()
                .build(),
            setting!(setup.cache_dir),
        ),
        (
            glib::ParamSpecUInt::builder("intra-threads")
                .nick("Threads")
                .blurb("Threads that work on one network at once; 0 = all physical cores")
                .maximum(1024)
                .default_value(default.setup.intra_threads)
                .mutable_ready()
                .build(),
            setting!(setup.intra_threads),
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
                .blurb("Whose mouth is redrawn where there are more faces than max-faces")
                .mutable_ready()
                .build(),
            setting!(face_select),
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
            glib::ParamSpecDouble::builder("feather")
                .nick("Feather")
                .blurb(
                    "Width of the soft edge around the mouth: 0 = hard, 1 = the widest that fits",
                )
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.feather)
                .mutable_playing()
                .build(),
            setting!(feather),
        ),
        // Time.
        (
            glib::ParamSpecInt64::builder("sync-offset")
                .nick("Sync offset")
                .blurb("Nanoseconds by which the mouth moves later than the sound")
                .minimum(-SYNC_OFFSET_MAX_NS)
                .maximum(SYNC_OFFSET_MAX_NS)
                .default_value(default.sync_offset)
                .mutable_playing()
                .build(),
            setting!(sync_offset),
        ),
        (
            glib::ParamSpecUInt64::builder("processing-deadline")
                .nick("Processing deadline")
                .blurb("The part of the reported latency kept for work, in nanoseconds")
                .maximum(PROCESSING_DEADLINE_MAX_NS)
                .default_value(default.processing_deadline)
                .mutable_playing()
                .build(),
            setting!(processing_deadline),
        ),
        // Silence.
        (
            glib::ParamSpecEnum::builder_with_default("silence", default.silence)
                .nick("Silence")
                .blurb("What the mouth does when nobody speaks")
                .mutable_playing()
                .build(),
            setting!(silence),
        ),
        (
            glib::ParamSpecDouble::builder("silence-threshold")
                .nick("Silence threshold")
                .blurb("Louder than this is speech, in dBFS")
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
                .blurb("Pauses shorter than this are not silence, in nanoseconds")
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
                .blurb("Frames, faces, sound and time spent since the stream began")
                .read_only()
                .build(),
            Access::Reported,
        ),
        (
            glib::ParamSpecBoolean::builder("draw-debug")
                .nick("Draw debug")
                .blurb(
                    "Draws face box, mesh, mouth mask, sound level and time spent into the picture",
                )
                .default_value(default.draw_debug)
                .mutable_playing()
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
const SILENCE_HOLD_MAX_NS: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_starts_at_the_default_that_its_specification_names() {
        gst::init().unwrap();
        let settings = Settings::default();
        let mut checked = 0;
        for spec in param_specs() {
            let Some(value) = settings.get(spec.name()) else {
                continue;
            };
            assert!(
                spec.value_type() == value.type_(),
                "{} has another type",
                spec.name()
            );
            assert_eq!(
                format!("{:?}", spec.default_value()),
                format!("{value:?}"),
                "{}",
                spec.name()
            );
            checked += 1;
        }
        assert_eq!(
            checked,
            param_specs().len() - 2,
            "all but the reported ones"
        );
    }

    #[test]
    fn a_value_that_was_set_is_read_back() {
        gst::init().unwrap();
        let mut settings = Settings::default();
        for (name, value) in [
            ("model", "a.toml".to_value()),
            ("strength", 0.25f64.to_value()),
            ("sync-offset", (-40_000_000i64).to_value()),
            ("silence", Silence::Original.to_value()),
            ("max-faces", 3u32.to_value()),
        ] {
            settings.set(name, &value);
            let read = settings.get(name).unwrap();
            assert_eq!(format!("{read:?}"), format!("{value:?}"), "{name}");
        }
        assert_eq!(settings.controls().sync_offset_ns, -40_000_000);
        assert_eq!(settings.extra_look_ahead_ns(), 40_000_000);
        assert_eq!(settings.tracking().max_faces, 3);
    }

    #[test]
    fn what_concerns_the_provider_reaches_the_runtime() {
        gst::init().unwrap();
        let mut settings = Settings::default();
        let options = gst::Structure::builder("openvino")
            .field("device_type", "GPU.1")
            .field("num_streams", 2i32)
            .field("enable_opencl_throttling", true)
            .build();
        settings.set("provider-options", &options.to_value());
        settings.set("precision", &Precision::Bf16.to_value());
        settings.set("cache-dir", &"/var/cache/lipsync".to_value());
        settings.set(
            "execution-provider",
            &ExecutionProvider::OpenVino.to_value(),
        );
        settings.set("device-id", &3u32.to_value());
        let runtime = settings.engine_config().runtime;
        assert_eq!(runtime.provider, runtime::Provider::OpenVino);
        assert_eq!(runtime.precision, runtime::Precision::Bf16);
        assert_eq!(runtime.cache_dir, Some("/var/cache/lipsync".into()));
        assert_eq!(runtime.device_id, 3);
        let given = runtime.provider_options.unwrap();
        assert_eq!(given.provider, "openvino");
        let pairs = [
            ("device_type", "GPU.1"),
            ("num_streams", "2"),
            ("enable_opencl_throttling", "true"),
        ];
        assert_eq!(
            given.values,
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn an_empty_model_is_the_built_in_one() {
        gst::init().unwrap();
        let mut settings = Settings::default();
        settings.set("model", &"".to_value());
        assert!(matches!(
            settings.engine_config().generator,
            generator::Source::BuiltIn
        ));
    }
}
