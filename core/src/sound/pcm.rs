//! Samples of any format to floats.

use crate::sound::SampleFormat;

/// Louder than this (+24 dBFS) is cut off, so that no sum of samples can overflow.
const LIMIT: f32 = 16.0;

/// Decodes samples into `out`, -1..1 at full scale. Samples that are not finite count as silence.
/// Writes as many as both `data` and `out` hold.
pub fn decode(format: SampleFormat, data: &[u8], out: &mut [f32]) {
    match format {
        SampleFormat::S16 => each(data, out, |bytes| {
            f32::from(i16::from_le_bytes(bytes)) / 32_768.0
        }),
        SampleFormat::S32 => each(data, out, |bytes| {
            i32::from_le_bytes(bytes) as f32 / 2_147_483_648.0
        }),
        SampleFormat::F32 => each(data, out, |bytes| sane(f32::from_le_bytes(bytes))),
        SampleFormat::F64 => each(data, out, |bytes| sane(f64::from_le_bytes(bytes) as f32)),
    }
}

fn sane(sample: f32) -> f32 {
    if sample.is_nan() || sample.is_infinite() {
        0.0
    } else {
        sample.clamp(-LIMIT, LIMIT)
    }
}

fn each<const BYTES: usize>(data: &[u8], out: &mut [f32], decode: impl Fn([u8; BYTES]) -> f32) {
    let (samples, _) = data.as_chunks::<BYTES>();
    for (&sample, out) in samples.iter().zip(out) {
        *out = decode(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(format: SampleFormat, data: &[u8]) -> Vec<f32> {
        let mut out = vec![9.0; data.len() / format.bytes()];
        decode(format, data, &mut out);
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
        assert_eq!(decoded(SampleFormat::S16, &s16), want);
        assert_eq!(decoded(SampleFormat::S32, &s32), want);
        assert_eq!(decoded(SampleFormat::F32, &f32s), want);
        assert_eq!(decoded(SampleFormat::F64, &f64s), want);
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
            decoded(SampleFormat::F64, &data),
            [0.0, 0.0, 0.0, 0.0, -LIMIT, 3.0]
        );
    }
}
