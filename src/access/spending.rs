//! What everyone has spent so far, for operators to look at.
//!
//! In: a key store. Out: USD by key and by team. Invariant: of the running day and month, UTC. Not here:
//! what is still reserved, which only a running server knows.

use std::collections::HashMap;

use super::calendar;
use super::key::KeyId;
use super::spend::{Account, Payer};
use super::store::{AccessError, KeyStore};
use crate::domain::Usd;

/// What an account has spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SoFar {
    /// Today.
    pub day: Usd,
    /// In this month.
    pub month: Usd,
}

/// What everyone has spent.
#[derive(Debug)]
pub struct Spending(HashMap<Account, SoFar>);

impl Spending {
    /// Reads it.
    ///
    /// # Errors
    /// [`AccessError::Database`].
    pub fn read(store: &KeyStore, now_ms: u64) -> Result<Self, AccessError> {
        let today = calendar::day(now_ms);
        let mut all: HashMap<Account, SoFar> = HashMap::new();
        for it in store.spent_since(calendar::month(today).0)? {
            let so_far = all.entry(it.account).or_default();
            so_far.month += it.amount;
            if it.day == today {
                so_far.day += it.amount;
            }
        }
        Ok(Self(all))
    }

    /// Of one key.
    pub fn of_key(&self, id: &KeyId) -> SoFar {
        self.0.get(&(Payer::Key, id.to_string())).copied().unwrap_or_default()
    }

    /// Of everyone in a team.
    pub fn of_team(&self, name: &str) -> SoFar {
        self.0.get(&(Payer::Team, name.to_owned())).copied().unwrap_or_default()
    }
}
