//! Protocol buffers as far as ONNX files need them: the fields of a message, one after the other.
//!
//! Must not know what the fields mean.

/// A field that holds bytes: text, or another message.
const LENGTH_DELIMITED: u64 = 2;
/// Bytes of a length that is written before it is known: any message has less than 2 GiB.
const LENGTH_BYTES: usize = 5;

/// One field of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub number: u64,
    pub value: Value<'a>,
    /// All of the field as it stands in the message.
    pub raw: &'a [u8],
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Integer(u64),
    Bytes(&'a [u8]),
    /// 4 or 8 bytes, which nobody here reads.
    Fixed,
}

/// The fields of a message; ends where the message is broken.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// What is left: nothing at the end of a sound message.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Integer(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            LENGTH_DELIMITED => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.0;
        let Some((number, value)) = self.field() else {
            self.0 = start;
            return None;
        };
        let raw = &start[..start.len() - self.0.len()];
        Some(Field { number, value, raw })
    }
}

/// The contents of all fields of that number that hold bytes.
pub(super) fn each(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    Fields(message).filter_map(move |field| match field.value {
        Value::Bytes(bytes) if field.number == wanted => Some(bytes),
        _ => None,
    })
}

/// The text or message in field `wanted`; the last one counts.
pub(super) fn bytes(message: &[u8], wanted: u64) -> Option<&[u8]> {
    each(message, wanted).last()
}

/// The integer in field `wanted`; the last one counts.
pub(super) fn integer(message: &[u8], wanted: u64) -> Option<u64> {
    let integers = Fields(message).filter_map(|field| match field.value {
        Value::Integer(value) if field.number == wanted => Some(value),
        _ => None,
    });
    integers.last()
}

/// Appends a field that holds bytes.
pub(super) fn write_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    write_varint(out, number << 3 | LENGTH_DELIMITED);
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field that holds what `write` appends.
pub(super) fn write_message<E>(
    out: &mut Vec<u8>,
    number: u64,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    write_varint(out, number << 3 | LENGTH_DELIMITED);
    let at = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    write(out)?;
    let mut length = out.len() - at - LENGTH_BYTES;
    for (index, byte) in out[at..at + LENGTH_BYTES].iter_mut().enumerate() {
        let goes_on = u8::from(index + 1 < LENGTH_BYTES) << 7;
        *byte = (length & 0x7f) as u8 | goes_on;
        length >>= 7;
    }
    Ok(())
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut message = Vec::new();
        write_bytes(&mut message, 900, &[7; 300]);
        write_message(&mut message, 3, |out| {
            out.extend([1 << 3, 0xac, 0x02]);
            Ok::<_, ()>(())
        })
        .unwrap();
        let mut fields = Fields(&message);
        let first = fields.next().unwrap();
        assert_eq!((first.number, first.value), (900, Value::Bytes(&[7; 300])));
        let second = fields.next().unwrap();
        assert_eq!(second.number, 3);
        assert!(fields.next().is_none() && fields.rest().is_empty());
        assert_eq!([first.raw, second.raw].concat(), message);
        assert_eq!(integer(bytes(&message, 3).unwrap(), 1), Some(300));
    }

    #[test]
    fn a_broken_end_is_left() {
        let mut message = Vec::new();
        write_bytes(&mut message, 1, b"sound");
        let sound = message.len();
        write_bytes(&mut message, 2, b"cut off");
        message.pop();
        let mut fields = Fields(&message);
        assert_eq!(fields.by_ref().count(), 1);
        assert_eq!(fields.rest(), &message[sound..]);
    }
}
