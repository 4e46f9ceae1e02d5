//! A connection beside the store's own, for whoever exports.
//!
//! In: statements. Out: rows. Invariant: it needs no spool and holds no lock between two statements,
//! so it may work beside any number of servers; a connection that broke is made again at the next
//! statement. Blocks. Not here: what is asked.

use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::fault::Fault;
use super::link::Link;
use super::settings::PostgresSettings;
use crate::outcome::store::OutcomeError;

/// The longest to wait for a statement; the server's own limit is shorter.
const STATEMENT_WAIT: Duration = Duration::from_secs(90);

/// A parameter of a statement.
pub(in crate::outcome) type Value<'v> = (&'v (dyn ToSql + Sync), Type);

/// The connection.
pub(in crate::outcome) struct Session {
    settings: PostgresSettings,
    log_id: String,
    link: Option<Link>,
    /// Only ever `None` while it is dropped.
    runtime: Option<Runtime>,
}

impl Session {
    /// Connects; an older database is migrated. May be called from anywhere.
    ///
    /// # Errors
    /// [`OutcomeError`], which names the database.
    pub(in crate::outcome) fn open(settings: &PostgresSettings) -> Result<Self, OutcomeError> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("outcome-session").enable_all();
        let runtime =
            runtime.build().map_err(|it| OutcomeError::Thread(std::sync::Arc::new(it)))?;
        let settings = settings.clone();
        let mut session =
            Self { settings, log_id: String::new(), link: None, runtime: Some(runtime) };
        let (link, log_id) = session.connect().map_err(|it| it.at(session.settings.place()))?;
        (session.link, session.log_id) = (Some(link), log_id);
        Ok(session)
    }

    /// What tells this database from every other log.
    pub(in crate::outcome) fn log_id(&self) -> &str {
        &self.log_id
    }

    /// Runs a statement. Not from an async function: it blocks.
    ///
    /// # Errors
    /// [`OutcomeError`], which names the database; the next statement connects again if need be.
    pub(in crate::outcome) fn query(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, OutcomeError> {
        self.try_query(sql, values).map_err(|it| it.at(self.settings.place()))
    }

    fn try_query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        let whole = self.link.take().filter(|it| !it.client.is_closed());
        let link = match whole {
            Some(link) => link,
            None => self.connect()?.0,
        };
        let Some(runtime) = &self.runtime else { return Err(Fault::late(0)) };
        let asked = async {
            tokio::time::timeout(STATEMENT_WAIT, link.client.query_typed(sql, values)).await
        };
        let late = |_| Fault::late(STATEMENT_WAIT.as_millis());
        let rows = runtime.block_on(asked).map_err(late)?.map_err(|it| Fault::of(&it))?;
        self.link = Some(link);
        Ok(rows)
    }

    /// On the runtime's own thread, so that it may be waited for on one that serves requests.
    fn connect(&self) -> Result<(Link, String), Fault> {
        let Some(runtime) = &self.runtime else { return Err(Fault::late(0)) };
        let (tell, told) = mpsc::sync_channel(1);
        let settings = self.settings.clone();
        runtime.spawn(async move { drop(tell.send(opened(&settings).await)) });
        told.recv().unwrap_or_else(|_| Err(Fault::Away("connecting panicked".to_owned())))
    }
}

async fn opened(settings: &PostgresSettings) -> Result<(Link, String), Fault> {
    let link = Link::open(settings).await?;
    let id = link.client.query_one("SELECT log_id FROM log", &[]).await;
    let id = id.map_err(|it| Fault::of(&it))?.get(0);
    Ok((link, id))
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waits for nothing, so that it may be dropped anywhere.
            runtime.shutdown_background();
        }
    }
}
