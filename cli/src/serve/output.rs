//! Where the programme goes: each output muxes and sends in a pipeline of its own, and is begun again when it fails.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, bail};
use gst::prelude::*;
use gst_utils::ConsumptionLink;

use super::{
    input::{Secret, checked_scheme, scheme, secrets, without_secrets},
    install::{self, Needed},
    log::Log,
    programme::Programme,
    supervise::{Health, State, Stop, keep_going, renew_latency},
    whip::{self, Whip},
};
use crate::pipeline::Pipeline;

/// How long the end of a file may take to be written.
const END: gst::ClockTime = gst::ClockTime::from_seconds(10);
/// Between two looks at whether all is to end.
const LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(20);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    File(PathBuf),
    /// A playlist; its segments lie beside it.
    Hls(PathBuf),
    Address(String),
}

impl FromStr for Output {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = Path::new(text);
        Ok(match path.extension() {
            _ if text.contains("://") => Self::Address(text.to_owned()),
            Some(extension) if extension == "m3u8" => Self::Hls(path.into()),
            _ => Self::File(path.into()),
        })
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::File(path) | Self::Hls(path) => write!(formatter, "{}", path.display()),
            Self::Address(address) => formatter.write_str(&without_secrets(address)),
        }
    }
}

impl Output {
    /// What of it may not be shown.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Address(address) => secrets(address),
            Self::File(_) | Self::Hls(_) => Vec::new(),
        }
    }

    fn is_whip(&self) -> bool {
        matches!(self, Self::Address(address) if matches!(scheme(address), "http" | "https"))
    }

    /// # Errors
    /// For what cannot be written or sent to, files that are there already, and elements that are missing.
    pub fn check(&self, overwrites: bool) -> Result<()> {
        match self {
            Self::File(path) | Self::Hls(path) if path.exists() && !overwrites => {
                bail!("{} exists: --force overwrites it", path.display())
            }
            Self::Hls(path) => {
                check_folder(path)?;
                install::check(&[Needed::bad("hlssink2")])
            }
            Self::File(path) => {
                check_folder(path)?;
                muxer(path).map(drop)
            }
            Self::Address(address) => match checked_scheme(address)? {
                "srt" => install::check(&[Needed::bad("srtsink"), Needed::bad("mpegtsmux")]),
                "rtmp" | "rtmps" => {
                    install::check(&[Needed::bad("rtmp2sink"), Needed::good("flvmux")])
                }
                "udp" => install::check(&[Needed::good("udpsink"), Needed::bad("mpegtsmux")]),
                "rtp" => install::check(&[
                    Needed::good("udpsink"),
                    Needed::good("rtpmp2tpay"),
                    Needed::bad("mpegtsmux"),
                ]),
                "http" | "https" => install::check(&[Needed::good("rtph264pay")]),
                scheme => bail!(
                    "{scheme}:// is no address to send to: expected srt rtmp rtmps rtp udp or, for WHIP, http https"
                ),
            },
        }
    }

    /// From the encoded streams `video` and `audio` to where they go, in the words of gst-launch-1.0.
    fn words(&self) -> Result<String> {
        const TS: &str = "mpegtsmux name=mux alignment=7";
        let rest = match self {
            Self::Hls(_) => {
                return Ok("appsrc name=video ! h264parse ! hls.video appsrc name=audio ! aacparse ! hls.audio \
                     hlssink2 name=hls target-duration=2 playlist-length=6 max-files=12"
                    .into());
            }
            Self::File(path) => format!("{} ! filesink name=file", muxer(path)?),
            Self::Address(address) => match scheme(address) {
                "srt" => format!(
                    "{TS} ! srtsink name=to wait-for-connection=false auto-reconnect=false sync=false"
                ),
                "udp" => format!("{TS} ! udpsink name=packets sync=false"),
                "rtp" => format!("{TS} ! rtpmp2tpay ! udpsink name=packets sync=false"),
                "http" | "https" => return Ok(whip::WORDS.into()),
                _ => "flvmux name=mux streamable=true ! rtmp2sink name=to sync=false".into(),
            },
        };
        Ok(format!(
            "appsrc name=video ! h264parse config-interval=-1 ! queue ! mux. appsrc name=audio ! aacparse ! queue ! mux. {rest}"
        ))
    }

    /// Tells the elements of [`words`](Self::words) what cannot be said in words.
    fn set_up(&self, pipeline: &Pipeline) -> Result<()> {
        match self {
            Self::File(path) => {
                let file: gst::Element = pipeline.element("file")?;
                file.set_property("location", path);
            }
            Self::Hls(path) => {
                let hls: gst::Element = pipeline.element("hls")?;
                let name = path.file_stem().context("a playlist has a name")?;
                let segment = format!("{}-%05d.ts", name.to_string_lossy().replace('%', "%%"));
                let text = |path: PathBuf| path.to_string_lossy().into_owned();
                hls.set_property("playlist-location", text(path.clone()));
                hls.set_property("location", text(path.with_file_name(segment)));
            }
            Self::Address(address) => match scheme(address) {
                "udp" | "rtp" => {
                    let rest = &address[scheme(address).len() + 3..];
                    let rest = rest.split(['/', '?']).next().unwrap_or_default();
                    let parts = rest.rsplit_once(':');
                    let parts =
                        parts.and_then(|(host, port)| Some((host, port.parse::<i32>().ok()?)));
                    let (host, port) =
                        parts.with_context(|| format!("{address}: expected udp://HOST:PORT"))?;
                    let packets: gst::Element = pipeline.element("packets")?;
                    packets.set_property("host", host.trim_matches(['[', ']']));
                    packets.set_property("port", port);
                }
                "http" | "https" => (),
                "srt" => pipeline
                    .element::<gst::Element>("to")?
                    .set_property("uri", address),
                _ => pipeline
                    .element::<gst::Element>("to")?
                    .set_property("location", address),
            },
        }
        Ok(())
    }
}

/// # Errors
/// Where the folder of a file is not there.
fn check_folder(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            bail!("there is no folder {}", folder.display())
        }
        _ => Ok(()),
    }
}

/// The muxer for a file.
fn muxer(path: &Path) -> Result<&'static str> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let (words, needed) = match extension {
        Some("mkv") => ("matroskamux name=mux", Needed::good("matroskamux")),
        // Whole up to the last fragment if it is not ended in order.
        Some("mp4") => (
            "mp4mux name=mux fragment-duration=2000 fragment-mode=first-moov-then-finalise",
            Needed::good("mp4mux"),
        ),
        Some("ts") => ("mpegtsmux name=mux", Needed::bad("mpegtsmux")),
        _ => bail!(
            "{}: expected a file that ends in .mkv, .mp4, .ts or .m3u8, or an address",
            path.display()
        ),
    };
    install::check(&[needed])?;
    Ok(words)
}

/// What `lipsync` puts into the comment of streams whose mouths it has redrawn.
const ALTERED: &str = "mouths-altered-by-lipsync";

/// Sends the programme to one output.
pub struct Sender<'a> {
    pub output: &'a Output,
    pub programme: &'a Programme,
    pub health: &'a Health,
    pub log: &'a Log,
    pub stop: &'a Stop,
    pub whip: &'a Whip,
}

impl Sender<'_> {
    /// Sends until all ends.
    pub fn run(&self) {
        // What a file has already must not be lost.
        let is_worth_trying = !matches!(self.output, Output::File(_));
        keep_going(self.health, self.log, self.stop, is_worth_trying, || {
            self.send()
        });
    }

    fn send(&self) -> Result<()> {
        let pipeline = Pipeline::parse(&self.output.words()?)?;
        self.output.set_up(&pipeline)?;
        self.mark(&pipeline);
        self.programme.share_time_with(&pipeline);
        let _links = self.link(&pipeline)?;
        let mut session = match self.output.is_whip() {
            true => Some(self.whip.begin(self.output_address(), &pipeline)?),
            false => None,
        };
        pipeline.play()?;
        let bus = pipeline.bus().context("a pipeline has a bus")?;
        let mut ends_at = None;
        loop {
            match bus.timed_pop(LOOK).as_ref().map(|message| message.view()) {
                Some(gst::MessageView::Error(error)) => {
                    return Err(crate::pipeline::describe(error));
                }
                Some(gst::MessageView::Eos(_)) => return Ok(()),
                Some(gst::MessageView::Latency(_)) => renew_latency(&pipeline),
                Some(gst::MessageView::Warning(warning)) => {
                    let text = self.health.hide(warning.error().to_string());
                    self.log
                        .warning(format!("output {}: {text}", self.health.name));
                }
                Some(gst::MessageView::StateChanged(change))
                    if session.is_none()
                        && change.current() == gst::State::Playing
                        && change
                            .src()
                            .is_some_and(|src| src == pipeline.upcast_ref::<gst::Object>()) =>
                {
                    self.begun();
                }
                _ => (),
            }
            if let Some(session) = &mut session
                && session.look()?
            {
                self.begun();
            }
            // The programme's own end comes through it; a file is whole only then.
            if self.stop.is_set() {
                let now = pipeline.current_clock_time().unwrap_or_default();
                if session.is_some() {
                    return Ok(());
                }
                if now > *ends_at.get_or_insert(now + END) {
                    bail!("its end was not written within {} s", END.seconds());
                }
            }
        }
    }

    /// Says in what is recorded that mouths were altered: tags of the programme do not come so far.
    fn mark(&self, pipeline: &Pipeline) {
        let muxer = pipeline.by_name("mux");
        let muxer = muxer.and_then(|muxer| muxer.dynamic_cast::<gst::TagSetter>().ok());
        if let Some(muxer) = muxer
            && self.programme.lipsync().property("tag-altered")
        {
            muxer.add_tag::<gst::tags::Comment>(&ALTERED, gst::TagMergeMode::Append);
        }
    }

    fn output_address(&self) -> &str {
        match self.output {
            Output::Address(address) => address,
            Output::File(_) | Output::Hls(_) => "",
        }
    }

    fn begun(&self) {
        if self.health.state() != State::Playing {
            self.health.set(State::Playing, None);
            self.log.info(format!("output {} is on", self.health.name));
        }
    }

    fn link(&self, pipeline: &Pipeline) -> Result<[ConsumptionLink; 2]> {
        let encoded = self.programme.encoded();
        let [h264, aac] = encoded
            .programme
            .as_ref()
            .context("the programme is not encoded")?;
        let audio = match self.output.is_whip() {
            true => &encoded.opus,
            false => aac,
        };
        Ok([
            h264.add_consumer(&pipeline.element("video")?)?,
            audio.add_consumer(&pipeline.element("audio")?)?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_told_apart() {
        gst::init().unwrap();
        let read = |text: &str| text.parse::<Output>().unwrap();
        assert_eq!(read("a/live.m3u8"), Output::Hls("a/live.m3u8".into()));
        assert_eq!(read("a.mkv"), Output::File("a.mkv".into()));
        assert!(read("https://host/whip").is_whip());
        assert_eq!(
            read("rtmp://host/live/key").to_string(),
            "rtmp://host/live/..."
        );
        for text in ["a.txt", "ftp://host"] {
            assert!(read(text).check(false).is_err(), "{text}");
        }
    }
}
