//! The first search of a shot: each tile is looked at once, from large to small, but first where a
//! larger tile showed something that may be a face.
//!
//! Must not know networks, nor which faces are followed.

use crate::face::{
    detector::Detection,
    geometry::Region,
    tiles::{Tile, Tiles},
};

/// From this score on a glimpse is looked at more closely at once, before larger tiles. Of 60 frames of
/// 3840x2160 with faces of 34 to 99 pixels it takes 40 of 250 looks to find them, 119 at most; without it 50,
/// and 98 and 247 in the plain order.
const PROMISING: f32 = 0.2;

/// What is known of a tile.
#[derive(Clone, Copy, Debug)]
struct Prospect {
    size: usize,
    is_done: bool,
    /// The best score of what may be a face in it, 0..1.
    score: f32,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sweep {
    prospects: Vec<Prospect>,
    /// How many tiles were looked at.
    looks: usize,
    /// The one that was looked at last.
    last: usize,
    /// Size of the tiles in which enough faces were found.
    enough: Option<usize>,
}

impl Sweep {
    /// Begins anew, with the next tile that is asked for.
    pub fn restart(&mut self) {
        self.prospects.clear();
        (self.looks, self.last, self.enough) = (0, 0, None);
    }

    /// How many tiles were looked at.
    pub fn looks(&self) -> usize {
        self.looks
    }

    /// The next tile; `None` when all are done. Where no more faces are wanted (`is_full`), those smaller than the
    /// one in which the last was found are left out.
    pub fn next(&mut self, tiles: &Tiles, is_full: bool) -> Option<Region> {
        if self.looks == 0 {
            let all = (0..tiles.count()).map_while(|index| tiles.tile(index));
            self.prospects.clear();
            self.prospects.extend(all.map(Prospect::of));
        }
        let last = self.prospects.get(self.last)?.size;
        self.enough = (is_full && self.looks > 0).then(|| self.enough.unwrap_or(last));
        let smallest = self.enough.unwrap_or(usize::MAX);
        let open = self.prospects.iter().enumerate();
        let open = open.filter(|(_, prospect)| !prospect.is_done && prospect.size <= smallest);
        // The first of those that are equal, so from the end.
        let best = open.rev().max_by(|(_, a), (_, b)| a.compare(b));
        let (index, _) = best?;
        self.prospects[index].is_done = true;
        (self.looks, self.last) = (self.looks + 1, index);
        tiles.tile(index).map(|tile| tile.square)
    }

    /// What was seen in the last tile that may be a face, for smaller ones to show.
    pub fn note(&mut self, tiles: &Tiles, glimpses: &[Detection]) {
        let Some(&Prospect { size, .. }) = self.prospects.get(self.last) else {
            return;
        };
        let Some(next) = tiles.closer(size) else {
            return;
        };
        for (index, prospect) in self.prospects.iter_mut().enumerate() {
            if prospect.size != next || prospect.is_done {
                continue;
            }
            let Some(Tile { square, .. }) = tiles.tile(index) else {
                continue;
            };
            let within = glimpses
                .iter()
                .filter(|glimpse| square.holds(glimpse.bbox.centre()));
            prospect.score = within
                .map(|glimpse| glimpse.score)
                .fold(prospect.score, f32::max);
        }
    }
}

impl Prospect {
    fn of(tile: Tile) -> Self {
        Self {
            size: tile.size,
            is_done: false,
            score: 0.0,
        }
    }

    /// Which is to be looked at first: the greater one.
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let promise = |prospect: &Self| match prospect.score >= PROMISING {
            true => prospect.score,
            false => 0.0,
        };
        let by_promise = promise(self).total_cmp(&promise(other));
        let by_size = || other.size.cmp(&self.size);
        by_promise
            .then_with(by_size)
            .then_with(|| self.score.total_cmp(&other.score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{face::detector::KEYPOINTS, rect::Rect};

    fn glimpse([x, y]: [f32; 2], score: f32) -> Detection {
        Detection {
            bbox: Rect::new([x - 9.0, y - 9.0, x + 9.0, y + 9.0]),
            points: [[x, y]; KEYPOINTS],
            score,
        }
    }

    fn all(sweep: &mut Sweep, tiles: &Tiles) -> Vec<Region> {
        std::iter::from_fn(|| sweep.next(tiles, false)).collect()
    }

    #[test]
    fn every_tile_is_looked_at_once_from_large_to_small() {
        let tiles = Tiles::of(1920, 1080);
        let expected: Vec<_> = (0..tiles.count())
            .filter_map(|index| tiles.tile(index).map(|tile| tile.square))
            .collect();
        let mut sweep = Sweep::default();
        for _ in 0..2 {
            assert_eq!(all(&mut sweep, &tiles), expected);
            sweep.restart();
        }
    }

    #[test]
    fn what_may_be_a_face_is_looked_at_more_closely_at_once() {
        let tiles = Tiles::of(1920, 1080);
        let plain = all(&mut Sweep::default(), &tiles);
        let mut sweep = Sweep::default();
        let mut seen = vec![sweep.next(&tiles, false).unwrap()];
        let at = [1900.0, 1060.0];
        sweep.note(&tiles, &[glimpse(at, 0.4)]);
        seen.push(sweep.next(&tiles, false).unwrap());
        assert!(seen[1].side < seen[0].side && seen[1].holds(at));
        // Less than that changes the order only among tiles of a size.
        sweep.note(&tiles, &[glimpse(at, 0.1)]);
        seen.extend(all(&mut sweep, &tiles));
        assert_eq!(seen[2..5], plain[1..4]);
        let place = |square: &Region| {
            (
                square.centre.map(f32::to_bits),
                square.angle.to_bits(),
                square.side.to_bits(),
            )
        };
        let mut places =
            [&plain, &seen].map(|squares| squares.iter().map(place).collect::<Vec<_>>());
        places.iter_mut().for_each(|places| places.sort_unstable());
        assert_eq!(places[0], places[1]);
        let third = tiles.closer(tiles.closer(0).unwrap()).unwrap();
        let first_of_third = seen
            .iter()
            .find(|square| square.side < seen[1].side)
            .unwrap();
        assert!(first_of_third.holds(at), "{third}");
    }

    #[test]
    fn where_enough_faces_are_found_smaller_tiles_are_left_out() {
        let tiles = Tiles::of(1920, 1080);
        let mut sweep = Sweep::default();
        sweep.next(&tiles, false).unwrap();
        let at = [300.0, 300.0];
        sweep.note(&tiles, &[glimpse(at, 0.4)]);
        let side = sweep.next(&tiles, false).unwrap().side;
        let rest: Vec<_> = std::iter::from_fn(|| sweep.next(&tiles, true)).collect();
        let larger =
            (0..tiles.count()).filter(|&index| tiles.tile(index).unwrap().square.side >= side);
        assert_eq!(rest.len() + 2, larger.count());
    }
}
