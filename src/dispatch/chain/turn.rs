//! Turns: every call is counted against its deployment's own minute before it is made.
//!
//! In: a candidate whose turn it is. Out: whether its minute has room. Invariant: every attempt under way
//! was counted exactly once, retries, fallbacks and hedges too; one that is not begun is given back. Not
//! here: the limits (see [`Health`](super::super::Health)).

use std::time::Duration;

use super::super::billing::Expected;
use super::super::health::Counted;
use super::Chain;
use crate::domain::Usage;
use crate::ranking::Ranked;

/// A call that was counted.
pub(super) struct TakenTurn<'a> {
    ranked: &'a Ranked,
    counted: Counted,
}

impl Chain<'_> {
    /// Counts a call of this candidate.
    ///
    /// # Errors
    /// When to ask again, on the health's clock.
    pub(super) fn take_turn(&mut self, at: usize, now: Duration) -> Result<(), Duration> {
        let ranked = self.walk[at];
        let Expected { input, output } = self.expected(ranked);
        let tokens = input.saturating_add(output);
        let counted = self.plan.health.take_turn(&ranked.deployment.id, tokens, now)?;
        self.turns.extend(counted.map(|counted| TakenTurn { ranked, counted }));
        Ok(())
    }

    /// Gives back what was counted of a call that is not made.
    pub(super) fn give_back_turn(&mut self, at: usize) {
        let ranked = self.walk[at];
        if let Some(counted) = self.turn_of(ranked) {
            self.plan.health.give_back_turn(&ranked.deployment.id, counted);
        }
    }

    /// A call has ended, and is billed for this.
    pub(super) fn end_turn(&mut self, ranked: &Ranked, usage: &Usage) {
        if let Some(counted) = self.turn_of(ranked) {
            let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
            self.plan.health.used_turn(&ranked.deployment.id, counted, tokens);
        }
    }

    fn turn_of(&mut self, ranked: &Ranked) -> Option<Counted> {
        let at = self.turns.iter().position(|it| std::ptr::eq(it.ranked, ranked))?;
        Some(self.turns.swap_remove(at).counted)
    }
}
