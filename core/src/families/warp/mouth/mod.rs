//! The inside of a mouth at the frame's own resolution: the person's own, as the stream has shown
//! it, and where it has not, single teeth in the person's colours.
//!
//! Must not know networks. Of open mouths glimpses are kept ([`bank`]); to draw a mouth, one of
//! them is carried there: its upper part with the skull, its lower part with the jaw ([`carry`]).
//! What that glimpse does not show is drawn by rule ([`teeth`]).

mod album;
mod album_bytes;
mod bank;
mod carry;
mod contours;
mod fade;
mod glimpse;
mod inlay;
mod news;
mod points;
mod portrait;
mod scene;
mod sharpness;
mod teeth;
mod trace;

use std::sync::Arc;

use album::Person;
use bank::Bank;
use carry::Wanted;
use contours::Contours;
use fade::Fade;
use glimpse::{FINEST, Looker, Shape, Sight};
use inlay::{Inlay, Style};
use news::{Item, News};
use portrait::Portrait;

pub use album::Album;
pub use points::{NOSE_TIP, Points};
pub use scene::Scene;

use crate::{
    generator::smoothstep,
    pixels::{Affine, Patch, View},
};

/// Side of the canonical picture in pixels: sizes in this room are those of mouths in it.
pub const SIZE: usize = 96;
/// Least time between two looks, in nanoseconds: for a person's first glimpses, and for later ones and how
/// sharp the frame is.
const BETWEEN_NS: i64 = 200_000_000;
const SELDOM_NS: i64 = 1_000_000_000;
/// So many glimpses are a person's first ones.
const FIRST: u32 = 2 * bank::CAPACITY as u32;
/// In so many frames of a face that is new it is looked for in the album.
const ASKED: u32 = 10;
/// A mouth is worth a glimpse that is open by so many canonical pixels,
const OPEN: f32 = 2.2;
/// whose lips move by no more than this from one frame of 25 a second to the next,
const SLOW: f32 = 1.0;
const FRAME: f32 = 0.04;
/// and of which no more than this share is covered.
const COVERED: f32 = 0.3;
/// Mean gaps of the expected mouth between which its inside begins to be drawn here.
const DRAWN: [f32; 2] = [1.0, 1.6];
/// Frame pixels for each canonical one between which that begins: from glimpses, and by rule.
/// Below, what the renderer draws is as fine as the frame.
const FINE: [f32; 2] = [1.1, 1.5];
const FINE_BY_RULE: [f32; 2] = [1.5, 2.0];
/// Share of a new look in what is known of the blur.
const FOLLOW: f32 = 0.2;
/// How far the frame's own open mouth is stretched before another is drawn over it: as the
/// renderer does it.
const STRETCH: f32 = 1.8;
const CLOSED: f32 = 1.0;

/// A drawn mouth.
pub struct Overlay<'a> {
    pub patch: Patch<'a>,
    /// How much of what the renderer draws it stands for, 0..1.
    pub instead: f32,
    /// Whether it was drawn from a glimpse.
    pub is_remembered: bool,
}

/// The frame's own mouth. Lengths are canonical pixels.
pub struct Frame<'a, 'v> {
    pub view: &'a View<'v>,
    /// From the canonical picture.
    pub to_frame: &'a Affine,
    /// `[3, SIZE, SIZE]`: R, G, B, 0..1.
    pub crop: &'a [f32],
    /// Landmarks of the mouth, as it is and at rest.
    pub source: &'a [[f32; 2]],
    pub rest: &'a [[f32; 2]],
    /// Mean of [`NOSE_TIP`].
    pub nose: [f32; 2],
    /// `[SIZE, SIZE]`: the share of each canonical pixel that nothing lies over.
    pub bare: &'a [f32],
    pub time_ns: i64,
}

/// What is remembered of one person's mouth, and what draws it.
pub struct InnerMouth {
    album: Arc<Album>,
    /// Who it is, for the album, while that learns.
    person: Person,
    /// Frames for which the album was asked who it is.
    asked: u32,
    looker: Looker,
    news: News,
    bank: Bank,
    fade: Fade,
    inlay: Inlay,
    /// Of the frame's sharpest edges, in canonical pixels.
    blur: Option<f32>,
    /// Inner lips of the frame before.
    lips: [[f32; 2]; 22],
    last_ns: Option<i64>,
    taken_ns: Option<i64>,
    /// Glimpses of this person.
    taken: u32,
    gauged_ns: Option<i64>,
    target: Vec<[f32; 2]>,
    /// Colour of the teeth as drawn by rule, as shares of lit skin's.
    teeth: Option<[f32; 3]>,
}

impl InnerMouth {
    /// `album` is that of all mouths.
    pub fn new(album: Arc<Album>) -> Self {
        Self {
            album,
            person: Person::default(),
            asked: 0,
            looker: Looker::new(),
            news: News::default(),
            bank: Bank::default(),
            fade: Fade::default(),
            inlay: Inlay::default(),
            blur: None,
            lips: [[0.0; 2]; 22],
            last_ns: None,
            taken_ns: None,
            taken: 0,
            gauged_ns: None,
            target: Vec::new(),
            teeth: None,
        }
    }

    /// Forgets the person at once.
    pub fn forget(&mut self) {
        while let Some(item) = self.news.next_up_to(self.news.newest()) {
            self.learn(item);
        }
        self.learn(Item::Another);
        self.begin_anew();
    }

    /// The next frame shows somebody else, as far as is known.
    pub fn meet(&mut self) {
        self.tell(Item::Another);
        self.begin_anew();
    }

    fn begin_anew(&mut self) {
        self.blur = None;
        self.last_ns = None;
        (self.taken_ns, self.gauged_ns) = (None, None);
        self.taken = 0;
        self.asked = 0;
    }

    fn tell(&mut self, item: Item) {
        let due = match self.album.is_learning() {
            // Nothing is drawn that it could be too early for.
            true => Some(item),
            false => self.news.push(item),
        };
        if let Some(item) = due {
            self.learn(item);
        }
    }

    fn learn(&mut self, item: Item) {
        match item {
            Item::Glimpse(glimpse) => self.bank.offer(glimpse, &self.fade.glimpses()),
            Item::Known(person) => self.bank.recall(&person.glimpses),
            Item::Another => {
                if self.album.is_learning() {
                    let mut person = std::mem::take(&mut self.person);
                    person.glimpses = self.bank.take();
                    self.album.keep(person);
                }
                self.bank.forget();
                self.fade = Fade::default();
                self.teeth = None;
            }
        }
    }

    /// Glimpses that are kept.
    pub fn kept(&self) -> usize {
        self.bank.len()
    }

    /// Takes a frame in: what it tells of light and place, and, where it `remembers`, a glimpse if
    /// the mouth is worth one. Where it does not, what was remembered is forgotten.
    pub fn look(&mut self, frame: &Frame, points: &Points, remembers: bool) -> Scene {
        let remembers = remembers || self.album.is_learning();
        let passed = self
            .last_ns
            .replace(frame.time_ns)
            .map_or(0, |last| frame.time_ns.saturating_sub(last));
        let contours = Contours::through(frame.source, &points.inner);
        let [skin, lips] = scene::colours(frame.crop, frame.source, points);
        let mut scene = Scene {
            scale: frame.to_frame.scale(),
            nose: frame.nose,
            line: points.line(frame.rest),
            width: points.width(frame.rest),
            jaw: points.jaw(frame.rest),
            seen_gap: contours.mean_gap(),
            skin,
            lips,
            blur: 0.0,
            passed: (passed as f32 * 1e-9).clamp(0.0, 1.0),
            news: 0.0,
        };
        let speed = self.speed(frame.source, points, scene.passed);
        if !remembers && self.kept() > 0 {
            self.tell(Item::Another);
        }
        if remembers {
            self.ask_album(frame.crop);
        }
        let is_due = |last: Option<i64>, between_ns| {
            last.is_none_or(|last| {
                let since = frame.time_ns.saturating_sub(last);
                !(0..between_ns).contains(&since)
            })
        };
        let is_worth = remembers && contours.gap() > OPEN && speed < SLOW;
        let between_ns = match self.taken < FIRST {
            true => BETWEEN_NS,
            false => SELDOM_NS,
        };
        let takes = is_worth && is_due(self.taken_ns, between_ns);
        let gauges = is_due(self.gauged_ns, SELDOM_NS);
        if (takes || gauges) && scene.scale > FINE[0] && covered(frame, points) < COVERED {
            let sight = Sight {
                view: frame.view,
                to_frame: frame.to_frame,
                source: frame.source,
                scene: &scene,
                speed,
            };
            self.looker.look(&sight, &contours);
            if gauges {
                self.gauged_ns = Some(frame.time_ns);
                if let Some(blur) = self.looker.blur() {
                    let known = self.blur.get_or_insert(blur);
                    *known += FOLLOW * (blur - *known);
                }
            }
            if takes {
                self.taken_ns = Some(frame.time_ns);
                let mut glimpse = self.bank.blank();
                match self.looker.take(&sight, points, &mut glimpse) {
                    true => {
                        self.taken += 1;
                        self.tell(Item::Glimpse(glimpse));
                    }
                    false => self.bank.give_back(glimpse),
                }
            }
        }
        scene.blur = self.blur.unwrap_or_default();
        scene.news = self.news.newest();
        scene
    }

    /// Whether the album knows who this is; while it learns, tells it how they look.
    fn ask_album(&mut self, crop: &[f32]) {
        if self.album.is_learning() {
            self.person.add(Portrait::of(crop));
        } else if self.asked < ASKED {
            self.asked += 1;
            if let Some(person) = self.album.find(&Portrait::of(crop)) {
                self.asked = ASKED;
                self.taken = FIRST;
                self.tell(Item::Known(person));
            }
        }
    }

    /// By how many pixels the lips have moved since the frame before, as if that was a 25th of a
    /// second ago.
    fn speed(&mut self, source: &[[f32; 2]], points: &Points, passed: f32) -> f32 {
        let mut sum = 0.0;
        let all = points.inner.iter().flatten();
        for (last, &point) in self.lips.iter_mut().zip(all) {
            let now = source[point];
            sum += (now[0] - last[0]).hypot(now[1] - last[1]);
            *last = now;
        }
        match passed > 0.0 {
            true => sum / self.lips.len() as f32 * FRAME / passed,
            false => f32::MAX,
        }
    }

    /// Draws the mouth that `target`, landmarks as x, y, x, y, asks for. `None` where there is
    /// nothing to draw. `mask`, `[SIZE, SIZE]`, says where the canonical picture may
    /// change, 0..1.
    pub fn draw(
        &mut self,
        scene: &Scene,
        to_frame: &Affine,
        target: &[f32],
        points: &Points,
        mask: &[f32],
    ) -> Option<Overlay<'_>> {
        while let Some(item) = self.news.next_up_to(scene.news) {
            self.learn(item);
        }
        self.target.clear();
        let pairs = target.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        self.target.extend(pairs);
        let contours = Contours::through(&self.target, &points.inner);
        let jaw = points.jaw(&self.target) - scene.jaw;
        let shape = Shape::new(&contours, jaw, scene.nose);
        self.draw_mouth(&Wanted { contours, shape }, scene, to_frame, mask)
    }

    /// Brings the colour of teeth that are drawn by rule to that of those seen, at once where the mouth
    /// is shut.
    fn find_teeth(&mut self, scene: &Scene, is_shut: bool) {
        let Some(seen) = self.bank.teeth() else {
            self.teeth = None;
            return;
        };
        let share = if is_shut { 1.0 } else { scene.passed };
        let drawn = self
            .teeth
            .get_or_insert_with(|| teeth::usual(scene).map(|share| share / teeth::DIMMED));
        for (drawn, seen) in drawn.iter_mut().zip(seen) {
            *drawn += share * (seen - *drawn);
        }
    }

    fn draw_mouth(
        &mut self,
        wanted: &Wanted,
        scene: &Scene,
        to_frame: &Affine,
        mask: &[f32],
    ) -> Option<Overlay<'_>> {
        let gap = wanted.contours.mean_gap();
        let seen = (scene.seen_gap - CLOSED).max(0.0);
        let hollow = ((gap - STRETCH * seen - 0.5) / 1.5).clamp(0.0, 1.0);
        let shows = smoothstep(DRAWN, gap);
        let is_shut = hollow * shows == 0.0 || self.fade.is_new();
        self.find_teeth(scene, is_shut);
        let bank = &self.bank;
        let scale = scene.scale.min(FINEST);
        self.fade.step(scene.passed, is_shut, |current| {
            bank.choose(&wanted.shape, scale, current)
        });
        let (numbers, shares) = (self.fade.glimpses(), self.fade.shares());
        let mut parts = [0, 1].map(|nth| {
            let glimpse = numbers[nth].and_then(|number| bank.get(number));
            let fine = if glimpse.is_some() {
                FINE
            } else {
                FINE_BY_RULE
            };
            (glimpse, shares[nth] * smoothstep(fine, scene.scale))
        });
        let drawn: f32 = parts.iter().map(|(_, share)| share).sum();
        parts
            .iter_mut()
            .for_each(|(_, share)| *share /= drawn.max(f32::MIN_POSITIVE));
        let instead = drawn * shows;
        let style = Style {
            parts,
            teeth: self.teeth,
            strength: instead * hollow,
            mask,
        };
        let is_remembered = parts
            .iter()
            .any(|(glimpse, share)| glimpse.is_some() && *share > 0.0);
        let is_drawn = self.inlay.draw(wanted, scene, &style);
        is_drawn.then(|| Overlay {
            is_remembered,
            patch: self.inlay.patch(to_frame),
            instead,
        })
    }
}

/// Share of the lips that something lies over.
fn covered(frame: &Frame, points: &Points) -> f32 {
    let lips = points.inner.iter().chain(&points.outer).flatten();
    let (mut bare, mut count) = (0.0, 0.0);
    for &point in lips {
        let most = (SIZE - 1) as f32;
        let [x, y] = frame.source[point].map(|at| at.round().clamp(0.0, most) as usize);
        bare += frame.bare[y * SIZE + x];
        count += 1.0;
    }
    1.0 - bare / count
}

/// The middle of places.
pub fn mean<const N: usize>(places: [[f32; 2]; N]) -> [f32; 2] {
    [0, 1].map(|axis| places.iter().map(|at| at[axis]).sum::<f32>() / N as f32)
}

#[cfg(test)]
mod tests {
    use super::{points::tests::face, *};

    const SCENE: Scene = Scene {
        scale: 3.0,
        nose: [47.5, 3.8],
        line: 52.0,
        width: 36.0,
        jaw: 0.0,
        seen_gap: 0.5,
        skin: [0.7, 0.5, 0.4],
        lips: [0.6, 0.35, 0.33],
        blur: 0.3,
        passed: 0.04,
        news: 0.0,
    };

    /// What is drawn of a mouth with such a gap: size, whether any of it shows, and `instead`.
    fn drawn(
        scene: &Scene,
        gap: f32,
        spoil: impl Fn(&mut [f32]),
    ) -> Option<([usize; 2], bool, f32)> {
        let (landmarks, points) = face(gap);
        let (rest, _) = face(0.0);
        let scene = Scene {
            jaw: points.jaw(&rest),
            ..*scene
        };
        let mut target = landmarks.as_flattened().to_vec();
        spoil(&mut target);
        let mask = vec![1.0; SIZE * SIZE];
        let mut mouth = InnerMouth::new(Arc::default());
        let overlay = mouth.draw(&scene, &Affine::IDENTITY, &target, &points, &mask)?;
        let drawn = overlay.patch.drawn?;
        assert!(!overlay.is_remembered);
        assert!(drawn.rgb.iter().all(|value| (0.0..=1.5).contains(value)));
        let shows = drawn.alpha.iter().any(|&alpha| alpha > 0.99);
        Some((overlay.patch.size, shows, overlay.instead))
    }

    #[test]
    fn an_open_mouth_is_drawn_and_a_shut_one_is_not() {
        let ([width, height], shows, instead) = drawn(&SCENE, 8.0, |_| ()).expect("a mouth");
        assert!((100..140).contains(&width) && shows && instead == 1.0);
        // No more than the opening.
        assert!((24..36).contains(&height), "{height}");
        assert_eq!(drawn(&SCENE, 0.5, |_| ()), None);
    }

    #[test]
    fn what_the_frame_itself_shows_is_not_hidden() {
        let open = Scene {
            seen_gap: 6.0,
            ..SCENE
        };
        assert_eq!(drawn(&open, 8.0, |_| ()), None);
    }

    #[test]
    fn a_small_mouth_is_left_to_the_renderer() {
        let small = Scene {
            scale: 1.0,
            ..SCENE
        };
        assert_eq!(drawn(&small, 8.0, |_| ()), None);
    }

    #[test]
    fn what_is_no_number_harms_nothing() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
            for at in 0..24 {
                drawn_or_not(&SCENE, |target| target[at] = bad);
            }
            let spoiled: [fn(&mut Scene, f32); 4] = [
                |scene, bad| scene.scale = bad,
                |scene, bad| scene.nose = [bad; 2],
                |scene, bad| scene.skin = [bad; 3],
                |scene, bad| scene.blur = bad,
            ];
            for spoil in spoiled {
                let mut scene = SCENE;
                spoil(&mut scene, bad);
                drawn_or_not(&scene, |_| ());
            }
        }
    }

    fn drawn_or_not(scene: &Scene, spoil: impl Fn(&mut [f32])) {
        let (landmarks, points) = face(8.0);
        let mut target = landmarks.as_flattened().to_vec();
        spoil(&mut target);
        let mask = vec![1.0; SIZE * SIZE];
        InnerMouth::new(Arc::default()).draw(scene, &Affine::IDENTITY, &target, &points, &mask);
    }
}
