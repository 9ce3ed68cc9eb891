//! Frames through the real element, to real speech.

// Each test program uses its part.
#![allow(dead_code)]

use std::path::Path;

use gst::prelude::*;
use gst_video::{VideoFormat, VideoInfo};

use crate::{common::onnxruntime, picture::Picture};

pub struct Input {
    pub caps: gst::Caps,
    pub frames: Vec<gst::Buffer>,
    /// Of the first frame; the speech begins at 0.
    pub start: gst::ClockTime,
    pub apart: gst::ClockTime,
    /// The element, by the name of `l`.
    pub launch: String,
}

/// What comes out, with its caps as they went in.
pub fn redraw(input: Input) -> Vec<gst::Buffer> {
    let pads = match input.launch.starts_with("lipsyncbin") {
        true => ["video_sink", "audio_sink", "video_src"],
        false => ["video", "audio", "src"],
    };
    let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("media/speech.wav");
    let [video, audio, out] = pads;
    let line = format!(
        "appsrc name=frames format=time max-bytes=0 max-buffers=0 ! l.{video} \
         filesrc location={} ! wavparse ! audioconvert ! audioresample ! l.{audio} \
         {} l.{out} ! appsink name=redrawn sync=false",
        speech.display(),
        input.launch
    );
    let pipeline = gst::parse::launch(&line).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let by_name = |name| pipeline.by_name(name).unwrap();
    if let Some(library) = onnxruntime() {
        by_name("l").set_property("onnxruntime-library", library);
    }
    let source = by_name("frames").downcast::<gst_app::AppSrc>().unwrap();
    let sink = by_name("redrawn").downcast::<gst_app::AppSink>().unwrap();
    source.set_caps(Some(&input.caps));
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut pts = input.start;
    for mut buffer in input.frames {
        let writable = buffer.make_mut();
        if writable.pts().is_none() {
            writable.set_pts(pts);
            writable.set_duration(input.apart);
        }
        pts += input.apart;
        source.push_buffer(buffer).unwrap();
    }
    source.end_of_stream().unwrap();
    let mut out = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let caps = sample.caps().unwrap();
        assert!(input.caps.can_intersect(caps), "{caps} of {}", input.caps);
        out.push(sample.buffer_owned().unwrap());
    }
    pipeline.set_state(gst::State::Null).unwrap();
    out
}

/// The picture as a frame.
pub fn rgb(picture: &Picture) -> (gst::Buffer, VideoInfo) {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let info = VideoInfo::builder(VideoFormat::Rgb, width, height)
        .build()
        .unwrap();
    let stride = info.stride()[0] as usize;
    let mut bytes = vec![0; info.size()];
    let rows = bytes
        .chunks_mut(stride)
        .zip(picture.data.chunks(picture.width * 3));
    rows.for_each(|(to, from)| to[..from.len()].copy_from_slice(from));
    (gst::Buffer::from_slice(bytes), info)
}

/// A frame in another format and size, without dither.
pub fn convert(buffer: &gst::Buffer, from: &VideoInfo, to: &VideoInfo) -> gst::Buffer {
    let mut config = gst_video::VideoConverterConfig::new();
    config.set_dither_method(gst_video::VideoDitherMethod::None);
    let converter = gst_video::VideoConverter::new(from, to, Some(config)).unwrap();
    let source = gst_video::VideoFrame::from_buffer_readable(buffer.clone(), from).unwrap();
    let target = gst::Buffer::with_size(to.size()).unwrap();
    let mut target = gst_video::VideoFrame::from_buffer_writable(target, to).unwrap();
    converter.frame(&source, &mut target);
    target.into_buffer()
}
