//! Who is asking: keys in memory, as the store has them.
//!
//! In: a key store, looked at every second; what callers show. Out: [`Caller`]s, or why not. Invariant:
//! an unknown id costs the same work as a wrong secret: one hash and one comparison in constant time;
//! whatever is wrong, the caller is told the same, and only the figures tell why. Buckets of a key
//! whose limits stay as they are stay as full as they are.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::key::{KeyHash, KeyId, KeyText};
use super::limits::SpendLimits;
use super::rate::{Meter, OverRate, Standing};
use super::scope::{Role, Scope};
use super::spend::{Ledger, Payer, Purse};
use super::store::{AccessError, Contents, KeyRow, KeyStore};
use super::{WallClock, calendar, writer};

/// How often the store is looked at for changes: one small read.
pub const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Words that wait for the writer; one is enough to wake it.
const WAKE_MAX: usize = 1;

/// Whether a key must be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nobody asks without one.
    Required,
    /// Whoever shows none asks without limits; a key of ours that is shown must be right.
    Optional,
}

/// Why somebody is not known here. Figures tell it, callers are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No key was shown.
    #[error("no key")]
    Missing,
    /// There is no such key: made up, or mistyped.
    #[error("unknown key")]
    Unknown,
    /// The id is one of ours, the secret is not.
    #[error("forged key")]
    Forged,
    /// It was worth something once.
    #[error("expired key")]
    Expired,
    /// It was taken back.
    #[error("revoked key")]
    Revoked,
}

impl Unauthenticated {
    /// Its name in figures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A key in use.
struct Key {
    row: KeyRow,
    meter: Meter,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<Key>>,
    teams: HashMap<String, SpendLimits>,
    generation: i64,
}

/// Where everyone has to pass.
pub struct Gate {
    demand: Demand,
    known: RwLock<Arc<Known>>,
    store: Mutex<KeyStore>,
    ledger: Arc<Ledger>,
    clock: WallClock,
}

impl Gate {
    /// Opens a key store, and makes one where there is none. Blocks.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn open(path: &Path, demand: Demand, clock: WallClock) -> Result<Self, AccessError> {
        let store = KeyStore::open(path)?;
        let month = calendar::month(calendar::day(clock())).0;
        let spent = store.spent_since(month)?;
        let (wake, woken) = sync_channel(WAKE_MAX);
        let ledger = Arc::new(Ledger::new(&spent, Arc::clone(&clock), wake));
        writer::start(KeyStore::open(path)?, &ledger, woken)?;
        // No file has this generation.
        let known = Known { generation: -1, ..Known::default() };
        let known = RwLock::new(Arc::new(known));
        let gate = Self { demand, known, store: Mutex::new(store), ledger, clock };
        gate.refresh()?;
        Ok(gate)
    }

    /// Whether a key must be shown.
    pub fn demand(&self) -> Demand {
        self.demand
    }

    /// How many keys are worth something now.
    pub fn usable_keys(&self) -> usize {
        let now_s = (self.clock)() / 1_000;
        self.known().keys.values().filter(|it| worth(&it.row, now_s).is_ok()).count()
    }

    /// Takes in what changed in the store. Blocks.
    ///
    /// # Errors
    /// [`AccessError`]; what was known before stays.
    pub fn refresh(&self) -> Result<(), AccessError> {
        let before = self.known();
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(contents) = store.changed_since(before.generation)? else { return Ok(()) };
        let after = Arc::new(before.followed_by(contents));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = after;
        Ok(())
    }

    /// Looks at the store again and again, until the gate is gone.
    pub async fn watch(gate: Weak<Self>, every: Duration) {
        let mut turns = interval(every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = false;
        loop {
            turns.tick().await;
            let Some(gate) = gate.upgrade() else { return };
            let looked = tokio::task::spawn_blocking(move || gate.refresh()).await;
            let error = match looked {
                Ok(Ok(())) => {
                    failed = false;
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            if !std::mem::replace(&mut failed, true) {
                tracing::error!(error, "the key store cannot be read; keys stay as they were");
            }
        }
    }

    /// Who shows this; `None` for somebody who shows nothing of ours where that is enough.
    ///
    /// # Errors
    /// [`Unauthenticated`].
    pub fn caller(&self, shown: Option<KeyText<'_>>) -> Result<Option<Caller>, Unauthenticated> {
        match (&shown, self.demand) {
            (None, Demand::Required) => return Err(Unauthenticated::Missing),
            (None, Demand::Optional) => return Ok(None),
            (Some(shown), Demand::Optional) if !shown.is_ours() => return Ok(None),
            (Some(_), Demand::Required | Demand::Optional) => {}
        }
        let shown = shown.unwrap_or(KeyText::new(""));
        let (known, hash) = (self.known(), shown.hash());
        let key = shown.id().and_then(|id| known.keys.get(id));
        let kept = key.map_or(KeyHash::NOBODYS, |it| it.row.hash);
        let is_same = kept.is_same(&hash);
        let Some(key) = key else { return Err(Unauthenticated::Unknown) };
        if !is_same {
            return Err(Unauthenticated::Forged);
        }
        worth(&key.row, (self.clock)() / 1_000)?;
        let team = &key.row.team;
        let shared = known.teams.get(team).copied().unwrap_or_default();
        let claims = vec![
            ((Payer::Key, key.row.id.to_string()), key.row.spend),
            ((Payer::Team, team.clone()), shared),
        ];
        Ok(Some(Caller { key: Arc::clone(key), purse: Purse::new(&self.ledger, claims) }))
    }

    /// Whether this is a key of an operator.
    pub fn is_admin(&self, shown: KeyText<'_>) -> bool {
        let caller = self.caller(Some(shown)).ok().flatten();
        caller.is_some_and(|it| it.scope().role == Role::Admin)
    }

    /// Waits until what was spent is on disk, or for 250 ms.
    pub async fn settle(&self) {
        self.ledger.written().await;
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// What the store has now, with the buckets of before where their sizes are the same.
    fn followed_by(&self, contents: Contents) -> Self {
        let Contents { keys, teams, generation } = contents;
        let keys = keys.into_iter().map(|row| {
            let id = row.id.to_string();
            let before = self.keys.get(&id).filter(|it| it.row == row);
            let made = || Arc::new(Key { meter: Meter::new(row.rates), row: row.clone() });
            (id, before.map_or_else(made, Arc::clone))
        });
        Self { keys: keys.collect(), teams: teams.into_iter().collect(), generation }
    }
}

fn worth(row: &KeyRow, now_s: u64) -> Result<(), Unauthenticated> {
    match (row.revoked_s, row.expires_s) {
        (Some(_), _) => Err(Unauthenticated::Revoked),
        (None, Some(expires_s)) if expires_s <= now_s => Err(Unauthenticated::Expired),
        (None, _) => Ok(()),
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Gate").field("demand", &self.demand).finish_non_exhaustive()
    }
}

/// Somebody who is known.
#[derive(Clone)]
pub struct Caller {
    key: Arc<Key>,
    purse: Purse,
}

impl Caller {
    /// The key.
    pub fn key(&self) -> &KeyId {
        &self.key.row.id
    }

    /// Whose it is.
    pub fn team(&self) -> &str {
        &self.key.row.team
    }

    /// A caller's name for something, told apart from the same name of another team.
    pub fn own(&self, name: &str) -> String {
        // No name of a team holds a control character.
        format!("{}\u{1f}{name}", self.team())
    }

    /// What it may be used for.
    pub fn scope(&self) -> &Scope {
        &self.key.row.scope
    }

    /// What it pays from.
    pub fn purse(&self) -> &Purse {
        &self.purse
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`OverRate`] when the minute is used up.
    pub fn take_request(&self) -> Result<(), OverRate> {
        self.key.meter.take_request()
    }

    /// Counts the tokens of a prompt, and those of answers before it.
    ///
    /// # Errors
    /// [`OverRate`] when the minute is used up, or is too short for it.
    pub fn take_tokens(&self, prompt: u64) -> Result<(), OverRate> {
        self.key.meter.take_tokens(prompt)
    }

    /// Counts the tokens that an answer took beyond those of its prompt.
    pub fn owe_tokens(&self, more: u64) {
        self.key.meter.owe(more);
    }

    /// How full its buckets are; those without a limit have none.
    pub fn standing(&self) -> Vec<Standing> {
        self.key.meter.standing()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "<key {} of {}>", self.key(), self.team())
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
