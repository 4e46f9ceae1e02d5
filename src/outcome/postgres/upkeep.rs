//! What is deleted from the database: the oldest, and what somebody wants gone.
//!
//! In: a connection, a rule. Out: what one piece of work came to. Invariant: as for a SQLite file: a
//! piece looks at no more than [`PIECE`] records; scores go with their decision. Not here: a bound on
//! size, since tables do not get smaller when rows are deleted.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio_postgres::types::Type;

use super::fault::Fault;
use super::link::Link;
use crate::outcome::upkeep::{Erased, Erasure, Retention, Swept};

/// Records in one piece: as many as in a batch of appends.
const PIECE: i64 = 256;
/// Bytes of records looked at in one piece, or one record.
const PIECE_BYTES: i64 = 8 << 20;

/// The oldest first and then the exported of them, as in SQLite.
const SWEEP: &str = "
    WITH due AS (SELECT seq FROM outcome WHERE at_unix_ms < $1 ORDER BY at_unix_ms LIMIT $2),
    done AS (SELECT what, done_seq FROM export WHERE destination = $3),
    gone AS (
        DELETE FROM outcome USING due WHERE outcome.seq = due.seq AND ($3 IS NULL OR (
            outcome.seq <= coalesce((SELECT done_seq FROM done WHERE what = 'outcomes'), 0)
            AND NOT EXISTS (SELECT 1 FROM feedback WHERE feedback.decision = outcome.decision
                AND feedback.seq > coalesce((SELECT done_seq FROM done WHERE what = 'feedback'), 0))
        )) RETURNING 1)
    SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM gone)";

const LOOK: &str = "
    SELECT seq, record FROM (
        SELECT seq, record, sum(octet_length(record)) OVER (ORDER BY seq) AS bytes
        FROM (SELECT seq, record FROM outcome WHERE seq > $1 ORDER BY seq LIMIT $2) AS next
    ) AS it WHERE bytes - octet_length(record) < $3 ORDER BY seq";

const ERASE: &str = "
    WITH gone AS (DELETE FROM outcome WHERE seq = ANY($1) RETURNING seq, decision)
    SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM feedback JOIN gone USING (decision)),
        (SELECT count(*) FROM gone WHERE seq <= (
            SELECT max(greatest(done_seq, pending_seq)) FROM export WHERE what = 'outcomes'))";

/// Deletes up to [`PIECE`] of the oldest records.
pub(super) async fn sweep(
    link: &Link,
    retention: &Retention,
    now_unix_ms: u64,
) -> Result<Swept, Fault> {
    let Some(keep) = retention.keep else { return Ok(Swept::default()) };
    let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let before = now_unix_ms.saturating_sub(keep_ms).cast_signed();
    let values: [super::session::Value<'_>; 3] =
        [(&before, Type::INT8), (&PIECE, Type::INT8), (&retention.exported_to, Type::TEXT)];
    let rows = link.client.query_typed(SWEEP, &values).await.map_err(|it| Fault::of(&it))?;
    let number = |at| rows.first().map_or(0, |it| it.get::<_, i64>(at));
    let (due, deleted) = (number(0), number(1));
    let (more, held_back) = (deleted > 0 && due == PIECE, due > deleted);
    Ok(Swept { deleted: deleted.cast_unsigned(), more, held_back })
}

/// Looks at the next records, and deletes those with this metadata.
pub(super) async fn erase(link: &Link, what: &Erasure) -> Result<Erased, Fault> {
    let failed = |error| Fault::of(&error);
    let values: [super::session::Value<'_>; 3] =
        [(&what.after_seq, Type::INT8), (&PIECE, Type::INT8), (&PIECE_BYTES, Type::INT8)];
    let looked = link.client.query_typed(LOOK, &values).await.map_err(failed)?;
    let Some(last) = looked.last() else { return Ok(Erased::default()) };
    let last_seq = Some(last.get(0));
    let meant = looked.iter().filter(|it| is_meant(it.get(1), what));
    let meant: Vec<i64> = meant.map(|it| it.get(0)).collect();
    if meant.is_empty() {
        return Ok(Erased { last_seq, ..Erased::default() });
    }
    let gone = link.client.query_typed(ERASE, &[(&meant, Type::INT8_ARRAY)]).await;
    let gone = gone.map_err(failed)?;
    let number = |at| gone.first().map_or(0, |it| it.get::<_, i64>(at)).cast_unsigned();
    Ok(Erased { outcomes: number(0), feedback: number(1), exported: number(2), last_seq })
}

/// Read here and not by PostgreSQL, whose JSON refuses some strings (manual, 8.14, version 15).
fn is_meant(record: &str, what: &Erasure) -> bool {
    #[derive(Deserialize)]
    struct Marked {
        #[serde(default)]
        metadata: BTreeMap<String, String>,
    }
    let marked = serde_json::from_str::<Marked>(record);
    marked.is_ok_and(|it| it.metadata.get(&what.key) == Some(&what.value))
}
