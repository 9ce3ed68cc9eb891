//! What the element tells others beside its frames: regions of interest, statistics.

use crate::{common::*, picture::Picture};
use gst::prelude::*;

/// The portrait as so many frames of a video.
fn portrait(count: u64) -> Option<(gst::Caps, Vec<gst::Buffer>)> {
    let picture = Picture::load("young-woman-in-mauve.jpg")?;
    let pictures = Pictures::rgb(picture.width as u32, picture.height as u32);
    assert_eq!(
        pictures.info().size(),
        picture.data.len(),
        "without padding"
    );
    let frames = (0..count).map(|index| {
        let mut frame = pictures.frame(index);
        let writable = frame.make_mut();
        let mut map = writable.map_writable().unwrap();
        map.copy_from_slice(&picture.data);
        drop(map);
        frame
    });
    Some((pictures.caps(), frames.collect()))
}

/// The frames that the element, with the built-in model and these properties, makes of the portrait.
fn redrawn(
    frames: (gst::Caps, Vec<gst::Buffer>),
    properties: &[(&str, &str)],
) -> Option<(Rig, Vec<gst::Buffer>)> {
    let library = onnxruntime()?;
    init();
    let element = gst::ElementFactory::make("lipsync")
        .property("onnxruntime-library", &library)
        .build()
        .unwrap();
    for (name, value) in properties {
        element.set_property_from_str(name, value);
    }
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let (caps, frames) = frames;
    let mut items = begin("video", &caps, &segment_from(0));
    items.extend(frames.into_iter().map(Item::from));
    items.push(end());
    let tones = Tones::of(1_000 * MS, 0..1_000 * MS);
    let feeding = rig.feed(items, tones.stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    Some((rig, frames))
}

fn regions(frame: &gst::BufferRef) -> Vec<gst::MetaRef<'_, gst_video::VideoRegionOfInterestMeta>> {
    frame.iter_meta().collect()
}

#[test]
fn faces_are_marked_for_downstream_where_that_is_wanted() {
    let Some(frames) = portrait(3) else { return };
    let Some((_rig, frames)) = redrawn(frames, &[("attach-meta", "true")]) else {
        return;
    };
    for frame in &frames {
        let regions = regions(frame);
        assert_eq!(regions.len(), 1);
        assert_eq!(regions[0].roi_type(), "lipsync-face");
        let (x, y, width, height) = regions[0].rect();
        // Her face, from the eyebrows to the chin.
        assert!(
            (300..420).contains(&x) && (200..330).contains(&y),
            "{x}, {y}"
        );
        assert!((150..300).contains(&width), "{width}");
        assert!((180..330).contains(&height), "{height}");
        let about = regions[0].param("lipsync-face").unwrap();
        assert!(about.get::<u64>("id").unwrap() > 0);
        assert!(about.get::<f64>("confidence").unwrap() > 0.9);
        // Her lips are closed.
        let openness = about.get::<f64>("openness").unwrap();
        assert!((0.0..0.1).contains(&openness), "{openness}");
    }
    let (Some(frames), properties) = (portrait(1), &[]) else {
        return;
    };
    let (_rig, frames) = redrawn(frames, properties).unwrap();
    assert!(regions(&frames[0]).is_empty());
}

/// The portrait twice, side by side.
fn twins(count: u64) -> Option<(gst::Caps, Vec<gst::Buffer>)> {
    let picture = Picture::load("young-woman-in-mauve.jpg")?;
    let row = 3 * picture.width;
    let twice = picture.data.chunks(row).flat_map(|row| [row, row]);
    let twice = twice.collect::<Vec<_>>().concat();
    let pictures = Pictures::rgb(2 * picture.width as u32, picture.height as u32);
    let frames = (0..count).map(|index| {
        let mut frame = pictures.frame(index);
        let mut map = frame.make_mut().map_writable().unwrap();
        map.copy_from_slice(&twice);
        drop(map);
        frame
    });
    Some((pictures.caps(), frames.collect()))
}

#[test]
fn the_face_that_is_pointed_at_is_drawn_and_the_others_are_marked() {
    for (x, drawn_at_right) in [("0.2", false), ("0.8", true)] {
        let Some(frames) = twins(6) else { return };
        let width = frames.0.structure(0).unwrap().get::<i32>("width").unwrap() as u32;
        let properties = [
            ("attach-meta", "true"),
            ("face-select", "point"),
            ("face-x", x),
            ("face-y", "0.3"),
        ];
        let Some((rig, frames)) = redrawn(frames, &properties) else {
            return;
        };
        let regions = regions(frames.last().unwrap());
        assert_eq!(regions.len(), 2);
        for region in regions {
            let is_at_right = region.rect().0 > width / 2;
            let about = region.param("lipsync-face").unwrap();
            assert_eq!(about.get("drawn"), Ok(is_at_right == drawn_at_right));
        }
        assert_eq!(rig.stat("faces-last"), 1);
    }
}

#[test]
fn faces_of_upstream_count_while_roi_meta_is_on() {
    for (roi_meta, without_face) in [("true", 0), ("false", 4)] {
        let Some((caps, mut frames)) = portrait(4) else {
            return;
        };
        for frame in &mut frames {
            let rect = (330, 230, 240, 260);
            gst_video::VideoRegionOfInterestMeta::add(frame.make_mut(), "face", rect);
        }
        // No other faces than those of upstream.
        let properties = [("face-select", "roi"), ("roi-meta", roi_meta)];
        let Some((rig, frames)) = redrawn((caps, frames), &properties) else {
            return;
        };
        assert_eq!(frames.len(), 4);
        assert_eq!(rig.stat("frames-no-face"), without_face);
        assert_eq!(rig.stat("detect-runs"), 0);
        assert!(frames.iter().all(|f| regions(f).len() == 1), "metas stay");
    }
}

#[test]
fn statistics_come_to_the_bus_at_the_interval_that_was_asked_for() {
    for (interval_ns, expected) in [(0u64, 0), (1, 49), (3_600_000_000_000, 0)] {
        let rig = Rig::stopped(element(), FILE, true);
        rig.element.set_property("stats-interval", interval_ns);
        rig.play();
        let tones = Tones::silent(2_300 * MS);
        let feeding = rig.feed(Pictures::at(25, 1).stream(50), tones.stream());
        rig.frames_until_eos();
        feeding.join();
        let told: Vec<u64> =
            std::iter::from_fn(|| rig.bus.pop_filtered(&[gst::MessageType::Element]))
                .filter_map(|message| {
                    let structure = message.structure()?;
                    assert_eq!(structure.name(), "lipsync-stats");
                    structure.get("frames-out").ok()
                })
                .collect();
        // From the second frame on: the first one starts the clock.
        assert_eq!(told.len(), expected, "interval {interval_ns} ns");
        assert!((2..).zip(&told).all(|(count, &frames)| count == frames));
    }
}
