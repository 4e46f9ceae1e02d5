//! Ratios as they were seen, the older the lighter: two quantile sketches that take turns.
//!
//! In: positive ratios, the time. Out: how much was seen of late, and its quantiles. Invariant:
//! quantiles are monotone; time that goes back counts as none; at most [`BYTES_MAX`] bytes. Not here:
//! what a ratio is of (see [`super::sample`]), and what is believed where little was seen.
//!
//! DDSketch (Masson, Rim, Lee, VLDB 2019) keeps quantiles to a relative error, and counts but never
//! forgets. Forward decay (Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009) makes it forget: a sample
//! counts the more the later it comes, so that the older ones fade beside it. The counts would grow
//! without end; so a second sketch begins half-way, and takes over when the first is full. What then
//! drops out is older than [`HALVINGS`] half-lives.

use std::fmt;
use std::time::Duration;

use sketches_ddsketch::{Config, DDSketch};

/// The relative error of a quantile: far below what speeds stray by.
const ERROR: f64 = 0.02;
/// No sample says more than a factor of 50 either way: 2 ln 50 / ln(1.02 / 0.98) are 196 bins, and so
/// a memory's size is bounded.
pub(super) const RATIO_MAX: f64 = 50.0;
/// What a sketch may hold; it grows by 128.
const BINS_MAX: u32 = 256;
/// The most that a memory takes: two sketches of so many counts of 8 bytes.
#[cfg(test)]
pub(super) const BYTES_MAX: usize = 2 * 8 * BINS_MAX as usize;
/// The count of a sample is 2 to the power of its level; the first has this one, so that rounding to
/// whole counts changes it by 3 % at most.
const LEVEL_MIN: f64 = 4.0;
/// After how many half-lives the second sketch begins, and takes over. All counts together stay below
/// 2^32 for half-lives of up to 150 samples.
const HALVINGS: f64 = 10.0;

/// How fast a memory forgets: a sample is worth half when so many came after it, or after so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct HalfLife {
    pub(super) samples: f64,
    pub(super) time: Duration,
}

impl HalfLife {
    fn passed(self, time: Duration) -> f64 {
        time.as_secs_f64() / self.time.as_secs_f64()
    }
}

/// What was seen, newer things weighing more.
#[derive(Clone)]
pub(super) struct Memory {
    half_life: HalfLife,
    sketch: DDSketch,
    next: DDSketch,
    /// Log2 of the last sample's count.
    level: f64,
    last: Duration,
}

impl fmt::Debug for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (samples, median) = (self.samples(self.last), self.median());
        out.debug_struct("Memory").field("samples", &samples).field("median", &median).finish()
    }
}

impl Memory {
    pub(super) fn new(half_life: HalfLife) -> Self {
        let (sketch, next) = (empty(), empty());
        Self { half_life, sketch, next, level: LEVEL_MIN, last: Duration::ZERO }
    }

    /// Takes in a ratio; what is no positive number is ignored.
    pub(super) fn add(&mut self, ratio: f64, now: Duration) {
        if !is_ratio(ratio) {
            return;
        }
        if self.is_empty() {
            self.level = LEVEL_MIN;
        } else {
            let idle = self.half_life.passed(now.saturating_sub(self.last));
            self.age(idle + 1.0 / self.half_life.samples);
        }
        self.last = self.last.max(now);
        let ratio = ratio.clamp(1.0 / RATIO_MAX, RATIO_MAX);
        self.sketch.add_with_count(ratio, count(self.level));
        if self.level >= LEVEL_MIN + HALVINGS {
            self.next.add_with_count(ratio, count(self.level - HALVINGS));
        }
    }

    /// Makes all that was seen older by so many half-lives.
    fn age(&mut self, halvings: f64) {
        if halvings >= 2.0 * HALVINGS {
            *self = Self { last: self.last, ..Self::new(self.half_life) };
            return;
        }
        self.level += halvings;
        // Ends: the level is below 4 times `HALVINGS` more than the least.
        while self.level >= LEVEL_MIN + 2.0 * HALVINGS {
            self.sketch = std::mem::replace(&mut self.next, empty());
            self.level -= HALVINGS;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sketch.count() == 0
    }

    /// How many samples there were, each by what it is still worth.
    pub(super) fn samples(&self, now: Duration) -> f64 {
        let faded = self.level + self.half_life.passed(now.saturating_sub(self.last));
        self.sketch.count() as f64 / faded.exp2()
    }

    /// The ratio that half of what was seen stays below; `None` where nothing was.
    pub(super) fn median(&self) -> Option<f64> {
        self.sketch.quantile(0.5).ok().flatten()
    }

    /// The ratio that a share `p` of what comes stays below, `p` being at least a half; `None` where
    /// nothing was seen. As split conformal prediction does (Vovk, Gammerman, Shafer 2005), one sample
    /// more is reckoned with than was seen, so that a few do not look surer than they are.
    pub(super) fn quantile(&self, p: f64) -> Option<f64> {
        let samples = self.samples(self.last);
        let place = (p * (samples + 1.0) / samples).clamp(0.5, 1.0);
        let found = self.sketch.quantile(place).ok().flatten()?;
        // The greatest is told exactly and the others to their error, which must not cross.
        self.median().map(|it| it.max(found))
    }

    /// What it takes, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        8 * (self.sketch.length() + self.next.length())
    }
}

/// Whether a number can be learned from.
pub(super) fn is_ratio(it: f64) -> bool {
    it.is_finite() && it > 0.0
}

fn count(level: f64) -> u64 {
    level.exp2().round() as u64
}

fn empty() -> DDSketch {
    // Ratios are far above the least value.
    DDSketch::new(Config::new(ERROR, BINS_MAX, 1e-6))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_LIFE: HalfLife = HalfLife { samples: 10.0, time: Duration::from_secs(60) };

    fn seen(ratios: impl IntoIterator<Item = f64>) -> Memory {
        let mut memory = Memory::new(HALF_LIFE);
        ratios.into_iter().for_each(|it| memory.add(it, Duration::ZERO));
        memory
    }

    #[test]
    fn quantiles_are_those_of_what_was_seen_last() {
        let close = |found: Option<f64>, wanted: f64| {
            let found = found.unwrap();
            assert!((found / wanted).ln().abs() < 0.05, "{found}, not {wanted}");
        };
        assert_eq!((seen([]).median(), seen([]).quantile(0.95)), (None, None));
        close(seen([3.0]).median(), 3.0);
        close(seen([1.0, 3.0, 2.0]).quantile(0.9), 3.0);
        let long_ago = std::iter::repeat_n(1.0, 5_000);
        close(seen(long_ago.clone()).quantile(0.95), 1.0);
        // Ten of half-life ten are worth as much as all before them.
        let slower = |by: usize| seen(long_ago.clone().chain(std::iter::repeat_n(4.0, by)));
        close(slower(2).quantile(0.95), 4.0);
        close(slower(9).median(), 1.0);
        close(slower(12).median(), 4.0);
    }

    #[test]
    fn it_forgets_by_number_and_by_time() {
        let steady = seen(std::iter::repeat_n(2.0, 10_000));
        // The sum of a geometric series with ratio 2^(-1/10).
        let whole = 1.0 / (1.0 - (-0.1_f64).exp2());
        let check = |seconds: u64, wanted: f64| {
            let found = steady.samples(Duration::from_secs(seconds));
            assert!((found / wanted - 1.0).abs() < 0.03, "{seconds} s: {found}, not {wanted}");
        };
        check(0, whole);
        check(60, whole / 2.0);
        check(600, whole / 1024.0);
        let mut later = steady.clone();
        later.add(8.0, Duration::from_secs(60 * 7));
        assert!(later.quantile(0.9).unwrap() > 7.0, "{later:?}");
        for days in [1, 0, 2] {
            later.add(1.0, Duration::from_secs(86_400 * days));
            assert!(later.samples(later.last) < 2.2, "{later:?}");
        }
    }

    #[test]
    fn it_stays_small_whatever_comes() {
        let mut memory = Memory::new(HALF_LIFE);
        for at in 0..20_000_i32 {
            let ratio = f64::from(at % 400 - 200).exp2();
            memory.add(ratio, Duration::from_secs(u64::from(at.unsigned_abs()) % 900));
            assert!(memory.bytes() <= BYTES_MAX);
        }
        for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let before = memory.samples(memory.last);
            memory.add(nonsense, Duration::MAX);
            assert_eq!(memory.samples(memory.last), before);
        }
    }
}
