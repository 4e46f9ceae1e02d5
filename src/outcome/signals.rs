//! What the service itself saw of an answer, without anybody saying so.
//!
//! In: a record, or the request after it. Out: [`Signal`]s, which the log keeps as implicit feedback
//! with the deployment that they are about and a weight. Invariant: a signal says only that
//! something was bad, and never counts as a caller's score: most answers get none, so that a mean
//! over them would see nothing but failures. A failure that somebody asked for gives none. Pure.

use super::record::OutcomeRecord;
use crate::domain::{DeploymentId, FailureClass, Probability};

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// An answer with neither text nor tool call.
    EmptyAnswer,
    /// The provider withheld the answer.
    Refused,
    /// An answer that does not parse, or whose tool arguments do not.
    Malformed,
    /// The same session asked the same again at once after it had an answer.
    RetriedAtOnce,
}

/// A signal, and whose answer it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Signalled {
    /// What was seen.
    pub signal: Signal,
    /// Whose answer.
    pub about: DeploymentId,
    /// 0 useless, 1 right; as it was when it was written.
    pub score: Probability,
    /// How much it says beside a person's word, which weighs 1; as it was when it was written.
    pub weight: f64,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 4] =
        [Self::EmptyAnswer, Self::Refused, Self::Malformed, Self::RetriedAtOnce];

    /// Its name in the log and in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyAnswer => "empty_answer",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::RetriedAtOnce => "retried_at_once",
        }
    }

    /// How much it says, beside a person's word, which weighs 1. Nobody can use an answer that is
    /// empty or does not parse; a filter may have been right; and who asks again may only have
    /// wanted another answer of many.
    pub fn weight(self) -> f64 {
        match self {
            Self::EmptyAnswer | Self::Malformed => 1.0,
            Self::Refused => 0.5,
            Self::RetriedAtOnce => 0.25,
        }
    }

    /// What it says of the answer: all of them are bad news.
    pub fn score(self) -> Probability {
        Probability::ZERO
    }

    /// The signal of a failure, if it says anything of the model: an outage says nothing.
    fn of_failure(class: FailureClass) -> Option<Self> {
        match class {
            FailureClass::EmptyAnswer => Some(Self::EmptyAnswer),
            FailureClass::ContentFiltered => Some(Self::Refused),
            FailureClass::Malformed => Some(Self::Malformed),
            FailureClass::RateLimited
            | FailureClass::Overloaded
            | FailureClass::Connection
            | FailureClass::FirstTokenLate
            | FailureClass::Stalled
            | FailureClass::Deadline
            | FailureClass::Auth
            | FailureClass::ModelMissing
            | FailureClass::ContextTooLong
            | FailureClass::Unsupported
            | FailureClass::InvalidRequest
            | FailureClass::StreamCut
            | FailureClass::OverBudget
            | FailureClass::Cancelled => None,
        }
    }
}

/// What a record says by itself: each signal once for each deployment.
pub(super) fn of(record: &OutcomeRecord) -> Vec<(Signal, DeploymentId)> {
    let mut found = Vec::new();
    for attempt in record.attempts.iter().filter(|it| !it.is_forced()) {
        let signal = attempt.failure.and_then(Signal::of_failure);
        let seen = signal.map(|it| (it, attempt.deployment.clone()));
        found.extend(seen.filter(|it| !found.contains(it)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Fault;
    use crate::outcome::samples;

    #[test]
    fn failures_of_the_model_are_signals_and_outages_are_not() {
        let check = |classes: &[FailureClass], wanted: &[Signal]| {
            let mut record = samples::record();
            let attempt = record.attempts[0].clone();
            let failed = |class: &FailureClass| crate::domain::Attempt {
                failure: Some(*class),
                ..attempt.clone()
            };
            record.attempts = classes.iter().map(failed).collect();
            let found: Vec<_> = of(&record).into_iter().map(|it| it.0).collect();
            assert_eq!(found, wanted, "{classes:?}");
            record.attempts.iter_mut().for_each(|it| it.mark_forced(Fault::Empty));
            assert_eq!(of(&record), [], "asked for");
        };
        use FailureClass::{ContentFiltered, EmptyAnswer, Malformed, Overloaded, StreamCut};
        check(&[], &[]);
        check(&[Overloaded, StreamCut], &[]);
        check(&[EmptyAnswer, EmptyAnswer, Overloaded], &[Signal::EmptyAnswer]);
        check(&[Malformed, ContentFiltered], &[Signal::Malformed, Signal::Refused]);
        assert!(Signal::ALL.iter().all(|it| it.weight() > 0.0 && it.weight() <= 1.0));
    }
}
