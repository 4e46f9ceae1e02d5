//! What is deleted from the file: the oldest, and what somebody wants gone.
//!
//! In: a connection, a rule. Out: what one piece of work came to. Invariant: a piece looks at no more
//! than [`PIECE`] records, so that an append waits milliseconds behind it; scores go with their
//! decision. Pages that fall empty are given back to the disk, as many at a time.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::outcome::upkeep::{Erased, Erasure, Retention, Swept};

/// Records in one piece: as many as in a batch of appends, some 10 ms.
const PIECE: i64 = 256;
/// Pages given back with each piece, 4 MiB: more than the records of it filled.
const PAGES: i64 = 1_024;

/// Deletes up to [`PIECE`] of the oldest records.
pub(super) fn sweep(
    connection: &mut Connection,
    retention: &Retention,
    now_unix_ms: u64,
) -> rusqlite::Result<Swept> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = retention.keep.map(|it| {
        let keep_ms = u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        now_unix_ms.saturating_sub(keep_ms).cast_signed()
    });
    let too_large = match retention.bytes_max {
        Some(most) => used_bytes(&transaction)? > most,
        None => false,
    };
    let before = if too_large { Some(i64::MAX) } else { before };
    let Some(before) = before else { return Ok(Swept::default()) };
    let (outcomes, feedback) = match &retention.exported_to {
        Some(destination) => exported(&transaction, destination)?,
        None => (i64::MAX, i64::MAX),
    };
    // The oldest first and then the exported of them: else everything that waits for its export
    // would be looked through again and again.
    let oldest = "SELECT seq FROM outcome WHERE at_unix_ms < ?1 ORDER BY at_unix_ms LIMIT ?2";
    let due: i64 = transaction.query_row(
        &format!("SELECT count(*) FROM ({oldest})"),
        params![before, PIECE],
        |it| it.get(0),
    )?;
    let sql = format!(
        "DELETE FROM outcome WHERE seq IN ({oldest}) AND seq <= ?3 AND NOT EXISTS (SELECT 1 FROM \
         feedback WHERE feedback.decision = outcome.decision AND feedback.seq > ?4)"
    );
    let deleted = transaction.execute(&sql, params![before, PIECE, outcomes, feedback])?;
    transaction.commit()?;
    if deleted > 0 {
        shrink(connection)?;
    }
    let deleted = deleted as u64;
    let more = deleted > 0 && (due == PIECE || too_large);
    Ok(Swept { deleted, more, held_back: due as u64 > deleted })
}

/// Looks at the next [`PIECE`] records, and deletes those with this metadata.
pub(super) fn erase(connection: &mut Connection, what: &Erasure) -> rusqlite::Result<Erased> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "SELECT max(seq) FROM (SELECT seq FROM outcome WHERE seq > ?1 ORDER BY seq LIMIT ?2)";
    let last: Option<i64> =
        transaction.query_row(sql, params![what.after_seq, PIECE], |it| it.get(0))?;
    let Some(last) = last else { return Ok(Erased::default()) };
    let sql = "SELECT outcome.seq, (SELECT count(*) FROM feedback \
               WHERE feedback.decision = outcome.decision) \
               FROM outcome, json_each(iif(json_valid(record), record, '{}'), '$.metadata') AS it \
               WHERE outcome.seq > ?1 AND outcome.seq <= ?2 AND it.key = ?3 AND it.value = ?4";
    let values = params![what.after_seq, last, what.key, what.value];
    let found: Vec<(i64, i64)> = transaction
        .prepare_cached(sql)?
        .query_map(values, |it| Ok((it.get(0)?, it.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let sql = "SELECT max(max(done_seq), coalesce(max(pending_seq), 0)) FROM export \
               WHERE what = 'outcomes'";
    let exported: Option<i64> = transaction.query_row(sql, [], |it| it.get(0))?;
    let exported = found.iter().filter(|it| Some(it.0) <= exported).count() as u64;
    for (seq, _) in &found {
        transaction.prepare_cached("DELETE FROM outcome WHERE seq = ?1")?.execute([seq])?;
    }
    transaction.commit()?;
    if !found.is_empty() {
        shrink(connection)?;
    }
    Ok(Erased {
        outcomes: found.len() as u64,
        feedback: found.iter().map(|it| it.1.cast_unsigned()).sum(),
        exported,
        last_seq: Some(last),
    })
}

/// How far a destination has outcomes and feedback; nothing yet where it is unknown.
fn exported(connection: &Connection, destination: &str) -> rusqlite::Result<(i64, i64)> {
    let done = |what: &str| {
        let sql = "SELECT done_seq FROM export WHERE destination = ?1 AND what = ?2";
        let done = connection.query_row(sql, [destination, what], |it| it.get(0)).optional();
        done.map(Option::unwrap_or_default)
    };
    Ok((done("outcomes")?, done("feedback")?))
}

/// What the file holds, without the pages that are free.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |it| it.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).max(0).cast_unsigned())
}

fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = statement.query([])?;
    // Every step gives one page back.
    while rows.next()?.is_some() {}
    Ok(())
}
