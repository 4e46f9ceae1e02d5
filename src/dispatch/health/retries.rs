//! The process-wide retry budget: how many second calls of a deployment there may be.
//!
//! In: requests and wishes to call again, with the time since some fixed instant. Out: yes or no.
//! Invariant: within any ten seconds the retries granted are at most 20 % of the requests, or ten,
//! whichever is more (`failure.md`); memory is constant. Pure: no clock.

use std::time::Duration;

/// The seconds looked back upon.
const SECONDS: usize = 10;
/// Retries allowed for so many requests: 20 %.
const REQUESTS_PER_RETRY: u64 = 5;
/// Retries allowed however few requests there are.
const RETRIES_MIN: u64 = 10;

/// Requests and retries of the last seconds, a slot for each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RetryBudget {
    slots: [Slot; SECONDS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Slot {
    second: u64,
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// A request comes.
    pub(super) fn requested(&mut self, now: Duration) {
        self.slot(now).requests += 1;
    }

    /// Retries that may still be taken.
    pub(super) fn left(&self, now: Duration) -> u64 {
        let oldest = now.as_secs().saturating_sub(SECONDS as u64 - 1);
        let recent = self.slots.iter().filter(|it| it.second >= oldest);
        let (requests, retries) = recent.fold((0_u64, 0_u64), |(requests, retries), it| {
            (requests + it.requests, retries + it.retries)
        });
        RETRIES_MIN.max(requests / REQUESTS_PER_RETRY).saturating_sub(retries)
    }

    /// Takes a retry, if there is one.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let granted = self.left(now) > 0;
        if granted {
            self.slot(now).retries += 1;
        }
        granted
    }

    /// A retry that was taken was not made after all.
    pub(super) fn give_back(&mut self, now: Duration) {
        let slot = self.slot(now);
        slot.retries = slot.retries.saturating_sub(1);
    }

    /// The slot of this second, emptied if it was that of an earlier one.
    fn slot(&mut self, now: Duration) -> &mut Slot {
        let second = now.as_secs();
        let slot = &mut self.slots[(second % SECONDS as u64) as usize];
        if slot.second != second {
            *slot = Slot { second, ..Slot::default() };
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(budget: &mut RetryBudget, second: u64, wanted: usize) -> usize {
        (0..wanted).filter(|_| budget.take(Duration::from_secs(second))).count()
    }

    #[test]
    fn a_fifth_of_ten_seconds_or_ten() {
        let mut budget = RetryBudget::default();
        assert_eq!(granted(&mut budget, 0, 50), 10);
        (0..100).for_each(|_| budget.requested(Duration::from_secs(3)));
        assert_eq!(granted(&mut budget, 3, 50), 10, "20 in all, 10 of them taken before");
        assert_eq!(granted(&mut budget, 9, 50), 0);
        assert_eq!(granted(&mut budget, 10, 50), 10, "those of the first second are past");
        assert_eq!(granted(&mut budget, 100, 50), 10);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut budget = RetryBudget::default();
        assert_eq!(granted(&mut budget, 0, 50), 10);
        budget.give_back(Duration::ZERO);
        assert_eq!(granted(&mut budget, 0, 50), 1);
    }

    proptest! {
        #[test]
        fn no_ten_seconds_see_more(calls in prop::collection::vec((0_u64..4_000, 0_u64..30, 0_usize..9), 1..60)) {
            let mut budget = RetryBudget::default();
            let (mut now, mut asked, mut taken) = (0, Vec::new(), Vec::new());
            for (pause, requests, retries) in calls {
                now += pause;
                let at = Duration::from_millis(now);
                (0..requests).for_each(|_| budget.requested(at));
                asked.push((at.as_secs(), requests));
                for _ in 0..retries {
                    let within = |second: u64| second + SECONDS as u64 > at.as_secs();
                    let requests: u64 = asked.iter().filter(|it| within(it.0)).map(|it| it.1).sum();
                    let before = taken.iter().filter(|it| within(**it)).count() as u64;
                    let wanted = before < 10.max(requests / 5);
                    prop_assert_eq!(budget.take(at), wanted);
                    if wanted {
                        taken.push(at.as_secs());
                    }
                }
            }
        }
    }
}
