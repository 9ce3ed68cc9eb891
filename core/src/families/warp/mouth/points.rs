//! Which landmarks tell of the inside of a mouth.

/// Inner contours, upper and lower, from the right corner to the left, as mesh points.
const INNER: [[usize; 11]; 2] = [
    [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308],
    [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308],
];
/// Outer contours, in the same order.
const OUTER: [[usize; 11]; 2] = [
    [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291],
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291],
];
const CHIN: [usize; 7] = [199, 175, 152, 148, 377, 176, 400];
/// Bare skin round the mouth.
const SKIN: [usize; 8] = [206, 426, 57, 287, 43, 273, 212, 432];
/// Tip of the nose: mesh points that are no landmarks.
pub const NOSE_TIP: [usize; 3] = [4, 1, 5];
/// Middle of a contour.
const MIDDLE: usize = 5;

/// The same as places in a list of landmarks.
pub struct Points {
    pub inner: [[usize; 11]; 2],
    pub outer: [[usize; 11]; 2],
    chin: [usize; 7],
    pub skin: [usize; 8],
}

impl Points {
    /// `place` says where a mesh point stands in the list. `None` where one is missing.
    pub fn find(place: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        Some(Self {
            inner: [places(&INNER[0], &place)?, places(&INNER[1], &place)?],
            outer: [places(&OUTER[0], &place)?, places(&OUTER[1], &place)?],
            chin: places(&CHIN, &place)?,
            skin: places(&SKIN, &place)?,
        })
    }

    /// Height of the line where the lips of a closed mouth meet.
    pub fn line(&self, landmarks: &[[f32; 2]]) -> f32 {
        let [upper, lower] = self.inner.map(|lip| landmarks[lip[MIDDLE]][1]);
        0.5 * (upper + lower)
    }

    /// Width between the inner corners.
    pub fn width(&self, landmarks: &[[f32; 2]]) -> f32 {
        let [right, left] = [0, 10].map(|corner| landmarks[self.inner[0][corner]][0]);
        left - right
    }

    /// How low the lower teeth are, as chin and lower lip tell, against any other mouth of the same
    /// face.
    pub fn jaw(&self, landmarks: &[[f32; 2]]) -> f32 {
        const BY_CHIN: f32 = 0.75;
        const BY_LIP: f32 = 0.3;
        let chin = self
            .chin
            .iter()
            .map(|&point| landmarks[point][1])
            .sum::<f32>();
        BY_CHIN * chin / self.chin.len() as f32 + BY_LIP * landmarks[self.inner[1][MIDDLE]][1]
    }
}

fn places<const N: usize>(
    points: &[usize; N],
    place: impl Fn(usize) -> Option<usize>,
) -> Option<[usize; N]> {
    let mut found = [0; N];
    for (found, &point) in found.iter_mut().zip(points) {
        *found = place(point)?;
    }
    Some(found)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Canonical landmarks of a mouth with such a gap between its lips, and where they stand.
    pub fn face(gap: f32) -> (Vec<[f32; 2]>, Points) {
        let mut mesh = vec![None; 468];
        for (contours, thick) in [(INNER, 0.0), (OUTER, 6.0)] {
            for (lip, out) in contours.into_iter().zip([-1.0, 1.0]) {
                for (nth, point) in lip.into_iter().enumerate() {
                    let across = (nth as f32 - 5.0) / 5.0;
                    let beyond = (0.5 * gap + thick) * (1.0 - across * across);
                    mesh[point] = Some([47.5 + (18.0 + thick / 3.0) * across, 52.0 + out * beyond]);
                }
            }
        }
        for point in CHIN {
            mesh[point] = Some([47.5, 80.0 + 0.5 * gap]);
        }
        for (nth, point) in SKIN.into_iter().enumerate() {
            mesh[point] = Some([if nth % 2 == 0 { 18.0 } else { 77.0 }, 55.0]);
        }
        let listed: Vec<usize> = (0..468).filter(|&point| mesh[point].is_some()).collect();
        let points = Points::find(|point| listed.iter().position(|&it| it == point));
        let landmarks = listed.iter().filter_map(|&point| mesh[point]).collect();
        (landmarks, points.expect("all are there"))
    }

    #[test]
    fn the_jaw_goes_down_with_chin_and_lower_lip() {
        let ((shut, points), (open, _)) = (face(0.0), face(8.0));
        assert_eq!((points.line(&shut), points.width(&shut)), (52.0, 36.0));
        let drop = points.jaw(&open) - points.jaw(&shut);
        assert!((drop - (0.75 * 4.0 + 0.3 * 4.0)).abs() < 1e-3, "{drop}");
    }

    #[test]
    fn a_list_without_one_of_them_has_none() {
        assert!(Points::find(|point| (point != 14).then_some(point)).is_none());
    }
}
