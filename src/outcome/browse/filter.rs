//! Which decisions are wanted, from where on, and which index finds them.
//!
//! In: the wishes of whoever looks. Out: [`Drive`]: the one condition that SQL answers from an index,
//! newest first; what it does not cover is looked at row by row (see [`super::brief`]). Invariant: every
//! statement here walks an index in its own order, so that its first rows cost the same in a log of a
//! thousand and of a million.

use std::fmt;
use std::str::FromStr;

use crate::domain::{FailureClass, ModelName};

/// How a decision is to have failed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedAs {
    /// In any way: a call failed, or it was not answered.
    Any,
    /// A call failed like this.
    Class(FailureClass),
}

/// Which decisions are wanted; everything that is given must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutcomeFilter {
    /// Answered by this model.
    pub model: Option<ModelName>,
    /// Failed so on the way.
    pub failed: Option<FailedAs>,
    /// Ended so, by its name in the log.
    pub end: Option<String>,
    /// Of this conversation.
    pub session: Option<String>,
    /// With all of this metadata.
    pub metadata: Vec<(String, String)>,
    /// Arrived then or later, milliseconds since 1970 UTC.
    pub from_unix_ms: Option<u64>,
    /// Arrived before then, milliseconds since 1970 UTC.
    pub until_unix_ms: Option<u64>,
}

/// A place in the log, in the order of arrival and then of writing. A page goes on behind one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutcomePlace {
    pub(super) at_unix_ms: i64,
    pub(super) seq: i64,
}

/// A text that names no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no place in the log: take `next` of the page before")]
pub struct NoPlace;

impl OutcomePlace {
    /// Behind everything there can be.
    pub(super) const NEWEST: Self = Self { at_unix_ms: i64::MAX, seq: i64::MAX };
}

impl fmt::Display for OutcomePlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.at_unix_ms, self.seq)
    }
}

impl FromStr for OutcomePlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (at, seq) = text.split_once('.').ok_or(NoPlace)?;
        let number = |it: &str| it.parse::<i64>().ok().filter(|it| *it >= 0).ok_or(NoPlace);
        Ok(Self { at_unix_ms: number(at)?, seq: number(seq)? })
    }
}

/// The condition that an index answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Drive<'f> {
    /// None: by time alone.
    All,
    /// A conversation.
    Session(&'f str),
    /// Whatever did not go well at once.
    Failed,
    /// How it ended.
    Ended(&'f str),
    /// A model, whose deployments are yet to be found.
    Model(&'f ModelName),
}

impl OutcomeFilter {
    /// The narrowest that there is.
    pub(super) fn drive(&self) -> Drive<'_> {
        match self {
            Self { session: Some(it), .. } => Drive::Session(it),
            Self { failed: Some(_), .. } => Drive::Failed,
            Self { end: Some(it), .. } if it != "served" => Drive::Ended(it),
            Self { model: Some(it), .. } => Drive::Model(it),
            Self { end: Some(it), .. } => Drive::Ended(it),
            _ => Drive::All,
        }
    }

    /// First and last millisecond, with what is before a place alone.
    pub(super) fn times(&self, before: OutcomePlace) -> (i64, i64) {
        let signed = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
        let last = self.until_unix_ms.map_or(i64::MAX, |it| signed(it).saturating_sub(1));
        (self.from_unix_ms.map_or(i64::MIN, signed), last.min(before.at_unix_ms))
    }
}

/// A condition behind the others, and the values that it is asked with, one walk for each; `served` gives
/// every deployment that ever answered.
pub(super) fn walks<E>(
    filter: &OutcomeFilter,
    served: impl FnOnce() -> Result<Vec<String>, E>,
) -> Result<(&'static str, Vec<Option<String>>), E> {
    Ok(match filter.drive() {
        Drive::All => ("", vec![None]),
        Drive::Session(it) => (" AND session_id = $6", vec![Some(it.to_owned())]),
        Drive::Failed => (FAILED, vec![None]),
        Drive::Ended(it) => (" AND ended = $6", vec![Some(it.to_owned())]),
        Drive::Model(it) => {
            let own = served()?.into_iter().filter(|served| is_of(served, it));
            (" AND served = $6", own.map(Some).collect())
        }
    })
}

/// Whether a deployment is one of a model's.
pub(super) fn is_of(served: &str, model: &ModelName) -> bool {
    served.strip_prefix(model.as_str()).is_some_and(|it| it.starts_with('@'))
}

/// The values of `served`, by leaps from one to the next, at most `$1`.
pub(super) const DEPLOYMENTS: &str = "
    WITH RECURSIVE found (served) AS (
        SELECT min(served) FROM outcome
        UNION ALL
        SELECT (SELECT min(served) FROM outcome WHERE served > found.served)
        FROM found WHERE found.served IS NOT NULL
    )
    SELECT served FROM found WHERE served IS NOT NULL LIMIT $1";

/// The columns of a line, and the record.
pub(super) const ROW: &str = "decision, at_unix_ms, ended, served, cost_picousd, total_ms, attempts, \
                              session_id, request_id, record";

/// Places, newest first: `$1` and `$2` the times, `$3` and `$4` the place before, `$5` how many; `$6`
/// what the drive compares with, where it compares.
pub(super) fn places(condition: &str) -> String {
    format!(
        "SELECT at_unix_ms, seq FROM outcome WHERE at_unix_ms >= $1 AND at_unix_ms <= $2 \
         AND (at_unix_ms, seq) < ($3, $4){condition} ORDER BY at_unix_ms DESC, seq DESC LIMIT $5"
    )
}

/// What stands in the index `outcome_failed`, in its very words.
const FAILED: &str = " AND (attempts > 1 OR ended NOT IN ('served', 'cached'))";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_and_nothing_else_is_one() {
        let place = OutcomePlace { at_unix_ms: 1_700_000_000_000, seq: 42 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", ".", "1", "1.", "1.x", "-1.2", "1.2.3", "9999999999999999999.1"] {
            assert_eq!(text.parse::<OutcomePlace>(), Err(NoPlace), "{text}");
        }
    }

    #[test]
    fn the_narrowest_condition_drives() {
        let model = ModelName::new("m").unwrap();
        let all = OutcomeFilter {
            model: Some(model.clone()),
            failed: Some(FailedAs::Any),
            end: Some("served".into()),
            session: Some("s".into()),
            ..OutcomeFilter::default()
        };
        assert_eq!(all.drive(), Drive::Session("s"));
        let no_session = OutcomeFilter { session: None, ..all };
        assert_eq!(no_session.drive(), Drive::Failed);
        let served = OutcomeFilter { failed: None, ..no_session };
        assert_eq!(served.drive(), Drive::Model(&model));
        let ended = OutcomeFilter { end: Some("deadline".into()), ..served };
        assert_eq!(ended.drive(), Drive::Ended("deadline"));
        assert_eq!(OutcomeFilter::default().drive(), Drive::All);
    }
}
