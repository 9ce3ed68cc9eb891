//! Reading regions of a video frame into tensors and writing redrawn regions back, in place, in
//! the frame's own format.
//!
//! Must not know faces, sound, GStreamer or networks.
//!
//! Convention for all coordinates: an integer is the centre of a pixel, x to the right, y down;
//! a frame covers `-0.5 ..= width - 0.5`.
