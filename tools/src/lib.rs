//! Shared by the measuring programs: decoding, tracking and statistics.
