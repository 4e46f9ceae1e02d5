//! Scores, by the quality that was expected of the answer.
//!
//! In: an expectation and a score, both 0 to 1. Out: [`CalibrationBin`]s. Invariant: the counts add up
//! to those of `pointsman_compared_answers_total{quantity="quality"}`, since both are told of the same.

/// Tenths of quality.
const BINS: usize = 10;

/// Answers of which about the same quality was expected.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CalibrationBin {
    /// How many.
    pub answers: u64,
    /// Mean of what was expected.
    pub predicted: f64,
    /// Mean of the scores.
    pub realised: f64,
}

/// Sums by tenth.
#[derive(Default)]
pub(super) struct Bins([CalibrationBin; BINS]);

impl Bins {
    pub(super) fn note(&mut self, expected: f64, score: f64) {
        if !(expected.is_finite() && score.is_finite()) {
            return;
        }
        let at = (expected.clamp(0.0, 1.0) * BINS as f64) as usize;
        let bin = &mut self.0[at.min(BINS - 1)];
        bin.answers += 1;
        bin.predicted += expected;
        bin.realised += score;
    }

    /// The means; bins without answers are left out.
    pub(super) fn told(&self) -> Vec<CalibrationBin> {
        let own = self.0.iter().filter(|it| it.answers > 0);
        own.map(|it| CalibrationBin {
            answers: it.answers,
            predicted: it.predicted / it.answers as f64,
            realised: it.realised / it.answers as f64,
        })
        .collect()
    }
}
