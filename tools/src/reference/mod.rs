//! What the documentation says of the elements, taken from the elements: the pages of `docs/elements/` and the cache of
//! plugins in the form that GStreamer's own documentation is built from.

mod cache;
mod page;
mod property;

use anyhow::{Context, Result};
use gst::prelude::*;

/// The plugin's name for GStreamer.
const PLUGIN: &str = "lipsync";
/// Elements, with the source in which their text stands.
const ELEMENTS: [(&str, &str); 2] = [
    ("lipsync", include_str!("../../../src/lipsync/imp.rs")),
    ("lipsyncbin", include_str!("../../../src/lipsyncbin/imp.rs")),
];

/// Every generated file: its path in `docs/`, and what it holds.
///
/// # Errors
/// Where GStreamer does not start, or an element has no text.
pub fn files() -> Result<Vec<(String, String)>> {
    gst::init()?;
    if gst::ElementFactory::find(PLUGIN).is_none() {
        gstlipsync::plugin_register_static()?;
    }
    let mut files = vec![("gst_plugins_cache.json".to_owned(), cache::text()?)];
    for (name, source) in ELEMENTS {
        let text = page::text(&Element::of(name)?, source)?;
        files.push((format!("elements/{name}.md"), text));
    }
    Ok(files)
}

/// An element as GStreamer shows it.
struct Element {
    factory: gst::ElementFactory,
    element: gst::Element,
}

impl Element {
    fn of(name: &str) -> Result<Self> {
        let factory = gst::ElementFactory::find(name).with_context(|| format!("no {name}"))?;
        let factory = factory.load()?;
        let element = factory.create().build()?;
        Ok(Self { factory, element })
    }

    fn metadata(&self, key: &str) -> &str {
        self.factory.metadata(key).unwrap_or_default()
    }

    /// Those of its own, not those of classes above it, by name.
    fn properties(&self) -> Vec<gst::glib::ParamSpec> {
        let type_ = self.element.type_();
        let mut own: Vec<_> = self
            .element
            .list_properties()
            .iter()
            .filter(|spec| spec.owner_type() == type_)
            .cloned()
            .collect();
        own.sort_by(|one, other| one.name().cmp(other.name()));
        own
    }

    fn pads(&self) -> Vec<gst::StaticPadTemplate> {
        let mut pads: Vec<_> = self
            .factory
            .static_pad_templates()
            .iter()
            .copied()
            .collect();
        pads.sort_by_key(|pad| pad.name_template());
        pads
    }
}

fn direction(pad: &gst::StaticPadTemplate) -> &'static str {
    match pad.direction() {
        gst::PadDirection::Sink => "sink",
        gst::PadDirection::Src => "src",
        _ => "unknown",
    }
}

fn presence(pad: &gst::StaticPadTemplate) -> &'static str {
    match pad.presence() {
        gst::PadPresence::Always => "always",
        gst::PadPresence::Sometimes => "sometimes",
        _ => "request",
    }
}
