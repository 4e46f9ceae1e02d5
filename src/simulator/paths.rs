//! The paths that the simulator serves, for every protocol.
//!
//! In: HTTP requests. Out: responses. Invariant: every wait ends, by its own bound or when the
//! simulator stops. Not here: what a call gets (see `act`), how it is streamed (see `stream`).

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, Path, RawQuery, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use super::{
    act::{self, Act, Ending},
    connection::ResetSwitch,
    ledger::{Ledger, LogId},
    protocol::{Dialect, Target},
    refusal::Refusal,
    request::{BODY_BYTES_MAX, Rejection},
    stream::{self, Delivery, HANG_MAX, Line, STOP_GRACE},
};

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) ledger: Arc<Ledger>,
    pub(super) stopped: watch::Receiver<bool>,
}

type RequestBody = Result<Bytes, BytesRejection>;

/// All paths.
pub(super) fn app(shared: Shared) -> Router {
    let nowhere = || async { refused(Dialect::OpenAi, &Rejection::NoSuchPath) };
    Router::new()
        .route("/v1/chat/completions", post(openai))
        .route("/v1/models", get(models))
        .route("/v1/messages", post(anthropic))
        .route("/v1beta/models", get(gemini_models))
        .route("/v1beta/models/{*call}", post(gemini))
        .route("/api/chat", post(ollama))
        .route("/api/tags", get(ollama_models))
        .route("/api/version", get(|| async { Json(json!({"version": "0.12.0"})) }))
        .route("/model/{id}/converse", post(converse))
        .route("/model/{id}/converse-stream", post(converse_stream))
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

type Switch = ConnectInfo<ResetSwitch>;

async fn openai(State(shared): State<Shared>, switch: Switch, body: RequestBody) -> Response {
    answer(shared, switch, Dialect::OpenAi, Target::default(), body).await
}

async fn anthropic(State(shared): State<Shared>, switch: Switch, body: RequestBody) -> Response {
    answer(shared, switch, Dialect::Anthropic, Target::default(), body).await
}

async fn ollama(State(shared): State<Shared>, switch: Switch, body: RequestBody) -> Response {
    answer(shared, switch, Dialect::Ollama, Target::default(), body).await
}

async fn gemini(
    State(shared): State<Shared>,
    switch: Switch,
    Path(call): Path<String>,
    RawQuery(query): RawQuery,
    body: RequestBody,
) -> Response {
    let (model_id, method) = call.rsplit_once(':').unwrap_or((&call, ""));
    let query = query.unwrap_or_default();
    let streamed = match method {
        "generateContent" => false,
        "streamGenerateContent" if query.split('&').any(|it| it == "alt=sse") => true,
        "streamGenerateContent" => {
            return refused(Dialect::Gemini, &Rejection::NotServerSentEvents);
        }
        _ => return refused(Dialect::Gemini, &Rejection::NoSuchPath),
    };
    let target = Target { model_id: model_id.to_owned(), streamed };
    answer(shared, switch, Dialect::Gemini, target, body).await
}

async fn converse(
    State(shared): State<Shared>,
    switch: Switch,
    Path(model_id): Path<String>,
    headers: HeaderMap,
    body: RequestBody,
) -> Response {
    if !headers.contains_key(AUTHORIZATION) {
        return refused(Dialect::Bedrock, &Rejection::Unsigned);
    }
    let target = Target { model_id, streamed: false };
    answer(shared, switch, Dialect::Bedrock, target, body).await
}

async fn converse_stream(
    State(shared): State<Shared>,
    switch: Switch,
    Path(model_id): Path<String>,
    headers: HeaderMap,
    body: RequestBody,
) -> Response {
    if !headers.contains_key(AUTHORIZATION) {
        return refused(Dialect::Bedrock, &Rejection::Unsigned);
    }
    let target = Target { model_id, streamed: true };
    answer(shared, switch, Dialect::Bedrock, target, body).await
}

/// As OpenAI lists them, or Anthropic for who asks as its clients do.
async fn models(State(shared): State<Shared>, headers: HeaderMap) -> Json<Value> {
    let ids = shared.ledger.model_ids().into_iter();
    if headers.contains_key("anthropic-version") {
        let created = "2025-01-01T00:00:00Z";
        let row =
            |id| json!({"type": "model", "id": id, "display_name": id, "created_at": created});
        let data: Vec<Value> = ids.map(row).collect();
        return Json(json!({"data": data, "has_more": false, "first_id": null, "last_id": null}));
    }
    let row = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": "simulator"});
    Json(json!({"object": "list", "data": ids.map(row).collect::<Vec<_>>()}))
}

async fn gemini_models(State(shared): State<Shared>) -> Json<Value> {
    let methods = ["generateContent"];
    let row = |id| json!({"name": format!("models/{id}"), "supportedGenerationMethods": methods});
    let models: Vec<Value> = shared.ledger.model_ids().into_iter().map(row).collect();
    Json(json!({"models": models}))
}

async fn ollama_models(State(shared): State<Shared>) -> Json<Value> {
    let row = |id| json!({"name": id, "model": id, "size": 0, "details": {}});
    let models: Vec<Value> = shared.ledger.model_ids().into_iter().map(row).collect();
    Json(json!({"models": models}))
}

async fn answer(
    shared: Shared,
    ConnectInfo(switch): Switch,
    dialect: Dialect,
    target: Target,
    body: RequestBody,
) -> Response {
    match arrive(&shared.ledger, dialect, &target, body) {
        Ok((act, id)) => {
            let delivery = Delivery::new(shared.ledger, id);
            let line = Line { delivery, switch, stopped: shared.stopped };
            perform(act, dialect, line).await
        }
        Err(rejection) => refused(dialect, &rejection),
    }
}

fn arrive(
    ledger: &Ledger,
    dialect: Dialect,
    target: &Target,
    body: RequestBody,
) -> Result<(Act, LogId), Rejection> {
    let body = body.map_err(|it| match it.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Rejection::TooLarge,
        _ => Rejection::Unreadable,
    })?;
    let ask = dialect.ask(&body, target)?;
    let Some(call) = ledger.arrive(&ask.model_id) else {
        return Err(Rejection::UnknownModel(ask.model_id));
    };
    let (act, line) = act::decide(call, &ask, dialect);
    Ok((act, ledger.record(line)))
}

async fn perform(act: Act, dialect: Dialect, line: Line) -> Response {
    let (wait, grace) = match act.ending {
        Ending::Hang => (HANG_MAX, Duration::ZERO),
        Ending::Body(_)
        | Ending::HalfBody(_)
        | Ending::Stream(..)
        | Ending::Refused(_)
        | Ending::Reset => (act.wait, STOP_GRACE),
    };
    let in_time = wait.is_zero() || line.until(sleep(wait), grace).await;
    match act.ending {
        Ending::Body(body) if in_time => {
            line.delivery.done(act.tokens);
            typed("application/json", Body::from(body))
        }
        Ending::HalfBody(body) if in_time => {
            typed("application/json", stream::half(&body, act.tokens, line))
        }
        Ending::Stream(reply, plan) if in_time => {
            let kind = dialect.voice().stream_type();
            typed(kind, stream::body(dialect, *reply, plan, line))
        }
        Ending::Refused(refusal) if in_time => {
            line.delivery.done(0);
            refusal.response(dialect)
        }
        Ending::Body(_)
        | Ending::HalfBody(_)
        | Ending::Stream(..)
        | Ending::Refused(_)
        | Ending::Reset
        | Ending::Hang => {
            line.delivery.done(0);
            line.switch.throw();
            // Never written: the connection fails first.
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn typed(kind: &'static str, body: Body) -> Response {
    ([(CONTENT_TYPE, kind)], body).into_response()
}

fn refused(dialect: Dialect, rejection: &Rejection) -> Response {
    Refusal::of_rejection(rejection).response(dialect)
}
