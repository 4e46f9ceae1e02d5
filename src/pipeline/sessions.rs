//! Who served a session last, and how much of its prompt the provider may still hold.
//!
//! In: served turns, and the time. Out: a [`HeldPrompt`] for the session's next turn. Invariant:
//! bounded in number ([`SESSIONS_MAX`]) and in time ([`CACHE_TTL`]); no prompt is kept. Not here: what
//! the cached tokens are worth (see [`crate::prediction`] and [`crate::ranking`]).
//!
//! Nobody tells us what a provider holds. The rule: a prompt goes on from the session's last one, so
//! all of that one's input is there, unless the provider's own count of cached tokens said otherwise
//! for a turn before. So a provider without a cache, or a caller who does not send the same beginning
//! again, is believed once and then not any more.

use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::domain::{DeploymentId, Usage};
use crate::prediction::HeldPrompt;

/// Sessions remembered: with an id of 200 bytes each some 6 MB when full.
const SESSIONS_MAX: usize = 16_384;

/// How long after a turn its prompt counts as held: the shortest that the large vendors name.
/// Anthropic: 5 minutes, anew with every use; OpenAI: 5 to 10 minutes without use, an hour at most
/// (both prompt caching guides, as of 2026-03). Counted from the arrival of a turn, which is before
/// its provider saw it.
const CACHE_TTL: Duration = Duration::from_secs(5 * 60);

/// Shorter prompts are not cached: 1,024 tokens at OpenAI and at least as many at Anthropic (same
/// guides).
const CACHED_TOKENS_MIN: f64 = 1_024.0;

/// A turn that was served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    /// Who served it.
    pub(super) deployment: &'a DeploymentId,
    /// Its input by our count, tokens.
    pub(super) input_tokens: f64,
    /// How much of it was expected from the cache, by our count.
    pub(super) expected: f64,
    /// What the provider counted; `None` where it did not.
    pub(super) told: Option<Usage>,
}

/// The last turn of a session.
#[derive(Debug, Clone, PartialEq)]
struct LastTurn {
    deployment: DeploymentId,
    input_tokens: f64,
    /// The share of the input that the provider is believed to hold.
    share: f64,
    at: Instant,
}

/// Sessions, by their callers' names for them.
pub(super) struct Sessions(Cache<String, LastTurn>);

impl Sessions {
    pub(super) fn new() -> Self {
        Self(Cache::new(SESSIONS_MAX))
    }

    /// Who may hold the beginning of a prompt of so many tokens, and how much of it.
    pub(super) fn held(&self, id: &str, input_tokens: f64, now: Instant) -> Option<HeldPrompt> {
        let last = self.0.get(id)?;
        let tokens = last.held(input_tokens, now);
        (tokens > 0.0).then_some(HeldPrompt { deployment: last.deployment, tokens })
    }

    /// Takes in a turn.
    pub(super) fn served(&self, id: &str, turn: Turn<'_>, now: Instant) {
        let before = self.0.get(id).filter(|it| it.deployment == *turn.deployment);
        let share = turn.share(before.map_or(1.0, |it| it.share));
        let Turn { deployment, input_tokens, .. } = turn;
        let last = LastTurn { deployment: deployment.clone(), input_tokens, share, at: now };
        self.0.insert(id.to_owned(), last);
    }
}

impl LastTurn {
    /// A prompt that is shorter does not begin with this one.
    fn held(&self, input_tokens: f64, now: Instant) -> f64 {
        let tokens = self.input_tokens * self.share;
        let fresh = now.saturating_duration_since(self.at) < CACHE_TTL;
        let begins_with_it = input_tokens >= self.input_tokens;
        if fresh && begins_with_it && tokens >= CACHED_TOKENS_MIN { tokens } else { 0.0 }
    }
}

impl Turn<'_> {
    /// The share of this turn's input that is held from now on, where it was `before` so far.
    fn share(&self, before: f64) -> f64 {
        let Some(told) = self.told.filter(|it| it.input_tokens > 0) else { return before };
        let input = told.input_tokens as f64;
        let cached = told.cached_tokens as f64 / input;
        if told.cache_written_tokens > 0 {
            // Who bills for writing says exactly what is there.
            return (cached + told.cache_written_tokens as f64 / input).min(1.0);
        }
        if self.expected > 0.0 {
            return before * (cached * self.input_tokens / self.expected).min(1.0);
        }
        before.max(cached).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(cached: u64, written: u64) -> Option<Usage> {
        let usage = Usage { input_tokens: 2_000, ..Usage::default() };
        Some(Usage { cached_tokens: cached, cache_written_tokens: written, ..usage })
    }

    /// What is expected of a third turn of 3,000 tokens after one of 2,000 at `a@p`, for which
    /// `expected` tokens were, and `told` came.
    fn third(expected: f64, told: Option<Usage>) -> f64 {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let deployment = &DeploymentId::new("a@p").unwrap();
        let turn = Turn { deployment, input_tokens: 2_000.0, expected, told };
        sessions.served("s", turn, now);
        let held = sessions.held("s", 3_000.0, now);
        assert!(held.as_ref().is_none_or(|it| it.deployment == *deployment));
        held.map_or(0.0, |it| it.tokens)
    }

    #[test]
    fn what_the_provider_counted_is_believed() {
        let check = |expected: f64, told: Option<Usage>, wanted: f64| {
            assert_eq!(third(expected, told), wanted, "{expected} {told:?}");
        };
        check(0.0, None, 2_000.0);
        check(0.0, usage(0, 0), 2_000.0);
        check(1_500.0, None, 2_000.0);
        check(1_500.0, usage(1_500, 0), 2_000.0);
        check(1_500.0, usage(1_200, 0), 1_600.0);
        check(1_500.0, usage(0, 0), 0.0);
        // Only the system prompt is written to the cache.
        check(0.0, usage(0, 1_100), 1_100.0);
        check(1_500.0, usage(300, 900), 1_200.0);
        // Below what anybody caches.
        check(0.0, usage(0, 1_000), 0.0);
    }

    #[test]
    fn who_said_that_nothing_was_cached_is_not_believed_again_until_it_says_so() {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let deployment = &DeploymentId::new("a@p").unwrap();
        let turn = |expected: f64, told| {
            sessions.served("s", Turn { deployment, input_tokens: 2_000.0, expected, told }, now);
            sessions.held("s", 2_000.0, now).map_or(0.0, |it| it.tokens)
        };
        assert_eq!(turn(0.0, usage(0, 0)), 2_000.0);
        assert_eq!(turn(2_000.0, usage(0, 0)), 0.0);
        assert_eq!(turn(0.0, usage(0, 0)), 0.0);
        assert_eq!(turn(0.0, usage(1_800, 0)), 1_800.0);
    }

    #[test]
    fn a_session_is_held_for_some_minutes_at_the_last_one_who_served_it() {
        let (sessions, start) = (Sessions::new(), Instant::now());
        let [a, b] = ["a@p", "b@p"].map(|it| DeploymentId::new(it).unwrap());
        let turn =
            |deployment| Turn { deployment, input_tokens: 1_500.0, expected: 0.0, told: None };
        let whose = |id: &str, tokens: f64, after: Duration| {
            sessions.held(id, tokens, start + after).map(|it| it.deployment)
        };
        sessions.served("s", turn(&a), start);
        let last = CACHE_TTL - Duration::from_millis(1);
        assert_eq!(whose("s", 1_500.0, last), Some(a.clone()));
        assert_eq!(whose("s", 1_500.0, CACHE_TTL), None);
        assert_eq!(whose("s", 1_499.0, last), None);
        assert_eq!(whose("other", 1_500.0, last), None);
        sessions.served("s", turn(&b), start + last);
        assert_eq!(whose("s", 1_500.0, last + last), Some(b.clone()));
        sessions.served("s", Turn { input_tokens: 900.0, ..turn(&a) }, start);
        assert_eq!(whose("s", 1_500.0, Duration::ZERO), None);
    }

    #[test]
    fn there_are_only_so_many_sessions() {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let deployment = &DeploymentId::new("a@p").unwrap();
        let turn = Turn { deployment, input_tokens: 1_500.0, expected: 0.0, told: None };
        for at in 0..3 * SESSIONS_MAX {
            sessions.served(&at.to_string(), turn, now);
        }
        assert!(sessions.0.len() <= SESSIONS_MAX, "{}", sessions.0.len());
    }
}
