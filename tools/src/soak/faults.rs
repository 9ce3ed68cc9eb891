//! What can go wrong around a pipeline, and doing it.
//!
//! Must not know when, or what comes of it.

use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;

use crate::live_pipeline::LivePipeline;

/// Makes something happen for about the time given, and all well again.
type Inject = fn(&mut LivePipeline, Duration, &mut Rng) -> Result<()>;

pub struct Fault {
    pub name: &'static str,
    inject: Inject,
}

impl Fault {
    pub fn inject(&self, pipeline: &mut LivePipeline, random: &mut Rng) -> Result<()> {
        let time = random_time(random, 500, 4000);
        (self.inject)(pipeline, time, random)
    }
}

const fn fault(name: &'static str, inject: Inject) -> Fault {
    Fault { name, inject }
}

/// Between the two, in milliseconds.
pub fn random_time(random: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(random.u64(least..=most))
}

pub const FAULTS: [Fault; 16] = [
    fault("frames are lost", |pipeline, time, random| {
        let lost = random.u64(5..65);
        pipeline.disturb(time, |now| now.lost_frames = lost)
    }),
    fault("blocks of audio are lost", |pipeline, time, random| {
        let lost = random.u64(5..65);
        pipeline.disturb(time, |now| now.lost_audio = lost)
    }),
    fault("times jitter", |pipeline, time, random| {
        let jitter = random_time(random, 1, 8);
        pipeline.disturb(3 * time, |now| now.jitter = jitter)
    }),
    fault("GAP events in place of both", |pipeline, time, _| {
        pipeline.disturb(time, |now| now.gaps = true)
    }),
    fault("no video for seconds", |pipeline, time, _| {
        pipeline.disturb(time, |now| now.no_video = true)
    }),
    fault("no audio for seconds", |pipeline, time, _| {
        pipeline.disturb(time, |now| now.no_audio = true)
    }),
    fault("the audio jumps", |pipeline, time, random| {
        let lead = random_time(random, 100, 800);
        pipeline.disturb(time, |now| now.lead = lead)
    }),
    fault(
        "size, format or rate of the video change",
        |pipeline, _, random| {
            let next = random.usize(..64);
            pipeline.conditions.change(|now| now.video_format = next);
            Ok(())
        },
    ),
    fault(
        "format, rate or channels of the audio change",
        |pipeline, _, random| {
            let next = random.usize(..64);
            pipeline.conditions.change(|now| now.audio_format = next);
            Ok(())
        },
    ),
    fault("the network is slow", |pipeline, time, random| {
        // Up to ten times what a frame may take.
        let slow = random_time(random, 30, 400);
        pipeline.disturb(time, |now| now.slow = slow)
    }),
    fault("the network fails", |pipeline, time, _| {
        pipeline.disturb(time, |now| now.failing = true)
    }),
    fault("strength and bypass change", |pipeline, time, _| {
        let steps = [
            ("bypass", "true"),
            ("bypass", "false"),
            ("strength", "0"),
            ("strength", "0.5"),
        ];
        for (name, value) in steps {
            pipeline.set(name, value);
            pipeline.wait(time / 4);
        }
        pipeline.set("strength", "1");
        Ok(())
    }),
    fault("a flush", |pipeline, _, random| {
        let both = ["camera", "microphone"];
        pipeline.flush(match random.u8(..3) {
            0 => &both[..1],
            1 => &both[1..],
            _ => &both,
        })
    }),
    fault("the audio pad goes and comes", |pipeline, time, _| {
        pipeline.unlink_audio()?;
        pipeline.wait(time / 4);
        pipeline.link_audio()
    }),
    fault("PLAYING to READY and back", |pipeline, _, random| {
        pipeline.restart(gst::State::Ready, random_time(random, 0, 300))
    }),
    fault("PLAYING to NULL and back", |pipeline, _, random| {
        pipeline.restart(gst::State::Null, random_time(random, 0, 300))
    }),
];
