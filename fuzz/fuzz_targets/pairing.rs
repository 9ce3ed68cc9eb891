//! Any order of buffers and events with any times on both pads of the element: it never hangs or
//! panics, frames leave in the order in which they came, and GStreamer has nothing to complain
//! about.
#![no_main]

use gst::prelude::*;
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[path = "../../tests/support/common.rs"]
mod common;

use common::{FILE, Item, Out, Rig, ShowsSound, Upstream, begin, element_with, end, segment_from};

/// Steps on each pad at most, so that a run stays short.
const STEPS: usize = 24;
/// Frames that are drawn at once at most: fewer than a run has.
const BATCH: u8 = 8;

#[derive(Arbitrary, Debug)]
struct Input {
    live: bool,
    with_audio: bool,
    sync_offset_ms: i16,
    batch: u8,
    video: Vec<Step>,
    audio: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Buffer {
        at: Time,
        lasts: Time,
        discont: bool,
        gap: bool,
        size: Size,
    },
    Caps {
        format: u8,
        first: u16,
        second: u16,
    },
    Segment {
        rate: i8,
        start: Time,
        lasts: Time,
        base: Time,
        offset: Time,
    },
    Gap {
        at: Time,
        lasts: Time,
    },
    Tag,
    StreamStart,
    Flush {
        reset: bool,
    },
    Eos,
}

/// Near the beginning, in milliseconds, or anywhere.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Time {
    None,
    Near(u16),
    Any(u64),
}

impl Time {
    fn clock(self) -> Option<gst::ClockTime> {
        match self {
            Self::None => None,
            Self::Near(ms) => Some(gst::ClockTime::from_mseconds(u64::from(ms))),
            // All ones are no time.
            Self::Any(ns) => Some(gst::ClockTime::from_nseconds(ns.min(u64::MAX - 1))),
        }
    }
}

/// Of a buffer: what its caps want, or something else.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Size {
    Fits,
    Bytes(u16),
}

/// What the buffers of a pad hold.
#[derive(Clone, Copy)]
struct Kind {
    is_video: bool,
    /// Bytes of a frame, or of a few samples.
    fits: usize,
}

fuzz_target!(|input: Input| {
    let batch = 1 + input.batch % BATCH;
    let element = element_with(ShowsSound::at_once(batch.into()));
    element.set_property("batch-size", u32::from(batch));
    let offset_ms = i64::from(input.sync_offset_ms) % 10_000;
    element.set_property("sync-offset", offset_ms * 1_000_000);
    let upstream = match input.live {
        true => Upstream {
            live: true,
            latency: gst::ClockTime::ZERO,
        },
        false => FILE,
    };
    let rig = Rig::stopped(element, upstream, input.with_audio);
    if input.live {
        // An hour has passed: every near frame is late already, and none is waited for in real time.
        rig.element
            .set_clock(Some(&gst::SystemClock::obtain()))
            .unwrap();
        rig.element
            .set_base_time(gst::SystemClock::obtain().time() - 3_600 * gst::ClockTime::SECOND);
    }
    rig.play();
    let feeding = rig.feed(items(&input.video, true), items(&input.audio, false));
    feeding.join();
    let mut last = None;
    while let Some(out) = rig.try_next(std::time::Duration::ZERO) {
        if let Out::Buffer(buffer) = out {
            let this = Some(buffer.offset());
            assert!(this > last, "{this:?} after {last:?}");
            last = this;
        }
    }
});

fn items(steps: &[Step], is_video: bool) -> Vec<Item> {
    let (caps, fits) = caps(is_video, 0, 16, 16);
    let mut kind = Kind { is_video, fits };
    let mut items = begin(
        if is_video { "video" } else { "audio" },
        &caps,
        &segment_from(0),
    );
    for (index, step) in (0..).zip(steps.iter().take(STEPS)) {
        match step {
            Step::Caps {
                format,
                first,
                second,
            } => {
                let (caps, fits) = self::caps(is_video, *format, *first, *second);
                kind.fits = fits;
                items.push(gst::event::Caps::new(&caps).into());
            }
            Step::Flush { reset } => {
                items.push(gst::event::FlushStart::new().into());
                items.push(gst::event::FlushStop::new(*reset).into());
                // A flush takes the segment with it, and upstream sends another.
                items.push(gst::event::Segment::new(&segment_from(0)).into());
            }
            Step::Eos => {
                items.push(end());
                items.push(gst::event::StreamStart::new("again").into());
                items.push(gst::event::Segment::new(&segment_from(0)).into());
            }
            step => items.push(item(step, index, kind)),
        }
    }
    items.push(end());
    items
}

fn item(step: &Step, index: u64, kind: Kind) -> Item {
    match step {
        Step::Buffer {
            at,
            lasts,
            discont,
            gap,
            size,
        } => {
            let bytes = match size {
                Size::Fits => kind.fits,
                Size::Bytes(bytes) => usize::from(*bytes),
            };
            let mut buffer = gst::Buffer::from_mut_slice(vec![index as u8; bytes]);
            let writable = buffer.get_mut().unwrap();
            writable.set_pts(at.clock());
            writable.set_duration(lasts.clock());
            writable.set_offset(index);
            for (flag, set) in [
                (gst::BufferFlags::DISCONT, discont),
                (gst::BufferFlags::GAP, gap),
            ] {
                if *set {
                    writable.set_flags(flag);
                }
            }
            buffer.into()
        }
        Step::Segment {
            rate,
            start,
            lasts,
            base,
            offset,
        } => {
            let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
            // Zero is none, and backwards there must be an end to begin from.
            let rate = f64::from(if *rate == 0 { 1 } else { *rate }) / 2.0;
            let start = start.clock().unwrap_or_default();
            let stop = lasts.clock().and_then(|lasts| start.checked_add(lasts));
            segment.set_rate(rate);
            segment.set_start(start);
            segment.set_time(start);
            segment.set_stop(match rate < 0.0 {
                true => stop.or(Some(start)),
                false => stop,
            });
            segment.set_base(base.clock().unwrap_or_default());
            // GStreamer itself takes none beyond the end.
            let length = stop.map_or(gst::ClockTime::MAX, |stop| stop - start);
            let offset = offset.clock().unwrap_or_default().min(length);
            segment.set_offset(match rate < 0.0 {
                true => gst::ClockTime::ZERO,
                false => offset,
            });
            gst::event::Segment::new(&segment).into()
        }
        Step::Gap { at, lasts } => gst::event::Gap::builder(at.clock().unwrap_or_default())
            .duration(lasts.clock())
            .build()
            .into(),
        Step::StreamStart => gst::event::StreamStart::new(&format!("stream {index}")).into(),
        _ => {
            let mut tags = gst::TagList::new();
            let title = if kind.is_video { "picture" } else { "sound" };
            tags.get_mut()
                .unwrap()
                .add::<gst::tags::Title>(&title, gst::TagMergeMode::Replace);
            gst::event::Tag::new(tags).into()
        }
    }
}

/// Caps, good or bad, and how many bytes a buffer of them has.
fn caps(is_video: bool, format: u8, first: u16, second: u16) -> (gst::Caps, usize) {
    let (first, second) = (u32::from(first), u32::from(second));
    if is_video {
        const FORMATS: [gst_video::VideoFormat; 4] = [
            gst_video::VideoFormat::Gray8,
            gst_video::VideoFormat::I420,
            gst_video::VideoFormat::Bgr,
            gst_video::VideoFormat::Nv12,
        ];
        let format = FORMATS[usize::from(format) % FORMATS.len()];
        let (width, height) = (first % 64, second % 64);
        let info = gst_video::VideoInfo::builder(format, width, height)
            .fps(gst::Fraction::new(25, 1))
            .build();
        return match info {
            Ok(info) => (info.to_caps().unwrap(), info.size()),
            Err(_) => (bad("video/x-raw", "width", width as i32), 16),
        };
    }
    let rate = 8_000 + first * 3;
    let channels = second % 12;
    let formats = [
        gst_audio::AudioFormat::S16le,
        gst_audio::AudioFormat::S32le,
        gst_audio::AudioFormat::F32le,
        gst_audio::AudioFormat::F64le,
    ];
    let info =
        gst_audio::AudioInfo::builder(formats[usize::from(format) % 4], rate, channels).build();
    match info {
        Ok(info) => (info.to_caps().unwrap(), info.bpf() as usize * 480),
        Err(_) => (bad("audio/x-raw", "rate", rate as i32), 16),
    }
}

/// Caps that lack nearly everything.
fn bad(name: &str, field: &str, value: i32) -> gst::Caps {
    gst::Caps::builder(name).field(field, value).build()
}
