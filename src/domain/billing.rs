//! What a provider bills of calls that do not end in a whole answer.
//!
//! In: a provider's row or the operator's config. Out: [`Billing`]. Not here: which provider does what
//! (see `providers/builtin.toml`), and the counting (see `dispatch`).

use serde::{Deserialize, Serialize};

/// A provider's rule for calls that fail or are left. A whole answer is billed by all of them; a
/// refusal with an error status by none, but for [`Self::WhatWasProcessed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    /// Nothing: only whole answers count. Servers of one's own.
    Nothing,
    /// The input and the tokens made until the connection ended. A call for an answer in one piece
    /// cannot be stopped: it goes on, and is billed whole.
    #[default]
    WhatWasGenerated,
    /// As [`Self::WhatWasGenerated`]; and the input of a prompt that was read before it was refused.
    WhatWasProcessed,
    /// The input and the whole answer: the model goes on after the connection has ended.
    WholeAnswer,
}

impl Billing {
    /// Every rule.
    pub const ALL: [Self; 4] =
        [Self::Nothing, Self::WhatWasGenerated, Self::WhatWasProcessed, Self::WholeAnswer];

    /// Its name in configs and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::WhatWasGenerated => "what_was_generated",
            Self::WhatWasProcessed => "what_was_processed",
            Self::WholeAnswer => "whole_answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_log() -> serde_json::Result<()> {
        for it in Billing::ALL {
            assert_eq!(serde_json::to_string(&it)?, format!("\"{}\"", it.as_str()));
        }
        Ok(())
    }
}
