//! An answer read from the wire piece by piece.
//!
//! In: a response whose headers have come. Out: [`StreamItem`]s. Invariant: bytes are read only
//! when a piece is asked for; nothing is held beyond one chunk, what it decodes to, and the answer
//! so far where it must be checked at its end. An answer that came whole although a stream was
//! asked for is given in pieces all the same.

use std::collections::VecDeque;

use http::header::CONTENT_TYPE;

use super::super::call::{CallFailure, DeltaStream, StreamItem};
use super::super::check;
use super::super::framing::{Frame, Framer};
use super::super::protocol::{Asking, Decode, Progress};
use super::super::provider::Protocol;
use super::forced::Response;
use super::whole_answer;
use crate::domain::{Assembly, ChatRequest, ChatResponse, Delta, FailureClass, StreamEnd, Usage};

/// A stream of one provider's answer.
pub struct AnswerStream {
    response: Response,
    status: u16,
    dropped: Vec<String>,
    framer: Framer,
    decoder: Box<dyn Decode>,
    ready: VecDeque<Delta>,
    /// The request and the answer so far, where the whole must satisfy something.
    kept: Option<(ChatRequest, Assembly)>,
    end: Option<Result<StreamEnd, FailureClass>>,
    /// What came in one piece.
    usage: Option<Usage>,
}

impl AnswerStream {
    /// Looks at the headers; an answer that is no stream is read here.
    pub(super) async fn open(
        response: Response,
        protocol: Protocol,
        asking: &Asking<'_>,
        dropped: Vec<String>,
    ) -> Result<Self, CallFailure> {
        let status = response.status().as_u16();
        let is_json = response.headers().get(CONTENT_TYPE).is_some_and(is_plain_json);
        let kept =
            check::is_needed(asking.request).then(|| (asking.request.clone(), Assembly::default()));
        let mut stream = Self {
            response,
            status,
            dropped,
            framer: Framer::new(protocol.framing()),
            decoder: protocol.decoder(asking),
            ready: VecDeque::new(),
            kept,
            end: None,
            usage: None,
        };
        if (200..300).contains(&status) && !is_json {
            return Ok(stream);
        }
        let whole = whole_answer(&mut stream.response, protocol, asking).await?;
        let usage = whole.usage;
        (stream.kept, stream.usage) = (None, Some(usage));
        stream.end = Some(Ok(StreamEnd { finish: whole.finish, usage }));
        stream.ready = pieces(whole);
        Ok(stream)
    }

    fn failed(&self, class: FailureClass) -> CallFailure {
        let (status, usage) = (Some(self.status), DeltaStream::usage(self));
        CallFailure { status, usage, ..CallFailure::of(class) }
    }

    /// Reads until there is a piece or an end.
    async fn fill(&mut self) {
        while self.ready.is_empty() && self.end.is_none() {
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.take(&bytes),
                Ok(None) => self.close(),
                Err(_) => self.end = Some(Err(FailureClass::StreamCut)),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut frames = Vec::new();
        let cut = self.framer.push(bytes, &mut frames);
        self.decode(&frames);
        if cut.is_err() && self.end.is_none() {
            self.end = Some(Err(FailureClass::Malformed));
        }
    }

    fn close(&mut self) {
        let mut frames = Vec::new();
        // What is left may be half a frame, so that it does not parse: then the stream was cut.
        let cut = self.framer.finish(&mut frames).is_err();
        self.decode(&frames);
        let half = matches!(self.end, Some(Err(FailureClass::Malformed)));
        if self.end.is_none() {
            self.finish();
        }
        if cut || half {
            self.end = Some(Err(FailureClass::StreamCut));
        }
    }

    fn decode(&mut self, frames: &[Frame]) {
        let mut deltas = Vec::new();
        for frame in frames {
            match self.decoder.frame(frame, &mut deltas) {
                Ok(Progress::More) => {}
                Ok(Progress::Ended) => {
                    self.keep(deltas);
                    return self.finish();
                }
                Err(class) => {
                    self.end = Some(Err(class));
                    break;
                }
            }
        }
        self.keep(deltas);
    }

    fn keep(&mut self, deltas: Vec<Delta>) {
        if let Some((_, assembly)) = &mut self.kept {
            deltas.iter().for_each(|it| assembly.push(it));
        }
        self.ready.extend(deltas);
    }

    fn finish(&mut self) {
        let mut deltas = Vec::new();
        let end = self.decoder.finish(&mut deltas);
        self.keep(deltas);
        let checked = end.and_then(|end| match self.kept.take() {
            Some((request, assembly)) => {
                check::check(&request, &assembly.finish(end)).map(|()| end)
            }
            None => Ok(end),
        });
        self.end = Some(checked);
    }
}

impl DeltaStream for AnswerStream {
    async fn next(&mut self) -> Result<StreamItem, CallFailure> {
        self.fill().await;
        if let Some(delta) = self.ready.pop_front() {
            return Ok(StreamItem::Delta(delta));
        }
        match self.end {
            Some(Ok(end)) => Ok(StreamItem::End(end)),
            Some(Err(class)) => Err(self.failed(class)),
            // `fill` ends with one of both; without either, the stream ended without a word.
            None => Err(self.failed(FailureClass::StreamCut)),
        }
    }

    fn usage(&self) -> Usage {
        self.usage.unwrap_or_else(|| self.decoder.usage())
    }

    fn status(&self) -> u16 {
        self.status
    }

    fn dropped(&self) -> &[String] {
        &self.dropped
    }
}

/// `application/json`, which no stream is: an answer that came whole, or an error.
pub(super) fn is_plain_json(value: &http::HeaderValue) -> bool {
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// A whole answer as the pieces that a stream would have had.
fn pieces(whole: ChatResponse) -> VecDeque<Delta> {
    let mut pieces = VecDeque::new();
    for block in whole.reasoning {
        pieces.extend(block.text.map(Delta::Reasoning));
        pieces.push_back(Delta::ReasoningEnd(block.seal));
    }
    pieces.extend(whole.logprobs.map(Delta::Logprobs));
    pieces.extend(whole.text.map(Delta::Text));
    for (index, call) in whole.tool_calls.into_iter().enumerate() {
        pieces.push_back(Delta::ToolCall { index, id: call.id, name: call.name, seal: call.seal });
        pieces.push_back(Delta::Arguments { index, fragment: call.arguments });
    }
    pieces
}
