//! Tensors on their way: numbers as the served model has them, little-endian, to and from those
//! that networks here are filled with and read as.
//!
//! Must not know servers.

use half::{bf16, f16, slice::HalfFloatSliceExt as _};
use prost::bytes::Bytes;

use super::messages::TypedContents;
use crate::inference::{Element, TensorInfo};

/// What a served tensor is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    Fp32,
    Fp16,
    Bf16,
    Fp64,
    /// 0..255 for 0..1.
    Uint8,
    Int32,
    Int64,
}

impl Datatype {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "FP32" => Self::Fp32,
            "FP16" => Self::Fp16,
            "BF16" => Self::Bf16,
            "FP64" => Self::Fp64,
            "UINT8" => Self::Uint8,
            "INT32" => Self::Int32,
            "INT64" => Self::Int64,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "FP32",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp64 => "FP64",
            Self::Uint8 => "UINT8",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
        }
    }

    /// Whether a tensor that is filled or read as `element` may be sent so.
    pub fn carries(self, element: Element) -> bool {
        match self {
            Self::Fp32 | Self::Fp16 | Self::Bf16 | Self::Fp64 | Self::Uint8 => {
                element == Element::F32
            }
            Self::Int32 | Self::Int64 => element != Element::F32,
        }
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::Uint8 => 1,
            Self::Fp16 | Self::Bf16 => 2,
            Self::Fp32 | Self::Int32 => 4,
            Self::Fp64 | Self::Int64 => 8,
        }
    }
}

/// The values of a network's input.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Floats(Vec<f32>),
    /// So many times the same.
    Integer(i64, usize),
}

impl Values {
    pub fn zeros(tensor: &TensorInfo) -> Self {
        let length = tensor.shape.iter().product();
        match tensor.element {
            Element::F32 => Self::Floats(vec![0.0; length]),
            Element::I32 | Element::I64 => Self::Integer(0, length),
        }
    }

    /// As they are sent.
    pub fn encode(&self, datatype: Datatype) -> Bytes {
        let raw = match self {
            Self::Floats(values) => encode(values, datatype),
            Self::Integer(value, length) => match datatype {
                Datatype::Int32 => {
                    let value = (*value).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                    value.to_le_bytes().repeat(*length)
                }
                _ => value.to_le_bytes().repeat(*length),
            },
        };
        raw.into()
    }
}

/// Values that are converted at once.
const CHUNK: usize = 512;

fn encode(values: &[f32], datatype: Datatype) -> Vec<u8> {
    let mut raw = vec![0; values.len() * datatype.bytes()];
    fn write<const N: usize>(raw: &mut [u8], values: &[f32], bytes: impl Fn(f32) -> [u8; N]) {
        for (raw, value) in raw.chunks_exact_mut(N).zip(values) {
            raw.copy_from_slice(&bytes(*value));
        }
    }
    match datatype {
        Datatype::Fp32 => write(&mut raw, values, f32::to_le_bytes),
        Datatype::Fp64 => write(&mut raw, values, |value| f64::from(value).to_le_bytes()),
        Datatype::Uint8 => write(&mut raw, values, |value| [(value * 255.0 + 0.5) as u8]),
        Datatype::Fp16 => {
            let mut halves = [f16::ZERO; CHUNK];
            for (raw, values) in raw.chunks_mut(2 * CHUNK).zip(values.chunks(CHUNK)) {
                let halves = &mut halves[..values.len()];
                halves.convert_from_f32_slice(values);
                for (raw, half) in raw.chunks_exact_mut(2).zip(halves) {
                    raw.copy_from_slice(&half.to_le_bytes());
                }
            }
        }
        Datatype::Bf16 => write(&mut raw, values, |value| {
            bf16::from_f32(value).to_le_bytes()
        }),
        // No floats are sent so.
        Datatype::Int32 | Datatype::Int64 => (),
    }
    raw
}

/// Reads an answer's raw values into `to`. The error says how many bytes were found and expected.
pub(super) fn decode(raw: &[u8], datatype: Datatype, to: &mut [f32]) -> Result<(), String> {
    let expected = to.len() * datatype.bytes();
    if raw.len() != expected {
        return Err(format!("{} bytes, expected {expected}", raw.len()));
    }
    fn read<const N: usize>(raw: &[u8], to: &mut [f32], value: impl Fn([u8; N]) -> f32) {
        let (raw, _) = raw.as_chunks::<N>();
        for (to, raw) in to.iter_mut().zip(raw) {
            *to = value(*raw);
        }
    }
    match datatype {
        Datatype::Fp32 => read(raw, to, f32::from_le_bytes),
        Datatype::Fp64 => read(raw, to, |raw| f64::from_le_bytes(raw) as f32),
        Datatype::Uint8 => read(raw, to, |[value]| f32::from(value) / 255.0),
        Datatype::Fp16 => {
            let mut halves = [f16::ZERO; CHUNK];
            for (raw, to) in raw.chunks(2 * CHUNK).zip(to.chunks_mut(CHUNK)) {
                let halves = &mut halves[..to.len()];
                for (half, raw) in halves.iter_mut().zip(raw.as_chunks::<2>().0) {
                    *half = f16::from_le_bytes(*raw);
                }
                halves.convert_to_f32_slice(to);
            }
        }
        Datatype::Bf16 => read(raw, to, |raw| bf16::from_le_bytes(raw).to_f32()),
        Datatype::Int32 | Datatype::Int64 => return Err(datatype.name().to_owned()),
    }
    Ok(())
}

/// The same of values that are not raw.
pub(super) fn decode_typed(
    contents: &TypedContents,
    datatype: Datatype,
    to: &mut [f32],
) -> Result<(), String> {
    let expected = to.len();
    fn copy<T: Copy>(from: &[T], to: &mut [f32], value: impl Fn(T) -> f32) -> usize {
        for (to, from) in to.iter_mut().zip(from) {
            *to = value(*from);
        }
        from.len()
    }
    let found = match datatype {
        Datatype::Fp32 => copy(&contents.fp32_contents, to, |value| value),
        Datatype::Fp64 => copy(&contents.fp64_contents, to, |value| value as f32),
        Datatype::Uint8 => copy(&contents.uint_contents, to, |value| value as f32 / 255.0),
        _ => 0,
    };
    match found == expected {
        true => Ok(()),
        false => Err(format!("{found} values, expected {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_come_back_as_exactly_as_they_were_sent() {
        let values: Vec<f32> = (0..1100).map(|k| k as f32 / 1100.0).collect();
        for (datatype, error) in [
            (Datatype::Fp32, 0.0),
            (Datatype::Fp64, 0.0),
            (Datatype::Fp16, 0.0005),
            (Datatype::Bf16, 0.004),
            (Datatype::Uint8, 0.002),
        ] {
            let raw = Values::Floats(values.clone()).encode(datatype);
            let mut back = vec![9.0; values.len()];
            decode(&raw, datatype, &mut back).unwrap();
            for (sent, back) in values.iter().zip(&back) {
                assert!((sent - back).abs() <= error, "{datatype:?}: {sent} {back}");
            }
            let short = decode(&raw[1..], datatype, &mut back).unwrap_err();
            assert!(short.contains("expected"), "{short}");
        }
        let raw = Values::Floats(vec![-1.0, 0.5, 2.0, f32::NAN]).encode(Datatype::Uint8);
        assert_eq!(raw[..], [0, 128, 255, 0]);
    }

    #[test]
    fn integers_fill_their_tensor() {
        let seven = Values::Integer(7, 2);
        assert_eq!(seven.encode(Datatype::Int64).len(), 16);
        assert_eq!(seven.encode(Datatype::Int32)[..4], 7i32.to_le_bytes());
    }
}
