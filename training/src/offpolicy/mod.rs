//! Judges an artifact by the outcomes that another one was logged with, and lets it take its place.
//!
//! In: the outcome log, or a table that tells every model's answer; a candidate and an incumbent. Out:
//! [`Report`], and with it every reason against promotion. Invariant: the log is only read; what a
//! policy is worth is told with its interval or not at all. Not here: learning from the log.

mod cli;
mod estimators;
mod gate;
mod labelled;
mod outcome;
mod promote;
mod records;
#[cfg(test)]
pub(crate) mod records_tests;
mod report;
#[cfg(test)]
mod tests;
mod versions;

pub(crate) use cli::Shared;
pub use cli::{Aliases, OpeArgs, PromoteArgs};
pub use estimators::{
    Arm, Cover, Estimate, Estimates, Guesses, Measure, Measures, Row, Target, UNSUPPORTED_MAX,
    cover, difference, estimate, interval,
};
pub use gate::{
    BROKEN_SLACK, CALIBRATION_SLACK, EFFECTIVE_MIN, EFFECTIVE_SHARE_MIN, Evidence, Shortfall,
    Versus, gate,
};
pub use labelled::{Compared, compare};
pub use outcome::cross_fitted;
pub(crate) use promote::beside;
pub use promote::{previous_of, put_in_place, recover};
pub use records::{Known, LeftOut, Log, Pair, Side};
pub(crate) use records::{group, worth};
pub use report::{MeasureReport, Report};
pub use versions::{Looked, Mean, Shadowed, Versions};
