//! What operators see of the server's work: figures.
//!
//! In: decisions, what became of them, states read when somebody looks. Out: the text of `/metrics`.
//! Invariant: no prompt, answer, key, request id or metadata is in any of it. Not here: when things
//! happen (see [`crate::pipeline`]), and the listener (see [`crate::api`]).

mod metrics;

pub use metrics::{Delivery, Exposition, Face, InFlight, Metrics, Seen, Standing, States};
