//! OpenAI's chat completions, as OpenAI and those who copy it speak them.
//!
//! In: a chat request; status and body, or the chunks of a stream. Out: a body; an answer, its
//! pieces or a failure. Invariant: an answer in one piece is read as a stream of one chunk, so both
//! mean the same. Source: OpenAI's API reference (2025), and the quirks of compatible servers noted
//! where they are handled.

mod calls;
mod classify;
mod decode;
#[cfg(test)]
mod decode_tests;
mod encode;
mod messages;
mod reader;
mod shape;
mod stream;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
mod thinking;
mod wire;

pub(super) use decode::decode;
pub(super) use encode::encode;
pub(super) use stream::Decoder;
