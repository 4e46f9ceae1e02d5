//! The faces of the service, gRPC and HTTP, over one pipeline: callers' on one port, operators' on
//! another.
//!
//! In: a listener, a [`crate::pipeline::Pipeline`], the default policy, a stop signal. Out: a
//! server. Invariant: a thin adapter: it checks and translates, and decides nothing; every problem
//! of a request is reported at once. Not here: providers, which this layer never names.

mod admin;
mod admin_key;
mod artifact;
mod auth;
mod chat_from_proto;
mod dashboard;
mod deadline;
mod defaults;
mod drill;
mod explain;
mod fault;
mod from_proto;
mod grpc;
mod grpc_stream;
mod http;
mod life;
mod limit;
mod outcomes;
mod policy;
mod preferences;
pub mod proto;
mod route;
mod scope;
mod serve;
mod serve_admin;
mod status;
#[cfg(test)]
mod testing;
mod to_proto;
mod turn_from_proto;
mod variants;

pub use admin_key::AdminKey;
pub use defaults::Defaults;
#[cfg(feature = "fuzzing")]
pub use http::fuzzing;
pub use life::{Life, LifeTeller, Phase};
pub use policy::policy_for;
pub use route::policy_on_route;
pub use serve::{ServeError, serve};
pub use serve_admin::{Operators, serve_admin};
pub use to_proto::rank_response;
