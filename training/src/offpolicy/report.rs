//! What a log says of two artifacts, for people and for programs.
//!
//! In: a [`Log`]. Out: [`Report`]. Invariant: everything the gate looks at stands in it; what has no
//! value is a dash. Not here: how the figures are estimated.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::estimators::{Cover, Estimate, Estimates, Measure, cover, difference, estimate};
use super::gate::{Evidence, Versus, gate};
use super::outcome::cross_fitted;
use super::records::{LeftOut, Log, Pair};
use super::versions::Versions;
use crate::metrics::ece;

/// What a log says of a candidate and an incumbent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The candidate's version.
    pub candidate: String,
    /// The incumbent's.
    pub incumbent: String,
    /// Records that do not count, and why.
    pub left_out: BTreeMap<LeftOut, usize>,
    /// How well the log covers the candidate.
    pub cover: Cover,
    /// How well it covers the incumbent.
    pub incumbent_cover: Cover,
    /// One per measure; none where no record counts.
    pub measures: Vec<MeasureReport>,
    /// What the gate looks at.
    pub evidence: Evidence,
    /// Every reason not to promote; none is a yes.
    pub shortfalls: Vec<String>,
    /// What came of every record, by the artifact that decided it, and what shadows made of them.
    pub versions: Versions,
}

/// What both are worth by one measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeasureReport {
    /// Which.
    pub measure: Measure,
    /// Of the candidate.
    pub candidate: Estimates,
    /// Of the incumbent.
    pub incumbent: Estimates,
    /// Candidate less incumbent, doubly robust and paired.
    pub difference: Option<Estimate>,
}

impl Report {
    /// What the log says.
    pub fn new(log: &Log, pair: Pair<'_>) -> Self {
        let measures: Vec<MeasureReport> =
            Measure::ALL.into_iter().filter_map(|it| measured(log, it)).collect();
        let find = |measure| measures.iter().find(|it| it.measure == measure);
        let share = |it: &Estimates| it.dr.unwrap_or(it.dm).mean;
        let candidate_cover = cover(&log.rows, &log.candidate.target);
        let ece = |it: &[f32]| ece(&log.scores, it).ok();
        let evidence = Evidence {
            difference: find(Measure::Utility).and_then(|it| it.difference),
            cover: candidate_cover,
            ece: ece(&log.candidate.predicted)
                .zip(ece(&log.incumbent.predicted))
                .map(|(candidate, incumbent)| Versus { candidate, incumbent }),
            broken: find(Measure::Broken).map(|it| Versus {
                candidate: share(&it.candidate),
                incumbent: share(&it.incumbent),
            }),
        };
        Self {
            candidate: pair.candidate.version().to_owned(),
            incumbent: pair.incumbent.version().to_owned(),
            left_out: log.left_out.clone(),
            cover: candidate_cover,
            incumbent_cover: cover(&log.rows, &log.incumbent.target),
            shortfalls: gate(&evidence).iter().map(ToString::to_string).collect(),
            measures,
            evidence,
            versions: log.versions.clone(),
        }
    }
}

fn measured(log: &Log, measure: Measure) -> Option<MeasureReport> {
    let guesses = cross_fitted(&log.rows, measure);
    let (of, against) = (&log.candidate.target, &log.incumbent.target);
    Some(MeasureReport {
        measure,
        candidate: estimate(&log.rows, of, &guesses, measure)?,
        incumbent: estimate(&log.rows, against, &guesses, measure)?,
        difference: difference(&log.rows, (of, against), &guesses, measure),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "candidate {}", self.candidate)?;
        writeln!(out, "incumbent {}\n", self.incumbent)?;
        writeln!(out, "{} scored decisions count", self.cover.rows)?;
        for (why, count) in &self.left_out {
            writeln!(out, "{count} do not: {}", why.as_str())?;
        }
        for (name, it) in [("candidate", &self.cover), ("incumbent", &self.incumbent_cover)] {
            let (effective, never) = (it.effective, 100.0 * it.unsupported);
            writeln!(
                out,
                "{name}: effective sample size {effective:.0}, {never:.1} % of its choices are never in \
                 the log"
            )?;
        }
        writeln!(out, "\n{:38} {:>34} {:>34}", "mean and 95 % interval", "candidate", "incumbent")?;
        for it in &self.measures {
            let name = it.measure.as_str();
            for (kind, candidate, incumbent) in it.kinds() {
                let label = format!("{name}, {kind}");
                writeln!(out, "{label:38} {:>34} {:>34}", text(candidate), text(incumbent))?;
            }
            let label = format!("{name}, difference (doubly robust)");
            writeln!(out, "{label:38} {:>34}\n", text(it.difference))?;
        }
        if let Some(Versus { candidate, incumbent }) = self.evidence.ece {
            writeln!(
                out,
                "{:38} {candidate:>34.4} {incumbent:>34.4}\n",
                "ECE of predicted quality"
            )?;
        }
        write!(out, "{}", self.versions)?;
        if self.shortfalls.is_empty() {
            return writeln!(out, "the promotion gate is passed");
        }
        writeln!(out, "the promotion gate is not passed:")?;
        self.shortfalls.iter().try_for_each(|it| writeln!(out, "  - {it}"))
    }
}

impl MeasureReport {
    fn kinds(&self) -> [(&'static str, Option<Estimate>, Option<Estimate>); 4] {
        let (of, against) = (&self.candidate, &self.incumbent);
        [
            ("direct method", Some(of.dm), Some(against.dm)),
            ("inverse propensity", of.ips, against.ips),
            ("  normalised", of.snips, against.snips),
            ("doubly robust", of.dr, against.dr),
        ]
    }
}

impl LeftOut {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "they cannot be read",
            Self::OtherInputs => "their features or embeddings are of another program",
            Self::Refused => "nobody passed the limits",
            Self::Forced => "a failure in them was asked for",
            Self::HedgeLost => "the first choice was overtaken by a call beside it",
            Self::NotCalled => "the first choice was not called, for want of time or money",
            Self::Unscored => "nobody scored them",
        }
    }
}

fn text(it: Option<Estimate>) -> String {
    it.map_or_else(
        || "-".to_owned(),
        |it| format!("{} [{}, {}]", short(it.mean), short(it.low), short(it.high)),
    )
}

/// Four digits after the point, or as many that count where it is small: a cost may be 0.00001.
fn short(value: f64) -> String {
    if value == 0.0 || value.abs() >= 0.01 { format!("{value:.4}") } else { format!("{value:.1e}") }
}
