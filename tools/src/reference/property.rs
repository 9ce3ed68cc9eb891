//! What a property's specification says, in words.

use gst::{glib, prelude::*};

/// When a property may be set, as GStreamer's cache of plugins names it.
pub fn mutable(spec: &glib::ParamSpec) -> &'static str {
    let flags = spec.flags();
    for (flag, name) in [
        (gst::PARAM_FLAG_MUTABLE_PLAYING, "playing"),
        (gst::PARAM_FLAG_MUTABLE_PAUSED, "paused"),
        (gst::PARAM_FLAG_MUTABLE_READY, "ready"),
    ] {
        if flags.contains(flag) {
            return name;
        }
    }
    "null"
}

pub fn is_controllable(spec: &glib::ParamSpec) -> bool {
    spec.flags().contains(gst::PARAM_FLAG_CONTROLLABLE)
}

/// The default, as gst-launch-1.0 takes it.
pub fn default(spec: &glib::ParamSpec) -> String {
    let value = spec.default_value();
    if let Some((_, value)) = glib::EnumValue::from_value(value) {
        return value.nick().to_owned();
    }
    if let Ok(None) = value.get::<Option<gst::Structure>>() {
        return "NULL".into();
    }
    match value.get::<Option<String>>() {
        Ok(Some(text)) => format!("\"{text}\""),
        Ok(None) => "NULL".into(),
        Err(_) => match value.serialize() {
            Ok(text) => text.to_string(),
            Err(_) => "NULL".into(),
        },
    }
}

/// Least and greatest value of a number.
pub fn range(spec: &glib::ParamSpec) -> Option<(String, String)> {
    macro_rules! of {
        ($($type:ty),*) => {
            $(if let Some(spec) = spec.downcast_ref::<$type>() {
                return Some((spec.minimum().to_string(), spec.maximum().to_string()));
            })*
        };
    }
    of!(
        glib::ParamSpecInt,
        glib::ParamSpecUInt,
        glib::ParamSpecInt64,
        glib::ParamSpecUInt64,
        glib::ParamSpecFloat,
        glib::ParamSpecDouble
    );
    None
}

/// Nick, number and meaning of each value of an enumeration.
pub fn values(spec: &glib::ParamSpec) -> Vec<(String, i32, String)> {
    let Some(class) = glib::EnumClass::with_type(spec.value_type()) else {
        return Vec::new();
    };
    let values = class.values();
    values
        .iter()
        .map(|value| (value.nick().into(), value.value(), value.name().into()))
        .collect()
}
