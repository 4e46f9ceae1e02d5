//! Callers with keys, through both public faces: who is let in, to what, how often and for how much.
//!
//! In: servers in this process with a key store. Out: findings. Invariant: money is compared with what
//! callers were told, with the outcome log and with the key store.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod desk;
mod doors;
mod rates;
mod scopes;
mod spending;
#[path = "../support/mod.rs"]
mod support;
