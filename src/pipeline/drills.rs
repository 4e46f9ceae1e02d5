//! Failures that somebody asked for: whether that is allowed, and which hold for every request now.
//!
//! In: a set of [`ForcedFault`]s with an end; requests with faults of their own. Out: the [`Drill`] of
//! one request. Invariant: nothing fails on purpose unless the operator's config allows it; a set ends
//! by itself. Not here: which calls are struck (see [`crate::providers`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ForcedFault;
use crate::providers::{Armed, Drill};

/// How long a set holds where nobody says: a drill in staging takes some minutes, and one that is
/// forgotten is over before anybody looks for the reason.
pub const FAULTS_TTL_DEFAULT: Duration = Duration::from_secs(10 * 60);
/// The longest that a set may hold: a test over night.
pub const FAULTS_TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether failures may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultPolicy {
    /// No. The default: in production nobody should be able to.
    #[default]
    Refused,
    /// Yes, by anybody who may call the server.
    Allowed,
}

/// The failures that hold for every request.
#[derive(Debug)]
pub struct StandingFaults {
    /// Which, and how often each has struck.
    pub faults: Vec<(ForcedFault, u64)>,
    /// How long they still hold; zero where there are none.
    pub left: Duration,
}

/// Failures asked for, by whomever.
pub(super) struct Drills {
    pub(super) policy: FaultPolicy,
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    faults: Vec<Arc<Armed>>,
    until: Option<Instant>,
}

impl Drills {
    pub(super) fn new(policy: FaultPolicy) -> Self {
        Self { policy, standing: Mutex::default() }
    }

    /// Puts these in the place of those that hold; does nothing where that is not allowed.
    pub(super) fn set(&self, faults: Vec<ForcedFault>, ttl: Duration, now: Instant) {
        if self.policy == FaultPolicy::Allowed {
            let faults = faults.into_iter().map(Armed::new).collect();
            let until = Some(now + ttl.min(FAULTS_TTL_MAX));
            *self.standing() = Standing { faults, until };
        }
    }

    /// Those that hold now.
    pub(super) fn standing_at(&self, now: Instant) -> StandingFaults {
        let standing = self.at(now);
        let until = standing.until.filter(|_| !standing.faults.is_empty());
        let left = until.map_or(Duration::ZERO, |it| it.saturating_duration_since(now));
        let faults = standing.faults.iter().map(|it| (it.forced.clone(), it.struck())).collect();
        StandingFaults { faults, left }
    }

    /// The drill of a request with faults of its own, which come first; `None` when nothing fails on
    /// purpose.
    pub(super) fn of(&self, own: &[ForcedFault], seed: u64, now: Instant) -> Option<Arc<Drill>> {
        if self.policy == FaultPolicy::Refused {
            return None;
        }
        let own = own.iter().cloned().map(Armed::new);
        let armed: Vec<_> = own.chain(self.at(now).faults.iter().cloned()).collect();
        (!armed.is_empty()).then(|| Arc::new(Drill::new(armed, seed)))
    }

    /// What is set, without what has ended.
    fn at(&self, now: Instant) -> MutexGuard<'_, Standing> {
        let mut standing = self.standing();
        if standing.until.is_some_and(|it| it <= now) {
            *standing = Standing::default();
        }
        standing
    }

    /// A set is replaced whole: a thread that panicked while holding it did no harm.
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Fault, FaultTarget, Probability};

    fn forced(times: Option<u32>) -> ForcedFault {
        let (fault, probability) = (Fault::Reset, Probability::ONE);
        ForcedFault { target: FaultTarget::All, fault, times, probability }
    }

    #[test]
    fn a_set_ends_by_itself_and_is_replaced_whole() {
        let (drills, now) = (Drills::new(FaultPolicy::Allowed), Instant::now());
        assert!(drills.of(&[], 1, now).is_none());
        drills.set(vec![forced(None), forced(Some(2))], FAULTS_TTL_DEFAULT, now);
        let later = now + Duration::from_secs(599);
        assert!(drills.of(&[], 1, later).is_some());
        let told = drills.standing_at(later);
        assert_eq!((told.faults.len(), told.left), (2, Duration::from_secs(1)));
        drills.set(vec![forced(None)], Duration::from_secs(900_000), later);
        assert_eq!(drills.standing_at(later).left, FAULTS_TTL_MAX);
        drills.set(Vec::new(), FAULTS_TTL_DEFAULT, later);
        assert_eq!(drills.standing_at(later).left, Duration::ZERO);
        assert!(drills.of(&[], 1, later).is_none());
        drills.set(vec![forced(None)], Duration::from_secs(5), now);
        assert!(drills.of(&[], 1, now + Duration::from_secs(5)).is_none());
        assert!(drills.standing_at(now).faults.is_empty());
    }

    #[test]
    fn nothing_fails_on_purpose_unless_it_is_allowed() {
        let (drills, now) = (Drills::new(FaultPolicy::default()), Instant::now());
        drills.set(vec![forced(None)], FAULTS_TTL_DEFAULT, now);
        assert!(drills.standing_at(now).faults.is_empty());
        assert!(drills.of(&[forced(None)], 1, now).is_none());
    }
}
