//! Affine maps of the plane.

/// `x' = a x + b y + tx`, `y' = c x + d y + ty`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    pub a: f32,
    pub b: f32,
    pub c: f32,
    pub d: f32,
    pub tx: f32,
    pub ty: f32,
}

impl Default for Affine {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl Affine {
    pub const IDENTITY: Self = Self {
        a: 1.0,
        b: 0.0,
        c: 0.0,
        d: 1.0,
        tx: 0.0,
        ty: 0.0,
    };

    pub fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [
            self.a * x + self.b * y + self.tx,
            self.c * x + self.d * y + self.ty,
        ]
    }

    /// The linear part alone: for directions and distances.
    pub fn apply_vector(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.a * x + self.b * y, self.c * x + self.d * y]
    }

    /// `None` when the map is singular or not finite.
    pub fn inverse(&self) -> Option<Self> {
        let det = self.a * self.d - self.b * self.c;
        if !(det.is_normal()) {
            return None;
        }
        let (a, b, c, d) = (self.d / det, -self.b / det, -self.c / det, self.a / det);
        let inverse = Self {
            a,
            b,
            c,
            d,
            tx: -(a * self.tx + b * self.ty),
            ty: -(c * self.tx + d * self.ty),
        };
        inverse.is_finite().then_some(inverse)
    }

    pub fn is_finite(&self) -> bool {
        [self.a, self.b, self.c, self.d, self.tx, self.ty]
            .into_iter()
            .all(f32::is_finite)
    }

    /// `self` after `first`.
    pub fn after(&self, first: &Self) -> Self {
        let [tx, ty] = self.apply([first.tx, first.ty]);
        Self {
            a: self.a * first.a + self.b * first.c,
            b: self.a * first.b + self.b * first.d,
            c: self.c * first.a + self.d * first.c,
            d: self.c * first.b + self.d * first.d,
            tx,
            ty,
        }
    }

    /// Square root of the area that a unit square becomes: pixels out per pixel in.
    pub fn scale(&self) -> f32 {
        (self.a * self.d - self.b * self.c).abs().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: Affine = Affine {
        a: 1.5,
        b: -0.5,
        c: 0.25,
        d: 2.0,
        tx: 10.0,
        ty: -3.0,
    };

    #[test]
    fn the_inverse_undoes_the_map() {
        let back = MAP.inverse().unwrap().after(&MAP);
        let [x, y] = back.apply([123.0, -45.0]);
        assert!((x - 123.0).abs() < 1e-3 && (y + 45.0).abs() < 1e-3);
        assert!((MAP.scale() - 3.125_f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn maps_without_an_inverse_have_none() {
        for map in [
            Affine {
                a: 0.0,
                b: 0.0,
                ..MAP
            },
            Affine { a: f32::NAN, ..MAP },
            Affine {
                tx: f32::NAN,
                ..MAP
            },
            Affine {
                ty: f32::INFINITY,
                ..MAP
            },
            Affine {
                a: 1e-30,
                d: 1e-30,
                ..MAP
            },
        ] {
            assert!(map.inverse().is_none_or(|inverse| inverse.is_finite()));
        }
        assert!(
            Affine {
                tx: f32::NAN,
                ..MAP
            }
            .inverse()
            .is_none()
        );
        assert!(
            Affine {
                a: 0.0,
                b: 0.0,
                ..MAP
            }
            .inverse()
            .is_none()
        );
    }
}
