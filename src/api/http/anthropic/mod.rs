//! Anthropic's Messages API (2026), as a server speaks it: Claude Code and Anthropic's SDKs can be
//! pointed here.
//!
//! In: bodies of `POST /v1/messages`; answers, deltas, problems. Out: our own request; messages,
//! events, errors. Invariant: pure; what only Anthropic's own servers can do (server tools, files,
//! containers) is refused with its path, never left out silently. Not here: transport.

mod error;
mod prompt;
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
pub(super) struct Messages;

impl Dialect for Messages {
    const FACE: Face = Face::Anthropic;
    type Teller = teller::MessageTeller;

    fn read(body: Map<String, Value>, found: &mut Vec<Violation>) -> Said {
        read::read(body, found)
    }

    fn whole(about: &About, response: ChatResponse, details: Value) -> Value {
        whole::message(about, response, details)
    }

    fn teller(about: About, _delivery: Delivery) -> Self::Teller {
        teller::MessageTeller::new(about)
    }

    fn error(problem: &Problem) -> Value {
        error::body(problem)
    }
}
