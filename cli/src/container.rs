//! Files to write: which muxer makes them, and what it takes. What it takes is asked of the muxer itself.

use std::path::Path;

use anyhow::{Context, Result, bail};
use gst::prelude::*;

use crate::{codec::VideoCodec, input::Kind};

/// A kind of file, known by its extension.
pub struct Container {
    extension: &'static str,
    factory: gst::ElementFactory,
    muxer: &'static str,
}

/// Muxers by the extension of their files.
const MUXERS: [(&str, &str); 7] = [
    ("mp4", "mp4mux"),
    ("m4v", "mp4mux"),
    ("mov", "qtmux"),
    ("mkv", "matroskamux"),
    ("webm", "webmmux"),
    ("ts", "mpegtsmux"),
    ("mts", "mpegtsmux"),
];

/// Fields of caps that parsers change.
const PARSED: [&str; 6] = [
    "stream-format",
    "alignment",
    "framed",
    "parsed",
    "codec_data",
    "header-format",
];

impl Container {
    /// # Errors
    /// Which extensions there are, or what is not installed.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|end| end.to_ascii_lowercase());
        let known = MUXERS
            .into_iter()
            .find(|(known, _)| extension.as_deref().is_some_and(|end| end == *known));
        let Some((extension, muxer)) = known else {
            let known = MUXERS
                .map(|(extension, _)| format!(".{extension}"))
                .join(" ");
            bail!(
                "{}: files of this name are not written, only {known}",
                path.display()
            );
        };
        let package = match muxer {
            "mpegtsmux" => "gstreamer1.0-plugins-bad",
            _ => "gstreamer1.0-plugins-good",
        };
        let factory = gst::ElementFactory::find(muxer)
            .with_context(|| format!("GStreamer has no `{muxer}` here: install {package}"))?;
        Ok(Self {
            extension,
            factory,
            muxer,
        })
    }

    pub fn extension(&self) -> &'static str {
        self.extension
    }

    /// The muxer and its file, as words of a pipeline: elements `mux` and `out`, with a prefix.
    pub fn words(&self, prefix: &str) -> String {
        let options = match self.muxer {
            "matroskamux" | "webmmux" => "offset-to-zero=true",
            _ => "",
        };
        format!(
            "{} name={prefix}mux {options} ! filesink name={prefix}out",
            self.muxer
        )
    }

    /// Where a stream is linked, as in a pipeline's words: the `index`th of its kind.
    pub fn pad(&self, prefix: &str, kind: Kind, index: usize) -> String {
        match (self.muxer, kind) {
            ("mpegtsmux", _) => format!("{prefix}mux."),
            (_, Kind::Video) => format!("{prefix}mux.video_{index}"),
            (_, Kind::Audio) => format!("{prefix}mux.audio_{index}"),
            _ => format!("{prefix}mux.subtitle_{index}"),
        }
    }

    /// What the muxer needs before itself to take such a stream as it is: a parser, or nothing; `None` where it
    /// does not take it.
    pub fn copies(&self, caps: &gst::Caps, kind: Kind) -> Option<String> {
        if self.muxer == "mp4mux" && is_raw_audio(caps) {
            // Newer ones write it, and few players read it.
            return None;
        }
        let sinks = self.sink_caps(kind);
        let mut loose = caps.clone();
        for structure in loose.make_mut().iter_mut() {
            structure.remove_fields(PARSED);
            if structure.name() == "text/x-raw" {
                // Markup is taken off.
                structure.remove_field("format");
            }
        }
        if !sinks.can_intersect(&loose) {
            return None;
        }
        Some(parser(caps, &sinks).map_or_else(String::new, |parser| format!("{parser} ! ")))
    }

    /// Whether it takes video of that codec.
    pub fn takes(&self, codec: VideoCodec) -> bool {
        let caps = gst::Caps::new_empty_simple(codec.media_type());
        self.sink_caps(Kind::Video).can_intersect(&caps)
    }

    /// Whether chapters can be written.
    pub fn has_chapters(&self) -> bool {
        self.factory.has_interface("GstTocSetter")
    }

    fn sink_caps(&self, kind: Kind) -> gst::Caps {
        let prefix = match (self.muxer, kind) {
            ("mpegtsmux", _) => "sink",
            (_, Kind::Video) => "video",
            (_, Kind::Audio) => "audio",
            (_, Kind::Subtitles) => "subtitle",
            (_, Kind::Other) => "none",
        };
        let templates = self.factory.static_pad_templates();
        let mut caps = gst::Caps::new_empty();
        for template in templates.iter() {
            if template.direction() == gst::PadDirection::Sink
                && template.name_template().starts_with(prefix)
            {
                caps.merge(template.caps());
            }
        }
        caps
    }
}

fn is_raw_audio(caps: &gst::Caps) -> bool {
    caps.structure(0)
        .is_some_and(|structure| structure.name() == "audio/x-raw")
}

/// An element that brings a stream into the form that the muxer takes, where there is one.
fn parser(caps: &gst::Caps, muxer: &gst::Caps) -> Option<String> {
    let parsers = gst::ElementFactory::factories_with_type(
        gst::ElementFactoryType::PARSER,
        gst::Rank::MARGINAL,
    );
    let mut fitting: Vec<_> = parsers
        .into_iter()
        .filter(|parser| parser.can_sink_any_caps(caps) && gives(parser, muxer))
        .collect();
    fitting.sort_by_key(|parser| std::cmp::Reverse(parser.rank()));
    fitting.first().map(|parser| parser.name().to_string())
}

fn gives(parser: &gst::ElementFactory, caps: &gst::Caps) -> bool {
    parser.static_pad_templates().iter().any(|template| {
        template.direction() == gst::PadDirection::Src
            && !template.caps().is_any()
            && template.caps().can_intersect(caps)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str) -> Container {
        gst::init().unwrap();
        Container::of(Path::new(name)).unwrap()
    }

    fn copies(name: &str, caps: &str, kind: Kind) -> Option<String> {
        container(name).copies(&caps.parse().unwrap(), kind)
    }

    #[test]
    fn the_extension_chooses_the_muxer() {
        assert_eq!(container("a/b.MKV").muxer, "matroskamux");
        for unknown in ["b.avi", "b", ".mp4", "mp4"] {
            let refused = Container::of(Path::new(unknown)).err().unwrap().to_string();
            assert!(refused.contains(".mp4 .m4v .mov .mkv"), "{refused}");
        }
    }

    #[test]
    fn audio_is_copied_where_the_container_takes_it() {
        let aac = "audio/mpeg, mpegversion=4, stream-format=adts, rate=48000, channels=2";
        let raw = "audio/x-raw, format=S16LE, layout=interleaved, rate=48000, channels=2";
        for name in ["a.mp4", "a.mov", "a.mkv"] {
            assert_eq!(
                copies(name, aac, Kind::Audio).as_deref(),
                Some("aacparse ! "),
                "{name}"
            );
        }
        assert_eq!(copies("a.mov", raw, Kind::Audio).as_deref(), Some(""));
        assert_eq!(copies("a.mkv", raw, Kind::Audio).as_deref(), Some(""));
        for (name, caps) in [("a.mp4", raw), ("a.webm", aac), ("a.ts", raw)] {
            assert_eq!(copies(name, caps, Kind::Audio), None, "{name}");
        }
        assert!(copies("a.mp4", "text/x-raw, format=utf8", Kind::Subtitles).is_some());
        assert!(copies("a.ts", "text/x-raw, format=utf8", Kind::Subtitles).is_none());
    }

    #[test]
    fn only_matroska_has_chapters() {
        assert!(container("a.mkv").has_chapters());
        assert!(!container("a.mp4").has_chapters());
    }
}
