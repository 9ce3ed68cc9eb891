//! Bar charts.

use anyhow::Result;
use lipsync_tools::chart::{Bar, Group, bars};

use crate::{frame_times::FrameTimes, stack::Stack, streams::Streams};

const PYTHON: [u8; 3] = [191, 140, 77];
const BARE: [u8; 3] = [166, 166, 166];
const OURS: [u8; 3] = [51, 115, 179];

/// Milliseconds of a frame, one group a model.
pub fn frames(models: &[FrameTimes]) -> Result<String> {
    let group = |times: &FrameTimes| {
        let bar = |it: &crate::frame_times::Measured| {
            Some(Bar {
                label: format!("{}, {}", it.stack.title(), it.variant.name()),
                value: it.rounds_ms.median()?,
                colour: match it.stack {
                    Stack::BareCall => BARE,
                    stack if stack.is_python() => PYTHON,
                    _ => OURS,
                },
            })
        };
        Group {
            title: format!("{}: ms a frame", times.model),
            bars: times.stacks.iter().filter_map(bar).collect(),
        }
    };
    bars(&models.iter().map(group).collect::<Vec<_>>())
}

/// Frames a second of all streams together, one group a model.
pub fn streams(models: &[Streams]) -> Result<String> {
    let group = |streams: &Streams| {
        let bars = streams.counts.iter().flat_map(|count| {
            count.measured().map(|(name, at_once)| Bar {
                label: format!("{name}, {}", count.streams),
                value: at_once.frames_per_second,
                colour: if name == "ours" { OURS } else { PYTHON },
            })
        });
        Group {
            title: format!("{}: frames a second, all streams", streams.model),
            bars: bars.collect(),
        }
    };
    bars(&models.iter().map(group).collect::<Vec<_>>())
}
