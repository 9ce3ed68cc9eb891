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

    /// Adds elements that lie one after the other to as many sums.
    #[inline(always)]
    fn add(self, row: &[u8], range: Range<usize>, sums: &mut [Self::Sum]) {
        for (sum, code) in sums.iter_mut().zip(self.codes(row, range)) {
            *sum += Self::Sum::from(code);
        }
    }

    /// The same, in place of those of another row, which are in the sums.
    #[inline(always)]
    fn replace(self, old: &[u8], new: &[u8], range: Range<usize>, sums: &mut [Self::Sum]) {
        let codes = self.codes(old, range.clone()).zip(self.codes(new, range));
        for (sum, (old, new)) in sums.iter_mut().zip(codes) {
            *sum = *sum - Self::Sum::from(old) + Self::Sum::from(new);
        }
    }
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

    /// The three numbers of a word.
    #[inline(always)]
    fn split(word: [u8; 4]) -> [u32; 3] {
        let word = u32::from_le_bytes(word);
        [word, word >> 10, word >> 20].map(|word| word & Self::MOST)
    }

    /// The elements of a range before its first whole word, its whole words, and the elements behind
    /// them.
    #[inline(always)]
    fn parts(range: Range<usize>) -> [Range<usize>; 3] {
        let first = range.start.div_ceil(3);
        let last = (range.end / 3).max(first);
        let before = range.start..(3 * first).min(range.end);
        let after = (3 * last).max(before.end).min(range.end)..range.end;
        [before, first..last, after]
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

    #[inline(always)]
    fn add(self, row: &[u8], range: Range<usize>, sums: &mut [u32]) {
        let [before, words, after] = Self::parts(range);
        let (first, sums) = sums.split_at_mut(before.len());
        let (whole, last) = sums.split_at_mut(3 * words.len());
        for (indices, sums) in [(before, first), (after, last)] {
            for (sum, code) in sums.iter_mut().zip(self.codes(row, indices)) {
                *sum += u32::from(code);
            }
        }
        let words = &row.as_chunks().0[words];
        for (sums, word) in whole.as_chunks_mut::<3>().0.iter_mut().zip(words) {
            for (sum, code) in sums.iter_mut().zip(Self::split(*word)) {
                *sum += code;
            }
        }
    }

    #[inline(always)]
    fn replace(self, old: &[u8], new: &[u8], range: Range<usize>, sums: &mut [u32]) {
        let [before, words, after] = Self::parts(range);
        let (first, sums) = sums.split_at_mut(before.len());
        let (whole, last) = sums.split_at_mut(3 * words.len());
        for (indices, sums) in [(before, first), (after, last)] {
            let codes = self
                .codes(old, indices.clone())
                .zip(self.codes(new, indices));
            for (sum, (old, new)) in sums.iter_mut().zip(codes) {
                *sum = *sum - u32::from(old) + u32::from(new);
            }
        }
        let rows = old.as_chunks().0[words.clone()]
            .iter()
            .zip(&new.as_chunks().0[words]);
        for (sums, (old, new)) in whole.as_chunks_mut::<3>().0.iter_mut().zip(rows) {
            let codes = Self::split(*old).into_iter().zip(Self::split(*new));
            for (sum, (old, new)) in sums.iter_mut().zip(codes) {
                *sum = *sum - old + new;
            }
        }
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
    fn sums_are_those_of_the_codes() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut row = || [0; 40].map(|_: u8| random.u8(..));
        let (old, new) = (row(), row());
        for (start, end) in (0..30).flat_map(|end| (0..=end).map(move |start| (start, end))) {
            let mut sums = vec![7; end - start];
            Thirds.add(&old, start..end, &mut sums);
            let codes = |row: &[u8]| -> Vec<u32> {
                let codes = (start..end).map(|index| u32::from(Thirds.get(row, index)) + 7);
                codes.collect()
            };
            assert_eq!(sums, codes(&old), "{start}..{end}");
            Thirds.replace(&old, &new, start..end, &mut sums);
            assert_eq!(sums, codes(&new), "{start}..{end}");
        }
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
