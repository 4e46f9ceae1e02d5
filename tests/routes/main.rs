//! Named routes through the public faces: conditions, weights, triggers, retries, timeouts, overrides;
//! and the configs of other gateways, imported.
#![allow(clippy::unwrap_used, reason = "a test may stop on the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod branches;
mod docs;
mod failures;
mod imported;
mod station;
