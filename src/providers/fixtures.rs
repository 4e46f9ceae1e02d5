//! What the tests of this layer share: one small deployment, cassettes, answers read from them.

use serde_json::Value;

use super::call::CallFailure;
use super::framing::{Frame, Framer};
use super::protocol::{Answered, Asking, Delivery, Progress};
use super::provider::Protocol;
use super::quirks::Quirks;
use super::sample;
use crate::catalog::Deployment;
use crate::domain::{Assembly, ChatRequest, ChatResponse, Delta, FailureClass, Usage};

/// `tests/cassettes/PROTOCOL/NAME.json`.
pub(super) fn cassette(protocol: Protocol, name: &str) -> Value {
    serde_json::from_slice(&bytes(protocol, &format!("{name}.json"))).unwrap()
}

/// `tests/cassettes/PROTOCOL/FILE`.
pub(super) fn bytes(protocol: Protocol, file: &str) -> Vec<u8> {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read(format!("{root}/tests/cassettes/{}/{file}", protocol.as_str())).unwrap()
}

/// The model `model-1` at this provider.
pub(super) fn deployment(provider: &str) -> Deployment {
    sample::deployment(provider).unwrap()
}

/// Asks the deployment for an answer in one piece, of a provider without quirks.
pub(super) fn asking<'a>(
    request: &'a ChatRequest,
    deployment: &'a Deployment,
    quirks: &'a Quirks,
) -> Asking<'a> {
    Asking { request, deployment, quirks, delivery: Delivery::Whole }
}

/// Reads a cassette `{"status": 200, "body": ...}`; a body that is a string stands for those bytes.
pub(super) fn read(
    protocol: Protocol,
    name: &str,
    request: &ChatRequest,
) -> Result<ChatResponse, CallFailure> {
    let cassette = cassette(protocol, name);
    let status = cassette["status"].as_u64().and_then(|it| u16::try_from(it).ok()).unwrap();
    let body = match &cassette["body"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let answered = Answered { status, retry_after: None, body: body.as_bytes() };
    let (deployment, quirks) = (deployment("test"), Quirks::default());
    protocol.decode(&answered, &asking(request, &deployment, &quirks))
}

/// Reads a recorded stream, given in chunks of `chunk` bytes: its pieces, and the whole answer.
pub(super) fn stream(
    protocol: Protocol,
    recorded: &[u8],
    chunk: usize,
    request: &ChatRequest,
) -> (Vec<Delta>, Result<ChatResponse, (FailureClass, Usage)>) {
    let (deployment, quirks) = (deployment("test"), Quirks::default());
    let asking = Asking { delivery: Delivery::Stream, ..asking(request, &deployment, &quirks) };
    let mut decoder = protocol.decoder(&asking);
    let mut framer = Framer::new(protocol.framing());
    let (mut frames, mut deltas): (Vec<Frame>, Vec<Delta>) = (Vec::new(), Vec::new());
    recorded.chunks(chunk).for_each(|it| framer.push(it, &mut frames).unwrap());
    framer.finish(&mut frames).unwrap();
    for frame in &frames {
        match decoder.frame(frame, &mut deltas) {
            Ok(Progress::More) => {}
            Ok(Progress::Ended) => break,
            Err(class) => return (deltas, Err((class, decoder.usage()))),
        }
    }
    let end = decoder.finish(&mut deltas);
    let mut assembly = Assembly::default();
    deltas.iter().for_each(|it| assembly.push(it));
    let whole = end.map(|it| assembly.finish(it)).map_err(|it| (it, decoder.usage()));
    (deltas, whole)
}
