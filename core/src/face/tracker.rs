//! Follows faces from frame to frame.
//!
//! Every frame the mesh network looks where each face was last; its own mesh says where to look
//! next. The detector runs at intervals, and at once when a face is lost or the shot changes.
//! Must not know what is drawn on a face, nor the frame rate: smoothing and memory go by running
//! time.

use crate::{
    Error,
    face::{
        examine::{Examiner, Sighting},
        geometry::{self, Region},
        mesh::{MARGIN, Mesh},
        search::{Budget, Effort, Search},
        shot::{self, Thumbnail},
        smoothing::MeshFilter,
        tiles::Tiles,
    },
    inference::Network,
    pixels::{Affine, View, sample},
};

/// Two meshes that overlap by more are one face.
const SAME_FACE: f32 = 0.3;
/// A face that would replace another one must be larger by this factor, or nearer to the centre.
const CLEARLY: f32 = 1.5;
/// A mesh that moved further in one frame, in sizes of its box, is another face.
const MAX_JUMP: f32 = 0.6;
/// A mesh that grew or shrank by more in one frame is another face.
const MAX_GROWTH: f32 = 1.6;
/// A frame that is less like the one before is another shot. Of clips of talking people, frames
/// two apart are alike by 0.997 and more, frames of two of the clips by 0.39 to 0.98.
const OTHER_SHOT: f32 = 0.5;
/// A face that is less like the one in its place a frame before is another person. Frames two
/// apart: 0.984 and more; two people: 0.12 to 0.94.
const OTHER_PERSON: f32 = 0.75;
/// The same for a face and its frame together: what is likely when both differ this much.
const CHANGED_FRAME: f32 = 0.95;
const CHANGED_FACE: f32 = 0.93;
/// The most detections of one detector run that are looked at, the surest ones.
const MAX_TRIALS: usize = 20;
/// A face that is found again where it was lost within this time is the same one.
const MEMORY_NS: i64 = 500_000_000;
/// Where no face is seen the right way up, other ways up are tried again after this time.
const TURNING_NS: u64 = 200_000_000;

/// Which faces to follow when there are more than asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Select {
    #[default]
    Largest,
    /// Nearest to the centre of the frame.
    Center,
    /// As many as `max_faces` allows, in the order in which they are found.
    All,
    /// Only those in the regions given from outside.
    Roi,
}

/// How to follow faces; may change at any time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub max_faces: usize,
    pub select: Select,
    /// Frames from one look for new faces to the next.
    pub detect_interval: u32,
    /// Probability 0..1 below which a face is none.
    pub min_confidence: f32,
    /// 0 (none) to 1.
    pub smoothing: f32,
}

/// How to look for new faces.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outlook {
    /// How far upright faces are turned clockwise in the frames, in radians: those of a camera that
    /// was held sideways.
    pub upright: f32,
    pub effort: Effort,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_faces: 1,
            select: Select::Largest,
            detect_interval: 12,
            min_confidence: 0.5,
            smoothing: 0.5,
        }
    }
}

/// A face in the current frame.
#[derive(Clone, Debug, Default)]
pub struct Face {
    /// Stays with the face as long as it is followed; never used for another one.
    pub id: u64,
    /// Smoothed.
    pub mesh: Mesh,
    /// This is the first frame after the face was found, lost and found again, or cut to:
    /// nothing of the frames before holds for it.
    pub fresh: bool,
    /// The region given from outside that its centre lies in.
    pub region: Option<[f32; 4]>,
}

/// A face that is being followed.
struct Track {
    id: u64,
    fresh: bool,
    /// As the network said, unsmoothed.
    mesh: Mesh,
    /// Where the network looks next.
    region: Region,
    seen: Thumbnail,
    filter: MeshFilter,
}

/// A face that was lost a moment ago.
struct Lost {
    id: u64,
    bbox: [f32; 4],
    time_ns: i64,
}

/// Finds and follows faces in the frames of one stream.
pub struct Tracker {
    examiner: Examiner,
    settings: Settings,
    outlook: Outlook,
    tracks: Vec<Track>,
    lost: Vec<Lost>,
    faces: Vec<Face>,
    next_id: u64,
    frames_since_detection: u32,
    search: Search,
    /// When faces were last tried all ways up.
    turned_ns: Option<i64>,
    thumbnail: Vec<f32>,
    shot: Option<Thumbnail>,
    shots: u64,
    /// Width and height of the last frame.
    size: [usize; 2],
}

impl Tracker {
    /// # Errors
    /// [`Error::ModelMismatch`] when the networks are not a face detector and a face mesh.
    pub fn new(
        detector: Box<dyn Network>,
        mesh: Box<dyn Network>,
        settings: Settings,
    ) -> Result<Self, Error> {
        Ok(Self {
            examiner: Examiner::new(detector, mesh)?,
            settings,
            outlook: Outlook::default(),
            tracks: Vec::new(),
            lost: Vec::new(),
            faces: Vec::new(),
            next_id: 1,
            frames_since_detection: 0,
            search: Search::default(),
            turned_ns: None,
            thumbnail: vec![0.0; 3 * shot::SIZE * shot::SIZE],
            shot: None,
            shots: 0,
            size: [0; 2],
        })
    }

    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// How to look for new faces in the frames that come next.
    pub fn set_outlook(&mut self, outlook: Outlook) {
        self.outlook = outlook;
    }

    /// Forgets all faces; their ids are not used again.
    pub fn reset(&mut self) {
        self.forget_shot();
        self.search.reset();
        self.shot = None;
        self.turned_ns = None;
        self.faces.clear();
    }

    /// Follows the faces that `old` followed, where it last saw them; `old` keeps its networks.
    pub fn take_over(&mut self, old: &mut Tracker) {
        std::mem::swap(self, old);
        self.examiner.exchange_networks(&mut old.examiner);
    }

    /// How often the detector has looked for faces so far.
    pub fn detector_runs(&self) -> u64 {
        self.examiner.looks()
    }

    /// How often the shot changed so far, or the size of the frames.
    pub fn shots(&self) -> u64 {
        self.shots
    }

    /// The faces of the last frame.
    pub fn faces(&self) -> &[Face] {
        &self.faces
    }

    /// Hands the faces of the last frame out, so that the next one can be tracked while they are
    /// still needed. Takes older ones in exchange, for their memory.
    pub fn take_faces(&mut self, faces: &mut Vec<Face>) {
        std::mem::swap(&mut self.faces, faces);
    }

    /// The faces in this frame, the most wanted first. `time_ns` is the frame's running time.
    /// `regions` are boxes `[x0, y0, x1, y1]` that somebody else found faces in; while there are
    /// any, the detector rests.
    ///
    /// # Errors
    /// [`Error::Inference`]; there are no faces in this frame then, and the next one starts
    /// afresh.
    pub fn track(
        &mut self,
        view: &View,
        time_ns: i64,
        regions: &[[f32; 4]],
    ) -> Result<&[Face], Error> {
        let result = self.update(view, time_ns, regions);
        if result.is_err() {
            self.reset();
        }
        result.map(|()| self.faces.as_slice())
    }

    fn update(&mut self, view: &View, time_ns: i64, regions: &[[f32; 4]]) -> Result<(), Error> {
        if view.width == 0 || view.height == 0 || self.settings.max_faces == 0 {
            self.reset();
            return Ok(());
        }
        let size = [view.width, view.height];
        let resized = std::mem::replace(&mut self.size, size) != size;
        let is_first = self.shot.is_none();
        let frame_likeness = self.frame_likeness(view);
        if resized || frame_likeness < OTHER_SHOT {
            self.shots += u64::from(!is_first);
            self.forget_shot();
        }
        self.lost
            .retain(|lost| time_ns.abs_diff(lost.time_ns) < MEMORY_NS as u64);
        let followed = self.tracks.len();
        self.follow(view, time_ns, frame_likeness)?;
        self.drop_duplicates();
        let lost_any = self.tracks.len() < followed;
        if !regions.is_empty() {
            self.look_in(view, time_ns, regions)?;
        } else if self.settings.select != Select::Roi {
            self.search(view, time_ns, lost_any)?;
        }
        self.choose(view);
        self.publish(time_ns, regions);
        Ok(())
    }

    /// How much this frame is like the one before, -1..=1.
    fn frame_likeness(&mut self, view: &View) -> f32 {
        let size = shot::SIZE as f32;
        let (a, d) = (view.width as f32 / size, view.height as f32 / size);
        let to_frame = Affine {
            a,
            d,
            tx: (a - 1.0) / 2.0,
            ty: (d - 1.0) / 2.0,
            ..Affine::IDENTITY
        };
        let (red, rest) = self.thumbnail.split_at_mut(shot::SIZE * shot::SIZE);
        let (green, blue) = rest.split_at_mut(shot::SIZE * shot::SIZE);
        sample(view, &to_frame, shot::SIZE, 1.0, 0.0, [red, green, blue]);
        let now = Thumbnail::of(&self.thumbnail, shot::SIZE);
        let before = self.shot.replace(now.clone());
        before.map_or(1.0, |before| before.likeness(&now))
    }

    fn forget_shot(&mut self) {
        self.tracks.clear();
        self.lost.clear();
        self.search.restart();
    }

    /// Looks again where each face was, and drops those that are not there any more.
    fn follow(&mut self, view: &View, time_ns: i64, frame_likeness: f32) -> Result<(), Error> {
        let mut error = None;
        let (examiner, lost) = (&mut self.examiner, &mut self.lost);
        let min_confidence = self.settings.min_confidence;
        self.tracks.retain_mut(|track| {
            if error.is_some() {
                return false;
            }
            track.fresh = false;
            let now = match examiner.follow(view, track.region, min_confidence) {
                Ok(now) => now,
                Err(reason) => {
                    error = Some(reason);
                    return false;
                }
            };
            let before = track.mesh.bbox();
            let Some(now) = now else {
                lost.push(Lost {
                    id: track.id,
                    bbox: before,
                    time_ns,
                });
                return false;
            };
            let likeness = track.seen.likeness(&now.seen);
            let other_person = likeness < OTHER_PERSON
                || likeness < CHANGED_FACE && frame_likeness < CHANGED_FRAME;
            if other_person || has_jumped(before, now.mesh.bbox()) {
                return false;
            }
            std::mem::swap(&mut track.mesh, &mut now.mesh);
            track.region = now.region;
            std::mem::swap(&mut track.seen, &mut now.seen);
            true
        });
        error.map_or(Ok(()), Err)
    }

    /// Two tracks on one face: the older one stays.
    fn drop_duplicates(&mut self) {
        let mut i = 0;
        while i < self.tracks.len() {
            let (bbox, id) = (self.tracks[i].mesh.bbox(), self.tracks[i].id);
            let duplicate = self
                .tracks
                .iter()
                .any(|other| other.id < id && is_same_place(bbox, other.mesh.bbox()));
            if duplicate {
                self.tracks.remove(i);
            } else {
                i += 1;
            }
        }
    }

    /// Looks for new faces: as often as a new shot, lost faces and the effort ask for.
    fn search(&mut self, view: &View, time_ns: i64, lost_any: bool) -> Result<(), Error> {
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

    fn is_full(&self) -> bool {
        self.tracks.len() >= self.settings.max_faces
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
            self.look(view, time_ns, square)?;
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
        let min_confidence = self.settings.min_confidence;
        let square = square.turned(self.outlook.upright);
        let found = self.examiner.detect(view, square, min_confidence)?;
        let mut regions = [Region::default(); MAX_TRIALS];
        let mut count = 0;
        for detection in found {
            let is_new = self
                .tracks
                .iter()
                .all(|track| !is_same_place(detection.bbox, track.mesh.bbox()));
            if is_new && count < MAX_TRIALS {
                regions[count] = detection.region();
                count += 1;
            }
        }
        self.adopt_best(view, time_ns, &mut regions[..count])
    }

    /// Tries the most wanted of the regions. The detector's idea of a face's size is rough, so
    /// that the meshes decide between the faces in the end; see [`Self::choose`].
    fn adopt_best(
        &mut self,
        view: &View,
        time_ns: i64,
        regions: &mut [Region],
    ) -> Result<(), Error> {
        let wish = |region: &Region| {
            let half = region.side / MARGIN / 2.0;
            let [x, y] = region.centre;
            self.wish([x - half, y - half, x + half, y + half], view)
        };
        regions.sort_unstable_by(|a, b| wish(b).total_cmp(&wish(a)));
        let wishes: [f32; MAX_TRIALS] =
            std::array::from_fn(|i| regions.get(i).map_or(f32::MIN, wish));
        for (region, wish) in regions.iter().zip(wishes) {
            let wishes = self
                .tracks
                .iter()
                .map(|track| self.wish(track.mesh.bbox(), view));
            let least = wishes.fold(f32::MAX, f32::min);
            if self.tracks.len() < self.settings.max_faces || wish > least {
                self.adopt(view, time_ns, *region)?;
            }
        }
        Ok(())
    }

    /// Starts to follow the face in `region`, if there is one.
    fn adopt(&mut self, view: &View, time_ns: i64, region: Region) -> Result<(), Error> {
        let is_late = |turned_ns| time_ns.abs_diff(turned_ns) >= TURNING_NS;
        let has_time = self
            .turned_ns
            .is_none_or(|turned_ns| turned_ns == time_ns || is_late(turned_ns));
        if has_time {
            self.turned_ns = Some(time_ns);
        }
        let min_confidence = self.settings.min_confidence;
        let seen = self
            .examiner
            .examine(view, region, min_confidence, has_time)?;
        let Some(sighting) = seen else {
            return Ok(());
        };
        let bbox = sighting.mesh.bbox();
        if self
            .tracks
            .iter()
            .any(|track| is_same_place(bbox, track.mesh.bbox()))
        {
            return Ok(());
        }
        let known = self
            .lost
            .iter()
            .position(|lost| is_same_place(bbox, lost.bbox));
        let id = match known {
            Some(index) => self.lost.swap_remove(index).id,
            None => {
                self.next_id += 1;
                self.next_id - 1
            }
        };
        self.search.found();
        let Sighting {
            mesh, region, seen, ..
        } = sighting.clone();
        self.tracks.push(Track {
            id,
            fresh: true,
            mesh,
            region,
            seen,
            filter: MeshFilter::default(),
        });
        Ok(())
    }

    /// Faces that somebody else found.
    fn look_in(&mut self, view: &View, time_ns: i64, regions: &[[f32; 4]]) -> Result<(), Error> {
        let in_region =
            |bbox: [f32; 4], region: &[f32; 4]| geometry::contains(*region, geometry::centre(bbox));
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
            let [x0, y0, x1, y1] = *region;
            let side = (x1 - x0).max(y1 - y0) * MARGIN;
            if !followed && side.is_finite() && side > 0.0 {
                let region = Region {
                    centre: geometry::centre(*region),
                    side,
                    angle: self.outlook.upright,
                };
                self.adopt(view, time_ns, region)?;
            }
        }
        Ok(())
    }

    /// How much a face at `bbox` is wanted: the larger the better.
    fn wish(&self, bbox: [f32; 4], view: &View) -> f32 {
        match self.settings.select {
            Select::Center => {
                let [x, y] = geometry::centre(bbox);
                let (w, h) = (view.width as f32, view.height as f32);
                let distance = (x - w / 2.0).hypot(y - h / 2.0) / w.hypot(h);
                1.0 / (0.05 + distance)
            }
            Select::Largest | Select::All | Select::Roi => geometry::area(bbox),
        }
    }

    /// Keeps the most wanted faces. One that is followed already gives way only to one that is
    /// clearly better.
    fn choose(&mut self, view: &View) {
        let mut tracks = std::mem::take(&mut self.tracks);
        let wish = |track: &Track| {
            let bonus = match (track.fresh, self.settings.select) {
                (true, _) => 1.0,
                (false, Select::All) => f32::MAX,
                (false, _) => CLEARLY,
            };
            self.wish(track.mesh.bbox(), view) * bonus
        };
        tracks.sort_by(|a, b| wish(b).total_cmp(&wish(a)));
        tracks.truncate(self.settings.max_faces);
        self.tracks = tracks;
    }

    /// Smooths the tracks' meshes into the faces of this frame.
    fn publish(&mut self, time_ns: i64, regions: &[[f32; 4]]) {
        self.faces.resize_with(self.tracks.len(), Face::default);
        for (face, track) in self.faces.iter_mut().zip(&mut self.tracks) {
            face.id = track.id;
            face.fresh = track.fresh;
            let centre = geometry::centre(track.mesh.bbox());
            let holds = |region: &&[f32; 4]| geometry::contains(**region, centre);
            face.region = regions.iter().find(holds).copied();
            face.mesh.score = track.mesh.score;
            face.mesh.points.copy_from_slice(&*track.mesh.points);
            let smoothing = self.settings.smoothing;
            track
                .filter
                .filter(&mut face.mesh.points, time_ns, smoothing);
        }
    }
}

fn is_same_place(a: [f32; 4], b: [f32; 4]) -> bool {
    geometry::overlap(a, b) > SAME_FACE
        || geometry::contains(a, geometry::centre(b))
        || geometry::contains(b, geometry::centre(a))
}

fn has_jumped(before: [f32; 4], now: [f32; 4]) -> bool {
    let size = |bbox| geometry::area(bbox).sqrt();
    let ([x, y], [last_x, last_y]) = (geometry::centre(now), geometry::centre(before));
    let growth = size(now) / size(before);
    (x - last_x).hypot(y - last_y) > MAX_JUMP * size(before)
        || !(1.0 / MAX_GROWTH..=MAX_GROWTH).contains(&growth)
}
