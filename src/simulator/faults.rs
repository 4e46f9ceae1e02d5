//! The ways in which a simulated model misbehaves, and how often.
//!
//! In: faults and their rates. Out: at most one fault per call, from one uniform draw. Invariant:
//! the rates of a model sum to at most 1. Not here: their text form (see `script`) and what each
//! looks like on the wire (see `refusal` and `act`).

use crate::domain::Fault;

/// A model that comes and goes: so many calls as usual, then so many that get a 503, and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flap {
    /// Calls as usual.
    pub healthy: u32,
    /// Calls that fail after those.
    pub failing: u32,
}

impl Flap {
    /// Whether the call fails that comes after so many others.
    pub(super) fn fails(self, calls_before: u64) -> bool {
        let (healthy, failing) = (u64::from(self.healthy), u64::from(self.failing));
        calls_before.checked_rem(healthy + failing).is_some_and(|it| it >= healthy)
    }
}

/// Rates that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InvalidRates {
    /// Outside [0, 1], or NaN.
    #[error("the rate of `{fault}` is {rate}, it must be between 0 and 1")]
    NotAProbability {
        /// Whose rate.
        fault: Fault,
        /// The rate given.
        rate: f64,
    },
    /// More than every call would fail.
    #[error("the rates sum to {sum}, at most 1 is possible")]
    SumAboveOne {
        /// Their sum.
        sum: f64,
    },
}

/// How often each fault strikes, as a share of calls. The default is never.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultRates(Vec<(Fault, f64)>);

impl FaultRates {
    /// Room for the rounding of decimal rates such as ten times 0.1.
    const SUM_SLACK: f64 = 1e-9;

    /// Checks and takes rates.
    ///
    /// # Errors
    /// [`InvalidRates`] when a rate is no probability, or all together exceed 1.
    pub fn new(rates: Vec<(Fault, f64)>) -> Result<Self, InvalidRates> {
        for &(fault, rate) in &rates {
            if !(0.0..=1.0).contains(&rate) {
                return Err(InvalidRates::NotAProbability { fault, rate });
            }
        }
        let sum: f64 = rates.iter().map(|(_, rate)| rate).sum();
        if sum > 1.0 + Self::SUM_SLACK {
            return Err(InvalidRates::SumAboveOne { sum });
        }
        Ok(Self(rates))
    }

    /// No faults at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// This fault on every call.
    pub fn always(fault: Fault) -> Self {
        Self(vec![(fault, 1.0)])
    }

    /// Each fault with its share of calls.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, f64)> + '_ {
        self.0.iter().copied()
    }

    /// The fault that a uniform draw from [0, 1) stands for.
    pub(super) fn pick(&self, draw: f64) -> Option<Fault> {
        let mut below = 0.0;
        for &(fault, rate) in &self.0 {
            below += rate;
            if draw < below {
                return Some(fault);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_falls_into_the_share_of_its_fault() {
        let rates = FaultRates::new(vec![(Fault::Reset, 0.25), (Fault::Empty, 0.5)]).unwrap();
        let check = |draw: f64, wanted: Option<Fault>| {
            assert_eq!(rates.pick(draw), wanted, "{draw}");
        };
        check(0.0, Some(Fault::Reset));
        check(0.2499, Some(Fault::Reset));
        check(0.25, Some(Fault::Empty));
        check(0.75, None);
        assert_eq!(FaultRates::none().pick(0.0), None);
        assert_eq!(FaultRates::always(Fault::Auth).pick(0.999_999), Some(Fault::Auth));
    }

    #[test]
    fn a_flapping_model_comes_and_goes() {
        let fails = |healthy, failing| {
            let flap = Flap { healthy, failing };
            (0..6).map(|it| u8::from(flap.fails(it))).collect::<Vec<_>>()
        };
        assert_eq!(fails(2, 1), [0, 0, 1, 0, 0, 1]);
        assert_eq!(fails(0, 1), [1; 6]);
        assert_eq!(fails(1, 0), [0; 6]);
        assert_eq!(fails(0, 0), [0; 6]);
    }

    #[test]
    fn impossible_rates_are_refused() {
        let one = |rate| FaultRates::new(vec![(Fault::Hang, rate)]);
        assert!(one(-0.1).is_err() && one(1.1).is_err() && one(f64::NAN).is_err());
        let both = FaultRates::new(vec![(Fault::Hang, 0.6), (Fault::Auth, 0.6)]);
        assert_eq!(both, Err(InvalidRates::SumAboveOne { sum: 1.2 }));
        assert!(FaultRates::new(vec![(Fault::Hang, 0.1); 10]).is_ok());
    }
}
