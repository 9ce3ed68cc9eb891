//! How a third-party network sees a face and how what it draws is put back.

use serde::{Deserialize, Deserializer, de};

use crate::{
    families::redraw::face_box::{self, Finder},
    pixels::read::opencv_resize::Scale,
    rect::{Area, Margins, Rect, Size},
};

/// Pixels or faces that a box can be larger: beyond the largest frame.
const MAX_PIXELS: f32 = 16_384.0;
/// Largest side of a network's picture.
const MAX_SIZE: usize = 1024;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    #[default]
    Bgr,
    Rgb,
}

/// What three of the channels hold.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Planes {
    /// The picture as it is.
    Reference,
    /// The picture with a black rectangle.
    Masked,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Image {
    /// In pixels; the network's own where it says one.
    pub size: Option<Size>,
    pub order: Order,
    /// Values of black and white, in and out.
    pub range: [f32; 2],
    pub planes: Vec<Planes>,
    /// The black rectangle; the lower half where absent.
    pub mask: Option<Area>,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            size: None,
            order: Order::Bgr,
            range: [0.0, 1.0],
            planes: vec![Planes::Masked, Planes::Reference],
            mask: None,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Crop {
    #[serde(rename = "box", deserialize_with = "finder")]
    pub finder: Finder,
    pub margins: Margins,
    pub pads: Margins,
    /// Whether a region that upstream gives is the box itself.
    pub roi: bool,
    /// The box is scaled to this; to the network's and both borders where absent.
    pub size: Option<Size>,
    /// Pixels on each side that the network does not see.
    pub border: usize,
    pub scale: Scale,
}

impl Default for Crop {
    fn default() -> Self {
        Self {
            finder: Finder::S3fd,
            margins: Margins::default(),
            // Wav2Lip's `--pads`: 10 pixels below the chin.
            pads: [0.0, 10.0, 0.0, 0.0].into(),
            roi: false,
            size: None,
            border: 0,
            scale: Scale::Linear,
        }
    }
}

impl Crop {
    pub fn recipe(&self) -> face_box::Recipe {
        face_box::Recipe {
            finder: self.finder,
            margins: self.margins,
            pads: self.pads,
            roi: self.roi,
        }
    }
}

/// A finder's name, or x, y, width, height of a box that stays where it is.
fn finder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Finder, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "\"s3fd\", \"landmarks-110\", \"landmarks-68\", \"nose-bridge\", \"ffhq\" or [x, y, width, height] in pixels is expected"
    )]
    enum Said {
        Box([f32; 4]),
        Name(Named),
    }
    #[derive(Deserialize)]
    enum Named {
        #[serde(rename = "s3fd")]
        S3fd,
        #[serde(rename = "landmarks-110")]
        Landmarks110,
        #[serde(rename = "landmarks-68")]
        Landmarks68,
        #[serde(rename = "nose-bridge")]
        NoseBridge,
        #[serde(rename = "ffhq")]
        Ffhq,
    }
    Ok(match Said::deserialize(deserializer)? {
        Said::Name(Named::S3fd) => Finder::S3fd,
        Said::Name(Named::Landmarks110) => Finder::Landmarks110,
        Said::Name(Named::Landmarks68) => Finder::Landmarks68,
        Said::Name(Named::NoseBridge) => Finder::NoseBridge,
        Said::Name(Named::Ffhq) => Finder::Ffhq,
        Said::Box([x, y, width, height]) => {
            let place = Rect::new([x, y, x + width, y + height]);
            let fits = |v: &f32| v.abs() <= MAX_PIXELS;
            if !(place.edges().iter().all(fits) && width >= 1.0 && height >= 1.0) {
                return Err(de::Error::custom(format!(
                    "a box of {width} x {height} pixels at {x}, {y}, at least 1 x 1 within \
                     {MAX_PIXELS} is expected"
                )));
            }
            Finder::Fixed(place)
        }
    })
}

/// How the drawn picture is put back.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Mouth and jaw only, with a soft edge.
    #[default]
    Soft,
    /// The whole box, with hard edges, as the original pipelines do it.
    Reference,
}

/// When what is drawn becomes whole numbers.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Cuts {
    #[default]
    BeforeScaling,
    AfterScaling,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Blend {
    pub kind: Kind,
    /// Whether what is drawn takes the colours of the skin round it, with [`Kind::Soft`].
    pub match_colour: bool,
    /// Back to the box, with [`Kind::Reference`].
    pub scale: Scale,
    /// Whether what is drawn is rounded to whole numbers, with [`Kind::Reference`], and not cut.
    pub rounds: bool,
    /// When that is done.
    pub cuts: Cuts,
    /// Shares of the box's height and width on its sides that stay as they were, with
    /// [`Kind::Reference`].
    pub keeps: Margins,
}

impl Default for Blend {
    fn default() -> Self {
        Self {
            kind: Kind::Soft,
            match_colour: true,
            scale: Scale::Linear,
            rounds: false,
            cuts: Cuts::BeforeScaling,
            keeps: Margins::default(),
        }
    }
}

/// What is wrong however large the network's picture is.
pub fn check(image: &Image, crop: &Crop, blend: &Blend) -> Result<(), String> {
    let [black, white] = image.range;
    if !(black.is_finite() && white.is_finite() && black < white) {
        return Err(format!(
            "[image] range is {black} to {white}, two numbers, the smaller first, are expected"
        ));
    }
    if !(1..=2).contains(&image.planes.len()) {
        return Err(format!(
            "[image] planes has {} entries, 1 or 2 are expected",
            image.planes.len()
        ));
    }
    let sides = [crop.margins, crop.pads].map(Margins::sides);
    let mut numbers = sides.as_flattened().iter();
    if let Some(number) = numbers.find(|n| n.is_nan() || n.abs() > MAX_PIXELS) {
        return Err(format!(
            "[crop] margins or pads has {number}, -{MAX_PIXELS} to {MAX_PIXELS} is expected"
        ));
    }
    let kept = blend.keeps.sides();
    if !kept.iter().all(|share| (0.0..0.5).contains(share)) {
        return Err(format!(
            "[blend] keeps is {kept:?}, shares from 0 to less than 0.5 are expected"
        ));
    }
    if crop.finder == Finder::Ffhq && blend.kind == Kind::Reference {
        return Err(
            "[crop] box \"ffhq\" turns with the face; [blend] kind \"reference\" needs an upright \
             box, \"soft\" is expected"
                .into(),
        );
    }
    Ok(())
}

impl Image {
    /// The black rectangle in a picture of `size`.
    pub fn rectangle(&self, size: Size) -> Area {
        let Size { width, height } = size;
        let lower_half = [0, height / 2, width, height - height / 2];
        self.mask.unwrap_or(lower_half.into())
    }
}

/// Checks the numbers that hang on the network's own size, and gives that of the crop.
pub fn crop_size(image: &Image, crop: &Crop, size: Size) -> Result<Size, String> {
    let sides = [size.width, size.height];
    if !sides.iter().all(|side| (16..=MAX_SIZE).contains(side)) {
        return Err(format!(
            "pictures of {size} pixels, 16 to {MAX_SIZE} are expected"
        ));
    }
    if let Some(said) = image.size.filter(|&said| said != size) {
        return Err(format!("[image] size {said}, the network has {size}"));
    }
    let Area {
        x,
        y,
        width,
        height,
    } = image.rectangle(size);
    let inside =
        |from: usize, length: usize, side| from.checked_add(length).is_some_and(|to| to <= side);
    if !(inside(x, width, size.width) && inside(y, height, size.height)) {
        return Err(format!(
            "[image] mask [{x}, {y}, {width}, {height}] beyond {size} pixels"
        ));
    }
    let with_border = |side: usize| {
        let both = crop.border.checked_mul(2)?.checked_add(side)?;
        (both <= 2 * MAX_SIZE).then_some(both)
    };
    let bordered = with_border(size.width).zip(with_border(size.height));
    let bordered = bordered.map(|(width, height)| Size { width, height });
    match (bordered, crop.size) {
        (Some(size), None) => Ok(size),
        (Some(size), Some(said)) if size == said => Ok(size),
        (_, said) => Err(format!(
            "[crop] size {} with a border of {}, {size} and twice the border is expected",
            said.unwrap_or(size),
            crop.border
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_must_agree_with_the_network() {
        let (image, crop) = (Image::default(), Crop::default());
        let fits = |image: &Image, crop: &Crop, side| crop_size(image, crop, Size::square(side));
        assert_eq!(fits(&image, &crop, 96), Ok(Size::square(96)));
        assert!(fits(&image, &crop, 15).is_err());
        assert!(fits(&image, &crop, 4000).is_err());
        let tall = Size {
            width: 320,
            height: 416,
        };
        assert_eq!(crop_size(&image, &crop, tall), Ok(tall));
        let said = Image {
            size: Some(Size::square(128)),
            ..Image::default()
        };
        assert!(fits(&said, &crop, 96).is_err());
        let mask = Image {
            mask: Some([5, 5, 92, 10].into()),
            ..Image::default()
        };
        assert!(fits(&mask, &crop, 96).is_err());
        for (size, border) in [
            (Some(103), 4),
            (Some(104), usize::MAX),
            (None, usize::MAX / 4),
        ] {
            let crop = Crop {
                size: size.map(Size::square),
                border,
                ..Crop::default()
            };
            assert!(fits(&image, &crop, 96).is_err());
        }
        let crop = Crop {
            size: Some(Size::square(104)),
            border: 4,
            ..Crop::default()
        };
        assert_eq!(fits(&image, &crop, 96), Ok(Size::square(104)));
    }
}
