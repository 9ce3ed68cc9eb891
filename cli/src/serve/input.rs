//! What can be played, and how, in the words of gst-launch-1.0.
//!
//! Must not know what becomes of it.

use std::{convert::Infallible, path::PathBuf, str::FromStr};

use anyhow::{Result, bail};

use super::{
    install::{self, Needed},
    options::{Rate, Size},
};

/// What a camera's microphone, a file's second and a network's delay have in common: this much waits in a queue at most.
const QUEUE: &str = "queue max-size-buffers=0 max-size-bytes=0 max-size-time=1000000000";
/// Milliseconds for which packets are kept to be put in order.
const JITTER: u32 = 200;

/// Where the programme comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A camera, the usual one or a device, and the usual microphone.
    Camera(Option<String>),
    /// A painting that speaks.
    Test,
    File(PathBuf),
    Address(String),
}

impl FromStr for Input {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "test" => Self::Test,
            "camera" => Self::Camera(None),
            _ if text.contains("://") => Self::Address(text.to_owned()),
            _ => match text.strip_prefix("camera:") {
                Some(device) => Self::Camera(Some(device.to_owned())),
                None => Self::File(text.into()),
            },
        })
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Camera(None) => formatter.write_str("camera"),
            Self::Camera(Some(device)) => write!(formatter, "camera:{device}"),
            Self::Test => formatter.write_str("test"),
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Address(address) => formatter.write_str(&without_secrets(address)),
        }
    }
}

impl Input {
    /// What of it may not be shown.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Address(address) => secrets(address),
            Self::Camera(_) | Self::Test | Self::File(_) => Vec::new(),
        }
    }

    /// Whether it has an end after which nothing can come any more.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// # Errors
    /// For addresses that nothing can read, files that are not there, and elements that are missing.
    pub fn check(&self) -> Result<()> {
        install::check(&[
            Needed::base("uridecodebin"),
            Needed::base("videorate"),
            Needed::good("deinterlace"),
        ])?;
        match self {
            Self::Camera(_) => {
                install::check(&[Needed::good("v4l2src"), Needed::good("autoaudiosrc")])
            }
            Self::Test => install::check(&[Needed::good("jpegdec"), Needed::good("imagefreeze")]),
            Self::File(path) if path.is_file() => Ok(()),
            Self::File(path) => bail!(
                "{} is not a file, an address, `camera` or `test`",
                path.display()
            ),
            Self::Address(address) => match checked_scheme(address)? {
                "srt" => install::check(&[Needed::bad("srtsrc"), Needed::bad("tsdemux")]),
                "rtmp" | "rtmps" => install::check(&[Needed::bad("rtmp2src")]),
                "rtsp" | "rtsps" => install::check(&[Needed::good("rtspsrc")]),
                "udp" => install::check(&[Needed::good("udpsrc"), Needed::bad("tsdemux")]),
                "rtp" => install::check(&[
                    Needed::good("udpsrc"),
                    Needed::good("rtpmp2tdepay"),
                    Needed::bad("tsdemux"),
                ]),
                "http" | "https" => install::check(&[Needed::good("souphttpsrc")]),
                "file" => Ok(()),
                scheme => bail!(
                    "{scheme}:// is no address that can be played: expected srt rtmp rtmps rtsp rtsps rtp udp http https"
                ),
            },
        }
    }

    /// Up to decoded streams: the element `decoder` has them on pads of its own, or they go to `video.` and `audio.`.
    pub fn words(&self) -> String {
        match self {
            Self::Camera(_) => {
                "v4l2src name=camera ! decodebin name=decoder autoaudiosrc ! audio.".into()
            }
            // Frames and samples come from this program.
            Self::Test => "appsrc name=painting format=time caps=image/jpeg ! jpegdec ! imagefreeze ! video. \
                 appsrc name=speech format=time caps=audio/x-raw,format=S16LE,layout=interleaved,rate=16000,channels=1 ! audio."
                .into(),
            Self::Address(address) if scheme(address) == "udp" => {
                "udpsrc name=packets caps=video/mpegts,systemstream=true ! decodebin name=decoder".into()
            }
            Self::Address(address) if scheme(address) == "rtp" => format!(
                "udpsrc name=packets caps=application/x-rtp,media=video,clock-rate=90000,encoding-name=MP2T \
                 ! rtpjitterbuffer latency={JITTER} ! rtpmp2tdepay ! decodebin name=decoder"
            ),
            Self::File(_) | Self::Address(_) => "uridecodebin name=decoder".into(),
        }
    }

    /// Tells the elements of [`words`](Self::words) what cannot be said in words.
    ///
    /// # Errors
    /// For a path that is no address.
    pub fn set_up(&self, pipeline: &crate::pipeline::Pipeline) -> Result<()> {
        use gst::prelude::*;
        match self {
            Self::Camera(Some(device)) => {
                let camera: gst::Element = pipeline.element("camera")?;
                camera.set_property("device", device);
            }
            Self::Camera(None) => (),
            Self::Test => super::test_input::set_up(pipeline)?,
            Self::Address(address) if matches!(scheme(address), "udp" | "rtp") => {
                let packets: gst::Element = pipeline.element("packets")?;
                packets.set_property("uri", format!("udp{}", &address[scheme(address).len()..]));
            }
            Self::File(path) => {
                let path = std::path::absolute(path)?;
                let decoder: gst::Element = pipeline.element("decoder")?;
                decoder.set_property("uri", gst::glib::filename_to_uri(path, None)?);
            }
            Self::Address(address) => {
                let decoder: gst::Element = pipeline.element("decoder")?;
                decoder.set_property("uri", address);
                decoder.connect("source-setup", false, |values| {
                    let source: gst::Element = values.get(1)?.get().ok()?;
                    if source
                        .factory()
                        .is_some_and(|factory| factory.name() == "rtspsrc")
                    {
                        source.set_property("latency", JITTER);
                    }
                    None
                });
            }
        }
        Ok(())
    }
}

/// From what comes in to the programme's own format: the queues `video` and `audio`, the sinks `frames` and `samples`. The sinks
/// pace what comes faster than it is to be shown; neither waits for the other to have something.
pub fn normalised(size: Size, rate: Rate) -> String {
    let (video, audio) = (video_caps(size, rate), AUDIO_CAPS);
    format!(
        "{QUEUE} name=video ! videoconvert ! deinterlace ! videoflip video-direction=auto ! videoscale add-borders=true \
         ! videorate skip-to-first=true ! videoconvert ! {video} ! appsink name=frames async=false max-buffers=8 \
         {QUEUE} name=audio ! audioconvert ! audioresample ! {audio} ! appsink name=samples async=false max-buffers=32"
    )
}

/// What the programme's audio is made of.
pub const AUDIO_RATE: u64 = 48_000;
pub const AUDIO_CAPS: &str = "audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=2";
/// Bytes of a sample of both channels.
pub const AUDIO_FRAME: usize = 4;

pub fn video_caps(size: Size, rate: Rate) -> String {
    let (Size { width, height }, Rate { numer, denom }) = (size, rate);
    format!(
        "video/x-raw,format=I420,width={width},height={height},framerate={numer}/{denom},pixel-aspect-ratio=1/1,\
         interlace-mode=progressive,colorimetry=bt709,chroma-site=mpeg2"
    )
}

/// The scheme of an address that has what it needs.
///
/// # Errors
/// What is expected.
pub fn checked_scheme(address: &str) -> Result<&str> {
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = authority.split('/').next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let port = authority.rsplit_once(':');
    let port = port.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let shown = without_secrets(address);
    match (scheme, port) {
        ("srt", Some(("", _))) if !query.split('&').any(|part| part == "mode=listener") => {
            bail!(
                "{shown} has no host: expected srt://HOST:PORT, or srt://:PORT?mode=listener to be called"
            )
        }
        ("srt", None) => bail!("{shown}: expected srt://HOST:PORT"),
        ("udp" | "rtp", None | Some(("", _))) => {
            bail!("{shown}: expected {scheme}://ADDRESS:PORT, such as {scheme}://0.0.0.0:5000")
        }
        (_, _) if authority.is_empty() && scheme != "file" => {
            bail!("{shown} has no host: expected {scheme}://HOST/...")
        }
        _ => Ok(scheme),
    }
}

/// What is before `://`.
pub fn scheme(address: &str) -> &str {
    address.split_once("://").map_or("", |(scheme, _)| scheme)
}

/// Something that may not be shown, and what is shown in its place.
pub type Secret = [String; 2];

/// What of an address may not be shown: who asks with which password, what follows a question mark, and the last part of a
/// path of RTMP, the key under which it is published.
pub fn secrets(address: &str) -> Vec<Secret> {
    let (_, rest) = address.split_once("://").unwrap_or_default();
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let user = host.rsplit_once('@').map(|(user, _)| user);
    let key = path.rsplit_once('/').map(|(_, key)| key);
    let key = key.filter(|_| scheme(address).starts_with("rtmp"));
    [("?", query, ""), ("//", user, "@"), ("/", key, "")]
        .into_iter()
        .filter_map(|(before, secret, behind)| {
            let shown = |text| format!("{before}{text}{behind}");
            Some([shown(secret?), shown("...")])
        })
        .collect()
}

/// An address as it may be shown.
pub fn without_secrets(address: &str) -> String {
    hide(address.to_owned(), &secrets(address))
}

/// A text without secrets.
pub fn hide(text: String, secrets: &[Secret]) -> String {
    let hidden = |text: String, [secret, shown]: &Secret| text.replace(secret, shown);
    secrets.iter().fold(text, hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_told_apart() {
        let read = |text: &str| text.parse::<Input>().unwrap();
        assert_eq!(read("test"), Input::Test);
        assert_eq!(
            read("camera:/dev/video2"),
            Input::Camera(Some("/dev/video2".into()))
        );
        assert_eq!(read("a b.mp4"), Input::File("a b.mp4".into()));
        assert_eq!(
            read("srt://:7000?mode=listener"),
            Input::Address("srt://:7000?mode=listener".into())
        );
        gst::init().unwrap();
        assert!(read("ftp://a/b").check().is_err());
        assert!(read("nowhere.mp4").check().is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        for (address, shown) in [
            ("rtmp://host/live/secret", "rtmp://host/live/..."),
            ("rtsp://user:secret@host:554/one", "rtsp://...@host:554/one"),
            ("srt://host:7000?passphrase=secret", "srt://host:7000?..."),
            ("https://host/whip/one", "https://host/whip/one"),
        ] {
            assert_eq!(without_secrets(address), shown);
        }
    }
}
