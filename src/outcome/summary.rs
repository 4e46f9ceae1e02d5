//! What requests cost, took and were worth, by whatever tells them apart.
//!
//! In: decisions as they were logged, a [`Dimension`] and filters. Out: a [`Group`] for each value.
//! Invariant: bounded: beyond [`GROUPS_MAX`] values the rest is one group; quantiles are good to 1 %
//! (DDSketch). No prompt is looked at. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use sketches_ddsketch::{Config, DDSketch};

use super::reader::Logged;
use super::record::OutcomeRecord;
use crate::domain::Usd;

/// Most values that get a group each: with a sketch of at most 16 KiB below 170 MiB.
const GROUPS_MAX: usize = 10_000;
/// The name of the group of all others.
const OTHERS: &str = "(others)";
/// The name of requests to which the dimension does not apply.
const NONE: &str = "(none)";
/// Counts of a sketch: at 1 % from a microsecond to an hour.
const SKETCH_BINS: u32 = 2_048;
/// What stands before a metadata key.
const METADATA: &str = "metadata.";

/// By what requests are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// The model that answered.
    Model,
    /// The deployment that answered.
    Deployment,
    /// How it ended.
    End,
    /// The conversation.
    Session,
    /// The caller's key.
    Key,
    /// The caller's team.
    Team,
    /// The day, UTC.
    Day,
    /// A property that callers gave.
    Metadata(String),
}

/// Text that is no dimension.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("model, deployment, end, session, key, team, day or metadata.NAME is wanted")]
pub struct NoDimension;

impl FromStr for Dimension {
    type Err = NoDimension;

    fn from_str(text: &str) -> Result<Self, NoDimension> {
        Ok(match text {
            "model" => Self::Model,
            "deployment" => Self::Deployment,
            "end" => Self::End,
            "session" => Self::Session,
            "key" => Self::Key,
            "team" => Self::Team,
            "day" => Self::Day,
            _ => match text.strip_prefix(METADATA) {
                Some(name) if !name.is_empty() => Self::Metadata(name.to_owned()),
                Some(_) | None => return Err(NoDimension),
            },
        })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model => out.write_str("model"),
            Self::Deployment => out.write_str("deployment"),
            Self::End => out.write_str("end"),
            Self::Session => out.write_str("session"),
            Self::Key => out.write_str("key"),
            Self::Team => out.write_str("team"),
            Self::Day => out.write_str("day"),
            Self::Metadata(name) => write!(out, "{METADATA}{name}"),
        }
    }
}

impl Dimension {
    /// The value that a request has.
    pub fn of(&self, record: &OutcomeRecord) -> Option<String> {
        let served = record.served.as_ref().map(|it| it.as_str());
        match self {
            Self::Model => {
                let of =
                    |id: &str| record.candidates.iter().find(|it| it.deployment.as_str() == id);
                served.and_then(of).map(|it| it.model.to_string())
            }
            Self::Deployment => served.map(str::to_owned),
            Self::End => Some(record.end.clone()),
            Self::Session => record.session_id.clone(),
            Self::Key => record.caller.as_ref().map(|it| it.key.clone()),
            Self::Team => record.caller.as_ref().map(|it| it.team.clone()),
            Self::Day => {
                let at = std::time::Duration::from_millis(record.at_unix_ms);
                let text =
                    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + at).to_string();
                text.split('T').next().map(str::to_owned)
            }
            Self::Metadata(name) => record.metadata.get(name).cloned(),
        }
    }
}

/// What a group of requests came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The value that they share.
    pub name: String,
    /// Requests.
    pub requests: u64,
    /// Those that were answered, from the cache too.
    pub answered: u64,
    /// Those that another deployment answered than the one ranked first.
    pub fallbacks: u64,
    /// Those that a kept answer was given to.
    pub cached: u64,
    /// All attempts of all of them, USD.
    pub cost_usd: f64,
    /// Input tokens of all attempts.
    pub input_tokens: u64,
    /// Output tokens of all attempts.
    pub output_tokens: u64,
    /// From arrival to the end, milliseconds, median.
    pub latency_ms_p50: Option<f64>,
    /// The same, not exceeded in 95 cases of 100.
    pub latency_ms_p95: Option<f64>,
    /// Requests that somebody scored.
    pub scored: u64,
    /// Mean of their scores, 0 to 1.
    pub score: Option<f64>,
}

/// Groups that are still added to.
pub struct Summary {
    by: Dimension,
    wanted: Vec<(Dimension, String)>,
    groups: BTreeMap<String, Sums>,
}

struct Sums {
    requests: u64,
    answered: u64,
    fallbacks: u64,
    cached: u64,
    cost_usd: Usd,
    input_tokens: u64,
    output_tokens: u64,
    latency: DDSketch,
    scored: u64,
    score: f64,
}

impl Default for Sums {
    fn default() -> Self {
        // A microsecond is the least that is told apart.
        let latency = DDSketch::new(Config::new(0.01, SKETCH_BINS, 1e-3));
        Self {
            requests: 0,
            answered: 0,
            fallbacks: 0,
            cached: 0,
            cost_usd: Usd::ZERO,
            input_tokens: 0,
            output_tokens: 0,
            latency,
            scored: 0,
            score: 0.0,
        }
    }
}

impl Summary {
    /// Groups by one dimension those requests that have all of these values.
    pub fn new(by: Dimension, wanted: Vec<(Dimension, String)>) -> Self {
        Self { by, wanted, groups: BTreeMap::new() }
    }

    /// Takes in a decision, if it is one of those that are wanted.
    pub fn add(&mut self, logged: &Logged) {
        let record = &logged.record;
        let has = |(by, value): &(Dimension, String)| by.of(record).as_ref() == Some(value);
        if !self.wanted.iter().all(has) {
            return;
        }
        let name = self.by.of(record).unwrap_or_else(|| NONE.to_owned());
        let room = self.groups.len() < GROUPS_MAX || self.groups.contains_key(&name);
        let name = if room { name } else { OTHERS.to_owned() };
        self.groups.entry(name).or_default().add(logged);
    }

    /// The groups, the dearest first.
    pub fn groups(self) -> Vec<Group> {
        let mut all: Vec<_> = self.groups.into_iter().map(|(name, it)| it.group(name)).collect();
        all.sort_by(|a, b| {
            b.cost_usd.total_cmp(&a.cost_usd).then_with(|| b.requests.cmp(&a.requests))
        });
        all
    }
}

impl Sums {
    fn add(&mut self, logged: &Logged) {
        let record = &logged.record;
        let cached = record.cached.is_some();
        let answered = record.end == "served" || cached;
        let first = record.ranked.first().map(|it| &it.deployment);
        self.requests += 1;
        self.answered += u64::from(answered);
        self.fallbacks += u64::from(answered && !cached && first != record.served.as_ref());
        self.cached += u64::from(cached);
        self.cost_usd += record.cost_usd;
        self.input_tokens = self.input_tokens.saturating_add(record.usage.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(record.usage.output_tokens);
        self.latency.add(record.total_ms);
        if let Some(score) = logged.score() {
            self.scored += 1;
            self.score += score.get();
        }
    }

    fn group(self, name: String) -> Group {
        let quantile = |at: f64| self.latency.quantile(at).ok().flatten();
        Group {
            name,
            requests: self.requests,
            answered: self.answered,
            fallbacks: self.fallbacks,
            cached: self.cached,
            cost_usd: self.cost_usd.get(),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            latency_ms_p50: quantile(0.5),
            latency_ms_p95: quantile(0.95),
            scored: self.scored,
            score: (self.scored > 0).then(|| self.score / self.scored as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Probability;
    use crate::outcome::{CallerFacts, FeedbackKind, samples};

    fn logged(user: &str, ms: f64, score: Option<f64>) -> Logged {
        let caller = Some(CallerFacts { key: "k-1".into(), team: "blue".into() });
        let metadata = [("user".to_owned(), user.to_owned())].into();
        let record = OutcomeRecord { metadata, total_ms: ms, caller, ..samples::record() };
        let scores = score.map(|it| (FeedbackKind::Explicit, Probability::clamped(it)));
        Logged { record, scores: scores.into_iter().collect(), signals: vec![] }
    }

    fn summary(by: &str, wanted: &[(&str, &str)], all: &[Logged]) -> Vec<Group> {
        let wanted = wanted.iter().map(|(by, value)| (by.parse().unwrap(), (*value).to_owned()));
        let mut summary = Summary::new(by.parse().unwrap(), wanted.collect());
        all.iter().for_each(|it| summary.add(it));
        summary.groups()
    }

    #[test]
    fn groups_add_up() {
        let mut refused = logged("a", 1.0, None);
        refused.record.end = "refused".into();
        refused.record.served = None;
        refused.record.cost_usd = Usd::ZERO;
        let mut fallback = logged("b", 50.0, Some(1.0));
        let second = fallback.record.ranked[1].deployment.clone();
        fallback.record.served = Some(second);
        let all = [logged("a", 100.0, Some(0.5)), logged("a", 300.0, Some(0.0)), refused, fallback];
        let found = summary("metadata.user", &[], &all);
        let [a, b] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((a.name.as_str(), a.requests, a.answered, a.fallbacks), ("a", 3, 2, 0));
        assert_eq!((b.name.as_str(), b.requests, b.answered, b.fallbacks), ("b", 1, 1, 1));
        assert!((a.cost_usd - 2.0 * b.cost_usd).abs() < 1e-12 && b.cost_usd > 0.0);
        assert_eq!((a.scored, a.score, b.score), (2, Some(0.25), Some(1.0)));
        assert!(a.latency_ms_p50.is_some_and(|it| (it / 100.0 - 1.0).abs() < 0.02), "{a:?}");
        assert_eq!(summary("team", &[("metadata.user", "b")], &all)[0].requests, 1);
        assert_eq!(summary("day", &[], &all)[0].name, "2023-11-14");
        assert_eq!(summary("end", &[], &all).len(), 2);
        let model = summary("model", &[("metadata.user", "b")], &all);
        let served = all[3].record.served.as_ref().unwrap().as_str().to_owned();
        assert_eq!(summary("deployment", &[("metadata.user", "b")], &all)[0].name, served);
        assert!(served.starts_with(&model[0].name));
        assert_eq!(summary("metadata.city", &[], &all)[0].name, NONE);
    }

    #[test]
    fn what_is_no_dimension_is_told_and_names_come_back() {
        for name in ["model", "deployment", "end", "session", "key", "team", "day", "metadata.a.b"]
        {
            assert_eq!(name.parse::<Dimension>().unwrap().to_string(), name);
        }
        for name in ["", "metadata.", "user"] {
            assert_eq!(name.parse::<Dimension>(), Err(NoDimension), "{name}");
        }
    }

    #[test]
    fn the_number_of_groups_is_bounded() {
        let one = logged("a", 1.0, None);
        let mut summary = Summary::new(Dimension::Session, vec![]);
        let mut of = |at: usize| {
            let session_id = Some(at.to_string());
            let record = OutcomeRecord { session_id, ..one.record.clone() };
            summary.add(&Logged { record, ..one.clone() });
        };
        (0..GROUPS_MAX + 5).for_each(&mut of);
        let groups = summary.groups();
        assert_eq!(groups.len(), GROUPS_MAX + 1);
        let others = groups.iter().find(|it| it.name == OTHERS);
        assert_eq!(others.map(|it| it.requests), Some(5));
    }
}
