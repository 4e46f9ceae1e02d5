//! The events of a streamed message.
//!
//! In: frames of server-sent events. Out: [`Delta`]s. Invariant: only `message_stop` ends a stream
//! well; events and deltas of unknown kinds are passed over, as the API asks of its clients.

use serde::Deserialize;
use serde_json::Value;

use super::super::{Asking, Decode, Progress};
use super::classify::told_in_stream;
use super::decode::{BlockBody, Told, UsageBody, begin, stop};
use super::pieces::{Pieces, Stop};
use crate::domain::{Delta, FailureClass, StreamEnd, Usage};
use crate::providers::framing::Frame;
use crate::providers::quirks::Quirks;

/// Reads one stream.
pub(in super::super) struct Decoder {
    pieces: Pieces,
    quirks: Quirks,
    told: Told,
    stop: Stop,
    is_ended: bool,
}

impl Decoder {
    pub(in super::super) fn new(asking: &Asking<'_>) -> Self {
        Self {
            pieces: Pieces::new(asking),
            quirks: asking.quirks.clone(),
            told: Told::default(),
            stop: Stop::Broken,
            is_ended: false,
        }
    }

    fn delta(
        &mut self,
        at: u64,
        delta: DeltaBody,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        match delta {
            DeltaBody::TextDelta { text } => self.pieces.text(&text, out),
            DeltaBody::InputJsonDelta { partial_json } => {
                self.pieces.arguments(at, &partial_json, out)
            }
            DeltaBody::ThinkingDelta { thinking } => self.pieces.thought(at, &thinking, out),
            DeltaBody::SignatureDelta { signature } => self.pieces.signature(at, &signature),
            DeltaBody::Other => Ok(()),
        }
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Delta>) -> Result<Progress, FailureClass> {
        let event = serde_json::from_slice(&frame.data).map_err(|_| FailureClass::Malformed)?;
        match event {
            Event::MessageStart { message } => {
                self.told.update(&message.usage.unwrap_or_default());
            }
            Event::ContentBlockStart { index, content_block } => {
                begin(&mut self.pieces, index, content_block, out)?;
            }
            Event::ContentBlockDelta { index, delta } => self.delta(index, delta, out)?,
            Event::ContentBlockStop { index } => self.pieces.close(index, out),
            Event::MessageDelta { delta, usage } => {
                self.told.update(&usage.unwrap_or_default());
                if delta.stop_reason.is_some() {
                    self.stop = stop(delta.stop_reason.as_deref());
                }
            }
            Event::MessageStop => {
                self.is_ended = true;
                return Ok(Progress::Ended);
            }
            Event::Error { error } => return Err(told_in_stream(&error, &self.quirks)),
            Event::Other => {}
        }
        Ok(Progress::More)
    }

    fn finish(&mut self, out: &mut Vec<Delta>) -> Result<StreamEnd, FailureClass> {
        if !self.is_ended {
            return Err(FailureClass::StreamCut);
        }
        self.pieces.end(self.stop, self.told.usage(), out)
    }

    fn usage(&self) -> Usage {
        self.told.usage()
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: MessageBody,
    },
    ContentBlockStart {
        index: u64,
        content_block: BlockBody,
    },
    ContentBlockDelta {
        index: u64,
        delta: DeltaBody,
    },
    ContentBlockStop {
        index: u64,
    },
    MessageDelta {
        delta: StopBody,
        usage: Option<UsageBody>,
    },
    MessageStop,
    Error {
        #[serde(default)]
        error: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct MessageBody {
    usage: Option<UsageBody>,
}

#[derive(Deserialize)]
struct StopBody {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum DeltaBody {
    TextDelta {
        text: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    ThinkingDelta {
        thinking: String,
    },
    SignatureDelta {
        signature: String,
    },
    #[serde(other)]
    Other,
}
