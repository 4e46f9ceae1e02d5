//! The thread that owns the store.
//!
//! In: commands from the queue. Out: an answer to each. Invariant: whatever waits is committed
//! together (one commit for many callers), and nobody is answered before the commit; reads come
//! after the writes of their batch. Not here: the callers' side (see [`super::log`]).

use tokio::sync::{mpsc, oneshot};

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
    Write(Write, oneshot::Sender<Written>),
    /// Read this, once the writes taken with it are committed.
    Read(Read),
    /// Delete some of what need not be kept, at a time in milliseconds since 1970 UTC.
    Sweep(Retention, u64, oneshot::Sender<Result<Swept, OutcomeError>>),
    /// Delete some of what somebody wants gone.
    Erase(Erasure, oneshot::Sender<Result<Erased, OutcomeError>>),
}

/// Something to be read, and where the answer goes.
pub(super) enum Read {
    /// A record.
    Get(DecisionId, oneshot::Sender<Result<Option<OutcomeRecord>, OutcomeError>>),
    /// How many records there are.
    Count(oneshot::Sender<Result<u64, OutcomeError>>),
}

/// Serves until every sender is gone and the queue is empty.
pub(super) fn run<S: OutcomeStore>(mut store: S, mut queue: mpsc::Receiver<Command>) {
    let mut commands = Vec::with_capacity(BATCH_MAX);
    let mut retries = Retries::default();
    while queue.blocking_recv_many(&mut commands, BATCH_MAX) > 0 {
        serve(&mut store, &mut commands, &mut retries);
    }
}

fn serve<S: OutcomeStore>(store: &mut S, commands: &mut Vec<Command>, retries: &mut Retries) {
    let (mut batch, mut writers, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for command in commands.drain(..) {
        match command {
            Command::Write(write, answer) => {
                batch.push(write);
                writers.push(answer);
            }
            other => others.push(other),
        }
    }
    if !batch.is_empty() {
        let signals: Vec<_> = batch.iter().filter_map(|it| asked_again(it, retries)).collect();
        batch.extend(signals);
        // What came of the signals, which stand last, nobody is told: an answer that is not in the
        // log cannot be signalled about.
        for (answer, written) in writers.into_iter().zip(store.write(batch)) {
            // Nobody listens any more: the caller was cancelled. The record is kept all the same.
            let _ = answer.send(written);
        }
    }
    for command in others {
        match command {
            Command::Read(Read::Get(decision, answer)) => drop(answer.send(store.get(decision))),
            Command::Read(Read::Count(answer)) => drop(answer.send(store.count())),
            Command::Sweep(rule, now, answer) => drop(answer.send(store.sweep(&rule, now))),
            Command::Erase(what, answer) => drop(answer.send(store.erase(&what))),
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
