//! What was written, against what was read.

use std::path::Path;

use anyhow::{Context, Result, bail};
use gst::prelude::GstValueExt;

use crate::{
    input::{Input, Kind, Stream},
    media,
    plan::Plan,
    playing::Played,
};

/// Reads the file that was written.
///
/// # Errors
/// Where it cannot be read, or lacks frames.
pub fn whole(played: &Played, file: &Path) -> Result<Input> {
    let written = Input::read(file).context("the file that was written is broken")?;
    let frames = written
        .of(Kind::Video)
        .next()
        .map_or(0, |stream| stream.packets);
    if frames < played.redrawn || played.redrawn == 0 {
        bail!(
            "the file that was written has {frames} of {} frames",
            played.redrawn
        );
    }
    Ok(written)
}

/// What the file that was written lacks of the video that was read, in words.
pub fn losses(video: &Input, plan: &Plan, played: &Played, written: &Input) -> Result<Vec<String>> {
    let mut losses = Vec::new();
    if let Some(missing) = plan
        .coded_frames
        .and_then(|coded| coded.checked_sub(played.decoded))
        .filter(|missing| *missing > 0)
    {
        let coded = missing + played.decoded;
        losses.push(format!("{missing} of {coded} frames could not be decoded"));
    }
    if video.of(Kind::Video).next().is_none_or(Stream::is_still) {
        return Ok(losses);
    }
    let [before, after] = [&video.path, &written.path].map(|path| media::frame_caps(path));
    let (before, after) = (before?, after?);
    for (field, name) in [
        ("pixel-aspect-ratio", "the shape of pixels"),
        ("colorimetry", "colorimetry"),
        ("mastering-display-info", "the mastering display"),
        ("content-light-level", "the content light level"),
        ("multiview-mode", "the stereoscopic mode"),
    ] {
        let [before, after] = [&before, &after].map(|caps| text(caps, field));
        if let Some(before) = before
            && after.as_deref().map(without_range) != Some(without_range(&before))
        {
            losses.push(match after {
                Some(after) => format!("{name} was {before} and is {after}"),
                None => format!("{name} is lost: {before}"),
            });
        }
    }
    let [deep, less] = [&before, &after].map(|caps| text(caps, "format").unwrap_or_default());
    let [deep_info, less_info] = [&deep, &less].map(|name| {
        gst_video::VideoFormatInfo::from_format(gst_video::VideoFormat::from_string(name))
    });
    if deep_info.has_alpha() && !less_info.has_alpha() {
        losses.push("transparency is lost".into());
    }
    if deep_info.depth().first() > less_info.depth().first() {
        losses.push(format!("frames of format {deep} are {less} now"));
    }
    Ok(losses)
}

fn text(caps: &gst::Caps, field: &str) -> Option<String> {
    let value = caps.structure(0)?.value(field).ok()?;
    value.serialize().ok().map(String::from)
}

/// Colorimetry in numbers without its first, the range, which GStreamer 1.22 misreads in MP4s.
fn without_range(value: &str) -> &str {
    match value.split_once(':') {
        Some(("1" | "2", rest)) if rest.matches(':').count() == 2 => rest,
        _ => value,
    }
}
