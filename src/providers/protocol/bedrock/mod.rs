//! Amazon Bedrock's Converse.
//!
//! In: a chat request, or status and body, or frames. Out: a body, or an answer or failure. Source:
//! the service model `bedrock-runtime` 2023-09-30 of botocore 1.44 (2026). Not here: the signature
//! (see [`crate::providers`]) and what Claude models take (see [`super::anthropic`]).

mod classify;
mod decode;
mod encode;
mod stream;
#[cfg(test)]
mod tests;
mod turns;

pub(super) use decode::decode;
pub(super) use encode::{encode, takes_prefix};
pub(super) use stream::Decoder;
