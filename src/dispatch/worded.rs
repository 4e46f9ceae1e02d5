//! A request as each target of a route is asked it.
//!
//! In: the caller's request. Out: the same, or one with a target's own parameters. Invariant: made once
//! for each target, and only when its turn comes: a request can be megabytes.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::domain::ChatRequest;
use crate::ranking::{Ranked, Ranking};

/// A request in all its wordings.
pub(super) struct Worded<'a> {
    base: &'a ChatRequest,
    /// By the place of the stop.
    changed: BTreeMap<usize, OnceLock<ChatRequest>>,
}

impl<'a> Worded<'a> {
    pub(super) fn new(base: &'a ChatRequest, ranking: &Ranking) -> Self {
        let stops = ranking.entries.iter().filter_map(|it| it.stop.as_ref());
        let changing = stops.filter(|it| !it.terms.overrides.are_none());
        Self { base, changed: changing.map(|it| (it.place, OnceLock::new())).collect() }
    }

    /// As a candidate is asked.
    pub(super) fn of(&self, ranked: &Ranked) -> &ChatRequest {
        let Some(stop) = &ranked.stop else { return self.base };
        let own = self.changed.get(&stop.place);
        own.map_or(self.base, |it| it.get_or_init(|| stop.terms.overrides.applied_to(self.base)))
    }
}
