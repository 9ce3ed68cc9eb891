//! What is heard around a moment of running time: resampling, the sample ring, the log-mel.
//!
//! Must not know pictures or GStreamer.
