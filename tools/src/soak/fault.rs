//! What can go wrong at a station, and doing it.
//!
//! Must not know when, or what comes of it.

use std::time::Duration;

use anyhow::Result;

use crate::{station::Station, weather::Dice};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    LostFrames,
    LostSound,
    Jitter,
    Gaps,
    NoPicture,
    NoSound,
    SoundJump,
    PictureFormat,
    SoundFormat,
    SlowNetwork,
    FailingNetwork,
    Controls,
    Flush,
    SoundPad,
    Ready,
    Null,
}

impl Fault {
    pub const ALL: [Self; 16] = [
        Self::LostFrames,
        Self::LostSound,
        Self::Jitter,
        Self::Gaps,
        Self::NoPicture,
        Self::NoSound,
        Self::SoundJump,
        Self::PictureFormat,
        Self::SoundFormat,
        Self::SlowNetwork,
        Self::FailingNetwork,
        Self::Controls,
        Self::Flush,
        Self::SoundPad,
        Self::Ready,
        Self::Null,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::LostFrames => "frames are lost",
            Self::LostSound => "blocks of sound are lost",
            Self::Jitter => "times jitter",
            Self::Gaps => "GAP events in place of both",
            Self::NoPicture => "no picture for seconds",
            Self::NoSound => "no sound for seconds",
            Self::SoundJump => "the sound jumps",
            Self::PictureFormat => "size, format or rate of the picture change",
            Self::SoundFormat => "format, rate or channels of the sound change",
            Self::SlowNetwork => "the network is slow",
            Self::FailingNetwork => "the network fails",
            Self::Controls => "strength and bypass change",
            Self::Flush => "a flush",
            Self::SoundPad => "the audio pad goes and comes",
            Self::Ready => "PLAYING to READY and back",
            Self::Null => "PLAYING to NULL and back",
        }
    }

    /// Makes it happen, and all well again.
    pub fn strike(self, station: &mut Station, dice: &mut Dice) -> Result<()> {
        let seconds = dice.time(500, 4000);
        match self {
            Self::LostFrames => {
                let lost = 5 + dice.below(60);
                station.sky.change(|weather| weather.lost_frames = lost);
                station.wait(seconds);
                station.sky.change(|weather| weather.lost_frames = 0);
            }
            Self::LostSound => {
                let lost = 5 + dice.below(60);
                station.sky.change(|weather| weather.lost_sound = lost);
                station.wait(seconds);
                station.sky.change(|weather| weather.lost_sound = 0);
            }
            Self::Jitter => {
                let jitter = dice.time(1, 8);
                station.sky.change(|weather| weather.jitter = jitter);
                station.wait(3 * seconds);
                station
                    .sky
                    .change(|weather| weather.jitter = Duration::ZERO);
            }
            Self::Gaps => {
                station.sky.change(|weather| weather.gaps = true);
                station.wait(seconds);
                station.sky.change(|weather| weather.gaps = false);
            }
            Self::NoPicture => {
                station.sky.change(|weather| weather.no_picture = true);
                station.wait(seconds);
                station.sky.change(|weather| weather.no_picture = false);
            }
            Self::NoSound => {
                station.sky.change(|weather| weather.no_sound = true);
                station.wait(seconds);
                station.sky.change(|weather| weather.no_sound = false);
            }
            Self::SoundJump => {
                let lead = dice.time(100, 800);
                station.sky.change(|weather| weather.lead = lead);
                station.wait(seconds);
                station.sky.change(|weather| weather.lead = Duration::ZERO);
            }
            Self::PictureFormat => {
                let next = dice.below(64) as usize;
                station.sky.change(|weather| weather.picture = next);
            }
            Self::SoundFormat => {
                let next = dice.below(64) as usize;
                station.sky.change(|weather| weather.sound = next);
            }
            Self::SlowNetwork => {
                // Up to ten times what a frame may take.
                let slow = dice.time(30, 400);
                station.sky.change(|weather| weather.slow = slow);
                station.wait(seconds);
                station.sky.change(|weather| weather.slow = Duration::ZERO);
            }
            Self::FailingNetwork => {
                station.sky.change(|weather| weather.failing = true);
                station.wait(seconds);
                station.sky.change(|weather| weather.failing = false);
            }
            Self::Controls => {
                station.set("bypass", "true");
                station.wait(seconds / 4);
                station.set("bypass", "false");
                station.set("strength", "0");
                station.wait(seconds / 4);
                station.set("strength", "0.5");
                station.wait(seconds / 4);
                station.set("strength", "1");
            }
            Self::Flush => {
                let both = ["camera", "microphone"];
                station.flush(match dice.below(3) {
                    0 => &both[..1],
                    1 => &both[1..],
                    _ => &both,
                })?;
            }
            Self::SoundPad => {
                station.stop_listening()?;
                station.wait(seconds / 4);
                station.listen()?;
            }
            Self::Ready => {
                station.stop(gst::State::Ready)?;
                station.wait(dice.time(0, 300));
                station.play()?;
            }
            Self::Null => {
                station.stop(gst::State::Null)?;
                station.wait(dice.time(0, 300));
                station.play()?;
            }
        }
        Ok(())
    }
}
