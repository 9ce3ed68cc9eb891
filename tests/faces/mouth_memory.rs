//! What a stream has shown of a person's open mouth is what an opened mouth of the same person shows,
//! and of nobody else.

use lipsync_core::{
    assembly::Config,
    face,
    generator::Remembered,
    pixels::Affine,
    render::{Controls, Engine},
};

use crate::{
    clips,
    people::{Cutout, places, walk},
    picture::Picture,
    running::speech,
    stream::Stream,
};

/// A person whose mouth is some 90 pixels wide.
const LARGE: &str = "s4_bbaf2a";
/// People who are cut between.
const CUT: [&str; 5] = [LARGE, "s31_bgiq6p", "x00", "x15", "x12"];

fn stream(mouth_memory: bool) -> Option<Stream> {
    Stream::with(Controls {
        mouth_memory,
        ..Controls::default()
    })
}

/// What frames teach of mouths, which leaves them as they are.
fn learned(frames: &[Picture]) -> Option<Vec<u8>> {
    let mut stream = Stream::with(Controls {
        learns_mouths: true,
        ..Controls::default()
    })?;
    for frame in frames {
        assert!(stream.redraw(frame).data == frame.data);
    }
    stream.engine.learned_mouths()
}

/// The next frame, redrawn, and what is remembered after it.
fn redraw(stream: &mut Stream, original: &Picture) -> (Picture, Remembered) {
    let picture = stream.redraw(original);
    (picture, stream.engine.remembered())
}

/// The picture twice as large.
fn doubled(picture: &Picture) -> Picture {
    let to_here = Affine {
        a: 0.5,
        d: 0.5,
        tx: -0.25,
        ty: -0.25,
        ..Affine::IDENTITY
    };
    picture.moved(2 * picture.width, 2 * picture.height, &to_here)
}

/// The first frames of each person, large enough to be remembered.
fn shown(people: &[&str], count: usize) -> Option<Vec<Vec<Picture>>> {
    let shown = people.iter().map(|name| {
        let frames = clips::frames(name, count)?;
        Some(match *name == LARGE {
            true => frames,
            false => frames.iter().map(doubled).collect(),
        })
    });
    shown.collect()
}

/// Mean difference of bytes.
fn difference(one: &Picture, other: &Picture) -> f64 {
    let pairs = one.data.iter().zip(&other.data);
    let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.data.len() as f64
}

#[test]
fn a_mouth_that_was_seen_open_is_drawn_from_what_was_seen() {
    let Some(frames) = clips::frames(LARGE, 75) else {
        return;
    };
    let (Some(mut with), Some(mut without)) = (stream(true), stream(false)) else {
        return;
    };
    for frame in &frames {
        redraw(&mut with, frame);
        redraw(&mut without, frame);
    }
    // From here on the source shows a closed mouth.
    let closed = &frames[frames.len() - 1];
    let (mut drawn, mut differ) = (0, 0);
    for _ in 0..50 {
        let (remembered, known) = redraw(&mut with, closed);
        let (by_rule, nothing) = redraw(&mut without, closed);
        assert_eq!(nothing, Remembered::default());
        assert!((2..=12).contains(&known.glimpses), "{known:?}");
        drawn += u32::from(known.is_drawn);
        differ += u32::from(difference(&remembered, &by_rule) > 0.01);
        assert!(known.is_drawn || difference(&remembered, &by_rule) < 0.05);
    }
    assert!(drawn > 10, "{drawn} of 50 frames were drawn from memory");
    assert!(differ > 5, "{differ} of {drawn} frames differ");
}

#[test]
fn nothing_that_was_seen_of_a_person_is_kept_for_the_next() {
    let (Some(clips), Some(mut stream)) = (shown(&CUT, 75), stream(true)) else {
        return;
    };
    const CUTS: usize = 20;
    const FRAMES: usize = 15;
    let mut known = 0;
    for cut in 0..CUTS {
        // Round and round, with other words each time.
        let clip = &clips[cut % clips.len()];
        let first = (20 + 12 * (cut / clips.len())).min(clip.len() - FRAMES);
        for (nth, frame) in clip[first..first + FRAMES].iter().enumerate() {
            let (_, remembered) = redraw(&mut stream, frame);
            if nth == 0 {
                // No more than this frame itself has shown.
                assert!(remembered.glimpses == 0, "cut {cut}: {remembered:?}");
                assert!(!remembered.is_drawn, "cut {cut}");
            }
            known += usize::from(nth == FRAMES - 1 && remembered.glimpses > 0);
        }
    }
    assert!(known > CUTS / 3, "{known} of {CUTS} people were remembered");
}

#[test]
fn a_clip_that_was_read_before_is_drawn_from_memory_from_its_first_frame_on() {
    let Some(frames) = clips::frames(LARGE, 75) else {
        return;
    };
    let (Some(known), Some(mut clip), Some(mut live)) =
        (learned(&frames), stream(true), stream(true))
    else {
        return;
    };
    clip.engine
        .know_mouths(Some(&known))
        .expect("it was learned");
    // Wherever the speech begins.
    let mut drawn = 0;
    for second in 0..8 {
        for stream in [&mut clip, &mut live] {
            stream.engine.reset();
            stream.sound = speech(second, 0.0).expect("there was speech before");
        }
        let (from_memory, known) = redraw(&mut clip, &frames[0]);
        let (by_rule, unknown) = redraw(&mut live, &frames[0]);
        assert!(known.glimpses >= 4, "{known:?}");
        assert_eq!(unknown, Remembered::default());
        drawn += u32::from(known.is_drawn && difference(&from_memory, &by_rule) > 0.01);
    }
    assert!(drawn >= 1, "no first frame was drawn from memory");
    // Nor does it change when the person is found again.
    clip.engine.reset();
    clip.redraw(&frames[40]);
    assert!(clip.engine.remembered().glimpses >= 4);
    // What was known goes with what is begun anew.
    clip.engine.know_mouths(None).expect("nothing is fine");
    clip.engine.reset();
    assert_eq!(redraw(&mut clip, &frames[0]).1.glimpses, 0);
}

#[test]
fn nobody_is_taken_for_another_one_of_a_clip_that_was_read_before() {
    const FRAMES: usize = 30;
    let Some(clips) = shown(&CUT, FRAMES) else {
        return;
    };
    let mut recognised = 0;
    for first in 0..CUT.len() {
        // One clip of two people.
        let pair = [first, (first + 1) % CUT.len()];
        let frames: Vec<_> = pair.iter().flat_map(|nth| clips[*nth].clone()).collect();
        let (Some(known), Some(mut stream)) = (learned(&frames), stream(true)) else {
            return;
        };
        let known = stream.engine.know_mouths(Some(&known));
        known.expect("it was learned");
        for (nth, clip) in clips.iter().enumerate() {
            stream.engine.reset();
            for frame in &clip[FRAMES / 2..][..3] {
                redraw(&mut stream, frame);
            }
            let remembered = stream.engine.remembered();
            match pair.contains(&nth) {
                true => recognised += usize::from(remembered.glimpses >= 2),
                false => assert!(remembered.glimpses <= 1, "{}: {remembered:?}", CUT[nth]),
            }
        }
    }
    assert!(recognised >= 5, "{recognised} of 10 were recognised");
}

/// Paints teeth green, in the part of the face where the mouth is; the number of pixels.
fn mark_teeth(person: &mut Cutout) -> usize {
    let [x0, y0, x1, y1] = person.bbox;
    let (width, height) = (x1 - x0, y1 - y0);
    let within = |at: f32, [from, to]: [f32; 2]| (from..to).contains(&at);
    let mut marked = 0;
    for picture in &mut person.frames {
        let across = picture.width;
        let (pixels, _) = picture.data.as_chunks_mut::<3>();
        let mouth: Vec<usize> = (0..pixels.len())
            .filter(|at| {
                let [x, y] = [at % across, at / across].map(|at| at as f32);
                within((x - x0) / width, [0.3, 0.7]) && within((y - y0) / height, [0.68, 0.9])
            })
            .collect();
        let redness = |[red, green, _]: [u8; 3]| f32::from(red) / f32::from(green.max(1));
        let mut all: Vec<f32> = mouth.iter().map(|at| redness(pixels[*at])).collect();
        all.sort_by(f32::total_cmp);
        let usual = all[all.len() / 2];
        for at in mouth {
            if pixels[at][1] > 60 && redness(pixels[at]) < 0.88 * usual {
                pixels[at] = [pixels[at][1] / 4, pixels[at][1], pixels[at][1] / 4];
                marked += 1;
            }
        }
    }
    marked
}

/// Green pixels in a column of a picture.
fn green(picture: &Picture, [from, to]: [f32; 2]) -> usize {
    let (pixels, _) = picture.data.as_chunks::<3>();
    let is_green = |[red, green, blue]: [u8; 3]| {
        let [red, green, blue] = [red, green, blue].map(f32::from);
        green > 40.0 && green > 1.3 * red && green > 1.3 * blue
    };
    let places = pixels.iter().enumerate();
    places
        .filter(|(at, pixel)| {
            (from..to).contains(&((at % picture.width) as f32)) && is_green(**pixel)
        })
        .count()
}

#[test]
fn nobody_gets_the_teeth_of_whoever_walks_past() {
    const COUNT: i64 = 100;
    let mut known = 0;
    for (pair, front) in [(["s31_bgiq6p", "x00"], 0), (["x12", "x15"], 1)] {
        let [Some(mut marked), Some(other)] = pair.map(Cutout::new) else {
            return;
        };
        assert!(mark_teeth(&mut marked) > 200, "{pair:?}");
        let people = [marked, other];
        let apart = people[0].width().max(people[1].width());
        let Some(mut stream) = stream(true) else {
            return;
        };
        let tracking = face::Settings {
            max_faces: 2,
            ..face::Settings::default()
        };
        let config = Config {
            tracking,
            ..Config::default()
        };
        (stream.engine, _) = Engine::new(&config).expect("one was opened before");
        for (frame, index) in walk(&people, front, COUNT).zip(0..) {
            let frame = doubled(&frame);
            let (drawn, remembered) = redraw(&mut stream, &frame);
            known += remembered.glimpses;
            let [marked, other] = places(index, COUNT);
            if (marked - other).abs() < apart {
                continue;
            }
            let column = [other - 0.4 * apart, other + 0.4 * apart].map(|x| 2.0 * x);
            let [before, after] = [&frame, &drawn].map(|picture| green(picture, column));
            assert!(
                after <= before,
                "{pair:?}, frame {index}: {after} green pixels, {before} in the input"
            );
        }
    }
    assert!(known > 50, "{known} glimpses in all frames together");
}

#[test]
fn a_seek_forgets() {
    let Some(frames) = clips::frames(LARGE, 75) else {
        return;
    };
    let Some(mut stream) = stream(true) else {
        return;
    };
    let seen = frames
        .iter()
        .map(|frame| redraw(&mut stream, frame).1)
        .last();
    assert!(seen.is_some_and(|seen| seen.glimpses >= 2), "{seen:?}");
    stream.engine.reset();
    let (_, after) = redraw(&mut stream, &frames[0]);
    assert_eq!((after.glimpses, after.is_drawn), (0, false));
}

#[test]
fn a_painting_that_stands_still_is_not_taken_for_a_mouth_that_was_seen() {
    let Some(painting) = Picture::load("self-portrait-1885.jpg") else {
        return;
    };
    let (Some(mut with), Some(mut without)) = (stream(true), stream(false)) else {
        return;
    };
    for _ in 0..40 {
        let (drawn, remembered) = redraw(&mut with, &painting);
        assert!(!remembered.is_drawn, "{remembered:?}");
        assert!(drawn.data == redraw(&mut without, &painting).0.data);
    }
}
