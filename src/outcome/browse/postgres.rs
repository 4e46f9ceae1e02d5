//! A page of a PostgreSQL log.
//!
//! In: where the database is. Out: [`OutcomePage`], and single decisions. Invariant: a connection of its
//! own, whose every statement is told to write nothing and to end in time. What waits in a server's spool
//! is not seen before it has come to the database.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::brief::OutcomeBrief;
use super::filter::{self, OutcomeFilter, OutcomePlace};
use super::{DEPLOYMENTS_MAX, Gather, LOOKED_MAX, OutcomePage, READ_MAX};
use crate::domain::DecisionId;
use crate::outcome::postgres::{PostgresSettings, Session, Value};
use crate::outcome::reader::{Logged, SCORES_MAX, Said, SaidRow};
use crate::outcome::sqlite::{decoded, vector};
use crate::outcome::store::OutcomeError;

/// Records that are fetched together.
const CHUNK: usize = 100;

/// So many rows behind a place, newest first.
pub(super) fn page(
    settings: &PostgresSettings,
    filter: &OutcomeFilter,
    (before, rows_max): (OutcomePlace, usize),
) -> Result<OutcomePage, OutcomeError> {
    let mut session = session(settings)?;
    let mut gather = Gather::new(filter, rows_max);
    let mut places = places(&mut session, filter, before)?;
    places.sort_unstable_by(|a, b| b.cmp(a));
    'all: for chunk in places.chunks(CHUNK) {
        let mut rows = rows(&mut session, chunk)?;
        for place in chunk {
            if !gather.wants(*place) {
                break 'all;
            }
            // Deleted since its place was read, where it is not there.
            if let Some(row) = rows.remove(&place.seq) {
                gather.take(row);
            }
        }
    }
    Ok(gather.page())
}

/// One decision, with what was said of it.
pub(super) fn one(
    settings: &PostgresSettings,
    decision: DecisionId,
) -> Result<Option<Logged>, OutcomeError> {
    let (mut session, id) = (session(settings)?, decision.to_string());
    let sql = "SELECT record_version, record, features, embedding FROM outcome WHERE decision = $1";
    let found = session.query(sql, &[(&id, Type::TEXT)])?;
    let Some(row) = found.first() else { return Ok(None) };
    let vectors = [vector(row.get(2)), vector(row.get(3))];
    let record = decoded(decision, row.get(0), row.get(1), vectors)?;
    let sql = "SELECT kind, score, signal, about, weight FROM feedback WHERE decision = $1 \
               ORDER BY kind, idempotency_key, at_unix_ms LIMIT $2";
    let mut said = Said::default();
    for row in session.query(sql, &[(&id, Type::TEXT), (&SCORES_MAX, Type::INT8)])? {
        let (kind, signal, about) = (row.get(0), row.get(2), row.get(3));
        said.add(&SaidRow { kind, signal, about, score: row.get(1), weight: row.get(4) });
    }
    Ok(Some(said.of(record)))
}

fn session(settings: &PostgresSettings) -> Result<Session, OutcomeError> {
    let mut session = Session::open(settings)?;
    session.query("SET default_transaction_read_only = on", &[])?;
    session.query(&format!("SET statement_timeout = {}", READ_MAX.as_millis()), &[])?;
    Ok(session)
}

fn places(
    session: &mut Session,
    filter: &OutcomeFilter,
    before: OutcomePlace,
) -> Result<Vec<OutcomePlace>, OutcomeError> {
    let (condition, values) = filter::walks(filter, || {
        let found = session.query(filter::DEPLOYMENTS, &[(&DEPLOYMENTS_MAX, Type::INT8)])?;
        Ok(found.iter().map(|it| it.get(0)).collect())
    })?;
    let sql = filter::places(condition);
    let (first, last) = filter.times(before);
    let limit = LOOKED_MAX as i64 + 1;
    let mut places = Vec::new();
    for value in &values {
        let mut asked: Vec<Value<'_>> = vec![
            (&first, Type::INT8),
            (&last, Type::INT8),
            (&before.at_unix_ms, Type::INT8),
            (&before.seq, Type::INT8),
            (&limit, Type::INT8),
        ];
        if let Some(value) = value {
            asked.push((value, Type::TEXT));
        }
        let found = session.query(&sql, &asked)?;
        places
            .extend(found.iter().map(|it| OutcomePlace { at_unix_ms: it.get(0), seq: it.get(1) }));
    }
    Ok(places)
}

fn rows(
    session: &mut Session,
    places: &[OutcomePlace],
) -> Result<HashMap<i64, OutcomeBrief>, OutcomeError> {
    let all: Vec<i64> = places.iter().map(|it| it.seq).collect();
    let sql = format!("SELECT {}, seq FROM outcome WHERE seq = ANY($1)", filter::ROW);
    let found = session.query(&sql, &[(&all, Type::INT8_ARRAY)])?;
    Ok(found.iter().map(|it| (it.get(10), brief(it))).collect())
}

fn brief(row: &Row) -> OutcomeBrief {
    let brief = OutcomeBrief {
        decision: row.get(0),
        at_unix_ms: row.get(1),
        ended: row.get(2),
        served: row.get(3),
        first: None,
        cost_picousd: row.get(4),
        total_ms: row.get(5),
        attempts: row.get(6),
        failures: Vec::new(),
        session_id: row.get(7),
        request_id: row.get(8),
        metadata: Default::default(),
        artifact_version: String::new(),
    };
    brief.with(row.get(9))
}
