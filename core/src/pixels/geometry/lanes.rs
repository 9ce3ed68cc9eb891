//! Four numbers at a time.
//!
//! Written out lane by lane and always inlined, because that is what compilers turn into vector
//! instructions with certainty; closures over arrays they do not.

/// Four lanes.
pub(in crate::pixels) type Quad = [f32; LANES];
pub(in crate::pixels) const LANES: usize = 4;

#[inline(always)]
pub(in crate::pixels) fn add(a: Quad, b: Quad) -> Quad {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
}

#[inline(always)]
pub(in crate::pixels) fn mul(a: Quad, b: Quad) -> Quad {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]]
}

#[inline(always)]
pub(in crate::pixels) fn sub(a: Quad, b: Quad) -> Quad {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]]
}

#[inline(always)]
pub(in crate::pixels) fn min(a: Quad, b: Quad) -> Quad {
    [
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ]
}

#[inline(always)]
pub(in crate::pixels) fn max(a: Quad, b: Quad) -> Quad {
    [
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]
}

#[inline(always)]
pub(in crate::pixels) fn scale(a: Quad, by: f32) -> Quad {
    [a[0] * by, a[1] * by, a[2] * by, a[3] * by]
}

/// `from` where `part` is 0, `to` where it is 1.
#[inline(always)]
pub(in crate::pixels) fn mix(from: Quad, to: Quad, part: f32) -> Quad {
    [
        from[0] + (to[0] - from[0]) * part,
        from[1] + (to[1] - from[1]) * part,
        from[2] + (to[2] - from[2]) * part,
        from[3] + (to[3] - from[3]) * part,
    ]
}

/// The first four of `values` from `start` on; zeros where there are not that many.
#[inline(always)]
pub(in crate::pixels) fn load(values: &[f32], start: usize) -> Quad {
    match values.get(start..).and_then(|rest| rest.first_chunk()) {
        Some(quad) => *quad,
        None => [0.0; 4],
    }
}

/// Compiles a function twice, and has it run with AVX2 where the CPU has that: what is built for any
/// x86-64 uses vectors of half the width. Holds for what is inlined into it, so all that it
/// calls in its loops is to be `#[inline(always)]`. The results are the same.
macro_rules! wide {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name($($argument: $kind),*) {
            #[inline(always)]
            fn anywhere($($argument: $kind),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn with_avx2($($argument: $kind),*) {
                anywhere($($argument),*);
            }

            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the CPU was asked for what it has.
                return unsafe { with_avx2($($argument),*) };
            }
            anywhere($($argument),*);
        }
    };
}
pub(in crate::pixels) use wide;
