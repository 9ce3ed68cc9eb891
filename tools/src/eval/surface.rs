//! What was done to the picture itself: where, how sharp, how visibly.

use anyhow::Result;
use lipsync_tools::{
    faces::{Mouth, Watcher},
    numbers,
    picture::{Picture, Planes, Square},
};

/// Canonical pixels by which the region may be off: the element places it by a smoothed face.
const MARGIN: f32 = 2.0;

pub struct Surface {
    /// Pixels changed outside the region of the canonical lower face, over all frames.
    pub outside: u64,
    pub sharpness: f64,
    pub seam: f64,
}

/// Compares frames before and after; those without a face are left out.
pub fn compare(input: &[Picture], output: &[Picture]) -> Result<Surface> {
    let mut watcher = Watcher::new()?;
    let (mut outside, mut before, mut after, mut seam) = (0, 0.0, 0.0, Vec::new());
    for (input, output) in input.iter().zip(output) {
        let Some(mouth) = watcher.watch(input)? else {
            continue;
        };
        let (input, output) = (input.planes()?, output.planes()?);
        outside += changed_outside(&input, &output, &mouth);
        let region = mouth.mouth();
        before += gradient_energy(&input, &region);
        after += gradient_energy(&output, &region);
        seam.extend(jump_at_edge(&input, &output));
    }
    Ok(Surface {
        outside,
        sharpness: after / before.max(f64::EPSILON),
        // No edge where nothing was changed.
        seam: match seam.is_empty() {
            true => 1.0,
            false => numbers::mean(&seam),
        },
    })
}

fn changed_outside(input: &Planes, output: &Planes, mouth: &Mouth) -> u64 {
    let least = -0.5 - MARGIN;
    let most = lipsync_tools::faces::CANONICAL_SIZE as f32 - 0.5 + MARGIN;
    let inside = |value: f32| (least..=most).contains(&value);
    let mut changed = 0;
    for y in 0..input.height {
        for x in 0..input.width {
            if !input.same_at(output, x, y) {
                let [u, v] = mouth.to_canonical.apply([x as f32, y as f32]);
                changed += u64::from(!(inside(u) && inside(v)));
            }
        }
    }
    changed
}

/// Sum of squared differences of neighbours' brightness.
fn gradient_energy(planes: &Planes, region: &Square) -> f64 {
    let clip = |value: f32, length: usize| (value.round().max(0.0) as usize).min(length - 1);
    let [left, right] = [0.0, region.side].map(|side| clip(region.left + side, planes.width));
    let [top, bottom] = [0.0, region.side].map(|side| clip(region.top + side, planes.height));
    let mut energy = 0.0;
    for y in top..bottom {
        for x in left..right {
            let here = planes.luma(x, y);
            energy += (planes.luma(x + 1, y) - here).powi(2);
            energy += (planes.luma(x, y + 1) - here).powi(2);
        }
    }
    energy
}

/// Mean difference of brightness across the outer edge of what was changed, output / input.
/// `None` when nothing was changed.
fn jump_at_edge(input: &Planes, output: &Planes) -> Option<f64> {
    let (mut before, mut after) = (0.0, 0.0);
    let mut across = |inner: [usize; 2], outer: [usize; 2]| {
        let jump = |planes: &Planes| {
            (planes.luma(inner[0], inner[1]) - planes.luma(outer[0], outer[1])).abs()
        };
        before += jump(input);
        after += jump(output);
    };
    let mut along = |lines: usize, length: usize, place: fn(usize, usize) -> [usize; 2]| {
        for line in 0..lines {
            let changed = |at: &usize| {
                let [x, y] = place(line, *at);
                input.luma(x, y) != output.luma(x, y)
            };
            let first = (0..length).find(changed);
            let last = (0..length).rfind(changed);
            let before = first.and_then(|first| Some((first, first.checked_sub(1)?)));
            let behind = last.map(|last| (last, last + 1));
            let behind = behind.filter(|(_, outer)| *outer < length);
            for (inner, outer) in before.into_iter().chain(behind) {
                across(place(line, inner), place(line, outer));
            }
        }
    };
    along(input.height, input.width, |y, x| [x, y]);
    along(input.width, input.height, |x, y| [x, y]);
    (before > 0.0).then(|| after / before)
}
