//! What keys and teams spend, and may spend: reserved before a call, settled after it.
//!
//! In: the most that a call may cost, then what it did cost. Out: a [`Reservation`], or [`Exceeded`].
//! Invariant: at any moment, what was spent in a window and what is reserved together stay within every
//! limit on it, however many ask at once, because all of it is looked at and changed under one lock;
//! what a call costs beyond its reservation, if it ever does, is counted all the same. Money is whole
//! picodollars. Not here: the file (see `writer`), and what a call may cost (see [`crate::dispatch`]).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::WallClock;
use super::calendar::{self, Window};
use super::limits::SpendLimits;
use super::store::Spent;
use crate::domain::Usd;

/// The longest that an answer waits for its cost to be on disk, as for its outcome (see
/// [`crate::outcome`]).
const WRITTEN_WAIT: Duration = Duration::from_millis(250);

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payer {
    /// The key's own.
    Key,
    /// That of everyone in the key's team together.
    Team,
}

impl Payer {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
        }
    }
}

/// Whose spending is counted: a payer and its id or name.
pub(super) type Account = (Payer, String);

/// What is left under a limit does not pay a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "what is left of this {}'s {limit} per {} does not pay the call",
    .payer.as_str(),
    .window.as_str()
)]
pub struct Exceeded {
    /// Whose limit.
    pub payer: Payer,
    /// On what.
    pub window: Window,
    /// How much.
    pub limit: Usd,
    /// When its window begins anew.
    pub resets_in: Duration,
    /// Whether it would be paid if calls under way cost nothing: then some seconds may be enough.
    pub held: bool,
}

impl Exceeded {
    /// The limit's name.
    pub fn name(&self) -> &'static str {
        match (self.payer, self.window) {
            (Payer::Key, Window::Day) => "key_spend_per_day",
            (Payer::Key, Window::Month) => "key_spend_per_month",
            (Payer::Team, Window::Day) => "team_spend_per_day",
            (Payer::Team, Window::Month) => "team_spend_per_month",
        }
    }
}

/// What one account has spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Book {
    /// The day that `in_day` is of, and the first of the month that `in_month` is of.
    day: u64,
    month: u64,
    in_day: Usd,
    in_month: Usd,
    /// For calls under way.
    reserved: Usd,
}

impl Book {
    /// The book as of this day.
    fn turned_to(self, day: u64) -> Self {
        let month = calendar::month(day).0;
        let in_day = if self.day == day { self.in_day } else { Usd::ZERO };
        let in_month = if self.month == month { self.in_month } else { Usd::ZERO };
        Self { day, month, in_day, in_month, ..self }
    }

    /// The limits that `most` more would break, each with whether only what is reserved is in the way.
    fn broken(&self, limits: &SpendLimits, most: Usd) -> impl Iterator<Item = (Window, Usd, bool)> {
        let day = limits.per_day.map(|it| (Window::Day, it, self.in_day));
        let month = limits.per_month.map(|it| (Window::Month, it, self.in_month));
        let reserved = self.reserved;
        let both = day.into_iter().chain(month);
        both.filter(move |(_, limit, spent)| *spent + reserved + most > *limit)
            .map(move |(window, limit, spent)| (window, limit, spent + most <= limit))
    }
}

/// The books, and what of them is not on disk yet.
#[derive(Debug, Default)]
struct Books {
    open: HashMap<Account, Book>,
    unwritten: BTreeMap<(Account, u64), Usd>,
    /// How often anything was settled.
    settled: u64,
}

/// What everyone spends.
pub(super) struct Ledger {
    books: Mutex<Books>,
    clock: WallClock,
    wake: SyncSender<()>,
    /// Up to which settlement everything is on disk.
    pub(super) written: watch::Sender<u64>,
}

impl Ledger {
    /// The books as the store had them; `wake` is told whenever something is to be written.
    pub(super) fn new(spent: &[Spent], clock: WallClock, wake: SyncSender<()>) -> Self {
        let today = calendar::day(clock());
        let mut open: HashMap<Account, Book> = HashMap::new();
        for it in spent {
            let book = open.entry(it.account.clone()).or_default();
            *book = book.turned_to(today);
            if it.day == today {
                book.in_day += it.amount;
            }
            if calendar::month(it.day).0 == book.month {
                book.in_month += it.amount;
            }
        }
        let books = Mutex::new(Books { open, ..Books::default() });
        Self { books, clock, wake, written: watch::channel(0).0 }
    }

    fn reserve(&self, claims: &[(Account, SpendLimits)], most: Usd) -> Result<(), Exceeded> {
        let now = (self.clock)();
        let day = calendar::day(now);
        let mut books = self.books();
        let mut broken = Vec::new();
        for (account, limits) in claims {
            let book = books.open.entry(account.clone()).or_default();
            *book = book.turned_to(day);
            broken.extend(book.broken(limits, most).map(|(window, limit, held)| {
                let resets_in = window.resets_in(now);
                Exceeded { payer: account.0, window, limit, resets_in, held }
            }));
        }
        // All of them have to let it pass: the one that does so last is told.
        let longest = |it: &Exceeded| (!it.held, it.resets_in);
        if let Some(exceeded) = broken.into_iter().max_by_key(longest) {
            return Err(exceeded);
        }
        for (account, _) in claims {
            let book = books.open.entry(account.clone()).or_default();
            book.reserved += most;
        }
        Ok(())
    }

    /// Ends a reservation with what was spent of it.
    fn settle(&self, claims: &[(Account, SpendLimits)], most: Usd, cost: Usd) {
        let day = calendar::day((self.clock)());
        let mut books = self.books();
        for (account, _) in claims {
            let book = books.open.entry(account.clone()).or_default();
            *book = book.turned_to(day);
            book.reserved = book.reserved.less(most);
            book.in_day += cost;
            book.in_month += cost;
            if cost > Usd::ZERO {
                *books.unwritten.entry((account.clone(), day)).or_default() += cost;
            }
        }
        if cost > Usd::ZERO {
            books.settled += 1;
            // Full means that it is awake, and will look again.
            let _ = self.wake.try_send(());
        }
    }

    /// Takes what is to be written, and up to which settlement that is all.
    pub(super) fn take_unwritten(&self) -> (Vec<Spent>, u64) {
        let mut books = self.books();
        let taken = std::mem::take(&mut books.unwritten).into_iter();
        let spent = taken.map(|((account, day), amount)| Spent { account, day, amount });
        (spent.collect(), books.settled)
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&self, spent: Vec<Spent>) {
        let mut books = self.books();
        for it in spent {
            *books.unwritten.entry((it.account, it.day)).or_default() += it.amount;
        }
    }

    /// Waits until everything settled so far is on disk, or for 250 ms.
    pub(super) async fn written(&self) {
        let settled = self.books().settled;
        let mut written = self.written.subscribe();
        let waited = tokio::time::timeout(WRITTEN_WAIT, written.wait_for(|it| *it >= settled));
        if waited.await.is_err() {
            tracing::debug!("what was spent is not on disk yet");
        }
    }

    /// Whole after every step: each is an addition that cannot fail.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one caller pays from: the key's and the team's limits.
#[derive(Clone)]
pub struct Purse {
    ledger: Arc<Ledger>,
    claims: Arc<[(Account, SpendLimits)]>,
}

impl Purse {
    pub(super) fn new(ledger: &Arc<Ledger>, claims: Vec<(Account, SpendLimits)>) -> Self {
        Self { ledger: Arc::clone(ledger), claims: claims.into() }
    }

    /// Sets aside the most that a call may cost, under all limits or under none.
    ///
    /// # Errors
    /// [`Exceeded`]: the limit that lets it pass last.
    pub fn reserve(&self, most: Usd) -> Result<Reservation, Exceeded> {
        self.ledger.reserve(&self.claims, most)?;
        Ok(Reservation { purse: self.clone(), most, open: true })
    }

    /// Waits until everything settled so far is on disk, or for 250 ms.
    pub async fn written(&self) {
        self.ledger.written().await;
    }

    /// A purse of its own under one limit for each day, that writes nothing.
    #[cfg(test)]
    pub(crate) fn of(per_day: Usd) -> Self {
        let (wake, _) = std::sync::mpsc::sync_channel(1);
        let ledger = Ledger::new(&[], Arc::new(|| 0), wake);
        let limits = SpendLimits { per_day: Some(per_day), per_month: None };
        Self::new(&Arc::new(ledger), vec![((Payer::Key, "k".to_owned()), limits)])
    }

    /// What was spent today, and what is reserved.
    #[cfg(test)]
    pub(crate) fn standing(&self) -> (Usd, Usd) {
        let books = self.ledger.books();
        let book = books.open.get(&self.claims[0].0).copied().unwrap_or_default();
        (book.in_day, book.reserved)
    }
}

impl fmt::Debug for Purse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.claims.iter().map(|it| &it.0)).finish()
    }
}

/// Money set aside for one call. Dropped without being settled, it is free again: nothing was called.
#[derive(Debug)]
pub struct Reservation {
    purse: Purse,
    most: Usd,
    open: bool,
}

impl Reservation {
    /// Ends it with what the call cost.
    pub fn settle(mut self, cost: Usd) {
        self.end(cost);
    }

    fn end(&mut self, cost: Usd) {
        if std::mem::take(&mut self.open) {
            self.purse.ledger.settle(&self.purse.claims, self.most, cost);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.end(Usd::ZERO);
    }
}

#[cfg(test)]
#[path = "spend_tests.rs"]
mod tests;
