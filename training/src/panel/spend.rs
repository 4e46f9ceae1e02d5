//! What may be spent, what is set aside for calls under way, and what was spent.
//!
//! In: a limit, and what earlier runs spent. Out: [`Reserved`] amounts. Invariant: what was spent and
//! what is set aside never exceed the limit together, unless a provider bills more than could be
//! expected at most; a call is made only out of an amount that was set aside for it. Not here: what a
//! call can cost (see [`super::money`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman::domain::Usd;
use tokio::sync::Notify;

/// The money of a panel.
#[derive(Debug)]
pub struct Spend {
    amounts: Mutex<Amounts>,
    /// Told whenever something set aside is spent or given back; one waits at a time.
    freed: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Amounts {
    limit: Usd,
    spent: Usd,
    reserved: Usd,
}

impl Amounts {
    fn left(&self) -> Usd {
        self.limit.less(self.spent).less(self.reserved)
    }
}

/// An amount that was set aside; what is not spent of it is given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    spend: Arc<Spend>,
    amount: Usd,
}

impl Spend {
    /// `limit` in all, of which `spent` is gone.
    pub fn new(limit: Usd, spent: Usd) -> Arc<Self> {
        let amounts = Mutex::new(Amounts { limit, spent, reserved: Usd::ZERO });
        Arc::new(Self { amounts, freed: Notify::new() })
    }

    /// What was spent so far.
    pub fn spent(&self) -> Usd {
        self.amounts().spent
    }

    /// Sets an amount aside, if so much is left.
    pub fn try_reserve(self: &Arc<Self>, amount: Usd) -> Option<Reserved> {
        let mut reserved = Reserved { spend: Arc::clone(self), amount: Usd::ZERO };
        reserved.resize(amount).then_some(reserved)
    }

    /// As [`Self::try_reserve`]; waits while calls under way may leave enough of what is set aside for
    /// them. So what fits does not depend on how many are under way. For one waiter at a time.
    pub async fn reserve(self: &Arc<Self>, amount: Usd) -> Option<Reserved> {
        // Ends: each round waits for a call to end, and whoever waits begins none.
        loop {
            if let Some(reserved) = self.try_reserve(amount) {
                return Some(reserved);
            }
            if self.amounts().reserved == Usd::ZERO {
                return None;
            }
            self.freed.notified().await;
        }
    }

    fn amounts(&self) -> MutexGuard<'_, Amounts> {
        // Whoever panicked changed at most one number, and holds no lock while doing anything else.
        self.amounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved {
    /// Makes it this much instead; `false`, and nothing changed, where so much is not left.
    pub fn resize(&mut self, to: Usd) -> bool {
        let mut amounts = self.spend.amounts();
        let own = Amounts { reserved: amounts.reserved.less(self.amount), ..*amounts };
        if to > own.left() {
            return false;
        }
        *amounts = Amounts { reserved: own.reserved + to, ..own };
        drop(amounts);
        if to < self.amount {
            self.spend.freed.notify_one();
        }
        self.amount = to;
        true
    }

    /// Takes a part of it, or all where it is less.
    pub fn split(&mut self, part: Usd) -> Self {
        let amount = part.min(self.amount);
        self.amount = self.amount.less(amount);
        Self { spend: Arc::clone(&self.spend), amount }
    }

    /// Pays a call out of it; nothing of it stays set aside.
    pub fn settle(&mut self, cost: Usd) {
        let mut amounts = self.spend.amounts();
        amounts.spent += cost;
        amounts.reserved = amounts.reserved.less(self.amount);
        self.amount = Usd::ZERO;
        drop(amounts);
        self.spend.freed.notify_one();
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // Nothing is told where nothing is freed: who waits would look again at once, for ever.
        if self.amount > Usd::ZERO {
            self.settle(Usd::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(amount: f64) -> Usd {
        Usd::new(amount).unwrap()
    }

    #[test]
    fn no_more_is_set_aside_than_is_left() {
        let spend = Spend::new(usd(1.0), usd(0.2));
        let mut first = spend.try_reserve(usd(0.5)).unwrap();
        assert!(spend.try_reserve(usd(0.4)).is_none());
        let second = spend.try_reserve(usd(0.3)).unwrap();
        assert!(spend.try_reserve(usd(0.000_001)).is_none());
        first.settle(usd(0.1));
        drop(second);
        assert_eq!(spend.spent(), usd(0.3));
        assert!(spend.try_reserve(usd(0.7)).is_some());
        assert!(spend.try_reserve(usd(0.700_001)).is_none());
    }

    #[test]
    fn amounts_are_split_and_resized() {
        let spend = Spend::new(usd(1.0), Usd::ZERO);
        let mut whole = spend.try_reserve(usd(0.9)).unwrap();
        let mut part = whole.split(usd(0.4));
        assert!(!part.resize(usd(0.6)));
        assert!(part.resize(usd(0.5)));
        assert!(spend.try_reserve(usd(0.000_001)).is_none());
        part.settle(usd(0.05));
        // A retry is paid out of what is left, not out of another's part.
        assert!(part.resize(usd(0.45)) && !part.resize(usd(0.46)));
        drop((part, whole));
        assert_eq!(spend.spent(), usd(0.05));
    }

    #[tokio::test]
    async fn who_does_not_fit_waits_for_those_under_way() {
        let spend = Spend::new(usd(1.0), Usd::ZERO);
        let mut under_way = spend.try_reserve(usd(0.8)).unwrap();
        let waiting = tokio::spawn({
            let spend = Arc::clone(&spend);
            async move { spend.reserve(usd(0.6)).await.is_some() }
        });
        tokio::task::yield_now().await;
        under_way.settle(usd(0.3));
        assert!(waiting.await.unwrap());
        assert!(spend.reserve(usd(0.71)).await.is_none());
    }
}
