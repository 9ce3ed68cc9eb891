//! A face that speaks, in every format that the element takes: redrawn in place and nowhere else,
//! with the same mouth in all of them.

use gst::prelude::*;
use gst_video::{VideoFormat, VideoInfo};
use lipsync_core::pixels::{
    Colour, Format,
    frame::{
        Transfer,
        colour::{Matrix, Range, Siting},
    },
};

use crate::{
    common::{have, init, onnxruntime},
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

#[test]
fn the_bin_leaves_every_byte_of_every_format_where_it_is_bypassed() {
    init();
    if onnxruntime().is_none() || !have(&["wavparse", "audioconvert", "audioresample"]) {
        return;
    }
    for (video, format) in formats() {
        // Odd, so that groups of pixels are cut.
        let info = VideoInfo::builder(video, 47, 33).build().unwrap();
        let noise = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..info.size()).map(|_| random.u8(..)).collect();
            gst::Buffer::from_slice(bytes)
        };
        let after = redraw(Input {
            caps: caps(&info),
            frames: (0..3).map(noise).collect(),
            start: START,
            apart: gst::ClockTime::from_mseconds(40),
            launch: "lipsyncbin name=l bypass=true".into(),
        });
        assert_eq!(after.len(), 3, "{format:?}");
        for (seed, after) in (0..).zip(after) {
            let before = noise(seed);
            let (before, after) = (
                before.map_readable().unwrap(),
                after.map_readable().unwrap(),
            );
            assert!(before.as_slice() == after.as_slice(), "{video:?}");
        }
    }
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
