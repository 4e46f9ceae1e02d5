//! The chunks of a chat completion, as they are streamed.
//!
//! In: frames of server-sent events. Out: [`Delta`]s, then how it ended. Invariant: a stream is whole
//! once a finish reason was there; `[DONE]` without one is no end. Usage comes after that, in a
//! chunk without choices. Not here: how bytes become frames.

use super::super::{Answered, Asking, Decode, Progress};
use super::classify::classify;
use super::reader::Reader;
use super::wire::Body;
use crate::domain::{Delta, FailureClass, StreamEnd, Usage};
use crate::providers::framing::Frame;
use crate::providers::quirks::Quirks;

/// What stands after the last chunk.
const DONE: &[u8] = b"[DONE]";

/// Reads one stream.
pub(in super::super) struct Decoder {
    reader: Reader,
    quirks: Quirks,
    usage: Usage,
}

impl Decoder {
    pub(in super::super) fn new(asking: &Asking<'_>) -> Self {
        let (reader, quirks) = (Reader::new(asking), asking.quirks.clone());
        Self { reader, quirks, usage: Usage::default() }
    }

    /// The status of a stream says nothing: it was sent before the error happened.
    fn failed(&self, data: &[u8]) -> FailureClass {
        let answered = Answered { status: 200, retry_after: None, body: data };
        classify(&answered, &self.quirks).class
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Delta>) -> Result<Progress, FailureClass> {
        let data = frame.data.trim_ascii();
        if data == DONE {
            return Ok(Progress::Ended);
        }
        if frame.event == "error" {
            return Err(self.failed(data));
        }
        if data.is_empty() {
            return Ok(Progress::More);
        }
        let body: Body = serde_json::from_slice(data).map_err(|_| FailureClass::Malformed)?;
        // Counts so far, with those who tell them in every chunk: the last one holds.
        self.usage = body.usage().unwrap_or(self.usage);
        if body.is_error() {
            return Err(self.failed(data));
        }
        // One answer was asked for.
        let first = body.choices.unwrap_or_default().into_iter().find(|it| it.index == 0);
        if let Some(choice) = first {
            self.reader.take(choice, out)?;
        }
        Ok(Progress::More)
    }

    fn finish(&mut self, out: &mut Vec<Delta>) -> Result<StreamEnd, FailureClass> {
        let finish = self.reader.finish(out)?;
        Ok(StreamEnd { finish, usage: self.usage })
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}
