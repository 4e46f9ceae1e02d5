//! What the simulator knows while it runs: its models, the faults to come, and the calls taken.
//!
//! In: orders of the handle, calls of the handlers. Out: a [`Call`] with its own random stream; the
//! log. Invariant: numbers are given out in order of arrival, each once; script and log are
//! bounded. Not here: HTTP.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    faults::{Fault, FaultRates},
    model::SimulatedModel,
};

/// Calls kept in the log, the newest: enough for every demo, some tens of MB at most.
pub const CALLS_LOGGED_MAX: usize = 100_000;

/// Faults that wait in the script of one model.
pub const SCRIPT_LEN_MAX: usize = 10_000;

/// What a down model answers.
const DOWN: Fault = Fault::Status { code: 503, retry_after: None };

/// An order that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulatorError {
    /// There is no such model.
    #[error("no simulated model is called `{model_id}`")]
    UnknownModel {
        /// The name given.
        model_id: String,
    },
    /// The script would outgrow its bound.
    #[error("the script of `{model_id}` would have {len} calls, at most {SCRIPT_LEN_MAX} are kept")]
    ScriptTooLong {
        /// Whose script.
        model_id: String,
        /// How long it would be.
        len: usize,
    },
}

/// One call that reached a model, as decided on arrival. A client that left early got less.
#[derive(Debug, Clone, PartialEq)]
pub struct CallLog {
    /// Which model.
    pub model_id: String,
    /// Arrival, in milliseconds since the simulator started.
    pub at_ms: u64,
    /// What went wrong on purpose.
    pub fault: Option<Fault>,
    /// The status sent; `None` when the connection breaks before one.
    pub status: Option<u16>,
    /// About a fourth of the prompt's bytes; 0 unless an answer was begun.
    pub prompt_tokens: u64,
    /// A fourth of the answer's bytes, rounded up: as its `usage` says.
    pub completion_tokens: u64,
    /// Whether a right answer was given; false where there was none.
    pub right: bool,
}

/// A call on its way through the simulator.
pub(super) struct Call {
    pub(super) model: SimulatedModel,
    /// Counts from 1, for each model.
    pub(super) number: u64,
    pub(super) fault: Option<Fault>,
    pub(super) rng: ChaCha8Rng,
    pub(super) at_ms: u64,
}

#[derive(Debug)]
struct Entry {
    model: SimulatedModel,
    script: VecDeque<Fault>,
    down: bool,
    calls: u64,
}

#[derive(Debug)]
struct Books {
    entries: BTreeMap<String, Entry>,
    log: VecDeque<CallLog>,
}

/// The books, shared by the handle and the handlers.
#[derive(Debug)]
pub(super) struct Ledger {
    seed: u64,
    started: Instant,
    books: Mutex<Books>,
}

impl Ledger {
    /// Opens the books. Of models of the same name the last one counts; of a script, its first
    /// [`SCRIPT_LEN_MAX`] faults.
    pub(super) fn new(models: Vec<SimulatedModel>, seed: u64) -> Self {
        let entry = |mut model: SimulatedModel| {
            let script = std::mem::take(&mut model.script).into_iter().take(SCRIPT_LEN_MAX);
            let script = script.collect();
            (model.model_id.clone(), Entry { model, script, down: false, calls: 0 })
        };
        let entries = models.into_iter().map(entry).collect();
        let books = Mutex::new(Books { entries, log: VecDeque::new() });
        Self { seed, started: Instant::now(), books }
    }

    /// The next call of a model, or `None` where there is no such model.
    pub(super) fn arrive(&self, model_id: &str) -> Option<Call> {
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut books = self.books();
        let entry = books.entries.get_mut(model_id)?;
        entry.calls += 1;
        let mut rng = stream(self.seed, model_id, entry.calls);
        // Drawn always, so that neither script nor outage changes what else the call draws.
        let by_rate = entry.model.faults.pick(rng.random());
        let fault = match entry.down {
            true => Some(DOWN),
            false => entry.script.pop_front().or(by_rate),
        };
        Some(Call { model: entry.model.clone(), number: entry.calls, fault, rng, at_ms })
    }

    pub(super) fn record(&self, call: CallLog) {
        let log = &mut self.books().log;
        if log.len() == CALLS_LOGGED_MAX {
            log.pop_front();
        }
        log.push_back(call);
    }

    pub(super) fn calls(&self) -> Vec<CallLog> {
        self.books().log.iter().cloned().collect()
    }

    pub(super) fn model_ids(&self) -> Vec<String> {
        self.books().entries.keys().cloned().collect()
    }

    pub(super) fn set_faults(&self, id: &str, faults: FaultRates) -> Result<(), SimulatorError> {
        self.with(id, |entry| entry.model.faults = faults)
    }

    pub(super) fn push_script(&self, id: &str, script: Vec<Fault>) -> Result<(), SimulatorError> {
        self.with(id, |entry| {
            let len = entry.script.len() + script.len();
            if len > SCRIPT_LEN_MAX {
                return Err(SimulatorError::ScriptTooLong { model_id: id.to_owned(), len });
            }
            entry.script.extend(script);
            Ok(())
        })?
    }

    pub(super) fn set_down(&self, id: &str) -> Result<(), SimulatorError> {
        self.with(id, |entry| entry.down = true)
    }

    pub(super) fn set_up(&self, id: &str) -> Result<(), SimulatorError> {
        self.with(id, |entry| entry.down = false)
    }

    fn with<T>(&self, id: &str, order: impl FnOnce(&mut Entry) -> T) -> Result<T, SimulatorError> {
        match self.books().entries.get_mut(id) {
            Some(entry) => Ok(order(entry)),
            None => Err(SimulatorError::UnknownModel { model_id: id.to_owned() }),
        }
    }

    /// No holder of the lock can panic half way through a change, so a poisoned one is whole.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The random stream of one call: its own, whatever the calls around it do.
fn stream(seed: u64, model_id: &str, number: u64) -> ChaCha8Rng {
    let hash = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(number.to_le_bytes())
        .chain_update(model_id.as_bytes())
        .finalize();
    ChaCha8Rng::from_seed(hash.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_the_log_are_bounded() {
        let ledger = Ledger::new(vec![SimulatedModel::instant("m")], 1);
        ledger.push_script("m", vec![Fault::Reset; SCRIPT_LEN_MAX]).unwrap();
        let error = ledger.push_script("m", vec![Fault::Reset]).unwrap_err();
        assert!(matches!(error, SimulatorError::ScriptTooLong { len: 10_001, .. }));
        assert!(ledger.set_down("n").unwrap_err().to_string().contains("`n`"));
        for at_ms in 0..CALLS_LOGGED_MAX as u64 + 5 {
            let (model_id, fault, status) = ("m".to_owned(), None, Some(200));
            let (prompt_tokens, completion_tokens, right) = (1, 1, true);
            ledger.record(CallLog {
                model_id,
                at_ms,
                fault,
                status,
                prompt_tokens,
                completion_tokens,
                right,
            });
        }
        let calls = ledger.calls();
        assert_eq!((calls.len(), calls[0].at_ms), (CALLS_LOGGED_MAX, 5));
    }

    #[test]
    fn an_outage_comes_before_the_script_and_the_script_before_the_rates() {
        let model = SimulatedModel {
            script: vec![Fault::Hang],
            faults: FaultRates::always(Fault::Auth),
            ..SimulatedModel::instant("m")
        };
        let ledger = Ledger::new(vec![model], 1);
        let next = || ledger.arrive("m").unwrap().fault;
        ledger.set_down("m").unwrap();
        assert_eq!(next(), Some(DOWN));
        ledger.set_up("m").unwrap();
        assert_eq!((next(), next()), (Some(Fault::Hang), Some(Fault::Auth)));
        ledger.set_faults("m", FaultRates::none()).unwrap();
        assert_eq!(next(), None);
        assert!(ledger.arrive("n").is_none());
    }
}
