//! Requests by the second they ended in.
//!
//! In: seconds since 1970 UTC. Out: a row of seconds without a gap. Invariant: a ring of
//! [`SECONDS_MAX`]; what is older than it is not counted into a newer second.

/// Seconds that are remembered: a quarter of an hour.
pub const SECONDS_MAX: usize = 900;

/// What ended in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Second {
    /// Requests that ended.
    pub ended: u32,
    /// Those that were answered whole.
    pub answered: u32,
    /// Those that another than the first choice answered.
    pub fell_back: u32,
}

/// The newest seconds.
pub(super) struct Traffic(Box<[(u64, Second)]>);

impl Traffic {
    pub(super) fn new() -> Self {
        Self(vec![(0, Second::default()); SECONDS_MAX].into_boxed_slice())
    }

    /// Adds to a second.
    pub(super) fn note(&mut self, at_unix_s: u64, more: Second) {
        let slot = &mut self.0[place(at_unix_s)];
        if slot.0 > at_unix_s {
            return;
        }
        if slot.0 < at_unix_s {
            *slot = (at_unix_s, Second::default());
        }
        let sum = &mut slot.1;
        sum.ended = sum.ended.saturating_add(more.ended);
        sum.answered = sum.answered.saturating_add(more.answered);
        sum.fell_back = sum.fell_back.saturating_add(more.fell_back);
    }

    /// So many seconds, the last of them given.
    pub(super) fn until(&self, last_unix_s: u64, count: usize) -> Vec<Second> {
        let count = count.min(SECONDS_MAX) as u64;
        let first = (last_unix_s + 1).saturating_sub(count);
        let second = |at: u64| {
            let (of, found) = self.0[place(at)];
            if of == at { found } else { Second::default() }
        };
        (first..=last_unix_s).map(second).collect()
    }
}

fn place(at_unix_s: u64) -> usize {
    (at_unix_s % SECONDS_MAX as u64) as usize
}
