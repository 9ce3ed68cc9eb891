//! Streams whose caps keep them from where they go, mended between a file's demuxer and what takes them.

use gst::prelude::*;

/// Mends what comes to this pad.
pub fn mend(pad: &gst::Pad) {
    let kinds = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER;
    pad.add_probe(kinds, |pad, info| {
        if let Some(caps) = info.event().and_then(|event| match event.view() {
            gst::EventView::Caps(caps) => mended(caps.caps()),
            _ => None,
        }) {
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        } else if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && is_text(pad)
        {
            strip(buffer);
        }
        gst::PadProbeReturn::Ok
    });
}

fn mended(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let structure = caps.structure(0)?;
    let mut caps = caps.to_owned();
    match structure.name().as_str() {
        // GStreamer 1.22 reads from an MP4 that full-range video is not; the video itself says so.
        "video/x-h264" | "video/x-h265" => caps
            .make_mut()
            .structure_mut(0)?
            .remove_field("colorimetry"),
        "text/x-raw" => caps.make_mut().structure_mut(0)?.set("format", "utf8"),
        _ => return None,
    }
    Some(caps)
}

fn is_text(pad: &gst::Pad) -> bool {
    let caps = pad.current_caps();
    let structure = caps.as_ref().and_then(|caps| caps.structure(0));
    structure.is_some_and(|structure| structure.name() == "text/x-raw")
}

/// Muxers take plain text, demuxers give markup.
fn strip(buffer: &mut gst::Buffer) {
    let text = buffer.map_readable().ok();
    let text = text.and_then(|text| Some(plain(std::str::from_utf8(&text).ok()?)));
    if let Some(text) = text {
        let mut stripped = gst::Buffer::from_slice(text.into_bytes());
        if let Some(stripped) = stripped.get_mut() {
            stripped.set_pts(buffer.pts());
            stripped.set_duration(buffer.duration());
            *buffer = stripped.to_owned();
        }
    }
}

fn plain(markup: &str) -> String {
    let mut pieces = markup.split('<');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text += piece.split_once('>').map_or("", |(_, behind)| behind);
    }
    for (entity, letter) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_taken_off_subtitles() {
        assert_eq!(
            plain("<i>Sense</i> &amp; <b color=\"x\">Sensibility</b> &lt;1811&gt;"),
            "Sense & Sensibility <1811>"
        );
        assert_eq!(plain("plain"), "plain");
    }
}
