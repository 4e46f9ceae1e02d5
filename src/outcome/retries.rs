//! Who asked the same again at once.
//!
//! In: every record as it is written. Out: the earlier decision that the same session was served,
//! with the same prompt, less than [`WINDOW_MS`] before. Invariant: bounded memory, times only from the
//! records. Needs a hash of the prompt, so with `prompts = "none"` it sees nothing. Not here: what
//! is made of it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::privacy::RecordedPrompt;
use super::record::OutcomeRecord;
use crate::domain::{DecisionId, DeploymentId};

/// From the end of an answer to the next question: who takes longer has read it and may well ask
/// for something else in the same words.
const WINDOW_MS: u64 = 30_000;
/// Most answers remembered: 30 s of some 500 requests per second that name a session; a hundred
/// bytes or two each. Beyond it the oldest are forgotten, and a retry of them goes unseen.
const REMEMBERED_MAX: usize = 16_384;

/// An answer that is remembered.
#[derive(Debug)]
struct Answered {
    decision: DecisionId,
    served: DeploymentId,
    request: Option<u64>,
    ended_unix_ms: u64,
}

/// The answers of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Retries {
    /// By session and prompt. Two that fall on one hash of 64 bits cost one wrong signal.
    answered: HashMap<u64, Answered>,
    /// Keys in the order of arrival, with the decision that put them there.
    order: VecDeque<(u64, DecisionId)>,
    hasher: RandomState,
}

impl Retries {
    /// Takes note of a record; gives the decision that it asks again, and who had answered. The same
    /// `request_id` is a client that repeats a call and says nothing of the answer.
    pub(super) fn note(&mut self, record: &OutcomeRecord) -> Option<(DecisionId, DeploymentId)> {
        let session = record.session_id.as_ref()?;
        let prompt = match &record.prompt {
            RecordedPrompt::None => return None,
            RecordedPrompt::Hash(hash) => hash.as_str(),
            RecordedPrompt::Full(text) => text.as_str(),
        };
        let key = self.hasher.hash_one((session, prompt));
        let request = record.request_id.as_ref().map(|it| self.hasher.hash_one(it));
        let asked_again = |it: &Answered| {
            let after_ms = record.at_unix_ms.checked_sub(it.ended_unix_ms);
            let repeated = request.is_some() && request == it.request;
            after_ms.is_some_and(|it| it <= WINDOW_MS) && !repeated
        };
        let earlier = self.answered.get(&key).filter(|it| asked_again(it));
        let earlier = earlier.map(|it| (it.decision, it.served.clone()));
        if let Some(served) = record.served.clone() {
            let ended_unix_ms = record.at_unix_ms.saturating_add(record.total_ms.max(0.0) as u64);
            let decision = record.decision;
            self.answered.insert(key, Answered { decision, served, request, ended_unix_ms });
            self.order.push_back((key, decision));
            self.forget(record.at_unix_ms);
        }
        earlier
    }

    /// Drops what is too old or too much.
    fn forget(&mut self, now_unix_ms: u64) {
        while let Some((key, decision)) = self.order.front().copied() {
            let current = self.answered.get(&key).filter(|it| it.decision == decision);
            let fresh = current.is_some_and(|it| it.ended_unix_ms + WINDOW_MS >= now_unix_ms);
            if fresh && self.order.len() <= REMEMBERED_MAX {
                return;
            }
            if current.is_some() {
                self.answered.remove(&key);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::samples;

    fn asked(at_unix_ms: u64, session: &str, prompt: &str) -> OutcomeRecord {
        OutcomeRecord {
            at_unix_ms,
            total_ms: 1_000.0,
            session_id: Some(session.into()),
            request_id: None,
            prompt: RecordedPrompt::Hash(prompt.into()),
            ..samples::record()
        }
    }

    #[test]
    fn the_same_again_within_the_window_tells_the_earlier_one() {
        let check = |second: OutcomeRecord, wanted: bool, why: &str| {
            let mut retries = Retries::default();
            let first = asked(10_000, "s", "p");
            assert_eq!(retries.note(&first), None);
            let told = retries.note(&second);
            let earlier = (first.decision, first.served.clone().unwrap());
            assert_eq!(told, wanted.then_some(earlier), "{why}");
        };
        check(asked(11_000, "s", "p"), true, "at the end");
        check(asked(11_000 + WINDOW_MS, "s", "p"), true, "just in time");
        check(asked(11_001 + WINDOW_MS, "s", "p"), false, "too late");
        check(asked(10_500, "s", "p"), false, "before it had the answer");
        check(asked(12_000, "t", "p"), false, "another session");
        check(asked(12_000, "s", "q"), false, "another prompt");
        let unkept = OutcomeRecord { prompt: RecordedPrompt::None, ..asked(12_000, "s", "p") };
        check(unkept, false, "no hash is kept");
    }

    #[test]
    fn repeated_calls_and_unanswered_ones_say_nothing() {
        let mut retries = Retries::default();
        let id = |record| OutcomeRecord { request_id: Some("r".into()), ..record };
        retries.note(&id(asked(10_000, "s", "p")));
        assert_eq!(retries.note(&id(asked(12_000, "s", "p"))), None, "the same request");
        assert_eq!(retries.note(&OutcomeRecord { served: None, ..asked(1, "u", "p") }), None);
        assert_eq!(retries.note(&asked(1_500, "u", "p")), None, "there was no answer");
    }

    #[test]
    fn memory_is_bounded_by_number_and_by_time() {
        let mut retries = Retries::default();
        let record = asked(10_000, "s", "p");
        for at in 0..REMEMBERED_MAX + 100 {
            let session_id = Some(at.to_string());
            let decision = DecisionId::fresh();
            retries.note(&OutcomeRecord { session_id, decision, ..record.clone() });
        }
        assert_eq!((retries.answered.len(), retries.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
        retries.note(&asked(60_000, "s", "p"));
        assert_eq!((retries.answered.len(), retries.order.len()), (1, 1));
    }
}
