//! The requests of the log: pages of them, and one explained.
//!
//! In: `GET /api/requests?...` and `/api/requests/{decision}`. Out: JSON. Invariant: reads beside the
//! writer, bounded (see [`crate::outcome::OutcomeBrowser`]). Not here: what a decision looks like (see
//! [`super::decision`]).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use http::Response;
use serde_json::{Value, json};

use super::{Desk, decision, query};
use crate::api::fault::{self, Fault, Kind};
use crate::api::http::answer;
use crate::domain::{DecisionId, Violation};
use crate::outcome::{BrowseError, OutcomeBrief, OutcomePage};

/// Picodollars of a dollar.
const PICO: f64 = 1e12;

/// `GET /api/requests`.
pub(super) async fn requests(
    State(desk): State<Arc<Desk>>,
    RawQuery(asked): RawQuery,
) -> Response<Body> {
    answer(page(&desk, &asked.unwrap_or_default()).await)
}

async fn page(desk: &Desk, asked: &str) -> Result<Value, Fault> {
    let asked = query::read(asked).map_err(|it| fault::invalid(&it))?;
    let page = desk.browser.page(asked.filter, asked.after, asked.rows).await;
    Ok(told(&page.map_err(unread)?))
}

/// `GET /api/requests/{decision}`.
pub(super) async fn request(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
) -> Response<Body> {
    answer(one(&desk, &id).await)
}

async fn one(desk: &Desk, id: &str) -> Result<Value, Fault> {
    let id = DecisionId::parse(id).ok_or_else(|| {
        let message = "this is no id of a decision; they look like \
                       0197a4c2-6f1e-7c31-9b5f-2d1e8a4b7c60";
        fault::invalid(&[Violation::new("decision", message)])
    })?;
    let found = desk.browser.one(id).await.map_err(unread)?;
    let found = found.ok_or_else(|| {
        Fault::new(
            Kind::UnknownDecision,
            "UNKNOWN_DECISION",
            "no decision of this id is in the log",
        )
    })?;
    Ok(decision::told(&found))
}

fn unread(error: BrowseError) -> Fault {
    let reason = match &error {
        BrowseError::Busy => "BUSY",
        BrowseError::TooLong => "TOO_LONG",
        BrowseError::Worker | BrowseError::Log(_) => {
            tracing::error!(%error, "the outcome log could not be read");
            "LOG_UNREAD"
        }
    };
    Fault::new(Kind::NotStored, reason, error.to_string())
}

fn told(page: &OutcomePage) -> Value {
    json!({
        "requests": page.rows.iter().map(row).collect::<Vec<_>>(),
        "next": page.next.map(|it| it.to_string()),
        "looked_at": page.looked_at,
        "looked_back_to_unix_ms": page.looked_back_to_unix_ms,
    })
}

fn row(of: &OutcomeBrief) -> Value {
    json!({
        "decision_id": of.decision,
        "at_unix_ms": of.at_unix_ms,
        "end": of.ended,
        "served": of.served,
        "first": of.first,
        "cost_usd": of.cost_picousd as f64 / PICO,
        "total_ms": of.total_ms,
        "attempts": of.attempts,
        "failures": of.failures,
        "session_id": of.session_id,
        "request_id": of.request_id,
        "metadata": of.metadata,
        "artifact_version": of.artifact_version,
    })
}
