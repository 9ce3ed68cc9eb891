//! Building the engine, the latency that it causes, and room for the frames that wait.

use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::{CAT, Lipsync, flow::frame_duration, lock};
use crate::{
    element::{faults, stream::Stream},
    engine::Engine,
    generator, runtime,
};

/// Of the PROGRESS messages while a model is loaded.
const PROGRESS_CODE: &str = "model";
const LOADING: &str = "Loading the model";
const LOADING_TENSORRT: &str =
    "Loading the model: TensorRT takes minutes to compile one that cache-dir does not hold";

impl Lipsync {
    pub fn set_generator(&self, source: generator::Source) {
        *lock(&self.generator) = Some(source);
    }

    /// Builds the engine, unless there is one of the same settings.
    pub(super) fn set_up(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let up_to_date = lock(&self.stream)
            .as_ref()
            .is_some_and(|stream| *stream.setup() == settings.setup);
        if up_to_date {
            return Ok(());
        }
        faults::route_runtime_log();
        let mut config = settings.engine_config();
        if let Some(source) = lock(&self.generator).clone() {
            config.generator = source;
        }
        self.post_progress(
            gst::ProgressType::Start,
            match config.runtime.provider {
                runtime::Provider::TensorRt => LOADING_TENSORRT,
                _ => LOADING,
            },
        );
        let (engine, fallbacks) = Engine::new(&config).map_err(|err| {
            gst::error!(CAT, imp = self, "{err}");
            self.post_progress(gst::ProgressType::Error, "The model cannot be loaded");
            faults::error_message(&err)
        })?;
        self.post_progress(gst::ProgressType::Complete, engine.about());
        let active = engine.active_provider().map(|provider| provider.name());
        gst::info!(
            CAT,
            imp = self,
            "Model {} on {:?}, hears {:?}",
            engine.about(),
            engine.active_provider(),
            engine.hearing()
        );
        for fallback in fallbacks {
            gst::element_imp_warning!(
                self,
                gst::LibraryError::Init,
                (
                    "the execution provider `{}` is not used, networks run on `{}`: {}",
                    fallback.wanted,
                    active.unwrap_or("none"),
                    fallback.reason
                )
            );
        }
        lock(&self.delays).look_ahead_ns = engine.hearing().look_ahead_ns;
        lock(&self.stats).provider = active;
        self.put_stream(Box::new(Stream::new(engine, settings.setup)));
        self.update_latency();
        Ok(())
    }

    fn post_progress(&self, kind: gst::ProgressType, text: &str) {
        let obj = self.obj();
        let message = gst::message::Progress::builder(kind, PROGRESS_CODE, text).src(&*obj);
        // Fails where there is no bus: then nobody waits for it.
        let _ = obj.post_message(message.build());
    }

    pub(super) fn take_stream(&self) -> Option<Box<Stream>> {
        lock(&self.stream).take()
    }

    pub(super) fn put_stream(&self, stream: Box<Stream>) {
        *lock(&self.stream) = Some(stream);
    }

    /// Tells the pipeline when frames come out later, or earlier, than was said.
    pub(super) fn update_latency(&self) {
        let listens = lock(&self.audio_pad).is_some();
        let (work, extra_ns) = {
            let settings = lock(&self.settings);
            (
                settings.processing_deadline(),
                settings.extra_look_ahead_ns(),
            )
        };
        let latency = {
            let mut delays = lock(&self.delays);
            let wait_ns = match listens {
                true => delays.look_ahead_ns + delays.resampler_ns + extra_ns,
                false => 0,
            };
            let latency = work + gst::ClockTime::from_nseconds(u64::try_from(wait_ns).unwrap_or(0));
            if delays.reported.replace(latency) == Some(latency) {
                return;
            }
            latency
        };
        gst::debug!(CAT, imp = self, "Latency {latency}");
        self.obj().set_latency(latency, gst::ClockTime::NONE);
    }

    /// Passes downstream's offer on with room for the frames that wait here.
    pub(super) fn widen_allocation(&self, allocation: &mut gst::query::Allocation) {
        let held = self.frames_held();
        let pools: Vec<_> = allocation.allocation_pools().collect();
        for (index, (pool, size, min, max)) in pools.into_iter().enumerate().rev() {
            let min = min.saturating_add(held);
            if max != 0 && max < min {
                allocation.remove_nth_allocation_pool(index as u32);
            } else {
                allocation.set_nth_allocation_pool(index as u32, pool.as_ref(), size, min, max);
            }
        }
        if allocation
            .find_allocation_meta::<gst_video::VideoMeta>()
            .is_none()
        {
            allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
        }
    }

    /// How many frames wait here at most when the pipeline is live.
    fn frames_held(&self) -> u32 {
        let wait = lock(&self.delays).reported.unwrap_or_default();
        let frame = lock(&self.stream)
            .as_ref()
            .and_then(|stream| frame_duration(stream.video.as_ref()?));
        match frame {
            Some(frame) => {
                let frames = wait.nseconds().div_ceil(frame.nseconds().max(1));
                u32::try_from(frames).unwrap_or(u32::MAX)
            }
            None => 1,
        }
    }
}
