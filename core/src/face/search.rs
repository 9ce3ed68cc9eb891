//! Where to look for faces that nothing is known of, and how often.
//!
//! Must not know networks, nor which faces are followed.

use std::time::{Duration, Instant};

use crate::face::{detector::Detection, geometry::Region, sweep::Sweep, tiles::Tiles};

/// Of the looks at a frame in which no face is known, one of so many is at the whole of it.
const WHOLE_FRAME_TURN: usize = 4;
/// In this time all tiles have been looked at again, as long as no face is known.
const ROUND_NS: u64 = 1_000_000_000;
/// Frames further apart are not made up for.
const LONGEST_STEP_NS: u64 = 200_000_000;
/// In a picture in which each frame looks like another shot, not each is searched.
const BETWEEN_SWEEPS_NS: u64 = 500_000_000;

/// How much of a frame's time the search for faces may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// One look a frame.
    #[default]
    OneLook,
    /// As long as it takes: all tiles of a new shot in its first frame. For files.
    Thorough,
    /// What fits into this time, and at least one look: all tiles of a new shot in its first
    /// frames. For live streams.
    Within(Duration),
}

/// Time that one frame's search has left.
pub struct Budget {
    ends: Option<Instant>,
}

impl Effort {
    pub fn budget(self) -> Budget {
        Budget {
            ends: match self {
                Effort::Within(time) => Instant::now().checked_add(time),
                Effort::OneLook | Effort::Thorough => None,
            },
        }
    }
}

impl Budget {
    pub fn is_spent(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() >= ends)
    }
}

/// The order of looks. A new shot is swept; afterwards all tiles come round again, with the whole frame
/// more often.
#[derive(Debug, Default)]
pub struct Search {
    sweep: Sweep,
    is_sweeping: bool,
    /// When a sweep last went on to small tiles.
    swept_ns: Option<i64>,
    /// Counts looks since the sweep.
    turn: usize,
    /// The next tile of the round.
    next: usize,
    /// Running time of the frame before.
    last_ns: Option<i64>,
}

impl Search {
    /// Another shot begins.
    pub fn restart(&mut self) {
        self.sweep.restart();
        self.is_sweeping = true;
        (self.turn, self.next) = (0, 0);
    }

    /// Nothing of what came before holds.
    pub fn reset(&mut self) {
        self.restart();
        (self.swept_ns, self.last_ns) = (None, None);
    }

    /// A face was found: the whole frame is what to look at next.
    pub fn found(&mut self) {
        self.turn = 0;
    }

    /// Whether the shot is still to be swept, with that effort.
    pub fn is_sweeping(&self, effort: Effort) -> bool {
        self.is_sweeping && effort != Effort::OneLook
    }

    /// The next tile of the sweep in the frame at `time_ns`; `None` when it is over. It ends with
    /// the tiles of one size where no more faces are wanted (`is_full`).
    pub fn sweep(&mut self, tiles: &Tiles, time_ns: i64, is_full: bool) -> Option<Region> {
        let square = match self.sweep.looks() == 1 && !self.may_go_on(time_ns) {
            true => None,
            false => self.sweep.next(tiles, is_full),
        };
        self.is_sweeping = square.is_some();
        square
    }

    /// Whether a sweep that has looked at the whole frame may go on to small tiles.
    fn may_go_on(&mut self, time_ns: i64) -> bool {
        let is_early = |swept_ns: i64| time_ns.abs_diff(swept_ns) < BETWEEN_SWEEPS_NS;
        let may = !self.swept_ns.is_some_and(is_early);
        if may {
            self.swept_ns = Some(time_ns);
        }
        may
    }

    /// What was seen in the last tile of the sweep that may be a face.
    pub fn note(&mut self, tiles: &Tiles, glimpses: &[Detection]) {
        self.sweep.note(tiles, glimpses);
    }

    /// How many looks the frame at `time_ns` takes where no face is known.
    pub fn looks(&mut self, tiles: &Tiles, time_ns: i64, effort: Effort) -> usize {
        let step_ns = self.last_ns.map_or(0, |last_ns| time_ns.abs_diff(last_ns));
        match effort {
            Effort::OneLook => 1,
            Effort::Thorough | Effort::Within(_) => {
                let share = step_ns.min(LONGEST_STEP_NS) as f64 / ROUND_NS as f64;
                (tiles.count() as f64 * share).ceil().max(1.0) as usize
            }
        }
    }

    /// The frame at `time_ns` is done with.
    pub fn end_frame(&mut self, time_ns: i64) {
        self.last_ns = Some(time_ns);
    }

    /// Where to look next after the sweep.
    pub fn next(&mut self, tiles: &Tiles) -> Region {
        let is_whole = self.turn.is_multiple_of(WHOLE_FRAME_TURN);
        self.turn = self.turn.wrapping_add(1);
        if is_whole {
            return tiles.whole();
        }
        // The first is the whole frame itself.
        self.next = match self.next + 1 < tiles.count() {
            true => self.next + 1,
            false => 1,
        };
        tiles
            .tile(self.next)
            .map_or_else(|| tiles.whole(), |tile| tile.square)
    }
}
