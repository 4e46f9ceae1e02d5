//! A provider that misbehaves on request: many made-up models on one address, speaking OpenAI's
//! protocol, for the demo, for tests and for users' staging.
//!
//! In: models, a seed and a listener. Out: `POST /v1/chat/completions` (whole answers, not
//! streamed) and `GET /v1/models`, and a log of every call a model took. Invariant: the n-th call
//! of a model depends on (seed, model, n), the request and the faults asked for, on nothing else.
//! Not here: anything that chooses, retries or learns; and no real provider is ever called.

mod act;
mod answer;
mod connection;
mod faults;
mod ledger;
mod model;
mod refusal;
mod request;
mod schema;
mod script;
mod server;

#[cfg(test)]
mod tests;

pub use faults::{Fault, FaultRates, InvalidRates};
pub use ledger::{CALLS_LOGGED_MAX, CallLog, SCRIPT_LEN_MAX, SimulatorError};
pub use model::{OutputTokens, SimulatedModel};
pub use request::BODY_BYTES_MAX;
pub use script::{InvalidFault, parse_fault, parse_rates, parse_script};
pub use server::Simulator;
