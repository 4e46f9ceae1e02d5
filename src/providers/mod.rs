//! Who serves models, and how they are spoken to.
//!
//! In: built-in rows and the operator's config; a request for one deployment. Out: [`Provider`]s; an
//! answer, or a classed failure. Invariant: a provider is a row of data, a protocol is pure
//! encoding and decoding, and [`HttpCaller`] is the only thing that sends; keys are never printed.
//! Not here: which model is asked (see [`crate::ranking`]) and what follows a failure (see
//! [`crate::dispatch`]).

mod auth;
mod call;
mod check;
mod drill;
#[cfg(test)]
mod fixtures;
mod framing;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod protocol;
mod provider;
mod quirks;
#[cfg(any(test, feature = "fuzzing"))]
mod sample;
mod seam;
mod transport;

pub use call::{Begun, CallFailure, Caller, DeltaStream, Reply, StreamItem};
pub use drill::{Armed, Drill};
pub use provider::{
    ApiKey, AuthScheme, AwsKey, Protocol, Provider, ProviderRow, builtin_rows, builtin_text,
};
pub use quirks::{AssistantPrefix, MaxTokensField, Parameter, Quirks, SchemaBy};
pub use transport::{AnswerStream, HttpCaller, TransportError};
