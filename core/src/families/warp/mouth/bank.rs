//! The glimpses of one person's mouth that are kept, and which of them is like a wanted mouth.
//!
//! Must not know frames.

use super::glimpse::{Glimpse, Shape};

/// Glimpses that are kept at most.
pub const CAPACITY: usize = 12;
/// Fewer are not drawn from: one may be an error, and a picture that stands still shows no more.
pub const LEAST: usize = 2;
/// Glimpses nearer to each other than this show the same.
const SAME: f32 = 0.9;
/// A glimpse is left for another only where that is better by this.
const BETTER: f32 = 0.8;

/// Glimpses of one person. Memory of those that were given up is used again.
pub struct Bank {
    kept: Vec<Glimpse>,
    spare: Vec<Glimpse>,
    count: u64,
}

impl Default for Bank {
    fn default() -> Self {
        Self {
            kept: Vec::with_capacity(CAPACITY),
            spare: Vec::with_capacity(CAPACITY + 1),
            count: 0,
        }
    }
}

impl Bank {
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Memory for a new glimpse.
    pub fn blank(&mut self) -> Glimpse {
        self.spare.pop().unwrap_or_default()
    }

    pub fn give_back(&mut self, glimpse: Glimpse) {
        self.spare.push(glimpse);
    }

    pub fn forget(&mut self) {
        self.spare.append(&mut self.kept);
    }

    /// All glimpses, which are no longer here.
    pub fn take(&mut self) -> Vec<Glimpse> {
        self.kept.drain(..).collect()
    }

    /// Takes in what was seen another time, in place of what is here.
    pub fn recall(&mut self, glimpses: &[Glimpse]) {
        self.forget();
        for glimpse in glimpses {
            self.offer(glimpse.clone(), &[None; 2]);
        }
    }

    pub fn get(&self, number: u64) -> Option<&Glimpse> {
        self.kept.iter().find(|glimpse| glimpse.number == number)
    }

    /// Takes the glimpse in, if it shows what no other does or shows it better. Those in `used`
    /// stay.
    pub fn offer(&mut self, mut glimpse: Glimpse, used: &[Option<u64>; 2]) {
        self.count += 1;
        glimpse.number = self.count;
        let is_free = |kept: &Glimpse| !used.contains(&Some(kept.number));
        let away = |kept: &Glimpse| distance(&kept.shape, &glimpse.shape);
        let nearest = (0..self.kept.len()).min_by(|&a, &b| {
            let [a, b] = [a, b].map(|at| away(&self.kept[at]));
            a.total_cmp(&b)
        });
        let nearness = nearest.map_or(f32::MAX, |at| away(&self.kept[at]));
        let place = match nearest {
            Some(at) if nearness < SAME => {
                let kept = &self.kept[at];
                (glimpse.quality > kept.quality && is_free(kept)).then_some(at)
            }
            _ if self.kept.len() < CAPACITY => {
                self.kept.push(glimpse);
                return;
            }
            _ => self
                .least_needed(nearness)
                .filter(|&at| is_free(&self.kept[at])),
        };
        match place {
            Some(at) => {
                let old = std::mem::replace(&mut self.kept[at], glimpse);
                self.spare.push(old);
            }
            None => self.spare.push(glimpse),
        }
    }

    /// The softer one of the two that are most alike, if they are nearer to each other than
    /// `nearness`.
    fn least_needed(&self, nearness: f32) -> Option<usize> {
        let mut closest = (nearness, None);
        for (at, one) in self.kept.iter().enumerate() {
            for (before, other) in self.kept[..at].iter().enumerate() {
                let away = distance(&one.shape, &other.shape);
                if away < closest.0 {
                    let softer = if one.quality < other.quality {
                        at
                    } else {
                        before
                    };
                    closest = (away, Some(softer));
                }
            }
        }
        closest.1
    }

    /// The number of the glimpse that is to be drawn from where a mouth of this shape is wanted,
    /// with so many frame pixels for each canonical one; `current` is the one drawn from before.
    pub fn choose(&self, wanted: &Shape, scale: f32, current: Option<u64>) -> Option<u64> {
        if self.kept.len() < LEAST {
            return None;
        }
        let usual = self.usual_quality();
        let price = |glimpse: &Glimpse| {
            let coarse = (scale / glimpse.scale).log2().max(0.0);
            price(&glimpse.shape, wanted) + 1.2 / (1.0 + glimpse.quality / usual) + coarse
        };
        let prices = self
            .kept
            .iter()
            .map(|glimpse| (price(glimpse), glimpse.number));
        let (best, number) = prices.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let stays = current
            .and_then(|number| self.get(number))
            .filter(|current| price(current) < best + BETTER);
        Some(stays.map_or(number, |current| current.number))
    }

    fn usual_quality(&self) -> f32 {
        let mut all = [0.0; CAPACITY];
        let all = &mut all[..self.kept.len()];
        for (quality, glimpse) in all.iter_mut().zip(&self.kept) {
            *quality = glimpse.quality;
        }
        all.sort_unstable_by(f32::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(1.0).max(1e-6)
    }

    /// Colour of the teeth as shares of lit skin's: a bright one of those seen, as the others lay in
    /// shadow.
    pub fn teeth(&self) -> Option<[f32; 3]> {
        if self.kept.len() < LEAST {
            return None;
        }
        Some([0, 1, 2].map(|channel| {
            let mut all = [0.0; CAPACITY];
            let all = &mut all[..self.kept.len()];
            for (share, glimpse) in all.iter_mut().zip(&self.kept) {
                *share = glimpse.teeth[channel];
            }
            all.sort_unstable_by(f32::total_cmp);
            all[all.len() * 3 / 4]
        }))
    }
}

/// How differently two mouths are open.
fn distance(one: &Shape, other: &Shape) -> f32 {
    let parts = [
        one.upper - other.upper,
        0.8 * (one.lower - other.lower),
        0.12 * (one.width - other.width),
        0.25 * (one.jaw - other.jaw),
        0.15 * (one.nose[0] - other.nose[0]),
        0.15 * (one.nose[1] - other.nose[1]),
    ];
    parts.iter().map(|part| part * part).sum::<f32>().sqrt()
}

/// What it costs to draw a wanted mouth from a glimpse: above all what its lips cover.
fn price(glimpse: &Shape, wanted: &Shape) -> f32 {
    let (upper, lower) = (glimpse.upper - wanted.upper, glimpse.lower - wanted.lower);
    let turned = [0, 1].map(|axis| glimpse.nose[axis] - wanted.nose[axis]);
    let covered = upper.max(0.0) + 0.7 * (-lower).max(0.0);
    let excess = (-upper).max(0.0) + lower.max(0.0);
    covered
        + 0.25 * (glimpse.jaw - wanted.jaw).abs()
        + 0.12 * (glimpse.width - wanted.width).abs()
        + 0.08 * excess
        + 0.15 * turned[0].hypot(turned[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glimpse(upper: f32, jaw: f32, quality: f32) -> Glimpse {
        Glimpse {
            scale: 2.0,
            shape: Shape {
                upper,
                lower: 3.0,
                width: 36.0,
                jaw,
                nose: [47.5, 3.8],
            },
            teeth: [quality; 3],
            quality,
            ..Glimpse::default()
        }
    }

    fn bank(glimpses: impl IntoIterator<Item = Glimpse>) -> Bank {
        let mut bank = Bank::default();
        for glimpse in glimpses {
            bank.offer(glimpse, &[None; 2]);
        }
        bank
    }

    #[test]
    fn of_two_that_show_the_same_the_better_one_is_kept() {
        let mut bank = bank([
            glimpse(0.0, 0.0, 1.0),
            glimpse(0.5, 0.0, 3.0),
            glimpse(0.4, 0.0, 2.0),
        ]);
        assert_eq!(bank.len(), 1);
        assert_eq!(bank.kept[0].quality, 3.0);
        // One that is drawn from is not taken away.
        let number = Some(bank.kept[0].number);
        bank.offer(glimpse(0.5, 0.0, 9.0), &[None, number]);
        assert_eq!(bank.kept[0].quality, 3.0);
    }

    #[test]
    fn what_is_full_gives_up_the_softer_of_the_two_most_alike() {
        let mut all: Vec<_> = (0..CAPACITY - 1)
            .map(|nth| glimpse(4.0 * nth as f32, 0.0, 5.0))
            .collect();
        all.push(glimpse(1.0, 0.0, 2.0));
        let mut bank = bank(all);
        assert_eq!(bank.len(), CAPACITY);
        bank.offer(glimpse(-20.0, 0.0, 1.0), &[None; 2]);
        assert_eq!(bank.len(), CAPACITY);
        assert!(bank.kept.iter().all(|kept| kept.quality != 2.0));
        assert!(bank.kept.iter().any(|kept| kept.quality == 1.0));
        // Its memory is used again.
        assert_eq!(bank.spare.len(), 1);
    }

    #[test]
    fn the_nearest_is_chosen_and_left_only_for_a_clearly_better_one() {
        let bank = bank([glimpse(0.0, 0.0, 1.0), glimpse(2.0, 4.0, 1.0)]);
        let [first, second] = [0, 1].map(|at| Some(bank.kept[at].number));
        let wanted = |jaw| glimpse(jaw / 2.0, jaw, 1.0).shape;
        assert_eq!(bank.choose(&wanted(0.0), 2.0, None), first);
        assert_eq!(bank.choose(&wanted(4.0), 2.0, None), second);
        let between = wanted(2.6);
        assert_eq!(bank.choose(&between, 2.0, first), first);
        assert_eq!(bank.choose(&between, 2.0, second), second);
        assert_eq!(bank.choose(&wanted(4.0), 2.0, first), second);
    }

    #[test]
    fn one_glimpse_is_not_enough() {
        let bank = bank([glimpse(0.0, 0.0, 1.0)]);
        assert_eq!(bank.choose(&glimpse(0.0, 0.0, 1.0).shape, 2.0, None), None);
        assert_eq!(bank.teeth(), None);
    }

    #[test]
    fn what_is_forgotten_is_not_found() {
        let mut bank = bank([glimpse(0.0, 0.0, 1.0), glimpse(2.0, 4.0, 1.0)]);
        let number = bank.kept[0].number;
        bank.forget();
        assert_eq!(bank.len(), 0);
        assert!(bank.get(number).is_none());
        // Nor does a new one bear its number.
        bank.offer(glimpse(0.0, 0.0, 1.0), &[None; 2]);
        assert!(bank.get(number).is_none());
    }
}
