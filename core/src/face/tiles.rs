//! Squares of a frame for a detector that sees small pictures only.
//!
//! The detector misses faces below about an eighth of its picture. What it misses in the whole
//! frame it finds in one of these tiles, looked at one after the other.

/// Tiles have a half and a quarter of the frame's longer side.
const LEVELS: usize = 2;
/// Faces that only smaller tiles would show are too small to redraw a mouth in, in frame pixels.
const MIN_SIDE: usize = 384;

/// `[left, top, side]`, edges in frame pixels, of the square round the whole frame.
pub fn whole(width: usize, height: usize) -> [f32; 3] {
    let (w, h) = (width as f32, height as f32);
    let side = w.max(h);
    [(w - side) / 2.0 - 0.5, (h - side) / 2.0 - 0.5, side]
}

/// The tile with this number; numbers go round. Neighbours overlap by half, so that each face
/// lies whole in one of them. A small frame has but one tile, the whole of it.
pub fn tile(width: usize, height: usize, index: usize) -> [f32; 3] {
    let grids = (1..=LEVELS).map(|level| {
        let side = width.max(height) >> level;
        if side < MIN_SIDE {
            return (side, 0, 0);
        }
        (side, count(width, side), count(height, side))
    });
    let total: usize = grids.clone().map(|(_, x, y)| x * y).sum();
    if total == 0 {
        return whole(width, height);
    }
    let mut index = index % total;
    for (side, columns, rows) in grids {
        if index < columns * rows {
            let place = |size: usize, count: usize, i: usize| {
                let room = size as f32 - side as f32;
                let share = if count > 1 {
                    i as f32 / (count - 1) as f32
                } else {
                    0.5
                };
                room * share - 0.5
            };
            let left = place(width, columns, index % columns);
            let top = place(height, rows, index / columns);
            return [left, top, side as f32];
        }
        index -= columns * rows;
    }
    whole(width, height)
}

/// Tiles of `side` along `size` pixels that overlap by half or more.
fn count(size: usize, side: usize) -> usize {
    if size <= side {
        1
    } else {
        (2 * (size - side)).div_ceil(side) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_small_face_lies_whole_in_a_tile() {
        for (width, height) in [
            (1920usize, 1080usize),
            (1080, 1920),
            (3840, 2160),
            (1001, 777),
        ] {
            let tiles: Vec<_> = (0..200).map(|i| tile(width, height, i)).collect();
            let side = (width.max(height) / 4) as f32;
            let face = side / 2.0 - 1.0;
            for x in (0..width - face as usize).step_by(37) {
                for y in (0..height - face as usize).step_by(41) {
                    let (x, y) = (x as f32, y as f32);
                    let whole = tiles.iter().any(|&[left, top, side]| {
                        left <= x && top <= y && x + face <= left + side && y + face <= top + side
                    });
                    assert!(
                        whole || side < MIN_SIDE as f32,
                        "{width}x{height}: {x}, {y}"
                    );
                }
            }
        }
    }

    #[test]
    fn full_hd_takes_34_tiles() {
        let tiles: HashSet<_> = (0..1000)
            .map(|i| tile(1920, 1080, i).map(|v| v.to_bits()))
            .collect();
        assert_eq!(tiles.len(), 6 + 28);
    }

    #[test]
    fn small_frames_are_looked_at_whole() {
        for (width, height) in [(1, 1), (7, 5), (640, 480)] {
            for i in 0..3 {
                assert_eq!(tile(width, height, i), whole(width, height));
            }
        }
        assert_eq!(whole(640, 480), [-0.5, -80.5, 640.0]);
    }
}
