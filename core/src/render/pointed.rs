//! Whose mouth is drawn where somebody has pointed: the nearest faces, and these for as long as they are there.
//!
//! Must not know networks or pixels.

use crate::face::Face;

/// Nobody takes the place of somebody who is gone for less.
const PRESENCE_NS: u64 = 2_000_000_000;

/// Somebody who was chosen.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    face: u64,
    centre: [f32; 2],
    seen_ns: i64,
}

/// The faces that are chosen in a stream.
#[derive(Debug, Default)]
pub struct Pointed {
    point: Option<[f32; 2]>,
    chosen: Vec<Chosen>,
}

impl Pointed {
    /// Leaves the faces that were nearest to `point`, in pixels, when it was set, `most` of them; without a point the
    /// largest. The others go to `others`.
    pub fn choose(
        &mut self,
        faces: &mut Vec<Face>,
        others: &mut Vec<Face>,
        most: usize,
        point: Option<[f32; 2]>,
        time_ns: i64,
    ) {
        if std::mem::replace(&mut self.point, point) != point {
            self.chosen.clear();
        }
        self.chosen.truncate(most);
        for chosen in &mut self.chosen {
            if let Some(face) = faces.iter().find(|face| face.id == chosen.face) {
                (chosen.centre, chosen.seen_ns) = (face.mesh.bbox().centre(), time_ns);
            }
        }
        // Who comes after somebody is who is nearest to where that one was.
        let mut place = point;
        self.chosen.retain(|chosen| {
            let is_here = time_ns.abs_diff(chosen.seen_ns) < PRESENCE_NS;
            if !is_here && point.is_some() {
                place = Some(chosen.centre);
            }
            is_here
        });
        while self.chosen.len() < most {
            let is_new = |face: &&Face| self.chosen.iter().all(|chosen| chosen.face != face.id);
            let wish = |face: &Face| wish(face, place);
            let best = faces.iter().filter(is_new);
            let Some(best) = best.max_by(|a, b| wish(a).total_cmp(&wish(b))) else {
                break;
            };
            self.chosen.push(Chosen {
                face: best.id,
                centre: best.mesh.bbox().centre(),
                seen_ns: time_ns,
            });
        }
        let is_chosen = |face: &mut Face| self.chosen.iter().any(|chosen| chosen.face == face.id);
        others.extend(faces.extract_if(.., |face| !is_chosen(face)));
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// How much a face is wanted: the nearer or, where nobody points, the larger, the more.
fn wish(face: &Face, place: Option<[f32; 2]>) -> f32 {
    let bbox = face.mesh.bbox();
    let [x, y] = bbox.centre();
    place.map_or(bbox.area(), |[to_x, to_y]| -(x - to_x).hypot(y - to_y))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_NS: i64 = 40_000_000;

    /// A face of this size around a place.
    fn face(id: u64, [x, y]: [f32; 2], size: f32) -> Face {
        let mut face = Face {
            id,
            ..Face::default()
        };
        let half = size / 2.0;
        for (number, point) in face.mesh.points.iter_mut().enumerate() {
            let side = if number % 2 == 0 { -half } else { half };
            *point = [x + side, y + side];
        }
        face
    }

    /// Ids of who is left, and of the others.
    fn choose(
        pointed: &mut Pointed,
        faces: &[Face],
        point: Option<[f32; 2]>,
        frame: i64,
    ) -> [Vec<u64>; 2] {
        let (mut faces, mut others) = (faces.to_vec(), Vec::new());
        pointed.choose(&mut faces, &mut others, 1, point, frame * FRAME_NS);
        [faces, others].map(|faces| faces.iter().map(|face| face.id).collect())
    }

    #[test]
    fn the_nearest_to_the_point_stays_wherever_it_goes() {
        let mut pointed = Pointed::default();
        let two = [face(1, [100.0, 100.0], 80.0), face(2, [300.0, 100.0], 40.0)];
        assert_eq!(choose(&mut pointed, &two, None, 0), [[1], [2]]);
        let there = Some([280.0, 90.0]);
        assert_eq!(choose(&mut pointed, &two, there, 1), [[2], [1]]);
        // They walk past each other.
        let crossed = [face(1, [290.0, 90.0], 80.0), face(2, [100.0, 100.0], 40.0)];
        assert_eq!(choose(&mut pointed, &crossed, there, 2), [[2], [1]]);
        // Hidden for a moment, nobody takes the place; then the nearest does.
        let hidden = [face(1, [290.0, 90.0], 80.0), face(3, [120.0, 90.0], 20.0)];
        assert_eq!(
            choose(&mut pointed, &hidden, there, 3),
            [vec![], vec![1, 3]]
        );
        assert_eq!(choose(&mut pointed, &hidden, there, 60), [[3], [1]]);
    }
}
