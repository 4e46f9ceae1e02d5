//! OpenAI's Responses API (2026), the part of it that is stateless.
//!
//! In: bodies of `POST /v1/responses`; answers, deltas, problems. Out: our own request; `response`
//! objects, events, errors. Invariant: pure; this server keeps no answers, so whatever needs an
//! earlier one (`previous_response_id`, `conversation`, `store: true`) is refused. Not here:
//! transport.

mod error;
mod input;
mod output;
mod read;
mod teller;
#[cfg(test)]
mod tests;
mod whole;

use serde_json::{Map, Value};

use super::dialect::{About, Delivery, Dialect, Problem, Said};
use crate::domain::{ChatResponse, Violation};
use crate::telemetry::Face;

/// The dialect.
pub(super) struct Responses;

impl Dialect for Responses {
    const FACE: Face = Face::Responses;
    type Teller = teller::ResponseTeller;

    fn read(body: Map<String, Value>, found: &mut Vec<Violation>) -> Said {
        read::read(body, found)
    }

    fn whole(about: &About, response: ChatResponse, details: Value) -> Value {
        whole::answered(about, response, details)
    }

    fn teller(about: About, _delivery: Delivery) -> Self::Teller {
        teller::ResponseTeller::new(about)
    }

    fn error(problem: &Problem) -> Value {
        error::body(problem)
    }
}
