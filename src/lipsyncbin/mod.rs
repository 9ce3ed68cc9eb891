//! The element `lipsyncbin` as programs see it.

use gst::{glib, prelude::*};

mod filter_pad;
mod imp;
mod interleave;
mod parts;
mod placeholder;

glib::wrapper! {
    pub struct LipsyncBin(ObjectSubclass<imp::LipsyncBin>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy;
}

pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "lipsyncbin",
        gst::Rank::NONE,
        LipsyncBin::static_type(),
    )
}
