//! The pad `src`, for who has room for one filter with one output and asks for it by this name, as
//! playbin does for its `video-filter`. While it is there the video leaves by it instead of `video_src`.
//!
//! Must not know what leaves.

use gst::{glib, prelude::*};

pub const NAME: &str = "src";

/// See the module.
#[derive(Clone)]
pub struct FilterPad {
    pad: gst::GhostPad,
    /// What it stands for, and what the video comes from.
    video_src: gst::GhostPad,
    video_out: gst::Pad,
}

impl FilterPad {
    pub fn new(
        template: &gst::PadTemplate,
        video_src: &gst::GhostPad,
        video_out: &gst::Pad,
    ) -> Self {
        let pad = gst::GhostPad::builder_from_template(template);
        Self {
            pad: pad.name(NAME).build(),
            video_src: video_src.clone(),
            video_out: video_out.clone(),
        }
    }

    /// Where this fails, the video leaves by `video_src` as before.
    pub fn add(self, bin: &gst::Element) -> Result<(), glib::BoolError> {
        if self.video_src.is_linked() {
            return Err(glib::bool_error!(
                "the video leaves by `{}`; expected nothing to be linked to it",
                self.video_src.name()
            ));
        }
        self.lead_to(bin).inspect_err(|_| {
            // What failed is of more interest.
            let _ = self.clone().remove(bin);
        })
    }

    fn lead_to(&self, bin: &gst::Element) -> Result<(), glib::BoolError> {
        self.video_src.set_target(None::<&gst::Pad>)?;
        self.pad.set_target(Some(&self.video_out))?;
        (self.pad).set_active(bin.current_state() > gst::State::Ready)?;
        bin.add_pad(&self.pad)
    }

    pub fn pad(&self) -> &gst::Pad {
        self.pad.upcast_ref()
    }

    /// The video leaves by `video_src` again.
    pub fn remove(self, bin: &gst::Element) -> Result<(), glib::BoolError> {
        if self.pad.parent().is_some() {
            self.pad.set_active(false)?;
            bin.remove_pad(&self.pad)?;
        }
        self.pad.set_target(None::<&gst::Pad>)?;
        self.video_src.set_target(Some(&self.video_out))
    }
}
