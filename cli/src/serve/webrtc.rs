//! The steps of a WebRTC session that are the same whoever offers. They wait, and are not for threads that must not.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use gst::{glib, prelude::*};

use super::session_description;

/// How long addresses are collected, and how long a session may take to come about.
const GATHERING: Duration = Duration::from_secs(5);
pub const CONNECTING: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Has `webrtcbin` do something that takes a while and gives an answer.
///
/// # Errors
/// What it says it failed of.
pub fn ask(
    webrtc: &gst::Element,
    signal: &str,
    argument: glib::Value,
) -> Result<Option<gst::Structure>> {
    let promise = gst::Promise::new();
    webrtc.emit_by_name_with_values(signal, &[argument, promise.to_value()]);
    if promise.wait() != gst::PromiseResult::Replied {
        bail!("webrtcbin does not answer {signal}");
    }
    let reply = promise.get_reply().map(ToOwned::to_owned);
    let error = reply
        .as_ref()
        .and_then(|reply| reply.get::<glib::Error>("error").ok());
    match error {
        Some(error) => Err(error).with_context(|| signal.to_owned()),
        None => Ok(reply),
    }
}

/// Has it make its own description, `offer` or `answer`, and gives it as text once all addresses are known.
///
/// # Errors
/// Where it cannot.
pub fn describe(webrtc: &gst::Element, what: &str) -> Result<String> {
    let options = None::<gst::Structure>.to_value();
    let reply = ask(webrtc, &format!("create-{what}"), options)?;
    let reply = reply.with_context(|| format!("webrtcbin makes no {what}"))?;
    let description = reply.value(what)?.to_owned();
    ask(webrtc, "set-local-description", description.into())?;
    let begun = Instant::now();
    // Some address may never come; what is there may do.
    while nick(webrtc, "ice-gathering-state") != "complete" && begun.elapsed() < GATHERING {
        thread::sleep(LOOK);
    }
    session_description::to_text(&webrtc.property_value("local-description"))
}

/// A state, as its enumeration calls it.
pub fn nick(webrtc: &gst::Element, property: &str) -> String {
    let value = webrtc.property_value(property);
    glib::EnumValue::from_value(&value)
        .map_or_else(String::new, |(_, value)| value.nick().to_owned())
}

/// Whether it is connected, or `false` while it may come to be.
///
/// # Errors
/// Once it is not, or has not come to be since `begun`.
pub fn is_connected(webrtc: &gst::Element, begun: Instant) -> Result<bool> {
    match nick(webrtc, "connection-state").as_str() {
        "connected" => Ok(true),
        "failed" | "closed" => bail!("the connection has failed"),
        // It may come back by itself.
        "disconnected" => Ok(false),
        _ if begun.elapsed() > CONNECTING => bail!("no connection comes about"),
        _ => Ok(false),
    }
}
