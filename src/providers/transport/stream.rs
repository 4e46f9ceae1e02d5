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
use super::super::seam::Seam;
use super::forced::Response;
use super::unchecked_answer;
use crate::domain::{Assembly, ChatRequest, ChatResponse, Delta, FailureClass, StreamEnd, Usage};

/// A stream of one provider's answer.
pub struct AnswerStream {
    response: Response,
    status: u16,
    dropped: Vec<String>,
    protocol: Protocol,
    framer: Framer,
    decoder: Box<dyn Decode>,
    ready: VecDeque<Delta>,
    /// Where it goes on with an answer that was begun.
    seam: Option<Seam>,
    received_bytes: u64,
    /// The request and the answer so far, where the whole must satisfy something.
    kept: Option<(ChatRequest, Assembly)>,
    end: Option<Result<StreamEnd, FailureClass>>,
    /// What came in one piece.
    usage: Option<Usage>,
}

impl AnswerStream {
    /// A stream of which nothing was read.
    pub(super) fn new(
        response: Response,
        protocol: Protocol,
        asking: &Asking<'_>,
        dropped: Vec<String>,
    ) -> Self {
        Self {
            status: response.status().as_u16(),
            response,
            dropped,
            protocol,
            framer: Framer::new(protocol.framing()),
            decoder: protocol.decoder(asking),
            ready: VecDeque::new(),
            seam: None,
            received_bytes: 0,
            kept: None,
            end: None,
            usage: None,
        }
    }

    /// Holds the answer, which begins with this text, against what `request` wants of it.
    pub(super) fn watched(mut self, request: &ChatRequest, begun: &str) -> Self {
        if check::is_needed(request) {
            let mut assembly = Assembly::default();
            assembly.push(&Delta::Text(begun.into()));
            self.kept = Some((request.clone(), assembly));
        }
        self
    }

    /// Lets through only what is new.
    pub(super) fn after(self, seam: Seam) -> Self {
        Self { seam: Some(seam), ..self }
    }

    /// Looks at the headers; an answer that is no stream is read here.
    pub(super) async fn begun(mut self, asking: &Asking<'_>) -> Result<Self, CallFailure> {
        let is_json = self.response.headers().get(CONTENT_TYPE).is_some_and(is_plain_json);
        if (200..300).contains(&self.status) && !is_json {
            return Ok(self);
        }
        let whole = unchecked_answer(&mut self.response, self.protocol, asking).await?;
        let end = StreamEnd { finish: whole.finish, usage: whole.usage };
        self.usage = Some(whole.usage);
        self.keep(pieces(whole));
        self.checked(end).map_err(|class| self.failed(class))?;
        self.end = Some(Ok(end));
        Ok(self)
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
        let mut deltas: Vec<Delta> = Vec::new();
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

    fn keep(&mut self, deltas: impl IntoIterator<Item = Delta>) {
        for delta in deltas {
            self.received_bytes += delta.written_bytes();
            let delta = match (&mut self.seam, delta) {
                (Some(seam), Delta::Text(text)) => Delta::Text(seam.pass(text.as_str()).into()),
                (_, other) => other,
            };
            self.take_in(delta);
        }
    }

    fn take_in(&mut self, delta: Delta) {
        if let Some((_, assembly)) = &mut self.kept {
            assembly.push(&delta);
        }
        self.ready.push_back(delta);
    }

    /// Whether the whole answer is what was wanted.
    fn checked(&mut self, end: StreamEnd) -> Result<(), FailureClass> {
        if let Some(held) = self.seam.as_mut().map(Seam::finish).filter(|it| !it.is_empty()) {
            self.take_in(Delta::Text(held.into()));
        }
        match self.kept.take() {
            Some((request, assembly)) => check::check(&request, &assembly.finish(end)),
            None => Ok(()),
        }
    }

    fn finish(&mut self) {
        let mut deltas = Vec::new();
        let end = self.decoder.finish(&mut deltas);
        self.keep(deltas);
        self.end = Some(end.and_then(|end| self.checked(end).map(|()| end)));
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

    fn received_bytes(&self) -> u64 {
        self.received_bytes
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
