//! Contact sheets: frames above each other at the same times, the time under them.

use anyhow::{Context, Result, bail};
use image::{
    RgbImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use lipsync_core::pixels::{Format, write::debug_pen::Pen};

use crate::picture::{Picture, Square, packed_view};

/// Side of one frame on the sheet.
const CELL: usize = 240;
const GAP: usize = 4;
const CAPTION: usize = 24;
/// Size of a dot of the 5x7 letters.
const DOT: i32 = 2;
const PAPER: u8 = 20;
const INK: [f32; 3] = [0.92; 3];

/// One moment: the frame that went in, the one that came out, and others to compare them with.
pub struct Column {
    frames: Vec<RgbImage>,
    caption: String,
}

impl Column {
    /// Of each frame a square.
    pub fn new<'a>(
        caption: impl Into<String>,
        frames: impl IntoIterator<Item = (&'a Picture, Square)>,
    ) -> Result<Self> {
        let crop = |(frame, square): (&Picture, Square)| Ok(frame.planes()?.crop(&square, CELL));
        Ok(Self {
            frames: frames.into_iter().map(crop).collect::<Result<_>>()?,
            caption: caption.into(),
        })
    }
}

/// Writes a PNG with frames of a moment above each other and moments from left to right, and the
/// folder that it lies in.
pub fn write(columns: &[Column], path: &std::path::Path) -> Result<()> {
    let sheet = contact_sheet(columns)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = std::fs::File::create(path);
    let file = file.with_context(|| format!("cannot create {}", path.display()))?;
    let file = std::io::BufWriter::new(file);
    let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
    let written = sheet.write_with_encoder(encoder);
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn contact_sheet(columns: &[Column]) -> Result<RgbImage> {
    let Some(rows) = columns.iter().map(|column| column.frames.len()).max() else {
        bail!("no frames for the contact sheet");
    };
    let at = |index: usize| GAP + index * (CELL + GAP);
    let (width, height) = (at(columns.len()), at(rows) + CAPTION);
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, image::Rgb([PAPER; 3]));
    for (index, column) in columns.iter().enumerate() {
        for (row, frame) in column.frames.iter().enumerate() {
            image::imageops::replace(&mut sheet, frame, at(index) as i64, at(row) as i64);
        }
    }
    let mut view = packed_view(Format::Rgb, &mut sheet, width, height);
    let mut pen = Pen::new(&mut view, INK, DOT);
    for (index, column) in columns.iter().enumerate() {
        pen.text(at(index) as i32, at(rows) as i32, &column.caption);
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_above_each_other_and_captions_below() {
        let shade = |shade| RgbImage::from_pixel(CELL as u32, CELL as u32, image::Rgb([shade; 3]));
        let column = || Column {
            frames: vec![shade(100), shade(200)],
            caption: "1.20 S".into(),
        };
        let sheet = contact_sheet(&[column(), column()]).unwrap();
        let middle = (GAP + CELL / 2) as u32;
        let below = middle + (CELL + GAP) as u32;
        assert_eq!(sheet.get_pixel(middle, middle).0, [100; 3]);
        assert_eq!(sheet.get_pixel(middle, below).0, [200; 3]);
        let captions = (2 * (CELL + GAP) + GAP) as u32;
        let inked =
            |(_, y, pixel): &(u32, u32, &image::Rgb<u8>)| *y >= captions && pixel.0[0] > 150;
        assert!(sheet.enumerate_pixels().filter(inked).count() > 50);
        assert!(contact_sheet(&[]).is_err());
    }
}
