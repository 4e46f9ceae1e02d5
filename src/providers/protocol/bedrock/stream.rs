//! The events of a streamed Converse answer.
//!
//! In: frames of an AWS event stream, named by their event or exception type. Out: [`Delta`]s.
//! Invariant: without `messageStop` a stream was cut; usage follows in `metadata`, the last event.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::anthropic::Pieces;
use super::super::{Asking, Decode, Progress};
use super::classify::told_in_stream;
use super::decode::{UsageBody, stop};
use crate::domain::{Delta, FailureClass, StreamEnd, Usage};
use crate::providers::framing::Frame;
use crate::providers::quirks::Quirks;

/// Reads one stream.
pub(in super::super) struct Decoder {
    pieces: Pieces,
    quirks: Quirks,
    usage: Usage,
    stopped: Option<StopBody>,
}

impl Decoder {
    pub(in super::super) fn new(asking: &Asking<'_>) -> Self {
        Self {
            pieces: Pieces::new(asking),
            quirks: asking.quirks.clone(),
            usage: Usage::default(),
            stopped: None,
        }
    }

    fn delta(&mut self, body: DeltaEvent, out: &mut Vec<Delta>) -> Result<(), FailureClass> {
        let DeltaEvent { content_block_index: at, delta } = body;
        if let Some(text) = delta.text {
            self.pieces.text(&text, out)?;
        }
        if let Some(call) = delta.tool_use {
            self.pieces.arguments(at, &call.input, out)?;
        }
        let Some(thought) = delta.reasoning_content else { return Ok(()) };
        if let Some(words) = thought.text {
            self.pieces.thought(at, &words, out)?;
        }
        if let Some(signature) = thought.signature {
            self.pieces.signature(at, &signature)?;
        }
        if let Some(data) = thought.redacted_content {
            self.pieces.secret(data, out);
        }
        Ok(())
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Delta>) -> Result<Progress, FailureClass> {
        match frame.event.as_str() {
            "contentBlockStart" => {
                let StartEvent { content_block_index: at, start } = read(frame)?;
                if let Some(call) = start.tool_use {
                    self.pieces.call(at, (call.tool_use_id, call.name), None, out)?;
                }
            }
            "contentBlockDelta" => self.delta(read(frame)?, out)?,
            "contentBlockStop" => {
                let StopEvent { content_block_index: at } = read(frame)?;
                self.pieces.close(at, out);
            }
            "messageStop" => self.stopped = Some(read(frame)?),
            "metadata" => {
                let MetadataEvent { usage } = read(frame)?;
                self.usage = usage.map(Usage::from).unwrap_or_default();
                // Nothing follows it, but only a stop before it makes an end.
                return Ok(Progress::Ended);
            }
            "messageStart" => {}
            // Events of other kinds are passed over, errors of other kinds are not.
            name if is_error(name) => {
                return Err(told_in_stream(name, &frame.data, &self.quirks));
            }
            _ => {}
        }
        Ok(Progress::More)
    }

    fn finish(&mut self, out: &mut Vec<Delta>) -> Result<StreamEnd, FailureClass> {
        let stopped = self.stopped.take().ok_or(FailureClass::StreamCut)?;
        self.pieces.end(stop(stopped.stop_reason.as_deref()), self.usage, out)
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

fn is_error(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("exception") || name.contains("error") || name.contains("failure")
}

fn read<T: DeserializeOwned>(frame: &Frame) -> Result<T, FailureClass> {
    serde_json::from_slice(&frame.data).map_err(|_| FailureClass::Malformed)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartEvent {
    content_block_index: u64,
    #[serde(default)]
    start: StartBody,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartBody {
    tool_use: Option<CallBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallBody {
    tool_use_id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaEvent {
    content_block_index: u64,
    delta: DeltaBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaBody {
    text: Option<String>,
    tool_use: Option<InputBody>,
    reasoning_content: Option<ThoughtBody>,
}

#[derive(Deserialize)]
struct InputBody {
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThoughtBody {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StopEvent {
    content_block_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StopBody {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct MetadataEvent {
    usage: Option<UsageBody>,
}
