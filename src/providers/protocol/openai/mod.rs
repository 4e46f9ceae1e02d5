//! OpenAI's chat completions, as OpenAI and those who copy it speak them.
//!
//! In: a chat request, or status and body. Out: a body, or an answer or failure. Source: OpenAI's
//! API reference (2025), and the quirks of compatible servers noted where they are handled.

mod classify;
mod decode;
mod encode;
mod stream;
#[cfg(test)]
mod tests;

pub(super) use decode::decode;
pub(super) use encode::encode;
pub(super) use stream::Decoder;
