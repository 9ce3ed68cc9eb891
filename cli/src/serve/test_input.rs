//! A painting that speaks, over and over: something to see without a camera, a file or a network.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use gst::prelude::*;

use crate::pipeline::Pipeline;

const PAINTING: &[u8] = include_bytes!("../../../media/young-woman-in-mauve.jpg");
const SPEECH: &[u8] = include_bytes!("../../../media/speech.wav");
/// Of a canonical WAV file.
const HEADER: usize = 44;
const RATE: u64 = 16_000;
/// Samples that are given at once: 20 ms.
const PIECE: usize = 320;

pub fn set_up(pipeline: &Pipeline) -> Result<()> {
    let painting: gst_app::AppSrc = pipeline.element("painting")?;
    painting.push_buffer(gst::Buffer::from_slice(PAINTING))?;
    painting.end_of_stream()?;
    let speech: gst_app::AppSrc = pipeline.element("speech")?;
    let samples = SPEECH.get(HEADER..).context("the speech has a header")?;
    let pieces = samples.len() / (2 * PIECE);
    let given = AtomicU64::new(0);
    let more = move |speech: &gst_app::AppSrc, _: u32| {
        let number = given.fetch_add(1, Ordering::Relaxed);
        let from = (number as usize % pieces) * 2 * PIECE;
        let mut buffer = gst::Buffer::from_slice(&samples[from..from + 2 * PIECE]);
        let time = |piece: u64| gst::ClockTime::SECOND.mul_div_floor(piece * PIECE as u64, RATE);
        if let (Some(buffer), Some(begin), Some(end)) =
            (buffer.get_mut(), time(number), time(number + 1))
        {
            buffer.set_pts(begin);
            buffer.set_duration(end - begin);
        }
        // Fails when the pipeline stops.
        let _ = speech.push_buffer(buffer);
    };
    let callbacks = gst_app::AppSrcCallbacks::builder().need_data(more);
    speech.set_callbacks(callbacks.build());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speech_is_what_its_caps_say() {
        assert_eq!(&SPEECH[..4], b"RIFF");
        assert_eq!(SPEECH[22..24], 1u16.to_le_bytes());
        assert_eq!(SPEECH[24..28], (RATE as u32).to_le_bytes());
        assert_eq!(&SPEECH[36..40], b"data");
    }
}
