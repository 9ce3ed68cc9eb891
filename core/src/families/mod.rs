//! The model families: each a file or a folder here.

pub mod edtalk;
pub mod redraw;
pub mod unet;
pub mod warp;
pub mod wav2lip;
