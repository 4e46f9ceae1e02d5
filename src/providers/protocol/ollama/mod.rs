//! Ollama's own `/api/chat`.
//!
//! In: a chat request, or status and body, or frames. Out: a body, an answer or failure, deltas.
//! Source: Ollama's API reference and its server's types (0.12 to 0.13, 2025). A whole answer is a
//! stream of one line, so both are read by the same code.

mod classify;
mod decode;
mod encode;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_decode;

pub(super) use decode::{Decoder, decode};
pub(super) use encode::encode;
