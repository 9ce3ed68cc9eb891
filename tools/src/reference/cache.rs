//! `gst_plugins_cache.json`, as gst-hotdoc-plugins-scanner writes it for plugins in C.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use gst::{glib, prelude::*};
use serde_json::{Map, Value, json};

use super::{ELEMENTS, Element, PLUGIN, direction, presence, property};

pub fn text() -> Result<String> {
    let plugin = gst::Registry::get()
        .find_plugin(PLUGIN)
        .context("the plugin is not registered")?;
    let mut elements = Map::new();
    let mut types = BTreeMap::new();
    for (name, _) in ELEMENTS {
        let element = Element::of(name)?;
        for spec in element.properties() {
            if let Some(values) = enumeration(&spec) {
                types.insert(spec.value_type().name().to_owned(), values);
            }
        }
        elements.insert(name.into(), entry(&element));
    }
    let cache = json!({
        PLUGIN: {
            "description": plugin.description().as_str(),
            "elements": elements,
            "filename": "gstlipsync",
            "license": plugin.license().as_str(),
            "other-types": types,
            "package": plugin.package().as_str(),
            "source": plugin.source().as_str(),
            "tracers": {},
            "url": plugin.origin().as_str(),
        }
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&cache)?))
}

fn entry(element: &Element) -> Value {
    let mut pads = Map::new();
    for pad in element.pads() {
        pads.insert(
            pad.name_template().into(),
            json!({
                "caps": pad.caps().to_string(),
                "direction": direction(&pad),
                "presence": presence(&pad),
            }),
        );
    }
    let mut properties = Map::new();
    for spec in element.properties() {
        properties.insert(spec.name().into(), of_property(&spec));
    }
    let type_ = element.element.type_();
    let hierarchy = std::iter::successors(Some(type_), |type_| type_.parent());
    let hierarchy: Vec<_> = hierarchy.map(|type_| type_.name()).collect();
    let interfaces: Vec<_> = type_
        .interfaces()
        .iter()
        .map(|type_| type_.name())
        .collect();
    json!({
        "author": element.metadata("author"),
        "description": element.metadata("description"),
        "hierarchy": hierarchy,
        "interfaces": interfaces,
        "klass": element.metadata("klass"),
        "long-name": element.metadata("long-name"),
        "pad-templates": pads,
        "properties": properties,
        "rank": "none",
    })
}

fn of_property(spec: &glib::ParamSpec) -> Value {
    let flags = spec.flags();
    let mut entry = json!({
        "blurb": spec.blurb(),
        "conditionally-available": false,
        "construct": flags.contains(glib::ParamFlags::CONSTRUCT),
        "construct-only": flags.contains(glib::ParamFlags::CONSTRUCT_ONLY),
        "controllable": property::is_controllable(spec),
        "default": property::default(spec),
        "mutable": property::mutable(spec),
        "readable": flags.contains(glib::ParamFlags::READABLE),
        "type": spec.value_type().name(),
        "writable": flags.contains(glib::ParamFlags::WRITABLE),
    });
    if let Some((least, most)) = property::range(spec) {
        entry["min"] = least.into();
        entry["max"] = most.into();
    }
    entry
}

fn enumeration(spec: &glib::ParamSpec) -> Option<Value> {
    let values = property::values(spec);
    let values: Vec<_> = values
        .iter()
        .map(|(nick, value, meaning)| json!({"name": nick, "value": value.to_string(), "desc": meaning}))
        .collect();
    (!values.is_empty()).then(|| json!({"kind": "enum", "values": values}))
}
