//! Which failures lead on: classes of ours, statuses of HTTP, and ranges of them.
//!
//! In: words such as `overloaded`, `429`, `5xx`. Out: whether a failure is meant. Invariant: pure; what
//! a caller did himself (he left) leads nowhere. Not here: what follows (see [`super::stop`]).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::FailureClass;

/// A call that failed, as triggers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// How.
    pub class: FailureClass,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// Whether the next candidate is tried after such a failure where no route says anything.
    pub goes_on: bool,
}

impl Failed {
    /// The status, or the one that gateways give for such a failure: Portkey's has 408 for its own
    /// timeouts, and 500 where it made no connection (docs, 2026).
    fn code(self) -> Option<u16> {
        let own = match self.class {
            FailureClass::Deadline | FailureClass::FirstTokenLate | FailureClass::Stalled => 408,
            FailureClass::Connection => 500,
            FailureClass::RateLimited
            | FailureClass::Overloaded
            | FailureClass::Auth
            | FailureClass::ModelMissing
            | FailureClass::ContextTooLong
            | FailureClass::Unsupported
            | FailureClass::ContentFiltered
            | FailureClass::InvalidRequest
            | FailureClass::EmptyAnswer
            | FailureClass::Malformed
            | FailureClass::StreamCut
            | FailureClass::OverBudget
            | FailureClass::Cancelled => return self.status,
        };
        self.status.or(Some(own))
    }
}

/// One kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Cause {
    /// A class.
    Class(FailureClass),
    /// A status.
    Status(u16),
    /// All statuses of a hundred: 5 for `5xx`.
    Hundred(u16),
}

/// A word that names no failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither a status such as 429, nor 4xx or 5xx, nor a class of failure")]
pub struct UnknownCause;

impl Cause {
    /// A status of HTTP that tells of a failure.
    ///
    /// # Errors
    /// [`UnknownCause`] for all but 400 to 599.
    pub fn status(code: u64) -> Result<Self, UnknownCause> {
        let code = u16::try_from(code).ok().filter(|it| (400..600).contains(it));
        code.map(Self::Status).ok_or(UnknownCause)
    }

    /// Whether this failure is meant.
    pub fn means(self, failed: Failed) -> bool {
        match self {
            Self::Class(class) => class == failed.class,
            Self::Status(code) => failed.code() == Some(code),
            Self::Hundred(of) => failed.code().is_some_and(|it| it / 100 == of),
        }
    }
}

impl FromStr for Cause {
    type Err = UnknownCause;
    fn from_str(word: &str) -> Result<Self, UnknownCause> {
        match word {
            "4xx" => return Ok(Self::Hundred(4)),
            "5xx" => return Ok(Self::Hundred(5)),
            "timeout" => return Ok(Self::Class(FailureClass::Deadline)),
            _ => {}
        }
        if let Ok(code) = word.parse::<u64>() {
            return Self::status(code);
        }
        let class = FailureClass::ALL.into_iter().find(|it| it.as_str() == word);
        class.map(Self::Class).ok_or(UnknownCause)
    }
}

impl TryFrom<String> for Cause {
    type Error = UnknownCause;
    fn try_from(word: String) -> Result<Self, UnknownCause> {
        word.parse()
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.to_string()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => out.write_str(class.as_str()),
            Self::Status(code) => code.fmt(out),
            Self::Hundred(of) => write!(out, "{of}xx"),
        }
    }
}

/// Which failures lead to a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Those after which the next candidate is tried where no route says anything.
    #[default]
    Usual,
    /// Every one.
    Any,
    /// These.
    Listed(Vec<Cause>),
}

impl Trigger {
    /// Whether this failure leads there.
    pub fn has(&self, failed: Failed) -> bool {
        if failed.class == FailureClass::Cancelled {
            return false;
        }
        match self {
            Self::Usual => failed.goes_on,
            Self::Any => true,
            Self::Listed(causes) => causes.iter().any(|it| it.means(failed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_say() {
        let check = |word: &str, class: FailureClass, status: Option<u16>, wanted: bool| {
            let cause: Cause = word.parse().unwrap();
            let failed = Failed { class, status, goes_on: true };
            assert_eq!(cause.means(failed), wanted, "{word} {class:?} {status:?}");
            assert_eq!(Trigger::Listed(vec![cause]).has(failed), wanted);
            let json = serde_json::to_string(&cause).unwrap();
            assert_eq!(serde_json::from_str::<Cause>(&json).unwrap(), cause);
        };
        check("429", FailureClass::RateLimited, Some(429), true);
        check("429", FailureClass::RateLimited, Some(529), false);
        check("5xx", FailureClass::Overloaded, Some(503), true);
        check("5xx", FailureClass::RateLimited, Some(429), false);
        check("4xx", FailureClass::InvalidRequest, Some(422), true);
        check("overloaded", FailureClass::Overloaded, None, true);
        check("overloaded", FailureClass::RateLimited, Some(503), false);
        check("408", FailureClass::Deadline, None, true);
        check("timeout", FailureClass::Deadline, None, true);
        check("5xx", FailureClass::Connection, None, true);
        check("5xx", FailureClass::StreamCut, None, false);
        for word in ["200", "600", "6xx", "overload", "", "-1"] {
            assert_eq!(word.parse::<Cause>(), Err(UnknownCause), "{word}");
        }
    }

    #[test]
    fn a_caller_who_left_is_no_reason_to_go_on() {
        let failed = Failed { class: FailureClass::Cancelled, status: None, goes_on: true };
        let listed = Trigger::Listed(vec![Cause::Class(FailureClass::Cancelled)]);
        assert!([Trigger::Usual, Trigger::Any, listed].iter().all(|it| !it.has(failed)));
    }
}
