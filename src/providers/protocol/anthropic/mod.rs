//! Anthropic's Messages, and what is known of its models wherever they are served.
//!
//! In: a chat request, or status and body, or frames. Out: a body, or an answer or failure. Source:
//! Anthropic's API reference and the types of its Python SDK 2.12 (2026). Not here: keys.

mod classify;
mod claude;
mod decode;
mod encode;
mod pieces;
mod plan;
mod schema;
mod stream;
#[cfg(test)]
mod tests;
mod turns;

pub(super) use classify::{by_words, quirk, words};
pub(super) use claude::Claude;
pub(super) use decode::decode;
pub(super) use encode::{around_budget, encode, unknown};
pub(super) use pieces::{Pieces, Stop};
pub(super) use plan::{Choice, JsonBy, Plan, Thinking, past_tools, takes_strict};
pub(super) use stream::Decoder;
pub(super) use turns::{
    ASSISTANT, Turns, USER, arguments, image_format, note_detail, own_thought, tool_id, trim_last,
};

/// Whether the model goes on with an answer that was begun. Those up to 4.5 do, where they do not
/// think, and such a request is sent without thinking; newer ones refuse it (2026).
pub(super) fn takes_prefix(model_id: &str) -> bool {
    Claude::of(model_id).takes_prefill()
}
