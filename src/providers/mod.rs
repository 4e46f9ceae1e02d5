//! The providers of models: rows of data, wire formats, and the one sender of HTTP requests.
//!
//! In: a deployment and a chat request. Out: a [`Reply`], or a [`CallFailure`] with its class.
//! Invariant: neither prompts, answers nor keys are in any error or `Debug`. Not here: which
//! deployment is called, and what happens after a failure (see [`crate::dispatch`]).

mod call;
mod protocol;
mod provider;
mod transport;

pub use call::{CallFailure, Caller, Reply};
pub use provider::{ApiKey, Protocol, Provider};
pub use transport::{HttpCaller, TransportError};
