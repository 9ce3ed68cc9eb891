//! What has to be installed: an element that is missing is named with its Debian package.

use std::fmt;

use anyhow::Result;

/// An element, and what brings it.
pub struct Needed {
    element: &'static str,
    package: &'static str,
}

macro_rules! packages {
    ($($name:ident: $package:literal),*) => {
        $(pub const fn $name(element: &'static str) -> Self {
            Self { element, package: $package }
        })*
    };
}

impl Needed {
    packages! {
        base: "gstreamer1.0-plugins-base",
        good: "gstreamer1.0-plugins-good",
        bad: "gstreamer1.0-plugins-bad",
        ugly: "gstreamer1.0-plugins-ugly",
        libav: "gstreamer1.0-libav",
        nice: "gstreamer1.0-nice"
    }
}

/// The error for an element that is not there.
#[derive(Debug)]
pub struct Missing {
    element: &'static str,
    package: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { element, package } = self;
        write!(
            formatter,
            "GStreamer has no `{element}` here: install {package}"
        )
    }
}

impl std::error::Error for Missing {}

/// # Errors
/// [`Missing`] for the first that is not there.
pub fn check(needed: &[Needed]) -> Result<()> {
    for &Needed { element, package } in needed {
        if gst::ElementFactory::find(element).is_none() {
            return Err(Missing { element, package }.into());
        }
    }
    Ok(())
}
