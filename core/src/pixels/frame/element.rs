//! How stored numbers lie in a row of memory.
//!
//! Must not know what they mean.

use std::ops::{Add, AddAssign, Range, Sub};

/// A row is a sequence of elements of one kind. In memory the lowest byte comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pixels) enum Element {
    Byte,
    /// The number is `bits` wide and lies `shift` bits above the lowest of its 16-bit word. What is
    /// below stays as it is.
    Word {
        bits: u32,
        shift: u32,
    },
    /// One of three ten-bit numbers in a 32-bit word, the first in the lowest bits. The two highest
    /// bits of the word stay as they are.
    Third,
}

impl Element {
    /// Width of the number.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Byte => 8,
            Self::Word { bits, .. } => bits,
            Self::Third => 10,
        }
    }

    /// Bytes that so many elements take; `None` where that is beyond any memory.
    pub fn bytes(self, elements: usize) -> Option<usize> {
        match self {
            Self::Byte => Some(elements),
            Self::Word { .. } => elements.checked_mul(2),
            Self::Third => elements.div_ceil(3).checked_mul(4),
        }
    }
}

/// Evaluates an expression with the [`Store`] of an element, known to the compiler.
macro_rules! with_store {
    ($element:expr, $store:ident => $work:expr) => {
        match $element {
            $crate::pixels::frame::element::Element::Byte => {
                let $store = $crate::pixels::frame::element::Bytes;
                $work
            }
            $crate::pixels::frame::element::Element::Word { bits, shift } => {
                let $store = $crate::pixels::frame::element::Words::new(bits, shift);
                $work
            }
            $crate::pixels::frame::element::Element::Third => {
                let $store = $crate::pixels::frame::element::Thirds;
                $work
            }
        }
    };
}
pub(in crate::pixels) use with_store;

/// Reads and writes elements of one kind.
pub(in crate::pixels) trait Store: Copy {
    type Code: Copy + Default + Into<f32>;
    /// Holds the sum of 225 codes.
    type Sum: Sum<Self::Code>;

    /// The nearest code to a finite value. Saturates.
    fn code(self, value: f32) -> Self::Code;

    fn get(self, row: &[u8], index: usize) -> Self::Code;

    fn set(self, row: &mut [u8], index: usize, code: Self::Code);

    /// Elements that lie one after the other.
    fn codes(self, row: &[u8], range: Range<usize>) -> impl Iterator<Item = Self::Code>;
}

/// A sum of codes.
pub(in crate::pixels) trait Sum<Code>:
    Copy + Default + AddAssign + Add<Output = Self> + Sub<Output = Self> + From<Code>
{
    /// Exact for what a [`Store`] may sum up.
    fn to_f32(self) -> f32;
}

impl Sum<u8> for u16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

impl Sum<u16> for u32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        // Below 2^24; signed numbers convert four at a time.
        self as i32 as f32
    }
}

/// Bits of the nearest integer to a value from 0 to `most` are the lowest of these: unlike a cast,
/// four at a time.
#[inline(always)]
fn nearest(value: f32, most: f32) -> u32 {
    // Adding 2^23 leaves the nearest integer in the low bits of the mantissa.
    const MAGIC: f32 = 8_388_608.0;
    (value.clamp(0.0, most) + MAGIC).to_bits()
}

/// See [`Element::Byte`].
#[derive(Clone, Copy)]
pub(in crate::pixels) struct Bytes;

impl Store for Bytes {
    type Code = u8;
    type Sum = u16;

    #[inline(always)]
    fn code(self, value: f32) -> u8 {
        nearest(value, 255.0) as u8
    }

    #[inline(always)]
    fn get(self, row: &[u8], index: usize) -> u8 {
        row[index]
    }

    #[inline(always)]
    fn set(self, row: &mut [u8], index: usize, code: u8) {
        row[index] = code;
    }

    #[inline(always)]
    fn codes(self, row: &[u8], range: Range<usize>) -> impl Iterator<Item = u8> {
        row[range].iter().copied()
    }
}

/// See [`Element::Word`].
#[derive(Clone, Copy)]
pub(in crate::pixels) struct Words {
    most: f32,
    shift: u32,
}

impl Words {
    pub const fn new(bits: u32, shift: u32) -> Self {
        Self {
            most: ((1u32 << bits) - 1) as f32,
            shift,
        }
    }
}

impl Store for Words {
    type Code = u16;
    type Sum = u32;

    #[inline(always)]
    fn code(self, value: f32) -> u16 {
        nearest(value, self.most) as u16
    }

    #[inline(always)]
    fn get(self, row: &[u8], index: usize) -> u16 {
        u16::from_le_bytes(row.as_chunks().0[index]) >> self.shift
    }

    #[inline(always)]
    fn set(self, row: &mut [u8], index: usize, code: u16) {
        let bytes = &mut row.as_chunks_mut().0[index];
        let below = u16::from_le_bytes(*bytes) & ((1 << self.shift) - 1);
        *bytes = (code << self.shift | below).to_le_bytes();
    }

    #[inline(always)]
    fn codes(self, row: &[u8], range: Range<usize>) -> impl Iterator<Item = u16> {
        let words = row.as_chunks().0[range].iter();
        words.map(move |bytes| u16::from_le_bytes(*bytes) >> self.shift)
    }
}

/// See [`Element::Third`].
#[derive(Clone, Copy)]
pub(in crate::pixels) struct Thirds;

impl Thirds {
    const MOST: u32 = (1 << 10) - 1;

    /// Lowest bit of an element in its word.
    #[inline(always)]
    fn shift(index: usize) -> u32 {
        10 * (index % 3) as u32
    }
}

impl Store for Thirds {
    type Code = u16;
    type Sum = u32;

    #[inline(always)]
    fn code(self, value: f32) -> u16 {
        nearest(value, Self::MOST as f32) as u16
    }

    #[inline(always)]
    fn get(self, row: &[u8], index: usize) -> u16 {
        let word = u32::from_le_bytes(row.as_chunks().0[index / 3]);
        (word >> Self::shift(index) & Self::MOST) as u16
    }

    #[inline(always)]
    fn set(self, row: &mut [u8], index: usize, code: u16) {
        let bytes = &mut row.as_chunks_mut().0[index / 3];
        let shift = Self::shift(index);
        let others = u32::from_le_bytes(*bytes) & !(Self::MOST << shift);
        *bytes = (others | u32::from(code) << shift).to_le_bytes();
    }

    #[inline(always)]
    fn codes(self, row: &[u8], range: Range<usize>) -> impl Iterator<Item = u16> {
        range.map(move |index| self.get(row, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_nearest_and_saturate() {
        let values = [-7.0, 0.4, 0.6, 254.6, 1022.4, 1023.7, 1e9];
        let bytes = values.map(|value| Bytes.code(value));
        assert_eq!(bytes, [0, 0, 1, 255, 255, 255, 255]);
        let tens = [0, 0, 1, 255, 1022, 1023, 1023];
        assert_eq!(values.map(|value| Thirds.code(value)), tens);
        assert_eq!(values.map(|value| Words::new(10, 6).code(value)), tens);
        assert_eq!(Words::new(16, 0).code(65_534.6), 65_535);
    }

    #[test]
    fn what_lies_beside_a_number_stays() {
        for element in [
            Element::Byte,
            Element::Word { bits: 10, shift: 6 },
            Element::Word { bits: 16, shift: 0 },
            Element::Third,
        ] {
            with_store!(element, store => {
                for index in 0..6 {
                    let mut row = [0b1010_0101; 12];
                    let before = row;
                    let was = store.get(&row, index);
                    store.set(&mut row, index, store.code(1.0));
                    assert_eq!(Into::<f32>::into(store.get(&row, index)), 1.0);
                    let others = (0..6).filter(|other| *other != index);
                    for other in others {
                        assert!(store.get(&row, other) == store.get(&before, other));
                    }
                    store.set(&mut row, index, was);
                    assert_eq!(row, before, "{element:?} {index}");
                    let codes: Vec<_> = store.codes(&row, index..6).collect();
                    assert!(codes[0] == was && codes.len() == 6 - index);
                }
            });
        }
    }
}
