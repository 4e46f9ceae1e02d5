//! What operators see of the server's work: figures.
//!
//! In: decisions, what became of them, states read when somebody looks. Out: the text of `/metrics`,
//! the same figures one by one, and what the newest requests were like. Invariant: no prompt, answer,
//! key, request id or metadata is in any of it. Not here: when things happen (see [`crate::pipeline`]),
//! and the listener (see [`crate::api`]).

mod history;
mod metrics;

pub use history::{
    Alone, CalibrationBin, Frontier, Glance, History, LATENCY_QUANTILES, LatencyFigures, Point,
    SECONDS_MAX, Second, Step,
};
pub use metrics::{Delivery, Exposition, Face, Figures, InFlight, Metrics, Seen, Standing, States};
