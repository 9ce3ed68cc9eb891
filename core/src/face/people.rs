//! Who is who: people are known by their looks, and by where they were going.
//!
//! Must not know networks, nor the frame rate.

use crate::{face::shot::Thumbnail, rect::Rect};

/// Two faces that are less alike are two people. One person in 3 s of talk: 0.83 and more, 0.93 in
/// 95 of 100 cases; two of 15 people: 0.87 at most, 0.74 in 95 of 100 cases.
const SAME_PERSON: f32 = 0.8;
/// A face is somebody else's when it is more like that one by this.
const MORE_LIKE: f32 = 0.08;
/// A face that was lost is found again in its place while it is as like as this.
const SAME_PLACE: f32 = 0.5;
/// What one face's size between where somebody was expected and a face costs in likeness, and at
/// how many sizes that ends.
const DISTANCE: f32 = 0.03;
const FURTHEST: f32 = 4.0;
/// Nobody is taken for somebody who was further away, in sizes of the face, and for each second
/// since then.
const REACH: f32 = 2.0;
const SPEED: f32 = 3.0;
/// Faces that go on are not larger or smaller by more.
const GROWTH: f32 = 1.5;
/// Who was seen within this time is still in the picture: longer than from one look to the next.
const PRESENT_NS: u64 = 600_000_000;
/// Looks are a mean over about this time, so that a face which is slowly covered is not learned.
const LEARNING_NS: f32 = 1e9;
/// The speed of a face is a mean over about this time; nobody goes on at it for longer.
const SPEED_NS: f32 = 3e8;
/// A face that is found again where it was lost within this time is the same one.
const MEMORY_NS: u64 = 500_000_000;
/// Nobody who is known to be somebody else gets the place of a missing person for this time: longer
/// than two people take to walk past each other.
const HELD_NS: u64 = 2_000_000_000;
/// Looks are remembered for this time.
const KNOWN_NS: u64 = 10_000_000_000;
/// More people are not remembered.
const MOST: usize = 16;

/// Somebody who is or was in the picture.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: u64,
    pub bbox: Rect,
    looks: Thumbnail,
    /// Of the centre, in pixels a nanosecond.
    speed: [f32; 2],
    time_ns: i64,
    /// When the looks were last compared.
    looked_ns: i64,
    absence: Absence,
}

/// How somebody came not to be followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absence {
    /// Others are wanted more.
    #[default]
    Bystander,
    /// The face is not seen any more. Where it is seen in the same place soon, it is the same one.
    Lost,
    /// Somebody else's face, or something, is before it. Nobody who is known to be somebody else is to
    /// get the place meanwhile.
    Covered,
    /// Both.
    Missed,
}

impl Absence {
    fn keeps_place(self) -> bool {
        matches!(self, Self::Covered | Self::Missed)
    }

    /// What is left of it in another picture, where no places are kept.
    pub fn without_place(self) -> Self {
        match self {
            Self::Bystander | Self::Covered => Self::Bystander,
            Self::Lost | Self::Missed => Self::Lost,
        }
    }
}

impl Person {
    pub fn new(id: u64, looks: Thumbnail, bbox: Rect, time_ns: i64) -> Self {
        Self {
            id,
            bbox,
            looks,
            speed: [0.0; 2],
            time_ns,
            looked_ns: time_ns,
            absence: Absence::default(),
        }
    }

    /// The face was seen again.
    pub fn see(&mut self, looks: &Thumbnail, bbox: Rect, time_ns: i64) {
        let step_ns = self.place(bbox, time_ns);
        self.looks.learn(looks, (step_ns / LEARNING_NS).min(1.0));
        self.looked_ns = time_ns;
    }

    /// Takes in where the face is now; how long that is after the last time, in nanoseconds.
    fn place(&mut self, bbox: Rect, time_ns: i64) -> f32 {
        let step_ns = time_ns.saturating_sub(self.time_ns).max(1) as f32;
        let (now, before) = (bbox.centre(), self.bbox.centre());
        let gain = (step_ns / SPEED_NS).min(1.0);
        for i in 0..2 {
            self.speed[i] += gain * ((now[i] - before[i]) / step_ns - self.speed[i]);
        }
        self.bbox = bbox;
        self.time_ns = time_ns;
        step_ns
    }

    pub fn likeness(&self, looks: &Thumbnail) -> f32 {
        self.looks.likeness(looks)
    }

    /// Whether a face that looks so is this person's rather than that of somebody whom it is like by
    /// so much.
    pub fn is_rather(&self, looks: &Thumbnail, bbox: Rect, time_ns: i64, likeness: f32) -> bool {
        let reach = REACH + SPEED * self.age_ns(time_ns) as f32 * 1e-9;
        self.away(bbox, time_ns) < reach
            && self.likeness(looks) > (likeness + MORE_LIKE).max(SAME_PERSON)
    }

    /// Whether a face at `bbox` may be covered by this person's, or be a part of it.
    pub fn is_near(&self, bbox: Rect, time_ns: i64) -> bool {
        self.away(bbox, time_ns) < REACH
    }

    /// Whether a face at `bbox` goes on where this person was: after a cut it does not.
    pub fn continues(&self, bbox: Rect, time_ns: i64) -> bool {
        let growth = bbox.side() / self.size();
        let reach = 1.0 + SPEED * self.age_ns(time_ns) as f32 * 1e-9;
        self.away(bbox, time_ns) < reach && (1.0 / GROWTH..GROWTH).contains(&growth)
    }

    /// From where the face is expected to `bbox`, in sizes of the face.
    fn away(&self, bbox: Rect, time_ns: i64) -> f32 {
        let ([x, y], [u, v]) = (bbox.centre(), self.expected(time_ns));
        (x - u).hypot(y - v) / self.size().max(1.0)
    }

    /// Where the centre of the face is expected.
    pub fn expected(&self, time_ns: i64) -> [f32; 2] {
        let ahead_ns = (time_ns.saturating_sub(self.time_ns) as f32).clamp(0.0, SPEED_NS);
        let [x, y] = self.bbox.centre();
        [x + self.speed[0] * ahead_ns, y + self.speed[1] * ahead_ns]
    }

    /// Side of a square as large as the face.
    pub fn size(&self) -> f32 {
        self.bbox.side()
    }

    fn age_ns(&self, time_ns: i64) -> u64 {
        time_ns.abs_diff(self.time_ns)
    }

    pub fn is_bystander(&self) -> bool {
        self.absence == Absence::Bystander
    }

    fn is_missing(&self, time_ns: i64) -> bool {
        self.absence.keeps_place() && self.age_ns(time_ns) < HELD_NS
    }
}

/// Those who are known and not followed.
#[derive(Debug, Default)]
pub struct People {
    known: Vec<Person>,
}

impl People {
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// Forgets those who were not seen for long.
    pub fn forget(&mut self, time_ns: i64) {
        self.known
            .retain(|person| person.age_ns(time_ns) < KNOWN_NS);
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.known.iter()
    }

    /// Remembers somebody who is not followed any more.
    pub fn remember(&mut self, mut person: Person, absence: Absence) {
        person.absence = absence;
        if self.known.len() == MOST {
            let oldest = (0..MOST).min_by_key(|&i| self.known[i].time_ns);
            self.known.swap_remove(oldest.unwrap_or(0));
        }
        self.known.push(person);
    }

    /// Who it is that looks so; taken out where found. Of several the one that is most like, and
    /// nearest to where it was going.
    pub fn recognise(&mut self, looks: &Thumbnail, bbox: Rect, time_ns: i64) -> Option<Person> {
        let score = |person: &Person| {
            person.likeness(looks) - DISTANCE * person.away(bbox, time_ns).min(FURTHEST)
        };
        let is_same = |person: &Person| {
            let likeness = person.likeness(looks);
            let returns = person.age_ns(time_ns) < MEMORY_NS
                && matches!(person.absence, Absence::Lost | Absence::Missed)
                && bbox.is_same_place(person.bbox);
            likeness >= SAME_PERSON || returns && likeness >= SAME_PLACE
        };
        let candidates = (0..self.known.len()).filter(|&i| is_same(&self.known[i]));
        let best =
            candidates.max_by(|&a, &b| score(&self.known[a]).total_cmp(&score(&self.known[b])))?;
        Some(self.known.swap_remove(best))
    }

    /// Whether somebody who is known was seen at `bbox`, where the detector sees a face now: it is
    /// taken for the same one where its looks were compared no longer ago than `since_ns`.
    pub fn are_at(&mut self, bbox: Rect, time_ns: i64, since_ns: u64) -> bool {
        let here = self.known.iter_mut().find(|person| {
            person.absence == Absence::Bystander
                && time_ns.abs_diff(person.looked_ns) < since_ns
                && bbox.is_same_place(person.bbox)
        });
        here.map(|person| person.place(bbox, time_ns)).is_some()
    }

    /// Whether somebody who stands by is so near to `bbox` that a face there may be a mixture.
    pub fn are_near(&self, bbox: Rect, time_ns: i64) -> bool {
        self.known.iter().any(|person| {
            person.is_bystander()
                && person.age_ns(time_ns) < PRESENT_NS
                && person.is_near(bbox, time_ns)
        })
    }

    /// How many places are kept for people who are missing.
    pub fn missing(&self, time_ns: i64) -> usize {
        let missing = self.known.iter();
        missing.filter(|person| person.is_missing(time_ns)).count()
    }

    /// Somebody who is missing, the latest.
    pub fn missed(&self, time_ns: i64) -> Option<&Person> {
        let missing = self.known.iter();
        missing
            .filter(|person| person.is_missing(time_ns))
            .max_by_key(|person| person.time_ns)
    }
}
