//! What callers and operators say about providers and deployments, through the public faces of a whole
//! server with simulated providers behind it. The snippets are those of docs/controls.md.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod among;
mod limits;
mod names;
mod openrouter;
mod town;
mod usage;
