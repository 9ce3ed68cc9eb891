//! Numbers that look random and are the same in every run (Knuth's MMIX generator).

pub struct Random(pub u64);

impl Random {
    /// A number below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.next() as usize % count
    }

    /// From -1 to 1.
    pub fn signed(&mut self) -> f32 {
        self.below(1 << 16) as f32 / 32_768.0 - 1.0
    }

    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}
