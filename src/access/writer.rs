//! The thread that writes down what was spent.
//!
//! In: a ledger, and a word that something waits in it. Out: rows, one transaction for whatever has
//! gathered meanwhile. Invariant: what could not be written is put back, and tried again a second
//! later; the thread ends with the ledger, after a last look.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::spend::Ledger;
use super::store::{AccessError, KeyStore};

/// When to try again what could not be written.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Starts the thread.
pub(super) fn start(
    store: KeyStore,
    ledger: &Arc<Ledger>,
    wake: Receiver<()>,
) -> Result<(), AccessError> {
    let ledger = Arc::downgrade(ledger);
    let thread = thread::Builder::new().name("key-spend".into());
    let started = thread.spawn(move || run(store, &ledger, &wake));
    started.map(|_| ()).map_err(|it| AccessError::Thread(Arc::new(it)))
}

fn run(mut store: KeyStore, ledger: &Weak<Ledger>, wake: &Receiver<()>) {
    let mut failed = false;
    // Ends when the ledger, which holds the other end, is gone.
    loop {
        match wake.recv_timeout(AGAIN_AFTER) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) if failed => {}
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let Some(ledger) = ledger.upgrade() else { return };
        let (spent, settled) = ledger.take_unwritten();
        match store.add_spent(&spent) {
            Ok(()) => {
                failed = false;
                ledger.written.send_replace(settled);
            }
            Err(error) => {
                if !failed {
                    tracing::error!(%error, "what keys spend cannot be written; it is kept in memory");
                }
                failed = true;
                ledger.put_back(spent);
            }
        }
    }
}
