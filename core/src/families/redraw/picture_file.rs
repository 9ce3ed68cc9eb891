//! Pictures in files, as PNG.
//!
//! Must not know what they show.

use std::io::Cursor;

use png::{ColorType, Decoder, Limits, Transformations};

use crate::{families::redraw::cutout::Rgb, rect::Size};

/// Bytes that a picture may take when it is decoded: 8192 x 8192 pixels.
const MAX_BYTES: usize = 1 << 28;

/// The error says why it is no such picture.
pub fn decode(bytes: &[u8]) -> Result<Rgb, String> {
    let fault = |error: png::DecodingError| format!("a PNG picture is expected: {error}");
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MAX_BYTES });
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(fault)?;
    let length = reader
        .output_buffer_size()
        .filter(|&length| length <= MAX_BYTES)
        .ok_or("the picture is too large")?;
    let mut pixels = vec![0; length];
    let info = reader.next_frame(&mut pixels).map_err(fault)?;
    pixels.truncate(info.buffer_size());
    let bytes = match info.color_type {
        ColorType::Rgb => pixels,
        ColorType::Grayscale => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        ColorType::GrayscaleAlpha => {
            let (pixels, _) = pixels.as_chunks::<2>();
            pixels.iter().flat_map(|&[grey, _]| [grey; 3]).collect()
        }
        ColorType::Rgba => {
            let (pixels, _) = pixels.as_chunks::<4>();
            pixels.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect()
        }
        // Expanded by the transformation.
        ColorType::Indexed => return Err("a PNG picture of colours is expected".into()),
    };
    let size = Size {
        width: info.width as usize,
        height: info.height as usize,
    };
    Ok(Rgb { size, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(kind: ColorType, pixels: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(kind);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn all_kinds_become_red_green_blue() {
        for (kind, pixels) in [
            (ColorType::Rgb, &[7, 7, 7, 9, 9, 9][..]),
            (ColorType::Rgba, &[7, 7, 7, 0, 9, 9, 9, 255]),
            (ColorType::Grayscale, &[7, 9]),
            (ColorType::GrayscaleAlpha, &[7, 1, 9, 1]),
        ] {
            let picture = decode(&encoded(kind, pixels)).unwrap();
            assert_eq!(picture.bytes, [7, 7, 7, 9, 9, 9]);
            assert_eq!([picture.size.width, picture.size.height], [2, 1]);
        }
    }

    #[test]
    fn what_is_none_is_said() {
        let whole = encoded(ColorType::Grayscale, &[7, 9]);
        for bytes in [&[][..], b"\xff\xd8\xff\xe0", &whole[..whole.len() / 2]] {
            let Err(reason) = decode(bytes) else {
                panic!("{bytes:?}");
            };
            assert!(reason.contains("a PNG picture is expected"), "{reason}");
        }
    }
}
