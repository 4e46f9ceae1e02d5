//! Attempts in words.
//!
//! In: attempts. Out: a line of text. Invariant: no prompt, answer or key is in it.

use crate::domain::{Attempt, FailureClass};

/// Every attempt, or `none`.
pub(super) fn all_in_words(attempts: &[Attempt]) -> String {
    let tried: Vec<_> = attempts.iter().map(in_words).collect();
    if tried.is_empty() { "none".to_owned() } else { tried.join("; ") }
}

fn in_words(attempt: &Attempt) -> String {
    let class = attempt.failure.map_or("answered", FailureClass::as_str);
    let status = attempt.status.map_or(String::new(), |it| format!(" ({it})"));
    let detail = attempt.detail.as_ref().map_or(String::new(), |it| format!(" ({it})"));
    format!(
        "{} {class}{status}{detail} at {:.0} ms for {:.0} ms, {}",
        attempt.deployment, attempt.start_ms, attempt.total_ms, attempt.cost_usd
    )
}
