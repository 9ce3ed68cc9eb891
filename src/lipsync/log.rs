//! What the debug log says of a stream: times as GStreamer prints them, and faces that come and go.
//!
//! Must not know pads, nor at which level something is told.

use std::fmt::{self, Write};

use lipsync_core::face::Face;

/// A running time in nanoseconds as GStreamer prints times, with a sign before the start.
#[derive(Clone, Copy)]
pub struct Time(pub i64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_char('-')?;
        }
        gst::ClockTime::from_nseconds(self.0.unsigned_abs()).fmt(f)
    }
}

/// What a frame has that the one before did not have, or the other way round.
pub enum Change<'a> {
    Found(&'a Face),
    /// With its id.
    Lost(u64),
}

/// The faces of the frame before.
#[derive(Default)]
pub struct Faces {
    ids: Vec<u64>,
}

impl Faces {
    /// Tells of faces that have come or gone with this frame.
    pub fn follow(&mut self, faces: &[Face], mut tell: impl FnMut(Change)) {
        let has_gone = |id: &&u64| faces.iter().all(|face| face.id != **id);
        for id in self.ids.iter().filter(has_gone) {
            tell(Change::Lost(*id));
        }
        for face in faces.iter().filter(|face| !self.ids.contains(&face.id)) {
            tell(Change::Found(face));
        }
        self.ids.clear();
        self.ids.extend(faces.iter().map(|face| face.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_look_as_gstreamer_prints_them() {
        assert_eq!(Time(1_040_000_000).to_string(), "0:00:01.040000000");
        assert_eq!(Time(-500_000_000).to_string(), "-0:00:00.500000000");
        assert_eq!(Time(0).to_string(), "0:00:00.000000000");
    }

    #[test]
    fn each_face_is_told_when_it_comes_and_when_it_goes() {
        let face = |id| Face {
            id,
            ..Face::default()
        };
        let mut faces = Faces::default();
        let mut changes = |now: &[Face]| {
            let mut told = Vec::new();
            faces.follow(now, |change| {
                told.push(match change {
                    Change::Found(face) => format!("+{}", face.id),
                    Change::Lost(id) => format!("-{id}"),
                });
            });
            told.join(" ")
        };
        assert_eq!(changes(&[face(1)]), "+1");
        assert_eq!(changes(&[face(1)]), "");
        assert_eq!(changes(&[face(2), face(1)]), "+2");
        assert_eq!(changes(&[face(3), face(2)]), "-1 +3");
        assert_eq!(changes(&[]), "-3 -2");
    }
}
