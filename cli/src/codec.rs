//! Encoders: which elements encode what, with which quality, and the Debian package that has them.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::container::Container;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VideoCodec {
    H264,
    H265,
    Av1,
    Vp9,
    Prores,
    Ffv1,
}

/// An element that encodes, as words of a pipeline in which `{}` is the quality.
struct Encoder {
    words: &'static str,
    package: &'static str,
    /// What it is given: 4:2:0 in 8 bits, in more bits, or what of its formats is nearest to the video's.
    formats: [Option<&'static str>; 2],
}

const LOWER: [Option<&str>; 2] = [Some("I420"), Some("I420")];
const DEEP: [Option<&str>; 2] = [Some("I420"), Some("I420_10LE")];
const NEAREST: [Option<&str>; 2] = [None, None];

const UGLY: &str = "gstreamer1.0-plugins-ugly";
const BAD: &str = "gstreamer1.0-plugins-bad";
const GOOD: &str = "gstreamer1.0-plugins-good";
const LIBAV: &str = "gstreamer1.0-libav";

impl VideoCodec {
    /// The best first.
    fn encoders(self) -> &'static [Encoder] {
        const fn encoder(
            words: &'static str,
            package: &'static str,
            formats: [Option<&'static str>; 2],
        ) -> Encoder {
            Encoder {
                words,
                package,
                formats,
            }
        }
        match self {
            Self::H264 => {
                const {
                    &[
                        encoder(
                            "x264enc pass=qual quantizer={} speed-preset=faster ! h264parse",
                            UGLY,
                            DEEP,
                        ),
                        encoder(
                            "openh264enc rate-control=off qp-min={} qp-max={} ! h264parse",
                            BAD,
                            LOWER,
                        ),
                    ]
                }
            }
            Self::H265 => {
                const {
                    &[encoder(
                        "x265enc option-string=crf={}:log-level=none speed-preset=faster ! h265parse",
                        BAD,
                        DEEP,
                    )]
                }
            }
            Self::Av1 => {
                const {
                    &[
                        encoder("svtav1enc crf={} preset=8 ! av1parse", BAD, DEEP),
                        encoder(
                            "av1enc end-usage=q min-quantizer={} max-quantizer={} cpu-used=6 row-mt=true ! av1parse",
                            BAD,
                            LOWER,
                        ),
                    ]
                }
            }
            Self::Vp9 => {
                const {
                    &[encoder(
                        "vp9enc end-usage=cq cq-level={} min-quantizer=0 max-quantizer=63 target-bitrate=100000000 \
                     deadline=1 cpu-used=4 row-mt=true threads=4",
                        GOOD,
                        LOWER,
                    )]
                }
            }
            Self::Prores => const { &[encoder("avenc_prores_ks", LIBAV, NEAREST)] },
            Self::Ffv1 => const { &[encoder("avenc_ffv1", LIBAV, NEAREST)] },
        }
    }

    /// Range of the quality, and its default; none where the codec keeps all.
    fn quality(self) -> Option<(u32, u32)> {
        match self {
            Self::H264 => Some((51, 18)),
            Self::H265 => Some((51, 20)),
            Self::Av1 | Self::Vp9 => Some((63, 24)),
            Self::Prores | Self::Ffv1 => None,
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::H264 => "video/x-h264",
            Self::H265 => "video/x-h265",
            Self::Av1 => "video/x-av1",
            Self::Vp9 => "video/x-vp9",
            Self::Prores => "video/x-prores",
            Self::Ffv1 => "video/x-ffv",
        }
    }

    /// Frames of odd width or height are none of 4:2:0.
    pub fn needs_even_size(self) -> bool {
        !matches!(self, Self::Prores | Self::Ffv1)
    }

    pub fn keeps_interlaced(self) -> bool {
        matches!(self, Self::H264 | Self::Prores | Self::Ffv1)
    }

    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn installed(self) -> Option<&'static Encoder> {
        self.encoders()
            .iter()
            .find(|encoder| is_installed(encoder.words))
    }

    /// The codec for a container where none is named.
    pub fn usual(container: &Container, is_deep: bool) -> Self {
        match container.extension() {
            "webm" => Self::Vp9,
            _ if is_deep && Self::H265.installed().is_some() => Self::H265,
            _ => Self::H264,
        }
    }

    /// From raw video to what the muxer takes, as words of a pipeline.
    ///
    /// # Errors
    /// What does not fit together, or what to install.
    pub fn words(self, container: &Container, crf: Option<u32>, is_deep: bool) -> Result<String> {
        let (name, extension) = (self.name(), container.extension());
        if !container.takes(self) {
            let taken = Self::value_variants()
                .iter()
                .filter(|codec| container.takes(**codec));
            let taken: Vec<_> = taken.map(|codec| codec.name()).collect();
            bail!(
                ".{extension} files do not take {name}, only {}",
                taken.join(", ")
            );
        }
        let quality = match (self.quality(), crf) {
            (None, Some(_)) => bail!("--crf says nothing to {name}, which has no such setting"),
            (None, None) => String::new(),
            (Some((worst, _)), Some(crf)) if crf > worst => {
                bail!("--crf {crf}: expected 0 to {worst} for {name}")
            }
            (Some((_, usual)), crf) => crf.unwrap_or(usual).to_string(),
        };
        let Some(encoder) = self.installed() else {
            let packages: Vec<_> = self
                .encoders()
                .iter()
                .map(|encoder| encoder.package)
                .collect();
            bail!(
                "GStreamer has no encoder for {name} here: install {}",
                packages.join(" or ")
            );
        };
        let format = encoder.formats[usize::from(is_deep)]
            .map(|format| format!("video/x-raw,format={format} ! "));
        let words = encoder.words.replace("{}", &quality);
        // What is only carried from one depth to another and back must not be dithered.
        Ok(format!(
            "videoconvert dither=none ! {}{words}",
            format.unwrap_or_default()
        ))
    }
}

/// From raw audio to what the muxer takes, as words of a pipeline.
///
/// # Errors
/// What to install.
pub fn audio_words(container: &Container) -> Result<&'static str> {
    const AAC: [&str; 3] = [
        "avenc_aac bitrate=192000 ! aacparse",
        "fdkaacenc bitrate=192000 ! aacparse",
        "voaacenc bitrate=192000 ! aacparse",
    ];
    const OPUS: [&str; 1] = ["opusenc bitrate=160000 ! opusparse"];
    let (encoders, package): (&[&str], _) = match container.extension() {
        "webm" => (&OPUS, "gstreamer1.0-plugins-base"),
        _ => (&AAC, LIBAV),
    };
    match encoders.iter().find(|words| is_installed(words)) {
        Some(words) => Ok(words),
        None => bail!(
            "GStreamer has no encoder for the audio of .{} files here: install {package}",
            container.extension()
        ),
    }
}

fn is_installed(words: &str) -> bool {
    let element = words.split(' ').next().unwrap_or_default();
    gst::ElementFactory::find(element).is_some()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn words(name: &str, codec: VideoCodec, crf: Option<u32>) -> Result<String> {
        gst::init().unwrap();
        codec.words(&Container::of(Path::new(name)).unwrap(), crf, false)
    }

    #[test]
    fn what_a_container_does_not_take_is_named() {
        let refused = words("a.webm", VideoCodec::H264, None)
            .unwrap_err()
            .to_string();
        assert_eq!(refused, ".webm files do not take h264, only av1, vp9");
        let refused = words("a.mp4", VideoCodec::Prores, None)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("only h264, h265, av1"), "{refused}");
    }

    #[test]
    fn the_quality_has_a_range_and_some_codecs_have_none() {
        let refused = words("a.mp4", VideoCodec::H264, Some(52))
            .unwrap_err()
            .to_string();
        assert_eq!(refused, "--crf 52: expected 0 to 51 for h264");
        let refused = words("a.mov", VideoCodec::Prores, Some(20))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("says nothing to prores"), "{refused}");
    }
}
