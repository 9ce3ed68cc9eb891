//! Strength and bypass that change while frames flow: the picture moves, it does not jump.

use std::sync::Arc;

use crate::{common::*, picture::Picture};
use gst::prelude::*;
use gst_controller::prelude::*;
use lipsync_core::{
    Error,
    assembly::Config,
    catalogue::Source,
    face::Face,
    generator::{Brush, Brushes, Generator, Heard, Hearing, Look, Sketch, Spot},
    pixels::View,
    render::{Controls, Engine, Fade, Silence},
    sound::Sound,
};

/// Draws white, as far as the strength goes.
struct White;

impl Generator for White {
    fn name(&self) -> &str {
        "white"
    }

    fn hearing(&self) -> Hearing {
        Hearing {
            spectrum: lipsync_core::sound::Spectrum::Mel,
            columns: COLUMNS,
            look_ahead_ns: 0,
            raises_voice: false,
        }
    }

    fn needs_face(&self) -> bool {
        false
    }

    fn brushes(&self) -> Brushes {
        Box::new(|| Box::new(Shade))
    }

    fn listen(&mut self, _heard: &Heard, _out: &mut Vec<f32>) -> Result<(), Error> {
        Ok(())
    }

    fn draw(&mut self, _sketches: &mut [Sketch]) -> Result<(), Error> {
        Ok(())
    }
}

struct Shade;

/// Brightness at strength 1, above that of a frame left alone.
const WHITE: f32 = 100.0;

impl Brush for Shade {
    fn paint(
        &mut self,
        view: &mut View,
        _face: Option<&Face>,
        look: &Look,
        _spot: &mut Spot,
        _drawn: &[f32],
    ) {
        for byte in view.planes[0].data.iter_mut() {
            *byte = (*byte).saturating_add((look.strength * WHITE).round() as u8);
        }
    }
}

/// An element whose frames the test sends one by one, with all the sound they need.
struct OneByOne {
    rig: Rig,
    pictures: Pictures,
    next: u64,
    _sound: Feeding,
}

impl OneByOne {
    fn new(element: gst::Element) -> Self {
        let rig = Rig::stopped(element, FILE, true);
        rig.play();
        let pictures = Pictures::at(25, 1);
        for item in begin("video", &pictures.caps(), &segment_from(0)) {
            if let Item::Event(event) = item {
                assert!(rig.video.push_event(event));
            }
        }
        let sound = rig.feed(Vec::new(), Tones::silent(4_000 * MS).stream());
        Self {
            rig,
            pictures,
            next: 0,
            _sound: sound,
        }
    }

    /// Strength that the next frame shows.
    fn strength(&mut self) -> f32 {
        let index = self.next;
        self.next += 1;
        self.rig.video.push(self.pictures.frame(index)).unwrap();
        let buffer = self.rig.next_buffer();
        assert_eq!(buffer.offset(), index);
        (f32::from(shown(&buffer)) - f32::from(index as u8)) / WHITE
    }

    fn strengths(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.strength()).collect()
    }
}

fn white() -> gst::Element {
    let element = element_with(Source::Custom(Arc::new(|| Box::new(White))));
    element.set_property_from_str("silence", "animate");
    element
}

fn assert_close(found: &[f32], expected: &[f32]) {
    let is_close = |(a, b): (&f32, &f32)| (a - b).abs() < 0.011;
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(is_close),
        "{found:?}, expected {expected:?}"
    );
}

#[test]
fn bypass_and_strength_move_within_the_fade_time() {
    let mut frames = OneByOne::new(white());
    assert_close(&frames.strengths(3), &[1.0; 3]);
    let element = frames.rig.element.clone();
    element.set_property("bypass", true);
    assert_close(&frames.strengths(7), &[0.8, 0.6, 0.4, 0.2, 0.0, 0.0, 0.0]);
    assert_eq!(frames.rig.stat("frames-bypassed"), 3);
    element.set_property("bypass", false);
    element.set_property("strength", 0.5);
    assert_close(&frames.strengths(4), &[0.2, 0.4, 0.5, 0.5]);
    element.set_property("strength", 1.5);
    element.set_property("fade-time", 80 * MS);
    assert_close(&frames.strengths(3), &[1.0, 1.5, 1.5]);
    element.set_property("fade-time", 0_u64);
    element.set_property("bypass", true);
    assert_close(&frames.strengths(2), &[0.0, 0.0]);
}

#[test]
fn a_flush_does_not_fade() {
    let mut frames = OneByOne::new(white());
    assert_close(&frames.strengths(2), &[1.0; 2]);
    frames.rig.element.set_property("strength", 0.0);
    assert_close(&frames.strengths(1), &[0.8]);
    let pad = &frames.rig.video;
    assert!(pad.push_event(gst::event::FlushStart::new()));
    assert!(pad.push_event(gst::event::FlushStop::new(true)));
    assert!(pad.push_event(gst::event::Segment::new(&segment_from(0))));
    assert_close(&frames.strengths(1), &[0.0]);
}

/// `strength` of an element under a curve that is there from the first frame on.
fn curve(mode: gst_controller::InterpolationMode, points: &[(u64, f64)]) -> OneByOne {
    let element = white();
    let source = gst_controller::InterpolationControlSource::new();
    source.set_mode(mode);
    for &(ms, value) in points {
        assert!(source.set(gst::ClockTime::from_mseconds(ms), value));
    }
    let binding = gst_controller::DirectControlBinding::new_absolute(&element, "strength", &source);
    element.add_control_binding(&binding).unwrap();
    OneByOne::new(element)
}

#[test]
fn a_curve_is_followed_exactly_where_it_is_no_steeper_than_a_fade() {
    let points = [(0, 0.0), (400, 1.0), (800, 0.2)];
    let mut frames = curve(gst_controller::InterpolationMode::Linear, &points);
    let expected: Vec<_> = (0..20)
        .map(|index| match index {
            0..10 => index as f32 * 0.1,
            _ => 1.0 - (index - 10) as f32 * 0.08,
        })
        .collect();
    assert_close(&frames.strengths(20), &expected);

    let mut frames = curve(
        gst_controller::InterpolationMode::None,
        &[(0, 0.0), (200, 1.0)],
    );
    assert_close(
        &frames.strengths(11),
        &[0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0],
    );
}

/// Mean difference of all bytes.
fn difference(a: &Picture, b: &Picture) -> f64 {
    let sum: u64 = a
        .data
        .iter()
        .zip(&b.data)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.data.len() as f64
}

#[test]
fn the_built_in_mouth_moves_out_and_in_without_a_click() {
    let Some(painting) = Picture::load("young-woman-in-mauve.jpg") else {
        return;
    };
    let mut engine = match Engine::new(&Config::default()) {
        Ok((engine, _)) => engine,
        Err(err @ Error::RuntimeMissing { .. }) => {
            println!("skipped: {err}");
            return;
        }
        Err(err) => panic!("{err}"),
    };
    const FRAME_NS: i64 = 40_000_000;
    const FADE_FRAMES: i64 = 5;
    let mut sound = Sound::new();
    sound.finish();
    let mut fade = Fade::default();
    let mut before: Option<Picture> = None;
    let mut steps = Vec::new();
    let mut most = 0.0_f64;
    for frame in 0..50 {
        let mut picture = painting.clone();
        let time_ns = frame * FRAME_NS;
        // A mouth that moves more than it should, so that there is something to see.
        let expected = Controls {
            strength: 1.0,
            bypass: (20..35).contains(&frame),
            silence: Silence::Animate,
            ..Controls::default()
        };
        let controls = fade.follow(expected, time_ns, FADE_FRAMES * FRAME_NS);
        engine
            .process(&mut picture.view(), time_ns, &mut sound, &[], &controls)
            .expect("inference works");
        most = most.max(difference(&picture, &painting));
        if let Some(before) = before.replace(picture.clone())
            && frame > 10
        {
            steps.push(difference(&picture, &before));
        }
    }
    let largest = steps.iter().copied().fold(0.0, f64::max);
    println!("mouth {most:.4}, steps {steps:.4?}");
    assert!(
        largest < 2.0 * most / FADE_FRAMES as f64,
        "a step of {largest:.4}, a mouth of {most:.4}: {steps:.4?}"
    );
}
