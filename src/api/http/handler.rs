//! One request of any dialect: read, routed, answered.
//!
//! In: headers and a body. Out: an answer in one piece, or a stream's first bytes and the rest as it
//! comes (see [`super::stream`]). Invariant: no logic of a dialect's; a caller who leaves drops the
//! handler, and with it the attempt under way.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use http::{HeaderMap, Response};
use tokio::time::Instant;

use super::details::{self, Explain};
use super::dialect::{About, Delivery, Dialect};
use super::said::{Wanted, wanted};
use super::{Face, limits, problem, stream};
use crate::api::auth::Asker;
use crate::api::fault::{self, Fault};
use crate::api::{from_proto, scope};
use crate::catalog::Deployment;
use crate::dispatch::ChainEnd;
use crate::domain::{ChatRequest, ChatResponse, Message};
use crate::pipeline::{CacheHit, Call, Routed};

/// Answers a request of dialect `D`.
pub(super) async fn handle<D: Dialect>(
    State(face): State<Arc<Face>>,
    asker: Option<Extension<Asker>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let arrived = Instant::now();
    face.pipeline.metrics().received(D::FACE);
    let asker = asker.map(|it| it.0).unwrap_or_default();
    let read = limits::object(&headers, body).and_then(|it| wanted::<D>(&face, &headers, it));
    let read = read.and_then(|it| it.asked_by(asker, &face)).and_then(|it| {
        scope::take_tokens(&it.asker, &it.chat, &face.pipeline)?;
        Ok(it)
    });
    let wanted = match read {
        Ok(wanted) => wanted,
        Err(fault) => {
            face.pipeline.metrics().rejected(D::FACE);
            return problem::response::<D>(&fault);
        }
    };
    let explain = wanted.explain();
    let answered = match wanted.delivery {
        Delivery::Whole => whole::<D>(&face, wanted, arrived).await,
        Delivery::Stream | Delivery::StreamWithUsage => {
            stream::respond::<D>(&face, wanted, arrived).await
        }
    };
    answered.unwrap_or_else(|fault| problem::explained::<D>(&fault, explain))
}

async fn whole<D: Dialect>(
    face: &Face,
    wanted: Wanted,
    arrived: Instant,
) -> Result<Response<Body>, Fault> {
    let explain = wanted.explain();
    let (about, call) = call(wanted, arrived);
    let mut routed = face.pipeline.route(call).await.map_err(|it| fault::broken(&it))?;
    let Some((deployment, response)) = served(&mut routed) else {
        return Err(fault::unanswered(&routed));
    };
    let about = About {
        id: routed.decision.id.to_string(),
        model: deployment.model.name.to_string(),
        ..about
    };
    let details = details::of_answer(&routed, &deployment, explain);
    let mut answer = problem::json(&D::whole(&about, response, details));
    let headers = answer.headers_mut();
    problem::insert(headers, "x-pointsman-decision", &about.id);
    problem::insert(headers, "x-pointsman-model", &about.model);
    problem::insert(headers, "x-pointsman-deployment", deployment.id.as_str());
    if let Some(dispatched) = &routed.dispatched {
        let attempts = dispatched.attempts.len().to_string();
        problem::insert(headers, "x-pointsman-attempts", &attempts);
        let cost = dispatched.cost_usd().get().to_string();
        problem::insert(headers, "x-pointsman-cost-usd", &cost);
        told_dropped(headers, &dispatched.dropped);
    }
    told_cached(headers, routed.cached);
    Ok(answer)
}

/// Names what whoever answers was not sent.
pub(super) fn told_dropped(headers: &mut HeaderMap, dropped: &[String]) {
    if !dropped.is_empty() {
        problem::insert(headers, "x-pointsman-dropped-parameters", &dropped.join(", "));
    }
}

/// Says that an answer was given before, how long ago (RFC 9111), and whether to this very question.
pub(super) fn told_cached(headers: &mut HeaderMap, cached: Option<CacheHit>) {
    if let Some(hit) = cached {
        let how = if hit.similarity.is_some() { "near-hit" } else { "hit" };
        problem::insert(headers, "x-pointsman-cache", how);
        problem::insert(headers, "age", &hit.age.as_secs().to_string());
    }
}

/// Takes the answer out of what became of a request.
fn served(routed: &mut Routed) -> Option<(Arc<Deployment>, ChatResponse)> {
    let end = &mut routed.dispatched.as_mut()?.end;
    match end {
        ChainEnd::Served { deployment, response } => {
            Some((Arc::clone(deployment), response.clone()))
        }
        ChainEnd::Broken { .. } | ChainEnd::Failed(_) => None,
    }
}

/// The call, and what is known of its answer before it.
pub(super) fn call(wanted: Wanted, arrived: Instant) -> (About, Call) {
    let Wanted { chat, policy, wire, model, faults, asker, .. } = wanted;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let about = About {
        id: String::new(),
        created_s: since.unwrap_or_default().as_secs(),
        model,
        chat: Arc::new(repeated(&chat)),
    };
    let call = Call {
        request: chat,
        policy,
        arrived,
        deadline: None,
        request_id: wire.request_id,
        session_id: wire.session_id,
        metadata: wire.metadata.into_iter().collect(),
        faults,
        caller: asker.caller().cloned(),
        cache: from_proto::cache_use(wire.cache).unwrap_or_default(),
    };
    (about, call)
}

/// What dialects may repeat of a request: everything but the turns, of which only instructions
/// stay. The turns can be megabytes, and would lie there as long as a stream goes on.
fn repeated(chat: &ChatRequest) -> ChatRequest {
    let instructions = chat.messages.iter().filter(|it| matches!(it, Message::System(_)));
    ChatRequest {
        messages: instructions.cloned().collect(),
        tools: chat.tools.clone(),
        tool_choice: chat.tool_choice.clone(),
        parallel_tool_calls: chat.parallel_tool_calls,
        response_format: chat.response_format.clone(),
        sampling: chat.sampling.clone(),
        effort: chat.effort,
        cache_prompt: chat.cache_prompt,
        user: chat.user.clone(),
        extra: chat.extra.clone(),
    }
}

/// How a chain ended, for a stream: whose answer, or why none.
pub(super) fn ended(
    routed: &Routed,
    explain: Explain,
) -> Result<(crate::domain::StreamEnd, serde_json::Value), Fault> {
    match routed.dispatched.as_ref().map(|it| &it.end) {
        Some(ChainEnd::Served { deployment, response }) => {
            let end = crate::domain::StreamEnd { finish: response.finish, usage: response.usage };
            Ok((end, details::of_answer(routed, deployment, explain)))
        }
        Some(ChainEnd::Broken { .. } | ChainEnd::Failed(_)) | None => {
            Err(fault::unanswered(routed))
        }
    }
}
