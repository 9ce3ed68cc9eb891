//! What the user has set, and what the other rooms make of it. `properties` lists them.
//!
//! Must not know pads or streams.

use std::{path::PathBuf, time::Duration};

use gst::{glib, prelude::*};

use crate::lipsync::{
    ExecutionProvider, FaceSelect, LatePolicy, MouthMemory, OnError, OnUnreachable, Precision,
    Silence,
    frame_queue::signed_ns,
    turn::{FrameSettings, Metas},
};
use lipsync_core::{assembly, catalogue, face, inference, render, sound::Channel};

/// Values of all properties that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    pub setup: Setup,
    pub max_faces: u32,
    pub face_select: FaceSelect,
    pub face_x: f64,
    pub face_y: f64,
    pub detect_interval: u32,
    pub min_confidence: f64,
    pub smoothing: f64,
    pub strength: f64,
    pub bypass: bool,
    pub fade_time: u64,
    pub feather: f64,
    pub mouth_memory: MouthMemory,
    pub mouth_memory_file: Option<String>,
    pub articulation: f64,
    pub sync_offset: i64,
    pub audio_channel: Channel,
    pub processing_deadline: u64,
    pub qos: bool,
    pub late_policy: LatePolicy,
    pub silence: Silence,
    pub silence_threshold: f64,
    pub silence_hold: u64,
    pub on_error: OnError,
    pub roi_meta: bool,
    pub attach_meta: bool,
    pub tag_altered: bool,
    pub stats_interval: u64,
    pub draw_debug: bool,
}

/// What the engine is built from. A change has another one built: from PAUSED on beside the one
/// that draws, otherwise when the element next leaves READY.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub model: Option<String>,
    pub execution_provider: ExecutionProvider,
    pub device_id: u32,
    pub provider_options: Option<gst::Structure>,
    pub allow_custom_ops: bool,
    pub precision: Precision,
    pub cache_dir: Option<String>,
    pub intra_threads: u32,
    pub batch_size: u32,
    pub onnxruntime_library: Option<String>,
    pub server: Option<String>,
    pub remote_timeout: u64,
    pub on_unreachable: OnUnreachable,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            model: None,
            execution_provider: ExecutionProvider::default(),
            device_id: 0,
            provider_options: None,
            allow_custom_ops: false,
            precision: Precision::default(),
            cache_dir: None,
            intra_threads: 0,
            batch_size: 1,
            onnxruntime_library: None,
            server: None,
            remote_timeout: gst::ClockTime::SECOND.nseconds(),
            on_unreachable: OnUnreachable::default(),
        }
    }
}

impl Setup {
    /// Each property with whether it is the same in both.
    fn parts(&self, other: &Self) -> [(&'static str, bool); 13] {
        [
            ("model", self.model == other.model),
            (
                "execution-provider",
                self.execution_provider == other.execution_provider,
            ),
            ("device-id", self.device_id == other.device_id),
            (
                "provider-options",
                self.provider_options == other.provider_options,
            ),
            (
                "allow-custom-ops",
                self.allow_custom_ops == other.allow_custom_ops,
            ),
            ("precision", self.precision == other.precision),
            ("cache-dir", self.cache_dir == other.cache_dir),
            ("intra-threads", self.intra_threads == other.intra_threads),
            ("batch-size", self.batch_size == other.batch_size),
            (
                "onnxruntime-library",
                self.onnxruntime_library == other.onnxruntime_library,
            ),
            ("server", self.server == other.server),
            (
                "remote-timeout",
                self.remote_timeout == other.remote_timeout,
            ),
            (
                "on-unreachable",
                self.on_unreachable == other.on_unreachable,
            ),
        ]
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            setup: Setup::default(),
            max_faces: 1,
            face_select: FaceSelect::default(),
            face_x: -1.0,
            face_y: -1.0,
            detect_interval: 12,
            min_confidence: 0.5,
            smoothing: 0.5,
            strength: 1.0,
            bypass: false,
            fade_time: gst::ClockTime::from_mseconds(200).nseconds(),
            feather: 0.5,
            mouth_memory: MouthMemory::default(),
            mouth_memory_file: None,
            articulation: 0.0,
            sync_offset: 0,
            audio_channel: Channel::default(),
            processing_deadline: gst::ClockTime::from_mseconds(40).nseconds(),
            qos: true,
            late_policy: LatePolicy::default(),
            silence: Silence::default(),
            silence_threshold: 0.0,
            silence_hold: gst::ClockTime::from_mseconds(120).nseconds(),
            on_error: OnError::default(),
            roi_meta: true,
            attach_meta: false,
            tag_altered: true,
            stats_interval: 0,
            draw_debug: false,
        }
    }
}

impl Settings {
    /// Where the set-up is still the one that failed, `setup` takes its place again. The names of
    /// the properties that have changed.
    pub fn put_back(&mut self, failed: &Setup, setup: Setup) -> Vec<&'static str> {
        if self.setup != *failed {
            return Vec::new();
        }
        self.setup = setup;
        let parts = self.setup.parts(failed);
        let changed = parts.into_iter().filter(|(_, is_same)| !is_same);
        changed.map(|(name, _)| name).collect()
    }

    /// What may change from frame to frame.
    pub fn controls(&self) -> render::Controls {
        render::Controls {
            strength: self.strength as f32,
            feather: self.feather as f32,
            bypass: self.bypass,
            sync_offset_ns: self.sync_offset,
            silence: self.silence.into(),
            silence_threshold_db: Some(self.silence_threshold as f32).filter(|db| *db < 0.0),
            silence_hold_ns: i64::try_from(self.silence_hold).unwrap_or(i64::MAX),
            mouth_memory: matches!(self.mouth_memory, MouthMemory::Live | MouthMemory::Clip),
            learns_mouths: self.mouth_memory == MouthMemory::Learn,
            articulation: Some(self.articulation as f32).filter(|factor| *factor > 0.0),
            late: self.late_policy.into(),
            outlook: face::Outlook::default(),
            point: Some([self.face_x, self.face_y])
                .filter(|point| point.iter().all(|share| *share >= 0.0))
                .map(|point| point.map(|share| share as f32)),
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

    pub fn engine_config(&self) -> assembly::Config {
        let setup = &self.setup;
        assembly::Config {
            generator: match named(&setup.model) {
                Some(path) => catalogue::Source::Path(path),
                None => catalogue::Source::BuiltIn,
            },
            runtime: inference::Options {
                provider: setup.execution_provider.into(),
                device_id: setup.device_id,
                intra_threads: setup.intra_threads as usize,
                batch: setup.batch_size as usize,
                library: named(&setup.onnxruntime_library),
                precision: setup.precision.into(),
                cache_dir: named(&setup.cache_dir),
                provider_options: setup.provider_options.as_deref().map(provider_options),
                allow_custom_ops: setup.allow_custom_ops,
                server: inference::Server {
                    addresses: setup.server.clone().unwrap_or_default(),
                    timeout: Duration::from_nanos(setup.remote_timeout),
                    on_unreachable: setup.on_unreachable.into(),
                },
                interrupt: inference::Interrupt::default(),
                calls: inference::Calls::default(),
            },
            tracking: self.tracking(),
        }
    }

    /// What holds for one frame from its beginning to its end.
    pub fn for_frame(&self) -> FrameSettings {
        let interval = Duration::from_nanos(self.stats_interval);
        FrameSettings {
            controls: self.controls(),
            fade_ns: i64::try_from(self.fade_time).unwrap_or(i64::MAX),
            metas: Metas {
                read: self.roi_meta,
                attach: self.attach_meta,
            },
            qos: self.qos,
            on_error: self.on_error,
            on_unreachable: self.setup.on_unreachable,
            tag_altered: self.tag_altered,
            silence_alters: self.silence != Silence::Original,
            work_ns: signed_ns(self.processing_deadline()),
            stats_interval: Some(interval).filter(|interval| !interval.is_zero()),
        }
    }

    /// How much of the reported latency is kept for work.
    pub fn processing_deadline(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.processing_deadline)
    }

    pub fn mouth_memory_file(&self) -> Option<PathBuf> {
        named(&self.mouth_memory_file)
    }

    /// Sound that is needed earlier because the mouth shall move earlier.
    pub fn extra_look_ahead_ns(&self) -> i64 {
        self.sync_offset.saturating_neg().max(0)
    }
}

/// An empty string names nothing.
fn named(path: &Option<String>) -> Option<PathBuf> {
    path.as_deref()
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// The structure's name is the provider's, its fields are the options.
fn provider_options(structure: &gst::StructureRef) -> inference::ProviderOptions {
    let text = |value: &glib::SendValue| match value.get::<String>() {
        Ok(text) => text,
        // `gst-launch-1.0` takes `num_streams=2` for a number.
        Err(_) => value.serialize().map(String::from).unwrap_or_default(),
    };
    inference::ProviderOptions {
        provider: structure.name().to_string(),
        values: structure
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lipsync::properties::param_specs;

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
            checked += 1;
            if value.type_() == gst::Structure::static_type() {
                // GStreamer does not print one that is not there.
                assert_eq!(value.get(), Ok(None::<gst::Structure>), "{}", spec.name());
                continue;
            }
            assert_eq!(
                format!("{:?}", spec.default_value()),
                format!("{value:?}"),
                "{}",
                spec.name()
            );
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
            settings.set(name, &value).unwrap();
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
        settings
            .set("provider-options", &options.to_value())
            .unwrap();
        settings
            .set("precision", &Precision::Bf16.to_value())
            .unwrap();
        settings
            .set("cache-dir", &"/var/cache/lipsync".to_value())
            .unwrap();
        settings
            .set(
                "execution-provider",
                &ExecutionProvider::OpenVino.to_value(),
            )
            .unwrap();
        settings.set("device-id", &3u32.to_value()).unwrap();
        let runtime = settings.engine_config().runtime;
        assert_eq!(runtime.provider, inference::Provider::OpenVino);
        assert_eq!(runtime.precision, inference::Precision::Bf16);
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
        settings.set("model", &"".to_value()).unwrap();
        assert!(matches!(
            settings.engine_config().generator,
            catalogue::Source::BuiltIn
        ));
    }
}
