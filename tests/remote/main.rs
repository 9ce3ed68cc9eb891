//! Networks on a server: a stand-in that answers as the test says, and real ones where they are
//! installed.

#[path = "../support/common.rs"]
mod common;
#[path = "../support/onnx.rs"]
mod onnx;
#[path = "../support/opening.rs"]
mod opening;
#[path = "../support/picture.rs"]
mod picture;
#[path = "../support/running.rs"]
mod running;
#[path = "../support/stand_in_server.rs"]
mod stand_in_server;
#[path = "../support/triton.rs"]
mod triton;

mod answers;
mod element;
mod families;
mod joined;
mod live;
mod networks;
mod outages;
mod real;
mod servers;
mod shared;
mod unrest;
