//! Sends what waits in the spool to the database, in order, until nothing waits.
//!
//! In: the spool, while the mode is away. Out: rows in the database; then the mode is direct, with
//! the connection it made. Invariant: a row leaves the spool after the database committed it, never
//! before, so it may be cut off at any point; what is sent again is there once. Not here: deciding
//! that the database is away.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::link::Link;
use super::{Mode, Shared};
use crate::outcome::feedback::FeedbackReceipt;
use crate::outcome::row::{Head, Row};
use crate::outcome::store::OutcomeError;

/// Pauses between tries double from the first to the second: a database that restarts is found
/// soon, and one that is off is not stormed.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Most rows sent at once; the spool cuts earlier by bytes.
pub(super) const ROWS_MAX: usize = 1_024;
/// The longest to wait for one batch: nobody else waits for it, but a connection may be dead.
const SHIP_WAIT: Duration = Duration::from_secs(60);

/// Works until it is stopped; `_ended` is dropped when it holds nothing any more.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken, _ended: SyncSender<()>) {
    let shared = shared;
    let mut pause = PAUSE_MIN;
    loop {
        let away = matches!(shared.state().mode, Mode::Away(_));
        let work = async {
            if !away {
                shared.wake.notified().await;
                return PAUSE_MIN;
            }
            let Err(why) = drain(&shared).await else { return PAUSE_MIN };
            shared.notes.away(&why);
            shared.state().mode = Mode::Away(why);
            tokio::time::sleep(pause).await;
            (pause * 2).min(PAUSE_MAX)
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = work => pause = next,
        }
    }
}

/// Connects, sends all there is, and makes the mode direct.
async fn drain(shared: &Shared) -> Result<(), OutcomeError> {
    let place = shared.settings.place();
    let link = Link::open(&shared.settings).await.map_err(|it| it.at(place))?;
    let mut sent = 0;
    loop {
        let rows = {
            let mut state = shared.state();
            if state.spool.is_drained() {
                state.mode = Mode::Direct(Arc::new(link));
                shared.notes.back();
                tracing::info!(sent, "the outcome database takes outcomes again");
                return Ok(());
            }
            state.spool.first(ROWS_MAX)?
        };
        let (places, rows): (Vec<i64>, Vec<Row>) = rows.into_iter().unzip();
        send(shared, &link, (&places, &rows)).await?;
        sent += rows.len();
    }
}

/// Sends rows and takes them out of the spool. Those that the database refuses are looked for by
/// halves and set aside.
async fn send(
    shared: &Shared,
    link: &Link,
    (places, rows): (&[i64], &[Row]),
) -> Result<(), OutcomeError> {
    let whole = 0..rows.len();
    let mut parts: Vec<Range<usize>> = vec![whole];
    while let Some(part) = parts.pop() {
        let inserted = tokio::time::timeout(SHIP_WAIT, link.insert(&rows[part.clone()])).await;
        match inserted.unwrap_or_else(|_| Err(Fault::late(SHIP_WAIT.as_millis()))) {
            Ok(receipts) => {
                sent(shared, &places[part.clone()])?;
                tell_strays(shared, &rows[part], &receipts);
            }
            Err(Fault::Refused(code)) if part.len() == 1 => {
                set_aside(shared, &places[part], Fault::Refused(code))?;
            }
            Err(Fault::Refused(_)) => {
                let middle = part.start + part.len() / 2;
                // The last one is taken next: the order stays.
                parts.extend([middle..part.end, part.start..middle]);
            }
            Err(fault) => return Err(fault.at(shared.settings.place())),
        }
    }
    Ok(())
}

fn sent(shared: &Shared, places: &[i64]) -> Result<(), OutcomeError> {
    let mut state = shared.state();
    let removed = state.spool.remove(places);
    shared.notes.held(state.spool.held());
    drop(state);
    removed?;
    shared.notes.replayed(places.len() as u64);
    Ok(())
}

fn set_aside(shared: &Shared, places: &[i64], fault: Fault) -> Result<(), OutcomeError> {
    let why = fault.at(shared.settings.place());
    tracing::error!(%why, "an outcome stays in the spool until the next start");
    let mut state = shared.state();
    let aside = state.spool.set_aside(places);
    shared.notes.held(state.spool.held());
    aside
}

/// Scores that were taken while nobody could tell whether their decision exists, and it does not.
fn tell_strays(shared: &Shared, rows: &[Row], receipts: &[FeedbackReceipt]) {
    for (row, receipt) in rows.iter().zip(receipts) {
        let Head::Feedback(head) = &row.head else { continue };
        // A signal for an outcome that was deleted, or never kept, is no loss.
        if head.signal.is_empty() && *receipt == FeedbackReceipt::UnknownDecision {
            shared.notes.dropped(1, &OutcomeError::Stray, Instant::now());
        }
    }
}
