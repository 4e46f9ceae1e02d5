//! What operators see and do: figures, the admin listener, stopping.
//!
//! In: servers in this process, and the program itself. Out: findings. Invariant: figures are compared
//! with what callers were told and with what the simulated providers counted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod admin;
mod dashboard;
mod drain;
mod figures;
mod pages;
mod scrape;
#[path = "../support/mod.rs"]
mod support;
