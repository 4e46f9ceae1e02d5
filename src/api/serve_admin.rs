//! The admin listener: the dashboard, metrics, health and `PointsmanAdmin`, on a port of their own.
//!
//! In: a bound listener, a key or none. Out: nothing, once it is told that everything is over.
//! Invariant: where there is a key, nothing is told or done without it (the dashboard's page, which is
//! the same everywhere, is there to ask for it); it outlives the main
//! listener, so that a server that drains can be watched. Not here: whether an address may do
//! without a key (see [`crate::config`]).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::service::Routes;

use super::admin::Admin;
use super::admin_key::AdminKey;
use super::auth::{self, is_grpc};
use super::dashboard::{self, Names};
use super::defaults::Defaults;
use super::http::{Face, admin_health};
use super::life::{Life, Phase};
use super::proto::pointsman_admin_server::PointsmanAdminServer;
use super::serve::{ServeError, listen, reflection};
use crate::access::Gate;
use crate::pipeline::Pipeline;
use crate::telemetry::Exposition;

/// Most requests at the same time on one connection: operators and one scraper.
const STREAMS_MAX: u32 = 64;

/// Who may look, and at what.
#[derive(Default)]
pub struct Operators {
    /// What opens the listener; without one, whoever reaches it may look.
    pub key: Option<AdminKey>,
    /// Where there is a key, those of callers that are an operator's open it too.
    pub gate: Option<Arc<Gate>>,
    /// What callers are served under where they say nothing, for the dashboard.
    pub defaults: Defaults,
}

/// Serves until `life` is over.
///
/// # Errors
/// [`ServeError`] when it cannot start or the listener fails.
pub async fn serve_admin(
    listener: TcpListener,
    operators: Operators,
    pipeline: Arc<Pipeline>,
    life: Life,
) -> Result<(), ServeError> {
    let over = life.clone().reached(Phase::Over);
    let Operators { key, gate, defaults } = operators;
    let lock = key.map(|key| Lock { key, gate, pipeline: Arc::clone(&pipeline) });
    let routes = routes(lock, Face { pipeline, defaults, life })?;
    listen(listener, routes, STREAMS_MAX, over).await
}

fn routes(lock: Option<Lock>, face: Face) -> Result<Router, ServeError> {
    let admin = PointsmanAdminServer::new(Admin { pipeline: Arc::clone(&face.pipeline) });
    let own = ["pointsman.v1.PointsmanAdmin"];
    let grpc = Routes::new(admin)
        .add_service(reflection(&own).build_v1()?)
        .add_service(reflection(&own).build_v1alpha()?);
    let face = Arc::new(face);
    let names = if lock.is_some() { Names::Any } else { Names::Local };
    let metrics = Router::new().route("/metrics", get(metrics)).with_state(Arc::clone(&face));
    let own = metrics.merge(dashboard::routes(Arc::clone(&face), names)).merge(admin_health(face));
    let whole = grpc.into_axum_router().merge(own).fallback(unknown_path);
    let whole = match lock {
        Some(lock) => whole.layer(middleware::from_fn_with_state(Arc::new(lock), ask_for_key)),
        None => whole,
    };
    Ok(whole.merge(dashboard::page_routes()))
}

/// `GET /metrics`.
async fn metrics(State(face): State<Arc<Face>>, headers: HeaderMap) -> Response<Body> {
    let accepted = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let format = Exposition::accepted(accepted);
    let mut response =
        Response::new(face.pipeline.metrics_text(face.life.is_ready(), format).into());
    let kind = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What opens the listener.
struct Lock {
    /// Its own key.
    key: AdminKey,
    /// Knows which callers' keys are an operator's.
    gate: Option<Arc<Gate>>,
    /// Counts who is turned away.
    pipeline: Arc<Pipeline>,
}

impl Lock {
    /// Whether either key is shown. Both are looked at, whichever it is.
    fn opens(&self, headers: &HeaderMap) -> bool {
        let gate = self.gate.as_ref().zip(auth::shown(headers));
        let operator = gate.is_some_and(|(gate, shown)| gate.is_admin(shown));
        self.key.is_shown(headers) | operator
    }
}

/// Lets nobody through who does not show a key.
async fn ask_for_key(
    State(lock): State<Arc<Lock>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if lock.opens(request.headers()) {
        return next.run(request).await;
    }
    lock.pipeline.metrics().auth_refused("not_admin");
    let message = "this listener wants its key: `authorization: Bearer KEY`";
    if is_grpc(request.headers()) {
        return Status::unauthenticated(message).into_http();
    }
    let mut response = refuse(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

async fn unknown_path(headers: HeaderMap) -> Response<Body> {
    let message = "no such path; this is the admin listener: there are / (the dashboard), /api, \
                   /metrics, /healthz, /readyz and gRPC's pointsman.v1.PointsmanAdmin";
    if is_grpc(&headers) {
        return Status::unimplemented(message).into_http();
    }
    refuse(StatusCode::NOT_FOUND, "UNKNOWN_PATH", message)
}

/// An error in OpenAI's shape, as everywhere else.
fn refuse(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let error =
        json!({ "error": { "message": message, "code": code, "type": "invalid_request_error" } });
    (status, Json(error)).into_response()
}
