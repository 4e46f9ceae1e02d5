//! The wire format: what `proto/` generates.
//!
//! In: `proto/build.rs`'s output. Out: messages, server and client of `pointsman.v1`. Invariant:
//! `Debug` of a message that holds prompts or answers tells only its size.

#![allow(missing_docs, reason = "generated; the comments of proto/ are its docs")]
#![allow(unreachable_pub, clippy::all, clippy::too_many_lines, reason = "generated")]

use std::fmt;

use prost::Message as _;

tonic::include_proto!("pointsman.v1");

/// The descriptors that reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pointsman.v1.bin"));

macro_rules! sizes_only {
    ($($message:ident),+) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($message), " <{} bytes>"), self.encoded_len())
            }
        }
    )+};
}

sizes_only!(
    RouteRequest,
    RouteResponse,
    Message,
    Part,
    Image,
    InlineImage,
    Tool,
    ToolCall,
    ToolResult,
    ResponseFormat,
    FeedbackRequest,
    Delta,
    ReasoningBlock,
    ReasoningEnd,
    ToolCallBegin,
    ToolCallArguments,
    ExportOutcomesResponse,
    ExportedOutcome,
    ExportedFeedback,
    DeleteOutcomesRequest
);
