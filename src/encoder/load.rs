//! How long a prompt would wait for the encoder, and whether that is too long.
//!
//! In: tokens that wait, what each took of late. Out: yes or no. Invariant: pure but for two atomic
//! numbers; what is counted in is counted out.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Weight of the newest batch in the mean; the last dozen batches make up most of it.
const NEWEST: f64 = 0.2;

/// Whether a prompt of `own` tokens, behind `waiting` others, would be read within `allowed`.
pub(super) fn in_time(waiting: usize, own: usize, ns_per_token: f64, allowed: Duration) -> bool {
    (waiting + own) as f64 * ns_per_token <= allowed.as_nanos() as f64
}

/// The mean after one more batch; a batch of nothing changes nothing.
fn decayed(mean: f64, tokens: usize, took: Duration) -> f64 {
    if tokens == 0 {
        return mean;
    }
    mean + NEWEST * (took.as_nanos() as f64 / tokens as f64 - mean)
}

/// What waits for the encoder or is being read, and how fast it has been.
#[derive(Debug)]
pub(super) struct Load {
    tokens: AtomicUsize,
    ns_per_token: AtomicU64,
}

impl Load {
    /// Nothing waits yet, and a token is thought to take so long.
    pub(super) fn new(ns_per_token: f64) -> Self {
        let ns_per_token = AtomicU64::new(ns_per_token.to_bits());
        Self { tokens: AtomicUsize::new(0), ns_per_token }
    }

    /// Counts a prompt in, if it would be read in time.
    pub(super) fn enter(&self, own: usize, allowed: Duration) -> bool {
        let ns_per_token = f64::from_bits(self.ns_per_token.load(Ordering::Relaxed));
        let waiting = self.tokens.fetch_add(own, Ordering::Relaxed);
        let fine = in_time(waiting, own, ns_per_token, allowed);
        if !fine {
            self.leave(own);
        }
        fine
    }

    /// Counts prompts out.
    pub(super) fn leave(&self, tokens: usize) {
        self.tokens.fetch_sub(tokens, Ordering::Relaxed);
    }

    /// Takes in how long a batch took. Called by the owner alone.
    pub(super) fn observe(&self, tokens: usize, took: Duration) {
        let mean = f64::from_bits(self.ns_per_token.load(Ordering::Relaxed));
        self.ns_per_token.store(decayed(mean, tokens, took).to_bits(), Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn tokens(&self) -> usize {
        self.tokens.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_tokens_times_time() {
        let check = |waiting, own, allowed_us, fine| {
            let allowed = Duration::from_micros(allowed_us);
            assert_eq!(in_time(waiting, own, 1_000.0, allowed), fine, "{waiting} {own}");
        };
        check(0, 100, 100, true);
        check(1, 100, 100, false);
        check(900, 100, 1_000, true);
        check(0, 0, 0, true);
        check(0, 1, 0, false);
    }

    #[test]
    fn speed_is_a_decayed_mean() {
        let load = Load::new(40_000.0);
        for _ in 0..100 {
            load.observe(1_000, Duration::from_millis(2));
        }
        assert!(load.enter(1_000, Duration::from_micros(2_001)));
        assert!(!load.enter(1, Duration::from_micros(2_001)));
        load.leave(1_000);
        assert_eq!(load.tokens(), 0);
        assert!((decayed(500.0, 0, Duration::from_secs(1)) - 500.0).abs() < f64::EPSILON);
    }
}
