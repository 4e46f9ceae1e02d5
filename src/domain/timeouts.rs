//! How long a call may take, where someone has said so.
//!
//! In: what a request, a model's section or the server's policy names. Out: one value that layers
//! are put over each other in. Invariant: what nobody named is absent, and left to the prediction
//! (first token) or to the defaults (the rest). Not here: those defaults (see [`crate::dispatch`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of one call; each only where it was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// The longest that the first call of a request may take.
    pub first_attempt: Option<Duration>,
    /// The longest that each later call may take.
    pub fallback: Option<Duration>,
    /// The longest until the first content of a streamed answer.
    pub first_token: Option<Duration>,
    /// The longest silence inside a streamed answer, after its first content.
    pub stall: Option<Duration>,
}

impl Timeouts {
    /// These, and where one is not named, the other's.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            first_attempt: self.first_attempt.or(other.first_attempt),
            fallback: self.fallback.or(other.fallback),
            first_token: self.first_token.or(other.first_token),
            stall: self.stall.or(other.stall),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_layer_wins_where_it_says_something() {
        let second = |it: u64| Some(Duration::from_secs(it));
        let request = Timeouts { first_token: second(1), ..Timeouts::default() };
        let model = Timeouts { first_token: second(2), stall: second(3), ..Timeouts::default() };
        let wanted = Timeouts { first_token: second(1), stall: second(3), ..Timeouts::default() };
        assert_eq!(request.or(model), wanted);
        assert_eq!(Timeouts::default().or(model), model);
    }
}
