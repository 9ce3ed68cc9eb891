//! The pixel formats. Where the components of each lie is in `layout.rs`.

/// Pixel layouts, named as GStreamer names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    I420,
    Yv12,
    Nv12,
    Nv21,
    Y42b,
    Y444,
    Rgb,
    Bgr,
    Rgba,
    Bgra,
    Argb,
    Abgr,
    Rgbx,
    Bgrx,
    Xrgb,
    Xbgr,
    Gray8,
}
