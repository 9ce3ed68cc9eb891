//! Networks on a server: a stand-in that answers as the test says, and real ones where they are
//! installed.

#[path = "../support/common.rs"]
mod common;
#[path = "../support/onnx.rs"]
mod onnx;
#[path = "../support/opening.rs"]
mod opening;
#[path = "../support/stand_in_server.rs"]
mod stand_in_server;

mod answers;
mod element;
mod networks;
mod outages;
mod servers;
