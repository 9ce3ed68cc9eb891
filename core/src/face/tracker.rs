//! Follows faces from frame to frame.
//!
//! Every frame the mesh network looks where each face was last; its own mesh says where to look
//! next. The detector runs at intervals, and at once when a face is lost or the shot changes.
//! Must not know what is drawn on a face, nor the frame rate: smoothing and memory go by running
//! time.

mod looking;

use crate::{
    Error,
    face::{
        cover::{self, Cover, CoverNetwork},
        examine::{Examiner, Followed, Looked},
        geometry::Region,
        mesh::Mesh,
        people::{Absence, People, Person},
        search::{Effort, Search},
        shot::{self, Thumbnail},
        smoothing::MeshFilter,
    },
    inference::Network,
    pixels::{Affine, View, sample},
    rect::Rect,
};

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
/// A face that is less like its person, beside somebody else, is partly that one's.
const MIXED: f32 = 0.5;
/// A face that ends nearer to the edge of its frame, as a share of its size, may be leaving.
const EDGE: f32 = 0.1;
/// So many faces at most are watched to see who speaks.
const MOST_WATCHED: usize = 8;

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
    /// All, as many as can be watched: who speaks is for others to say.
    Speaking,
    /// The same: who is pointed at is for others to say.
    Point,
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
    pub region: Option<Rect>,
    /// What lies over mouth and jaw.
    pub cover: Cover,
}

/// A face that is being followed.
struct Track {
    person: Person,
    fresh: bool,
    /// As the network said, unsmoothed.
    mesh: Mesh,
    /// Where the network looks next.
    region: Region,
    seen: Thumbnail,
    looked: Looked,
    filter: MeshFilter,
    cover: cover::Memory,
}

/// What became of a face that was followed.
enum Fate {
    Stays,
    /// Another one is in its place.
    Gone,
    Absent(Absence),
}

/// Finds and follows faces in the frames of one stream.
pub struct Tracker {
    examiner: Examiner,
    cover: CoverNetwork,
    settings: Settings,
    outlook: Outlook,
    tracks: Vec<Track>,
    /// Those who are not followed.
    people: People,
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
    /// [`Error::ModelMismatch`] when the networks are not a face detector, a face mesh
    /// and one that tells what lies over a face.
    pub fn new(
        detector: Box<dyn Network>,
        mesh: Box<dyn Network>,
        cover: Box<dyn Network>,
        settings: Settings,
    ) -> Result<Self, Error> {
        Ok(Self {
            examiner: Examiner::new(detector, mesh)?,
            cover: CoverNetwork::new(cover)?,
            settings,
            outlook: Outlook::default(),
            tracks: Vec::new(),
            people: People::default(),
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

    pub fn settings(&self) -> &Settings {
        &self.settings
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
        std::mem::swap(&mut self.cover, &mut old.cover);
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
    /// `regions` are where upstream found faces; while there are
    /// any, the detector rests.
    ///
    /// # Errors
    /// [`Error::Inference`]; there are no faces in this frame then, and the next one starts
    /// afresh.
    pub fn track(&mut self, view: &View, time_ns: i64, regions: &[Rect]) -> Result<&[Face], Error> {
        let result = self.update(view, time_ns, regions);
        if result.is_err() {
            self.reset();
        }
        result.map(|()| self.faces.as_slice())
    }

    fn update(&mut self, view: &View, time_ns: i64, regions: &[Rect]) -> Result<(), Error> {
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
        self.people.forget(time_ns);
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
        self.publish(view, time_ns, regions)
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
        self.people.clear();
        self.search.restart();
    }

    /// Looks again where each face was, and drops those that are not there any more.
    fn follow(&mut self, view: &View, time_ns: i64, frame_likeness: f32) -> Result<(), Error> {
        let is_cut = frame_likeness < CHANGED_FRAME;
        let mut i = 0;
        while i < self.tracks.len() {
            match self.follow_one(i, view, time_ns, is_cut)? {
                Fate::Stays => i += 1,
                Fate::Gone => {
                    self.tracks.remove(i);
                }
                Fate::Absent(absence) => {
                    let person = self.tracks.remove(i).person;
                    let absence = match may_leave(&person, view) {
                        true => absence.without_place(),
                        false => absence,
                    };
                    self.people.remember(person, absence);
                }
            }
        }
        Ok(())
    }

    fn follow_one(
        &mut self,
        i: usize,
        view: &View,
        time_ns: i64,
        is_cut: bool,
    ) -> Result<Fate, Error> {
        let Self {
            examiner,
            tracks,
            people,
            ..
        } = self;
        let Track {
            region,
            mesh,
            looked,
            ..
        } = &tracks[i];
        let before = mesh.bbox();
        let min_confidence = self.settings.min_confidence;
        let now = match examiner.follow(view, *region, looked, min_confidence)? {
            Followed::Seen(now) => now,
            Followed::Lost => return Ok(Fate::Absent(Absence::Missed)),
            Followed::Unchanged => {
                let track = &mut tracks[i];
                track.fresh = false;
                track.person.see(&track.seen.oval(), before, time_ns);
                return Ok(Fate::Stays);
            }
        };
        let looks = now.seen.oval();
        let own = tracks[i].person.likeness(&looks);
        let id = tracks[i].person.id;
        let bbox = now.mesh.bbox();
        let is_other =
            |other: &Person| other.id != id && other.is_rather(&looks, bbox, time_ns, own);
        if tracks.iter().any(|track| is_other(&track.person)) || people.iter().any(is_other) {
            return Ok(Fate::Absent(Absence::Covered));
        }
        let is_near = |other: &Person| other.id != id && other.is_near(bbox, time_ns);
        let is_mixed = own < MIXED
            && (tracks.iter().any(|track| is_near(&track.person)) || people.iter().any(is_near));
        let is_alone = tracks.len() == 1 && people.is_empty();
        let track = &mut tracks[i];
        let mut likeness = track.seen.likeness(&now.seen);
        if likeness < CHANGED_FACE {
            // Perhaps only what is behind the face has changed.
            likeness = likeness.max(track.seen.oval().likeness(&looks));
        }
        let changed = if is_cut { CHANGED_FACE } else { OTHER_PERSON };
        if is_mixed || likeness < changed || has_jumped(before, bbox) {
            return Ok(match is_alone {
                true => Fate::Gone,
                false => Fate::Absent(Absence::Covered),
            });
        }
        track.fresh = false;
        track.person.see(&looks, bbox, time_ns);
        std::mem::swap(&mut track.mesh, &mut now.mesh);
        track.region = now.region;
        std::mem::swap(&mut track.seen, &mut now.seen);
        std::mem::swap(&mut track.looked, &mut now.looked);
        Ok(Fate::Stays)
    }

    /// How many faces are followed at most.
    fn most(&self) -> usize {
        match self.settings.select {
            Select::Speaking | Select::Point => self.settings.max_faces.max(MOST_WATCHED),
            _ => self.settings.max_faces,
        }
    }

    fn is_full(&self) -> bool {
        self.tracks.len() >= self.most()
    }

    /// Two tracks on one face: the older one stays.
    fn drop_duplicates(&mut self) {
        let mut i = 0;
        while i < self.tracks.len() {
            let (bbox, id) = (self.tracks[i].mesh.bbox(), self.tracks[i].person.id);
            let is_duplicate = self
                .tracks
                .iter()
                .any(|other| other.person.id < id && bbox.is_same_place(other.mesh.bbox()));
            if is_duplicate {
                let person = self.tracks.remove(i).person;
                self.people.remember(person, Absence::Covered);
            } else {
                i += 1;
            }
        }
    }

    /// How much a face at `bbox` is wanted: the larger the better.
    fn wish(&self, bbox: Rect, view: &View) -> f32 {
        match self.settings.select {
            Select::Center => {
                let [x, y] = bbox.centre();
                let (w, h) = (view.width as f32, view.height as f32);
                let distance = (x - w / 2.0).hypot(y - h / 2.0) / w.hypot(h);
                1.0 / (0.05 + distance)
            }
            Select::Largest | Select::All | Select::Roi | Select::Speaking | Select::Point => {
                bbox.area()
            }
        }
    }

    /// Keeps the most wanted faces. One that is followed already gives way only to one that is
    /// clearly better.
    fn choose(&mut self, view: &View) {
        let mut tracks = std::mem::take(&mut self.tracks);
        let wish = |track: &Track| {
            let bonus = match (track.fresh, self.settings.select) {
                (true, _) => 1.0,
                (false, Select::All | Select::Speaking | Select::Point) => f32::MAX,
                (false, _) => CLEARLY,
            };
            self.wish(track.mesh.bbox(), view) * bonus
        };
        tracks.sort_by(|a, b| wish(b).total_cmp(&wish(a)));
        for track in tracks.drain(self.most().min(tracks.len())..) {
            self.people.remember(track.person, Absence::Bystander);
        }
        self.tracks = tracks;
    }

    /// Smooths the tracks' meshes into the faces of this frame, and looks what lies over them.
    fn publish(&mut self, view: &View, time_ns: i64, regions: &[Rect]) -> Result<(), Error> {
        self.faces.resize_with(self.tracks.len(), Face::default);
        for (face, track) in self.faces.iter_mut().zip(&mut self.tracks) {
            face.id = track.person.id;
            face.fresh = track.fresh;
            let centre = track.mesh.bbox().centre();
            let holds = |region: &&Rect| region.contains(centre);
            face.region = regions.iter().find(holds).copied();
            face.mesh.score = track.mesh.score;
            face.mesh.points.copy_from_slice(&*track.mesh.points);
            let smoothing = self.settings.smoothing;
            track
                .filter
                .filter(&mut face.mesh.points, time_ns, smoothing);
            let (memory, cover) = (&mut track.cover, &mut face.cover);
            self.cover.run(view, &face.mesh, time_ns, memory, cover)?;
        }
        Ok(())
    }
}

/// Whether the face is at the edge of the frame.
fn may_leave(person: &Person, view: &View) -> bool {
    let Rect { x0, y0, x1, y1 } = person.bbox;
    let margin = EDGE * person.size();
    let (width, height) = (view.width as f32, view.height as f32);
    x0 < margin || y0 < margin || x1 > width - margin || y1 > height - margin
}

fn has_jumped(before: Rect, now: Rect) -> bool {
    let size = |bbox: Rect| bbox.area().sqrt();
    let ([x, y], [last_x, last_y]) = (now.centre(), before.centre());
    let growth = size(now) / size(before);
    (x - last_x).hypot(y - last_y) > MAX_JUMP * size(before)
        || !(1.0 / MAX_GROWTH..=MAX_GROWTH).contains(&growth)
}
