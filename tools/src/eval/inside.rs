//! The inside of drawn mouths beside the real one, end to end: the stream shows the first half of a clip, then one frame
//! with a shut mouth, and the true audio of the second half opens it.

use anyhow::{Context, Result};
use lipsync_core::{face::geometry, pixels::Affine};
use lipsync_tools::{
    faces::{CANONICAL_SIZE, Mouth, Watcher},
    numbers,
    picture::{Picture, Square},
    sheet::Column,
};

use crate::{clip::Clip, figures::Figures, follow::OPEN, setting::Setting};

/// Width of a mouth in frame pixels to which small frames are enlarged: as in a close-up at 1080p.
const WIDE: f64 = 150.0;
/// Samples for each canonical pixel.
const DENSITY: usize = 3;
const SIZE: usize = DENSITY * CANONICAL_SIZE;
/// Half of the side of the window in which structure is compared.
const WINDOW: usize = 3;

/// Figures of the inside of mouths, and the widest one: as shown, as drawn, as it really was, and as it is drawn by
/// rule.
pub fn measure(clip: &Clip, setting: &Setting, figures: &mut Figures) -> Result<Option<Column>> {
    let half = clip.frames.len() / 2;
    let scale = clip.mouths[0].to_canonical.scale();
    let wide = clip.mouths[0].spread() / f64::from(scale);
    let times = (WIDE / wide).round().max(1.0) as usize;
    let real = clip.frames.iter().map(|frame| frame.enlarged(times));
    let real = real.collect::<Result<Vec<_>>>()?;
    let narrower = |a: &usize, b: &usize| {
        let [a, b] = [a, b].map(|at| clip.mouths[*at].opening());
        a.total_cmp(&b)
    };
    let shut = (half..real.len()).min_by(narrower).context("no frames")?;
    let mut shown = real.clone();
    for frame in &mut shown[half..] {
        frame.buffer = real[shut].buffer.clone();
    }
    let (drawn, _) = setting.drive(&shown, &clip.sound)?;
    let by_rule = [("mouth-memory", "off")];
    let (by_rule, _) = setting.drive_with(&by_rule, &shown, &clip.sound)?;
    let real_mouths = Watcher::watch_all(&real[half..])?;
    let drawn_mouths = Watcher::watch_all(&drawn[half..])?;

    let mut all = [const { Vec::new() }; 4];
    let [errors, structure, edges, sorted] = &mut all;
    let mut changes = [0.0; 2];
    let mut before: Option<(Seen, Seen)> = None;
    let mut widest = (0.0, None);
    for (nth, (real_mouth, drawn_mouth)) in real_mouths.iter().zip(&drawn_mouths).enumerate() {
        let opening = real_mouth.opening().min(drawn_mouth.opening());
        if opening < OPEN {
            before = None;
            continue;
        }
        let at = half + nth;
        let [is, was] = [(&real[at], real_mouth), (&drawn[at], drawn_mouth)].map(Seen::of);
        let (is, was) = (is?, was?);
        if let Some(shared) = Shared::of(&is, &was) {
            errors.push(shared.error);
            structure.push(shared.structure);
        }
        if let (Some(a), Some(b)) = (was.edges(), is.edges()) {
            edges.push((a / b.max(1.0)).ln());
        }
        sorted.extend(sorted_distance(&is, &was));
        if let Some((real_before, drawn_before)) = &before
            && let Some(drawn) = was.change(drawn_before, &drawn[at])?
            && let Some(real) = is.change(real_before, &real[at])?
        {
            changes = [changes[0] + drawn, changes[1] + real];
        }
        if opening > widest.0 {
            let squares = [
                (&shown[at], drawn_mouth.mouth()),
                (&drawn[at], drawn_mouth.mouth()),
                (&real[at], real_mouth.mouth()),
                (&by_rule[at], drawn_mouth.mouth()),
            ];
            widest = (opening, Some(squares));
        }
        before = Some((is, was));
    }
    let lines = [
        ("inside, error, of 255", numbers::mean(errors)),
        ("inside, structural similarity", numbers::mean(structure)),
        ("inside, edges, output / real", numbers::mean(edges).exp()),
        (
            "inside, sorted brightness off, of 255",
            numbers::mean(sorted),
        ),
    ];
    // A clip whose drawn or real mouth stays shut says nothing.
    for (name, value) in lines.into_iter().filter(|_| !errors.is_empty()) {
        figures.put(name, value);
    }
    if changes[1] > 0.0 {
        figures.put("inside, flicker, output / real", changes[0] / changes[1]);
    }
    let column = |squares: [(&Picture, Square); 4]| Column::new("INSIDE", squares);
    widest.1.map(column).transpose()
}

/// A canonical mouth, and what of it lies between the lips.
struct Seen {
    /// From its samples.
    to_frame: Affine,
    /// Red, green and blue, 0..255, `SIZE` x `SIZE`.
    rgb: [Vec<f32>; 3],
    luma: Vec<f64>,
    inside: Vec<bool>,
}

impl Seen {
    fn of((picture, mouth): (&Picture, &Mouth)) -> Result<Self> {
        let step = (DENSITY as f32).recip();
        let fine = Affine {
            a: step,
            d: step,
            ..Affine::IDENTITY
        };
        let canonical = mouth.to_canonical.inverse();
        let to_frame = canonical.context("a face without size")?.after(&fine);
        let rgb = picture.planes()?.sampled(&to_frame, SIZE);
        let to_here = |at: [f32; 2]| mouth.to_canonical.apply(at).map(|at| at * DENSITY as f32);
        let lips = geometry::LIPS_INNER.map(|point| to_here(mouth.points[point]));
        let inside = |at: usize| holds(&lips, [(at % SIZE) as f32, (at / SIZE) as f32]);
        Ok(Self {
            to_frame,
            luma: brightness(&rgb),
            inside: (0..SIZE * SIZE).map(inside).collect(),
            rgb,
        })
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        let last = SIZE * (SIZE - 1);
        (SIZE..last).filter(|at| self.inside[*at])
    }

    /// Mean squared difference of neighbours' brightness.
    fn edges(&self) -> Option<f64> {
        let energy = |at: usize| {
            let here = self.luma[at];
            (self.luma[at + 1] - here).powi(2) + (self.luma[at + SIZE] - here).powi(2)
        };
        let all: Vec<f64> = self.places().map(energy).collect();
        (!all.is_empty()).then(|| numbers::mean(&all))
    }

    /// Mean change of brightness since the frame before, at the same places of the frame, which is `picture`
    /// now.
    fn change(&self, before: &Self, picture: &Picture) -> Result<Option<f64>> {
        let now = brightness(&picture.planes()?.sampled(&before.to_frame, SIZE));
        let both = self.places().filter(|at| before.inside[*at]);
        let all: Vec<f64> = both.map(|at| (now[at] - before.luma[at]).abs()).collect();
        Ok((!all.is_empty()).then(|| numbers::mean(&all)))
    }
}

fn brightness(rgb: &[Vec<f32>; 3]) -> Vec<f64> {
    let luma = |at: usize| {
        let [red, green, blue] = [0, 1, 2].map(|plane: usize| f64::from(rgb[plane][at]));
        0.299 * red + 0.587 * green + 0.114 * blue
    };
    (0..rgb[0].len()).map(luma).collect()
}

/// What two mouths show at the same places.
struct Shared {
    error: f64,
    structure: f64,
}

impl Shared {
    fn of(a: &Seen, b: &Seen) -> Option<Self> {
        let both: Vec<usize> = a.places().filter(|at| b.inside[*at]).collect();
        if both.is_empty() {
            return None;
        }
        let error = |at: &usize| {
            let off = |plane: usize| f64::from((a.rgb[plane][*at] - b.rgb[plane][*at]).abs());
            (0..3).map(off).sum::<f64>() / 3.0
        };
        let errors: Vec<f64> = both.iter().map(error).collect();
        let structure: Vec<f64> = both.iter().map(|at| similarity(a, b, *at)).collect();
        Some(Self {
            error: numbers::mean(&errors),
            structure: numbers::mean(&structure),
        })
    }
}

/// Structural similarity (Wang and others 2004) of the window round a place.
fn similarity(a: &Seen, b: &Seen, at: usize) -> f64 {
    const SMALL: [f64; 2] = [6.5, 58.5];
    let [row, column] = [at / SIZE, at % SIZE].map(|at| at.clamp(WINDOW, SIZE - 1 - WINDOW));
    let places = (row - WINDOW..=row + WINDOW)
        .flat_map(|row| (column - WINDOW..=column + WINDOW).map(move |column| row * SIZE + column));
    let mut sums = [0.0; 5];
    for at in places {
        let (x, y) = (a.luma[at], b.luma[at]);
        for (sum, value) in sums.iter_mut().zip([x, y, x * x, y * y, x * y]) {
            *sum += value;
        }
    }
    let count = ((2 * WINDOW + 1) * (2 * WINDOW + 1)) as f64;
    let [x, y, xx, yy, xy] = sums.map(|sum| sum / count);
    let likeness = (2.0 * x * y + SMALL[0]) / (x * x + y * y + SMALL[0]);
    likeness * (2.0 * (xy - x * y) + SMALL[1]) / (xx - x * x + yy - y * y + SMALL[1])
}

/// How far brightnesses are off as they come when sorted, so that teeth need not be where they are.
fn sorted_distance(a: &Seen, b: &Seen) -> Option<f64> {
    const STEPS: usize = 20;
    let values = |seen: &Seen| -> Vec<f64> { seen.places().map(|at| seen.luma[at]).collect() };
    let (a, b) = (values(a), values(b));
    let off = |step: usize| {
        let at = (step as f64 + 0.5) / STEPS as f64;
        Some((numbers::quantile(&a, at)? - numbers::quantile(&b, at)?).abs())
    };
    let all: Option<Vec<f64>> = (0..STEPS).map(off).collect();
    Some(numbers::mean(&all?))
}

/// Whether a closed line of points goes round a place.
fn holds(line: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let ends = line.iter().zip(line.iter().cycle().skip(1));
    let crossed = ends.filter(|(a, b)| {
        (a[1] > y) != (b[1] > y) && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
    });
    crossed.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mouth between two rows, of such a brightness at each place.
    fn seen(luma: impl Fn(usize) -> f64) -> Seen {
        let luma: Vec<f64> = (0..SIZE * SIZE).map(luma).collect();
        let plane = || luma.iter().map(|value| *value as f32).collect();
        Seen {
            to_frame: Affine::IDENTITY,
            rgb: [plane(), plane(), plane()],
            inside: (0..SIZE * SIZE)
                .map(|at| (100..160).contains(&(at / SIZE)))
                .collect(),
            luma,
        }
    }

    #[test]
    fn a_mouth_is_like_itself_and_unlike_a_flat_one() {
        let teeth = seen(|at| if at / 3 % 2 == 0 { 180.0 } else { 140.0 });
        let flat = seen(|_| 160.0);
        let same = Shared::of(&teeth, &teeth).expect("they share places");
        assert!(same.error == 0.0 && same.structure > 0.999);
        let other = Shared::of(&teeth, &flat).expect("they share places");
        assert!(other.error > 15.0 && other.structure < 0.3);
        assert!(teeth.edges() > flat.edges());
    }

    #[test]
    fn sorted_brightness_does_not_ask_where_teeth_are() {
        let teeth = seen(|at| if at / 9 % 2 == 0 { 180.0 } else { 140.0 });
        let moved = seen(|at| if at / 9 % 2 == 1 { 180.0 } else { 140.0 });
        assert!(sorted_distance(&teeth, &moved).is_some_and(|off| off < 3.0));
    }

    #[test]
    fn a_place_lies_within_a_line_that_goes_round_it() {
        let square = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]];
        assert!(holds(&square, [2.0, 2.0]));
        assert!(!holds(&square, [5.0, 2.0]));
    }
}
