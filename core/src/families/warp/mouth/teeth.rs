//! A mouth that nobody has seen open: single teeth with gums, gaps and translucent edges, a tongue
//! and the dark behind, in the colours of the person.
//!
//! Must not know frames. All lengths are canonical pixels, of which one is about 1.15 mm.

use super::{
    carry::fading,
    contours::Contours,
    scene::{Scene, luma},
};
use crate::generator::smoothstep;

/// Widths of teeth from the middle outwards, heights of their crowns, and by how much each ends
/// short of the first, for the upper and the lower row.
const TEETH: usize = 6;
const WIDTHS: [[f32; TEETH]; 2] = [
    [8.0, 5.8, 5.2, 3.8, 3.0, 2.4],
    [4.7, 4.9, 5.0, 4.0, 3.2, 2.6],
];
const CROWNS: [[f32; TEETH]; 2] = [
    [9.4, 8.2, 9.0, 7.6, 6.6, 6.0],
    [7.6, 7.8, 8.6, 7.2, 6.4, 6.0],
];
const SHORTER: [[f32; TEETH]; 2] = [
    [0.0, 0.7, 0.1, 0.6, 0.9, 1.1],
    [0.0, 0.05, -0.1, 0.4, 0.6, 0.8],
];
/// How round the corners of their edges are; the third is the pointed canine.
const ROUND: [[f32; TEETH]; 2] = [
    [0.10, 0.17, 0.28, 0.25, 0.2, 0.2],
    [0.07, 0.09, 0.24, 0.2, 0.2, 0.2],
];
/// No two sides of a mouth are alike.
const UNEVEN: [[f32; 2]; TEETH] = [
    [0.06, -0.1],
    [-0.12, 0.14],
    [0.1, -0.05],
    [-0.08, 0.1],
    [0.05, -0.12],
    [0.1, 0.02],
];
const CANINE: usize = 2;
/// How rows bend upwards to the sides.
const BENDS: [f32; 2] = [0.006, 0.008];
/// Edges of the rows below the line where the lips meet at rest, with the jaw up; how far they
/// follow the jaw; and how much the lips of the opened mouth have to say instead.
const EDGES: [f32; 2] = [3.6, -1.0];
const BY_JAW: [f32; 2] = [0.0, 1.0];
const BY_LIPS: [f32; 2] = [0.5, 0.75];
/// Room of a row: to each side of the middle, above and below the edge of its first teeth.
const ASIDE: f32 = 29.0;
const ABOVE: [f32; 2] = [16.0, 6.0];
const BELOW: [f32; 2] = [2.0, 12.0];
/// Least softness of the edges of teeth in canonical pixels, and its share of the frame's blur;
/// how much it may be off (ln).
const SOFT: f32 = 0.16;
const SOFT_BY_BLUR: f32 = 0.5;
const NEARLY: f32 = 0.3;
/// Share of the skin's hue in the teeth's, in white light.
const HUE: f32 = 0.6;
/// The tint, ln of red over blue, that skin has of its own at most; what goes beyond it is the light's,
/// which falls on teeth as well: 1.4 and 1.2 in a clip under amber light.
const OWN_TINT: f32 = 0.4;
/// How much wider than at rest a smile is, and how far it brings the rows together.
const SMILE: [f32; 2] = [1.0, 7.0];
const SMILE_MOST: f32 = 0.85;
/// How dark it is right below the upper teeth.
const SHADOW: f32 = 0.35;
/// Share of the seen brightness, that of bright teeth, in the drawn teeth's.
pub const DIMMED: f32 = 0.95;
/// Light that reaches the lower teeth, which lie behind their lip.
const BEHIND_LIP: f32 = 0.7;
/// Brightness of the tongue as a share of the lips', and how far its hue is the skin's instead of
/// theirs: as in the open mouths of nine people.
const TONGUE: f32 = 0.8;
const TONGUE_PALE: f32 = 0.4;
/// How much light lips throw back.
const GLOW: f32 = 0.35;
/// Middle of the face.
const MIDDLE: f32 = 47.5;

/// The colour is a share of the teeth's, times `cover`.
#[derive(Clone, Copy, Default)]
struct Texel {
    colour: [f32; 3],
    cover: f32,
    gum: f32,
}

impl Texel {
    fn faded(self, share: f32) -> Self {
        Self {
            colour: self.colour.map(|value| share * value),
            cover: share * self.cover,
            gum: share * self.gum,
        }
    }
}

/// One row of teeth at a resolution near to the frame's.
#[derive(Default)]
struct Row {
    size: [usize; 2],
    texels: Vec<Texel>,
}

/// Both rows.
#[derive(Default)]
pub struct Teeth {
    scale: f32,
    soft: f32,
    rows: [Row; 2],
}

/// Colours of the inside of a mouth, R, G, B, 0..1.
pub struct Palette {
    pub teeth: [f32; 3],
    deep: [f32; 3],
    tongue: [f32; 3],
    gums: [f32; 3],
    /// Of the light that lips throw into their own shadow.
    glow: [f32; 3],
}

/// The usual colour of teeth, as shares of lit skin's: by skin and lips.
pub fn usual(scene: &Scene) -> [f32; 3] {
    let Scene { skin, lips, .. } = *scene;
    let level = luma(skin).max(0.016);
    let ratio = luma(lips) / level;
    let tint = (skin[0].max(0.008) / skin[2].max(0.008)).ln();
    let share = HUE.max(1.0 - OWN_TINT / tint.max(OWN_TINT));
    let hue = skin.map(|value| (value.max(0.008) / level).powf(share));
    let bright = level * (0.5 + 0.73 * ratio).clamp(0.9, 1.45) / luma(hue);
    [0, 1, 2].map(|i| hue[i] * bright / skin[i].max(0.008))
}

impl Palette {
    /// `teeth` are shares of the skin's colour where they were seen.
    pub fn new(scene: &Scene, teeth: Option<[f32; 3]>) -> Self {
        let Scene { skin, lips, .. } = *scene;
        let shares = match teeth {
            Some(seen) => seen.map(|share| DIMMED * share),
            None => usual(scene),
        };
        let most = lips.into_iter().fold(0.02, f32::max);
        Self {
            teeth: [0, 1, 2].map(|i| shares[i] * skin[i].max(0.008)),
            tongue: {
                let [red, pale] = [lips, skin].map(hue);
                let mixed = [0, 1, 2].map(|i| red[i] + TONGUE_PALE * (pale[i] - red[i]));
                mixed.map(|share| TONGUE * luma(lips) * share)
            },
            deep: lips.map(|value| 0.42 * value * (value / most).max(0.0).powf(0.3)),
            gums: [0, 1, 2].map(|i| 0.85 * lips[i] + 0.1 * skin[i]),
            glow: lips.map(|value| GLOW * value / most),
        }
    }
}

/// A colour as shares of its brightness.
fn hue(colour: [f32; 3]) -> [f32; 3] {
    let level = luma(colour).max(0.016);
    colour.map(|value| value / level)
}

/// Where a mouth shows what of itself.
pub struct Place {
    /// Of the middle of the rows, and of their edges.
    x: f32,
    edges: [f32; 2],
    middle: f32,
    half: f32,
    /// How much the lower row shows.
    lower: f32,
    light: f32,
    depth: f32,
}

impl Place {
    /// `skull` and `jaw` are those of the wanted mouth's shape.
    pub fn new(contours: &Contours, skull: [f32; 2], jaw: f32, scene: &Scene) -> Self {
        let [upper, lower] = contours.midst();
        let gap = (lower - upper).max(0.0);
        let by_lips = [
            upper + (0.42 * gap).min(5.0),
            lower - (0.35 * (gap - 4.0)).clamp(0.0, 4.0),
        ];
        Self {
            x: MIDDLE + skull[0],
            edges: {
                let [edge_up, edge_low] = [0, 1].map(|row| {
                    let by_skull = scene.line + EDGES[row] + BY_JAW[row] * jaw;
                    by_skull + BY_LIPS[row] * (by_lips[row] - by_skull)
                });
                // A smile bares teeth that are nearly shut.
                let smile = SMILE_MOST * smoothstep(SMILE, contours.width() - scene.width);
                let shut = upper + 0.74 * gap;
                [
                    edge_up + smile * (shut.min(upper + 9.0) - edge_up),
                    edge_low + smile * (shut - 0.3 - edge_low),
                ]
            },
            middle: contours.middle(),
            half: (0.5 * contours.width()).max(1.0),
            lower: smoothstep([2.0, 6.5], gap),
            // Less light comes in through a small opening.
            light: 0.92 + 0.2 * (gap / 7.0).min(1.0),
            depth: 1.4 * (0.6 + gap / 14.0).clamp(0.6, 1.6),
        }
    }
}

impl Place {
    /// How much light comes past the lips.
    fn shade(&self, [x, y]: [f32; 2], [upper, lower]: [f32; 2]) -> f32 {
        let across = ((x - self.middle) / self.half).abs().min(1.0);
        let by_upper = 1.0 - 0.45 * fading((y - upper).max(0.0) / self.depth);
        let by_lower = 1.0 - 0.25 * fading((lower - y).max(0.0) / (0.7 * self.depth));
        by_upper * by_lower * (1.0 - 0.35 * across * across * across)
    }

    /// The colour of what is behind the teeth, between the lips: tongue and dark.
    pub fn behind(
        &self,
        palette: &Palette,
        [x, y]: [f32; 2],
        [upper, lower]: [f32; 2],
    ) -> [f32; 3] {
        let gap = (lower - upper).max(0.2);
        let down = ((y - upper) / gap).clamp(0.0, 1.0);
        let beside = ((x - self.middle) / self.half / 0.8).abs().min(1.0);
        let wide = (gap / 9.0).min(1.0);
        let tongue = wide * smoothstep([0.35, 0.8], down) * (1.0 - beside * beside);
        let close = 1.0 - (gap / 2.5).min(1.0);
        let light = 1.15 + 0.6 * close;
        [0, 1, 2].map(|i| {
            let deep = light * palette.deep[i];
            deep + tongue * (palette.tongue[i] - deep)
        })
    }
}

impl Teeth {
    /// Makes the rows for so many frame pixels for each canonical one and a blur of so many
    /// canonical pixels, unless they are there.
    pub fn prepare(&mut self, scale: f32, blur: f32) {
        let soft = (SOFT_BY_BLUR * blur).max(SOFT);
        let is_soft = (self.soft / soft).ln().abs() < NEARLY;
        if self.scale == scale && is_soft {
            return;
        }
        (self.scale, self.soft) = (scale, soft);
        for (which, row) in self.rows.iter_mut().enumerate() {
            row.draw(which, scale, soft);
        }
    }

    /// The colour of the mouth at a place between its `lips`.
    pub fn at(
        &self,
        place: &Place,
        palette: &Palette,
        [x, y]: [f32; 2],
        lips: [f32; 2],
    ) -> [f32; 3] {
        let shade = place.shade([x, y], lips);
        // Below the upper teeth lies their shadow.
        let shadow = 1.0 - SHADOW * fading((y - place.edges[0]).max(0.0) / 1.2);
        let mut colour = place
            .behind(palette, [x, y], lips)
            .map(|value| shadow * value);
        for which in [1, 0] {
            let row = &self.rows[which];
            let mut texel = row.at(self.scale, which, [x - place.x, y - place.edges[which]]);
            if which == 1 {
                texel = texel.faded(place.lower);
            }
            let shade = if which == 1 {
                BEHIND_LIP * shade
            } else {
                shade
            };
            let gum = texel.gum * (1.0 - texel.cover);
            colour = [0, 1, 2].map(|channel| {
                let tooth = texel.colour[channel] * palette.teeth[channel];
                let lit = shade + (1.0 - shade) * palette.glow[channel];
                let drawn = place.light * lit * (tooth + gum * palette.gums[channel]);
                colour[channel] * (1.0 - texel.cover - gum) + drawn
            });
        }
        colour
    }
}

impl Row {
    fn draw(&mut self, which: usize, scale: f32, soft: f32) {
        let size = [2.0 * ASIDE, ABOVE[which] + BELOW[which]];
        self.size = size.map(|length| (length * scale).ceil() as usize + 1);
        let [width, height] = self.size;
        self.texels.clear();
        self.texels.extend((0..width * height).map(|at| {
            let x = (at % width) as f32 / scale - ASIDE;
            let y = (at / width) as f32 / scale - ABOVE[which];
            texel(which, [x, y], soft)
        }));
    }

    /// Bilinear.
    fn at(&self, scale: f32, which: usize, [x, y]: [f32; 2]) -> Texel {
        let [width, height] = self.size;
        let (x, y) = ((x + ASIDE) * scale, (y + ABOVE[which]) * scale);
        let fits = x >= 0.0 && y >= 0.0 && x < (width - 1) as f32 && y < (height - 1) as f32;
        if !fits {
            return Texel::default();
        }
        let (column, row) = (x as usize, y as usize);
        let (right, down) = (x - column as f32, y - row as f32);
        let at = row * width + column;
        let corners = [at, at + 1, at + width, at + width + 1].map(|at| &self.texels[at]);
        let weights = [
            (1.0 - right) * (1.0 - down),
            right * (1.0 - down),
            (1.0 - right) * down,
            right * down,
        ];
        let mut sum = Texel::default();
        for (texel, weight) in corners.into_iter().zip(weights) {
            for (sum, value) in sum.colour.iter_mut().zip(texel.colour) {
                *sum += weight * value;
            }
            sum.cover += weight * texel.cover;
            sum.gum += weight * texel.gum;
        }
        sum
    }
}

/// What a row shows at a place, from the middle of the edges of its first teeth.
fn texel(which: usize, [x, y]: [f32; 2], soft: f32) -> Texel {
    let up = [1.0, -1.0][which];
    let side = usize::from(x > 0.0);
    let mut sum = Texel::default();
    let mut from = 0.0;
    for tooth in 0..TEETH {
        let width = WIDTHS[which][tooth];
        let middle = from + 0.5 * width;
        from += width;
        if (x.abs() - middle).abs() > 0.75 * width + 2.0 * soft {
            continue;
        }
        let off = x.abs() - middle;
        let crown = CROWNS[which][tooth];
        let edge =
            -up * (SHORTER[which][tooth] + UNEVEN[tooth][side]) - BENDS[which] * middle * middle;
        // 0 at the edge, 1 at the gum.
        let height = (edge - y) * up / crown;
        let waist = 1.0 - 0.16 * (height - 0.25).clamp(0.0, 1.0).powf(1.3);
        let half = 0.5 * width * waist * 0.98;
        let aside = off / half;
        let near = aside.abs().min(1.0);
        let sharp = if tooth == CANINE { 1.6 } else { 3.2 };
        let above_edge = height - 0.9 * ROUND[which][tooth] * aside.abs().powf(sharp);
        let gum_line = 0.9 + 0.1 * (1.0 - near * near);
        let cover = sigmoid((1.0 - aside.abs()) * half / soft * 1.5)
            * sigmoid(above_edge * crown / soft)
            * sigmoid((gum_line - height) * crown / (1.3 * soft));
        let mut light = 1.0 - 0.12 * near.powf(2.4) - 0.05 * aside;
        light *= 1.0 - 0.1 * smoothstep([0.45, 1.0], height);
        light *= 1.0 - 0.3 * (middle / 24.0).min(1.0).powf(1.7);
        light *= 1.0 + 0.12 * UNEVEN[tooth][1 - side];
        let clear = 1.0 - smoothstep([0.0, 0.16], height);
        let shine_at = [(aside + 0.25) / 0.22, (height - 0.52) / 0.22];
        let shine = 0.1 * (-shine_at[0] * shine_at[0] - shine_at[1] * shine_at[1]).exp();
        let yellow =
            0.04 * smoothstep([0.4, 1.0], height) + if tooth == CANINE { 0.02 } else { 0.0 };
        let colour = [
            light * (1.0 - 0.17 * clear) + shine,
            light * (1.0 - 0.13 * clear) + shine,
            light * (1.0 - yellow) * (1.0 - 0.1 * clear) + shine,
        ];
        for (sum, value) in sum.colour.iter_mut().zip(colour) {
            *sum = *sum * (1.0 - cover) + value * cover;
        }
        sum.cover += cover * (1.0 - sum.cover);
        let gum = sigmoid((1.15 - aside.abs()) * half / soft)
            * sigmoid((height - gum_line) * crown / 0.3)
            * sigmoid((1.9 - height) * crown / 0.5);
        sum.gum = sum.gum.max(gum);
    }
    // Between teeth are their sides, not the dark of the mouth.
    let edge = -up * 0.55 - BENDS[which] * x * x;
    let height = (edge - y) * up;
    let reach = [7.6, 6.2][which];
    let between = 0.9
        * sigmoid(height / 0.25)
        * sigmoid((0.98 * from - x.abs()) / 0.3)
        * sigmoid((reach - height) / 0.4)
        * (1.0 - sum.cover);
    let light = 0.82 * (1.0 - 0.4 * (x.abs() / 24.0).min(1.0).powf(1.7)) * between;
    for (sum, tint) in sum.colour.iter_mut().zip([1.02, 0.96, 0.93]) {
        *sum += tint * light;
    }
    sum.cover += between;
    sum
}

fn sigmoid(x: f32) -> f32 {
    (1.0 + (-x).exp()).recip()
}

#[cfg(test)]
mod tests {
    use super::{super::points::tests::face, *};

    const SCENE: Scene = Scene {
        scale: 4.0,
        nose: [47.5, 3.8],
        line: 52.0,
        width: 36.0,
        jaw: 0.0,
        seen_gap: 0.0,
        skin: [0.7, 0.5, 0.4],
        lips: [0.6, 0.35, 0.33],
        blur: 0.25,
        passed: 0.04,
        news: 0.0,
    };

    /// Brightness along a row of the mouth, of a gap of 10, so many pixels below the upper lip.
    fn row(below: f32) -> Vec<f32> {
        let (landmarks, points) = face(10.0);
        let contours = Contours::through(&landmarks, &points.inner);
        let mut teeth = Teeth::default();
        teeth.prepare(SCENE.scale, SCENE.blur);
        let place = Place::new(&contours, [0.0; 2], 5.0, &SCENE);
        let palette = Palette::new(&SCENE, None);
        (-40..=40)
            .map(|step| {
                let x = 47.5 + step as f32 * 0.25;
                let lips = contours.at(x);
                luma(teeth.at(&place, &palette, [x, lips[0] + below], lips))
            })
            .collect()
    }

    #[test]
    fn teeth_are_single_and_what_is_between_them_is_not_the_dark_of_the_mouth() {
        let [teeth, behind] = [2.5, 5.8].map(row);
        let most = teeth.iter().copied().fold(0.0, f32::max);
        let least = teeth.iter().copied().fold(1.0, f32::min);
        assert!(most > 0.45, "{most}");
        assert!((0.4..0.95).contains(&(least / most)), "{}", least / most);
        let valleys = teeth
            .windows(3)
            .filter(|v| v[1] < v[0] && v[1] <= v[2])
            .count();
        assert!((2..=5).contains(&valleys), "{valleys}");
        assert!(behind[40] < 0.6 * most, "{}", behind[40]);
    }

    #[test]
    fn their_colour_is_the_persons_where_it_was_seen() {
        let seen = Palette::new(&SCENE, Some([1.0, 1.2, 1.3])).teeth;
        for channel in 0..3 {
            let expected = 0.95 * [1.0, 1.2, 1.3][channel] * SCENE.skin[channel];
            assert!((seen[channel] - expected).abs() < 1e-4);
        }
        // By rule they are paler than the skin.
        let [red, green, _] = Palette::new(&SCENE, None).teeth;
        assert!(red / green < SCENE.skin[0] / SCENE.skin[1]);
    }

    #[test]
    fn coloured_light_falls_on_teeth_too() {
        let tint = |[red, _, blue]: [f32; 3]| (red / blue).ln();
        let of_teeth = |skin| tint(Palette::new(&Scene { skin, ..SCENE }, None).teeth);
        let (white, amber) = ([0.8, 0.62, 0.52], [0.78, 0.475, 0.19]);
        assert!(of_teeth(white) < 0.65 * tint(white));
        assert!(of_teeth(amber) > 0.7 * tint(amber));
    }

    #[test]
    fn rows_are_made_once() {
        let mut teeth = Teeth::default();
        teeth.prepare(2.0, 0.5);
        let first = teeth.rows[0].texels.as_ptr();
        teeth.prepare(2.0, 0.52);
        assert_eq!(
            (teeth.rows[0].texels.as_ptr(), teeth.soft),
            (first, SOFT_BY_BLUR * 0.5)
        );
        teeth.prepare(2.0, 1.0);
        assert_eq!(teeth.soft, SOFT_BY_BLUR);
    }
}
