//! Paying: money is set aside before every attempt, and settled by what it cost.
//!
//! In: a candidate whose turn it is. Out: whether it is paid. Invariant: every attempt under way has
//! its own reservation, ended exactly once: when the attempt is written down, or given back when it was
//! not begun. Not here: the limits (see [`crate::access`]).

use super::super::worst::worst;
use super::{Chain, Reserved, Unpaid};
use crate::access::Exceeded;
use crate::domain::Usd;
use crate::ranking::Ranked;

impl Chain<'_> {
    /// Sets aside the most that a call of this candidate may cost; whoever cannot be paid is
    /// remembered.
    pub(super) fn is_paid(&mut self, at: usize) -> bool {
        let reserved = self.reserve(at);
        self.unpaid.extend(reserved.err().map(|why| Unpaid { at, why }));
        reserved.is_ok()
    }

    /// As [`Chain::is_paid`], for a call that can be left out: another one's end may pay it later.
    pub(super) fn reserve(&mut self, at: usize) -> Result<(), Exceeded> {
        let Some(purse) = self.plan.purse else { return Ok(()) };
        let ranked = self.walk[at];
        let money = purse.reserve(worst(ranked, self.plan.request, self.begun))?;
        self.reserved.push(Reserved { ranked, money });
        Ok(())
    }

    /// Gives back what was set aside for a call that is not made.
    pub(super) fn give_back(&mut self, at: usize) {
        let ranked = self.walk[at];
        self.reserved.retain(|it| !std::ptr::eq(it.ranked, ranked));
    }

    /// Pays for a call that has ended.
    pub(super) fn settle(&mut self, ranked: &Ranked, cost: Usd) {
        let mine = |it: &Reserved<'_>| std::ptr::eq(it.ranked, ranked);
        if let Some(at) = self.reserved.iter().position(mine) {
            self.reserved.swap_remove(at).money.settle(cost);
        }
    }
}
