//! What a Claude model takes, told from its id: Anthropic's API differs by model.
//!
//! In: a model's id at any provider. Out: [`Claude`]. Invariant: a model that is no Claude takes all
//! that the API ever had; a Claude of unknown number is taken for the newest. Source: Anthropic's
//! pages on thinking and on what is new in 4.6, 4.7, 5 and 5.5 (2026-10).

use crate::domain::Effort;

/// Budgets below are refused.
pub(super) const BUDGET_TOKENS_MIN: u64 = 1_024;
const BUDGET_TOKENS_LOW: u64 = 2_048;
const BUDGET_TOKENS_MEDIUM: u64 = 8_192;
const BUDGET_TOKENS_HIGH: u64 = 16_384;
/// Numbers in an id from here on are dates.
const NUMBER_MAX: u32 = 100;
const NEWEST: (u32, u32) = (NUMBER_MAX, 0);

/// A model, as far as Anthropic's API tells models apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Claude {
    /// Another vendor's model behind the same API.
    Other,
    /// A Claude.
    Known {
        /// Its line.
        family: Family,
        /// Its number, for instance 4.6.
        version: (u32, u32),
    },
}

/// A line of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Family {
    /// Opus.
    Opus,
    /// Sonnet.
    Sonnet,
    /// Haiku.
    Haiku,
    /// Fable, Mythos and what may come.
    Newer,
}

/// How thinking is turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Off {
    /// It is off unless asked for.
    ByDefault,
    /// By `disabled`.
    Disabled,
    /// By `between_tools`, which leaves short notes between tool calls.
    BetweenTools,
    /// Not at all.
    Never,
}

impl Claude {
    /// Reads `claude-opus-4-6`, `claude-3-5-sonnet-20241022`, `us.anthropic.claude-sonnet-5-v1:0`.
    pub(in super::super) fn of(model_id: &str) -> Self {
        let id = model_id.to_ascii_lowercase();
        let Some((_, rest)) = id.split_once("claude-") else { return Self::Other };
        let mut words = rest.split(['-', '.', ':', '@', '/', '_']).peekable();
        let number = |word: &str| word.parse().ok().filter(|it| *it < NUMBER_MAX);
        let named = words.next_if(|it| number(it).is_none());
        let major = words.next().and_then(number);
        let minor = words.next().and_then(number).unwrap_or(0);
        let version = major.map_or(NEWEST, |it| (it, minor));
        let family = match named {
            Some("opus") => Family::Opus,
            Some("sonnet") => Family::Sonnet,
            Some("haiku") => Family::Haiku,
            // The old order, `claude-3-opus`: all of these think alike.
            None => Family::Opus,
            Some(_) => Family::Newer,
        };
        Self::Known { family, version }
    }

    /// Whether thinking has a budget of tokens; newer ones are told an effort instead.
    pub(in super::super) fn takes_budgets(self) -> bool {
        self.up_to((4, 6))
    }

    /// Whether temperature, top-p and top-k are taken.
    pub(in super::super) fn takes_sampling(self) -> bool {
        self.up_to((4, 6))
    }

    /// Whether temperature and top-p are taken together.
    pub(in super::super) fn takes_both(self) -> bool {
        self.up_to((4, 0))
    }

    /// Whether an answer that was begun is gone on with.
    pub(in super::super) fn takes_prefill(self) -> bool {
        self.up_to((4, 5))
    }

    /// Whether JSON schemas are held to by the API itself.
    pub(in super::super) fn takes_schemas(self) -> bool {
        !self.up_to((4, 4)) || self == Self::Other
    }

    /// Whether a tool call can be forced, at least where the model does not think.
    pub(in super::super) fn takes_forced_tools(self) -> bool {
        match self {
            Self::Other | Self::Known { family: Family::Haiku, .. } => true,
            Self::Known { version, .. } => version <= (5, 0),
        }
    }

    /// Whether it thinks unless told not to.
    pub(in super::super) fn thinks_by_default(self) -> bool {
        !self.up_to((4, 9))
    }

    /// How its thinking is turned off.
    pub(in super::super) fn off(self) -> Off {
        match self {
            Self::Other => Off::ByDefault,
            Self::Known { version, .. } if version < (5, 0) => Off::ByDefault,
            Self::Known { family: Family::Haiku, .. } => Off::Disabled,
            Self::Known { family: Family::Opus | Family::Sonnet, version: (5, 0) } => Off::Disabled,
            Self::Known { family: Family::Sonnet, .. } => Off::BetweenTools,
            Self::Known { family: Family::Opus | Family::Newer, .. } => Off::Never,
        }
    }

    fn up_to(self, last: (u32, u32)) -> bool {
        match self {
            Self::Other => true,
            Self::Known { version, .. } => version <= last,
        }
    }
}

/// An effort as a budget of thinking tokens; `None` for none.
pub(super) fn budget(effort: Effort) -> Option<u64> {
    match effort {
        Effort::Off => None,
        Effort::Minimal => Some(BUDGET_TOKENS_MIN),
        Effort::Low => Some(BUDGET_TOKENS_LOW),
        Effort::Medium => Some(BUDGET_TOKENS_MEDIUM),
        Effort::High => Some(BUDGET_TOKENS_HIGH),
        Effort::Tokens(tokens) => Some(tokens.max(BUDGET_TOKENS_MIN)),
    }
}

/// An effort as the level of those models that take no budget; the lowest stands for none.
pub(super) fn level(effort: Effort) -> &'static str {
    let tokens = budget(effort).unwrap_or(0);
    if tokens <= BUDGET_TOKENS_LOW {
        return "low";
    }
    if tokens <= BUDGET_TOKENS_MEDIUM { "medium" } else { "high" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_every_spelling() {
        let check = |id: &str, family, version| {
            assert_eq!(Claude::of(id), Claude::Known { family, version }, "{id}");
        };
        check("claude-3-5-sonnet-20241022", Family::Opus, (3, 5));
        check("claude-3-haiku-20240307", Family::Opus, (3, 0));
        check("claude-opus-4@20250514", Family::Opus, (4, 0));
        check("claude-haiku-4-5-20251001", Family::Haiku, (4, 5));
        check("anthropic/claude-opus-4.7", Family::Opus, (4, 7));
        check("us.anthropic.claude-opus-4-6-v1", Family::Opus, (4, 6));
        check("anthropic.claude-sonnet-4-5-20250929-v1:0", Family::Sonnet, (4, 5));
        check("claude-fable-5", Family::Newer, (5, 0));
        check("claude-mythos-preview", Family::Newer, NEWEST);
        for id in ["model-1", "kimi-k2", "amazon.nova-pro-v1:0"] {
            assert_eq!(Claude::of(id), Claude::Other, "{id}");
        }
    }

    #[test]
    fn what_is_taken_follows_the_number() {
        let check = |id: &str, sampling, budgets, prefill, forced, off| {
            let it = Claude::of(id);
            let told = (it.takes_sampling(), it.takes_budgets(), it.takes_prefill());
            assert_eq!(told, (sampling, budgets, prefill), "{id}");
            assert_eq!((it.takes_forced_tools(), it.off()), (forced, off), "{id}");
        };
        check("model-1", true, true, true, true, Off::ByDefault);
        check("claude-sonnet-4-5", true, true, true, true, Off::ByDefault);
        check("claude-opus-4-6", true, true, false, true, Off::ByDefault);
        check("claude-opus-4-8", false, false, false, true, Off::ByDefault);
        check("claude-sonnet-5", false, false, false, true, Off::Disabled);
        check("claude-fable-5", false, false, false, true, Off::Never);
        check("claude-opus-5-5", false, false, false, false, Off::Never);
        check("claude-sonnet-5-5", false, false, false, false, Off::BetweenTools);
        check("claude-haiku-5-5", false, false, false, true, Off::Disabled);
        assert!(!Claude::of("claude-opus-4-1").takes_schemas());
        assert!(Claude::of("claude-opus-4-5").takes_schemas());
    }

    #[test]
    fn efforts_are_budgets_or_levels() {
        let check = |effort, tokens, word| {
            assert_eq!((budget(effort), level(effort)), (tokens, word), "{effort:?}");
        };
        check(Effort::Off, None, "low");
        check(Effort::Minimal, Some(1_024), "low");
        check(Effort::Low, Some(2_048), "low");
        check(Effort::Medium, Some(8_192), "medium");
        check(Effort::High, Some(16_384), "high");
        check(Effort::Tokens(5), Some(1_024), "low");
        check(Effort::Tokens(5_000), Some(5_000), "medium");
    }
}
