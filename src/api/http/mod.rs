//! The HTTP face (only its dialects so far).
//!
//! In: JSON bodies. Out: our own request; answers, streams and errors in the caller's dialect.
//! Invariant: a dialect is pure. Not here: the server.
#![allow(dead_code, reason = "the server comes from another branch")]

mod anthropic;
mod arguments;
mod dialect;
mod object;
mod responses;
#[cfg(test)]
mod testing;
