//! What the control room knows and can do: whoever answers requests asks here.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use gst::{glib, prelude::*};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::{
    log::Log,
    meters::Meters,
    options::Options,
    preview::Viewers,
    programme::{self, EARLIEST, ON_AIR, Programme},
    supervise::{Health, State},
};
use crate::property;

/// Without a frame for so long the programme stands still.
const STILL: Duration = Duration::from_secs(3);
/// What the page calls the model that is in the plugin, and the property an empty text.
const BUILT_IN: &str = "";

pub struct Room {
    pub programme: Arc<Programme>,
    pub viewers: Viewers,
    pub log: Log,
    pub meters: Arc<Meters>,
    pub input: Arc<Health>,
    pub outputs: Vec<Arc<Health>>,
    /// What may be loaded while it plays; the name of a file on this machine is nobody else's to choose.
    models: Vec<String>,
    format: Value,
    begun: Instant,
    moving: Mutex<Moving>,
    now: watch::Sender<Arc<Snapshot>>,
}

/// How many frames have gone out, and since when.
struct Moving {
    frames: u64,
    since: Instant,
}

/// How everything is at one moment.
#[derive(Default)]
pub struct Snapshot {
    /// All that changes slowly.
    pub status: Value,
    /// All that moves.
    pub meters: Value,
    /// The element's numbers.
    pub stats: Map<String, Value>,
    /// What is wrong, nothing where all is well.
    pub faults: Vec<String>,
}

impl Room {
    pub fn new(options: &Options, programme: Arc<Programme>, log: Log) -> Self {
        let input = &options.input;
        let input = Health::new("input", input.to_string(), input.secrets());
        let outputs = options.output.iter();
        let outputs =
            outputs.map(|output| Health::new("output", output.to_string(), output.secrets()));
        let named = options
            .model
            .iter()
            .map(|model: &PathBuf| model.display().to_string());
        Self {
            viewers: Viewers::new(programme.clone(), options.stun.clone(), log.clone()),
            meters: Meters::new(&programme),
            programme,
            log,
            input,
            outputs: outputs.collect(),
            models: std::iter::once(BUILT_IN.to_owned()).chain(named).collect(),
            format: json!({
                "width": options.size.width,
                "height": options.size.height,
                "frames-per-second": options.rate.frames_per_second(),
            }),
            begun: Instant::now(),
            moving: Mutex::new(Moving {
                frames: 0,
                since: Instant::now(),
            }),
            now: watch::Sender::new(Arc::default()),
        }
    }

    /// The last snapshot.
    pub fn now(&self) -> Arc<Snapshot> {
        self.now.borrow().clone()
    }

    /// Snapshots as they are taken.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.now.subscribe()
    }

    /// Takes a snapshot. Asks GStreamer, and is not for threads that must not wait.
    pub fn look(&self) {
        let stats: gst::Structure = self.programme.lipsync().property("stats");
        let stats: Map<String, Value> = stats
            .iter()
            .map(|(name, value)| (name.to_string(), programme::json(value)))
            .collect();
        let faults = self.faults(&stats);
        let milliseconds = |time: gst::ClockTime| time.nseconds() as f64 / 1e6;
        let status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime": self.begun.elapsed().as_secs(),
            "faults": faults,
            "input": self.input.json(),
            "outputs": self.outputs.iter().map(|output| output.json()).collect::<Vec<_>>(),
            "format": self.format,
            "settings": self.settings(),
            "models": self.models,
            "viewers": self.viewers.count(),
            "latency-ms": self.programme.latency().map(milliseconds),
            "stats": stats,
        });
        let meters = self.meters.json(&stats);
        self.now.send_replace(Arc::new(Snapshot {
            status,
            meters,
            stats,
            faults,
        }));
    }

    fn faults(&self, stats: &Map<String, Value>) -> Vec<String> {
        let mut faults = Vec::new();
        let frames = stats.get("frames-out").and_then(Value::as_u64).unwrap_or(0);
        let mut moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        if moving.frames != frames {
            *moving = Moving {
                frames,
                since: Instant::now(),
            };
        } else if moving.since.elapsed() > STILL {
            faults.push("the programme stands still".to_owned());
        }
        let all = [("input", &self.input)].into_iter();
        let all = all.chain(self.outputs.iter().map(|output| ("output", output)));
        for (kind, health) in all {
            if health.state() != State::Playing {
                let health = health.json();
                let (address, state) = (health["address"].as_str(), health["state"].as_str());
                let reason = health["reason"]
                    .as_str()
                    .map(|reason| format!(": {reason}"));
                faults.push(format!(
                    "{kind} {} is {}{}",
                    address.unwrap_or_default(),
                    state.unwrap_or_default(),
                    reason.unwrap_or_default()
                ));
            }
        }
        faults
    }

    /// What may be changed on air, as it is.
    pub fn settings(&self) -> Map<String, Value> {
        let lipsync = self.programme.lipsync();
        let setting = |name: &&str| {
            let value = lipsync.property_value(name);
            ((*name).to_owned(), programme::json(&value))
        };
        ON_AIR.iter().map(setting).collect()
    }

    /// Changes the settings that are named; all or, where one is wrong, none.
    ///
    /// # Errors
    /// Which one, and what is expected.
    pub fn change(&self, wanted: &Map<String, Value>) -> Result<Map<String, Value>> {
        let lipsync = self.programme.lipsync();
        let mut values: Vec<(&str, glib::Value)> = Vec::new();
        for (name, value) in wanted {
            if !ON_AIR.contains(&name.as_str()) {
                bail!("{name} is no setting; expected {}", ON_AIR.join(", "));
            }
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                _ => bail!("{name} cannot be {value}"),
            };
            if name == "model" && !self.models.contains(&text) {
                bail!("{text} is none of the models that were named with --model");
            }
            let value = property::parse(lipsync, name, &text)?;
            if name == "sync-offset" && value.get().is_ok_and(|offset: i64| offset < EARLIEST) {
                bail!("sync-offset is {text}; expected {EARLIEST} (-1 s) or more on air");
            }
            values.push((name, value));
        }
        for (name, value) in &values {
            lipsync.set_property_from_value(name, value);
        }
        Ok(self.settings())
    }

    /// Reads JSON that names settings.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn change_as(&self, text: &str) -> Result<Map<String, Value>> {
        let wanted = serde_json::from_str(text).context("expected an object of settings")?;
        self.change(&wanted)
    }
}
