//! Queues that are too small beside this element: what is heard ahead of a frame has to wait
//! somewhere on its way to the loudspeaker.
//!
//! Looks at elements and their links; must not know streams or models.

use gst::prelude::*;

/// Links that are followed in one direction; no sane chain is longer.
const STEPS_MAX: usize = 64;
/// Room for the buffers on their way, beyond what has to wait.
const SLACK: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// A queue that holds less than has to wait in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooSmall {
    pub queue: String,
    pub property: &'static str,
    pub has: u64,
    pub wants: u64,
}

/// Sound as it flows.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    pub bytes_per_second: u64,
    /// How long a buffer lasts.
    pub buffer: gst::ClockTime,
}

/// The first queue in another branch of the `tee` that feeds `pad` that does not hold `wait` of
/// the sound. `None` also where there is no `tee` in sight, or something other than a `queue`
/// stands behind it.
pub fn too_small(pad: &gst::Pad, wait: gst::ClockTime, flow: Flow) -> Option<TooSmall> {
    let ours = up_to_tee(pad)?;
    let tee = ours.parent_element()?;
    tee.src_pads()
        .into_iter()
        .filter(|branch| *branch != ours)
        .filter_map(|branch| down_to_queue(&branch))
        .find_map(|queue| lacks(&queue, wait, flow))
}

/// The pad of a `tee` that `pad` is fed from.
fn up_to_tee(pad: &gst::Pad) -> Option<gst::Pad> {
    let mut pad = pad.clone();
    for _ in 0..STEPS_MAX {
        let source = far_end(&pad)?;
        let element = source.parent_element()?;
        if is(&element, "tee") {
            return Some(source);
        }
        pad = only(element.sink_pads())?;
    }
    None
}

/// The `queue` that `pad` leads to before the stream splits or ends.
fn down_to_queue(pad: &gst::Pad) -> Option<gst::Element> {
    let mut pad = pad.clone();
    for _ in 0..STEPS_MAX {
        let element = far_end(&pad)?.parent_element()?;
        if is(&element, "queue") {
            return Some(element);
        }
        pad = only(element.src_pads())?;
    }
    None
}

/// The pad of an element at the other end, through the walls of bins. `None` where there is none.
pub fn far_end(pad: &gst::Pad) -> Option<gst::Pad> {
    let mut peer = pad.peer()?;
    for _ in 0..STEPS_MAX {
        if let Some(ghost) = peer.downcast_ref::<gst::GhostPad>() {
            // Into a bin.
            peer = ghost.target()?;
        } else if let Some(ghost) = peer.parent().and_downcast::<gst::GhostPad>() {
            // Out of one.
            peer = ghost.peer()?;
        } else {
            return Some(peer);
        }
    }
    None
}

fn only(pads: Vec<gst::Pad>) -> Option<gst::Pad> {
    match &pads[..] {
        [pad] => Some(pad.clone()),
        _ => None,
    }
}

fn is(element: &gst::Element, factory: &str) -> bool {
    element.factory().is_some_and(|f| f.name() == factory)
}

/// Which limit of the queue is too tight; 0 is none.
fn lacks(queue: &gst::Element, wait: gst::ClockTime, flow: Flow) -> Option<TooSmall> {
    let room = wait.saturating_add(SLACK);
    let second = gst::ClockTime::SECOND.nseconds();
    let limits = [
        (
            "max-size-time",
            queue.property::<u64>("max-size-time"),
            wait.nseconds(),
            room.nseconds(),
        ),
        (
            "max-size-bytes",
            queue.property::<u32>("max-size-bytes").into(),
            share(flow.bytes_per_second, wait.nseconds(), second),
            share(flow.bytes_per_second, room.nseconds(), second),
        ),
        (
            "max-size-buffers",
            queue.property::<u32>("max-size-buffers").into(),
            share(1, wait.nseconds(), flow.buffer.nseconds()),
            share(1, room.nseconds(), flow.buffer.nseconds()),
        ),
    ];
    let (property, has, _, wants) = limits
        .into_iter()
        .find(|&(_, has, needs, _)| has != 0 && has < needs)?;
    Some(TooSmall {
        queue: queue.name().into(),
        property,
        has,
        wants,
    })
}

/// `a * b / c`, rounded up; 0 where nothing is known.
fn share(a: u64, b: u64, c: u64) -> u64 {
    match c {
        0 => 0,
        _ => u64::try_from((u128::from(a) * u128::from(b)).div_ceil(c.into())).unwrap_or(u64::MAX),
    }
}
