//! Faults of keys: none, not for this, used up.
//!
//! In: refusals of [`crate::access`]. Out: [`Fault`]s. Invariant: what is wrong with a key is never told;
//! which limit is used up, and when that ends, always is.

use std::collections::BTreeMap;

use super::words::all_in_words;
use super::{Fault, Kind, millis};
use crate::access::{Exceeded, OverRate};
use crate::dispatch::COME_BACK_AFTER;
use crate::domain::Attempt;

/// A key that is missing or worth nothing; which of both is told to nobody.
pub(in crate::api) fn unauthenticated() -> Fault {
    let message = "a valid API key is needed: `authorization: Bearer KEY` or `x-api-key: KEY`";
    Fault::new(Kind::Unauthenticated, "INVALID_API_KEY", message)
}

/// A model or a policy that a key may not use.
pub(in crate::api) fn not_permitted(reason: &str, what: &'static str, name: &str) -> Fault {
    let message = format!("this API key may not use the {what} `{name}`");
    let facts = [(what.to_owned(), name.to_owned())].into();
    Fault { facts, ..Fault::new(Kind::NotPermitted, reason, message) }
}

/// A minute that is used up.
pub(in crate::api) fn over_rate(over: &OverRate) -> Fault {
    let name = over.rate.as_str();
    let when = match over.retry_in {
        Some(it) => format!("; come back in {:.1} s", it.as_secs_f64()),
        None => ": this request is larger than that".to_owned(),
    };
    let facts = facts([("limit", name.to_owned()), ("value", over.limit.to_string())]);
    let fault = Fault::new(Kind::OverLimit, "RATE_LIMIT_EXCEEDED", format!("{over}{when}"));
    Fault { facts, retry_ms: over.retry_in.map(millis), ..fault }
}

/// A day or a month whose money is used up.
pub(super) fn over_spend(exceeded: &Exceeded, attempts: &[Attempt]) -> Fault {
    let retry = if exceeded.held { COME_BACK_AFTER } else { exceeded.resets_in };
    let facts = facts([
        ("limit", exceeded.name().to_owned()),
        ("value", exceeded.limit.get().to_string()),
        ("resets_in_s", exceeded.resets_in.as_secs().to_string()),
    ]);
    let message = format!("{exceeded}; attempts: {}", all_in_words(attempts));
    let fault = Fault::new(Kind::OverLimit, "SPEND_LIMIT_EXCEEDED", message);
    Fault { facts, retry_ms: Some(millis(retry)), ..fault }
}

fn facts<const N: usize>(named: [(&str, String); N]) -> BTreeMap<String, String> {
    named.into_iter().map(|(name, it)| (name.to_owned(), it)).collect()
}
