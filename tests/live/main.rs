//! Under a clock: latency, deadlines, overload, interruptions, protocols, many elements at once.

#[path = "../support/arrival.rs"]
mod arrival;
#[path = "../support/common.rs"]
mod common;
#[path = "../support/live_source.rs"]
mod live_source;
#[path = "../support/picture.rs"]
mod picture;

mod fades;
mod interruptions;
mod late;
mod latency;
mod overload;
mod protocols;
mod sinks;
mod stages;
mod timing;
