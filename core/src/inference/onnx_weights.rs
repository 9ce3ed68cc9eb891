//! Makes one whole model of a model and the files in which it keeps weights.
//!
//! ONNX Runtime would map those files into memory for as long as the session is there: what
//! somebody writes to them later changes the network that runs, and a file that gets shorter ends
//! the process. Besides, what was read here and what was checked are the same bytes. Must not know
//! where the files lie.

use crate::inference::{
    onnx_contents::{DATA_LOCATION, EXTERNAL, EXTERNAL_DATA, Kind, TENSOR_NAME, external},
    protobuf::{self, Fields, Value, integer, write_bytes, write_message},
};

/// TensorProto.raw_data.
const RAW_DATA: u64 = 9;

/// A file with weights.
pub(super) struct DataFile {
    /// As the model names it.
    pub location: String,
    pub bytes: Vec<u8>,
}

/// `model` with the weights in it that it keeps in `files`. Fails with the reason where one is not
/// there. What is no valid model is left as it is.
pub(super) fn embed(model: &[u8], files: &[DataFile]) -> Result<Vec<u8>, String> {
    let weights: usize = files.iter().map(|file| file.bytes.len()).sum();
    let mut whole = Vec::with_capacity(model.len() + weights);
    copy(Kind::Model, model, files, &mut whole)?;
    Ok(whole)
}

fn copy(kind: Kind, message: &[u8], files: &[DataFile], out: &mut Vec<u8>) -> Result<(), String> {
    if kind == Kind::Tensor {
        return copy_tensor(message, files, out);
    }
    let mut fields = Fields(message);
    for field in fields.by_ref() {
        match (kind.child(field.number), field.value) {
            (Some(kind), Value::Bytes(content)) => {
                write_message(out, field.number, |out| copy(kind, content, files, out))?;
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
    out.extend_from_slice(fields.rest());
    Ok(())
}

/// No tensor that is copied has anything to do with another file any more.
fn copy_tensor(tensor: &[u8], files: &[DataFile], out: &mut Vec<u8>) -> Result<(), String> {
    let mut fields = Fields(tensor);
    for field in fields.by_ref() {
        if !matches!(field.number, EXTERNAL_DATA | DATA_LOCATION) {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(fields.rest());
    if integer(tensor, DATA_LOCATION) == Some(EXTERNAL) {
        write_bytes(out, RAW_DATA, values(tensor, files)?);
    }
    Ok(())
}

/// The values of a tensor that lie in one of `files`.
fn values<'a>(tensor: &[u8], files: &'a [DataFile]) -> Result<&'a [u8], String> {
    let location = external(tensor, "location").unwrap_or_default();
    let location = String::from_utf8_lossy(location);
    let file = files
        .iter()
        .find(|file| file.location == location)
        .ok_or("it keeps weights in another file and does not name it")?;
    let found = file.bytes.len();
    let number = |key: &str| match external(tensor, key) {
        None => Ok(None),
        Some(text) => match str::from_utf8(text).map(|text| text.trim().parse::<usize>()) {
            Ok(Ok(number)) => Ok(Some(number)),
            _ => Err(format!(
                "the {key} of weights in `{location}` is \"{}\", a number of bytes is expected",
                String::from_utf8_lossy(text)
            )),
        },
    };
    let offset = number("offset")?.unwrap_or(0);
    // Without a length they reach to the end of the file.
    let length = number("length")?.unwrap_or(found.saturating_sub(offset));
    let end = offset.checked_add(length);
    end.and_then(|end| file.bytes.get(offset..end))
        .ok_or_else(|| {
            let name = protobuf::bytes(tensor, TENSOR_NAME).unwrap_or_default();
            format!(
                "`{location}` has {found} bytes, but {length} from byte {offset} on are expected \
                 there for the weights `{}`: the file belongs to another model, or is cut off",
                String::from_utf8_lossy(name)
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64, parts: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        write_bytes(&mut out, number, &parts.concat());
        out
    }

    fn text(number: u64, text: &str) -> Vec<u8> {
        message(number, &[text.into()])
    }

    fn entry(key: &str, value: &str) -> Vec<u8> {
        message(EXTERNAL_DATA, &[text(1, key), text(2, value)])
    }

    fn is_external() -> Vec<u8> {
        vec![(DATA_LOCATION << 3) as u8, EXTERNAL as u8]
    }

    /// A model with one tensor, in a graph within a graph.
    fn model(tensor: &[Vec<u8>]) -> Vec<u8> {
        let inner = message(6, &[message(5, tensor)]);
        let node = message(1, &[message(5, &[inner]), text(4, "If")]);
        message(7, &[text(2, "graph"), node, text(10, "after")])
    }

    fn embedded(tensor: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        let files = [("other", vec![0; 9]), ("a.data", (0..100).collect())];
        let files = files.map(|(location, bytes)| DataFile {
            location: location.into(),
            bytes,
        });
        embed(&model(tensor), &files)
    }

    /// The tensor of such a model.
    fn tensor(model: &[u8]) -> Vec<u8> {
        let path = [7, 1, 5, 6, 5];
        let inner = path.iter().fold(model, |message, &number| {
            protobuf::bytes(message, number).expect("it is there")
        });
        inner.to_vec()
    }

    #[test]
    fn weights_take_the_place_of_their_address() {
        let name = text(TENSOR_NAME, "weights");
        let place = [entry("location", "a.data"), entry("offset", "10")];
        let whole = embedded(&[
            place.concat(),
            entry("length", "5"),
            name.clone(),
            is_external(),
        ]);
        let whole = whole.unwrap();
        let bytes = |range: std::ops::Range<u8>| message(RAW_DATA, &[range.collect()]);
        assert_eq!(tensor(&whole), [name, bytes(10..15)].concat());
        // All else is as it was.
        let graph = protobuf::bytes(&whole, 7).unwrap();
        assert_eq!(protobuf::bytes(graph, 2), Some(&b"graph"[..]));
        assert_eq!(protobuf::bytes(graph, 10), Some(&b"after"[..]));
        // What the format leaves out.
        let whole = embedded(&[place.concat(), is_external()]).unwrap();
        assert_eq!(tensor(&whole), bytes(10..100));
        let whole = embedded(&[entry("location", "a.data"), is_external()]).unwrap();
        assert_eq!(tensor(&whole), bytes(0..100));
    }

    #[test]
    fn weights_that_are_in_the_model_stay() {
        let raw = message(RAW_DATA, &[vec![1, 2, 3]]);
        let whole = embedded(&[entry("location", "a.data"), raw.clone()]).unwrap();
        assert_eq!(tensor(&whole), raw);
    }

    #[test]
    fn weights_that_are_not_there_are_refused() {
        for (entries, reason) in [
            (vec![], "does not name it"),
            (vec![entry("location", "none")], "does not name it"),
            (vec![entry("offset", "-1")], "the offset of weights"),
            (vec![entry("length", "1e3")], "is \"1e3\""),
            (vec![entry("offset", "101")], "has 100 bytes"),
            (vec![entry("length", "101")], "101 from byte 0"),
            (
                vec![
                    entry("offset", "1"),
                    entry("length", "18446744073709551615"),
                ],
                "from byte 1 on are expected",
            ),
        ] {
            let location = match reason {
                "does not name it" => Vec::new(),
                _ => entry("location", "a.data"),
            };
            let error = embedded(&[location, entries.concat(), is_external()]).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
