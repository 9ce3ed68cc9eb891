//! Looking for faces that are not followed, and starting to follow them.

use super::{Select, Track, Tracker};
use crate::{
    Error,
    face::{
        cover,
        examine::Sighting,
        geometry::Region,
        mesh::MARGIN,
        people::{Absence, Person},
        search::Budget,
        smoothing::MeshFilter,
        tiles::Tiles,
    },
    pixels::View,
    rect::Rect,
};

/// The most detections of one detector run that are looked at, the surest ones.
const MAX_TRIALS: usize = 20;
/// A glimpse from this score on is tried as a face, where there is none: heads upside down have 0.29 and
/// more of it, at 16 pixels of the detector's 128, and 0.5 in every second case.
const UNSURE: f32 = 0.28;
/// Somebody who is missing is looked for in a square so many times as large as the face.
const AROUND: f32 = 6.0;
/// Who stands by is looked at again after this time, to know the looks.
const ACQUAINTED_NS: u64 = 2_000_000_000;
/// The same while somebody is missing.
const ALERT_NS: u64 = 160_000_000;
/// Where no face is seen the right way up, other ways up are tried again after this time.
const TURNING_NS: u64 = 200_000_000;

/// Where somebody says that there is a face.
struct Claim {
    region: Region,
    /// Whether who says so is sure.
    is_sure: bool,
    /// Where places are kept for people who are missing, somebody who is known not to be one of them gets none.
    keeps_places: bool,
}

impl Tracker {
    /// Looks for new faces: as often as a new shot, lost faces and the effort ask for.
    pub(super) fn search(
        &mut self,
        view: &View,
        time_ns: i64,
        lost_any: bool,
    ) -> Result<(), Error> {
        let tiles = Tiles::of(view.width, view.height);
        let budget = self.outlook.effort.budget();
        let result = if self.search.is_sweeping(self.outlook.effort) {
            self.sweep(view, time_ns, &tiles, &budget)
        } else {
            self.look_around(view, time_ns, &tiles, &budget, lost_any)
        };
        self.search.end_frame(time_ns);
        result
    }

    /// Goes on with the first search of a shot.
    fn sweep(
        &mut self,
        view: &View,
        time_ns: i64,
        tiles: &Tiles,
        budget: &Budget,
    ) -> Result<(), Error> {
        self.frames_since_detection = 0;
        while let Some(square) = self.search.sweep(tiles, time_ns, self.is_full()) {
            let (mut regions, count) = self.detect(view, square)?;
            self.search.note(tiles, self.examiner.glimpses());
            self.adopt_any(view, time_ns, &mut regions[..count])?;
            if budget.is_spent() {
                break;
            }
        }
        Ok(())
    }

    /// Looks again at intervals, at once where a face was lost, and in each frame that has none.
    fn look_around(
        &mut self,
        view: &View,
        time_ns: i64,
        tiles: &Tiles,
        budget: &Budget,
        lost_any: bool,
    ) -> Result<(), Error> {
        self.frames_since_detection = self.frames_since_detection.saturating_add(1);
        let is_due = self.frames_since_detection >= self.settings.detect_interval.max(1)
            && !(self.is_full() && self.settings.select == Select::All);
        let missed = self.people.missed(time_ns).map(|person| {
            let centre = person.expected(time_ns);
            (centre, (AROUND * person.size()).min(tiles.whole().side))
        });
        if let Some((centre, side)) = missed
            && !self.is_full()
        {
            let square = Region {
                centre,
                side,
                angle: 0.0,
            };
            self.look(view, time_ns, square)?;
        }
        if !(is_due || lost_any || self.tracks.is_empty()) {
            return Ok(());
        }
        self.frames_since_detection = 0;
        if lost_any {
            self.search.found();
        }
        let looks = match self.tracks.is_empty() {
            true => self.search.looks(tiles, time_ns, self.outlook.effort),
            false => 1,
        };
        for _ in 0..looks {
            let square = match self.is_full() {
                true => tiles.whole(),
                false => self.search.next(tiles),
            };
            self.look(view, time_ns, square)?;
            if !self.tracks.is_empty() || budget.is_spent() {
                break;
            }
        }
        Ok(())
    }

    /// Looks for new faces in a square of the frame.
    fn look(&mut self, view: &View, time_ns: i64, square: Region) -> Result<(), Error> {
        let (mut regions, count) = self.detect(view, square)?;
        self.adopt_any(view, time_ns, &mut regions[..count])
    }

    /// Tries the regions that were detected, or what may be a face where there is none.
    fn adopt_any(
        &mut self,
        view: &View,
        time_ns: i64,
        regions: &mut [Region],
    ) -> Result<(), Error> {
        if !regions.is_empty() || !self.tracks.is_empty() {
            return self.adopt_best(view, time_ns, regions);
        }
        let glimpses = self.examiner.glimpses().iter();
        let best = glimpses.max_by(|a, b| a.score.total_cmp(&b.score));
        match best.filter(|glimpse| glimpse.score >= UNSURE) {
            Some(glimpse) => {
                let claim = Claim {
                    region: glimpse.region(),
                    is_sure: false,
                    keeps_places: true,
                };
                self.adopt(view, time_ns, claim)
            }
            None => Ok(()),
        }
    }

    /// Where in a square of the frame there are faces that are not followed, and how many.
    fn detect(
        &mut self,
        view: &View,
        square: Region,
    ) -> Result<([Region; MAX_TRIALS], usize), Error> {
        let min_confidence = self.settings.min_confidence;
        let square = square.turned(self.outlook.upright);
        let found = self.examiner.detect(view, square, min_confidence)?;
        let mut regions = [Region::default(); MAX_TRIALS];
        let mut count = 0;
        for detection in found {
            let is_new = self
                .tracks
                .iter()
                .all(|track| !detection.bbox.is_same_place(track.mesh.bbox()));
            if is_new && count < MAX_TRIALS {
                regions[count] = detection.region();
                count += 1;
            }
        }
        Ok((regions, count))
    }

    /// Tries the most wanted of the regions. The detector's idea of a face's size is rough, so
    /// that the meshes decide between the faces in the end; see [`Self::choose`].
    fn adopt_best(
        &mut self,
        view: &View,
        time_ns: i64,
        regions: &mut [Region],
    ) -> Result<(), Error> {
        let wish = |region: &Region| self.wish(bbox_of(region), view);
        regions.sort_unstable_by(|a, b| wish(b).total_cmp(&wish(a)));
        let wishes: [f32; MAX_TRIALS] =
            std::array::from_fn(|i| regions.get(i).map_or(f32::MIN, wish));
        let mut has_met = false;
        for (&mut region, wish) in regions.iter_mut().zip(wishes) {
            let claim = Claim {
                region,
                is_sure: true,
                keeps_places: true,
            };
            let wishes = self
                .tracks
                .iter()
                .map(|track| self.wish(track.mesh.bbox(), view));
            let least = wishes.fold(f32::MAX, f32::min);
            let is_free = self.tracks.len() + self.people.missing(time_ns) < self.most();
            if is_free || self.is_full() && wish > least {
                self.adopt(view, time_ns, claim)?;
                continue;
            }
            // Somebody who may walk past those who are followed, or one of these who is back.
            let since_ns = match self.is_full() {
                true => ACQUAINTED_NS,
                false => ALERT_NS,
            };
            let is_known = self.people.are_at(bbox_of(&region), time_ns, since_ns);
            let has_done = self.is_full() && has_met;
            if !is_known && !has_done {
                has_met = true;
                self.adopt(view, time_ns, claim)?;
            }
        }
        Ok(())
    }

    /// Starts to follow the face that is claimed, if there is one.
    fn adopt(&mut self, view: &View, time_ns: i64, claim: Claim) -> Result<(), Error> {
        let Claim {
            region,
            is_sure,
            keeps_places,
        } = claim;
        let is_time = |turned_ns| turned_ns == time_ns || time_ns.abs_diff(turned_ns) >= TURNING_NS;
        let has_time = !self.is_full() && self.turned_ns.is_none_or(is_time);
        if has_time {
            self.turned_ns = Some(time_ns);
        }
        let min_confidence = self.settings.min_confidence;
        let seen = self
            .examiner
            .examine(view, region, min_confidence, is_sure, has_time)?;
        let Some(sighting) = seen else {
            return Ok(());
        };
        let bbox = sighting.mesh.bbox();
        if self
            .tracks
            .iter()
            .any(|track| bbox.is_same_place(track.mesh.bbox()))
        {
            return Ok(());
        }
        let Sighting {
            mesh,
            region,
            seen,
            looked,
            ..
        } = sighting.clone();
        let looks = seen.oval();
        let is_kept = keeps_places
            && !self.is_full()
            && self.tracks.len() + self.people.missing(time_ns) >= self.most();
        let person = match self.people.recognise(&looks, bbox, time_ns) {
            Some(mut known) => {
                let stands_by = known.is_bystander() && known.continues(bbox, time_ns);
                known.see(&looks, bbox, time_ns);
                if is_kept && stands_by {
                    self.people.remember(known, Absence::Bystander);
                    return Ok(());
                }
                known
            }
            None if is_kept && self.people.are_near(bbox, time_ns) => return Ok(()),
            None => {
                self.next_id += 1;
                Person::new(self.next_id - 1, looks, bbox, time_ns)
            }
        };
        self.search.found();
        self.tracks.push(Track {
            person,
            fresh: true,
            mesh,
            region,
            seen,
            looked,
            filter: MeshFilter::default(),
            cover: cover::Memory::default(),
        });
        Ok(())
    }

    /// Faces that somebody else found.
    pub(super) fn look_in(
        &mut self,
        view: &View,
        time_ns: i64,
        regions: &[Rect],
    ) -> Result<(), Error> {
        let in_region = |bbox: Rect, region: &Rect| region.contains(bbox.centre());
        if self.settings.select == Select::Roi {
            self.tracks.retain(|track| {
                let bbox = track.mesh.bbox();
                regions.iter().any(|region| in_region(bbox, region))
            });
        }
        for region in regions.iter().take(self.settings.max_faces) {
            let followed = self
                .tracks
                .iter()
                .any(|track| in_region(track.mesh.bbox(), region));
            let side = region.side() * MARGIN;
            if !followed && side.is_finite() && side > 0.0 {
                let region = Region {
                    centre: region.centre(),
                    side,
                    angle: self.outlook.upright,
                };
                let claim = Claim {
                    region,
                    is_sure: true,
                    keeps_places: false,
                };
                self.adopt(view, time_ns, claim)?;
            }
        }
        Ok(())
    }
}

/// The box of the face in its square.
fn bbox_of(region: &Region) -> Rect {
    let half = region.side / MARGIN / 2.0;
    let [x, y] = region.centre;
    Rect::new([x - half, y - half, x + half, y + half])
}
