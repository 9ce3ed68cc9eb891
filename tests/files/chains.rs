//! Frames as capture cards and decoders give them, through the element to a sink that checks every byte: what lies beside
//! the mouth leaves as it came, at broadcast's sizes, rates and fields.

use std::{collections::BTreeMap, path::Path};

use gst::prelude::*;
use gst_video::{VideoFormat, VideoInfo, VideoInterlaceMode};

use crate::{common::*, picture::Picture, redraw::rgb};

/// The speech has begun.
const START: gst::ClockTime = gst::ClockTime::from_mseconds(1000);
const FRAMES: u64 = 4;

struct Chain {
    format: VideoFormat,
    size: [u32; 2],
    rate: (i32, i32),
    interlaced: bool,
}

impl Chain {
    fn info(&self) -> VideoInfo {
        let mode = match self.interlaced {
            true => VideoInterlaceMode::Interleaved,
            false => VideoInterlaceMode::Progressive,
        };
        let [width, height] = self.size;
        let info = VideoInfo::builder(self.format, width, height)
            .interlace_mode(mode)
            .fps(gst::Fraction::new(self.rate.0, self.rate.1));
        match self.interlaced {
            true => info.field_order(gst_video::VideoFieldOrder::TopFieldFirst),
            false => info,
        }
        .build()
        .unwrap()
    }

    /// The painting in the middle third of a black frame.
    fn frame(&self, picture: &Picture) -> gst::Buffer {
        let (picture, from) = rgb(picture);
        let [width, height] = self.size.map(|side| side as i32);
        let shown = height * from.width() as i32 / from.height() as i32;
        let mut config = gst_video::VideoConverterConfig::new();
        config.set_dest_x((width - shown) / 2);
        config.set_dest_width(Some(shown));
        // Fields are not what is converted here.
        let to = VideoInfo::builder(self.format, self.size[0], self.size[1])
            .build()
            .unwrap();
        let converter = gst_video::VideoConverter::new(&from, &to, Some(config)).unwrap();
        let source = gst_video::VideoFrame::from_buffer_readable(picture, &from).unwrap();
        let target = gst::Buffer::with_size(to.size()).unwrap();
        let mut target = gst_video::VideoFrame::from_buffer_writable(target, &to).unwrap();
        converter.frame(&source, &mut target);
        target.into_buffer()
    }

    /// MD5 of all frames that come out, by the name of the sink: the whole, and the thirds beside the painting.
    fn checksums(&self, frame: &gst::Buffer, bypass: bool) -> BTreeMap<String, String> {
        // Chroma of either third begins with a sample of its own.
        let third = (self.size[0] / 3) & !1;
        let rest = self.size[0] - third;
        let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("media/speech.wav");
        let line = format!(
            "appsrc name=frames format=time max-bytes=0 max-buffers=0 ! l.video \
             filesrc location={} ! wavparse ! audioconvert ! audioresample ! l.audio \
             lipsync name=l bypass={bypass} ! tee name=out \
             out. ! queue max-size-bytes=0 ! videocodectestsink name=whole \
             out. ! queue max-size-bytes=0 ! videocrop right={rest} ! videocodectestsink name=left \
             out. ! queue max-size-bytes=0 ! videocrop left={rest} ! videocodectestsink name=right",
            speech.display()
        );
        let pipeline = gst::parse::launch(&line).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let by_name = |name| pipeline.by_name(name).unwrap();
        if let Some(library) = onnxruntime() {
            by_name("l").set_property("onnxruntime-library", library);
        }
        let source = by_name("frames").downcast::<gst_app::AppSrc>().unwrap();
        source.set_caps(Some(&self.info().to_caps().unwrap()));
        pipeline.set_state(gst::State::Playing).unwrap();
        let apart = gst::ClockTime::SECOND
            .mul_div_round(self.rate.1 as u64, self.rate.0 as u64)
            .unwrap();
        for index in 0..FRAMES {
            let mut buffer = frame.copy();
            let writable = buffer.make_mut();
            writable.set_pts(START + apart * index);
            writable.set_duration(apart);
            if self.interlaced {
                let fields =
                    gst_video::VideoBufferFlags::INTERLACED | gst_video::VideoBufferFlags::TFF;
                writable.set_flags(gst::BufferFlags::from_bits_truncate(fields.bits()));
            }
            source.push_buffer(buffer).unwrap();
        }
        source.end_of_stream().unwrap();
        let mut found = BTreeMap::new();
        let bus = pipeline.bus().unwrap();
        let kinds = [
            gst::MessageType::Element,
            gst::MessageType::Error,
            gst::MessageType::Eos,
        ];
        let patience = gst::ClockTime::try_from(3 * PATIENCE).unwrap();
        loop {
            let message = bus.timed_pop_filtered(patience, &kinds);
            let message = message.expect("the pipeline ends");
            match message.view() {
                gst::MessageView::Eos(_) => break,
                gst::MessageView::Error(error) => panic!("{error:?}"),
                _ => (),
            }
            let structure = message.structure();
            if let Some(checksum) = structure.and_then(|fields| fields.get("checksum").ok()) {
                found.insert(message.src().unwrap().name().to_string(), checksum);
            }
        }
        pipeline.set_state(gst::State::Null).unwrap();
        found
    }
}

#[test]
fn what_lies_beside_the_mouth_leaves_as_it_came() {
    init();
    if onnxruntime().is_none() || gst::ElementFactory::find("videocodectestsink").is_none() {
        println!("skipped: no ONNX Runtime, or no videocodectestsink of GStreamer's bad plugins");
        return;
    }
    let Some(picture) = Picture::load("young-woman-in-mauve.jpg") else {
        return;
    };
    for chain in [
        // A decoder's 1080i at 59.94 fields a second.
        Chain {
            format: VideoFormat::Nv12,
            size: [1920, 1080],
            rate: (30_000, 1001),
            interlaced: true,
        },
        // 1080i50 with 10 bits.
        Chain {
            format: VideoFormat::I42210le,
            size: [1920, 1080],
            rate: (25, 1),
            interlaced: true,
        },
        Chain {
            format: VideoFormat::I42010le,
            size: [3840, 2160],
            rate: (50, 1),
            interlaced: false,
        },
    ] {
        let frame = chain.frame(&picture);
        let [redrawn, passed] = [false, true].map(|bypass| chain.checksums(&frame, bypass));
        let case = format!("{:?} {:?}", chain.format, chain.rate);
        assert_eq!(redrawn.len(), 3, "{case}");
        for third in ["left", "right"] {
            assert_eq!(redrawn[third], passed[third], "{case} {third}");
        }
        assert_ne!(redrawn["whole"], passed["whole"], "{case}");
    }
}
