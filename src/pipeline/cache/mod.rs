//! Answers that are given again to whoever asks the same again.
//!
//! In: calls that were decided, answers. Out: [`Hit`]s. Invariant: an answer is given only to the same
//! caller, for the same question under the same wishes, while it is fresh, and only where its deployment
//! passes every limit of the new request and asking anew would not be worth more; bounded in bytes, in number and in time; nothing is kept on
//! disk. Off unless configured. Not here: what counts as the same question (see `key`), and nearly the
//! same (see `near`).

mod key;
mod near;
mod replay;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use self::key::Key;
use self::near::{Near, Neighbours};
use super::Call;
use super::consider::Considered;
use crate::catalog::Deployment;
use crate::dispatch::{ChainEnd, Dispatched};
use crate::domain::{Attempt, ChatRequest, ChatResponse, DecisionId, FinishReason, Probability};
use crate::ranking::{Order, Policy, Ranking};

pub(super) use self::replay::tell;

/// How long an answer counts as fresh unless the operator says otherwise.
pub const CACHE_TTL_DEFAULT: Duration = Duration::from_secs(600);
/// How many bytes of answers are kept unless the operator says otherwise: at 2 KiB an answer some
/// 30,000.
pub const CACHE_BYTES_DEFAULT: u64 = 64 << 20;
/// Longer answers are not kept: one of them would push out hundreds.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// What an entry takes beside its answer's text: keys, the deployment, the maps.
const ENTRY_BYTES: u64 = 512;
/// An answer of usual length: how many entries the map is laid out for.
const USUAL_BYTES: u64 = 2 << 10;

/// What the operator wants kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CacheSettings {
    /// How long an answer is fresh.
    pub ttl: Duration,
    /// The most bytes of answers.
    pub bytes_max: u64,
    /// Whether answers of requests with tools are kept, too: a tool's call may have effects.
    pub tools: ToolAnswers,
    /// From which similarity on (cosine, 0 to 1) nearly the same question gets the answer; `None`:
    /// only the same does.
    pub near: Option<Probability>,
}

/// Whether answers of requests with tools are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ToolAnswers {
    /// Only where a request asks for it.
    #[default]
    Asked,
    /// As all others.
    Kept,
}

/// What a request wants of the cache, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheUse {
    /// An answer from it, or a new one that is kept.
    #[default]
    Usual,
    /// The same, although the request has tools.
    WithTools,
    /// A new answer, which is kept.
    Refresh,
    /// A new answer, which is not kept.
    Off,
}

impl CacheUse {
    /// What a request may say, by name.
    pub const NAMES: [(&str, Self); 4] = [
        ("on", Self::Usual),
        ("tools", Self::WithTools),
        ("refresh", Self::Refresh),
        ("off", Self::Off),
    ];
}

/// That an answer was given before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CacheHit {
    /// The decision that it was first given for.
    pub decision: DecisionId,
    /// How long ago.
    pub age: Duration,
    /// How much alike the questions are, where they are not the same: cosine of their embeddings.
    pub similarity: Option<f32>,
}

/// An answer that was found.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub(super) told: CacheHit,
    answer: Arc<Kept>,
}

/// An answer that is kept.
#[derive(Debug)]
struct Kept {
    decision: DecisionId,
    deployment: Arc<Deployment>,
    response: ChatResponse,
    dropped: Vec<String>,
    at: Instant,
    bytes: u64,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Kept>> for ByBytes {
    fn weight(&self, _: &Key, kept: &Arc<Kept>) -> u64 {
        kept.bytes
    }
}

/// Where a new answer is to be kept.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    key: Key,
    near: Option<Near>,
}

/// The answers of the last minutes.
pub(super) struct AnswerCache {
    settings: CacheSettings,
    answers: Cache<Key, Arc<Kept>, ByBytes>,
    neighbours: Neighbours,
}

/// What the cache says of a call: an answer, or where its new one goes, or neither.
#[derive(Debug, Clone, Default)]
pub(super) struct Looked {
    pub(super) hit: Option<Hit>,
    pub(super) slot: Option<Slot>,
}

impl AnswerCache {
    pub(super) fn new(settings: CacheSettings) -> Self {
        let items = usize::try_from(settings.bytes_max / USUAL_BYTES).unwrap_or(usize::MAX);
        let answers = Cache::with_weighter(items, settings.bytes_max, ByBytes);
        Self { settings, answers, neighbours: Neighbours::default() }
    }

    /// Looks for an answer to a call that was decided.
    pub(super) fn look(&self, call: &Call, considered: &Considered, now: Instant) -> Looked {
        let usable = self.takes(&call.request, call.cache) && call.faults.is_empty();
        let Ok(ranking) = considered.decision.verdict.as_ref() else { return Looked::default() };
        if !usable {
            return Looked::default();
        }
        let (key, frame) = key::of(call, ranking.taken.as_ref());
        let near = self.settings.near.map(|_| Near::new(frame, &considered.encoded));
        let slot = Some(Slot { key, near: near.clone() });
        if call.cache == CacheUse::Refresh {
            return Looked { hit: None, slot };
        }
        let may_answer = |kept: &Arc<Kept>| {
            let fresh = now.duration_since(kept.at) < self.settings.ttl;
            fresh && good_enough(&kept.deployment, ranking, &call.policy)
        };
        let hit = |kept: Arc<Kept>, similarity| {
            let (decision, age) = (kept.decision, now.duration_since(kept.at));
            Hit { told: CacheHit { decision, age, similarity }, answer: kept }
        };
        let same = self.answers.get(&key).filter(may_answer).map(|it| hit(it, None));
        let found = same.or_else(|| {
            let (near, least) = near.as_ref().zip(self.settings.near)?;
            let (key, similarity) = self.neighbours.nearest(near, least.get() as f32)?;
            let kept = self.answers.get(&key).filter(may_answer)?;
            Some(hit(kept, Some(similarity)))
        });
        Looked { hit: found, slot }
    }

    /// Keeps an answer, if it is one that may be given again.
    pub(super) fn keep(
        &self,
        slot: Slot,
        decision: DecisionId,
        dispatched: &Dispatched,
        now: Instant,
    ) {
        let ChainEnd::Served { deployment, response } = &dispatched.end else { return };
        let whole = match response.finish {
            FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Length => true,
            FinishReason::ContentFilter => false,
        };
        let forced = dispatched.attempts.iter().any(Attempt::is_forced);
        let bytes = ENTRY_BYTES + response.written_bytes();
        if !whole || forced || !dispatched.seams.is_empty() || bytes > ANSWER_BYTES_MAX {
            return;
        }
        let Slot { key, near } = slot;
        let kept = Kept {
            decision,
            deployment: Arc::clone(deployment),
            response: response.clone(),
            dropped: dispatched.dropped.clone(),
            at: now,
            bytes,
        };
        self.answers.insert(key, Arc::new(kept));
        if let Some(near) = near {
            self.neighbours.add(near, key);
        }
    }

    /// How many answers there are, and their bytes.
    pub(super) fn held(&self) -> (usize, u64) {
        (self.answers.len(), self.answers.weight())
    }

    fn takes(&self, request: &ChatRequest, wanted: CacheUse) -> bool {
        let plain = request.tools.is_empty() || self.settings.tools == ToolAnswers::Kept;
        match wanted {
            CacheUse::Off => false,
            CacheUse::WithTools => true,
            CacheUse::Usual | CacheUse::Refresh => plain,
        }
    }
}

/// Whether an answer of this deployment is worth no less than asking anew: it costs nothing and is there
/// at once, so its utility is its quality alone. Where the caller gives the order, his first stays first; and
/// on a route its first target.
fn good_enough(kept: &Deployment, ranking: &Ranking, policy: &Policy) -> bool {
    let own = ranking.entries.iter().find(|it| it.deployment.id == kept.id);
    let open = ranking.entries.iter().find(|it| it.shut.is_none());
    let Some((own, first)) = own.zip(open) else { return own.is_some() };
    if let Some((own, first)) = own.stop.as_ref().zip(first.stop.as_ref()) {
        return own.place == first.place;
    }
    match policy.candidates.order {
        // Whoever sorts by price or speed has nothing cheaper or faster.
        Order::Learned if policy.candidates.provider.sort.is_some() => true,
        Order::Learned => own.prediction.quality.mean.get() >= first.utility,
        Order::Given(_) => own.deployment.model.name == first.deployment.model.name,
    }
}

impl Hit {
    /// The answer as if it had just been given: nobody was called, nothing was spent.
    pub(super) fn dispatched(&self) -> Dispatched {
        let Kept { deployment, response, dropped, .. } = &*self.answer;
        let (deployment, response) = (Arc::clone(deployment), response.clone());
        Dispatched {
            end: ChainEnd::Served { deployment, response },
            attempts: Vec::new(),
            dropped: dropped.clone(),
            retry_in: None,
            seams: Vec::new(),
        }
    }
}
