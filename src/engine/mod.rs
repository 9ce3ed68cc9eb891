//! One frame and the sound around it in, the same frame redrawn.
//!
//! Must not know GStreamer or ONNX Runtime.
