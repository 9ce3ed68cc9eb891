//! Squares of a frame for a detector that sees small pictures only.
//!
//! The detector misses faces that are less than an eighth of its picture wide. What it misses in
//! the whole frame it finds in one of these tiles, looked at one after the other, the large ones
//! first. It also misses faces that lie on their side: those it finds in the whole frame turned.

use std::f32::consts::{FRAC_PI_2, PI};

use crate::face::geometry::Region;

/// From this width on, temple to temple in frame pixels, faces are found in frames of any size.
pub const SMALLEST_FACE: f32 = 32.0;
/// Least width of a face that the detector is sure of, as a share of its square: 15 of its 128
/// pixels. Of 14 people it finds all at 16, 91 % at 14, 57 % at 13.
const SEEN: f32 = 15.0 / 128.0;
/// Tiles of one size overlap by this share, so that a face which is too small for the tiles twice
/// as large lies in one of them as far as the detector needs: eyes, nose and mouth.
const OVERLAP: f32 = 0.2;
/// How the whole frame is turned: upright first.
const TURNS: [f32; 4] = [0.0, PI, FRAC_PI_2, -FRAC_PI_2];

/// The tiles of a frame, numbered from large to small.
#[derive(Clone, Copy, Debug)]
pub struct Tiles {
    width: f32,
    height: f32,
    /// Sizes of tiles that are smaller than the frame.
    sizes: usize,
    /// From one size to the next smaller one, at most 2.
    ratio: f32,
}

/// A tile, and how many sizes are larger: a face is tried where it is largest first. The turned
/// frames count as the second size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tile {
    pub size: usize,
    pub square: Region,
}

impl Tiles {
    pub fn of(width: usize, height: usize) -> Self {
        let (width, height) = (width as f32, height as f32);
        let reduction = width.max(height) * SEEN / SMALLEST_FACE;
        let sizes = reduction.log2().ceil().max(0.0);
        Self {
            width,
            height,
            sizes: sizes as usize,
            ratio: reduction.powf(1.0 / sizes.max(1.0)),
        }
    }

    /// The square round the whole frame.
    pub fn whole(&self) -> Region {
        Region {
            centre: [(self.width - 1.0) / 2.0, (self.height - 1.0) / 2.0],
            side: self.width.max(self.height),
            angle: 0.0,
        }
    }

    /// How many there are, the whole frame and its turns included.
    pub fn count(&self) -> usize {
        let smaller = (1..=self.sizes).map(|size| {
            let [columns, rows] = self.grid(size);
            columns * rows
        });
        TURNS.len() + smaller.sum::<usize>()
    }

    /// The tile with this number; 0 is the whole frame.
    pub fn tile(&self, index: usize) -> Option<Tile> {
        if let Some(turn) = TURNS.get(index) {
            return Some(Tile {
                size: index.min(1),
                square: self.whole().turned(*turn),
            });
        }
        let mut index = index - TURNS.len();
        for size in 1..=self.sizes {
            let [columns, rows] = self.grid(size);
            if index < columns * rows {
                let side = self.side(size);
                let place = |length: f32, count: usize, i: usize| match count {
                    1 => (length - 1.0) / 2.0,
                    _ => (length - side) * i as f32 / (count - 1) as f32 + (side - 1.0) / 2.0,
                };
                let centre = [
                    place(self.width, columns, index % columns),
                    place(self.height, rows, index / columns),
                ];
                return Some(Tile {
                    size: size + 1,
                    square: Region {
                        centre,
                        side,
                        angle: 0.0,
                    },
                });
            }
            index -= columns * rows;
        }
        None
    }

    /// The size of the tiles that show faces better which those of `size` show badly; `None` where there are none.
    pub fn closer(&self, size: usize) -> Option<usize> {
        match size {
            0 => (self.sizes > 0).then_some(2),
            // Of a face that lies on its side they show no more.
            1 => None,
            _ => (size <= self.sizes).then_some(size + 1),
        }
    }

    fn side(&self, size: usize) -> f32 {
        self.width.max(self.height) / self.ratio.powi(size as i32)
    }

    fn grid(&self, size: usize) -> [usize; 2] {
        let side = self.side(size);
        [self.width, self.height].map(|length| {
            let steps = (length - side) / (side * (1.0 - OVERLAP));
            1 + steps.ceil().max(0.0) as usize
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [(usize, usize); 7] = [
        (360, 288),
        (640, 480),
        (1001, 777),
        (1920, 1080),
        (1080, 1920),
        (3840, 2160),
        (7680, 4320),
    ];

    fn all(width: usize, height: usize) -> Vec<Tile> {
        let tiles = Tiles::of(width, height);
        let all: Vec<_> = (0..tiles.count()).map_while(|i| tiles.tile(i)).collect();
        assert_eq!(all.len(), tiles.count());
        assert_eq!(tiles.tile(all.len()), None);
        all
    }

    #[test]
    fn every_face_from_the_smallest_on_is_large_enough_in_a_tile_that_holds_it() {
        for (width, height) in SIZES {
            let tiles = all(width, height);
            let mut face = SMALLEST_FACE;
            while face < height as f32 / 2.0 {
                let reach = face / 2.0;
                let along = |length: usize| {
                    let last = length as f32 - 1.0 - reach;
                    (0..=60).map(move |i| reach + (last - reach) * i as f32 / 60.0)
                };
                for x in along(width) {
                    for y in along(height) {
                        // From temple to temple but for a tenth on one side.
                        let is_seen = tiles.iter().any(|Tile { square, .. }| {
                            let within =
                                |a: f32, b: f32| (a - b).abs() + 0.4 * face < square.side / 2.0;
                            let [cx, cy] = square.centre;
                            within(x, cx) && within(y, cy) && face >= 0.117 * square.side
                        });
                        assert!(is_seen, "{width}x{height}: {face} at {x}, {y}");
                    }
                }
                face *= 1.13;
            }
        }
    }

    #[test]
    fn large_tiles_come_first_and_there_are_not_too_many() {
        for (width, height) in SIZES {
            let tiles = all(width, height);
            let larger = |pair: &[Tile]| {
                pair[0].size < pair[1].size && pair[0].square.side >= pair[1].square.side
                    || pair[0].size == pair[1].size && pair[0].square.side == pair[1].square.side
            };
            assert!(tiles.windows(2).all(larger), "{width}x{height}");
        }
        assert!(all(1920, 1080).len() <= 80, "{}", all(1920, 1080).len());
        assert!(all(3840, 2160).len() <= 260, "{}", all(3840, 2160).len());
    }

    #[test]
    fn frames_in_which_all_faces_are_large_are_looked_at_whole() {
        for (width, height) in [(1, 1), (7, 5), (256, 192)] {
            let tiles = all(width, height);
            assert_eq!(tiles.len(), TURNS.len());
            assert!(tiles.iter().all(|tile| tile.square.side == width as f32));
        }
        let whole = Tiles::of(640, 480).whole();
        assert_eq!((whole.centre, whole.side), ([319.5, 239.5], 640.0));
    }
}
