//! Which calls are made to fail, and which were.
//!
//! In: [`ForcedFault`]s, a request's seed. Out: at most one [`Fault`] per call; at the end, marks on
//! the attempts that were struck. Invariant: the same seed and the same calls draw the same faults; a
//! fault with a number of times strikes no more often, however many requests share it. Not here: what
//! a fault does (see the transport), and who may ask for one (see [`crate::pipeline`]).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::catalog::Deployment;
use crate::domain::{Attempt, DeploymentId, Fault, ForcedFault, Usage, Usd};

/// The seed's stream for faults; the pauses of the chain are drawn from the first.
const DRAWS_STREAM: u64 = 1;

/// A fault and how often it struck; requests share it.
#[derive(Debug)]
pub struct Armed {
    /// What was asked for.
    pub forced: ForcedFault,
    /// How many more calls it strikes, where that is limited.
    left: AtomicU32,
    struck: AtomicU64,
}

/// The faults that hold for one request.
#[derive(Debug)]
pub struct Drill {
    /// The first that means a deployment holds.
    armed: Vec<Arc<Armed>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    draws: ChaCha8Rng,
    /// Every call so far, in order.
    calls: Vec<(DeploymentId, Option<Struck>)>,
}

/// A call that was made to fail.
#[derive(Debug, Clone, Copy)]
struct Struck {
    fault: Fault,
    /// Whether nobody was asked, so that nobody bills it.
    free: bool,
}

impl Armed {
    /// A fault that has not struck yet.
    pub fn new(forced: ForcedFault) -> Arc<Self> {
        let left = AtomicU32::new(forced.times.unwrap_or_default());
        Arc::new(Self { forced, left, struck: AtomicU64::new(0) })
    }

    /// How many calls it has struck.
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::Relaxed)
    }

    /// Whether it strikes this call, for a uniform draw from 0..1.
    fn strikes(&self, draw: f64) -> bool {
        if draw >= self.forced.probability.get() {
            return false;
        }
        let take = |left: u32| left.checked_sub(1);
        let relaxed = Ordering::Relaxed;
        let some_left = self.left.fetch_update(relaxed, relaxed, take).is_ok();
        let strikes = self.forced.times.is_none() || some_left;
        self.struck.fetch_add(strikes.into(), relaxed);
        strikes
    }
}

impl Drill {
    /// The faults of one request, in the order in which they are looked through.
    pub fn new(armed: Vec<Arc<Armed>>, seed: u64) -> Self {
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        draws.set_stream(DRAWS_STREAM);
        Self { armed, state: Mutex::new(State { draws, calls: Vec::new() }) }
    }

    /// How the call that is made now fails, if it is to fail. `free` says which faults ask nobody.
    pub(super) fn draw(
        &self,
        deployment: &Deployment,
        free: impl Fn(Fault) -> bool,
    ) -> Option<Fault> {
        let mut state = self.state();
        let (id, model, provider) = (&deployment.id, &deployment.model.name, &deployment.provider);
        let mut meant = self.armed.iter().filter(|it| it.forced.target.means(id, model, provider));
        let strikes = meant.find(|it| it.strikes(state.draws.random_range(0.0..1.0)));
        let fault = strikes.map(|it| it.forced.fault);
        let struck = fault.map(|fault| Struck { fault, free: free(fault) });
        state.calls.push((deployment.id.clone(), struck));
        fault
    }

    /// Says of each attempt that was struck that it was.
    pub fn mark(&self, attempts: &mut [Attempt]) {
        let mut calls = self.state().calls.clone();
        // A request that this provider has no words for was never sent, and has said so.
        for attempt in attempts.iter_mut().filter(|it| it.detail.is_none()) {
            let own = calls.iter().position(|(id, _)| *id == attempt.deployment);
            if let Some((_, Some(struck))) = own.map(|at| calls.remove(at)) {
                attempt.mark_forced(struck.fault);
                if struck.free {
                    attempt.usage = Usage::default();
                    (attempt.usage_estimated, attempt.cost_usd) = (false, Usd::ZERO);
                }
            }
        }
    }

    /// Plain values, whole after every step: a thread that panicked while holding them did no harm.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FailureClass, FaultTarget, Probability};
    use crate::providers::fixtures;

    fn forced(target: FaultTarget, times: Option<u32>, probability: f64) -> Arc<Armed> {
        let probability = Probability::clamped(probability);
        Armed::new(ForcedFault { target, fault: Fault::Auth, times, probability })
    }

    fn strikes(armed: &Arc<Armed>, seed: u64, calls: usize) -> Vec<bool> {
        let drill = Drill::new(vec![Arc::clone(armed)], seed);
        let deployment = fixtures::deployment("p");
        (0..calls).map(|_| drill.draw(&deployment, |_| true).is_some()).collect()
    }

    #[test]
    fn so_many_calls_are_struck_and_no_more() {
        let armed = forced(FaultTarget::All, Some(3), 1.0);
        assert_eq!(strikes(&armed, 1, 2), [true; 2]);
        assert_eq!(strikes(&armed, 2, 3), [true, false, false], "requests share the count");
        assert_eq!(armed.struck(), 3);
        assert_eq!(strikes(&forced(FaultTarget::All, None, 1.0), 1, 9), [true; 9]);
        assert_eq!(strikes(&forced(FaultTarget::All, Some(0), 1.0), 1, 2), [false; 2]);
        assert_eq!(strikes(&forced(FaultTarget::All, None, 0.0), 1, 9), [false; 9]);
    }

    #[test]
    fn the_seed_draws() {
        let half = forced(FaultTarget::All, None, 0.5);
        let drawn = strikes(&half, 7, 200);
        assert_eq!(drawn, strikes(&half, 7, 200));
        assert_ne!(drawn, strikes(&half, 8, 200));
        let struck = drawn.iter().filter(|it| **it).count();
        assert!((70..130).contains(&struck), "{struck}");
    }

    #[test]
    fn only_attempts_that_were_struck_are_marked() {
        let (one, other) = (fixtures::deployment("p"), fixtures::deployment("q"));
        let target = FaultTarget::Deployment(one.id.clone());
        let drill = Drill::new(vec![forced(target, Some(1), 1.0)], 1);
        let calls = [&one, &one, &other].map(|it| drill.draw(it, |_| true));
        assert_eq!(calls, [Some(Fault::Auth), None, None]);
        let attempt = |of: &Deployment, detail: Option<&str>| Attempt {
            deployment: of.id.clone(),
            failure: Some(FailureClass::Auth),
            status: None,
            start_ms: 0.0,
            total_ms: 1.0,
            ttft_ms: None,
            usage: Usage::default(),
            usage_estimated: false,
            cost_usd: Usd::ZERO,
            detail: detail.map(str::to_owned),
        };
        let unsent = attempt(&one, Some("images"));
        let (first, again) = (attempt(&one, None), attempt(&one, None));
        let mut attempts = [unsent, first, again, attempt(&other, None)];
        drill.mark(&mut attempts);
        let details = attempts.each_ref().map(|it| it.detail.as_deref());
        assert_eq!(details, [Some("images"), Some("forced: auth"), None, None]);
        assert_eq!(attempts.map(|it| it.is_forced()), [false, true, false, false]);
    }
}
