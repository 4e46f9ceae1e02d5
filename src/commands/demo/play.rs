//! One prompt through the server, and what to remember of it.
//!
//! In: a client, a prompt. Out: [`Row`]. Invariant: failed calls are rows like others; only faults
//! of the server itself are errors.

use super::prompts::Prompt;
use crate::api::proto;
use crate::commands::CommandError;
use crate::commands::client::{self, Client};

/// What became of one prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Row {
    pub(super) kind: &'static str,
    /// Models in the order in which they were ranked, with their predictions.
    pub(super) ranking: Vec<Place>,
    /// Models that were called, with how each call ended.
    pub(super) attempts: Vec<Called>,
    /// The model that answered, if one did.
    pub(super) served: Option<String>,
    pub(super) cost_usd: f64,
    pub(super) total_ms: f64,
    pub(super) decide_ms: f64,
    /// Whether the outcome is durably in the log.
    pub(super) recorded: bool,
}

/// A place in a ranking.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) model: String,
    /// Expected quality, 0 to 1.
    pub(super) quality: f64,
    /// Expected cost, USD.
    pub(super) cost_usd: f64,
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Called {
    pub(super) model: String,
    /// How it failed; `None` when it answered.
    pub(super) failure: Option<String>,
}

/// Routes one prompt.
pub(super) async fn one(client: &mut Client, prompt: &Prompt) -> Result<Row, CommandError> {
    match client.route(prompt.request.clone()).await {
        Ok(response) => Ok(answered(prompt.kind, &response.into_inner())),
        Err(status) => match client::failure(&status) {
            Some(failure) => Ok(failed(prompt.kind, &failure)),
            None => Err(status.into()),
        },
    }
}

fn answered(kind: &'static str, of: &proto::RouteResponse) -> Row {
    Row {
        served: Some(of.served_model.clone()),
        cost_usd: of.cost_usd,
        total_ms: of.total_ms,
        recorded: of.outcome_recorded,
        ..tried(kind, &of.attempts, of.decision.as_ref())
    }
}

fn failed(kind: &'static str, of: &proto::RouteFailure) -> Row {
    Row {
        served: None,
        cost_usd: of.cost_usd,
        total_ms: of.total_ms,
        recorded: of.outcome_recorded,
        ..tried(kind, &of.attempts, of.decision.as_ref())
    }
}

fn tried(
    kind: &'static str,
    attempts: &[proto::Attempt],
    decision: Option<&proto::Decision>,
) -> Row {
    let place = |it: &proto::RankedCandidate| {
        let prediction = it.prediction.unwrap_or_default();
        let (quality, cost_usd) = (prediction.quality, prediction.cost_usd);
        Place { model: it.model.clone(), quality, cost_usd }
    };
    let called = |it: &proto::Attempt| {
        let answered = it.failure() == proto::FailureClass::Unspecified;
        let model = it.deployment.split('@').next().unwrap_or_default().to_owned();
        Called { model, failure: (!answered).then(|| client::class(it)) }
    };
    Row {
        kind,
        ranking: decision.map_or(vec![], |it| it.ranking.iter().map(place).collect()),
        attempts: attempts.iter().map(called).collect(),
        decide_ms: decision.map_or(0.0, |it| it.decide_us / 1_000.0),
        ..Row::default()
    }
}
