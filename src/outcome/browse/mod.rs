//! The log read a page at a time, beside a server that goes on writing it.
//!
//! In: where the log is, an [`OutcomeFilter`]. Out: [`OutcomePage`]s, newest first, and single decisions.
//! Invariant: reads with connections of its own that cannot write, on threads that may block, at most
//! [`READERS_MAX`] at a time and none for longer than [`READ_MAX`]; in a walk through pages nothing comes
//! twice, and nothing that was there at its beginning is left out. Not here: who may look.

mod brief;
mod filter;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::{Semaphore, oneshot};

use super::reader::{Logged, OutcomeReader};
use super::settings::StoreSettings;
use super::store::OutcomeError;
use crate::domain::DecisionId;
pub use brief::OutcomeBrief;
pub use filter::{FailedAs, NoPlace, OutcomeFilter, OutcomePlace};

/// Who reads at the same time: people, not programs.
const READERS_MAX: usize = 2;
/// How long to wait for one of them to end.
const SEAT_WAIT: Duration = Duration::from_secs(2);
/// The longest that one may take: a hundred times what a page should.
const READ_MAX: Duration = Duration::from_secs(5);
/// Records looked at for one page. What no index finds (metadata, a rare class) is looked for record by
/// record, some 20 us each; a page that ends here says where to go on.
pub(super) const LOOKED_MAX: usize = 2_000;
/// Deployments that ever answered, among which those of a model are looked for.
const DEPLOYMENTS_MAX: i64 = 1_024;

/// Some decisions, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomePage {
    /// Those that fit.
    pub rows: Vec<OutcomeBrief>,
    /// Where the next page begins; `None`: the log ends here.
    pub next: Option<OutcomePlace>,
    /// How many records were looked at for it.
    pub looked_at: usize,
    /// When the last of them arrived, milliseconds since 1970 UTC.
    pub looked_back_to_unix_ms: Option<i64>,
}

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// Too many read already.
    #[error("others are reading the log: try again in a moment")]
    Busy,
    /// It took too long.
    #[error("reading the log took more than {} s", READ_MAX.as_secs())]
    TooLong,
    /// The thread that read ended.
    #[error("reading the log was interrupted")]
    Worker,
    /// The log itself.
    #[error(transparent)]
    Log(#[from] OutcomeError),
}

/// Reads a log.
pub struct OutcomeBrowser {
    store: StoreSettings,
    seats: Arc<Semaphore>,
}

impl OutcomeBrowser {
    /// Of a store; opens nothing yet.
    pub fn new(store: &StoreSettings) -> Self {
        Self { store: store.clone(), seats: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// A page behind a place, or the newest.
    ///
    /// # Errors
    /// [`BrowseError`].
    pub async fn page(
        &self,
        filter: OutcomeFilter,
        after: Option<OutcomePlace>,
        rows_max: usize,
    ) -> Result<OutcomePage, BrowseError> {
        let place = (after.unwrap_or(OutcomePlace::NEWEST), rows_max);
        self.read(move |store, stop| match store {
            StoreSettings::Sqlite(path) => {
                let reader = OutcomeReader::open(path)?;
                stop.by(reader.connection());
                let page = sqlite::page(reader.connection(), &filter, place);
                page.map_err(|source| super::sqlite::failure(path, source))
            }
            StoreSettings::Postgres(it) => postgres::page(it, &filter, place),
        })
        .await
    }

    /// One decision, with what was said of it.
    ///
    /// # Errors
    /// [`BrowseError`].
    pub async fn one(&self, decision: DecisionId) -> Result<Option<Logged>, BrowseError> {
        self.read(move |store, stop| match store {
            StoreSettings::Sqlite(path) => {
                let reader = OutcomeReader::open(path)?;
                stop.by(reader.connection());
                reader.one(decision)
            }
            StoreSettings::Postgres(it) => postgres::one(it, decision),
        })
        .await
    }

    /// Does something that blocks, away from the threads that serve. Whoever stops waiting stops it.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&StoreSettings, Stoppable) -> Result<T, OutcomeError> + Send + 'static,
    ) -> Result<T, BrowseError> {
        let seat = Arc::clone(&self.seats).acquire_owned();
        let seat = tokio::time::timeout(SEAT_WAIT, seat).await.map_err(|_| BrowseError::Busy)?;
        let (tell, told) = oneshot::channel();
        let (stop, store) = (Stop(told), self.store.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let done = work(&store, Stoppable(tell));
            drop(seat);
            done
        });
        let read = tokio::time::timeout(READ_MAX, reading).await;
        drop(stop);
        Ok(read.map_err(|_| BrowseError::TooLong)?.map_err(|_| BrowseError::Worker)??)
    }
}

/// Takes what can stop the reading.
struct Stoppable(oneshot::Sender<InterruptHandle>);

impl Stoppable {
    fn by(self, connection: &Connection) {
        // Nobody there: nobody waits, and what is done now is short.
        let _ = self.0.send(connection.get_interrupt_handle());
    }
}

/// Interrupts what a connection is doing once nobody waits for it.
struct Stop(oneshot::Receiver<InterruptHandle>);

impl Drop for Stop {
    fn drop(&mut self) {
        if let Ok(handle) = self.0.try_recv() {
            handle.interrupt();
        }
    }
}

/// Takes rows until a page is full or enough were looked at.
struct Gather<'f> {
    filter: &'f OutcomeFilter,
    rows_max: usize,
    last: Option<OutcomePlace>,
    page: OutcomePage,
}

impl<'f> Gather<'f> {
    fn new(filter: &'f OutcomeFilter, rows_max: usize) -> Self {
        let page =
            OutcomePage { rows: vec![], next: None, looked_at: 0, looked_back_to_unix_ms: None };
        Self { filter, rows_max, last: None, page }
    }

    /// Whether the row at a place is still wanted; if not, the next page begins there.
    fn wants(&mut self, place: OutcomePlace) -> bool {
        if self.page.rows.len() == self.rows_max || self.page.looked_at == LOOKED_MAX {
            self.page.next = self.last;
            return false;
        }
        self.last = Some(place);
        self.page.looked_at += 1;
        true
    }

    fn take(&mut self, row: OutcomeBrief) {
        if row.fits(self.filter) {
            self.page.rows.push(row);
        }
    }

    fn page(self) -> OutcomePage {
        let looked_back_to_unix_ms = self.last.map(|it| it.at_unix_ms);
        OutcomePage { looked_back_to_unix_ms, ..self.page }
    }
}
