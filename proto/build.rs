//! Turns `proto/` into Rust, without protoc.
//!
//! In: the `.proto` files. Out, in `OUT_DIR`: messages, server and client code, and the descriptor
//! set that reflection serves. Invariant: messages that hold prompts or answers get no derived
//! `Debug`; `src/api/proto.rs` gives them one that tells only their size.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const PROTOS: [&str; 2] = ["proto/pointsman/v1/pointsman.proto", "proto/pointsman/v1/admin.proto"];

/// Messages that hold content of callers or models.
const CONTENT: [&str; 20] = [
    "RouteRequest",
    "RouteResponse",
    "Message",
    "Part",
    "Image",
    "InlineImage",
    "Tool",
    "ToolCall",
    "ToolResult",
    "ResponseFormat",
    "FeedbackRequest",
    "Delta",
    "ReasoningBlock",
    "ReasoningEnd",
    "ToolCallBegin",
    "ToolCallArguments",
    "ExportOutcomesResponse",
    "ExportedOutcome",
    "ExportedFeedback",
    "DeleteOutcomesRequest",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("pointsman.v1.bin");
    std::fs::write(out, descriptors.encode_to_vec())?;
    let content = CONTENT.map(|it| format!(".pointsman.v1.{it}"));
    tonic_prost_build::configure().skip_debug(content).compile_fds(descriptors)?;
    Ok(())
}
