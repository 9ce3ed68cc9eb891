//! Contact sheets: pictures above each other at the same times, the time under them.

use anyhow::{Context, Result, bail};
use gstlipsync::pixels::{Colour, Format, Plane, View, draw::Pen};
use image::{
    RgbImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

/// Side of one picture.
pub const CELL: usize = 240;
const GAP: usize = 4;
const CAPTION: usize = 24;
/// Size of a dot of the 5x7 letters.
const DOT: i32 = 2;
const PAPER: u8 = 20;
const INK: [f32; 3] = [0.92; 3];

/// One moment: the picture that went in, the one that came out.
pub struct Column {
    pub input: RgbImage,
    pub output: RgbImage,
    pub caption: String,
}

/// Input above output, moments from left to right.
pub fn contact_sheet(columns: &[Column]) -> Result<RgbImage> {
    if columns.is_empty() {
        bail!("no pictures for the contact sheet");
    }
    let width = columns.len() * (CELL + GAP) + GAP;
    let height = 2 * (CELL + GAP) + GAP + CAPTION;
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, image::Rgb([PAPER; 3]));
    for (index, column) in columns.iter().enumerate() {
        let left = (GAP + index * (CELL + GAP)) as i64;
        let below = (GAP + CELL + GAP) as i64;
        image::imageops::replace(&mut sheet, &column.input, left, GAP as i64);
        image::imageops::replace(&mut sheet, &column.output, left, below);
    }
    let mut view = View {
        format: Format::Rgb,
        width,
        height,
        colour: Colour::default(),
        planes: [
            Plane {
                data: &mut sheet,
                stride: width * 3,
            },
            Plane {
                data: &mut [],
                stride: 0,
            },
            Plane {
                data: &mut [],
                stride: 0,
            },
        ],
    };
    let mut pen = Pen::new(&mut view, INK, DOT);
    for (index, column) in columns.iter().enumerate() {
        let left = GAP + index * (CELL + GAP);
        let top = 2 * (CELL + GAP) + GAP;
        pen.text(i32::try_from(left)?, i32::try_from(top)?, &column.caption);
    }
    Ok(sheet)
}

/// Writes a PNG, and the folder it lies in.
pub fn write(sheet: &RgbImage, path: &std::path::Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file =
        std::fs::File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let encoder = PngEncoder::new_with_quality(
        std::io::BufWriter::new(file),
        CompressionType::Best,
        FilterType::Adaptive,
    );
    sheet
        .write_with_encoder(encoder)
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_above_outputs_and_captions_below() {
        let picture =
            |shade| RgbImage::from_pixel(CELL as u32, CELL as u32, image::Rgb([shade; 3]));
        let column = || Column {
            input: picture(100),
            output: picture(200),
            caption: "1.20 S".into(),
        };
        let sheet = contact_sheet(&[column(), column()]).unwrap();
        let middle = (GAP + CELL / 2) as u32;
        let below = middle + (CELL + GAP) as u32;
        assert_eq!(sheet.get_pixel(middle, middle).0, [100; 3]);
        assert_eq!(sheet.get_pixel(middle, below).0, [200; 3]);
        let captions = (2 * (CELL + GAP) + GAP) as u32;
        let inked = sheet
            .enumerate_pixels()
            .filter(|(_, y, pixel)| *y >= captions && pixel.0[0] > 150)
            .count();
        assert!(inked > 50, "{inked}");
        assert!(contact_sheet(&[]).is_err());
    }
}
