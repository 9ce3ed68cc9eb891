//! Which part of the frame a third-party network wants to see: its box, from a face.
//!
//! Must not know pixels or networks. `docs/models.md` says where the numbers come from.

use crate::{
    face::{Face, Mesh, geometry},
    pixels::Affine,
    rect::{Area, Margins, Rect, Size},
};

/// Whose boxes the network was trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Finder {
    /// Wav2Lip's face detector: upright, from the forehead to the chin.
    #[default]
    S3fd,
    /// Points 1, 52 and 31 of the 110 that SyncTalk_2D and Ultralight find: upright and square,
    /// from the bridge of the nose to below the chin, as wide as the face at the eyes.
    Landmarks110,
    /// DINet's, by the usual 68 points: upright, 3.25 radii high and 2.5 wide, from a radius above the
    /// bridge of the nose; the radius is half of the face below that, or of the mouth's width.
    Landmarks68,
    /// MuseTalk's: upright, as wide as the face, down to the chin, with the bridge of the nose in the
    /// middle of its height.
    NoseBridge,
    /// FFHQ's alignment by eyes, nose and mouth: square and turned with the face.
    Ffhq,
    /// A box that stays where it is.
    Fixed(Rect),
}

/// Mesh points that lie where points 1 and 31 of the 110 do, beside the eyes on the face's
/// outline, and two between which point 52 lies, on the bridge of the nose.
const LEFT: usize = 127;
const RIGHT: usize = 356;
const BRIDGE: [usize; 2] = [5, 195];
/// The mesh point where point 29 of the usual 68 lies, the third of four on the bridge of the nose.
const POINT_29: usize = 195;
/// Those of points 33, 48 and 54: below the nose, and the corners of the mouth.
const POINT_33: usize = 2;
const MOUTH: [usize; 2] = [61, 291];
/// DINet's radius is larger than what it is measured by, and a multiple of so many pixels.
const RADIUS: f64 = 1.05;
const RADIUS_STEP: f32 = 4.0;
/// FFHQ's places of eyes, tip of the nose and corners of the mouth in a square of side 1
/// (FaceFusion's `ffhq_512`), and the mesh points whose means lie there.
const FFHQ: [[f32; 2]; 5] = [
    [0.376_916_76, 0.468_646_64],
    [0.622_857, 0.469_128_13],
    [0.501_238_6, 0.613_319_04],
    [0.393_088_22, 0.725_411],
    [0.611_502_05, 0.724_904_65],
];
const FFHQ_POINTS: [[usize; 2]; 5] = [[33, 133], [362, 263], [4, 4], [61, 61], [291, 291]];

/// How a box lies round a face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    pub finder: Finder,
    /// Shares of the found box's height and width that are added.
    pub margins: Margins,
    /// Pixels that are added.
    pub pads: Margins,
    /// Whether a region that upstream gave for the face is its box.
    pub roi: bool,
}

impl Recipe {
    /// Whether there is a box without a face.
    pub fn is_fixed(&self) -> bool {
        matches!(self.finder, Finder::Fixed(_))
    }

    /// From pixels of a crop of `size` to the frame, to fractions of a pixel. `None` when
    /// no part of it lies in the frame, of `width` x `height`.
    pub fn map(
        &self,
        face: Option<&Face>,
        size: Size,
        [width, height]: [usize; 2],
    ) -> Option<Affine> {
        let turn = self.turn(face).unwrap_or(Affine::IDENTITY);
        // In a frame in which the head is upright.
        let unit = match (self.finder, face) {
            (Finder::Ffhq, Some(face)) => self.turned(&face.mesh)?,
            _ => {
                let place = self.place(face, self.turn(face), false)?;
                Affine {
                    a: place.width(),
                    d: place.height(),
                    tx: place.x0,
                    ty: place.y0,
                    ..Affine::IDENTITY
                }
            }
        };
        let corners =
            [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]].map(|at| turn.apply(unit.apply(at)));
        let around = Rect::around(corners);
        // Also false when one of them is not a number.
        let seen = around.width() >= 1.0
            && around.height() >= 1.0
            && around.x1 > 0.0
            && around.y1 > 0.0
            && around.x0 < width as f32
            && around.y0 < height as f32;
        // Pixel 0 of the crop has its centre half a pixel inside, and so have the frame's.
        let map = unit.after(&Affine {
            a: 1.0 / size.width as f32,
            d: 1.0 / size.height as f32,
            ..Affine::IDENTITY
        });
        let [tx, ty] = map.apply([0.5, 0.5]);
        let map = Affine {
            tx: tx - 0.5,
            ty: ty - 0.5,
            ..map
        };
        seen.then_some(turn.after(&map))
    }

    /// The box in whole pixels, cut to the frame, as the original pipelines have it. `None` when
    /// nothing is left of it, and for heads on their side or upside down: these pipelines know
    /// upright ones only.
    pub fn whole(&self, face: Option<&Face>, [width, height]: [usize; 2]) -> Option<Area> {
        // `as` cuts towards zero, ends what is too large at the limit and makes 0 of NaN.
        if self.turn(face).is_some() {
            return None;
        }
        let [x0, y0, x1, mut y1] = self.place(face, None, true)?.edges().map(|v| v as i64);
        if self.is_square(face) {
            // The originals cut the landmarks to whole pixels before they make the square.
            y1 = y0.saturating_add(x1.saturating_sub(x0));
        }
        let within = |v: i64, most: usize| usize::try_from(v.max(0)).map_or(most, |v| v.min(most));
        let (x0, x1) = (within(x0, width), within(x1, width));
        let (y0, y1) = (within(y0, height), within(y1, height));
        (x0 < x1 && y0 < y1).then(|| Area {
            x: x0,
            y: y0,
            width: x1 - x0,
            height: y1 - y0,
        })
    }

    fn is_square(&self, face: Option<&Face>) -> bool {
        let region = self.roi && face.is_some_and(|face| face.region.is_some());
        let bottoms = [self.margins.bottom, self.pads.bottom];
        self.finder == Finder::Landmarks110 && !region && bottoms == [0.0; 2]
    }

    /// The quarter turns from an upright head to this one; `None` where it is more upright than on
    /// its side, and where the box is not found in the mesh.
    fn turn(&self, face: Option<&Face>) -> Option<Affine> {
        let is_given = self.roi && face?.region.is_some();
        let is_upright = matches!(
            self.finder,
            Finder::S3fd | Finder::Landmarks110 | Finder::Landmarks68 | Finder::NoseBridge
        );
        if is_given || !is_upright {
            return None;
        }
        let [right, left] = geometry::EYE_CORNERS.map(|point| face.map(|f| f.mesh.points[point]));
        let ([rx, ry], [lx, ly]) = (right?, left?);
        let [across, down] = [lx - rx, ly - ry];
        let (a, c) = match across.abs() >= down.abs() {
            true if across >= 0.0 => return None,
            true => (-1.0, 0.0),
            false => (0.0, down.signum()),
        };
        Some(Affine {
            a,
            b: -c,
            c,
            d: a,
            tx: 0.0,
            ty: 0.0,
        })
    }

    /// The box in a frame in which the head is upright: this one, or one that `turn` makes this one
    /// of. It may reach out of the frame. `whole` is for originals that cut what they measure to whole
    /// pixels.
    fn place(&self, face: Option<&Face>, turn: Option<Affine>, whole: bool) -> Option<Rect> {
        if let Some(face) = face
            && let Some(region) = face.region
            && self.roi
        {
            return Some(region);
        }
        let upright = turn
            .and_then(|turn| turn.inverse())
            .unwrap_or(Affine::IDENTITY);
        let found = match (self.finder, face) {
            (Finder::Fixed(place), None) => return Some(place),
            (Finder::Fixed(place), Some(face)) => {
                let [x, y] = face.mesh.bbox().centre();
                let inside = (place.x0..place.x1).contains(&x) && (place.y0..place.y1).contains(&y);
                return inside.then_some(place);
            }
            (_, None) => return None,
            (Finder::S3fd | Finder::Ffhq, Some(face)) => {
                let Rect { x0, y0, x1, y1 } = face.mesh.bbox();
                Rect::around([[x0, y0], [x1, y1]].map(|corner| upright.apply(corner)))
            }
            (Finder::Landmarks110, Some(face)) => landmarks_110(&face.mesh, &upright),
            (Finder::Landmarks68, Some(face)) => landmarks_68(&face.mesh, &upright, whole),
            (Finder::NoseBridge, Some(face)) => nose_bridge(&face.mesh, &upright),
        };
        let (width, height) = (found.width(), found.height());
        let (margins, pads) = (self.margins, self.pads);
        let x0 = found.x0 - margins.left * width - pads.left;
        let x1 = found.x1 + margins.right * width + pads.right;
        let y0 = found.y0 - margins.top * height - pads.top;
        let y1 = match self.finder {
            // The side of the square follows from its width.
            Finder::Landmarks110 => y0 + (x1 - x0),
            _ => found.y1,
        };
        let y1 = y1 + margins.bottom * height + pads.bottom;
        Some(Rect { x0, y0, x1, y1 })
    }

    /// From the unit square to the frame.
    fn turned(&self, mesh: &Mesh) -> Option<Affine> {
        let points = FFHQ_POINTS.map(|[a, b]| {
            let ([ax, ay], [bx, by]) = (mesh.points[a], mesh.points[b]);
            [(ax + bx) / 2.0, (ay + by) / 2.0]
        });
        let added = self.margins;
        let margins = Affine {
            a: 1.0 + added.left + added.right,
            d: 1.0 + added.top + added.bottom,
            tx: -added.left,
            ty: -added.top,
            ..Affine::IDENTITY
        };
        Some(geometry::similarity(&FFHQ, &points)?.after(&margins))
    }
}

/// The square under points 1 (left), 52 (top) and 31 (right) of a mesh that is made `upright`.
fn landmarks_110(mesh: &Mesh, upright: &Affine) -> Rect {
    let point = |index: usize| upright.apply(mesh.points[index]);
    let (x0, x1) = (point(LEFT)[0], point(RIGHT)[0]);
    let [above, below] = BRIDGE.map(|index| point(index)[1]);
    let y0 = (above + below) / 2.0;
    let y1 = y0 + (x1 - x0);
    Rect { x0, y0, x1, y1 }
}

/// DINet's box of a mesh that is made `upright`. Its radius is a multiple of 4 pixels; where it is not
/// `whole`, what that adds in the mean.
fn landmarks_68(mesh: &Mesh, upright: &Affine, whole: bool) -> Rect {
    let cut = |v: f32| if whole { v.trunc() } else { v };
    let point = |index: usize| upright.apply(mesh.points[index]).map(cut);
    let bottom = cut(Rect::around(mesh.points.iter().map(|&point| upright.apply(point))).y1);
    let ([x, _], [_, y]) = (point(POINT_33), point(POINT_29));
    let [right, left] = MOUTH.map(|index| point(index)[0]);
    let measured = (bottom - y).max(left - right);
    let radius = match whole {
        true => radius(measured),
        false => (measured * RADIUS as f32 + RADIUS_STEP) / 2.0,
    };
    Rect {
        x0: x - 1.25 * radius,
        x1: x + 1.25 * radius,
        y0: y - radius,
        y1: y + 2.25 * radius,
    }
}

/// In Python's numbers: 480 times 1.05 is less than 504 in single precision.
fn radius(measured: f32) -> f32 {
    let half = (f64::from(measured) * RADIUS / 2.0).floor() as f32;
    (half / RADIUS_STEP).floor() * RADIUS_STEP + RADIUS_STEP
}

/// The face, with its top as far above point 29 as its chin is below, of a mesh that is made `upright`.
fn nose_bridge(mesh: &Mesh, upright: &Affine) -> Rect {
    let face = Rect::around(mesh.points.iter().map(|&point| upright.apply(point)));
    let [_, middle] = upright.apply(mesh.points[POINT_29]);
    Rect {
        y0: middle - (face.y1 - middle),
        ..face
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: [usize; 2] = [100, 100];

    fn recipe(finder: Finder) -> Recipe {
        Recipe {
            finder,
            margins: Margins::default(),
            pads: Margins::default(),
            roi: false,
        }
    }

    /// A face whose mesh fills `[x0, y0, x1, y1]`.
    fn face([x0, y0, x1, y1]: [f32; 4]) -> Face {
        let mut face = Face::default();
        face.mesh.points.fill([x0, y0]);
        face.mesh.points[152] = [x1, y1];
        face
    }

    fn between([x0, y0]: [usize; 2], [x1, y1]: [usize; 2]) -> Area {
        [x0, y0, x1 - x0, y1 - y0].into()
    }

    #[test]
    fn margins_are_shares_and_pads_are_pixels() {
        let recipe = Recipe {
            margins: [0.1, 0.2, 0.0, 0.5].into(),
            pads: [0.0, 10.0, 1.0, 0.0].into(),
            ..recipe(Finder::S3fd)
        };
        let place = recipe.place(Some(&face([100.0, 50.0, 140.0, 150.0])), None, false);
        assert_eq!(place, Some(Rect::new([99.0, 40.0, 160.0, 180.0])));
    }

    #[test]
    fn whole_boxes_are_cut_towards_zero_and_to_the_frame() {
        let whole = |place, frame| recipe(Finder::S3fd).whole(Some(&face(place)), frame);
        assert_eq!(
            whole([1.9, 2.1, 9.9, 8.9], FRAME),
            Some(between([1, 2], [9, 8]))
        );
        assert_eq!(
            whole([-5.0, -0.5, 200.0, 50.0], [100, 40]),
            Some(between([0, 0], [100, 40]))
        );
        assert_eq!(whole([5.0, 5.0, 5.5, 9.0], FRAME), None);
        assert_eq!(whole([f32::NAN; 4], FRAME), None);
        assert_eq!(whole([120.0, 0.0, 130.0, 9.0], FRAME), None);
        assert_eq!(recipe(Finder::S3fd).whole(None, FRAME), None);
    }

    #[test]
    fn the_radius_is_that_of_the_original() {
        for (measured, expected) in [(26.0, 16.0), (479.0, 252.0), (480.0, 256.0), (960.0, 508.0)] {
            assert_eq!(radius(measured), expected, "{measured}");
        }
    }

    #[test]
    fn the_square_of_the_landmarks_is_made_of_whole_numbers() {
        let mut face = Face::default();
        face.mesh.points[LEFT] = [10.9, 31.0];
        face.mesh.points[RIGHT] = [60.2, 33.0];
        face.mesh.points[BRIDGE[0]] = [35.0, 21.4];
        face.mesh.points[BRIDGE[1]] = [35.0, 20.0];
        let recipe = recipe(Finder::Landmarks110);
        // int(10.9), int(20.7), int(60.2), and 50 pixels down from 20.
        assert_eq!(
            recipe.whole(Some(&face), FRAME),
            Some(between([10, 20], [60, 70]))
        );
        let map = recipe
            .map(Some(&face), Size::square(100), FRAME)
            .expect("in the frame");
        assert!((map.a - 0.493).abs() < 1e-4 && (map.d - 0.493).abs() < 1e-4);
        // Beyond the frame's edge it stays as high as it is wide.
        face.mesh.points[LEFT][0] = -20.7;
        assert_eq!(
            recipe.whole(Some(&face), FRAME),
            Some(between([0, 20], [60, 100]))
        );
        face.mesh.points[LEFT][0] = 10.9;
        // It follows every frame's own landmarks.
        face.mesh.points[RIGHT][0] = 70.2;
        assert_eq!(
            recipe.whole(Some(&face), FRAME),
            Some(between([10, 20], [70, 80]))
        );
    }

    /// As DINet's own code: int(52 * 1.05) // 2 = 27, and the next multiple of 4 above.
    #[test]
    fn dinets_radius_is_a_multiple_of_four_whole_pixels() {
        let mut face = face([20.9, 20.0, 80.0, 62.9]);
        face.mesh.points[POINT_29] = [40.0, 10.9];
        face.mesh.points[POINT_33] = [50.7, 30.0];
        face.mesh.points[MOUTH[0]] = [30.0, 45.0];
        face.mesh.points[MOUTH[1]] = [60.0, 45.0];
        let recipe = recipe(Finder::Landmarks68);
        assert_eq!(
            recipe.whole(Some(&face), [200, 200]),
            Some(between([15, 0], [85, 73]))
        );
        let size = Size {
            width: 320,
            height: 416,
        };
        let map = recipe.map(Some(&face), size, FRAME).expect("in the frame");
        let radius = (52.0 * 1.05 + 4.0) / 2.0;
        assert!((map.a - 2.5 * radius / 320.0).abs() < 1e-4);
        assert!((map.d - 3.25 * radius / 416.0).abs() < 1e-4);
    }

    #[test]
    fn a_fixed_box_needs_no_face_and_takes_only_the_one_inside() {
        let recipe = recipe(Finder::Fixed(Rect::new([10.0, 20.0, 60.0, 70.0])));
        assert!(recipe.is_fixed());
        assert_eq!(recipe.whole(None, FRAME), Some(between([10, 20], [60, 70])));
        let inside = face([20.0, 30.0, 40.0, 50.0]);
        assert_eq!(
            recipe.whole(Some(&inside), FRAME),
            Some(between([10, 20], [60, 70]))
        );
        let beside = face([70.0, 30.0, 90.0, 50.0]);
        assert_eq!(recipe.whole(Some(&beside), FRAME), None);
    }

    #[test]
    fn a_region_of_upstream_is_the_box_where_the_manifest_says_so() {
        let mut face = face([20.0, 30.0, 40.0, 50.0]);
        face.region = Some(Rect::new([1.0, 2.0, 81.0, 62.0]));
        for finder in [Finder::S3fd, Finder::Landmarks110] {
            let recipe = Recipe {
                roi: true,
                ..recipe(finder)
            };
            assert_eq!(
                recipe.whole(Some(&face), FRAME),
                Some(between([1, 2], [81, 62]))
            );
        }
        let recipe = recipe(Finder::S3fd);
        assert_eq!(
            recipe.whole(Some(&face), FRAME),
            Some(between([20, 30], [40, 50]))
        );
    }

    #[test]
    fn ffhqs_square_turns_with_the_face() {
        let mut face = Face::default();
        let turn = Affine {
            a: 0.0,
            b: -80.0,
            c: 80.0,
            d: 0.0,
            tx: 90.0,
            ty: 10.0,
        };
        for (points, at) in FFHQ_POINTS.iter().zip(FFHQ) {
            for &point in points {
                face.mesh.points[point] = turn.apply(at);
            }
        }
        let map = recipe(Finder::Ffhq)
            .map(Some(&face), Size::square(160), FRAME)
            .expect("in the frame");
        for corner in [[-0.5, -0.5], [159.5, 159.5]] {
            let [x, y] = map.apply(corner);
            let [wanted_x, wanted_y] =
                turn.apply([(corner[0] + 0.5) / 160.0, (corner[1] + 0.5) / 160.0]);
            assert!((x + 0.5 - wanted_x).abs() < 1e-3 && (y + 0.5 - wanted_y).abs() < 1e-3);
        }
        assert_eq!(
            recipe(Finder::Ffhq).map(Some(&Face::default()), Size::square(160), FRAME),
            None
        );
    }

    #[test]
    fn the_box_turns_with_a_head_that_is_not_upright() {
        // A head with its chin to the right: a quarter turn counter-clockwise.
        let turned = |[x, y]: [f32; 2]| [y, 100.0 - x];
        for finder in [
            Finder::S3fd,
            Finder::Landmarks110,
            Finder::Landmarks68,
            Finder::NoseBridge,
        ] {
            let recipe = Recipe {
                margins: [0.0, 0.1, 0.2, 0.0].into(),
                ..recipe(finder)
            };
            let mut upright = face([20.0, 10.0, 60.0, 70.0]);
            for (point, place) in [
                (33, [30.0, 30.0]),
                (263, [50.0, 31.0]),
                (LEFT, [22.0, 30.0]),
                (RIGHT, [58.0, 30.0]),
                (BRIDGE[0], [40.0, 35.0]),
                (BRIDGE[1], [40.0, 45.0]),
            ] {
                upright.mesh.points[point] = place;
            }
            let mut lying = upright.clone();
            for point in lying.mesh.points.iter_mut() {
                *point = turned(*point);
            }
            let expected = recipe
                .map(Some(&upright), Size::square(96), FRAME)
                .expect("a box");
            let found = recipe
                .map(Some(&lying), Size::square(96), FRAME)
                .expect("a box");
            for corner in [[0.0, 0.0], [95.0, 0.0], [0.0, 95.0]] {
                let [[x, y], [u, v]] = [turned(expected.apply(corner)), found.apply(corner)];
                assert!(
                    (x - u).hypot(y - v) < 1e-3,
                    "{finder:?}: {x}, {y}; {u}, {v}"
                );
            }
            assert!(recipe.whole(Some(&upright), FRAME).is_some());
            assert_eq!(recipe.whole(Some(&lying), FRAME), None);
        }
    }
}
