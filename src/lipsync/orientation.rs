//! Which way up the frames are, where upstream says so with tags: cameras that are held sideways do.
//!
//! Must not know pads or frames.

use std::f32::consts::{FRAC_PI_2, PI};

use gst::{TagListRef, TagScope, tags::ImageOrientation};

/// What the tags of one stream say. Those of the stream itself count more than those of its file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orientation {
    of_stream: Option<f32>,
    of_file: Option<f32>,
}

impl Orientation {
    /// More tags have come.
    pub fn take_in(&mut self, tags: &TagListRef) {
        let Some(tag) = tags.get::<ImageOrientation>() else {
            return;
        };
        let upright = upright(tag.get());
        match tags.scope() {
            TagScope::Stream => self.of_stream = upright,
            TagScope::Global => self.of_file = upright,
            _ => (),
        }
    }

    /// How far what is upright for the viewer is turned clockwise in the frames, in radians.
    pub fn upright(&self) -> f32 {
        self.of_stream.or(self.of_file).unwrap_or(0.0)
    }
}

/// The tag names what a player does: it mirrors the frame where it says `flip`, then turns it
/// clockwise. To a mirrored face all that matters is where its top is.
fn upright(orientation: &str) -> Option<f32> {
    match orientation {
        "rotate-0" | "flip-rotate-0" => Some(0.0),
        "rotate-90" | "flip-rotate-270" => Some(-FRAC_PI_2),
        "rotate-180" | "flip-rotate-180" => Some(PI),
        "rotate-270" | "flip-rotate-90" => Some(FRAC_PI_2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(scope: TagScope, orientation: &str) -> gst::TagList {
        gst::init().unwrap();
        let mut tags = gst::TagList::new();
        let list = tags.make_mut();
        list.set_scope(scope);
        list.add::<ImageOrientation>(&orientation, gst::TagMergeMode::Append);
        tags
    }

    #[test]
    fn the_stream_says_more_than_its_file() {
        let mut orientation = Orientation::default();
        assert_eq!(orientation.upright(), 0.0);
        orientation.take_in(&tags(TagScope::Global, "rotate-90"));
        assert_eq!(orientation.upright(), -FRAC_PI_2);
        orientation.take_in(&tags(TagScope::Stream, "rotate-0"));
        orientation.take_in(&tags(TagScope::Global, "rotate-180"));
        assert_eq!(orientation.upright(), 0.0);
        orientation.take_in(&gst::TagList::new());
        assert_eq!(orientation.upright(), 0.0);
        orientation.take_in(&tags(TagScope::Stream, "flip-rotate-90"));
        assert_eq!(orientation.upright(), FRAC_PI_2);
    }
}
