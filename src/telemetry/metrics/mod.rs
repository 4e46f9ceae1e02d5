//! Prometheus metrics of one server.
//!
//! In: requests that ended, states. Out: the exposition text. Invariant: labels are bounded by the
//! fleet and by enums; one registry per pipeline and no global one, so that two servers in one
//! process count apart. Counting takes a few lookups per request; states are read when scraped.
//! `prometheus-client` is Prometheus' own crate: its histograms are of constant size, where the
//! buffers of `metrics-exporter-prometheus` grow until somebody scrapes (0.18, 2026).

mod families;
mod figures;
mod labels;
mod observe;
#[cfg(test)]
mod observe_tests;
mod states;
mod text;

pub use families::Metrics;
pub use figures::Figures;
pub use labels::{Delivery, Face};
pub use observe::{InFlight, Seen};
pub use states::{Standing, States};
pub use text::Exposition;
