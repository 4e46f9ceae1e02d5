//! The thread that owns the store.
//!
//! In: commands from the queue. Out: an answer to each. Invariant: whatever waits is committed
//! together (one commit for many callers), and nobody is answered before the commit whose outcome is not
//! in the journal; reads come after the writes of their batch. Not here: the callers' side (see
//! [`super::log`]), and what becomes of a commit that failed (see [`super::behind`]).

use tokio::sync::{mpsc, oneshot};

use super::behind::Behind;
use super::journal::Position;
use super::record::OutcomeRecord;
use super::retries::Retries;
use super::signals::Signal;
use super::store::{OutcomeError, OutcomeStore, Write, Written};
use super::upkeep::{Erased, Erasure, Retention, Swept};
use crate::domain::DecisionId;

/// Most commands taken at once. At some 10 KiB a record this keeps a transaction below the 4 MiB
/// after which SQLite checkpoints, and the first of a batch waits a few tens of milliseconds.
pub(super) const BATCH_MAX: usize = 256;

/// Something asked of the thread, and where the answer goes. Whoever asked may have left.
pub(super) enum Command {
    /// Keep this.
    Write(Write, Asker),
    /// Read this, once the writes taken with it are committed.
    Read(Read),
    /// Delete some of what need not be kept, at a time in milliseconds since 1970 UTC.
    Sweep(Retention, u64, oneshot::Sender<Result<Swept, OutcomeError>>),
    /// Delete some of what somebody wants gone.
    Erase(Erasure, oneshot::Sender<Result<Erased, OutcomeError>>),
}

/// Who is told what became of a write.
pub(super) enum Asker {
    /// Somebody who waits.
    Waits(oneshot::Sender<Written>),
    /// Nobody: it was acknowledged when it was in the journal, up to here.
    Journal(Position),
}

/// Something to be read, and where the answer goes.
pub(super) enum Read {
    /// A record.
    Get(DecisionId, oneshot::Sender<Result<Option<OutcomeRecord>, OutcomeError>>),
    /// How many records there are.
    Count(oneshot::Sender<Result<u64, OutcomeError>>),
}

/// Serves until every sender is gone and the queue is empty.
pub(super) fn run<S: OutcomeStore>(
    mut store: S,
    mut behind: Behind,
    mut queue: mpsc::Receiver<Command>,
) {
    let mut commands = Vec::with_capacity(BATCH_MAX);
    let mut retries = Retries::default();
    while queue.blocking_recv_many(&mut commands, BATCH_MAX) > 0 {
        behind.catch_up(&mut store);
        serve(&mut store, &mut behind, (&mut commands, &mut retries));
    }
    behind.end(&mut store);
}

fn serve<S: OutcomeStore>(
    store: &mut S,
    behind: &mut Behind,
    (commands, retries): (&mut Vec<Command>, &mut Retries),
) {
    let (mut batch, mut askers, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for command in commands.drain(..) {
        match command {
            Command::Write(write, asker) => {
                batch.push(write);
                askers.push(asker);
            }
            other => others.push(other),
        }
    }
    if !batch.is_empty() {
        let signals: Vec<_> = batch.iter().filter_map(|it| asked_again(it, retries)).collect();
        behind.write(store, (batch, signals), askers);
    }
    for command in others {
        match command {
            Command::Read(Read::Get(decision, answer)) => drop(answer.send(store.get(decision))),
            Command::Read(Read::Count(answer)) => drop(answer.send(store.count())),
            Command::Sweep(rule, now, answer) => {
                let swept = store.sweep(&rule, now);
                if swept.as_ref().is_ok_and(|it| it.deleted > 0) {
                    behind.forget_committed();
                }
                let _ = answer.send(swept);
            }
            Command::Erase(what, answer) => {
                let erased = store.erase(&what);
                if erased.as_ref().is_ok_and(|it| it.outcomes > 0) {
                    behind.forget_committed();
                }
                let _ = answer.send(erased);
            }
            // All of these were taken above.
            Command::Write(..) => {}
        }
    }
}

/// The signal that a record is of the answer before it.
fn asked_again(write: &Write, retries: &mut Retries) -> Option<Write> {
    let Write::Outcome(record) = write else { return None };
    let (decision, about) = retries.note(record)?;
    let (signal, at_unix_ms) = (Signal::RetriedAtOnce, record.at_unix_ms);
    Some(Write::Signal { decision, signal, about, at_unix_ms })
}
