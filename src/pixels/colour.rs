//! Colour matrices and value ranges.

/// Luma coefficients of a YCbCr picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matrix {
    #[default]
    Bt601,
    Bt709,
    Bt2020,
}

/// Range of the stored values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// Luma 16..235, chroma 16..240.
    #[default]
    Limited,
    /// 0..255.
    Full,
}

/// How stored values become RGB. Meaningless for RGB formats, which are always full range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    pub matrix: Matrix,
    pub range: Range,
}
