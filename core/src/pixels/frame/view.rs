//! A video frame in memory: planes, strides, format, colour.

use super::{Colour, Format};

/// One plane: `stride` bytes from a row to the next. The last row may end without its padding.
pub struct Plane<'a> {
    pub data: &'a mut [u8],
    pub stride: usize,
}

/// A whole frame, borrowed for change in place. `planes` are in GStreamer's order for the format
/// (YV12: Y, V, U); those that the format does not have are empty.
pub struct View<'a> {
    pub format: Format,
    pub width: usize,
    pub height: usize,
    pub colour: Colour,
    pub planes: [Plane<'a>; 3],
}
