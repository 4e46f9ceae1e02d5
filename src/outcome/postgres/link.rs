//! One connection to PostgreSQL, and what is said over it.
//!
//! In: rows, ids. Out: what became of them. Invariant: a batch is one statement for outcomes and one
//! for scores, each its own commit, and may be sent again at any time: what is there already is left
//! as it is. Not here: when to connect, and what to do when it fails.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::fault::Fault;
use super::schema;
use super::settings::{CONNECT_WAIT, PostgresSettings};
use crate::domain::{DecisionId, Text};
use crate::outcome::feedback::FeedbackReceipt;
use crate::outcome::record::OutcomeRecord;
use crate::outcome::row::{FeedbackHead, Head, OutcomeHead, Row};
use crate::outcome::sqlite::{decoded, vector};
use crate::outcome::store::OutcomeError;

/// For every session: nothing of ours takes long, and a session that was cut off must not hold a
/// lock for ever. Rows are committed to the disk before they are acknowledged, whatever the
/// server's default is.
const SESSION: &str = "
    SET statement_timeout = '60s';
    SET idle_in_transaction_session_timeout = '60s';
    SET synchronous_commit = on;
";

/// Columns as arrays: one statement whatever the number of rows. `RETURNING` tells which were new.
///
/// The lock ("pointsma" in ASCII) is taken before the first row is numbered and held until the
/// commit can be seen, so that numbers are given in the order of commits: an export that has seen
/// one will never meet a lower one later. By themselves PostgreSQL's sequences do not promise that.
const INSERT_OUTCOMES: &str = "
    WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(8101810177783852385))
    INSERT INTO outcome (decision, at_unix_ms, record_version, ended, served, cost_picousd,
        total_ms, attempts, session_id, request_id, record, features, embedding)
    SELECT new.* FROM turn
        CROSS JOIN unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS new
    ON CONFLICT (decision) DO NOTHING RETURNING decision";

const INSERT_FEEDBACK: &str = "
    WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(8101810177783852385))
    INSERT INTO feedback (decision, kind, signal, about, idempotency_key, score, weight, comment,
        at_unix_ms)
    SELECT new.* FROM turn CROSS JOIN unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
        AS new (decision, kind, signal, about, idempotency_key, score, weight, comment, at_unix_ms)
    WHERE EXISTS (SELECT 1 FROM outcome WHERE outcome.decision = new.decision)
    ON CONFLICT DO NOTHING RETURNING decision, kind, signal, about, idempotency_key";

/// A connection that works. Dropping it closes it at once.
pub(super) struct Link {
    pub(super) client: Client,
    connection: JoinHandle<()>,
}

impl Link {
    /// Connects, and migrates the tables where they are older. Must run on a runtime that goes on.
    pub(super) async fn open(settings: &PostgresSettings) -> Result<Self, Fault> {
        let opened = tokio::time::timeout(CONNECT_WAIT, Self::connect(settings)).await;
        let mut link = opened.map_err(|_| Fault::late(CONNECT_WAIT.as_millis()))??;
        // Migrating takes as long as it takes: there may be millions of rows.
        schema::migrate(&mut link.client).await?;
        Ok(link)
    }

    async fn connect(settings: &PostgresSettings) -> Result<Self, Fault> {
        let failed = |error: Error| Fault::of(&error);
        let config = settings.config();
        let tls = MakeRustlsConnect::new(tls(config.get_ssl_mode())?);
        let (client, connection) = config.connect(tls).await.map_err(failed)?;
        let connection = tokio::spawn(async move {
            // Whoever uses the client is told the same.
            let _ = connection.await;
        });
        let link = Self { client, connection };
        link.client.batch_execute(SESSION).await.map_err(failed)?;
        let encoding = link.client.query_one("SHOW server_encoding", &[]).await.map_err(failed)?;
        match encoding.get::<_, &str>(0) {
            "UTF8" => Ok(link),
            other => Err(Fault::Unusable(format!("its encoding is {other}, not UTF8"))),
        }
    }

    /// Commits rows; one answer for each, in order. After an error, some or all may be there.
    pub(super) async fn insert(&self, rows: &[Row]) -> Result<Vec<FeedbackReceipt>, Fault> {
        let failed = |error: Error| Fault::of(&error);
        let (mut outcomes, mut scores) = (Vec::new(), Vec::new());
        for row in rows {
            match &row.head {
                Head::Outcome(head) => outcomes.push((head, row)),
                Head::Feedback(head) => scores.push(head),
            }
        }
        let mut fresh = self.insert_outcomes(&outcomes).await.map_err(failed)?;
        let (known, new_scores) = self.insert_scores(&scores).await.map_err(failed)?;
        fresh.extend(new_scores);
        let receipt = |row: &Row| match &row.head {
            // Taken out, so that the second of two in one batch is told that it is one.
            _ if fresh.remove(&row.name()) => FeedbackReceipt::Stored,
            Head::Feedback(it) if !known.contains(&it.decision) => FeedbackReceipt::UnknownDecision,
            Head::Outcome(_) | Head::Feedback(_) => FeedbackReceipt::AlreadyStored,
        };
        Ok(rows.iter().map(receipt).collect())
    }

    async fn insert_outcomes(
        &self,
        rows: &[(&OutcomeHead, &Row)],
    ) -> Result<HashSet<String>, Error> {
        if rows.is_empty() {
            return Ok(HashSet::new());
        }
        let values: &[(&(dyn ToSql + Sync), Type)] = &[
            (&column(rows, |(it, _)| it.decision.as_str()), Type::TEXT_ARRAY),
            (&column(rows, |(it, _)| it.at_unix_ms), Type::INT8_ARRAY),
            (&column(rows, |(it, _)| it.record_version), Type::INT8_ARRAY),
            (&column(rows, |(it, _)| it.ended.as_str()), Type::TEXT_ARRAY),
            (&column(rows, |(it, _)| it.served.as_deref()), Type::TEXT_ARRAY),
            (&column(rows, |(it, _)| it.cost_picousd), Type::INT8_ARRAY),
            (&column(rows, |(it, _)| it.total_ms), Type::FLOAT8_ARRAY),
            (&column(rows, |(it, _)| it.attempts), Type::INT8_ARRAY),
            (&column(rows, |(it, _)| it.session_id.as_deref()), Type::TEXT_ARRAY),
            (&column(rows, |(it, _)| it.request_id.as_deref()), Type::TEXT_ARRAY),
            (&column(rows, |(_, it)| it.record.as_str()), Type::TEXT_ARRAY),
            (&column(rows, |(_, it)| it.features.as_slice()), Type::BYTEA_ARRAY),
            (&column(rows, |(_, it)| it.embedding.as_slice()), Type::BYTEA_ARRAY),
        ];
        let inserted = self.client.query_typed(INSERT_OUTCOMES, values).await?;
        Ok(inserted.iter().map(|it| it.get(0)).collect())
    }

    /// The decisions that are there, and the names of the scores that are new.
    async fn insert_scores(
        &self,
        rows: &[&FeedbackHead],
    ) -> Result<(HashSet<String>, HashSet<String>), Error> {
        if rows.is_empty() {
            return Ok(Default::default());
        }
        let decisions = column(rows, |it| it.decision.as_str());
        let known = "SELECT decision FROM outcome WHERE decision = ANY($1)";
        let known = self.client.query_typed(known, &[(&decisions, Type::TEXT_ARRAY)]).await?;
        let values: &[(&(dyn ToSql + Sync), Type)] = &[
            (&decisions, Type::TEXT_ARRAY),
            (&column(rows, |it| it.kind.as_str()), Type::TEXT_ARRAY),
            (&column(rows, |it| it.signal.as_str()), Type::TEXT_ARRAY),
            (&column(rows, |it| it.about.as_str()), Type::TEXT_ARRAY),
            (&column(rows, |it| it.idempotency_key.as_str()), Type::TEXT_ARRAY),
            (&column(rows, |it| it.score), Type::FLOAT8_ARRAY),
            (&column(rows, |it| it.weight), Type::FLOAT8_ARRAY),
            (&column(rows, |it| it.comment.as_ref().map(Text::as_str)), Type::TEXT_ARRAY),
            (&column(rows, |it| it.at_unix_ms), Type::INT8_ARRAY),
        ];
        let inserted = self.client.query_typed(INSERT_FEEDBACK, values).await?;
        let name = |it: &tokio_postgres::Row| {
            let part = |at| it.get::<_, &str>(at);
            format!("{}/{}/{}/{}/{}", part(0), part(1), part(2), part(3), part(4))
        };
        let fresh = inserted.iter().map(name).collect();
        Ok((known.iter().map(|it| it.get(0)).collect(), fresh))
    }

    /// Reads one record.
    pub(super) async fn get(
        &self,
        decision: DecisionId,
    ) -> Result<Result<Option<OutcomeRecord>, OutcomeError>, Fault> {
        let sql = "SELECT record_version, record, features, embedding FROM outcome \
                   WHERE decision = $1";
        let id: &(dyn ToSql + Sync) = &decision.to_string();
        let row = self.client.query_typed(sql, &[(id, Type::TEXT)]).await;
        let row = row.map_err(|it| Fault::of(&it))?.into_iter().next();
        let Some(row) = row else { return Ok(Ok(None)) };
        let vectors = [vector(row.get(2)), vector(row.get(3))];
        Ok(decoded(decision, row.get(0), row.get(1), vectors).map(Some))
    }

    /// Counts the records.
    pub(super) async fn count(&self) -> Result<u64, Fault> {
        let row = self.client.query_one("SELECT count(*) FROM outcome", &[]).await;
        row.map(|it| it.get::<_, i64>(0).cast_unsigned()).map_err(|it| Fault::of(&it))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Its task would else wait for answers that may never come.
        self.connection.abort();
    }
}

fn column<'r, R, T>(rows: &'r [R], of: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// TLS that trusts the system's certificates; they are read only where any is wanted.
fn tls(mode: SslMode) -> Result<ClientConfig, Fault> {
    let mut roots = RootCertStore::empty();
    if mode != SslMode::Disable {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|it| Fault::Unusable(it.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
