//! One request on its way through the layers, from its arrival to its record.
//!
//! In: a [`Call`]. Out: [`Routed`], or a [`RoutedStream`] of it. Invariant: every request that was
//! decided ends in one record, whoever left in the meantime; a stream's last event comes after its
//! record was kept.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::artifacts::{Draw, Lineup};
use super::cache::{Looked, Slot};
use super::consider::{Asked, Considered};
use super::{CacheHit, CacheUse, Call, Decision, PipelineError, Routed, Works, cache, record};
use crate::access::Caller;
use crate::dispatch::{self, ChainEnd, ChainEvent, ChainFailure, Dispatched, Health, Plan};
use crate::domain::{DecisionId, Usage};
use crate::outcome::{Feedback, FeedbackKind, FeedbackReceipt, OutcomeError};
use crate::prediction::Manner;
use crate::providers::{Drill, HttpCaller};
use crate::ranking::Ranking;
use crate::telemetry::{Delivery, InFlight};

/// An answer that comes in pieces.
#[derive(Debug)]
pub struct RoutedStream {
    /// Who is tried, and why.
    pub decision: Decision,
    /// That the answer was given before.
    pub cached: Option<CacheHit>,
    pub(super) pieces: Receiver<ChainEvent>,
    pub(super) telling: oneshot::Receiver<Routed>,
    pub(super) cut: CancellationToken,
}

/// What comes next in a stream.
#[derive(Debug)]
pub enum RouteEvent {
    /// A deployment's answer begins, or a piece of it.
    Chain(ChainEvent),
    /// The last event: how it ended.
    Ended(Box<Routed>),
}

impl RoutedStream {
    /// The next event; after [`RouteEvent::Ended`] there is none.
    ///
    /// # Errors
    /// [`PipelineError::Interrupted`].
    pub async fn next(&mut self) -> Result<RouteEvent, PipelineError> {
        let event = tokio::select! {
            biased;
            event = self.pieces.recv() => event,
            () = self.cut.cancelled(), if !self.pieces.is_closed() => {
                // The call ends, as if the reader had left, and so does its record.
                self.pieces.close();
                self.pieces.recv().await
            }
        };
        if let Some(event) = event {
            return Ok(RouteEvent::Chain(event));
        }
        let routed = (&mut self.telling).await.map_err(|_| PipelineError::Interrupted)?;
        Ok(RouteEvent::Ended(Box::new(routed)))
    }

    /// A stream that a test plays.
    #[cfg(test)]
    pub(crate) fn scripted(
        decision: Decision,
        pieces: Receiver<ChainEvent>,
        telling: oneshot::Receiver<Routed>,
    ) -> Self {
        Self { decision, cached: None, pieces, telling, cut: CancellationToken::new() }
    }
}

impl Call {
    /// What is to be decided of it, as a turn of `session`. A conversation is drawn as one.
    fn asked<'a>(&'a self, lineup: &'a Lineup, session: Option<&'a str>) -> Asked<'a> {
        let Self { request, policy, arrived, .. } = self;
        let draw = self.session_name().map_or(Draw::Request, Draw::Session);
        Asked { request, policy, session, arrived: *arrived, lineup, draw }
    }

    /// The conversation it belongs to, by its caller's name. Those who send an empty name are none.
    fn session_name(&self) -> Option<&str> {
        self.session_id.as_deref().filter(|it| !it.is_empty())
    }

    /// The conversation it belongs to, which no other team has.
    fn session(&self) -> Option<Cow<'_, str>> {
        let name = self.session_name()?;
        let own = self.caller.as_ref().map(|it| it.own(name).into());
        Some(own.unwrap_or(name.into()))
    }
}

/// A request that was decided.
pub(super) struct UnderWay {
    call: Arc<Call>,
    considered: Considered,
    at_unix_ms: u64,
    /// What the cache said of it.
    looked: Looked,
    /// Counts it as under way.
    in_flight: InFlight,
}

impl UnderWay {
    pub(super) fn decision(&self) -> &Decision {
        &self.considered.decision
    }

    /// That it is answered from the cache.
    pub(super) fn cached(&self) -> Option<CacheHit> {
        self.looked.hit.as_ref().map(|it| it.told)
    }

    fn plan<'a>(&'a self, ranking: &'a Ranking, health: &'a Health) -> Plan<'a> {
        let own = self.call.policy.budget.max_latency;
        Plan {
            ranking,
            policy: &self.call.policy,
            request: &self.call.request,
            health,
            arrived: self.call.arrived,
            max_latency: self.call.deadline.map_or(own, |it| it.min(own)),
            purse: self.call.caller.as_ref().map(Caller::purse),
        }
    }
}

/// Says of every attempt that failed on purpose that it did.
fn mark(drill: Option<&Drill>, dispatched: &mut Dispatched) {
    if let Some(drill) = drill {
        drill.mark(&mut dispatched.attempts);
    }
}

impl Works {
    /// Decides. Who leaves while waiting costs nothing.
    pub(super) async fn begin(
        &self,
        call: Call,
        delivery: Delivery,
    ) -> Result<UnderWay, PipelineError> {
        let in_flight = self.metrics.begun(delivery);
        let at_unix_ms = unix_ms(SystemTime::now(), call.arrived.elapsed());
        let call = Arc::new(call);
        let considered = self.consider(&call).await;
        let considered = considered.inspect_err(|_| self.metrics.not_decided())?;
        let looked = self.look(&call, &considered);
        Ok(UnderWay { call, considered, at_unix_ms, looked, in_flight })
    }

    /// Calls for an answer in one piece, unless `gone` ends.
    pub(super) async fn whole(
        &self,
        under_way: UnderWay,
        gone: impl Future<Output = ()>,
    ) -> Routed {
        if let Some(hit) = &under_way.looked.hit {
            let dispatched = hit.dispatched();
            return self.end(under_way, Some(dispatched)).await;
        }
        let decision = under_way.decision();
        let dispatched = match &decision.verdict {
            Ok(ranking) => {
                let plan = under_way.plan(ranking, &self.judge.health);
                let seed = decision.id.seed();
                let drill = self.drill(&under_way);
                let caller = self.caller_for(drill.as_ref());
                let mut dispatched = dispatch::run(plan, &caller, seed, gone).await;
                mark(drill.as_deref(), &mut dispatched);
                self.judge.learn(&under_way.considered, &dispatched, Manner::Whole);
                Some(dispatched)
            }
            Err(_) => None,
        };
        self.end(under_way, dispatched).await
    }

    /// Calls for an answer in pieces. The channel closes before the record is written.
    pub(super) async fn pieces(&self, under_way: UnderWay, events: Sender<ChainEvent>) -> Routed {
        if let Some(hit) = &under_way.looked.hit {
            cache::tell(hit, &events).await;
            drop(events);
            let dispatched = hit.dispatched();
            return self.end(under_way, Some(dispatched)).await;
        }
        let decision = under_way.decision();
        let dispatched = match &decision.verdict {
            Ok(ranking) => {
                let plan = under_way.plan(ranking, &self.judge.health);
                let seed = decision.id.seed();
                let drill = self.drill(&under_way);
                let caller = self.caller_for(drill.as_ref());
                let mut dispatched = dispatch::stream(plan, &caller, seed, &events).await;
                mark(drill.as_deref(), &mut dispatched);
                self.judge.learn(&under_way.considered, &dispatched, Manner::Streamed);
                Some(dispatched)
            }
            Err(_) => None,
        };
        drop(events);
        self.end(under_way, dispatched).await
    }

    /// What the cache has for a call.
    fn look(&self, call: &Call, considered: &Considered) -> Looked {
        let Some(cache) = &self.cache else { return Looked::default() };
        let looked = cache.look(call, considered, Instant::now());
        if looked.slot.is_some() && call.cache != CacheUse::Refresh {
            let near = looked.hit.as_ref().map(|it| it.told.similarity.is_some());
            self.metrics.looked_in_cache(near);
        }
        looked
    }

    fn keep(&self, slot: Slot, decision: DecisionId, dispatched: &Dispatched) {
        if let Some(cache) = &self.cache {
            cache.keep(slot, decision, dispatched, Instant::now());
            let (answers, bytes) = cache.held();
            self.metrics.cache_holds(answers, bytes);
        }
    }

    /// What fails on purpose.
    fn drill(&self, under_way: &UnderWay) -> Option<Arc<Drill>> {
        let (own, seed) = (&under_way.call.faults, under_way.decision().id.seed());
        self.drills.of(own, seed, Instant::now())
    }

    fn caller_for(&self, drill: Option<&Arc<Drill>>) -> HttpCaller {
        let drilled = drill.map(|it| self.caller.drilled(Arc::clone(it)));
        drilled.unwrap_or_else(|| self.caller.clone())
    }

    /// Remembers who served, and records.
    async fn end(&self, under_way: UnderWay, dispatched: Option<Dispatched>) -> Routed {
        let UnderWay { call, considered, at_unix_ms, looked, in_flight } = under_way;
        let cached = looked.hit.as_ref().map(|it| it.told);
        let called = dispatched.as_ref().filter(|_| cached.is_none());
        if let Some((session, dispatched)) = call.session().zip(called) {
            self.judge.remember((&session, call.arrived), &considered, dispatched);
        }
        if let Some((slot, dispatched)) = looked.slot.zip(called) {
            self.keep(slot, considered.decision.id, dispatched);
        }
        let total_ms = call.arrived.elapsed().as_secs_f64() * 1_000.0;
        let ended = record::Ended {
            call: &call,
            dispatched: dispatched.as_ref(),
            cached,
            at_unix_ms,
            total_ms,
        };
        let record = ended.record(&self.judge, &considered, self.log.prompts());
        self.observe(&considered.decision, dispatched.as_ref(), &record, in_flight.delivery);
        let used = record.usage;
        let (recorded, ()) =
            tokio::join!(self.append(record), self.count(&call, used, dispatched.as_ref()));
        Routed { decision: considered.decision, dispatched, total_ms, recorded, cached }
    }

    /// Counts what a call took of its key's limits; returns once what it cost is on disk, or the wait
    /// for that is over.
    async fn count(&self, call: &Call, used: Usage, dispatched: Option<&Dispatched>) {
        let Some(caller) = &call.caller else { return };
        let tokens = used.input_tokens.saturating_add(used.output_tokens);
        caller.owe_tokens(tokens.saturating_sub(call.request.tokens_about()));
        if let Some(ChainEnd::Failed(ChainFailure::SpendLimit(it))) = dispatched.map(|it| &it.end) {
            self.metrics.limit_refused(it.name());
        }
        caller.purse().written().await;
    }

    /// Computes away from the threads that serve connections. Who leaves while waiting for a seat
    /// costs nothing.
    async fn consider(&self, call: &Arc<Call>) -> Result<Considered, PipelineError> {
        let start = std::time::Instant::now();
        let deadline = call.policy.budget.max_latency;
        let deadline = call.deadline.map_or(deadline, |it| it.min(deadline));
        let left = deadline.saturating_sub(call.arrived.elapsed());
        let lineup = self.judge.artifacts.now();
        let read = (start, self.judge.read(&call.asked(&lineup, None), left).await);
        self.metrics.waited_for_encoder(start.elapsed());
        // The semaphore is never closed, so an error here would only mean no bound.
        let _seat = self.seats.acquire().await.ok();
        let (judge, call) = (Arc::clone(&self.judge), Arc::clone(call));
        let consider = move || {
            let session = call.session();
            let asked = call.asked(&lineup, session.as_deref());
            let mut considered = judge.consider(&asked, read)?;
            judge.show(&asked, &mut considered);
            Ok(considered)
        };
        tokio::task::spawn_blocking(consider).await?
    }

    /// Keeps a score, and learns from it before anybody is told.
    pub(super) async fn feedback(
        &self,
        feedback: Feedback,
    ) -> Result<FeedbackReceipt, OutcomeError> {
        let (decision, kind, score) = (feedback.decision, feedback.kind, feedback.score);
        let receipt = self.log.feedback(feedback).await?;
        // Behaviour has many reasons besides the answer's quality.
        let counts = receipt == FeedbackReceipt::Stored && kind != FeedbackKind::Implicit;
        if let Some(it) = counts.then(|| self.expected.take(decision)).flatten() {
            self.metrics.scored(it.model.as_str(), it.quality, score.get());
        }
        let file = self.log.file().filter(|_| self.judge.studies()).map(Path::to_owned);
        if let Some(path) = file.filter(|_| receipt == FeedbackReceipt::Stored) {
            let judge = Arc::clone(&self.judge);
            let studied = tokio::task::spawn_blocking(move || judge.study(&path, decision));
            if let Err(error) = studied.await {
                tracing::error!(%decision, %error, "learning from a score was interrupted");
            }
        }
        Ok(receipt)
    }

    /// Whether the log took it. An answer that was paid for is given even when it did not.
    async fn append(&self, record: crate::outcome::OutcomeRecord) -> bool {
        let start = std::time::Instant::now();
        let appended = self.log.append(record).await;
        self.metrics.appended(&appended, start.elapsed());
        if let Err(error) = &appended {
            // The log itself complains, at most once a minute: this may be every request.
            tracing::debug!(%error, "an outcome could not be recorded");
        }
        appended.is_ok()
    }
}

/// When a request arrived, in milliseconds since 1970 UTC.
fn unix_ms(now: SystemTime, ago: Duration) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.saturating_sub(ago).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrival_is_counted_back_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        assert_eq!(unix_ms(now, Duration::from_millis(1)), 9_999);
        assert_eq!(unix_ms(SystemTime::UNIX_EPOCH, Duration::from_secs(1)), 0);
    }
}
