//! The command line of `serve`.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueHint};

use super::{input::Input, output::Output};
use crate::arguments::property;

/// Tokens that can be guessed are none.
const SHORTEST_TOKEN: usize = 16;

const EXAMPLES: &str = "\
Examples:
  gst-lipsync-1.0 serve --input test
  gst-lipsync-1.0 serve --input camera --output rtmp://live.example.com/app/key
  gst-lipsync-1.0 serve --input 'srt://:7000?mode=listener' --output 'srt://:7001?mode=listener' --output programme.mkv

Then open the address that is printed in a browser.";

/// Runs a live programme and serves a web page that controls it
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// `camera` or `camera:DEVICE`, `test` (a painting that speaks), a file, or an address that begins with
    /// srt:// rtmp:// rtsp:// rtp:// udp:// http:// or https://
    #[arg(short, long, value_hint = ValueHint::FilePath)]
    pub input: Input,
    /// A file (.mkv .mp4 .ts), an HLS playlist (.m3u8), or an address that begins with srt:// rtmp:// rtp:// udp:// or,
    /// for WHIP, http:// or https://; may be repeated [default: only the preview on the page]
    #[arg(short, long, value_hint = ValueHint::FilePath)]
    pub output: Vec<Output>,
    /// Play a file once and end with it, not over and over
    #[arg(long)]
    pub once: bool,
    /// Overwrite an output where it exists
    #[arg(short, long)]
    pub force: bool,

    /// Size of the programme; what comes in is scaled to it
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x720")]
    pub size: Size,
    /// Frames a second of the programme, such as 25 or 30000/1001
    #[arg(long, value_name = "FPS", default_value = "25")]
    pub rate: Rate,
    /// How much the video of an output takes, in kbit/s
    #[arg(long, value_name = "KBITS", default_value_t = 4000,
        value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub bitrate: u32,

    /// Another model than the built-in one; repeated, the page offers all of them and begins with the first
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub model: Vec<PathBuf>,
    /// How many faces speak at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub faces: u32,
    /// A property of the element lipsync, as gst-inspect-1.0 lists them; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    pub set: Vec<(String, String)>,

    /// Where the page is served
    #[arg(
        short,
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,
    /// File with the token that requests have to bring; needed unless only this machine is served
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
    /// File with the token that WHIP outputs send
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub whip_token_file: Option<PathBuf>,
    /// STUN server for WebRTC beyond this network, such as stun://stun.example.com:3478
    #[arg(long, value_name = "ADDRESS")]
    pub stun: Option<String>,
}

impl Options {
    /// The token that requests have to bring.
    ///
    /// # Errors
    /// Where other machines are served without one, or its file cannot be read.
    pub fn token(&self) -> Result<Option<String>> {
        let Some(file) = &self.token_file else {
            if !self.listen.ip().is_loopback() {
                bail!(
                    "{} can be reached from other machines: --token-file has to name a file with a token",
                    self.listen
                );
            }
            return Ok(None);
        };
        let token = read_token(file)?;
        if token.len() < SHORTEST_TOKEN {
            bail!(
                "the token in {} has {} characters, expected {SHORTEST_TOKEN} or more",
                file.display(),
                token.len()
            );
        }
        Ok(Some(token))
    }

    /// The token that WHIP outputs send.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub fn whip_token(&self) -> Result<Option<String>> {
        self.whip_token_file.as_ref().map(read_token).transpose()
    }
}

/// A token goes into headers, and into the name of a WebSocket's protocol.
fn read_token(file: impl AsRef<Path>) -> Result<String> {
    let file = file.as_ref();
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let token = text.trim();
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || "-._~+".contains(letter);
    if token.is_empty() || !token.chars().all(is_fit) {
        bail!("the token in {name} has to consist of letters, digits and - . _ ~ +");
    }
    Ok(token.to_owned())
}

/// Width and height in pixels, even, as encoders take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |text: &str| -> Option<u32> {
            let side = text.parse().ok()?;
            ((64..=8192).contains(&side) && side % 2 == 0).then_some(side)
        };
        text.split_once('x')
            .and_then(|(width, height)| {
                Some(Self {
                    width: side(width)?,
                    height: side(height)?,
                })
            })
            .ok_or("expected WIDTHxHEIGHT, as in 1280x720, even numbers from 64 to 8192")
    }
}

/// Frames a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub numer: u32,
    pub denom: u32,
}

impl Rate {
    /// How long a frame lasts.
    pub fn frame(self) -> gst::ClockTime {
        gst::ClockTime::SECOND * u64::from(self.denom) / u64::from(self.numer)
    }

    pub fn frames_per_second(self) -> f64 {
        f64::from(self.numer) / f64::from(self.denom)
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (numer, denom) = text.split_once('/').unwrap_or((text, "1"));
        let rate = numer.parse().ok().zip(denom.parse().ok());
        rate.map(|(numer, denom)| Self { numer, denom })
            .filter(|rate| rate.denom > 0 && (1.0..=120.0).contains(&rate.frames_per_second()))
            .ok_or("expected frames a second from 1 to 120, as in 25 or 30000/1001")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_are_read() {
        let size = Size {
            width: 1920,
            height: 1080,
        };
        assert_eq!("1920x1080".parse(), Ok(size));
        for text in ["", "1920", "1921x1080", "0x0", "99999x10", "-2x2"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        let rate: Rate = "30000/1001".parse().unwrap();
        assert_eq!(rate.frame().nseconds(), 33_366_666);
        for text in ["", "0", "25/0", "500", "x", "1/2"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
