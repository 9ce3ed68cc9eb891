//! A person whose mouth the stream has shown speaking is drawn with a mouth that moves as the own one
//! does; nobody else is, and no mouth jumps.

use std::time::Duration;

use gst::prelude::*;
use lipsync_core::{
    generator::Articulation,
    render::{Controls, Networks},
    sound::Sound,
};

use crate::{FRAME_NS, clips, picture::Picture, stream::Stream};

/// Openings in speech with a deviation of 4 canonical pixels, and of 1.7.
const WIDE: &str = "s31_bgiq6p";
const SMALL: &str = "s1_bbaf2n";
const FRAMES: usize = 75;

/// By default with the articulation of the person's own mouth.
fn stream() -> Option<Stream> {
    Stream::with(Controls::default())
}

/// The next frame, redrawn, and what its mouth's movement was changed by.
fn redraw(stream: &mut Stream, original: &Picture) -> (Picture, Articulation) {
    let picture = stream.redraw(original);
    let articulation = stream.engine.articulation();
    (picture, articulation.unwrap_or(Articulation::USUAL))
}

/// What is known of a person after so many times the clip, and that nothing jumps on the way.
fn learned(stream: &mut Stream, frames: &[Picture], times: usize) -> Articulation {
    let mut last: Option<Articulation> = None;
    for frame in (0..times).flat_map(|_| frames) {
        let (_, now) = redraw(stream, frame);
        if let Some(last) = last {
            let step = (now.opening / last.opening).ln();
            assert!(step.abs() < 0.05, "{last:?}, then {now:?}");
            let step = now.spread - last.spread;
            assert!(step.abs() < 0.05, "{last:?}, then {now:?}");
        }
        last = Some(now);
    }
    last.expect("there are frames")
}

#[test]
fn small_and_large_mouths_are_drawn_as_they_move_themselves() {
    let (Some(wide), Some(small)) = (clips::frames(WIDE, FRAMES), clips::frames(SMALL, FRAMES))
    else {
        return;
    };
    let (Some(mut of_wide), Some(mut of_small)) = (stream(), stream()) else {
        return;
    };
    let [wide, small] = [(&mut of_wide, &wide), (&mut of_small, &small)]
        .map(|(stream, frames)| learned(stream, frames, 3));
    println!("{wide:?} and {small:?}");
    // The one spreads as it opens, the other narrows.
    assert!(wide.opening > 1.4 && wide.spread > 0.2, "{wide:?}");
    assert!(small.opening < 1.1 && small.spread < -0.1, "{small:?}");
}

#[test]
fn what_was_learned_of_a_person_is_forgotten_at_a_cut_and_at_a_seek() {
    let (Some(wide), Some(other)) = (clips::frames(WIDE, FRAMES), clips::frames("x12", 1)) else {
        return;
    };
    let Some(mut stream) = stream() else {
        return;
    };
    let known = learned(&mut stream, &wide, 2);
    assert!(known.opening > 1.2, "{known:?}");
    let (_, after) = redraw(&mut stream, &other[0]);
    assert_eq!(after, Articulation::USUAL);

    learned(&mut stream, &wide, 2);
    stream.engine.reset();
    let (_, after) = redraw(&mut stream, &wide[0]);
    assert_eq!(after, Articulation::USUAL);
}

#[test]
fn a_number_overrides_what_is_seen() {
    let Some(wide) = clips::frames(WIDE, FRAMES) else {
        return;
    };
    let half = Controls {
        articulation: Some(0.5),
        ..Controls::default()
    };
    let Some(mut stream) = Stream::with(half) else {
        return;
    };
    for frame in &wide {
        let (_, found) = redraw(&mut stream, frame);
        let expected = Articulation {
            opening: 0.5,
            spread: 0.0,
        };
        assert!(
            [expected, Articulation::USUAL].contains(&found),
            "{found:?}"
        );
    }
}

#[test]
fn a_still_picture_keeps_the_mean_and_a_factor_opens_further() {
    let Some(picture) = clips::portrait(SMALL) else {
        return;
    };
    let streams = [None, Some(1.0), Some(1.5)].map(|articulation| {
        Stream::with(Controls {
            articulation,
            ..Controls::default()
        })
    });
    let [Some(mut auto), Some(mut as_drawn), Some(mut further)] = streams else {
        return;
    };
    let mut differ = 0;
    for _ in 0..2 * FRAMES {
        let expected = as_drawn.redraw(&picture);
        assert!(auto.redraw(&picture).data == expected.data);
        differ += usize::from(further.redraw(&picture).data != expected.data);
    }
    assert!(differ > FRAMES, "{differ}");
}

#[test]
fn nothing_is_learned_while_nobody_is_heard() {
    let Some(wide) = clips::frames(WIDE, FRAMES) else {
        return;
    };
    let Some(mut stream) = stream() else {
        return;
    };
    stream.sound = Sound::new();
    assert_eq!(learned(&mut stream, &wide, 2), Articulation::USUAL);
}

#[test]
fn how_far_ahead_frames_are_looked_at_changes_nothing() {
    let (Some(frames), Some(mut one)) = (clips::frames(WIDE, FRAMES), stream()) else {
        return;
    };
    const AHEAD: usize = 3;
    let Some(mut ahead) = stream() else {
        return;
    };
    let expected: Vec<_> = frames.iter().map(|frame| redraw(&mut one, frame)).collect();
    let mut pictures = frames.clone();
    let mut shown = Vec::new();
    for begun in 0..frames.len() + AHEAD {
        if let Some(picture) = pictures.get_mut(begun) {
            let (engine, sound, controls) = (&mut ahead.engine, &mut ahead.sound, &ahead.controls);
            let time_ns = begun as i64 * FRAME_NS;
            let view = picture.view();
            engine.track(&view, time_ns, &[], controls).expect("a look");
            engine
                .begin(&view, time_ns, sound, controls, Networks::Draw)
                .expect("a beginning");
            engine.submit();
        }
        if let Some(first) = begun.checked_sub(AHEAD) {
            let wait: Option<&mut dyn FnMut() -> Duration> = None;
            let outcome = ahead.engine.finish(&mut pictures[first].view(), wait);
            outcome.expect("inference works");
            shown.push(ahead.engine.articulation());
        }
    }
    for (index, (picture, articulation)) in expected.iter().enumerate() {
        assert!(picture.data == pictures[index].data, "frame {index}");
        assert_eq!(shown[index].unwrap_or(Articulation::USUAL), *articulation);
    }
    assert!(
        expected[FRAMES - 1].1.opening > 1.1,
        "{:?}",
        expected[FRAMES - 1].1
    );
}

/// Plays a real clip through lipsyncbin with these properties, and reports `stats`.
fn played(properties: &str) -> Option<gst::Structure> {
    let clip = clips::clip(WIDE)?;
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let line = format!(
        "lipsyncbin name=l {properties} filesrc location={} ! decodebin name=d \
         d. ! queue ! videoconvert ! l.video_sink d. ! queue ! audioconvert ! l.audio_sink \
         l.video_src ! queue ! fakesink l.audio_src ! queue ! fakesink",
        clip.display()
    );
    let pipeline = gst::parse::launch(&line).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = pipeline.bus().unwrap();
    let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(300), &ends);
    assert_eq!(end.expect("an end").type_(), gst::MessageType::Eos);
    let stats = pipeline.by_name("l").unwrap().property("stats");
    pipeline.set_state(gst::State::Null).unwrap();
    Some(stats)
}

#[test]
fn stats_say_how_the_mouth_moves_and_a_property_sets_it() {
    let Some(stats) = played("") else {
        return;
    };
    assert!(stats.get::<f64>("articulation").unwrap() > 1.2, "{stats}");
    assert!(
        stats.get::<f64>("articulation-spread").unwrap() > 0.05,
        "{stats}"
    );
    let stats = played("articulation=0.75").unwrap();
    assert_eq!(stats.get("articulation"), Ok(0.75), "{stats}");
    assert_eq!(stats.get("articulation-spread"), Ok(0.0), "{stats}");
}
