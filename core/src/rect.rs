//! Rectangles in pixels of a frame, and what is added on their sides.

use std::fmt;

/// A rectangle between fractions of pixels: left and top edge, right and bottom edge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    pub x0: f32,
    pub y0: f32,
    pub x1: f32,
    pub y1: f32,
}

/// Overlap, intersection over union, from which two rectangles are of one thing.
const SAME: f32 = 0.3;

impl Rect {
    pub const fn new([x0, y0, x1, y1]: [f32; 4]) -> Self {
        Self { x0, y0, x1, y1 }
    }

    /// Round all points; upside down, and so without area, where there are none.
    pub fn around(points: impl IntoIterator<Item = [f32; 2]>) -> Self {
        let empty = Self::new([f32::MAX, f32::MAX, f32::MIN, f32::MIN]);
        points.into_iter().fold(empty, |all, [x, y]| Self {
            x0: all.x0.min(x),
            y0: all.y0.min(y),
            x1: all.x1.max(x),
            y1: all.y1.max(y),
        })
    }

    /// `[x0, y0, x1, y1]`.
    pub fn edges(self) -> [f32; 4] {
        [self.x0, self.y0, self.x1, self.y1]
    }

    pub fn width(self) -> f32 {
        self.x1 - self.x0
    }

    pub fn height(self) -> f32 {
        self.y1 - self.y0
    }

    pub fn centre(self) -> [f32; 2] {
        [(self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0]
    }

    /// Side of the smallest square that holds it.
    pub fn side(self) -> f32 {
        self.width().max(self.height())
    }

    pub fn area(self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    pub fn contains(self, [x, y]: [f32; 2]) -> bool {
        self.x0 <= x && x <= self.x1 && self.y0 <= y && y <= self.y1
    }

    /// Intersection over union, 0..1.
    pub fn overlap(self, other: Self) -> f32 {
        let common = Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        };
        let union = self.area() + other.area() - common.area();
        match union > 0.0 {
            true => common.area() / union,
            false => 0.0,
        }
    }

    /// Whether both are of one thing: they overlap much, or one holds the other's centre.
    pub fn is_same_place(self, other: Self) -> bool {
        self.overlap(other) > SAME || self.contains(other.centre()) || other.contains(self.centre())
    }
}

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(from = "[usize; 4]")]
pub struct Area {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl From<[usize; 4]> for Area {
    fn from([x, y, width, height]: [usize; 4]) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }
}

/// Width and height in whole pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(from = "SaidSize")]
pub struct Size {
    pub width: usize,
    pub height: usize,
}

impl Size {
    pub const fn square(side: usize) -> Self {
        Self {
            width: side,
            height: side,
        }
    }

    pub fn area(self) -> usize {
        self.width * self.height
    }

    /// The longer side.
    pub fn side(self) -> usize {
        self.width.max(self.height)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.width == self.height {
            true => self.width.fmt(f),
            false => write!(f, "{} x {}", self.width, self.height),
        }
    }
}

/// The side of a square, or both.
#[derive(serde::Deserialize)]
#[serde(
    untagged,
    expecting = "the side of a square or [width, height] in pixels is expected"
)]
enum SaidSize {
    Square(usize),
    Both([usize; 2]),
}

impl From<SaidSize> for Size {
    fn from(said: SaidSize) -> Self {
        match said {
            SaidSize::Square(side) => Self::square(side),
            SaidSize::Both([width, height]) => Self { width, height },
        }
    }
}

/// What is added on each side of a rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(from = "[f32; 4]")]
pub struct Margins {
    pub top: f32,
    pub bottom: f32,
    pub left: f32,
    pub right: f32,
}

impl Margins {
    /// Top, bottom, left, right.
    pub fn sides(self) -> [f32; 4] {
        [self.top, self.bottom, self.left, self.right]
    }
}

impl From<[f32; 4]> for Margins {
    fn from([top, bottom, left, right]: [f32; 4]) -> Self {
        Self {
            top,
            bottom,
            left,
            right,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn overlap_is_the_same_both_ways(a in [0f32..9.0, 0f32..9.0, 0f32..9.0, 0f32..9.0],
                                         b in [0f32..9.0, 0f32..9.0, 0f32..9.0, 0f32..9.0]) {
            let [a, b] = [a, b].map(Rect::new);
            let share = a.overlap(b);
            prop_assert!((0.0..=1.0).contains(&share) && share == b.overlap(a));
        }
    }

    #[test]
    fn overlap_is_a_share_of_both() {
        let rect = Rect::new;
        assert_eq!(
            rect([0.0, 0.0, 2.0, 2.0]).overlap(rect([1.0, 0.0, 3.0, 2.0])),
            1.0 / 3.0
        );
        assert_eq!(
            rect([0.0, 0.0, 1.0, 1.0]).overlap(rect([2.0, 2.0, 3.0, 3.0])),
            0.0
        );
        assert_eq!(Rect::default().overlap(Rect::default()), 0.0);
    }

    #[test]
    fn nothing_lies_around_no_points() {
        assert_eq!(Rect::around([]).area(), 0.0);
        assert_eq!(
            Rect::around([[3.0, 1.0], [2.0, 5.0]]).edges(),
            [2.0, 1.0, 3.0, 5.0]
        );
    }
}
