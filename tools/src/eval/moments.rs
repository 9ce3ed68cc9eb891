//! Telling moments of a clip: what went in, what came out, what the person really did.

/// The frame in which the mouth is open widest, and the one in which it is most shut while the
/// person speaks: between the first and the last time that it is half as open as that.
pub fn telling(openings: &[f64]) -> (usize, usize) {
    let frames = 0..openings.len();
    let higher = |a: &usize, b: &usize| openings[*a].total_cmp(&openings[*b]);
    let open = frames.clone().max_by(higher).unwrap_or_default();
    let half = |frame: &usize| openings[*frame] > openings[open] / 2.0;
    let first = frames.clone().find(half).unwrap_or_default();
    let last = frames.rev().find(half).unwrap_or_default();
    let shut = (first..=last).min_by(higher).unwrap_or(open);
    (open, shut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closure_lies_between_openings() {
        let openings = [0.0, 1.0, 6.0, 2.0, 1.5, 9.0, 3.0, 0.5];
        assert_eq!(telling(&openings), (5, 4));
        assert_eq!(telling(&[]), (0, 0));
    }
}
