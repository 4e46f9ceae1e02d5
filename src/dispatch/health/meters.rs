//! How many calls and tokens each deployment took in the last minute, against its own limits.
//!
//! In: calls that are about to be made, what they used in the end, the time. Out: leave, or when to come
//! back. Invariant: no 60 seconds ever hold more calls than `rpm`, whoever asks at the same time; tokens
//! are counted as expected beforehand and as used afterwards, so that `tpm` holds as well as that was
//! expected. A deployment has at most 61 counters, one for each second. Pure: the clock is an argument.
//! Not here: who asks (see `chain`), and who has limits (see [`crate::catalog`]).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::domain::DeploymentId;

/// The limits' minute.
const WINDOW_S: u64 = 60;

/// What a deployment takes in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerMinute {
    /// Calls.
    pub calls: Option<u64>,
    /// Tokens, input and output.
    pub tokens: Option<u64>,
}

/// How much of its minute a deployment has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Which.
    pub deployment: DeploymentId,
    /// Calls begun.
    pub calls: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Until when nothing more fits, if so.
    pub full_until: Option<Duration>,
}

/// A call that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dispatch) struct Counted {
    /// The second in which it was.
    at_s: u64,
    /// The tokens that were expected of it.
    tokens: u64,
}

/// Everyone who has limits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Meters(BTreeMap<DeploymentId, Meter>);

impl Meters {
    /// Nothing was called yet.
    pub(super) fn new(limits: impl IntoIterator<Item = (DeploymentId, PerMinute)>) -> Self {
        let meter = |limits| Meter { limits, seconds: VecDeque::new() };
        Self(limits.into_iter().map(|(id, limits)| (id, meter(limits))).collect())
    }

    /// Counts a call of so many expected tokens; `None` for who has no limits.
    ///
    /// # Errors
    /// When to come back.
    pub(super) fn take(
        &mut self,
        of: &DeploymentId,
        tokens: u64,
        now: Duration,
    ) -> Result<Option<Counted>, Duration> {
        let Some(meter) = self.0.get_mut(of) else { return Ok(None) };
        meter.forget(now);
        match meter.full_until(tokens) {
            Some(until) => Err(until),
            None => Ok(Some(meter.count(tokens, now))),
        }
    }

    /// A call used so many tokens in the end.
    pub(super) fn settle(&mut self, of: &DeploymentId, counted: Counted, tokens: u64) {
        if let Some(second) = self.second(of, counted) {
            second.tokens = second.tokens.saturating_sub(counted.tokens).saturating_add(tokens);
        }
    }

    /// A call that was counted was not made.
    pub(super) fn give_back(&mut self, of: &DeploymentId, counted: Counted) {
        if let Some(second) = self.second(of, counted) {
            second.tokens = second.tokens.saturating_sub(counted.tokens);
            second.calls = second.calls.saturating_sub(1);
        }
    }

    /// Until when one more call does not fit, if so.
    pub(super) fn full_until(&mut self, of: &DeploymentId, now: Duration) -> Option<Duration> {
        let meter = self.0.get_mut(of)?;
        meter.forget(now);
        meter.full_until(1)
    }

    /// Everyone's last minute.
    pub(super) fn used(&mut self, now: Duration) -> Vec<Used> {
        let used = |(deployment, meter): (&DeploymentId, &mut Meter)| {
            meter.forget(now);
            let (calls, tokens) = meter.sums();
            let full_until = meter.full_until(1);
            Used { deployment: deployment.clone(), calls, tokens, full_until }
        };
        self.0.iter_mut().map(used).collect()
    }

    fn second(&mut self, of: &DeploymentId, counted: Counted) -> Option<&mut Second> {
        let meter = self.0.get_mut(of)?;
        meter.seconds.iter_mut().find(|it| it.at_s == counted.at_s)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Meter {
    limits: PerMinute,
    /// Oldest first; only those in which anything was called.
    seconds: VecDeque<Second>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Second {
    at_s: u64,
    calls: u64,
    tokens: u64,
}

impl Second {
    /// From when on it counts no more. Its last call may have come at its very end.
    fn over_at(&self) -> Duration {
        Duration::from_secs(self.at_s.saturating_add(WINDOW_S + 1))
    }
}

impl Meter {
    fn forget(&mut self, now: Duration) {
        while self.seconds.front().is_some_and(|it| it.over_at() <= now) {
            self.seconds.pop_front();
        }
    }

    fn sums(&self) -> (u64, u64) {
        self.seconds.iter().fold((0_u64, 0_u64), |(calls, tokens), it| {
            (calls.saturating_add(it.calls), tokens.saturating_add(it.tokens))
        })
    }

    /// When enough is over for one more call of so many tokens. One that is larger than a whole minute
    /// waits for an empty one: whether it is taken then is the provider's to say.
    fn full_until(&self, tokens: u64) -> Option<Duration> {
        let (mut calls, mut used) = self.sums();
        let fits = |calls: u64, used: u64| {
            let by_calls = self.limits.calls.is_none_or(|most| calls < most);
            let fits = |most: u64| used == 0 || used.saturating_add(tokens) <= most;
            by_calls && self.limits.tokens.is_none_or(fits)
        };
        let mut until = None;
        for second in &self.seconds {
            if fits(calls, used) {
                break;
            }
            calls = calls.saturating_sub(second.calls);
            used = used.saturating_sub(second.tokens);
            until = Some(second.over_at());
        }
        until
    }

    fn count(&mut self, tokens: u64, now: Duration) -> Counted {
        let now_s = now.as_secs();
        // Two callers may read the clock in one order and come here in the other.
        let at_s = self.seconds.back().map_or(now_s, |it| it.at_s.max(now_s));
        match self.seconds.back_mut().filter(|it| it.at_s == at_s) {
            Some(second) => {
                second.calls = second.calls.saturating_add(1);
                second.tokens = second.tokens.saturating_add(tokens);
            }
            None => self.seconds.push_back(Second { at_s, calls: 1, tokens }),
        }
        Counted { at_s, tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> DeploymentId {
        DeploymentId::new("m@p").unwrap()
    }

    fn meters(calls: Option<u64>, tokens: Option<u64>) -> Meters {
        Meters::new([(id(), PerMinute { calls, tokens })])
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn calls_pass_until_the_minute_is_used_up_and_come_back_with_the_oldest() {
        let mut meters = meters(Some(2), None);
        assert!(meters.take(&id(), 5, ms(500)).is_ok());
        assert!(meters.take(&id(), 5, ms(30_900)).is_ok());
        assert_eq!(meters.take(&id(), 5, ms(31_000)), Err(ms(61_000)));
        assert_eq!(meters.take(&id(), 5, ms(60_999)), Err(ms(61_000)));
        let third = meters.take(&id(), 5, ms(61_000)).unwrap().unwrap();
        assert_eq!(meters.full_until(&id(), ms(61_000)), Some(ms(91_000)));
        meters.give_back(&id(), third);
        assert_eq!(meters.full_until(&id(), ms(61_000)), None);
        let other = DeploymentId::new("m@q").unwrap();
        assert_eq!(meters.take(&other, 5, ms(61_000)), Ok(None));
    }

    #[test]
    fn tokens_count_as_expected_and_then_as_used() {
        let mut meters = meters(None, Some(100));
        let first = meters.take(&id(), 60, ms(0)).unwrap().unwrap();
        assert_eq!(meters.take(&id(), 60, ms(1_000)), Err(ms(61_000)));
        meters.settle(&id(), first, 10);
        assert!(meters.take(&id(), 90, ms(1_000)).is_ok());
        assert_eq!(meters.take(&id(), 1, ms(2_000)), Err(ms(61_000)));
        let used = meters.used(ms(2_000)).remove(0);
        assert_eq!((used.calls, used.tokens), (2, 100));
        // Larger than any minute: alone in an empty one.
        assert!(meters.take(&id(), 500, ms(62_000)).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_minute_holds_more_than_the_limit(
            steps in prop::collection::vec(0_u64..9_000, 1..200), most in 1_u64..8,
        ) {
            let (mut meters, mut now, mut passed) = (meters(Some(most), None), 0, Vec::new());
            for step in steps {
                now += step;
                match meters.take(&id(), 1, ms(now)) {
                    Ok(_) => passed.push(now),
                    Err(until) => prop_assert!(until > ms(now) && until <= ms(now + 61_000)),
                }
                prop_assert!(meters.0[&id()].seconds.len() <= 61);
            }
            for at in &passed {
                let within = passed.iter().filter(|it| (*at..at + 60_000).contains(*it)).count();
                prop_assert!(within as u64 <= most, "{passed:?}");
            }
        }
    }
}
