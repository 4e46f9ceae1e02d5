//! The dialect of OpenAI's chat completions, with the additions that OpenRouter (`models`, `route`,
//! `reasoning`) and DeepSeek (`reasoning_content`) made common.
//!
//! In: bodies, answers, deltas. Out: our own request; `chat.completion` and `chat.completion.chunk`
//! objects (openai-python 3.54, 2026). Invariant: as for every dialect (see [`super::dialect`]).

mod error;
mod messages;
mod read;
mod stream;
mod tools;
mod write;

use serde_json::{Map, Value};

use super::dialect::{About, Delivery, Dialect, Problem, Said};
use crate::domain::{ChatResponse, Violation};
use crate::telemetry::Face;

/// `POST /v1/chat/completions`.
pub(super) struct Completions;

impl Dialect for Completions {
    const FACE: Face = Face::Openai;
    type Teller = stream::Chunks;

    fn read(body: Map<String, Value>, found: &mut Vec<Violation>) -> Said {
        read::read(body, found)
    }

    fn path(field: String) -> String {
        read::path(field)
    }

    fn whole(about: &About, response: ChatResponse, details: Value) -> Value {
        write::completion(about, response, details)
    }

    fn teller(about: About, delivery: Delivery) -> Self::Teller {
        stream::Chunks::new(about, delivery)
    }

    fn error(problem: &Problem) -> Value {
        error::body(problem)
    }
}
