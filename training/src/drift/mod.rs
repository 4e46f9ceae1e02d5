//! How far a log has moved: its prompts, and its answers from what was foretold.
//!
//! In: an [`OutcomeSource`]. Out: [`Drift`], for people and for programs. The older half of the log is
//! what the newer one is held against: artifacts do not keep the distribution that they were trained
//! on. Invariant: memory does not grow with the log (at most [`SAMPLE_MAX`] decisions are kept, evenly
//! spread). Not here: what a policy is worth (see [`crate::offpolicy`]).

mod psi;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use pointsman::domain::Attempt;
use pointsman::features::{COUNT, FEATURE_SCHEMA, NAMES};
use pointsman::outcome::{CandidateFacts, Logged, OutcomeRecord};
use serde::Serialize;

use crate::offpolicy::Measure;
use crate::outcomes::OutcomeSource;
pub use psi::{psi, psi_uniform};

/// Decisions that are looked at; more would move no share by a hundredth.
pub const SAMPLE_MAX: u64 = 20_000;
/// From here on a population is held to have shifted (Siddiqi 2006, "Credit Risk Scorecards": below
/// 0.1 no change, above 0.25 a large one).
pub const SHIFTED: f64 = 0.25;
/// A chi-squared distribution of ten degrees has 95 % below this: with few decisions the index of a
/// population that did not move is spread like that times (1/n + 1/m) (Yurdakul 2018, "Statistical
/// Properties of Population Stability Index").
const CHI_SQUARED_95: f64 = 18.307;
/// A normal distribution has 95 % within so many deviations.
const NORMAL_95: f64 = 1.959_964;

/// How far a log has moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    /// Decisions in the older half that were looked at.
    pub older: usize,
    /// And in the newer one.
    pub newer: usize,
    /// Decisions whose features are not those of this program.
    pub left_out: u64,
    /// Population stability index of every feature, newer half against older, the largest first.
    pub features: Vec<FeatureDrift>,
    /// What was foretold of whoever answered, against what came.
    pub forecasts: Vec<ForecastDrift>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureDrift {
    /// Its name.
    pub feature: String,
    /// Population stability index.
    pub psi: f64,
}

/// One model's quality, cost or latency.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForecastDrift {
    /// The model.
    pub model: String,
    /// Which.
    pub measure: Measure,
    /// In the older half.
    pub older: Gap,
    /// In the newer half.
    pub newer: Gap,
}

/// What was foretold against what came.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Gap {
    /// Answers.
    pub answers: usize,
    /// Mean foretold.
    pub predicted: f64,
    /// Mean that came.
    pub realised: f64,
    /// Half the width of the 95 % interval of the difference of both.
    pub margin: f64,
    /// Population stability index of where in its forecast each value fell, against even shares, which
    /// a forecast of the right spread gives; none for quality, of which only the mean is foretold.
    pub psi: Option<f64>,
}

/// One value beside its forecast.
#[derive(Debug, Clone, Copy)]
struct Seen {
    predicted: f64,
    realised: f64,
    /// The chance that was given to no more than this.
    place: Option<f64>,
}

#[derive(Debug, Default)]
struct Half {
    features: Vec<Vec<f32>>,
    seen: BTreeMap<(String, Measure), Vec<Seen>>,
}

impl Drift {
    /// Reads a log twice.
    ///
    /// # Errors
    /// When the source cannot be read on.
    pub fn of(source: &dyn OutcomeSource) -> Result<Self> {
        let (mut total, mut left_out) = (0_u64, 0_u64);
        source.each(&mut |logged| match logged {
            Ok(it) if is_sound(&it.record) => total += 1,
            Ok(_) | Err(_) => left_out += 1,
        })?;
        let every = total.div_ceil(SAMPLE_MAX).max(1);
        let (mut at, mut halves) = (0_u64, [Half::default(), Half::default()]);
        source.each(&mut |logged| {
            let Some(logged) = logged.ok().filter(|it| is_sound(&it.record)) else { return };
            if at.is_multiple_of(every) {
                halves[usize::from(2 * at >= total)].add(&logged);
            }
            at += 1;
        })?;
        Ok(Self::between(halves, left_out))
    }

    fn between([older, newer]: [Half; 2], left_out: u64) -> Self {
        let column = |half: &Half, at: usize| -> Vec<f64> {
            half.features.iter().map(|it| f64::from(it[at])).collect()
        };
        let feature = |(at, name): (usize, &&str)| FeatureDrift {
            feature: (*name).to_owned(),
            psi: psi(&column(&older, at), &column(&newer, at)),
        };
        let mut features: Vec<_> = NAMES.iter().enumerate().map(feature).collect();
        features.sort_by(|a, b| b.psi.total_cmp(&a.psi));
        let mut keys: Vec<_> = older.seen.keys().chain(newer.seen.keys()).cloned().collect();
        keys.sort();
        keys.dedup();
        let forecasts = keys.into_iter().map(|key| ForecastDrift {
            older: older.gap(&key),
            newer: newer.gap(&key),
            model: key.0,
            measure: key.1,
        });
        let forecasts = forecasts.collect();
        let (older, newer) = (older.features.len(), newer.features.len());
        Self { older, newer, left_out, features, forecasts }
    }

    /// The index from which a feature has shifted: [`SHIFTED`], or more where so few decisions reach it
    /// by chance.
    pub fn bound(&self) -> f64 {
        let part = |it: usize| 1.0 / it.max(1) as f64;
        SHIFTED.max(CHI_SQUARED_95 * (part(self.older) + part(self.newer)))
    }

    /// Features that have shifted.
    pub fn shifted(&self) -> impl Iterator<Item = &FeatureDrift> {
        let bound = self.bound();
        self.features.iter().filter(move |it| it.psi > bound)
    }
}

impl Half {
    fn gap(&self, key: &(String, Measure)) -> Gap {
        self.seen.get(key).map(|it| Gap::of(it)).unwrap_or_default()
    }

    fn add(&mut self, logged: &Logged) {
        self.features.push(logged.record.features.clone());
        let Some((facts, attempt)) = answered(&logged.record) else { return };
        let expected = &facts.prediction;
        let seconds = attempt.total_ms / 1_000.0;
        let cost = attempt.cost_usd.get();
        let score = logged.score().map(|it| Seen {
            predicted: expected.quality.mean.get(),
            realised: it.get(),
            place: None,
        });
        let cost = Seen {
            predicted: expected.cost_usd.mean(),
            realised: cost,
            place: Some(expected.cost_usd.chance_within(cost)),
        };
        let latency = Seen {
            predicted: expected.latency_s.mean(),
            realised: seconds,
            place: Some(expected.latency_s.chance_within(seconds)),
        };
        let all = [(Measure::Quality, score), (Measure::Cost, Some(cost))];
        for (measure, seen) in all.into_iter().chain([(Measure::Latency, Some(latency))]) {
            let key = (facts.model.as_str().to_owned(), measure);
            self.seen.entry(key).or_default().extend(seen);
        }
    }
}

/// Who gave the whole answer, and the call that did.
fn answered(record: &OutcomeRecord) -> Option<(&CandidateFacts, &Attempt)> {
    let served = record.served.as_ref().filter(|_| record.seams.is_empty())?;
    let facts = record.candidates.iter().find(|it| it.deployment == *served)?;
    let mut own = record.attempts.iter().rev().filter(|it| it.deployment == *served);
    let attempt = own.find(|it| it.failure.is_none() && !it.is_forced())?;
    Some((facts, attempt))
}

fn is_sound(record: &OutcomeRecord) -> bool {
    record.feature_schema == FEATURE_SCHEMA && record.features.len() == COUNT
}

impl Gap {
    fn of(seen: &[Seen]) -> Self {
        let count = seen.len() as f64;
        let mean = |of: &dyn Fn(&Seen) -> f64| seen.iter().map(of).sum::<f64>() / count.max(1.0);
        let (predicted, realised) = (mean(&|it| it.predicted), mean(&|it| it.realised));
        let off = realised - predicted;
        let variance = mean(&|it| (it.realised - it.predicted - off).powi(2));
        let places: Vec<f64> = seen.iter().filter_map(|it| it.place).collect();
        Self {
            answers: seen.len(),
            predicted,
            realised,
            margin: NORMAL_95 * (variance / count.max(1.0)).sqrt(),
            psi: (!places.is_empty()).then(|| psi_uniform(&places)),
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "drift: {} newer decisions against {} older ones, {} left out",
            self.newer, self.older, self.left_out
        )?;
        let shifted = self.shifted().count();
        let bound = self.bound();
        writeln!(out, "{shifted} of {COUNT} features have shifted (PSI above {bound:.2}):")?;
        for it in self.features.iter().take(5.max(shifted)) {
            writeln!(out, "  {:24} {:>8.3}", it.feature, it.psi)?;
        }
        let heads = ["older: foretold", "came", "PSI", "newer: foretold", "came", "PSI"];
        writeln!(
            out,
            "\n{:38} {:>15} {:>21} {:>6} {:>15} {:>21} {:>6}",
            "model", heads[0], heads[1], heads[2], heads[3], heads[4], heads[5]
        )?;
        for it in &self.forecasts {
            let name = format!("{}, {}", it.model, it.measure.as_str());
            writeln!(out, "{name:38} {} {}", it.older, it.newer)?;
        }
        Ok(())
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.answers == 0 {
            return write!(out, "{:>15} {:>21} {:>6}", "-", "-", "-");
        }
        let came = format!("{:.5} ± {:.5}", self.realised, self.margin);
        let psi = self.psi.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
        write!(out, "{:>15.5} {came:>21} {psi:>6}", self.predicted)
    }
}
