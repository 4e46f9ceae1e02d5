//! Numbers that are certain to lie in [0, 1].
//!
//! In: floats. Out: [`Probability`], never NaN. Invariant: 0 <= value <= 1.

use serde::{Deserialize, Serialize};

/// A float outside [0, 1], or NaN.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not between 0 and 1")]
pub struct NotAProbability(pub f64);

/// A value in [0, 1]: a quality, a confidence, a share.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Probability(f64);

impl Probability {
    /// Certain not to happen.
    pub const ZERO: Self = Self(0.0);
    /// Certain to happen.
    pub const ONE: Self = Self(1.0);

    /// Checks a float.
    ///
    /// # Errors
    /// [`NotAProbability`] outside [0, 1] and for NaN.
    pub fn new(value: f64) -> Result<Self, NotAProbability> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(NotAProbability(value)) }
    }

    /// The nearest probability; NaN becomes 0.
    pub fn clamped(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// The float, in [0, 1].
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Probability {
    type Error = NotAProbability;
    fn try_from(value: f64) -> Result<Self, NotAProbability> {
        Self::new(value)
    }
}

impl From<Probability> for f64 {
    fn from(value: Probability) -> Self {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unit_interval_is_let_in() {
        for good in [0.0, 0.5, 1.0] {
            assert_eq!(Probability::new(good).map(Probability::get), Ok(good));
        }
        for bad in [-0.1, 1.1, f64::INFINITY] {
            assert_eq!(Probability::new(bad), Err(NotAProbability(bad)));
        }
        assert!(Probability::new(f64::NAN).is_err());
        assert_eq!(Probability::clamped(f64::NAN), Probability::ZERO);
    }
}
