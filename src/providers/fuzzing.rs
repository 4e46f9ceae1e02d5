//! What the fuzz targets (see `fuzz/`) may do with the decoders, which are private.
//!
//! In: bytes that a fuzzer makes up. Out: nothing; a panic is a find. Invariant: what is decoded
//! does not depend on where the bytes were split. Only in builds with the feature `fuzzing`. Not
//! here: the fuzzer; the readers of callers' requests, which are the API layer's.
//!
//! The first three bytes of an input are no data: how the decoder is asked (see [`Plan`]), how the
//! rest is split, and what the request wants. The corpus made from cassettes begins with them too.

use super::framing::{Frame, Framer, Framing, FramingError};
use super::protocol::{Answered, Asking, Delivery, Progress};
use super::{Protocol, Quirks, SchemaBy, check, sample};
use crate::domain::{Assembly, ChatRequest, Delta, FailureClass, ResponseFormat, StreamEnd, Tool};

/// Statuses that the decoders are asked to class, besides streams: what the first byte counts in.
const STATUSES: [u16; 15] =
    [200, 201, 204, 301, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 529];

/// Cuts server-sent events.
pub fn sse(input: &[u8]) {
    frames(Framing::Sse, input);
}

/// Cuts lines.
pub fn ndjson(input: &[u8]) {
    frames(Framing::Ndjson, input);
}

/// Cuts an AWS event stream; the caller puts the checksums right, or nothing would get past them.
pub fn event_stream(input: &[u8]) {
    frames(Framing::EventStream, input);
}

/// Decodes a whole answer or a stream. Event streams come as lines, since made up checksums
/// would be wrong: each frame its name, a newline, its data, and a zero byte.
pub fn protocol(protocol: Protocol, input: &[u8]) {
    let Some((plan, bytes)) = Plan::read(input) else { return };
    let Some(deployment) = sample::deployment(protocol.as_str()) else { return };
    let (request, quirks) = (plan.request(), plan.quirks());
    let asking = Asking {
        request: &request,
        deployment: &deployment,
        quirks: &quirks,
        delivery: plan.delivery,
    };
    match plan.status {
        Some(status) => {
            let answered = Answered { status, retry_after: None, body: bytes };
            if let Ok(whole) = protocol.decode(&answered, &asking) {
                let _ = check::check(&request, &whole);
            }
        }
        None => stream(protocol, &asking, &plan, bytes),
    }
}

/// What the first three bytes say.
struct Plan {
    /// The status of a whole answer; `None` for a stream.
    status: Option<u16>,
    delivery: Delivery,
    /// The seed of the places at which bytes are split.
    split: u8,
    wants: u8,
}

impl Plan {
    fn read(input: &[u8]) -> Option<(Self, &[u8])> {
        let ([how, split, wants], bytes) = input.split_first_chunk::<3>()?;
        // 0 is a stream, so that a corpus is written easily.
        let status = usize::from(*how % 16).checked_sub(1).and_then(|it| STATUSES.get(it)).copied();
        // A stream may be asked for, and an answer come in one piece.
        let whole = status.is_some() && *how < 128;
        let delivery = if whole { Delivery::Whole } else { Delivery::Stream };
        Some((Self { status, delivery, split: *split, wants: *wants }, bytes))
    }

    fn request(&self) -> ChatRequest {
        let schema = || {
            serde_json::json!({
                "type": "object",
                "properties": { "city": { "type": "string" } },
                "required": ["city"],
                "additionalProperties": false
            })
        };
        let mut request = ChatRequest::from_prompt("hello");
        if self.wants & 1 != 0 {
            let (name, schema) = ("answer".to_owned(), schema().into());
            request.response_format = ResponseFormat::JsonSchema { name, schema, strict: None };
        }
        if self.wants & 2 != 0 {
            let strict = Some(self.wants & 4 != 0);
            let (name, parameters) = ("get_weather".to_owned(), schema().into());
            request.tools = vec![Tool { name, description: "".into(), parameters, strict }];
        }
        request
    }

    fn quirks(&self) -> Quirks {
        let by_tool = (self.wants & 8 != 0).then_some(SchemaBy::Tool);
        Quirks { json_schema: by_tool, ..Quirks::default() }
    }

    /// The bytes in pieces of 1 to 16, or as one.
    fn pieces<'a>(&self, mut bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let (mut state, whole) = (self.split, self.split == 0);
        std::iter::from_fn(move || {
            state = state.wrapping_mul(5).wrapping_add(3);
            let most = if whole { bytes.len() } else { usize::from(state >> 4) + 1 };
            let (piece, rest) = bytes.split_at(most.min(bytes.len()));
            bytes = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

fn frames(framing: Framing, input: &[u8]) {
    let Some((plan, bytes)) = Plan::read(input) else { return };
    let whole = cut(framing, std::iter::once(bytes));
    let split = cut(framing, plan.pieces(bytes));
    assert!(whole == split, "the split changes the frames");
}

fn cut<'a>(
    framing: Framing,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Result<(), FramingError>) {
    let (mut framer, mut frames) = (Framer::new(framing), Vec::new());
    for piece in pieces {
        if let Err(error) = framer.push(piece, &mut frames) {
            return (frames, Err(error));
        }
    }
    let end = framer.finish(&mut frames);
    (frames, end)
}

fn stream(protocol: Protocol, asking: &Asking<'_>, plan: &Plan, bytes: &[u8]) {
    let whole = match protocol.framing() {
        Framing::EventStream => frames_of_lines(bytes),
        framing @ (Framing::Sse | Framing::Ndjson) => {
            let whole = cut(framing, std::iter::once(bytes));
            assert!(whole == cut(framing, plan.pieces(bytes)), "the split changes the frames");
            whole.0
        }
    };
    let (deltas, end) = decode(protocol, asking, &whole);
    let Ok(end) = end else { return };
    let mut assembly = Assembly::default();
    deltas.iter().for_each(|it| assembly.push(it));
    let _ = check::check(asking.request, &assembly.finish(end));
}

fn decode(
    protocol: Protocol,
    asking: &Asking<'_>,
    frames: &[Frame],
) -> (Vec<Delta>, Result<StreamEnd, FailureClass>) {
    let (mut decoder, mut deltas) = (protocol.decoder(asking), Vec::new());
    for frame in frames {
        match decoder.frame(frame, &mut deltas) {
            Ok(Progress::More) => {}
            Ok(Progress::Ended) => break,
            Err(class) => return (deltas, Err(class)),
        }
    }
    let _ = decoder.usage();
    let end = decoder.finish(&mut deltas);
    (deltas, end)
}

fn frames_of_lines(bytes: &[u8]) -> Vec<Frame> {
    let frame = |it: &[u8]| {
        let at = it.iter().position(|it| *it == b'\n').unwrap_or(it.len());
        let event = String::from_utf8_lossy(&it[..at]).into_owned();
        Frame { event, data: it.get(at + 1..).unwrap_or_default().to_vec() }
    };
    bytes.split(|it| *it == 0).filter(|it| !it.is_empty()).map(frame).collect()
}
