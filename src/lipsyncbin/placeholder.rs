//! What leaves an output whose input nobody linked: one black frame, or a moment of silence. Of a stream that
//! ends without any data `mp4mux` and `qtmux` make files that cannot be read.

use gst::{glib, prelude::*};

const FRAME_SIZE: [i32; 2] = [320, 240];
const FRAME_RATE: gst::Fraction = gst::Fraction::new_raw(25, 1);
/// Black in I420, with limited range.
const LUMA: u8 = 16;
const CHROMA: u8 = 128;
const AUDIO_RATE: i32 = 48_000;
const CHANNELS: i32 = 2;
/// A tenth of a second: longer than a frame of any audio encoder.
const SILENCES_PER_SECOND: u32 = 10;

/// One black frame for `pad`, and its caps.
///
/// # Errors
/// What follows `pad` takes no I420.
pub fn black_frame(pad: &gst::Pad) -> Result<(gst::Caps, gst::Buffer), glib::BoolError> {
    let format = gst_video::VideoFormat::I420;
    let any = gst_video::VideoCapsBuilder::new().format(format).build();
    let mut caps = taken_by(pad, &any)?;
    if let Some(first) = caps.make_mut().structure_mut(0) {
        let [width, height] = FRAME_SIZE;
        first.fixate_field_nearest_int("width", width);
        first.fixate_field_nearest_int("height", height);
        first.fixate_field_nearest_fraction("framerate", FRAME_RATE);
    }
    caps.fixate();
    let info = gst_video::VideoInfo::from_caps(&caps)?;
    let mut bytes = vec![LUMA; info.size()];
    bytes[info.offset()[1]..].fill(CHROMA);
    let rate = info.fps();
    let frame = match u32::try_from(rate.numer()) {
        Ok(frames @ 1..) => buffer(bytes, rate.denom().unsigned_abs(), frames),
        _ => buffer(bytes, 1, FRAME_RATE.numer().unsigned_abs()),
    };
    Ok((caps, frame))
}

/// A moment of silence for `pad`, and its caps.
///
/// # Errors
/// What follows `pad` takes no raw audio.
pub fn silence(pad: &gst::Pad) -> Result<(gst::Caps, gst::Buffer), glib::BoolError> {
    let any = gst_audio::AudioCapsBuilder::new_interleaved().build();
    let mut caps = taken_by(pad, &any)?;
    if let Some(first) = caps.make_mut().structure_mut(0) {
        first.fixate_field_str("format", gst_audio::AUDIO_FORMAT_S16.to_str());
        first.fixate_field_nearest_int("rate", AUDIO_RATE);
        first.fixate_field_nearest_int("channels", CHANNELS);
    }
    caps.fixate();
    let info = gst_audio::AudioInfo::from_caps(&caps)?;
    let samples = (info.rate() / SILENCES_PER_SECOND).max(1);
    let mut bytes = vec![0; (samples * info.bpf()) as usize];
    info.format_info().fill_silence(&mut bytes);
    Ok((caps, buffer(bytes, samples, info.rate())))
}

/// Which of `caps` what follows `pad` takes.
fn taken_by(pad: &gst::Pad, caps: &gst::Caps) -> Result<gst::Caps, glib::BoolError> {
    let taken = pad.query_caps(Some(caps)).intersect(caps);
    match taken.is_empty() {
        true => Err(glib::bool_error!("{} takes no {caps}", pad.name())),
        false => Ok(taken),
    }
}

/// A buffer at the beginning of its stream that lasts `parts / per_second`.
fn buffer(bytes: Vec<u8>, parts: u32, per_second: u32) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let stamped = buffer.make_mut();
    stamped.set_pts(gst::ClockTime::ZERO);
    stamped.set_duration(gst::ClockTime::SECOND.mul_div_floor(parts.into(), per_second.into()));
    buffer
}
