//! What a figure has to reach.

/// The range in which a figure is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    None,
    AtLeast(f64),
    AtMost(f64),
    Between(f64, f64),
}

impl Limit {
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::None => true,
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Between(least, most) => (least..=most).contains(&value),
        }
    }

    /// For tables; empty where there is none.
    pub fn text(self) -> String {
        match self {
            Self::None => String::new(),
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
            Self::Between(least, most) if least == most => format!("{least}"),
            Self::Between(least, most) => format!("{least} to {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limit::{AtLeast, AtMost, Between};

    #[test]
    fn a_limit_is_met_on_its_good_side() {
        assert!(AtMost(1.1).is_met(1.07) && !AtMost(1.05).is_met(1.07));
        assert!(AtLeast(1.0).is_met(1.07) && !AtLeast(1.7).is_met(1.07));
        assert!(Between(-1.0, 1.0).is_met(-1.0) && !Between(0.0, 0.0).is_met(0.1));
        assert_eq!(Between(0.0, 0.0).text(), "0");
    }
}
