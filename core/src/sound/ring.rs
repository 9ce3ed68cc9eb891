//! The last seconds of 16 kHz sound, addressed by their place on the absolute grid.
//!
//! Must not know where the samples come from. Everything outside of what is held reads as silence.

/// Samples that a new ring has room for: about eight seconds.
const INITIAL_SAMPLES: usize = 1 << 17;

/// Samples that a ring holds at most: about 262 seconds, 16 MiB. The oldest give way.
pub const MAX_SAMPLES: usize = 1 << 22;

/// Samples `start..end` of the grid. Grows up to [`MAX_SAMPLES`] when nothing is forgotten.
pub struct Ring {
    /// A power of two long, so that a place on the grid masks to a place in here.
    data: Vec<f32>,
    start: i64,
    end: i64,
    begun: bool,
}

impl Ring {
    pub fn new() -> Self {
        Self {
            data: vec![0.0; INITIAL_SAMPLES],
            start: 0,
            end: 0,
            begun: false,
        }
    }

    /// One past the newest sample; `None` before any.
    pub fn end(&self) -> Option<i64> {
        self.begun.then_some(self.end)
    }

    pub fn clear(&mut self) {
        (self.start, self.end, self.begun) = (0, 0, false);
    }

    /// Adds samples after the newest one.
    pub fn append(&mut self, samples: &[f32]) {
        self.begun = true;
        // Of more than can be held, only the newest.
        let skipped = samples.len().saturating_sub(MAX_SAMPLES);
        let samples = &samples[skipped..];
        self.end += skipped as i64;
        self.make_room(samples.len());
        let slot = self.slot(self.end);
        let (head, tail) = samples.split_at(samples.len().min(self.data.len() - slot));
        self.data[slot..slot + head.len()].copy_from_slice(head);
        self.data[..tail.len()].copy_from_slice(tail);
        self.end += samples.len() as i64;
    }

    /// Moves the end to `end`: forward over silence, or back, which drops what was newer.
    pub fn move_end(&mut self, end: i64) {
        if !self.begun || end < self.start || end - self.end >= MAX_SAMPLES as i64 {
            (self.start, self.end, self.begun) = (end, end, true);
        } else if end > self.end {
            let silence = (end - self.end) as usize;
            self.make_room(silence);
            let slot = self.slot(self.end);
            let first = silence.min(self.data.len() - slot);
            self.data[slot..slot + first].fill(0.0);
            self.data[..silence - first].fill(0.0);
        }
        self.end = end;
    }

    pub fn forget_before(&mut self, start: i64) {
        self.start = start.clamp(self.start, self.end);
    }

    /// Whether any sample of `from..to` is held.
    pub fn overlaps(&self, from: i64, to: i64) -> bool {
        from < self.end && to > self.start && self.start < self.end
    }

    /// The held samples of `from..to`, oldest first, in one or two pieces.
    pub fn held(&self, from: i64, to: i64) -> (&[f32], &[f32]) {
        let (from, to) = (from.max(self.start), to.min(self.end));
        if from >= to {
            return (&[], &[]);
        }
        let slot = self.slot(from);
        let count = (to - from) as usize;
        let first = count.min(self.data.len() - slot);
        (&self.data[slot..slot + first], &self.data[..count - first])
    }

    /// Copies samples from `from` on; what is not held is silence.
    pub fn read(&self, from: i64, out: &mut [f32]) {
        out.fill(0.0);
        let (first, second) = self.held(from, from.saturating_add(out.len() as i64));
        if first.is_empty() {
            return;
        }
        let out = &mut out[self.start.saturating_sub(from).max(0) as usize..];
        out[..first.len()].copy_from_slice(first);
        out[first.len()..first.len() + second.len()].copy_from_slice(second);
    }

    fn slot(&self, place: i64) -> usize {
        place.rem_euclid(self.data.len() as i64) as usize
    }

    /// Makes `count` (at most [`MAX_SAMPLES`]) slots free after the end.
    fn make_room(&mut self, count: usize) {
        let needed = (self.end - self.start) as usize + count;
        if needed > self.data.len() {
            let grown = needed.next_power_of_two().min(MAX_SAMPLES);
            if grown > self.data.len() {
                let mut data = vec![0.0; grown];
                for place in self.start..self.end {
                    data[place.rem_euclid(grown as i64) as usize] = self.data[self.slot(place)];
                }
                self.data = data;
            }
        }
        let oldest = self.end + count as i64 - self.data.len() as i64;
        self.start = self.start.max(oldest).min(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Move(i64),
        Forget(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0usize..70_000).prop_map(Step::Append),
            (-200_000i64..200_000).prop_map(Step::Move),
            (-200_000i64..200_000).prop_map(Step::Forget),
        ];
        prop::collection::vec(step, 1..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn behaves_like_a_map_of_samples(steps in steps()) {
            let mut ring = Ring::new();
            let mut model = BTreeMap::new();
            let (mut end, mut next) = (0i64, 1.0f32);
            for step in steps {
                match step {
                    Step::Append(count) => {
                        let samples: Vec<f32> = (0..count).map(|i| next + i as f32).collect();
                        for (place, sample) in (end..).zip(&samples) {
                            model.insert(place, *sample);
                        }
                        next += count as f32;
                        end += count as i64;
                        ring.append(&samples);
                    }
                    Step::Move(to) => {
                        model.split_off(&to);
                        end = to;
                        ring.move_end(to);
                    }
                    Step::Forget(from) => {
                        model = model.split_off(&from.min(end));
                        ring.forget_before(from);
                    }
                }
                prop_assert_eq!(ring.end(), Some(end).filter(|_| ring.begun));
            }
            let mut out = vec![9.0; 400_000];
            ring.read(end - 399_000, &mut out);
            for (place, sample) in (end - 399_000..).zip(out) {
                prop_assert_eq!(sample, model.get(&place).copied().unwrap_or(0.0));
            }
        }
    }

    #[test]
    fn holds_no_more_than_its_maximum() {
        let mut ring = Ring::new();
        ring.append(&[1.0]);
        for value in 0..6 {
            ring.append(&vec![value as f32; MAX_SAMPLES / 4]);
        }
        assert_eq!(ring.data.len(), MAX_SAMPLES);
        assert_eq!(ring.end - ring.start, MAX_SAMPLES as i64);
        let (first, second) = ring.held(i64::MIN, i64::MAX);
        assert_eq!(first.iter().chain(second).next(), Some(&2.0));
        ring.append(&vec![7.0; MAX_SAMPLES + 5]);
        let (first, second) = ring.held(i64::MIN, i64::MAX);
        assert!(first.iter().chain(second).all(|&sample| sample == 7.0));
    }

    #[test]
    fn a_far_jump_either_way_starts_anew() {
        let mut ring = Ring::new();
        ring.append(&[1.0; 10]);
        ring.move_end(1 << 50);
        ring.append(&[2.0; 3]);
        assert_eq!(ring.end(), Some((1 << 50) + 3));
        ring.move_end(-(1 << 50));
        assert_eq!(ring.held(i64::MIN, i64::MAX), (&[][..], &[][..]));
        assert!(ring.data.len() < MAX_SAMPLES);
    }
}
