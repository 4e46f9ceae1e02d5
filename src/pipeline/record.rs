//! What became of a request, as the log keeps it.
//!
//! In: the call, the decision, how it ended. Out: an [`OutcomeRecord`]. Invariant: everything that
//! ranking read is in it, so that the decision can be recomputed. Pure.

use super::consider::{Considered, Judge};
use super::{CacheHit, Call};
use crate::dispatch::{ChainEnd, ChainFailure, Dispatched};
use crate::domain::{DeploymentId, Usage, Usd};
use crate::features::FEATURE_SCHEMA;
use crate::outcome::{
    CachedFacts, CallerFacts, Choice, OutcomeRecord, PromptPrivacy, RECORD_VERSION, RecordedPrompt,
};
use crate::ranking::TIE_STEP;

/// A call that has ended.
pub(super) struct Ended<'a> {
    /// What was asked.
    pub(super) call: &'a Call,
    /// What was tried; `None` after a refusal.
    pub(super) dispatched: Option<&'a Dispatched>,
    /// That the answer was given before.
    pub(super) cached: Option<CacheHit>,
    /// When it arrived, milliseconds since 1970 UTC.
    pub(super) at_unix_ms: u64,
    /// From arrival to the end, milliseconds.
    pub(super) total_ms: f64,
}

impl Ended<'_> {
    /// The record of it.
    pub(super) fn record(
        &self,
        judge: &Judge,
        considered: &Considered,
        prompts: PromptPrivacy,
    ) -> OutcomeRecord {
        let decision = &considered.decision;
        let fleet = judge.fleet.deployments();
        let Choice { candidates, ranked, excluded } =
            Choice::of(fleet, &considered.availability, &decision.verdict);
        let served_by = self.dispatched.and_then(served);
        OutcomeRecord {
            version: RECORD_VERSION,
            decision: decision.id,
            at_unix_ms: self.at_unix_ms,
            request_id: self.call.request_id.clone(),
            session_id: self.call.session_id.clone(),
            metadata: self.call.metadata.clone(),
            caller: self
                .call
                .caller
                .as_ref()
                .map(|it| CallerFacts { key: it.key().to_string(), team: it.team().to_owned() }),
            artifact_version: decision.artifact_version.clone(),
            learned_updates: decision.learned_updates,
            encoder_exit: decision.encoder_exit,
            feature_schema: FEATURE_SCHEMA,
            features: considered.features.as_slice().to_vec(),
            embedding: considered.encoded.embedding.as_slice().to_vec(),
            policy: self.call.policy.clone(),
            need: considered.need,
            seed: decision.id.seed(),
            tie_step: TIE_STEP,
            route: decision.verdict.as_ref().ok().and_then(|it| it.taken.clone()),
            candidates,
            ranked,
            excluded,
            attempts: self.dispatched.map(|it| it.attempts.clone()).unwrap_or_default(),
            end: self.cached.map_or_else(|| end(self.dispatched), |_| "cached").to_owned(),
            served: served_by.cloned(),
            seams: self.dispatched.map(|it| it.seams.clone()).unwrap_or_default(),
            usage: self.dispatched.map_or_else(Usage::default, Dispatched::usage),
            cost_usd: self.dispatched.map_or(Usd::ZERO, Dispatched::cost_usd),
            total_ms: self.total_ms,
            decide_us: decision.decide_us,
            prompt: RecordedPrompt::of(&self.call.request, prompts),
            canary: considered.canary.clone(),
            cached: self.cached.map(|it| CachedFacts {
                decision: it.decision,
                age_ms: u64::try_from(it.age.as_millis()).unwrap_or(u64::MAX),
                similarity: it.similarity,
            }),
            shadow: considered.shadow.as_ref().and_then(|it| it.facts(served_by)),
        }
    }
}

fn served(dispatched: &Dispatched) -> Option<&DeploymentId> {
    match &dispatched.end {
        ChainEnd::Served { deployment, .. } | ChainEnd::Broken { deployment, .. } => {
            Some(&deployment.id)
        }
        ChainEnd::Failed(_) => None,
    }
}

fn end(dispatched: Option<&Dispatched>) -> &'static str {
    match dispatched.map(|it| &it.end) {
        None => "refused",
        Some(ChainEnd::Served { .. }) => "served",
        Some(ChainEnd::Broken { .. }) => "broken",
        Some(ChainEnd::Failed(ChainFailure::Cancelled)) => "cancelled",
        Some(ChainEnd::Failed(ChainFailure::Exhausted)) => "exhausted",
        Some(ChainEnd::Failed(ChainFailure::AllShut { .. })) => "all_shut",
        Some(ChainEnd::Failed(ChainFailure::Deadline)) => "deadline",
        Some(ChainEnd::Failed(ChainFailure::OverBudget)) => "over_budget",
        Some(ChainEnd::Failed(ChainFailure::SpendLimit(_))) => "spend_limit",
        Some(ChainEnd::Failed(ChainFailure::RouteEnds(_))) => "route_ends",
        Some(ChainEnd::Failed(ChainFailure::CallerError(class))) => class.as_str(),
    }
}
