//! Exporting: part after part, until everything is there.
//!
//! In: a source, a place. Out: [`Exported`]. Order, for every part: it is planned (durably), each of
//! its files is made, the part is found to be still under way, the file is put; then the part is
//! noted as done. Invariant: killed between any two of these, the next run does the same part again,
//! under the same names. A file is not put when somebody else finished the part meanwhile, since
//! records of it may have been deleted since. Not here: when to export.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::ExportError;
use super::destination::{Destination, Place};
use super::parquet_file::{self, Made};
use super::postgres_source::PostgresSource;
use super::source::{ExportSource, Part, Table, file_of};
use super::sqlite_source::SqliteSource;
use crate::outcome::settings::StoreSettings;

/// What an export came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Exported {
    /// Records.
    pub outcomes: u64,
    /// Scores and signals.
    pub feedback: u64,
    /// Files.
    pub files: u64,
    /// Their size, bytes.
    pub bytes: u64,
}

/// An export of one log to one place.
pub struct Exporter {
    source: Arc<Mutex<dyn ExportSource>>,
    place: Arc<dyn Place>,
    log_id: String,
}

impl Exporter {
    /// Opens a log that is there, perhaps while a server writes it. Blocks for the time of opening.
    ///
    /// # Errors
    /// [`ExportError::Log`], which names the place.
    pub fn open(log: &StoreSettings, to: Destination) -> Result<Self, ExportError> {
        match log {
            StoreSettings::Sqlite(path) => Self::of(SqliteSource::open(path)?, to),
            StoreSettings::Postgres(database) => Self::of(PostgresSource::open(database)?, to),
        }
    }

    pub(super) fn of(
        source: impl ExportSource + 'static,
        place: impl Place + 'static,
    ) -> Result<Self, ExportError> {
        let log_id = source.log_id()?;
        Ok(Self { source: Arc::new(Mutex::new(source)), place: Arc::new(place), log_id })
    }

    /// Exports whatever is not there yet; `progress` is told after every file.
    ///
    /// # Errors
    /// [`ExportError`]; a later run goes on where this one ended.
    pub async fn run(&self, mut progress: impl FnMut(&Exported)) -> Result<Exported, ExportError> {
        let to = self.place.name().to_owned();
        if !self
            .with({
                let to = to.clone();
                move |it| it.knows(&to)
            })
            .await?
            && let Some(file) = self.place.any_of(&self.log_id).await?
        {
            return Err(ExportError::AlreadyThere { to, file });
        }
        let mut exported = Exported::default();
        for table in Table::ALL {
            // Ends once it is as far as the log: every part begins after the last.
            loop {
                let name = to.clone();
                let part = self.with(move |it| it.part(&name, table)).await?;
                let Some(part) = part else { break };
                self.files(&part, &mut |rows, bytes| {
                    match table {
                        Table::Outcomes => exported.outcomes += rows,
                        Table::Feedback => exported.feedback += rows,
                    }
                    exported.files += 1;
                    exported.bytes += bytes;
                    progress(&exported);
                })
                .await?;
                let name = to.clone();
                self.with(move |it| it.finish(&name, &part)).await?;
            }
        }
        Ok(exported)
    }

    /// Makes and puts every file of a part.
    async fn files(&self, part: &Part, told: &mut impl FnMut(u64, u64)) -> Result<(), ExportError> {
        for day in part.days.iter().copied() {
            let file = file_of(part, day, &self.log_id);
            let (to, own, name) = (self.place.name().to_owned(), part.clone(), file.clone());
            let made = self
                .with(move |source| {
                    let made = parquet_file::make(source, &own, day, &name)?;
                    let current = source.is_under_way(&to, &own)?;
                    Ok::<_, ExportError>(current.then_some(made))
                })
                .await?;
            match made {
                // Somebody else has finished it.
                None => return Ok(()),
                Some(Some(Made { bytes, rows })) => {
                    let size = bytes.len() as u64;
                    self.place.put(&file, bytes).await?;
                    told(rows, size);
                }
                // Its records were deleted; an earlier try may have put them there.
                Some(None) => self.place.remove(&file).await?,
            }
        }
        Ok(())
    }

    /// Works with the source where blocking is allowed.
    async fn with<T, E>(
        &self,
        work: impl FnOnce(&mut dyn ExportSource) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ExportError>
    where
        T: Send + 'static,
        E: Into<ExportError> + Send + 'static,
    {
        let source = Arc::clone(&self.source);
        let worked = tokio::task::spawn_blocking(move || {
            // A panic leaves at most a part under way, which is done again.
            let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut *source)
        });
        worked.await.map_err(|_| ExportError::Interrupted)?.map_err(Into::into)
    }
}
