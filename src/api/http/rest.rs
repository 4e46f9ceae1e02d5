//! Our own paths: models, choosing without calling, feedback, health.
//!
//! In: HTTP requests. Out: JSON; errors in OpenAI's shape. Invariant: `rank` calls, spends and
//! counts nothing. Not here: what models are asked.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::fields::{Fields, report};
use super::openai::Completions;
use super::said::{AUTO, Wanted, wanted};
use super::{Face, details, limits, problem};
use crate::api::auth::Asker;
use crate::api::fault::{self, Fault, Kind};
use crate::api::{from_proto, policy, proto, scope};
use crate::catalog::{Deployment, Model};
use crate::domain::{ModelName, Violation};
use crate::outcome::{Feedback, FeedbackKind, FeedbackReceipt};
use crate::ranking::{Availability, Preference};

/// Who OpenAI's `owned_by` names for the models that are ours.
const OWNER: &str = "pointsman";
const FEEDBACK: [&str; 5] = ["decision_id", "score", "kind", "comment", "idempotency_key"];

fn answer(result: Result<Value, Fault>) -> Response<Body> {
    match result {
        Ok(body) => problem::json(&body),
        Err(fault) => problem::response::<Completions>(&fault),
    }
}

fn refuse(kind: Kind, reason: &str, message: &str) -> Response<Body> {
    problem::response::<Completions>(&Fault::new(kind, reason, message))
}

/// What axum finds of the asker; nothing where nobody is asked who he is.
type Asked = Option<Extension<Asker>>;

fn asker(of: Asked) -> Asker {
    of.map(|it| it.0).unwrap_or_default()
}

/// `GET /v1/models`: those that the asker may use.
pub(super) async fn models(State(face): State<Arc<Face>>, by: Asked) -> Response<Body> {
    let by = asker(by);
    let own = auto_names().into_iter().map(|it| auto(&it));
    let served = face.pipeline.fleet().models();
    let served = served.iter().filter(|it| by.may_see(it)).map(|it| model_json(&face, it));
    problem::json(&json!({ "object": "list", "data": own.chain(served).collect::<Vec<_>>() }))
}

/// `GET /v1/models/{name}`; names may have slashes in them.
pub(super) async fn model(
    State(face): State<Arc<Face>>,
    by: Asked,
    Path(name): Path<String>,
) -> Response<Body> {
    if auto_names().contains(&name) {
        return problem::json(&auto(&name));
    }
    let models = face.pipeline.fleet().models();
    let by = asker(by);
    let mut seen = models.iter().filter(|it| by.may_see(it));
    if let Some(found) = seen.find(|it| it.name.as_str() == name) {
        return problem::json(&model_json(&face, found));
    }
    let message = match ModelName::new(&name) {
        Ok(name) => policy::unknown(&name, face.pipeline.fleet()),
        Err(why) => why.to_string(),
    };
    refuse(Kind::UnknownModel, "UNKNOWN_MODEL", &message)
}

fn auto_names() -> Vec<String> {
    let presets = Preference::PRESETS.iter().map(|(it, _)| format!("{AUTO}:{it}"));
    std::iter::once(AUTO.to_owned()).chain(presets).collect()
}

fn auto(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 0, "owned_by": OWNER })
}

fn model_json(face: &Face, model: &Model) -> Value {
    let fleet = face.pipeline.fleet().deployments().iter();
    let own = fleet.filter(|it| it.model.name == model.name);
    let availability = face.pipeline.availability();
    json!({
        "id": model.name,
        "object": "model",
        // The catalog knows the day at best; `released` tells it.
        "created": 0,
        "owned_by": model.vendor,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "abilities": model.abilities,
        "released": model.released,
        "deployments": own.map(|it| deployment(it, &availability)).collect::<Vec<_>>(),
    })
}

fn deployment(of: &Deployment, availability: &Availability) -> Value {
    let unavailable = availability.of(&of.id).map(ToString::to_string);
    json!({
        "id": of.id,
        "provider": of.provider,
        "model_id": of.model_id,
        "input_usd_per_million": of.price.input.usd_per_million(),
        "cached_usd_per_million": of.price.cached.map(|it| it.usd_per_million()),
        "output_usd_per_million": of.price.output.usd_per_million(),
        "last_resort": of.last_resort,
        "unavailable": unavailable,
        "data_collection": of.terms.data_collection,
        "zdr": of.terms.zdr,
        "quantization": of.terms.quantization,
    })
}

/// `POST /v1/rank`: the body of a chat completion.
pub(super) async fn rank(
    State(face): State<Arc<Face>>,
    by: Asked,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let read = limits::object(&headers, body);
    let read = read.and_then(|it| wanted::<Completions>(&face, &headers, it));
    match read.and_then(|it| it.asked_by(asker(by), &face)) {
        Ok(wanted) => answer(ranked(face, wanted).await),
        Err(fault) => problem::response::<Completions>(&fault),
    }
}

/// Ranks away from the threads that serve connections.
async fn ranked(face: Arc<Face>, wanted: Wanted) -> Result<Value, Fault> {
    let explain = wanted.explain();
    let work = move || {
        let session = wanted.wire.session_id.map(|it| wanted.asker.own(it));
        face.pipeline.rank_in(session.as_deref(), &wanted.chat, &wanted.policy)
    };
    let decision = tokio::task::spawn_blocking(work).await.unwrap_or_else(|it| Err(it.into()));
    let decision = decision.map_err(|it| fault::broken(&it))?;
    Ok(details::of_decision(&decision, explain))
}

/// `POST /v1/feedback`.
pub(super) async fn feedback(
    State(face): State<Arc<Face>>,
    by: Asked,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let read = limits::object(&headers, body).map(Fields::body);
    match read.and_then(read_feedback) {
        Ok(feedback) => answer(stored(&face, &asker(by), feedback).await),
        Err(fault) => problem::response::<Completions>(&fault),
    }
}

async fn stored(face: &Face, by: &Asker, feedback: Feedback) -> Result<Value, Fault> {
    scope::may_rate(by, feedback.decision, &face.pipeline).await?;
    let receipt = face.pipeline.feedback(feedback).await;
    let newly_stored = match receipt.map_err(|it| fault::not_stored(&it))? {
        FeedbackReceipt::Stored => true,
        FeedbackReceipt::AlreadyStored => false,
        FeedbackReceipt::UnknownDecision => return Err(fault::unknown_decision()),
    };
    Ok(json!({ "newly_stored": newly_stored }))
}

fn read_feedback(mut fields: Fields) -> Result<Feedback, Fault> {
    let mut found = Vec::new();
    let kind = fields.text("kind", &mut found);
    let kind = kind.map_or(0, |it| feedback_kind(&it, &mut found));
    let wire = proto::FeedbackRequest {
        decision_id: fields.text("decision_id", &mut found).unwrap_or_default(),
        score: fields.number("score", &mut found),
        kind,
        comment: fields.text("comment", &mut found),
        idempotency_key: fields.text("idempotency_key", &mut found),
    };
    fields.deny_rest(&FEEDBACK, &mut found);
    match from_proto::feedback(wire) {
        Ok(feedback) if found.is_empty() => Ok(feedback),
        Ok(_) => Err(fault::invalid(&found)),
        Err(more) => {
            let told: Vec<_> = found.iter().map(|it| it.field.clone()).collect();
            found.extend(more.into_iter().filter(|it| !told.contains(&it.field)));
            Err(fault::invalid(&found))
        }
    }
}

fn feedback_kind(name: &str, found: &mut Vec<Violation>) -> i32 {
    use proto::FeedbackKind as Wire;
    let kind = FeedbackKind::ALL.into_iter().find(|it| it.as_str() == name);
    let wire = match kind {
        Some(FeedbackKind::Explicit) => Wire::Explicit,
        Some(FeedbackKind::Judge) => Wire::Judge,
        Some(FeedbackKind::ExactMatch) => Wire::ExactMatch,
        Some(FeedbackKind::Implicit) => Wire::Implicit,
        None => {
            let names = FeedbackKind::ALL.map(FeedbackKind::as_str).join(", ");
            report(found, "kind", format!("no such kind; the kinds are {names}"));
            Wire::Unspecified
        }
    };
    wire.into()
}

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> Response<Body> {
    problem::json(&json!({ "status": "ok" }))
}

/// `GET /readyz`: it takes work, too, and can call at least one deployment.
pub(super) async fn readyz(State(face): State<Arc<Face>>) -> Response<Body> {
    if !face.life.is_ready() {
        return refuse(Kind::Stopping, "STOPPING", "the server is stopping");
    }
    let (fleet, availability) = (face.pipeline.fleet(), face.pipeline.availability());
    if fleet.deployments().iter().all(|it| availability.of(&it.id).is_some()) {
        let message = "no deployment can be called now";
        return refuse(Kind::AllShut, "NOTHING_AVAILABLE", message);
    }
    problem::json(&json!({ "status": "ok" }))
}

/// Another method than the path has.
pub(super) async fn wrong_method() -> Response<Body> {
    refuse(Kind::WrongMethod, "WRONG_METHOD", "this path is not served under this method")
}

/// No such path.
pub(super) fn unknown_path() -> Response<Body> {
    let message = "no such path; there are /v1/chat/completions, /v1/messages, /v1/responses, \
                   /v1/models, /v1/rank, /v1/feedback, /healthz, /readyz and gRPC";
    refuse(Kind::UnknownPath, "UNKNOWN_PATH", message)
}
