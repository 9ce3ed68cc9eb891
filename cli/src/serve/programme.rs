//! The programme: a pipeline that plays from the beginning to the end, whatever becomes of inputs and outputs.
//!
//! Frames and audio come from the [`Feed`] and go through `lipsyncbin`; encoded, they go to whoever wants them. Must not know who
//! that is.

use std::sync::Arc;

use anyhow::{Context, Result};
use gst::{glib, prelude::*};
use gst_utils::StreamProducer;

use super::{
    feed::{AudioFeed, Feed, LATENCY, VideoFeed},
    input,
    install::{self, Needed},
    options::Options,
};
use crate::{pipeline::Pipeline, property};

/// Holds frames for as long as `lipsync` holds them, so that both are shown side by side.
const HELD: &str = "queue max-size-buffers=0 max-size-bytes=0 max-size-time=3000000000";
/// Where the programme cannot keep up, what waits longest is left out.
const BOUNDED: &str =
    "is-live=true format=time max-bytes=0 max-time=2000000000 leaky-type=downstream";
/// In front of what may not hold up the rest.
const SHORT: &str =
    "queue max-size-buffers=0 max-size-bytes=0 max-size-time=500000000 leaky=downstream";
/// Height of each of the two frames of the preview.
const PREVIEW_HEIGHT: u32 = 360;
/// Bits a second of the preview, and of the programme's audio.
const PREVIEW_BITRATE: u32 = 1_500_000;
const AUDIO_BITRATE: u32 = 160_000;
/// Between two messages with levels, in nanoseconds.
const METER_INTERVAL: u32 = 100_000_000;

/// Encoded streams that others can have.
pub struct Encoded {
    /// VP8: the frames as they came, and beside them as they go out.
    pub preview: StreamProducer,
    /// Opus.
    pub opus: StreamProducer,
    /// H.264 and AAC, where there are outputs.
    pub programme: Option<[StreamProducer; 2]>,
}

pub struct Programme {
    pipeline: Pipeline,
    lipsync: gst::Element,
    /// Lets frames through to the preview's encoder.
    valve: gst::Element,
    feed: Arc<Feed>,
    encoded: Encoded,
}

impl Programme {
    /// Checks what has to be installed for it.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(options: &Options) -> Result<()> {
        install::check(&[
            Needed::base("compositor"),
            Needed::good("vp8enc"),
            Needed::good("level"),
            Needed::base("opusenc"),
            Needed::bad("webrtcbin"),
            Needed::bad("dtlsenc"),
            Needed::nice("nicesink"),
            Needed::good("rtpvp8pay"),
        ])?;
        if !options.output.is_empty() {
            install::check(&[
                Needed::ugly("x264enc"),
                Needed::bad("h264parse"),
                Needed::libav("avenc_aac"),
                Needed::good("aacparse"),
            ])?;
        }
        Ok(())
    }

    /// # Errors
    /// Where it cannot be built, or a property does not take its value.
    pub fn new(options: &Options) -> Result<Self> {
        let pipeline = Pipeline::parse(&words(options))?;
        let lipsync: gst::Element = pipeline.element("lipsync")?;
        lipsync.set_property("attach-meta", true);
        lipsync.set_property("max-faces", options.faces);
        if let Some(model) = options.model.first() {
            lipsync.set_property("model", model.display().to_string());
        }
        let usual = [("face-select".to_owned(), "point".to_owned())];
        for (name, value) in usual.iter().chain(&options.set) {
            let value = property::parse(&lipsync, name, value)?;
            lipsync.set_property_from_value(name, &value);
        }
        let source = |name: &str| -> Result<gst_app::AppSrc> {
            let source: gst_app::AppSrc = pipeline.element(name)?;
            source.set_latency(LATENCY, gst::ClockTime::NONE);
            Ok(source)
        };
        let feed = Feed {
            video: VideoFeed::new(source("frames")?, options.size, options.rate),
            audio: AudioFeed::new(source("samples")?),
        };
        let producer = |name: &str| -> Result<StreamProducer> {
            Ok(StreamProducer::from(&pipeline.element(name)?))
        };
        let encoded = Encoded {
            preview: producer("preview")?,
            opus: producer("opus")?,
            programme: match options.output.is_empty() {
                true => None,
                false => Some([producer("h264")?, producer("aac")?]),
            },
        };
        pipeline.use_clock(Some(&gst::SystemClock::obtain()));
        Ok(Self {
            valve: pipeline.element("valve")?,
            lipsync,
            feed: Arc::new(feed),
            encoded,
            pipeline,
        })
    }

    /// # Errors
    /// What keeps it from playing, such as a model that cannot be loaded.
    pub fn play(&self) -> Result<()> {
        self.pipeline.play()?;
        // Its sources are live: only loading of the model takes time.
        let (changed, ..) = self.pipeline.state(gst::ClockTime::from_seconds(120));
        if changed.is_err() {
            return Err(self
                .pipeline
                .error()
                .context("the programme does not start")?);
        }
        self.feed.begin(self.now());
        Ok(())
    }

    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    pub fn lipsync(&self) -> &gst::Element {
        &self.lipsync
    }

    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    pub fn encoded(&self) -> &Encoded {
        &self.encoded
    }

    /// Its running time.
    pub fn now(&self) -> gst::ClockTime {
        self.pipeline.current_running_time().unwrap_or_default()
    }

    /// How late it is behind the input, where that is known.
    pub fn latency(&self) -> Option<gst::ClockTime> {
        let mut query = gst::query::Latency::new();
        self.pipeline.query(&mut query).then(|| query.result().1)
    }

    /// Gives another pipeline its clock and time, so that timestamps mean the same in both.
    pub fn share_time_with(&self, other: &gst::Pipeline) {
        other.use_clock(self.pipeline.clock().as_ref());
        other.set_start_time(gst::ClockTime::NONE);
        other.set_base_time(self.pipeline.base_time().unwrap_or_default());
    }

    /// Whether the preview is encoded.
    pub fn show_preview(&self, is_shown: bool) {
        self.valve.set_property("drop", !is_shown);
    }
}

/// Mouths may be earlier than the audio by so much on air, in nanoseconds: all is held for so long, and [`HELD`] holds no more.
pub const EARLIEST: i64 = -1_000_000_000;

/// The element's properties that may be changed on air, as JSON names them.
pub const ON_AIR: [&str; 14] = [
    "strength",
    "bypass",
    "fade-time",
    "sync-offset",
    "model",
    "face-x",
    "face-y",
    "articulation",
    "silence",
    "silence-threshold",
    "audio-channel",
    "processing-deadline",
    "late-policy",
    "draw-debug",
];

/// The value of a property as JSON has it.
pub fn json(value: &glib::Value) -> serde_json::Value {
    use serde_json::Value;
    let number = None
        .or(value.get::<bool>().ok().map(Value::from))
        .or(value.get::<u64>().ok().map(Value::from))
        .or(value.get::<i64>().ok().map(Value::from))
        .or(value.get::<u32>().ok().map(Value::from))
        .or(value.get::<f64>().ok().map(Value::from));
    if let Some(number) = number {
        return number;
    }
    if let Ok(text) = value.get::<Option<String>>() {
        return text.unwrap_or_default().into();
    }
    match glib::EnumValue::from_value(value) {
        Some((_, value)) => value.nick().into(),
        None => Value::Null,
    }
}

/// The pipeline in the words of gst-launch-1.0.
fn words(options: &Options) -> String {
    let size = options.size;
    let (video, audio) = (input::video_caps(size, options.rate), input::AUDIO_CAPS);
    // Even numbers.
    let width = size.width * PREVIEW_HEIGHT / size.height / 2 * 2;
    let small = format!("videoscale ! video/x-raw,width={width},height={PREVIEW_HEIGHT}");
    let preview = format!(
        "before. ! {HELD} ! {small} ! mix.sink_0 \
         after. ! {HELD} ! {small} ! mix.sink_1 \
         compositor name=mix sink_1::xpos={width} ! {SHORT} ! valve name=valve drop=true \
         ! vp8enc deadline=1 cpu-used=8 threads=2 end-usage=cbr target-bitrate={PREVIEW_BITRATE} keyframe-max-dist=100 \
         error-resilient=default lag-in-frames=0 ! appsink name=preview async=false \
         sound. ! {HELD} ! opusenc bitrate=96000 ! appsink name=opus async=false"
    );
    let programme = format!(
        "after. ! {HELD} ! x264enc tune=zerolatency speed-preset=veryfast bitrate={} key-int-max={} \
         ! video/x-h264,profile=constrained-baseline ! h264parse ! video/x-h264,stream-format=byte-stream,alignment=au \
         ! appsink name=h264 async=false \
         sound. ! {HELD} ! audioconvert ! avenc_aac bitrate={AUDIO_BITRATE} ! aacparse ! appsink name=aac async=false",
        options.bitrate,
        (2.0 * options.rate.frames_per_second()).round(),
    );
    let programme = match options.output.is_empty() {
        true => "",
        false => &programme,
    };
    format!(
        "appsrc name=frames {BOUNDED} caps={video} ! tee name=before \
         appsrc name=samples {BOUNDED} caps={audio} \
         ! level name=level interval={METER_INTERVAL} ! lipsync.audio_sink \
         before. ! queue ! lipsync.video_sink \
         lipsyncbin name=lipsync \
         lipsync.video_src ! tee name=after \
         lipsync.audio_src ! tee name=sound \
         {preview} {programme}"
    )
}
