//! Contact sheets: pictures above each other at the same times, the time under them.

use anyhow::{Context, Result, bail};
use image::{
    RgbImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use lipsync_core::pixels::{Format, write::draw::Pen};

use crate::picture::packed_view;

/// Side of one picture.
pub const CELL: usize = 240;
const GAP: usize = 4;
const CAPTION: usize = 24;
/// Size of a dot of the 5x7 letters.
const DOT: i32 = 2;
const PAPER: u8 = 20;
const INK: [f32; 3] = [0.92; 3];

/// One moment: the picture that went in, the one that came out, and others to compare them with.
pub struct Column {
    pub pictures: Vec<RgbImage>,
    pub caption: String,
}

/// Pictures of a moment above each other, moments from left to right.
pub fn contact_sheet<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Result<RgbImage> {
    let columns: Vec<&Column> = columns.into_iter().collect();
    if columns.is_empty() {
        bail!("no pictures for the contact sheet");
    }
    let rows = columns.iter().map(|column| column.pictures.len()).max();
    let captions = rows.unwrap_or_default() * (CELL + GAP) + GAP;
    let width = columns.len() * (CELL + GAP) + GAP;
    let height = captions + CAPTION;
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, image::Rgb([PAPER; 3]));
    for (index, column) in columns.iter().enumerate() {
        let left = (GAP + index * (CELL + GAP)) as i64;
        for (row, picture) in column.pictures.iter().enumerate() {
            let top = (GAP + row * (CELL + GAP)) as i64;
            image::imageops::replace(&mut sheet, picture, left, top);
        }
    }
    let mut view = packed_view(Format::Rgb, &mut sheet, width, height);
    let mut pen = Pen::new(&mut view, INK, DOT);
    for (index, column) in columns.iter().enumerate() {
        let left = GAP + index * (CELL + GAP);
        pen.text(
            i32::try_from(left)?,
            i32::try_from(captions)?,
            &column.caption,
        );
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
    fn pictures_are_above_each_other_and_captions_below() {
        let picture =
            |shade| RgbImage::from_pixel(CELL as u32, CELL as u32, image::Rgb([shade; 3]));
        let column = || Column {
            pictures: vec![picture(100), picture(200)],
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
        assert!(contact_sheet([]).is_err());
    }
}
