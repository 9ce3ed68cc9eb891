//! Interleaved samples of any format to mono floats.

use crate::sound::SampleFormat;

/// Louder than this (+24 dBFS) is cut off, so that no sum of samples can overflow.
const LIMIT: f32 = 16.0;

/// Averages the channels of whole interleaved frames into `out`, -1..1 at full scale. Samples that
/// are not finite count as silence. Writes as many frames as both `data` and `out` hold.
pub fn mix(format: SampleFormat, channels: usize, data: &[u8], out: &mut [f32]) {
    match format {
        SampleFormat::S16 => average(data, channels, out, |bytes| {
            f32::from(i16::from_le_bytes(bytes)) / 32_768.0
        }),
        SampleFormat::S32 => average(data, channels, out, |bytes| {
            i32::from_le_bytes(bytes) as f32 / 2_147_483_648.0
        }),
        SampleFormat::F32 => average(data, channels, out, |bytes| sane(f32::from_le_bytes(bytes))),
        SampleFormat::F64 => average(data, channels, out, |bytes| {
            sane(f64::from_le_bytes(bytes) as f32)
        }),
    }
}

fn sane(sample: f32) -> f32 {
    if sample.is_nan() || sample.is_infinite() {
        0.0
    } else {
        sample.clamp(-LIMIT, LIMIT)
    }
}

fn average<const BYTES: usize>(
    data: &[u8],
    channels: usize,
    out: &mut [f32],
    decode: impl Fn([u8; BYTES]) -> f32,
) {
    let (samples, _) = data.as_chunks::<BYTES>();
    if channels == 1 {
        for (&sample, out) in samples.iter().zip(out) {
            *out = decode(sample);
        }
        return;
    }
    let share = 1.0 / channels as f32;
    for (frame, out) in samples.chunks_exact(channels).zip(out) {
        *out = frame.iter().map(|&sample| decode(sample)).sum::<f32>() * share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(format: SampleFormat, channels: usize, data: &[u8]) -> Vec<f32> {
        let mut out = vec![9.0; data.len() / (format.bytes() * channels)];
        mix(format, channels, data, &mut out);
        out
    }

    #[test]
    fn reads_every_format_at_full_scale() {
        let s16: Vec<u8> = [i16::MIN, 0, 16_384]
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        let s32: Vec<u8> = [i32::MIN, 0, 1 << 30]
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        let f32s: Vec<u8> = [-1.0f32, 0.0, 0.5]
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        let f64s: Vec<u8> = [-1.0f64, 0.0, 0.5]
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        let want = vec![-1.0, 0.0, 0.5];
        assert_eq!(mixed(SampleFormat::S16, 1, &s16), want);
        assert_eq!(mixed(SampleFormat::S32, 1, &s32), want);
        assert_eq!(mixed(SampleFormat::F32, 1, &f32s), want);
        assert_eq!(mixed(SampleFormat::F64, 1, &f64s), want);
    }

    #[test]
    fn averages_the_channels() {
        let data: Vec<u8> = [0.25f32, 0.75, -0.5, 0.5, 1.0, 0.0]
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        assert_eq!(mixed(SampleFormat::F32, 2, &data), [0.5, 0.0, 0.5]);
        let [first, second] = mixed(SampleFormat::F32, 3, &data)[..] else {
            panic!("two frames");
        };
        assert!((first - 0.5 / 3.0).abs() < 1e-7 && (second - 0.5).abs() < 1e-7);
    }

    #[test]
    fn silences_what_is_not_a_number_and_bounds_the_rest() {
        let data: Vec<u8> = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e300,
            -1e30,
            3.0,
        ]
        .iter()
        .flat_map(|s| s.to_le_bytes())
        .collect();
        assert_eq!(
            mixed(SampleFormat::F64, 1, &data),
            [0.0, 0.0, 0.0, 0.0, -LIMIT, 3.0]
        );
    }
}
