//! The process-wide budget of hedging: what second calls beside slow first ones may cost.
//!
//! In: what calls cost, with the time since some fixed instant. Out: yes or no. Invariant: what was
//! granted is at most 5 % of what was spent (`failure.md`), both as they fade over ten minutes;
//! memory is constant. Pure: no clock.

use std::time::Duration;

use crate::domain::Usd;

/// Of what is spent, so much may be spent again on calls whose answer is then not needed.
const SHARE: f64 = 0.05;
/// After this time an amount counts for 1/e of itself: a quiet night's savings are not spent in one
/// bad minute.
const FADE: Duration = Duration::from_mins(10);

/// What was spent lately, and what of it on hedging, USD.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct HedgeBudget {
    spent: f64,
    hedged: f64,
    at: Duration,
}

impl HedgeBudget {
    /// A call has cost so much.
    pub(super) fn spent(&mut self, cost: Usd, now: Duration) {
        self.fade(now);
        self.spent += cost.get();
    }

    /// Sets aside what a second call is expected to cost, if that is left.
    pub(super) fn take(&mut self, expected: Usd, now: Duration) -> bool {
        self.fade(now);
        let granted = self.hedged + expected.get() <= SHARE * self.spent;
        if granted {
            self.hedged += expected.get();
        }
        granted
    }

    /// What was set aside came to something else.
    pub(super) fn settle(&mut self, expected: Usd, actual: Usd, now: Duration) {
        self.fade(now);
        self.hedged = (self.hedged + actual.get() - expected.get()).max(0.0);
    }

    fn fade(&mut self, now: Duration) {
        let age = now.saturating_sub(self.at).as_secs_f64() / FADE.as_secs_f64();
        (self.spent, self.hedged) = (self.spent * (-age).exp(), self.hedged * (-age).exp());
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(it: f64) -> Usd {
        Usd::clamped(it)
    }

    #[test]
    fn a_twentieth_of_what_is_spent_and_what_is_free_always() {
        let (mut budget, now) = (HedgeBudget::default(), Duration::from_secs(1));
        assert!(!budget.take(usd(0.001), now));
        assert!(budget.take(usd(0.0), now));
        budget.spent(usd(1.0), now);
        assert!(budget.take(usd(0.03), now));
        assert!(!budget.take(usd(0.03), now), "0.05 in all");
        budget.settle(usd(0.03), usd(0.01), now);
        assert!(budget.take(usd(0.03), now));
        // What was spent long ago counts no more.
        assert!(!budget.take(usd(0.01), now + Duration::from_hours(2)));
    }

    proptest! {
        #[test]
        fn granted_costs_stay_below_the_share(calls in prop::collection::vec((0_u64..100, 0.0..1.0_f64, 0.0..0.2_f64), 1..200)) {
            let mut budget = HedgeBudget::default();
            let (mut now, mut spent, mut granted) = (0, 0.0, 0.0);
            for (pause, cost, hedge) in calls {
                now += pause;
                let at = Duration::from_millis(now);
                budget.spent(usd(cost), at);
                spent += cost;
                if budget.take(usd(hedge), at) {
                    granted += hedge;
                }
                // Both fade alike; what faded apart is what came between.
                prop_assert!(granted <= SHARE * spent + 1e-9);
            }
        }
    }
}
