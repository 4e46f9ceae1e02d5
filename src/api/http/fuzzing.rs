//! What a fuzz target may do with the readers of requests, which are private.
//!
//! In: bytes that a fuzzer makes up: the first says which dialect, the rest is a body. Out: nothing;
//! a panic is a find. Only in builds with the feature `fuzzing`. Not here: the fuzzer.

use super::anthropic::Messages;
use super::dialect::{Dialect, Said};
use super::openai::Completions;
use super::responses::Responses;
use crate::domain::Violation;

/// Reads a body as one dialect's request, and checks what it says.
pub fn request(input: &[u8]) {
    let Some((dialect, body)) = input.split_first() else { return };
    let Ok(fields) = serde_json::from_slice(body) else { return };
    let mut found: Vec<Violation> = Vec::new();
    let said: Said = match dialect % 3 {
        0 => Completions::read(fields, &mut found),
        1 => Messages::read(fields, &mut found),
        _ => Responses::read(fields, &mut found),
    };
    // Checked whatever was found: a stand-in must not break the checks.
    let _ = said.chat.validate();
}
