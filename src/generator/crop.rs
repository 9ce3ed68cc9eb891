//! Which part of the frame a network of somebody else wants to see: its box, from a face mesh.
//!
//! Must not know pixels or networks. `docs/models.md` says where the numbers come from.

use serde::Deserialize;

use crate::face::Mesh;

/// Whose boxes the network was trained on.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Finder {
    /// Wav2Lip's face detector: upright, from the forehead to the chin.
    #[default]
    S3fd,
}

/// A box of a frame: `[x0, y0, x1, y1]` in pixels, x1 and y1 excluded.
pub type Box4 = [f32; 4];

/// How a box lies round a mesh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    pub finder: Finder,
    /// Top, bottom, left, right: shares of the mesh's height and width that are added.
    pub margins: [f32; 4],
    /// Top, bottom, left, right: pixels that are added.
    pub pads: [f32; 4],
}

impl Recipe {
    /// The box of this face. It may reach out of the frame.
    pub fn place(&self, mesh: &Mesh) -> Box4 {
        let Finder::S3fd = self.finder;
        let [x0, y0, x1, y1] = mesh.bbox();
        let (width, height) = (x1 - x0, y1 - y0);
        let [top, bottom, left, right] = self.margins;
        let [pad_top, pad_bottom, pad_left, pad_right] = self.pads;
        [
            x0 - left * width - pad_left,
            y0 - top * height - pad_top,
            x1 + right * width + pad_right,
            y1 + bottom * height + pad_bottom,
        ]
    }
}

/// The box in whole pixels, cut to the frame, as the original pipelines have it. `None` when
/// nothing is left of it.
pub fn whole(place: &Box4, width: usize, height: usize) -> Option<[usize; 4]> {
    // `as` cuts towards zero, ends what is too large at the limit and makes 0 of NaN.
    let [x0, y0, x1, y1] = place.map(|v| v.max(0.0) as usize);
    let (x1, y1) = (x1.min(width), y1.min(height));
    (x0 < x1 && y0 < y1).then_some([x0, y0, x1, y1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(corners: [[f32; 2]; 2]) -> Mesh {
        let mut mesh = Mesh::default();
        mesh.points.fill(corners[0]);
        mesh.points[152] = corners[1];
        mesh
    }

    #[test]
    fn margins_are_shares_and_pads_are_pixels() {
        let recipe = Recipe {
            finder: Finder::S3fd,
            margins: [0.1, 0.2, 0.0, 0.5],
            pads: [0.0, 10.0, 1.0, 0.0],
        };
        let place = recipe.place(&mesh([[100.0, 50.0], [140.0, 150.0]]));
        assert_eq!(place, [99.0, 40.0, 160.0, 180.0]);
    }

    #[test]
    fn whole_boxes_are_cut_towards_zero_and_to_the_frame() {
        assert_eq!(whole(&[1.9, 2.1, 9.9, 8.9], 100, 100), Some([1, 2, 9, 8]));
        assert_eq!(
            whole(&[-5.0, -0.5, 200.0, 50.0], 100, 40),
            Some([0, 0, 100, 40])
        );
        for nothing in [
            [5.0, 5.0, 5.5, 9.0],
            [f32::NAN; 4],
            [120.0, 0.0, 130.0, 9.0],
        ] {
            assert_eq!(whole(&nothing, 100, 100), None);
        }
    }
}
