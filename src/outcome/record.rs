//! One decision, from what was known before it to what it cost in the end.
//!
//! In: plain values of the layers below. Out: [`OutcomeRecord`], versioned JSON. Invariant: it
//! holds everything that ranking read, so that the decision can be recomputed from it alone; it
//! prints no prompt. Not here: where it is kept (see [`super::OutcomeLog`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::{CachedFacts, CandidateFacts, ExcludedFacts, RankedFacts};
use super::privacy::RecordedPrompt;
use super::trials::{CanaryFacts, ShadowFacts};
use crate::domain::{Attempt, DecisionId, DeploymentId, Seam, Usage, Usd};
use crate::ranking::route::Taken;
use crate::ranking::{Need, Policy};

/// The version of [`OutcomeRecord`]'s JSON; raised whenever a reader of the old one would fail or
/// misread.
///
/// 2: an attempt's usage may be an estimate, prices may hold more kinds of tokens, candidates say by
/// which rule failed calls are billed.
/// 3: the time to the first token has a spread, and its limit is kept at the policy's confidence. Older
/// records are read as they are: without a spread, which gives the rule of then.
/// 4: a record may name the caller's key and team, and exclude what the key has no right to.
/// 5: what was wanted of providers, how deployments of one model were ordered and what that went by; new
/// reasons to exclude, and deployments that were full; and the policy may hold a route, which orders the
/// candidates after everything else.
pub const RECORD_VERSION: u32 = 5;
/// The oldest version that is still read.
pub(super) const RECORD_VERSION_MIN: u32 = 1;

/// Who asked. Never a secret: a key's id opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerFacts {
    /// The id of the key.
    pub key: String,
    /// Whose key it is.
    pub team: String,
}

/// Everything known about one decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutcomeRecord {
    /// [`RECORD_VERSION`] of the writer.
    pub version: u32,
    /// Which decision.
    pub decision: DecisionId,
    /// When the request arrived, milliseconds since 1970 UTC.
    pub at_unix_ms: u64,
    /// The caller's name for the request.
    pub request_id: Option<String>,
    /// The caller's name for the conversation.
    pub session_id: Option<String>,
    /// Whatever else the caller wants to find again.
    pub metadata: BTreeMap<String, String>,
    /// Whose key asked; records from before there were keys, and of calls without one, have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallerFacts>,
    /// The router artifact that predicted.
    pub artifact_version: String,
    /// How many scores had moved the predictions away from the artifact's own; records from before
    /// anything was learned online have none. The predictions themselves stand with the candidates.
    #[serde(default)]
    pub learned_updates: u64,
    /// The encoder's exit: 0 for the whole encoder.
    pub encoder_exit: u8,
    /// The meaning of `features`.
    pub feature_schema: u32,
    /// The prompt's features. Kept as a blob of f32 in the database, not in the JSON there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<f32>,
    /// The prompt's embedding. Kept as a blob of f32 in the database, not in the JSON there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embedding: Vec<f32>,
    /// What was wanted.
    pub policy: Policy,
    /// What was needed.
    pub need: Need,
    /// What broke ties among those equally busy.
    pub seed: u64,
    /// Utilities on the same step of this size were equal; 0 in records from before there were steps.
    #[serde(default)]
    pub tie_step: f64,
    /// The operator's own way that was taken, and its branches; `policy.route` holds it whole. Records from
    /// before there were any have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Taken>,
    /// Everyone who could have been chosen, in the fleet's order.
    pub candidates: Vec<CandidateFacts>,
    /// The order of trying; empty after a refusal.
    pub ranked: Vec<RankedFacts>,
    /// Everyone else.
    pub excluded: Vec<ExcludedFacts>,
    /// Every call, in order.
    pub attempts: Vec<Attempt>,
    /// `served`, `cached`, `refused`, `exhausted`, `all_shut`, `deadline`, `over_budget`, `spend_limit`, or the class of the
    /// caller's error.
    pub end: String,
    /// Who answered, if anyone.
    pub served: Option<DeploymentId>,
    /// Where a stream that broke off was gone on with; records from before that could be have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seams: Vec<Seam>,
    /// Tokens of all attempts.
    pub usage: Usage,
    /// Cost of all attempts, USD.
    pub cost_usd: Usd,
    /// From arrival to the end, milliseconds.
    pub total_ms: f64,
    /// Choosing alone, microseconds.
    pub decide_us: f64,
    /// As much of the prompt as the operator lets us keep.
    pub prompt: RecordedPrompt,
    /// That the answer was given before, to the same question; nobody was called then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<CachedFacts>,
    /// Which of two artifacts decided, where one of them served a share on trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryFacts>,
    /// What another artifact would have done, where one looked on and was in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowFacts>,
}

impl OutcomeRecord {
    /// The first number that JSON cannot hold (NaN, infinite, or an amount that would not read
    /// back), by name. Such a record would be acknowledged and then be unreadable.
    pub(super) fn unwritable(&self) -> Option<&'static str> {
        let preference = &self.policy.preference;
        let own = [
            ("policy.preference.cost_per_quality_usd", preference.cost_per_quality_usd),
            ("policy.preference.latency_per_quality_ms", preference.latency_per_quality_ms),
            ("total_ms", self.total_ms),
            ("tie_step", self.tie_step),
            ("decide_us", self.decide_us),
            ("policy.budget.min_throughput", self.policy.budget.min_throughput.unwrap_or_default()),
        ];
        let route = self.policy.route.iter().filter_map(|it| it.facts.unwritable());
        let route = route.map(|it| ("policy.route.facts", it));
        let attempts = self.attempts.iter().flat_map(|it| {
            let ttft_ms = it.ttft_ms.unwrap_or_default();
            [it.start_ms, it.total_ms, ttft_ms].map(|it| ("attempts", it))
        });
        let utilities = self.ranked.iter().map(|it| ("ranked.utility", it.utility));
        let candidates = self.candidates.iter().flat_map(CandidateFacts::numbers);
        let shadow = self.shadow.iter().flat_map(ShadowFacts::numbers);
        let all = own.into_iter().chain(attempts).chain(utilities).chain(candidates);
        let mut numbers = all.chain(shadow).chain(route);
        let number = numbers.find(|(_, it)| !it.is_finite()).map(|(name, _)| name);
        let spent = self.attempts.iter().map(|it| it.cost_usd);
        let mut amounts = spent.chain([self.cost_usd]).chain(self.policy.budget.max_cost_usd);
        let amount = amounts.any(|it| Usd::new(it.get()).is_err());
        number.or(amount.then_some("cost_usd"))
    }
}
