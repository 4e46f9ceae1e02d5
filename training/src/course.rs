//! What the answers of a log were worth, day by day and artifact by artifact.
//!
//! In: an [`OutcomeSource`]. Out: [`Course`], for people and for programs. Invariant: the log is read
//! once, and what is kept grows with its days and artifacts alone; means of scores and of utility are of
//! the scored decisions. Days and artifacts are told apart, and not compared: their requests may
//! differ. Not here: what another artifact would have earned (see [`crate::offpolicy`]).

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use pointsman::domain::Attempt;
use pointsman::outcome::Logged;
use serde::Serialize;

use crate::offpolicy::{Mean, Measure, worth};
use crate::outcomes::OutcomeSource;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// All of a log, in the order of time.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Course {
    /// One for each day and artifact.
    pub points: Vec<Point>,
    /// What to hold them against, if anything is known.
    pub references: Vec<Reference>,
    /// Decisions that cannot be read, or in which a failure was asked for.
    pub left_out: u64,
}

/// The decisions of one artifact on one day.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Point {
    /// The day, UTC: `YYYY-MM-DD`.
    pub date: String,
    /// Who decided.
    pub artifact_version: String,
    /// Decisions.
    pub decisions: u64,
    /// Score less what money and time were worth to the caller, of those that were scored.
    pub utility: Mean,
    /// The score, 0 to 1, of those that were scored.
    pub score: Mean,
    /// Cost of all attempts, USD.
    pub cost_usd: Mean,
    /// Until the end, seconds.
    pub latency_s: Mean,
}

/// A utility that is known from elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reference {
    /// Whose.
    pub name: String,
    /// How much.
    pub utility: f64,
}

impl Course {
    /// Reads a log.
    ///
    /// # Errors
    /// When the source cannot be read on.
    pub fn of(source: &dyn OutcomeSource) -> Result<Self> {
        let mut found = BTreeMap::<(u64, String), (usize, Point)>::new();
        let mut left_out = 0;
        source.each(&mut |logged| {
            let own = |it: &Logged| !it.record.attempts.iter().any(Attempt::is_forced);
            let Some(logged) = logged.ok().filter(own) else { return left_out += 1 };
            let day = logged.record.at_unix_ms / DAY_MS;
            let (next, key) = (found.len(), (day, logged.record.artifact_version.clone()));
            let (_, point) = found.entry(key).or_insert_with(|| (next, Point::default()));
            point.add(&logged);
        })?;
        let mut points: Vec<_> = found.into_iter().collect();
        // Of one day, in the order in which they first decided.
        points.sort_by_key(|((day, _), (first, _))| (*day, *first));
        let named = points.into_iter().map(|((day, artifact_version), (_, point))| Point {
            date: date_of(day),
            artifact_version,
            ..point
        });
        Ok(Self { points: named.collect(), references: Vec::new(), left_out })
    }

    /// The same with something to hold it against.
    #[must_use]
    pub fn against(mut self, name: &str, utility: f64) -> Self {
        self.references.push(Reference { name: name.to_owned(), utility });
        self
    }
}

impl Point {
    fn add(&mut self, logged: &Logged) {
        self.decisions += 1;
        self.cost_usd.add(logged.record.cost_usd.get());
        self.latency_s.add(logged.record.total_ms / 1_000.0);
        let Some(score) = logged.score().filter(|_| logged.record.served.is_some()) else { return };
        self.score.add(score.get());
        self.utility.add(worth(&logged.record, score, Measure::Utility));
    }
}

fn date_of(day: u64) -> String {
    let ms = i64::try_from(day * DAY_MS).unwrap_or(i64::MAX);
    let moment = arrow::temporal_conversions::timestamp_ms_to_datetime(ms);
    moment.map(|it| it.date().to_string()).unwrap_or_default()
}

impl fmt::Display for Course {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "what answers were worth (mean ± standard error):")?;
        writeln!(
            out,
            "{:10} {:38} {:>9} {:>8} {:>18} {:>18} {:>10} {:>8}",
            "day", "artifact", "decisions", "scored", "utility", "score", "USD", "seconds"
        )?;
        for it in &self.points {
            let (utility, score) = (text(&it.utility), text(&it.score));
            writeln!(
                out,
                "{:10} {:38} {:>9} {:>8} {utility:>18} {score:>18} {:>10.6} {:>8.3}",
                it.date,
                it.artifact_version,
                it.decisions,
                it.score.count,
                it.cost_usd.mean,
                it.latency_s.mean
            )?;
        }
        for it in &self.references {
            writeln!(out, "{}: {:.4}", it.name, it.utility)?;
        }
        match self.left_out {
            0 => Ok(()),
            count => writeln!(out, "{count} were left out: unreadable, or failed on purpose"),
        }
    }
}

/// A mean and its standard error; a dash of none.
pub(crate) fn text(of: &Mean) -> String {
    match (of.count, of.error()) {
        (0, _) => "-".to_owned(),
        (_, None) => format!("{:.4}", of.mean),
        (_, Some(error)) => format!("{:.4} ± {error:.4}", of.mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offpolicy::records_tests::Bench;

    #[test]
    fn days_and_artifacts_are_told_apart_in_the_order_of_time() {
        let bench = Bench::new();
        let log: Vec<Logged> = (0..12)
            .map(|at| {
                let mut logged = bench.logged(at);
                // The later artifact takes over in the middle of the first day.
                logged.record.at_unix_ms = if at < 8 { 5 } else { DAY_MS + 7 };
                logged.record.artifact_version = if at < 4 { "b" } else { "a" }.to_owned();
                if at == 11 {
                    logged.scores.clear();
                }
                if at == 10 {
                    logged.record.attempts[0].detail = Some("forced: timeout".into());
                }
                logged
            })
            .collect();
        let course = Course::of(&log).unwrap().against("somebody", 0.75);
        let told = |it: &Point| (it.date.clone(), it.artifact_version.clone(), it.decisions);
        let wanted = [("1970-01-01", "b", 4), ("1970-01-01", "a", 4), ("1970-01-02", "a", 3)];
        let wanted =
            wanted.map(|(date, version, count)| (date.to_owned(), version.to_owned(), count));
        assert_eq!(course.points.iter().map(told).collect::<Vec<_>>(), wanted);
        assert_eq!(course.left_out, 1);
        let last = &course.points[2];
        assert_eq!((last.utility.count, last.cost_usd.count), (2, 3));
        // Half of the scores are 1; an answer costs 0.001 USD of 0.05, and a second of 120.
        let first = &course.points[0];
        assert_eq!(first.score.mean, 0.5);
        assert!((first.utility.mean - (0.5 - 0.02 - 1.0 / 120.0)).abs() < 1e-9, "{first:?}");
        let text = course.to_string();
        assert!(text.contains("somebody: 0.7500") && text.contains("1970-01-02"), "{text}");
        assert_eq!(Course::of(&Vec::new()).unwrap(), Course::default());
    }
}
