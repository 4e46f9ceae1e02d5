//! An artifact that only looks on: it judges every request, on a thread of its own.
//!
//! In: work to do with its [`Brain`]. Out: an [`Opinion`], some time later, for the record. Invariant:
//! nobody waits for it: who finds its queue full goes on without, and so does a record that is written
//! before the opinion is there; both are counted. Its thread ends with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, OnceLock};

use super::brain::Brain;
use crate::domain::DeploymentId;
use crate::outcome::{ExpectedFacts, ShadowFacts};
use crate::prediction::Prediction;
use crate::ranking::{Ranking, Refusal};

/// Requests that wait for it at most. It takes some 0.1 ms for one, so this is a burst of 25 ms; a
/// waiting request holds some 10 KB.
const QUEUE_MAX: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// What it would have decided.
pub(crate) type Opinion = Result<Ranking, Refusal>;

/// The artifact, and the thread that judges with it.
pub(crate) struct Shadow {
    pub(super) brain: Arc<Brain>,
    jobs: SyncSender<Job>,
    missed: AtomicU64,
}

/// An opinion that is on its way.
pub(crate) struct Pending {
    opinion: Arc<OnceLock<Opinion>>,
    shadow: Arc<Shadow>,
}

impl Shadow {
    /// Starts its thread. Without one every opinion is missed.
    pub(super) fn start(brain: Arc<Brain>) -> Self {
        let (jobs, waiting) = mpsc::sync_channel::<Job>(QUEUE_MAX);
        let thread = std::thread::Builder::new().name("shadow".to_owned());
        let started = thread.spawn(move || waiting.into_iter().for_each(|job| job()));
        if let Err(error) = started {
            tracing::error!(%error, "no thread for the shadow artifact: it sees no request");
        }
        Self { brain, jobs, missed: AtomicU64::new(0) }
    }

    /// Has it judge, soon; `None` when it is too far behind.
    pub(crate) fn ask(
        self: &Arc<Self>,
        judge: impl FnOnce(&Brain) -> Opinion + Send + 'static,
    ) -> Option<Pending> {
        let opinion = Arc::new(OnceLock::new());
        let pending = Pending { opinion: Arc::clone(&opinion), shadow: Arc::clone(self) };
        let brain = Arc::clone(&self.brain);
        let job = Box::new(move || drop(opinion.set(judge(&brain))));
        if self.jobs.try_send(job).is_err() {
            self.miss();
            return None;
        }
        Some(pending)
    }

    /// How many requests it did not judge in time.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    fn miss(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pending {
    /// What the record keeps of it; `None`, and counted, when it is not there yet.
    pub(crate) fn facts(&self, served: Option<&DeploymentId>) -> Option<ShadowFacts> {
        let Some(opinion) = self.opinion.get() else {
            self.shadow.miss();
            return None;
        };
        let version = self.shadow.brain.version().to_owned();
        Some(facts(version, opinion, served))
    }
}

fn facts(version: String, opinion: &Opinion, served: Option<&DeploymentId>) -> ShadowFacts {
    let (entries, excluded) = match opinion {
        Ok(ranking) => (ranking.entries.as_slice(), &ranking.excluded),
        Err(refusal) => ([].as_slice(), &refusal.excluded),
    };
    let ranked = || entries.iter().map(|it| expected(&it.prediction, Some(it.utility)));
    let left_out = excluded.iter().map(|it| expected(&it.prediction, None));
    let served = served.and_then(|id| ranked().chain(left_out).find(|it| it.deployment == *id));
    ShadowFacts { version, choice: ranked().next(), served }
}

fn expected(of: &Prediction, utility: Option<f64>) -> ExpectedFacts {
    ExpectedFacts {
        deployment: of.deployment.clone(),
        utility,
        quality: of.quality.mean,
        cost_usd: of.cost_usd.mean(),
        latency_s: of.latency_s.mean(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ArtifactPlaces;
    use super::*;

    #[test]
    fn nobody_waits_for_it() {
        let brain = Arc::new(Brain::open(&ArtifactPlaces::default(), None).unwrap());
        let shadow = Arc::new(Shadow::start(brain));
        let refusal = || Err(Refusal { excluded: vec![] });
        // Held up, until this end lets go.
        let (go, held) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel::<()>();
        let first = shadow.ask(move |_| {
            began.send(()).unwrap();
            held.recv().unwrap_or_default();
            refusal()
        });
        begun.recv().unwrap();
        assert!(first.as_ref().unwrap().facts(None).is_none());
        assert_eq!(shadow.missed(), 1);
        let waiting: Vec<_> = (0..QUEUE_MAX).map(|_| shadow.ask(move |_| refusal())).collect();
        assert!(waiting.iter().all(Option::is_some));
        assert!(shadow.ask(move |_| refusal()).is_none());
        assert_eq!(shadow.missed(), 2);
        drop(go);
        let (done, over) = mpsc::channel();
        let last = std::iter::repeat_with(|| {
            let done = done.clone();
            shadow.ask(move |_| {
                done.send(()).unwrap();
                refusal()
            })
        });
        assert!(last.flatten().next().is_some());
        over.recv().unwrap();
        let facts = first.unwrap().facts(None).unwrap();
        assert_eq!((facts.choice, facts.served), (None, None));
        assert_eq!(facts.version, shadow.brain.version());
    }
}
