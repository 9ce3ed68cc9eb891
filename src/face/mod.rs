//! Where faces are and how they are turned.
//!
//! Must not know sound or what is drawn on a face.

/// A tracked face in one frame.
pub struct Face {}
