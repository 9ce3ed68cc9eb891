//! The face in other frames of the stream, which some networks see beside this one: how the person looks
//! with the mouth open, too.
//!
//! Must not know frames or networks.
//!
//! The first frame counts for all until others come, each [`APART_NS`] from those that are kept. Once there
//! are enough the first one stays, and a mouth that is wider open takes the place of the one that is least
//! so. What is seen changes less and less often, since mouths open only so far.

/// Neighbouring frames show the same mouth.
const APART_NS: i64 = 400_000_000;
/// Wider open is a mouth from here on (see `Mesh::openness`).
const WIDER: f32 = 0.05;

pub struct OtherFrames {
    /// All pictures, one after the other.
    pictures: Vec<f32>,
    /// Numbers in one.
    length: usize,
    count: usize,
    kept: Vec<Kept>,
}

#[derive(Clone, Copy)]
struct Kept {
    time_ns: i64,
    openness: f32,
}

impl OtherFrames {
    /// `count` pictures of `length` numbers each.
    pub fn new(count: usize, length: usize) -> Self {
        Self {
            pictures: vec![0.0; count * length],
            length,
            count,
            kept: Vec::with_capacity(count),
        }
    }

    pub fn pictures(&self) -> &[f32] {
        &self.pictures
    }

    /// Whether no frame was taken yet.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub fn forget(&mut self) {
        self.kept.clear();
    }

    /// Where the picture of this frame goes, once or several times, if it is wanted.
    pub fn take(&mut self, time_ns: i64, openness: f32) -> Option<&mut [f32]> {
        let new = Kept { time_ns, openness };
        let mut near = self.kept.iter().enumerate().filter_map(|(at, kept)| {
            let apart = time_ns.abs_diff(kept.time_ns);
            (apart < APART_NS.unsigned_abs()).then_some(at)
        });
        let (one, another) = (near.next(), near.next());
        let places = if self.kept.len() < self.count {
            if one.is_some() {
                return None;
            }
            self.kept.push(new);
            self.kept.len() - 1..self.count
        } else {
            let opened = |at: &usize| self.kept[*at].openness;
            let place = match (one, another) {
                (None, _) => (1..self.count).min_by(|a, b| opened(a).total_cmp(&opened(b)))?,
                (Some(one @ 1..), None) => one,
                _ => return None,
            };
            let is_wider = openness > opened(&place) + WIDER;
            if !is_wider {
                return None;
            }
            self.kept[place] = new;
            place..place + 1
        };
        Some(&mut self.pictures[places.start * self.length..places.end * self.length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Three pictures of one number; `None` where the frame is not taken.
    fn see(frames: &mut OtherFrames, ms: i64, openness: f32, number: f32) -> Option<[f32; 3]> {
        frames.take(ms * MS, openness)?.fill(number);
        frames.pictures().try_into().ok()
    }

    #[test]
    fn the_first_counts_for_all_until_there_are_others() {
        let mut frames = OtherFrames::new(3, 1);
        assert_eq!(see(&mut frames, 40, 0.5, 1.0), Some([1.0; 3]));
        assert_eq!(see(&mut frames, 400, 0.9, 2.0), None);
        assert_eq!(see(&mut frames, 440, 0.1, 3.0), Some([1.0, 3.0, 3.0]));
        assert_eq!(see(&mut frames, 900, 0.2, 4.0), Some([1.0, 3.0, 4.0]));
    }

    #[test]
    fn then_wider_mouths_take_the_place_of_the_least_open() {
        let mut frames = OtherFrames::new(3, 1);
        for (ms, openness) in [(0, 0.0), (400, 0.3), (800, 0.2)] {
            see(&mut frames, ms, openness, ms as f32);
        }
        // Not wider; next to one that is wider; next to one that is less so; next to the first.
        assert_eq!(see(&mut frames, 2_000, 0.24, 1.0), None);
        assert_eq!(see(&mut frames, 500, 0.9, 1.0), None);
        assert_eq!(see(&mut frames, 1_000, 0.5, 2.0), Some([0.0, 400.0, 2.0]));
        assert_eq!(see(&mut frames, 100, 0.9, 1.0), None);
        assert_eq!(see(&mut frames, 2_000, 0.4, 3.0), Some([0.0, 3.0, 2.0]));
        assert_eq!(see(&mut frames, 3_000, f32::NAN, 4.0), None);
        frames.forget();
        assert_eq!(see(&mut frames, 3_000, 0.0, 5.0), Some([5.0; 3]));
    }

    #[test]
    fn networks_that_see_none_take_none() {
        assert!(OtherFrames::new(0, 0).take(0, 1.0).is_none());
    }
}
