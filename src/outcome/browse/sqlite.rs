//! A page of a SQLite log.
//!
//! In: a connection that only reads. Out: [`OutcomePage`]. Invariant: one read transaction, so that a
//! page is of one moment; at most [`LOOKED_MAX`](super::LOOKED_MAX) records are looked at.

use rusqlite::{Connection, params};

use super::brief::OutcomeBrief;
use super::filter::{self, OutcomeFilter, OutcomePlace};
use super::{DEPLOYMENTS_MAX, Gather, LOOKED_MAX, OutcomePage};

/// So many rows behind a place, newest first.
pub(super) fn page(
    connection: &Connection,
    filter: &OutcomeFilter,
    (before, rows_max): (OutcomePlace, usize),
) -> rusqlite::Result<OutcomePage> {
    let moment = connection.unchecked_transaction()?;
    let mut gather = Gather::new(filter, rows_max);
    let mut row = moment.prepare(&format!("SELECT {} FROM outcome WHERE seq = ?1", filter::ROW))?;
    let (condition, values) = filter::walks(filter, || served(&moment))?;
    // Each walk gives places in order already; of several, the newest of their heads is next.
    let limit = LOOKED_MAX as i64 + 1;
    let (first, last) = filter.times(before);
    let sql = numbered(&filter::places(condition));
    let mut places = Vec::new();
    for value in &values {
        let mut statement = moment.prepare_cached(&sql)?;
        let own = |row: &rusqlite::Row<'_>| {
            Ok(OutcomePlace { at_unix_ms: row.get(0)?, seq: row.get(1)? })
        };
        let found = match value {
            Some(value) => statement.query_map(
                params![first, last, before.at_unix_ms, before.seq, limit, value],
                own,
            )?,
            None => statement
                .query_map(params![first, last, before.at_unix_ms, before.seq, limit], own)?,
        };
        places.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    places.sort_unstable_by(|a, b| b.cmp(a));
    for place in places {
        if !gather.wants(place) {
            break;
        }
        gather.take(row.query_row([place.seq], brief)?);
    }
    Ok(gather.page())
}

/// Every deployment that ever answered.
fn served(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&numbered(filter::DEPLOYMENTS))?;
    statement.query_map([DEPLOYMENTS_MAX], |it| it.get(0))?.collect()
}

/// `$6` is PostgreSQL's for a sixth value; to SQLite it would be a name, and the first, second, third
/// that comes (lang_expr, "Parameters").
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn brief(row: &rusqlite::Row<'_>) -> rusqlite::Result<OutcomeBrief> {
    let brief = OutcomeBrief {
        decision: row.get(0)?,
        at_unix_ms: row.get(1)?,
        ended: row.get(2)?,
        served: row.get(3)?,
        first: None,
        cost_picousd: row.get(4)?,
        total_ms: row.get(5)?,
        attempts: row.get(6)?,
        failures: Vec::new(),
        session_id: row.get(7)?,
        request_id: row.get(8)?,
        metadata: Default::default(),
        artifact_version: String::new(),
    };
    Ok(brief.with(row.get_ref(9)?.as_str()?))
}
