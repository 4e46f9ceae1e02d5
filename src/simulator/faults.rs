//! The ways in which a simulated model misbehaves, and how often.
//!
//! In: faults and their rates. Out: at most one fault per call, from one uniform draw. Invariant:
//! the rates of a model sum to at most 1. Not here: their text form (see `script`) and what each
//! looks like on the wire (see `refusal` and `act`).

use std::time::Duration;

/// One way to misbehave, for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// An error status with the body that OpenAI sends with it.
    Status {
        /// 400 to 599; anything else is sent as 500.
        code: u16,
        /// Sent as `retry-after` (whole seconds, rounded up) and `retry-after-ms`.
        retry_after: Option<Duration>,
    },
    /// The connection is reset before any header.
    Reset,
    /// The connection is reset in the middle of a 200's body.
    ResetInBody,
    /// No header until the client leaves, at most a minute; then a reset.
    Hang,
    /// 200 with neither text nor tool call.
    Empty,
    /// 200 with a body that is not JSON.
    Malformed,
    /// 200 with an error object instead of an answer.
    ErrorInside200,
    /// 400 `context_length_exceeded`.
    ContextTooLong,
    /// 400 `content_filter`.
    ContentFilter,
    /// 404 `model_not_found`.
    WrongModel,
    /// 401 `invalid_api_key`.
    Auth,
    /// A good answer, so much later than usual. As written: the model's time scale does not apply.
    SlowFirstToken(Duration),
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
    fn impossible_rates_are_refused() {
        let one = |rate| FaultRates::new(vec![(Fault::Hang, rate)]);
        assert!(one(-0.1).is_err() && one(1.1).is_err() && one(f64::NAN).is_err());
        let both = FaultRates::new(vec![(Fault::Hang, 0.6), (Fault::Auth, 0.6)]);
        assert_eq!(both, Err(InvalidRates::SumAboveOne { sum: 1.2 }));
        assert!(FaultRates::new(vec![(Fault::Hang, 0.1); 10]).is_ok());
    }
}
