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
    faults::{FaultRates, Flap},
    model::SimulatedModel,
    protocol::Dialect,
};
use crate::domain::Fault;

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

/// One call that reached a model: as decided on arrival, and what came of it.
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
    /// About a fourth of the prompt's bytes, whatever came of the call.
    pub asked_tokens: u64,
    /// The same; 0 unless an answer was begun, be it an empty one.
    pub prompt_tokens: u64,
    /// A fourth of the answer's bytes, rounded up: as the `usage` of the whole answer says.
    pub completion_tokens: u64,
    /// Whether a right answer was given; false where there was none.
    pub right: bool,
    /// The protocol it came in.
    pub protocol: Dialect,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// Images in the request.
    pub images: usize,
    /// Tools on offer in the request.
    pub tools: usize,
    /// Bytes of the operator's texts in the request.
    pub system_bytes: usize,
    /// Turns in the request as the protocol has them, the operator's not counted.
    pub messages: usize,
    /// Tokens that were handed to the connection; 0 until the call has ended.
    pub delivered_tokens: u64,
    /// Whether the client hung up before the call had ended.
    pub client_left: bool,
    /// When it ended, in milliseconds since the simulator started; `None` while it goes on.
    pub ended_at_ms: Option<u64>,
}

/// The place of a call in the log, which stays when older ones are dropped.
pub(super) type LogId = u64;

/// A call on its way through the simulator.
pub(super) struct Call {
    pub(super) model: SimulatedModel,
    /// Counts from 1, for each model.
    pub(super) number: u64,
    pub(super) fault: Option<Fault>,
    pub(super) rng: ChaCha8Rng,
    pub(super) at_ms: u64,
    seed: u64,
}

impl Call {
    /// The random stream of what is said: the conversation's, or the call's own.
    pub(super) fn words(&self, conversation: &[u8; 32]) -> ChaCha8Rng {
        if !self.model.continues {
            return self.rng.clone();
        }
        let hash = Sha256::new()
            .chain_update(self.seed.to_le_bytes())
            .chain_update(conversation)
            .chain_update(self.model.voice.as_ref().unwrap_or(&self.model.model_id).as_bytes())
            .finalize();
        ChaCha8Rng::from_seed(hash.into())
    }
}

/// Where the client was when a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Stayed,
    Left,
}

#[derive(Debug)]
struct Entry {
    model: SimulatedModel,
    script: VecDeque<Fault>,
    down: bool,
    calls: u64,
    /// Calls before the model began to come and go.
    calls_before_flap: u64,
}

#[derive(Debug)]
struct Books {
    entries: BTreeMap<String, Entry>,
    log: VecDeque<CallLog>,
    /// The place of the log's first line.
    first: LogId,
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
            (
                model.model_id.clone(),
                Entry { model, script, down: false, calls: 0, calls_before_flap: 0 },
            )
        };
        let entries = models.into_iter().map(entry).collect();
        let books = Mutex::new(Books { entries, log: VecDeque::new(), first: 0 });
        Self { seed, started: Instant::now(), books }
    }

    /// The next call of a model, or `None` where there is no such model.
    pub(super) fn arrive(&self, model_id: &str) -> Option<Call> {
        let at_ms = self.now_ms();
        let mut books = self.books();
        let entry = books.entries.get_mut(model_id)?;
        entry.calls += 1;
        let mut rng = stream(self.seed, model_id, entry.calls);
        // Drawn always, so that neither script nor outage changes what else the call draws.
        let by_rate = entry.model.faults.pick(rng.random());
        let before = entry.calls - 1 - entry.calls_before_flap;
        let away = entry.down || entry.model.flap.is_some_and(|it| it.fails(before));
        let fault = match away {
            true => Some(DOWN),
            false => entry.script.pop_front().or(by_rate),
        };
        let (model, number, seed) = (entry.model.clone(), entry.calls, self.seed);
        Some(Call { model, number, fault, rng, at_ms, seed })
    }

    pub(super) fn record(&self, call: CallLog) -> LogId {
        let mut books = self.books();
        if books.log.len() == CALLS_LOGGED_MAX {
            books.log.pop_front();
            books.first += 1;
        }
        books.log.push_back(call);
        books.first + books.log.len() as u64 - 1
    }

    /// Notes how a call ended, unless its line is gone.
    pub(super) fn close(&self, id: LogId, delivered_tokens: u64, client: Client) {
        let now_ms = self.now_ms();
        let mut books = self.books();
        let at = id.checked_sub(books.first).and_then(|it| usize::try_from(it).ok());
        if let Some(line) = at.and_then(|it| books.log.get_mut(it)) {
            line.delivered_tokens = delivered_tokens;
            line.client_left = client == Client::Left;
            line.ended_at_ms = Some(now_ms);
        }
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

    pub(super) fn set_flap(&self, id: &str, flap: Option<Flap>) -> Result<(), SimulatorError> {
        self.with(id, |entry| {
            entry.model.flap = flap;
            entry.calls_before_flap = entry.calls;
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
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
            let id = ledger.record(line(at_ms));
            assert_eq!(id, at_ms);
        }
        ledger.close(4, 9, Client::Left);
        ledger.close(5, 9, Client::Left);
        let calls = ledger.calls();
        assert_eq!((calls.len(), calls[0].at_ms), (CALLS_LOGGED_MAX, 5));
        assert!(calls[0].client_left && calls[0].delivered_tokens == 9 && !calls[1].client_left);
    }

    fn line(at_ms: u64) -> CallLog {
        CallLog {
            model_id: "m".to_owned(),
            at_ms,
            fault: None,
            status: Some(200),
            asked_tokens: 1,
            prompt_tokens: 1,
            completion_tokens: 1,
            right: true,
            protocol: Dialect::OpenAi,
            streamed: false,
            images: 0,
            tools: 0,
            system_bytes: 0,
            messages: 1,
            delivered_tokens: 0,
            client_left: false,
            ended_at_ms: None,
        }
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
        ledger.set_flap("m", Some(Flap { healthy: 1, failing: 1 })).unwrap();
        assert_eq!((next(), next(), next()), (None, Some(DOWN), None));
        ledger.set_flap("m", None).unwrap();
        assert_eq!(next(), None);
    }
}
