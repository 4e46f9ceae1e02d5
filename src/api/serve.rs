//! The server: one listener for gRPC and HTTP/1.1, with health and reflection, until told to stop.
//!
//! In: a bound listener and a stop signal. Out: nothing, once the last request has ended.
//! Invariant: a request that panics takes only itself down; every message and every connection's
//! number of requests is bounded. Not here: which address, and what stops it.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower_http::catch_panic::CatchPanicLayer;

use super::admin::Admin;
use super::grpc::Grpc;
use super::http::Face;
use super::proto::pointsman_admin_server::PointsmanAdminServer;
use super::proto::pointsman_server::PointsmanServer;
use super::{proto, status};
use crate::pipeline::Pipeline;
use crate::ranking::Policy;

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

/// Serves until `shutdown` ends, and then until the last request under way has its answer.
///
/// # Errors
/// [`ServeError`] when it cannot start or the listener fails.
pub async fn serve(
    listener: TcpListener,
    pipeline: Arc<Pipeline>,
    defaults: Policy,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<PointsmanServer<Grpc>>().await;
    let stops = Arc::new(AtomicBool::new(false));
    let face = http_face(&pipeline, &defaults, &stops);
    let admin = PointsmanAdminServer::new(Admin { pipeline: Arc::clone(&pipeline) });
    let service = PointsmanServer::new(Grpc { pipeline, defaults })
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let stopping = async move {
        shutdown.await;
        stops.store(true, Ordering::Relaxed);
        // Load balancers look here; who is connected already still gets his answers.
        reporter.set_not_serving::<PointsmanServer<Grpc>>().await;
    };
    let grpc = Routes::new(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(service)
        .add_service(admin);
    let routes = super::http::routes(face, grpc.into_axum_router());
    // A piece of an answer that waits for the acknowledgement of the one before comes 40 ms late. The
    // builder's own `tcp_nodelay` does not reach connections that are accepted elsewhere.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(STREAMS_MAX)
        .layer(CatchPanicLayer::custom(after_panic))
        .add_routes(Routes::from(routes).prepare())
        .serve_with_incoming_shutdown(incoming, stopping)
        .await?;
    Ok(())
}

fn http_face(pipeline: &Arc<Pipeline>, defaults: &Policy, stops: &Arc<AtomicBool>) -> Face {
    let (pipeline, defaults) = (Arc::clone(pipeline), defaults.clone());
    Face { pipeline, defaults, stopping: Arc::clone(stops) }
}

/// What the caller of a handler that panicked is told. The panic hook has logged the place.
fn after_panic(_panic: Box<dyn Any + Send + 'static>) -> http::Response<Body> {
    status::panicked().into_http()
}
