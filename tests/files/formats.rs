//! A face that speaks, in every format that the element takes: redrawn in place and nowhere else,
//! with the same mouth in all of them.

use gst::prelude::*;
use gst_video::{VideoBufferFlags, VideoFormat, VideoInfo, VideoInterlaceMode, prelude::*};
use lipsync_core::pixels::{
    Colour, Format,
    frame::{
        Transfer,
        colour::{Matrix, Range, Siting},
    },
};

use crate::{
    common::*,
    frames::{FORMATS, Frame, Part, is_grey, parts, stored},
    picture::Picture,
    redraw::{Input, convert, redraw, rgb},
};

const SIZE: [u32; 2] = [446, 552];
/// The speech has begun.
const START: gst::ClockTime = gst::ClockTime::from_mseconds(1000);
const FRAMES: u64 = 4;

/// The formats of the element's pad, each as the plugin names it.
fn formats() -> Vec<(VideoFormat, Format)> {
    let element = gst::ElementFactory::make("lipsync").build().unwrap();
    let caps = element.pad_template("video").unwrap().caps().to_owned();
    let list = caps
        .structure(0)
        .unwrap()
        .get::<gst::List>("format")
        .unwrap();
    let names = list.iter().map(|name| name.get::<String>().unwrap());
    names
        .map(|name| {
            let video = VideoFormat::from_string(&name);
            let alike = match video {
                VideoFormat::Argb64 => VideoFormat::Argb64Le,
                other => other,
            };
            let name = format!("{alike:?}");
            let mut all = FORMATS.into_iter();
            let format = all.find(|format| format!("{format:?}") == name);
            (
                video,
                format.unwrap_or_else(|| panic!("no test knows {name}")),
            )
        })
        .collect()
}

fn caps(info: &VideoInfo) -> gst::Caps {
    let mut caps = info.to_caps().unwrap();
    caps.make_mut().set("framerate", gst::Fraction::new(25, 1));
    caps
}

/// The buffer as the pixel tests know it.
fn frame(buffer: &gst::BufferRef, info: &VideoInfo, format: Format) -> Frame {
    let mapped = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info).unwrap();
    let mut frame = Frame::noise(
        format,
        [info.width() as usize, info.height() as usize],
        0,
        0,
    );
    for (index, plane) in mapped.planes_data().into_iter().take(3).enumerate() {
        frame.planes[index] = plane.to_vec();
        frame.strides[index] = info
            .stride()
            .get(index)
            .map_or(0, |stride| *stride as usize);
    }
    frame.colour = Colour {
        matrix: Matrix::Bt601,
        range: match info.is_rgb() || is_grey(format) {
            true => Range::Full,
            false => Range::Limited,
        },
        transfer: Transfer::Sdr,
        siting: Siting::default(),
    };
    frame
}

/// Brightness of a pixel, 0..1.
fn luma(frame: &Frame, parts: &[Part], x: i64, y: i64) -> f64 {
    let at = |index: usize| frame.get(parts[index], x, y);
    let [black, white] = [[0.0; 3], [1.0; 3]].map(|rgb| stored(frame.format, frame.colour, rgb)[0]);
    let is_rgb = white == parts[0].most() && parts.len() == 3;
    match is_rgb {
        true => (0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2)) / parts[0].most(),
        false => (at(0) - black) / (white - black),
    }
}

/// What the element makes of the picture in a format.
struct Redrawn {
    before: Frame,
    after: Vec<Frame>,
    /// How much lighter pixels have become, of all frames.
    change: Vec<f64>,
}

fn redrawn(picture: &Picture, video: VideoFormat, format: Format) -> Redrawn {
    let size = |format| {
        VideoInfo::builder(format, SIZE[0], SIZE[1])
            .build()
            .unwrap()
    };
    // By way of I420, so that all have the same colours.
    let plain = size(VideoFormat::I420);
    let (picture, of_picture) = rgb(picture);
    let buffer = convert(
        &convert(&picture, &of_picture, &plain),
        &plain,
        &size(video),
    );
    let info = size(video);
    let after = redraw(Input {
        caps: caps(&info),
        frames: (0..FRAMES).map(|_| buffer.copy_deep().unwrap()).collect(),
        start: START,
        apart: gst::ClockTime::from_mseconds(40),
        launch: "lipsync name=l".into(),
    });
    let (before, parts) = (frame(&buffer, &info, format), parts(format));
    let after: Vec<_> = after
        .iter()
        .map(|buffer| frame(buffer, &info, format))
        .collect();
    let [width, height] = SIZE.map(i64::from);
    let change = (after.iter())
        .flat_map(|after| {
            let (before, parts) = (&before, &parts);
            (0..width * height).map(move |at| {
                let (x, y) = (at % width, at / width);
                luma(after, parts, x, y) - luma(before, parts, x, y)
            })
        })
        .collect();
    Redrawn {
        before,
        after,
        change,
    }
}

#[test]
fn every_format_has_the_same_mouth_and_nothing_else_changes() {
    init();
    if onnxruntime().is_none() || !have(&["wavparse", "audioconvert", "audioresample"]) {
        return;
    }
    let Some(picture) = Picture::load("young-woman-in-mauve.jpg") else {
        return;
    };
    let plain = redrawn(&picture, VideoFormat::I420, Format::I420);
    let width = SIZE[0] as usize;
    let changed: Vec<usize> = (0..plain.change.len())
        .filter(|&at| plain.change[at] != 0.0)
        .map(|at| at % (plain.change.len() / FRAMES as usize))
        .collect();
    assert!(changed.len() > 2000, "the mouth does not move");
    let columns = changed.iter().map(|at| at % width);
    let rows = changed.iter().map(|at| at / width);
    // Chroma reaches further than brightness, and other formats have it at every pixel.
    let reach = |from: usize, to: usize| from.saturating_sub(8)..to + 9;
    let columns = reach(columns.clone().min().unwrap(), columns.max().unwrap());
    let rows = reach(rows.clone().min().unwrap(), rows.max().unwrap());

    // Without colours networks see another face.
    let grey = redrawn(&picture, VideoFormat::Gray8, Format::Gray8);
    for (video, format) in formats() {
        let alike = if is_grey(format) { &grey } else { &plain };
        let redrawn = redrawn(&picture, video, format);
        let mut mask = redrawn
            .before
            .planes
            .clone()
            .map(|plane| vec![0; plane.len()]);
        for part in parts(format) {
            let [across, down] = part.cover;
            for y in rows.start / down..=rows.end / down {
                for x in columns.start / across..=columns.end / across {
                    redrawn.before.mark(part, x, y, &mut mask);
                }
            }
        }
        for after in &redrawn.after {
            let planes = redrawn.before.planes.iter().zip(&after.planes).zip(&mask);
            let outside = planes
                .flat_map(|((before, after), mask)| before.iter().zip(after).zip(mask))
                .filter(|((before, after), mask)| (*before ^ *after) & !*mask != 0);
            assert_eq!(outside.count(), 0, "{video:?} changes outside of the mouth");
        }
        let differences = redrawn
            .change
            .iter()
            .zip(&alike.change)
            .map(|(a, b)| (a - b).abs());
        let greatest = differences.clone().fold(0.0, f64::max) * 255.0;
        let mean = 255.0 * differences.sum::<f64>() / changed.len() as f64;
        println!("{video:?}: {mean:.3} of 255 from the mouth, {greatest:.2} at most");
        assert!(
            mean < 1.0 && greatest < 10.0,
            "{video:?}: {mean} {greatest}"
        );
    }
}

const MODES: [VideoInterlaceMode; 4] = [
    VideoInterlaceMode::Progressive,
    VideoInterlaceMode::Interleaved,
    VideoInterlaceMode::Mixed,
    VideoInterlaceMode::Alternate,
];

fn noise(info: &VideoInfo, seed: u64) -> gst::Buffer {
    let mut random = fastrand::Rng::with_seed(seed);
    let bytes: Vec<u8> = (0..info.size()).map(|_| random.u8(..)).collect();
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let writable = buffer.make_mut();
    writable.set_pts(START + 40 * seed * gst::ClockTime::MSECOND);
    let first = VideoBufferFlags::TFF | VideoBufferFlags::INTERLACED;
    writable.set_video_flags(match seed % 2 {
        0 => first,
        _ => VideoBufferFlags::BOTTOM_FIELD,
    });
    buffer
}

#[test]
fn the_bin_leaves_every_byte_of_every_format_where_it_is_bypassed() {
    init();
    if onnxruntime().is_none() || !have(&["wavparse", "audioconvert", "audioresample"]) {
        return;
    }
    for (index, (video, _)) in formats().into_iter().enumerate() {
        // Odd, so that groups of pixels are cut.
        let info = VideoInfo::builder(video, 47, 33).interlace_mode(MODES[index % 4]);
        let info = info.build().unwrap();
        let after = redraw(Input {
            caps: caps(&info),
            frames: (0..3).map(|seed| noise(&info, seed)).collect(),
            start: START,
            apart: gst::ClockTime::from_mseconds(40),
            launch: "lipsyncbin name=l bypass=true".into(),
        });
        assert_eq!(after.len(), 3, "{video:?}");
        for (seed, after) in (0..).zip(after) {
            let before = noise(&info, seed);
            assert_eq!(before.video_flags(), after.video_flags(), "{video:?}");
            let (before, after) = (
                before.map_readable().unwrap(),
                after.map_readable().unwrap(),
            );
            assert!(before.as_slice() == after.as_slice(), "{video:?}");
        }
    }
}

/// Faces are looked for in all of them, and none is there.
#[test]
fn frames_of_the_smallest_sizes_go_through_in_every_format() {
    init();
    let Some(library) = onnxruntime() else {
        return;
    };
    let element = gst::ElementFactory::make("lipsync").build().unwrap();
    element.set_property("onnxruntime-library", library);
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let mut items = Vec::new();
    let mut sent = Vec::new();
    for (video, size, mode) in formats().into_iter().flat_map(|(video, _)| {
        let sizes = [[1, 1], [7, 5], [2, 1], [1, 6]].into_iter();
        sizes.flat_map(move |size| MODES.map(|mode| (video, size, mode)))
    }) {
        let info = VideoInfo::builder(video, size[0], size[1]).interlace_mode(mode);
        let info = info.build().unwrap();
        match items.is_empty() {
            true => items = begin("video", &caps(&info), &segment_from(0)),
            false => items.push(gst::event::Caps::new(&caps(&info)).into()),
        }
        let frame = noise(&info, sent.len() as u64);
        items.push(frame.clone().into());
        sent.push(frame);
    }
    items.push(end());
    let length_ns = 40 * MS * (sent.len() as u64 + 30);
    let feeding = rig.feed(items, Tones::of(length_ns, 0..length_ns).stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len(), sent.len());
    for (sent, found) in sent.iter().zip(&frames) {
        let (sent, found) = (sent.map_readable().unwrap(), found.map_readable().unwrap());
        assert!(sent.as_slice() == found.as_slice());
    }
    assert_eq!(rig.stat("frames-error"), 0);
    assert_eq!(rig.stat("frames-no-face"), frames.len() as u64);
}

/// Decoders leave rows longer than they are, and gaps between planes.
#[test]
fn padded_frames_have_the_same_mouth() {
    init();
    if onnxruntime().is_none() || !have(&["wavparse", "audioconvert", "audioresample"]) {
        return;
    }
    let Some(picture) = Picture::load("young-woman-in-mauve.jpg") else {
        return;
    };
    let (picture, of_picture) = rgb(&picture);
    for (video, mode) in [
        VideoFormat::Nv12,
        VideoFormat::P01010le,
        VideoFormat::V210,
        VideoFormat::Uyvy,
    ]
    .into_iter()
    .flat_map(|video| [MODES[0], MODES[1]].map(|mode| (video, mode)))
    {
        let plain = VideoInfo::builder(video, SIZE[0], SIZE[1]).build().unwrap();
        let info = VideoInfo::builder(video, SIZE[0], SIZE[1]).interlace_mode(mode);
        let info = info.build().unwrap();
        let tight = convert(&picture, &of_picture, &plain);
        let planes = info.n_planes() as usize;
        let strides: Vec<_> = info.stride()[..planes]
            .iter()
            .map(|stride| stride + 64)
            .collect();
        let offsets: Vec<_> = (0..planes)
            .map(|plane| 96 + plane * strides[0] as usize * 600)
            .collect();
        let mut padded = gst::Buffer::with_size(offsets[planes - 1] + strides[0] as usize * 600);
        let writable = padded.as_mut().unwrap().make_mut();
        let none = gst_video::VideoFrameFlags::empty();
        let [width, height] = SIZE;
        gst_video::VideoMeta::add_full(writable, none, video, width, height, &offsets, &strides)
            .unwrap();
        let from = gst_video::VideoFrameRef::from_buffer_ref_readable(&tight, &info).unwrap();
        let mut to = gst_video::VideoFrameRef::from_buffer_ref_writable(writable, &info).unwrap();
        from.copy(&mut to).unwrap();
        drop((from, to));
        let mut all = formats().into_iter();
        let (_, format) = all.find(|(name, _)| *name == video).unwrap();
        let redrawn = |buffer: &gst::Buffer| {
            let frames = redraw(Input {
                caps: caps(&info),
                frames: (0..FRAMES).map(|_| buffer.copy_deep().unwrap()).collect(),
                start: START,
                apart: gst::ClockTime::from_mseconds(40),
                launch: "lipsync name=l".into(),
            });
            let frames = frames.iter().map(|buffer| frame(buffer, &info, format));
            frames.collect::<Vec<_>>()
        };
        let (before, expected) = (frame(&tight, &info, format), redrawn(&tight));
        assert!(is_other(&before, &expected[0]), "{video:?} {mode:?}");
        for (found, expected) in redrawn(&padded.unwrap()).iter().zip(&expected) {
            assert!(!is_other(found, expected), "{video:?} {mode:?}");
        }
    }
}

/// Whether any sample differs; what lies between them does not count.
fn is_other(found: &Frame, expected: &Frame) -> bool {
    parts(found.format).into_iter().any(|part| {
        let [columns, rows] = found.size(part).map(|size| size as i64);
        let mut places = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
        places.any(|(x, y)| found.get(part, x, y) != expected.get(part, x, y))
    })
}

#[test]
fn the_table_of_formats_has_them_all() {
    init();
    let page = include_str!("../../docs/formats.md");
    let cells = page.lines().filter(|line| line.starts_with('|'));
    let names: Vec<_> = cells.flat_map(|line| line.split([' ', ',', '|'])).collect();
    for (video, _) in formats() {
        assert!(names.contains(&video.to_str().as_str()), "{video:?}");
    }
}
