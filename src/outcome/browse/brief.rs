//! A decision as one line of a page, and whether it is one that was asked for.
//!
//! In: the columns of a row and its JSON. Out: [`OutcomeBrief`]. Invariant: holds no prompt; a record
//! whose JSON this version cannot read still has its columns. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::filter::{FailedAs, OutcomeFilter, is_of};

/// One line of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeBrief {
    /// Which decision.
    pub decision: String,
    /// When the request arrived, milliseconds since 1970 UTC.
    pub at_unix_ms: i64,
    /// How it ended, by its name in the log.
    pub ended: String,
    /// The deployment that answered.
    pub served: Option<String>,
    /// The deployment that was ranked first.
    pub first: Option<String>,
    /// Cost of all attempts, picodollars.
    pub cost_picousd: i64,
    /// From arrival to the end, milliseconds.
    pub total_ms: f64,
    /// Calls made.
    pub attempts: i64,
    /// How they failed, in order; those that answered are left out.
    pub failures: Vec<String>,
    /// The caller's name for the conversation.
    pub session_id: Option<String>,
    /// The caller's name for the request.
    pub request_id: Option<String>,
    /// Whatever else the caller wanted to find again.
    pub metadata: BTreeMap<String, String>,
    /// The artifact that predicted.
    pub artifact_version: String,
}

/// As much of a record as a line needs. Whatever is missing in it is left out.
#[derive(Debug, Default, Deserialize)]
struct Glimpse {
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    artifact_version: String,
    #[serde(default)]
    ranked: Vec<Place>,
    #[serde(default)]
    attempts: Vec<Call>,
}

#[derive(Debug, Deserialize)]
struct Place {
    deployment: String,
}

#[derive(Debug, Deserialize)]
struct Call {
    failure: Option<String>,
}

impl OutcomeBrief {
    /// Fills in what stands in the record's JSON alone.
    pub(super) fn with(self, json: &str) -> Self {
        let Glimpse { metadata, artifact_version, ranked, attempts } =
            serde_json::from_str(json).unwrap_or_default();
        let first = ranked.into_iter().next().map(|it| it.deployment);
        let failures = attempts.into_iter().filter_map(|it| it.failure).collect();
        Self { metadata, artifact_version, first, failures, ..self }
    }

    /// Whether the caller has a whole answer, of whoever it was.
    fn is_answered(&self) -> bool {
        matches!(self.ended.as_str(), "served" | "cached")
    }

    /// Whether it is wanted.
    pub(super) fn fits(&self, filter: &OutcomeFilter) -> bool {
        let OutcomeFilter { model, failed, end, session, metadata, .. } = filter;
        let served = self.served.as_deref().unwrap_or_default();
        let by_model = model.as_ref().is_none_or(|it| is_of(served, it));
        let so = match failed {
            None => true,
            Some(FailedAs::Any) => !self.failures.is_empty() || !self.is_answered(),
            Some(FailedAs::Class(class)) => self.failures.iter().any(|it| it == class.as_str()),
        };
        by_model
            && so
            && end.as_ref().is_none_or(|it| *it == self.ended)
            && session.as_ref().is_none_or(|it| self.session_id.as_ref() == Some(it))
            && metadata.iter().all(|(key, value)| self.metadata.get(key) == Some(value))
    }
}
