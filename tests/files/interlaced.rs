//! Interlaced video: each field is a picture of its own, half a frame after the other. What is
//! expected is woven from the same pictures redrawn as 50 whole frames a second.

use gst_video::{VideoBufferFlags, VideoFormat, VideoInfo, VideoInterlaceMode, prelude::*};
use lipsync_core::pixels::Rows;

use crate::{
    clips,
    common::{have, init, onnxruntime},
    redraw::{Input, convert, redraw, rgb},
};

const SIZE: [u32; 2] = [720, 576];
/// Of whole frames, two of which are woven into one.
const COUNT: usize = 24;
const FIELD: gst::ClockTime = gst::ClockTime::from_mseconds(20);
const START: gst::ClockTime = gst::ClockTime::from_mseconds(1000);

fn info(mode: VideoInterlaceMode) -> VideoInfo {
    let info = VideoInfo::builder(VideoFormat::I420, SIZE[0], SIZE[1]);
    info.interlace_mode(mode).build().unwrap()
}

fn caps(mode: VideoInterlaceMode, frames_a_second: i32) -> gst::Caps {
    let mut caps = info(mode).to_caps().unwrap();
    let fps = gst::Fraction::new(frames_a_second, 1);
    caps.make_mut().set("framerate", fps);
    caps
}

/// Rows of all planes, one after the other; all have an even number of them.
fn rows(info: &VideoInfo) -> Vec<std::ops::Range<usize>> {
    (0..3)
        .flat_map(|plane| {
            let (start, stride) = (info.offset()[plane], info.stride()[plane] as usize);
            let count = info.comp_height(plane as u8) as usize;
            (0..count).map(move |row| start + row * stride..start + (row + 1) * stride)
        })
        .collect()
}

fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

/// Even rows of the one, odd ones of the other.
fn weave(even: &[u8], odd: &[u8]) -> Vec<u8> {
    let mut woven = even.to_vec();
    for row in rows(&info(VideoInterlaceMode::Interleaved))
        .into_iter()
        .skip(1)
        .step_by(2)
    {
        woven[row.clone()].copy_from_slice(&odd[row]);
    }
    woven
}

/// One field, as it comes alone.
fn field(frame: &[u8], parity: usize) -> Vec<u8> {
    let rows = rows(&info(VideoInterlaceMode::Interleaved));
    let rows = rows.into_iter().skip(parity).step_by(2);
    rows.flat_map(|row| frame[row].to_vec()).collect()
}

fn buffer(bytes: Vec<u8>, flags: VideoBufferFlags) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    buffer.make_mut().set_video_flags(flags);
    buffer
}

fn redrawn(caps: gst::Caps, frames: Vec<gst::Buffer>, apart: gst::ClockTime) -> Vec<gst::Buffer> {
    redraw(Input {
        caps,
        frames,
        start: START,
        apart,
        launch: "lipsync name=l".into(),
    })
}

/// How much brightness differs, on average, where `expected` is not as it was.
fn error(found: &[Vec<u8>], expected: &[Vec<u8>], before: &[Vec<u8>]) -> f64 {
    let area = (SIZE[0] * SIZE[1]) as usize;
    let all = found.iter().zip(expected).zip(before);
    let (mut sum, mut count) = (0, 0);
    for ((found, expected), before) in all {
        let pixels = found.iter().zip(expected).zip(before).take(area);
        for ((found, expected), _) in pixels.filter(|((_, expected), before)| expected != before) {
            sum += u64::from(found.abs_diff(*expected));
            count += 1;
        }
    }
    sum as f64 / f64::from(count)
}

/// How much rows stand out from those above and below, on average, where `expected` is not as it was.
fn combing(found: &[Vec<u8>], expected: &[Vec<u8>], before: &[Vec<u8>]) -> f64 {
    let [width, height] = SIZE.map(|side| side as usize);
    let (mut sum, mut count) = (0.0, 0.0);
    for ((found, expected), before) in found.iter().zip(expected).zip(before) {
        for at in (width..width * (height - 1)).filter(|&at| expected[at] != before[at]) {
            let value = |at: usize| f64::from(found[at]);
            sum += (value(at) - (value(at - width) + value(at + width)) / 2.0).abs();
            count += 1.0;
        }
    }
    sum / count
}

#[test]
fn each_field_has_the_mouth_of_its_own_moment() {
    init();
    if onnxruntime().is_none() || !have(&["wavparse", "audioconvert", "audioresample"]) {
        return;
    }
    for name in ["s1_bbaf2n", "x00"] {
        let Some(pictures) = clips::frames(name, COUNT) else {
            return;
        };
        let whole = info(VideoInterlaceMode::Progressive);
        let frames: Vec<_> = pictures
            .iter()
            .map(|picture| {
                let (picture, of_picture) = rgb(picture);
                convert(&picture, &of_picture, &whole)
            })
            .collect();
        let none = VideoBufferFlags::empty();
        let plain: Vec<_> = frames.iter().map(bytes).collect();
        let plain_buffers = || plain.iter().map(|bytes| buffer(bytes.clone(), none));
        let progressive = caps(VideoInterlaceMode::Progressive, 50);
        let redrawn_whole = redrawn(progressive, plain_buffers().collect(), FIELD);
        let redrawn_whole: Vec<_> = redrawn_whole.iter().map(bytes).collect();

        for first in [Rows::Top, Rows::Bottom] {
            let pairs = |frames: &[Vec<u8>]| -> Vec<Vec<u8>> {
                let pairs = frames.chunks_exact(2);
                pairs
                    .map(|pair| match first {
                        Rows::Top => weave(&pair[0], &pair[1]),
                        _ => weave(&pair[1], &pair[0]),
                    })
                    .collect()
            };
            let (before, expected) = (pairs(&plain), pairs(&redrawn_whole));
            let flags = match first {
                Rows::Top => VideoBufferFlags::TFF,
                _ => none,
            };
            let input = before.iter().map(|bytes| buffer(bytes.clone(), flags));
            let interleaved = caps(VideoInterlaceMode::Interleaved, 25);
            let found = redrawn(interleaved, input.collect(), 2 * FIELD);
            assert_eq!(found.len(), COUNT / 2);
            for buffer in &found {
                let kept = buffer.video_flags() & VideoBufferFlags::TFF;
                assert_eq!(kept, flags, "{name} {first:?}");
            }
            let found: Vec<_> = found.iter().map(bytes).collect();
            let error = error(&found, &expected, &before);
            let combs = [&before, &expected, &found];
            let [as_filmed, as_expected, as_found] =
                combs.map(|frames| combing(frames, &expected, &before));
            println!(
                "{name}, {first:?} first: {error:.2} of 255 from what is expected; combing \
                 {as_filmed:.2} as filmed, {as_expected:.2} expected, {as_found:.2} found"
            );
            assert!(error < 1.0, "{name} {first:?}: {error}");
            let excess = as_found / as_expected;
            assert!((0.9..1.1).contains(&excess), "{name} {first:?}: {excess}");

            // Alone, as alternate fields, they become the same.
            let order = match first {
                Rows::Top => [0, 1],
                _ => [1, 0],
            };
            let fields = before.iter().enumerate().flat_map(|(index, frame)| {
                order.map(|parity| {
                    let flags = match parity {
                        0 => VideoBufferFlags::TOP_FIELD,
                        _ => VideoBufferFlags::BOTTOM_FIELD,
                    };
                    let mut buffer = buffer(field(frame, parity), flags);
                    let writable = buffer.make_mut();
                    writable.set_pts(START + 2 * FIELD * index as u64);
                    writable.set_duration(2 * FIELD);
                    buffer
                })
            });
            let mut alternate = caps(VideoInterlaceMode::Alternate, 25);
            let features = gst_video::CAPS_FEATURES_FORMAT_INTERLACED.clone();
            alternate.make_mut().set_features_simple(Some(features));
            let alone = redrawn(alternate, fields.collect(), 2 * FIELD);
            assert_eq!(alone.len(), COUNT);
            for (index, buffer) in alone.iter().enumerate() {
                let parity = order[index % 2];
                let of_frame = field(&found[index / 2], parity);
                assert!(bytes(buffer) == of_frame, "{name} {first:?}: field {index}");
            }
        }

        // What is not marked as combed among others is one picture.
        let halves = || plain_buffers().step_by(2).collect::<Vec<_>>();
        let whole = redrawn(
            caps(VideoInterlaceMode::Progressive, 25),
            halves(),
            2 * FIELD,
        );
        let mixed = redrawn(caps(VideoInterlaceMode::Mixed, 25), halves(), 2 * FIELD);
        assert!(
            whole.iter().map(bytes).eq(mixed.iter().map(bytes)),
            "{name}"
        );
    }
}
