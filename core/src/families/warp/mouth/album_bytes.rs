//! An album as bytes, so that it can lie in a file: numbers in little-endian order behind a name.
//!
//! Must not trust what it reads.

use std::sync::Arc;

use super::{
    album::{PORTRAITS, Person},
    bank,
    contours::{self, Contours},
    glimpse::{FINEST, Glimpse, Shape},
    portrait::{self, Portrait},
};

/// At the beginning, with the version.
const NAME: &[u8; 16] = b"lipsync mouths 1";
/// Sides of a glimpse, in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 4..=512;
/// No length or colour is larger than this.
const LARGEST: f32 = 1e4;
/// Bytes of a pixel: R, G and B, of 16 bits each.
const PIXEL: usize = 6;

pub fn write(people: &[Arc<Person>]) -> Vec<u8> {
    let mut out = Writer(NAME.to_vec());
    out.count(people.len());
    for person in people {
        out.count(person.portraits.len());
        for Portrait(cells) in &person.portraits {
            out.0.extend(cells);
        }
        out.count(person.glimpses.len());
        for glimpse in &person.glimpses {
            out.glimpse(glimpse);
        }
    }
    out.0
}

/// Fails with what is wrong.
pub fn read(bytes: &[u8]) -> Result<Vec<Person>, String> {
    let Some((NAME, bytes)) = bytes.split_first_chunk() else {
        return Err("mouth-memory=learn of this version has not written it".into());
    };
    let mut reader = Reader(bytes);
    let people = reader.people().filter(|_| reader.0.is_empty());
    people.ok_or_else(|| "it is damaged".into())
}

struct Writer(Vec<u8>);

impl Writer {
    fn count(&mut self, count: usize) {
        self.0.extend((count as u32).to_le_bytes());
    }

    fn floats(&mut self, values: &[f32]) {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }

    fn glimpse(&mut self, glimpse: &Glimpse) {
        let Shape {
            upper,
            lower,
            width,
            jaw,
            nose,
        } = glimpse.shape;
        self.floats(&[glimpse.scale, glimpse.quality]);
        self.floats(&glimpse.origin);
        self.floats(&[upper, lower, width, jaw]);
        self.floats(&nose);
        self.floats(&glimpse.light);
        self.floats(&glimpse.teeth);
        self.floats(&glimpse.contours.to_array());
        glimpse.size.iter().for_each(|side| self.count(*side));
        for [red, green, blue, _] in &glimpse.pixels {
            let pixel = [red, green, blue];
            self.0.extend(pixel.iter().flat_map(|v| v.to_le_bytes()));
        }
    }
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*chunk)
    }

    fn count(&mut self) -> Option<usize> {
        self.chunk().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn floats<const N: usize>(&mut self) -> Option<[f32; N]> {
        let mut values = [0.0; N];
        for value in &mut values {
            *value = f32::from_le_bytes(self.chunk()?);
            if !(-LARGEST..=LARGEST).contains(value) {
                return None;
            }
        }
        Some(values)
    }

    fn people(&mut self) -> Option<Vec<Person>> {
        let mut people = Vec::new();
        for _ in 0..self.count()? {
            let mut person = Person::default();
            for _ in 0..self.count().filter(|count| *count <= PORTRAITS)? {
                let cells: [u8; portrait::LENGTH] = self.chunk()?;
                person.portraits.push(Portrait(cells));
            }
            for _ in 0..self.count().filter(|count| *count <= bank::CAPACITY)? {
                person.glimpses.push(self.glimpse()?);
            }
            people.push(person);
        }
        Some(people)
    }

    fn glimpse(&mut self) -> Option<Glimpse> {
        let [scale, quality] = self.floats()?;
        let origin = self.floats()?;
        let [upper, lower, width, jaw] = self.floats()?;
        let nose = self.floats()?;
        let shape = Shape {
            upper,
            lower,
            width,
            jaw,
            nose,
        };
        let [light, teeth] = [self.floats()?, self.floats()?];
        let contours = Contours::from_array(&self.floats::<{ contours::NUMBERS }>()?);
        let size = [self.count()?, self.count()?];
        let is_sound = (1.0..=FINEST).contains(&scale)
            && quality >= 0.0
            && size.iter().all(|side| SIDES.contains(side));
        if !is_sound {
            return None;
        }
        let (pixels, rest) = self.0.split_at_checked(PIXEL * size[0] * size[1])?;
        self.0 = rest;
        let (pixels, _) = pixels.as_chunks::<PIXEL>();
        let pixel = |&[a, b, c, d, e, f]: &[u8; PIXEL]| {
            let [red, green, blue] = [[a, b], [c, d], [e, f]].map(u16::from_le_bytes);
            [red, green, blue, 0]
        };
        Some(Glimpse {
            pixels: pixels.iter().map(pixel).collect(),
            size,
            scale,
            origin,
            contours,
            shape,
            light,
            teeth,
            quality,
            number: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::points::tests::face, *};

    fn glimpse(scale: f32) -> Glimpse {
        let (landmarks, points) = face(8.0);
        let contours = Contours::through(&landmarks, &points.inner);
        Glimpse {
            pixels: (0..30u16)
                .map(|at| [at, 1000 * at, 65535 - at, 0])
                .collect(),
            size: [6, 5],
            scale,
            origin: [20.5, 33.25],
            shape: Shape::new(&contours, 2.5, [47.0, 4.0]),
            contours,
            light: [0.7, 0.5, 0.4],
            teeth: [1.0, 1.2, 1.3],
            quality: 0.03,
            number: 0,
        }
    }

    fn bytes() -> Vec<u8> {
        write(&[
            Arc::new(Person {
                portraits: vec![
                    Portrait([7; portrait::LENGTH]),
                    Portrait([9; portrait::LENGTH]),
                ],
                glimpses: vec![glimpse(1.5), glimpse(6.0)],
            }),
            Arc::default(),
        ])
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let people = read(&bytes()).expect("sound bytes");
        assert_eq!(people.len(), 2);
        let [first, second] = [0, 1].map(|at| &people[at]);
        assert!(second.portraits.is_empty() && second.glimpses.is_empty());
        assert_eq!(first.portraits[1], Portrait([9; portrait::LENGTH]));
        for (found, scale) in first.glimpses.iter().zip([1.5, 6.0]) {
            let expected = glimpse(scale);
            assert_eq!(found.pixels, expected.pixels);
            assert_eq!((found.scale, found.size), (scale, expected.size));
            assert_eq!((found.shape, found.light), (expected.shape, expected.light));
            assert_eq!(found.contours.to_array(), expected.contours.to_array());
        }
    }

    #[test]
    fn what_ends_early_or_goes_on_is_refused() {
        let bytes = bytes();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(read(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn no_byte_harms_whatever_it_is() {
        let sound = bytes();
        for at in 0..sound.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = sound.clone();
                bytes[at] = value;
                for glimpse in read(&bytes).iter().flatten().flat_map(|p| &p.glimpses) {
                    assert_eq!(glimpse.pixels.len(), glimpse.size[0] * glimpse.size[1]);
                    assert!(glimpse.contours.to_array().iter().all(|v| v.is_finite()));
                }
            }
        }
    }
}
