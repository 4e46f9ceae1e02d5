//! The thread that owns the store.
//!
//! In: commands from the queue. Out: an answer to each. Invariant: whatever waits is committed
//! together (one commit for many callers), and nobody is answered before the commit; reads come
//! after the writes of their batch. Not here: the callers' side (see [`super::log`]).

use tokio::sync::{mpsc, oneshot};

use super::record::OutcomeRecord;
use super::store::{OutcomeError, OutcomeStore, Write, Written};
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
    while queue.blocking_recv_many(&mut commands, BATCH_MAX) > 0 {
        serve(&mut store, &mut commands);
    }
}

fn serve<S: OutcomeStore>(store: &mut S, commands: &mut Vec<Command>) {
    let (mut batch, mut writers, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    for command in commands.drain(..) {
        match command {
            Command::Write(write, answer) => {
                batch.push(write);
                writers.push(answer);
            }
            Command::Read(read) => reads.push(read),
        }
    }
    if !batch.is_empty() {
        for (answer, written) in writers.into_iter().zip(store.write(batch)) {
            // Nobody listens any more: the caller was cancelled. The record is kept all the same.
            let _ = answer.send(written);
        }
    }
    for read in reads {
        match read {
            Read::Get(decision, answer) => drop(answer.send(store.get(decision))),
            Read::Count(answer) => drop(answer.send(store.count())),
        }
    }
}
