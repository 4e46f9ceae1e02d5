//! What goes on while the server is killed: callers who score, an operator who swaps artifacts, another
//! process that exports.
//!
//! In: connections. Out: what was told, in the ledger. Invariant: only what an answer said is in it.

use std::time::Duration;

use pointsman::api::proto::pointsman_admin_client::PointsmanAdminClient;
use pointsman::api::proto::pointsman_client::PointsmanClient;
use pointsman::api::proto::{FeedbackKind, FeedbackRequest, ReloadArtifactRequest, RouteResponse};
use tonic::transport::Channel;

use crate::support::{ask, prompt};
use crate::yard::Yard;

/// Callers at the same time.
const CALLERS: usize = 8;
/// One answer of so many is scored.
const SCORED: usize = 3;
/// Prompts that come again: what is read once is not read again.
const PROMPTS: usize = 50;
/// From the end of one swap to the next, so that kills strike loadings often and callers, too.
const SWAP_PAUSE: Duration = Duration::from_millis(150);
/// The same for exports by another process; a start of it takes some 30 ms of a core.
const EXPORT_PAUSE: Duration = Duration::from_millis(150);
/// Most turns of anybody in one round: what ends it if the kill never comes.
const TURNS_MAX: usize = 10_000;

/// Goes on until it is dropped, or everybody has failed.
pub(crate) async fn work(yard: &Yard, (callers, operators): (Channel, Channel)) {
    let all = (0..CALLERS).map(|caller| call(yard, callers.clone(), caller));
    let calls = futures_util::future::join_all(all);
    tokio::join!(calls, swap(yard, operators), export(yard));
}

async fn call(yard: &Yard, channel: Channel, caller: usize) {
    for turn in 0..TURNS_MAX {
        // The first error is the kill: nothing was acknowledged, so nothing can be lost.
        if !once(yard, channel.clone(), caller + CALLERS * turn).await {
            return;
        }
    }
}

/// One request, and now and then a score for it; whether there was an answer.
pub(crate) async fn once(yard: &Yard, channel: Channel, number: usize) -> bool {
    let mut client = PointsmanClient::new(channel);
    let Ok(answer) = client.route(ask(&prompt(number % PROMPTS))).await else { return false };
    let answer = answer.into_inner();
    let Some(decision_id) = answer.decision.as_ref().map(|it| it.id.clone()) else { return false };
    look_at(yard, &answer);
    if !answer.outcome_recorded {
        return true;
    }
    yard.ledger().acknowledged.push(decision_id.clone());
    if number.is_multiple_of(SCORED) {
        let request = FeedbackRequest {
            decision_id: decision_id.clone(),
            score: Some(0.5),
            kind: FeedbackKind::Explicit.into(),
            comment: None,
            idempotency_key: None,
        };
        if client.feedback(request).await.is_ok() {
            yard.ledger().scored.push(decision_id);
        }
    }
    true
}

/// An artifact that was read halfway would have no name of ours, or choose another than it should.
fn look_at(yard: &Yard, answer: &RouteResponse) {
    let Some(decision) = &answer.decision else { return };
    let first = decision.ranking.first().map(|it| it.model.as_str());
    let mut ledger = yard.ledger();
    let wanted = ledger.artifacts.get(&decision.artifact_version).copied();
    if wanted.is_none() || first != wanted {
        let version = &decision.artifact_version;
        ledger.strange.push(format!("{version} chose {first:?} and not {wanted:?}"));
    }
}

async fn swap(yard: &Yard, channel: Channel) {
    let mut admin = PointsmanAdminClient::new(channel);
    for _ in 0..TURNS_MAX {
        yard.swap();
        // An error is the kill; what is refused would be seen as a server that does not start again.
        let told = admin.reload_artifact(ReloadArtifactRequest {}).await;
        let Ok(told) = told else { return };
        yard.ledger().reloads += usize::from(told.into_inner().changed);
        tokio::time::sleep(SWAP_PAUSE).await;
    }
}

async fn export(yard: &Yard) {
    for _ in 0..TURNS_MAX {
        let ended = yard.export().wait().await.unwrap();
        assert!(ended.success(), "an export failed: {ended}");
        yard.ledger().exports += 1;
        tokio::time::sleep(EXPORT_PAUSE).await;
    }
}
