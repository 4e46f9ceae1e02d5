//! Google's `generateContent`, as the Gemini API speaks it (v1beta).
//!
//! In: a chat request, or status and body, or frames. Out: a body, an answer or failure, deltas.
//! Source: the types of Google's `google-genai` package (3.4, 2026) and the Gemini API reference
//! (2025). A whole answer is a stream of one piece, so both are read by the same code.

mod classify;
mod contents;
mod decode;
mod encode;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_decode;
mod wire;

pub(super) use decode::{Decoder, decode};
pub(super) use encode::encode;

use super::Asking;
use crate::domain::ResponseFormat;
use crate::providers::quirks::SchemaBy;

/// Whether the schema of the answer is asked for by a tool that must be called. Gemini before 3
/// (2025) refuses its own field for schemas in a request that has tools.
fn answers_by_tool(asking: &Asking<'_>) -> bool {
    let by_tool = match asking.quirks.json_schema {
        Some(SchemaBy::Tool) => true,
        Some(SchemaBy::Native) | None => false,
    };
    by_tool && matches!(asking.request.response_format, ResponseFormat::JsonSchema { .. })
}
