//! A kept answer, told in pieces.
//!
//! In: a [`Hit`]. Out: the events of a stream that gives it. Invariant: folding the pieces gives the
//! answer. Not here: pauses between pieces; the answer is there.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use super::{Hit, Kept};
use crate::dispatch::{Answering, ChainEvent};
use crate::domain::{ChatResponse, Delta};

/// Tells all of it; ends early where nobody listens any more.
pub(in crate::pipeline) async fn tell(hit: &Hit, events: &Sender<ChainEvent>) {
    let Kept { deployment, response, dropped, .. } = &*hit.answer;
    let (deployment, dropped) = (Arc::clone(deployment), dropped.clone());
    let answering = Answering { deployment, attempts: 0, dropped };
    let committed = std::iter::once(ChainEvent::Committed(answering));
    for event in committed.chain(deltas(response).into_iter().map(ChainEvent::Delta)) {
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// The pieces of an answer, in the order in which models give them.
pub(super) fn deltas(response: &ChatResponse) -> Vec<Delta> {
    let mut all = Vec::new();
    for block in &response.reasoning {
        all.extend(block.text.clone().map(Delta::Reasoning));
        all.push(Delta::ReasoningEnd(block.seal.clone()));
    }
    all.extend(response.text.clone().map(Delta::Text));
    all.extend(response.logprobs.clone().map(Delta::Logprobs));
    for (index, call) in response.tool_calls.iter().enumerate() {
        let (id, name, seal) = (call.id.clone(), call.name.clone(), call.seal.clone());
        all.push(Delta::ToolCall { index, id, name, seal });
        all.push(Delta::Arguments { index, fragment: call.arguments.clone() });
    }
    all
}
