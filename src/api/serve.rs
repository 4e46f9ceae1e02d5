//! The server: one listener for gRPC and HTTP/1.1, with health and reflection, until told to stop.
//!
//! In: a bound listener and the phase of its life. Out: nothing, once the last request has ended.
//! Invariant: a request that panics takes only itself down; every message and every connection's
//! number of requests is bounded. Not here: which address, and what stops it.

use std::any::Any;
use std::sync::Arc;

use axum::{Router, middleware};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower_http::catch_panic::CatchPanicLayer;

use super::auth::{self, Door};
use super::defaults::Defaults;
use super::grpc::Grpc;
use super::http::Face;
use super::life::{Life, Phase};
use super::proto::pointsman_server::PointsmanServer;
use super::{proto, status};
use crate::access::Gate;
use crate::pipeline::Pipeline;

/// Longest message taken, in bytes: above every limit of validation, so that a prompt that is too
/// long gets a violation with the path of its field and not a bare "out of range".
const REQUEST_BYTES_MAX: usize = 32 << 20;
/// Most requests at the same time on one connection; more of them wait at the caller's end.
const STREAMS_MAX: u32 = 1_024;

/// A server that could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors in this binary do not decode.
    #[error("the reflection service cannot be built")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener or the protocol failed.
    #[error("the server failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until `life` says [`Phase::Stopping`], and then until the last request under way has its
/// answer. From [`Phase::Leaving`] on its health checks say that nobody new should come. With a `gate`
/// callers show their keys there.
///
/// # Errors
/// [`ServeError`] when it cannot start or the listener fails.
pub async fn serve(
    listener: TcpListener,
    pipeline: Arc<Pipeline>,
    defaults: impl Into<Defaults>,
    life: Life,
    gate: Option<Arc<Gate>>,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<PointsmanServer<Grpc>>().await;
    let defaults = defaults.into();
    let face =
        Face { pipeline: Arc::clone(&pipeline), defaults: defaults.clone(), life: life.clone() };
    let door = Arc::new(Door { gate, pipeline: Arc::clone(&pipeline) });
    let service = PointsmanServer::new(Grpc { pipeline, defaults })
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    let stopping = async move {
        life.clone().reached(Phase::Leaving).await;
        // Load balancers look here; who comes all the same still gets his answers.
        reporter.set_not_serving::<PointsmanServer<Grpc>>().await;
        life.reached(Phase::Stopping).await;
    };
    let own = ["pointsman.v1.Pointsman", "grpc.health.v1.Health"];
    let grpc = Routes::new(health)
        .add_service(reflection(&own).build_v1()?)
        .add_service(reflection(&own).build_v1alpha()?)
        .add_service(service);
    let routes = super::http::routes(face, grpc.into_axum_router());
    let routes = routes.layer(middleware::from_fn_with_state(door, auth::let_in));
    listen(listener, routes, STREAMS_MAX, stopping).await
}

/// Serves gRPC and HTTP/1.1 until told to stop, and then until the last request has its answer; so many
/// requests at the same time on one connection.
pub(super) async fn listen(
    listener: TcpListener,
    routes: Router,
    streams_max: u32,
    stopping: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    // A piece of an answer that waits for the acknowledgement of the one before comes 40 ms late. The
    // builder's own `tcp_nodelay` does not reach connections that are accepted elsewhere.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(streams_max)
        .layer(CatchPanicLayer::custom(after_panic))
        .add_routes(Routes::from(routes).prepare())
        .serve_with_incoming_shutdown(incoming, stopping)
        .await?;
    Ok(())
}

/// Reflection that lists these services and no others.
pub(super) fn reflection<'b>(services: &[&str]) -> tonic_reflection::server::Builder<'b> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    services.iter().fold(builder, |it, name| it.with_service_name(*name))
}

/// What the caller of a handler that panicked is told. The panic hook has logged the place.
fn after_panic(_panic: Box<dyn Any + Send + 'static>) -> http::Response<Body> {
    status::panicked().into_http()
}
