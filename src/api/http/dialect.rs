//! What differs between the dialects of the HTTP face: how a request is read, an answer written, a
//! stream told and an error worded. Everything else is done once (see [`super`]).
//!
//! In: JSON bodies, answers, deltas, problems. Out: our own request, JSON, events. Invariant: a
//! dialect is pure and decides nothing; what it cannot read goes to `found`, with its path in the
//! caller's own words.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::Placed;
use crate::domain::{ChatRequest, ChatResponse, Delta, StreamEnd, Violation};
use crate::telemetry::Face;

/// A request as a body says it.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The prompt, tools, sampling. Not validated: that is done once, for every dialect.
    pub(super) chat: ChatRequest,
    /// `model` as written: `auto`, `auto:cost`, the name of a model.
    pub(super) model: String,
    /// `models`: an explicit order, empty in most requests.
    pub(super) models: Vec<String>,
    /// Whether the answer is to come in pieces.
    pub(super) delivery: Delivery,
    /// Our own fields: the `pointsman` object.
    pub(super) extension: Option<Value>,
    /// OpenRouter's `provider` object.
    pub(super) provider: Option<Value>,
    /// Patterns of the models that `auto` may take, with their paths.
    pub(super) allowed: Vec<Placed>,
    /// The dialect's own metadata for the log.
    pub(super) metadata: BTreeMap<String, String>,
}

/// How an answer is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Delivery {
    /// In one piece.
    #[default]
    Whole,
    /// In pieces.
    Stream,
    /// In pieces, and the usage in one of its own at the end (OpenAI's `include_usage`).
    StreamWithUsage,
}

/// Whose answer it is.
#[derive(Debug, Clone)]
pub(super) struct About {
    /// The decision's id, a UUID: the answer's own id is made from it.
    pub(super) id: String,
    /// When the request arrived, in seconds since 1970 UTC.
    pub(super) created_s: u64,
    /// The name of the model that answers.
    pub(super) model: String,
    /// The request, for dialects that repeat parts of it; of its messages only the system ones.
    pub(super) chat: std::sync::Arc<ChatRequest>,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its name, where the dialect names its events.
    pub(super) name: Option<&'static str>,
    /// Its data, one line.
    pub(super) data: String,
}

/// What went wrong, in no dialect yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    /// The HTTP status.
    pub(super) status: u16,
    /// Our own name of it, upper case as in gRPC's ErrorInfo: `EXHAUSTED`, `NO_CANDIDATE`.
    pub(super) reason: String,
    /// In words.
    pub(super) message: String,
    /// The field at fault, where there is one.
    pub(super) param: Option<String>,
    /// The `pointsman` object: attempts, decision id, cost.
    pub(super) details: Value,
}

/// A dialect.
pub(super) trait Dialect: Send + Sync + 'static {
    /// What it is counted under.
    const FACE: Face;

    /// Tells a stream.
    type Teller: Teller;

    /// Reads a body; what is wrong with it goes to `found`, and a stand-in is read in its place.
    fn read(body: Map<String, Value>, found: &mut Vec<Violation>) -> Said;

    /// The caller's own path of a field that [`ChatRequest::validate`] names.
    fn path(field: String) -> String {
        match field.strip_prefix("sampling.") {
            Some(own) => own.to_owned(),
            None => field,
        }
    }

    /// An answer in one piece. `details` is the `pointsman` object.
    fn whole(about: &About, response: ChatResponse, details: Value) -> Value;

    /// A stream's teller; nothing was told yet.
    fn teller(about: About, delivery: Delivery) -> Self::Teller;

    /// An error's body.
    fn error(problem: &Problem) -> Value;
}

/// Tells one stream. Events are pushed to `out` in the order in which they are sent.
pub(super) trait Teller: Send {
    /// A piece of the answer; the first call also opens the stream.
    fn delta(&mut self, delta: Delta, out: &mut Vec<Event>);

    /// Another deployment goes on with the answer. `details` is a `pointsman` object; dialects whose
    /// events take no field of ours tell it at the end only.
    fn switched(&mut self, _details: Value, _out: &mut Vec<Event>) {}

    /// The answer is whole. `details` is the `pointsman` object.
    fn end(&mut self, end: StreamEnd, details: Value, out: &mut Vec<Event>);

    /// The answer broke after something was told, or while the caller was kept waiting.
    fn fail(&mut self, problem: &Problem, out: &mut Vec<Event>);
}
