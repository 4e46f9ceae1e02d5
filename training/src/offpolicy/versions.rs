//! What came of the decisions in a log, by the artifact that made them; and what shadows made of them.
//!
//! In: [`Logged`] decisions. Out: [`Versions`]. Invariant: every record that can be read counts; means
//! are of those records that have the value. Versions are told apart, and not compared: only under a
//! canary's draw did they get the same kind of prompts. Not here: what a version would have done with
//! the prompts of another (see [`super::estimators`]).

use std::collections::BTreeMap;
use std::fmt;

use pointsman::outcome::{ExpectedFacts, Logged, OutcomeRecord};
use serde::Serialize;

/// A mean, as it grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Mean {
    /// How many values.
    pub count: u64,
    /// Their mean; 0 of none.
    pub mean: f64,
    /// The sum of squared distances from it.
    #[serde(skip)]
    squares: f64,
}

impl Mean {
    /// Takes a value in (Welford 1962).
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// The standard error of the mean; `None` of fewer than two values.
    pub fn error(&self) -> Option<f64> {
        let count = self.count as f64;
        (self.count > 1).then(|| (self.squares / (count - 1.0) / count).sqrt())
    }
}

/// What came of the decisions of one version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Looked {
    /// Decisions.
    pub decisions: u64,
    /// Of them, made as a canary.
    pub as_canary: u64,
    /// Somebody answered; 0 or 1.
    pub answered: Mean,
    /// Who answered was the first choice; 0 or 1, of those with an answer.
    pub by_first: Mean,
    /// The score of the answer, 0 to 1, of those that were scored.
    pub score: Mean,
    /// Cost of all attempts, USD.
    pub cost_usd: Mean,
    /// Until the end, seconds.
    pub latency_s: Mean,
}

/// What one version, only looking on, made of the decisions of another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Shadowed {
    /// It would have ranked the same first, or refused as well; 0 or 1.
    pub agrees: Mean,
    /// What it expects of its own choice less what it expects of who answered, in utility.
    pub utility: Mean,
    /// As above, in quality.
    pub quality: Mean,
    /// As above, USD.
    pub cost_usd: Mean,
    /// As above, seconds.
    pub latency_s: Mean,
    /// The square of what it missed the score of the answer by (Brier), of those that were scored.
    pub brier: Mean,
}

/// All of a log.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Versions {
    /// By the version that decided.
    pub decided: BTreeMap<String, Looked>,
    /// By the version that looked on, and then by the one that decided.
    pub shadows: BTreeMap<String, BTreeMap<String, Shadowed>>,
}

impl Versions {
    /// Takes a decision in.
    pub fn add(&mut self, logged: &Logged) {
        let (record, score) = (&logged.record, logged.score().map(|it| it.get()));
        let it = self.decided.entry(record.artifact_version.clone()).or_default();
        it.decisions += 1;
        it.as_canary += u64::from(record.canary.as_ref().is_some_and(|it| it.decided));
        it.answered.add(share(record.served.is_some()));
        if record.served.is_some() {
            it.by_first.add(share(record.served.as_ref() == first(record)));
        }
        score.into_iter().for_each(|score| it.score.add(score));
        it.cost_usd.add(record.cost_usd.get());
        it.latency_s.add(record.total_ms / 1_000.0);
        self.look_on(record, score);
    }

    fn look_on(&mut self, record: &OutcomeRecord, score: Option<f64>) {
        let Some(shadow) = &record.shadow else { return };
        let by = self.shadows.entry(shadow.version.clone()).or_default();
        let it = by.entry(record.artifact_version.clone()).or_default();
        let choice = shadow.choice.as_ref().map(|it| &it.deployment);
        it.agrees.add(share(choice == first(record)));
        if let Some((score, served)) = score.zip(shadow.served.as_ref()) {
            it.brier.add((served.quality.get() - score).powi(2));
        }
        let Some((own, served)) = shadow.choice.as_ref().zip(shadow.served.as_ref()) else {
            return;
        };
        let less = |of: fn(&ExpectedFacts) -> f64| of(own) - of(served);
        it.quality.add(less(|it| it.quality.get()));
        it.cost_usd.add(less(|it| it.cost_usd));
        it.latency_s.add(less(|it| it.latency_s));
        if let (Some(own), Some(served)) = (own.utility, served.utility) {
            it.utility.add(own - served);
        }
    }
}

fn first(record: &OutcomeRecord) -> Option<&pointsman::domain::DeploymentId> {
    record.ranked.first().map(|it| &it.deployment)
}

fn share(of: bool) -> f64 {
    f64::from(u8::from(of))
}

impl fmt::Display for Versions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "what came of the decisions of each artifact (mean ± standard error):")?;
        for (version, it) in &self.decided {
            let canary = match it.as_canary {
                0 => String::new(),
                count => format!(", {count} of them as the canary"),
            };
            writeln!(out, "  {version}: {} decisions{canary}", it.decisions)?;
            let (answered, by_first) = (100.0 * it.answered.mean, 100.0 * it.by_first.mean);
            writeln!(out, "    answered {answered:.1} %, by the first choice {by_first:.1} %")?;
            let (score, cost, latency) = (text(&it.score), text(&it.cost_usd), text(&it.latency_s));
            writeln!(out, "    score {score}, USD {cost}, seconds {latency}")?;
        }
        for (version, by) in &self.shadows {
            for (decided, it) in by {
                let (count, same) = (it.agrees.count, 100.0 * it.agrees.mean);
                writeln!(out, "  {version}, looking on at {count} decisions of {decided}:")?;
                writeln!(
                    out,
                    "    the same first choice in {same:.1} %; it expects of its own choice:"
                )?;
                let (utility, quality) = (text(&it.utility), text(&it.quality));
                writeln!(out, "    utility {utility}, quality {quality} above who answered,")?;
                let (cost, latency) = (text(&it.cost_usd), text(&it.latency_s));
                let brier = text(&it.brier);
                writeln!(out, "    USD {cost}, seconds {latency}; Brier of who answered {brier}")?;
            }
        }
        writeln!(out)
    }
}

/// Digits that count, whatever the size: a cost may be 0.00001.
fn text(of: &Mean) -> String {
    let short = |value: f64| match value.abs() {
        0.0 => "0".to_owned(),
        it if it >= 0.01 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    };
    match (of.count, of.error()) {
        (0, _) => "-".to_owned(),
        (_, None) => short(of.mean),
        (_, Some(error)) => format!("{} ± {}", short(of.mean), short(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_its_error() {
        let mut mean = Mean::default();
        assert_eq!((text(&mean), mean.error()), ("-".to_owned(), None));
        [1.0, 2.0, 3.0, 4.0].into_iter().for_each(|it| mean.add(it));
        // By hand: the variance is 5 / 3, the error its root over 2.
        assert!((mean.error().unwrap() - (5.0_f64 / 3.0).sqrt() / 2.0).abs() < 1e-12);
        assert_eq!(text(&mean), "2.5000 ± 0.6455");
    }
}
