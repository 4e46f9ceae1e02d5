//! The promotion gate: may a candidate take the incumbent's place?
//!
//! In: [`Evidence`], from a log or from a table that tells every model's answer. Out: every reason
//! against it; none is a yes. Invariant: pure; evidence that is missing or not a number is a reason.
//! Not here: how evidence is gathered, and what follows from it.

use serde::{Deserialize, Serialize};

use super::estimators::{Cover, Estimate, UNSUPPORTED_MAX};

/// Effective rows needed: fewer, and a handful of rare choices decides.
pub const EFFECTIVE_MIN: f64 = 200.0;
/// And this share of the rows: less, and candidate and log are too far apart to compare.
pub const EFFECTIVE_SHARE_MIN: f64 = 0.05;
/// How much worse an ECE may come out and still count as no worse: half of all candidates that are
/// calibrated as well would else be refused by chance. A quarter of the 0.02 that is aimed at.
pub const CALIBRATION_SLACK: f64 = 0.005;
/// The same for the share of broken limits.
pub const BROKEN_SLACK: f64 = 0.001;

/// One figure of both.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// Of the candidate.
    pub candidate: f64,
    /// Of the incumbent.
    pub incumbent: f64,
}

/// What speaks for and against a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Candidate less incumbent in utility, paired; `None` where it cannot be told.
    pub difference: Option<Estimate>,
    /// How well the rows cover the candidate; of a table that tells all answers, wholly.
    pub cover: Cover,
    /// Expected calibration error of predicted quality; lower is better.
    pub ece: Option<Versus>,
    /// Share of requests that break a limit of cost or latency.
    pub broken: Option<Versus>,
}

/// A reason not to promote.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Shortfall {
    /// It cannot be told who is better.
    #[error("no paired difference: the rows do not cover both policies")]
    NoDifference,
    /// The candidate may be no better.
    #[error(
        "the paired difference in utility is {mean:+.4} with a lower bound of {low:+.4}; above 0 is needed"
    )]
    NotBetter {
        /// The difference.
        mean: f64,
        /// The lower end of its 95 % interval.
        low: f64,
    },
    /// Too little says anything of the candidate.
    #[error("the effective sample size is {effective:.0}; at least {EFFECTIVE_MIN:.0} is needed")]
    FewRows {
        /// The size.
        effective: f64,
    },
    /// Too little of the rows says anything of the candidate.
    #[error(
        "the effective sample size is {:.1} % of {rows} rows; at least {:.0} % is needed",
        100.0 * share, 100.0 * EFFECTIVE_SHARE_MIN
    )]
    SmallShare {
        /// The share.
        share: f64,
        /// Rows.
        rows: usize,
    },
    /// The candidate wants what the log never does.
    #[error(
        "{:.1} % of the candidate's choices were never made in the log; at most {:.0} % is allowed",
        100.0 * unsupported, 100.0 * UNSUPPORTED_MAX
    )]
    Unsupported {
        /// The share.
        unsupported: f64,
    },
    /// Its predictions are further from the truth.
    #[error("calibration is worse: ECE {candidate:.4} against {incumbent:.4}")]
    Calibration {
        /// Its ECE.
        candidate: f64,
        /// The incumbent's.
        incumbent: f64,
    },
    /// It breaks more limits.
    #[error(
        "more limits are broken: {:.2} % of requests against {:.2} %",
        100.0 * candidate, 100.0 * incumbent
    )]
    Limits {
        /// Its share.
        candidate: f64,
        /// The incumbent's.
        incumbent: f64,
    },
    /// A figure that is needed is not there.
    #[error("{0} could not be measured")]
    Unmeasured(&'static str),
}

/// Every reason against the candidate.
pub fn gate(evidence: &Evidence) -> Vec<Shortfall> {
    let reasons = [
        better(evidence.difference),
        enough(&evidence.cover),
        share(&evidence.cover),
        supported(&evidence.cover),
        calibrated(evidence.ece),
        within_limits(evidence.broken),
    ];
    reasons.into_iter().flatten().collect()
}

fn better(difference: Option<Estimate>) -> Option<Shortfall> {
    match difference {
        None => Some(Shortfall::NoDifference),
        // A comparison with NaN is false, so that NaN is a reason; here and below.
        Some(it) if it.low > 0.0 => None,
        Some(Estimate { mean, low, .. }) => Some(Shortfall::NotBetter { mean, low }),
    }
}

fn enough(cover: &Cover) -> Option<Shortfall> {
    let effective = cover.effective;
    let is_enough = effective >= EFFECTIVE_MIN;
    (!is_enough).then_some(Shortfall::FewRows { effective })
}

fn share(cover: &Cover) -> Option<Shortfall> {
    let share = cover.effective / cover.rows.max(1) as f64;
    let is_enough = share >= EFFECTIVE_SHARE_MIN;
    (!is_enough).then_some(Shortfall::SmallShare { share, rows: cover.rows })
}

fn supported(cover: &Cover) -> Option<Shortfall> {
    let unsupported = cover.unsupported;
    let is_fine = unsupported <= UNSUPPORTED_MAX;
    (!is_fine).then_some(Shortfall::Unsupported { unsupported })
}

fn calibrated(ece: Option<Versus>) -> Option<Shortfall> {
    let Some(Versus { candidate, incumbent }) = ece else {
        return Some(Shortfall::Unmeasured("calibration"));
    };
    let is_fine = candidate <= incumbent + CALIBRATION_SLACK;
    (!is_fine).then_some(Shortfall::Calibration { candidate, incumbent })
}

fn within_limits(broken: Option<Versus>) -> Option<Shortfall> {
    let Some(Versus { candidate, incumbent }) = broken else {
        return Some(Shortfall::Unmeasured("the share of broken limits"));
    };
    let is_fine = candidate <= incumbent + BROKEN_SLACK;
    (!is_fine).then_some(Shortfall::Limits { candidate, incumbent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Evidence {
        let difference = Estimate { mean: 0.02, error: 0.005, low: 0.01, high: 0.03 };
        Evidence {
            difference: Some(difference),
            cover: Cover { rows: 1_000, effective: 400.0, unsupported: 0.0 },
            ece: Some(Versus { candidate: 0.02, incumbent: 0.02 }),
            broken: Some(Versus { candidate: 0.0, incumbent: 0.0 }),
        }
    }

    fn check(change: impl Fn(&mut Evidence), wanted: &[&str]) {
        let mut evidence = good();
        change(&mut evidence);
        let found: Vec<String> = gate(&evidence).iter().map(ToString::to_string).collect();
        let fits = found.len() == wanted.len()
            && found.iter().zip(wanted).all(|(found, wanted)| found.contains(wanted));
        assert!(fits, "{found:?} is not {wanted:?}");
    }

    #[test]
    fn every_reason_is_told_and_none_is_a_yes() {
        check(|_| {}, &[]);
        let low = |it: &mut Evidence, low| {
            it.difference = Some(Estimate { low, ..good().difference.unwrap() });
        };
        check(|it| low(it, 0.0), &["lower bound of +0.0000"]);
        check(|it| low(it, f64::NAN), &["lower bound"]);
        check(|it| it.difference = None, &["no paired difference"]);
        check(|it| it.cover.effective = 199.0, &["size is 199;"]);
        check(|it| it.cover.rows = 8_001, &["5.0 % of 8001 rows"]);
        check(|it| it.cover.rows = 8_000, &[]);
        check(|it| it.cover.unsupported = 0.0101, &["1.0 % of the candidate's choices"]);
        check(|it| it.cover.unsupported = 0.01, &[]);
        let versus = |candidate| Some(Versus { candidate, incumbent: 0.02 });
        check(|it| it.ece = versus(0.026), &["ECE 0.0260 against 0.0200"]);
        check(|it| it.ece = None, &["calibration could not"]);
        check(|it| it.broken = versus(0.03), &["3.00 % of requests against 2.00 %"]);
        check(|it| it.broken = None, &["limits could not"]);
    }

    #[test]
    fn all_reasons_come_at_once() {
        let nothing = Evidence {
            difference: None,
            cover: Cover { rows: 0, effective: f64::NAN, unsupported: f64::NAN },
            ece: None,
            broken: None,
        };
        assert_eq!(gate(&nothing).len(), 6);
    }
}
