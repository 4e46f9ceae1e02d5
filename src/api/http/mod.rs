//! The HTTP face: OpenAI's, Anthropic's and our own paths over the same pipeline as gRPC.
//!
//! In: HTTP requests. Out: JSON, or server-sent events. Invariant: what a dialect does not decide is
//! done once, for all of them (see [`dialect`]); every error has the dialect's shape. Not here: the
//! listener (see [`super::serve`]).

mod alike;
mod anthropic;
mod arguments;
mod details;
mod dialect;
mod extension;
mod fields;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handler;
mod headers;
mod limits;
mod openai;
mod problem;
mod provider;
mod responses;
mod rest;
mod said;
mod sse;
mod stream;
#[cfg(test)]
mod testing;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use http::HeaderMap;
use tonic::Status;
use tower_http::catch_panic::CatchPanicLayer;

use super::auth::is_grpc;
use super::defaults::Defaults;
use super::fault;
use super::life::Life;
use crate::pipeline::Pipeline;
use anthropic::Messages;
use handler::handle;
use openai::Completions;
pub(super) use problem::told_standing;
use responses::Responses;

const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

/// What every handler has.
pub(super) struct Face {
    /// What does the work.
    pub(super) pipeline: Arc<Pipeline>,
    /// What holds where a request says nothing.
    pub(super) defaults: Defaults,
    /// Whether the server still takes work.
    pub(super) life: Life,
}

/// Our paths beside gRPC's.
pub(super) fn routes(face: Face, grpc: Router) -> Router {
    let own = Router::new()
        .route("/v1/chat/completions", post(handle::<Completions>))
        .route(MESSAGES, post(handle::<Messages>))
        .route(RESPONSES, post(handle::<Responses>))
        .route("/v1/models", get(rest::models))
        .route("/v1/models/{*name}", get(rest::model))
        .route("/v1/rank", post(rest::rank))
        .route("/v1/feedback", post(rest::feedback))
        .merge(health())
        .method_not_allowed_fallback(rest::wrong_method)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(after_panic))
        .with_state(Arc::new(face));
    grpc.merge(own).fallback(unknown_path)
}

fn health() -> Router<Arc<Face>> {
    Router::new().route("/healthz", get(rest::healthz)).route("/readyz", get(rest::readyz))
}

/// A problem in the shape of the dialect that is spoken at a path.
pub(super) fn problem_at(path: &str, fault: &fault::Fault) -> http::Response<Body> {
    match path {
        MESSAGES => problem::response::<Messages>(fault),
        RESPONSES => problem::response::<Responses>(fault),
        _ => problem::response::<Completions>(fault),
    }
}

/// Health on the admin listener: as on the main one.
pub(super) fn admin_health(face: Arc<Face>) -> Router {
    health().with_state(face)
}

/// A path that is neither ours nor gRPC's, told in the caller's protocol.
async fn unknown_path(headers: HeaderMap) -> http::Response<Body> {
    if is_grpc(&headers) {
        return Status::unimplemented("no such service").into_http();
    }
    rest::unknown_path()
}

/// What the caller of a handler that panicked is told. The panic hook has logged the place.
fn after_panic(_panic: Box<dyn Any + Send + 'static>) -> http::Response<Body> {
    problem::response::<Completions>(&fault::panicked())
}
