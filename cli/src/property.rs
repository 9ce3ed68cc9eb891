//! Properties of `lipsync` by name, with values as people and programs write them.

use anyhow::{Context, Result, bail};
use gst::{glib, prelude::*};

/// The value of a property that text stands for.
///
/// # Errors
/// For a property that there is not, and for what is no value of it.
pub fn parse(lipsync: &gst::Element, name: &str, text: &str) -> Result<glib::Value> {
    let spec = lipsync.find_property(name).with_context(|| {
        format!("lipsync has no property {name}: gst-inspect-1.0 lipsyncbin lists them")
    })?;
    // Deserialized, a text with blanks would have to be in quotes.
    let parsed = match spec.value_type() {
        glib::Type::STRING => Some(text.to_value()),
        _ => glib::Value::deserialize_with_pspec(text, &spec).ok(),
    };
    match parsed.filter(|parsed| is_in_range(&spec, parsed)) {
        Some(parsed) => Ok(parsed),
        None => bail!(
            "{name}={text} is no value of it; expected {}",
            expected(&spec)
        ),
    }
}

/// Whether a property takes the value, which is of its type.
fn is_in_range(spec: &glib::ParamSpec, value: &glib::Value) -> bool {
    macro_rules! all_within {
        ($($kind:ty: $number:ty),*) => {
            true $(&& spec.downcast_ref::<$kind>().is_none_or(|spec| {
                let found = value.get::<$number>();
                found.is_ok_and(|found| (spec.minimum()..=spec.maximum()).contains(&found))
            }))*
        };
    }
    all_within!(
        glib::ParamSpecDouble: f64,
        glib::ParamSpecInt64: i64,
        glib::ParamSpecUInt: u32,
        glib::ParamSpecUInt64: u64
    )
}

/// What a property takes, in words.
fn expected(spec: &glib::ParamSpec) -> String {
    match spec.downcast_ref::<glib::ParamSpecEnum>() {
        Some(spec) => {
            let values = spec.enum_class();
            let nicks: Vec<_> = values.values().iter().map(|value| value.nick()).collect();
            nicks.join(", ")
        }
        None => "what gst-inspect-1.0 lipsyncbin shows".into(),
    }
}
