//! Whether answers take as long as was foretold, and how much wider to foretell.
//!
//! In: for each answer, whether its time fell inside the central 90 % of its forecast, and the time.
//! Out: what to multiply the forecast's spread by. Invariant: 1 before anything was seen and long after;
//! always inside [`WIDTHS`]. Not here: what was foretold.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The share of answers that may miss: what is foretold are central 90 % intervals.
const MISSES: f64 = 0.1;
/// How far one answer moves the width, in its logarithm: a miss widens by 4.6 %, nine hits take that
/// back. Larger follows faster, and trembles more (Gibbs and Candes use 0.005 on a level of 0.1).
const STEP: f64 = 0.05;
/// A width outside says that the forecast is wrong in kind, and no width helps.
pub(super) const WIDTHS: RangeInclusive<f64> = 0.5..=3.0;
/// What an answer is worth after the next one came, in the coverage that is told: some 100 answers.
const DECAY: f64 = 0.99;
/// Who was not asked for so long is asked no more, perhaps for its width: it fades by half in every so
/// long after that. Where calls come closer together, nothing fades, and the law below holds.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// Adaptive conformal inference (Gibbs and Candes, "Adaptive Conformal Inference Under Distribution
/// Shift", NeurIPS 2021), on the logarithm of the width: after each answer
/// `ln width += STEP * (missed - MISSES)`.
///
/// Summed up over T answers: the share of misses differs from [`MISSES`] by no more than the distance
/// that the width went, over `STEP * T`; whatever the answers are, for as long as the width does not
/// rest at an end of [`WIDTHS`]. Nothing is assumed of the forecast, nor that answers are alike.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Coverage {
    ln_width: f64,
    weight: f64,
    inside: f64,
    last: Duration,
}

impl Coverage {
    pub(super) fn observe(&mut self, inside: bool, now: Duration) {
        let missed = f64::from(u8::from(!inside));
        let (least, most) = (WIDTHS.start().ln(), WIDTHS.end().ln());
        let moved = self.faded(now) + STEP * (missed - MISSES);
        self.ln_width = moved.clamp(least, most);
        self.last = self.last.max(now);
        self.weight = self.weight * DECAY + 1.0;
        self.inside = self.inside * DECAY + 1.0 - missed;
    }

    /// What to multiply the spread by.
    pub(super) fn width(&self, now: Duration) -> f64 {
        self.faded(now).exp().clamp(*WIDTHS.start(), *WIDTHS.end())
    }

    fn faded(&self, now: Duration) -> f64 {
        let idle = now.saturating_sub(self.last).saturating_sub(IDLE);
        self.ln_width * (-idle.as_secs_f64() / IDLE.as_secs_f64()).exp2()
    }

    /// The share of late answers that took as long as foretold; `None` before the first.
    pub(super) fn share(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.inside / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of a spread `true_width` times the foretold one, the `at`th of a fixed sequence that
    /// fills (0, 1) evenly: the golden ratio's.
    fn covered(true_width: f64, answers: u32) -> (Coverage, f64) {
        let (mut coverage, mut inside) = (Coverage::default(), 0);
        for at in 0..answers {
            let p = (f64::from(at) * 0.618_033_988_749_895).fract().max(1e-9);
            // Logistic, with the central 90 % inside 2.944.
            let strayed = true_width * (p / (1.0 - p)).ln().abs();
            let hit = strayed <= 2.944 * coverage.width(Duration::ZERO);
            coverage.observe(hit, Duration::ZERO);
            inside += u32::from(hit);
        }
        (coverage, f64::from(inside) / f64::from(answers))
    }

    #[test]
    fn nine_in_ten_are_inside_however_wrong_the_spread_was() {
        for true_width in [0.7, 1.0, 1.5, 2.5] {
            let (coverage, share) = covered(true_width, 2_000);
            assert!((0.88..=0.92).contains(&share), "{true_width}: {share}");
            let width = coverage.width(Duration::ZERO);
            assert!((width / true_width).ln().abs() < 0.25, "{true_width}: {width}");
            let told = coverage.share().unwrap();
            assert!((0.8..=1.0).contains(&told), "{true_width}: {told}");
        }
    }

    #[test]
    fn before_the_first_answer_nothing_is_changed_and_there_are_ends() {
        let (mut it, now) = (Coverage::default(), Duration::ZERO);
        assert_eq!((it.width(now), it.share()), (1.0, None));
        for _ in 0..500 {
            it.observe(false, now);
        }
        assert_eq!(it.share(), Some(0.0));
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9, "{found}");
        close(it.width(now), *WIDTHS.end());
        close(it.width(IDLE), *WIDTHS.end());
        close(it.width(IDLE * 2), WIDTHS.end().sqrt());
        close(it.width(IDLE * 60), 1.0);
        for _ in 0..1_000 {
            it.observe(true, now);
        }
        close(it.width(now), *WIDTHS.start());
    }
}
