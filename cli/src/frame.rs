//! The frames of a video as its decoder gives them.

use crate::input::Stream;

/// What of the decoded frames matters to encoders.
pub struct Frame {
    /// As they reach the encoder.
    pub size: [i32; 2],
    pixel_aspect: gst::Fraction,
    /// More than 8 bits a sample.
    pub is_deep: bool,
    pub is_interlaced: bool,
    /// Turned upright before they are redrawn: GStreamer's muxers do not write which way up frames are.
    pub is_turned: bool,
}

impl Frame {
    pub fn of(caps: &gst::Caps, picture: &Stream) -> Self {
        let structure = caps.structure(0);
        let text = |name| {
            structure
                .and_then(|structure| structure.get::<String>(name).ok())
                .unwrap_or_default()
        };
        let size = ["width", "height"].map(|name| {
            structure
                .and_then(|structure| structure.get(name).ok())
                .unwrap_or(2)
        });
        let pixel_aspect = structure.and_then(|structure| structure.get("pixel-aspect-ratio").ok());
        let format = gst_video::VideoFormatInfo::from_format(gst_video::VideoFormat::from_string(
            &text("format"),
        ));
        let orientation = picture.orientation.as_deref().unwrap_or("rotate-0");
        let mut frame = Self {
            size,
            pixel_aspect: pixel_aspect.unwrap_or(gst::Fraction::new(1, 1)),
            is_deep: format.depth().first().is_some_and(|depth| *depth > 8) && !picture.is_still(),
            is_interlaced: !["", "progressive"].contains(&text("interlace-mode").as_str()),
            is_turned: orientation != "rotate-0",
        };
        if frame.is_turned && is_on_its_side(orientation) {
            frame.lay_down();
        }
        frame
    }

    /// Size in square pixels, even.
    pub fn shown(&self) -> [i32; 2] {
        let [width, height] = self.size;
        let width = width * self.pixel_aspect.numer() / self.pixel_aspect.denom().max(1);
        [width, height].map(|side| (side & !1).max(2))
    }

    fn lay_down(&mut self) {
        let [width, height] = self.size;
        self.size = [height, width];
        self.pixel_aspect =
            gst::Fraction::new(self.pixel_aspect.denom(), self.pixel_aspect.numer());
    }
}

fn is_on_its_side(orientation: &str) -> bool {
    orientation.ends_with("-90") || orientation.ends_with("-270")
}
