//! A provider that misbehaves on request: many made-up models on one address, speaking the protocols
//! of OpenAI, Anthropic, Gemini, Ollama and Bedrock, for the demo, for tests and for users' staging.
//!
//! In: models, a seed and a listener. Out: the paths of each protocol, whole answers and streams,
//! and a log of every call a model took. Invariant: the n-th call of a model depends on (seed, model,
//! n), the request and the faults asked for, on nothing else; what it says, where the model
//! [`SimulatedModel::continues`], not on n either. Not here: anything that chooses, retries or
//! learns; and no real provider is ever called.

mod act;
mod answer;
mod bill;
mod connection;
mod faults;
mod ledger;
mod model;
mod paths;
mod protocol;
mod refusal;
mod request;
mod schema;
mod script;
mod server;
mod stream;

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;

pub use crate::domain::{Fault, InvalidFault, parse_fault};
pub use faults::{FaultRates, Flap, InvalidRates};
pub use ledger::{CALLS_LOGGED_MAX, CallLog, SCRIPT_LEN_MAX, SimulatorError};
pub use model::{OutputTokens, SimulatedModel};
pub use protocol::Dialect;
pub use request::BODY_BYTES_MAX;
pub use script::{InvalidScript, parse_flap, parse_rates, parse_script};
pub use server::Simulator;
