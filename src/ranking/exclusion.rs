//! Why a deployment may not serve a request.
//!
//! Invariant: each hard limit has its own variant, with the figures, a name for programs and words for
//! people. Not here: when each holds (see [`super::limits`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::availability::Unavailable;
use crate::catalog::{DataCollection, Quantization};
use crate::domain::{AbilitySet, ParameterSet, Probability, TokenPrice};

/// A reason not to serve a request with a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// It cannot do something that is needed.
    Abilities {
        /// What it lacks.
        missing: AbilitySet,
    },
    /// The prompt and the answer do not fit its context window.
    Window {
        /// Tokens needed.
        needed_tokens: u64,
        /// Tokens it holds.
        window_tokens: u64,
    },
    /// It may not be called now.
    Unavailable(Unavailable),
    /// The caller or the operator does not want it.
    NotAllowed,
    /// The caller's key has no right to its model.
    NotPermitted,
    /// The operator's route does not lead to it.
    NotOnRoute,
    /// It is not sure enough to stay inside the cost limit.
    Cost {
        /// How sure it is.
        chance: Probability,
        /// The cost it stays below at the policy's confidence, USD.
        likely_usd: f64,
    },
    /// It is not sure enough to stay inside the latency limit.
    Latency {
        /// How sure it is.
        chance: Probability,
        /// The time it stays below at the policy's confidence, milliseconds.
        likely_ms: f64,
    },
    /// It is not sure enough to begin inside the limit on the first token.
    Ttft {
        /// How sure it is; records from before it was reckoned have none: they went by the median.
        #[serde(default = "no_chance")]
        chance: Probability,
        /// The time before which it begins at the policy's confidence, milliseconds.
        likely_ms: f64,
    },
    /// It is expected to be worse than the caller accepts.
    Quality {
        /// Expected quality.
        expected: Probability,
    },
    /// Its tokens are expected to come too far apart.
    InterToken {
        /// The expected time from one to the next, milliseconds.
        expected_ms: f64,
    },
    /// Too few tokens a second are expected of it.
    Throughput {
        /// Expected, after the first.
        expected_per_s: f64,
    },
    /// It is not of those providers that alone are wanted.
    NotOnly,
    /// It is of a provider that is not wanted.
    Ignored,
    /// It would be a fallback, and none is wanted.
    Fallback,
    /// It lacks parameters of the request, all of which must be taken.
    Parameters {
        /// Which.
        missing: ParameterSet,
    },
    /// Prompts may be kept there, for all that is known.
    DataCollection {
        /// What is known.
        told: Option<DataCollection>,
    },
    /// Something may be retained there, for all that is known.
    Zdr {
        /// What is known.
        told: Option<bool>,
    },
    /// Its precision is none of those wanted.
    Quantization {
        /// What is known.
        told: Option<Quantization>,
    },
    /// It asks for more than the caller pays.
    Price {
        /// Its price of an input or an output token.
        asked: TokenPrice,
        /// The limit on it.
        most: TokenPrice,
    },
}

fn no_chance() -> Probability {
    Probability::ZERO
}

impl Exclusion {
    /// The limit's name in answers, logs and metrics.
    pub fn limit(&self) -> &'static str {
        match self {
            Self::Abilities { .. } => "abilities",
            Self::Window { .. } => "context_window",
            Self::Unavailable(_) => "unavailable",
            Self::NotAllowed => "not_allowed",
            Self::NotPermitted => "key_scope",
            Self::NotOnRoute => "not_on_route",
            Self::Cost { .. } => "max_cost_usd",
            Self::Latency { .. } => "max_latency_ms",
            Self::Ttft { .. } => "max_ttft_ms",
            Self::Quality { .. } => "min_quality",
            Self::InterToken { .. } => "max_inter_token_ms",
            Self::Throughput { .. } => "min_throughput",
            Self::NotOnly => "provider_only",
            Self::Ignored => "provider_ignore",
            Self::Fallback => "allow_fallbacks",
            Self::Parameters { .. } => "require_parameters",
            Self::DataCollection { .. } => "data_collection",
            Self::Zdr { .. } => "zdr",
            Self::Quantization { .. } => "quantizations",
            Self::Price { .. } => "max_price",
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abilities { missing } => write!(out, "lacks {missing}"),
            Self::Window { needed_tokens, window_tokens } => {
                write!(out, "needs {needed_tokens} tokens, holds {window_tokens}")
            }
            Self::Unavailable(why) => why.fmt(out),
            Self::NotAllowed => out.write_str("not among the candidates allowed"),
            Self::NotPermitted => out.write_str("not among the models of this API key"),
            Self::NotOnRoute => out.write_str("not on the route of this request"),
            Self::Cost { chance, likely_usd } => write!(
                out,
                "cost: {:.0} % sure to fit, likely up to ${likely_usd:.6}",
                chance.get() * 100.0
            ),
            Self::Latency { chance, likely_ms } => write!(
                out,
                "latency: {:.0} % sure to fit, likely up to {likely_ms:.0} ms",
                chance.get() * 100.0
            ),
            Self::Ttft { chance, likely_ms } => write!(
                out,
                "first token: {:.0} % sure to be in time, likely up to {likely_ms:.0} ms",
                chance.get() * 100.0
            ),
            Self::Quality { expected } => write!(out, "expected quality {:.2}", expected.get()),
            Self::InterToken { expected_ms } => {
                write!(out, "a token every {expected_ms:.1} ms expected")
            }
            Self::Throughput { expected_per_s } => {
                write!(out, "{expected_per_s:.1} tokens a second expected")
            }
            Self::NotOnly => out.write_str("not of the providers that alone are wanted"),
            Self::Ignored => out.write_str("of a provider that is to be ignored"),
            Self::Fallback => out.write_str("a fallback, and none is allowed"),
            Self::Parameters { missing } => write!(out, "does not take {missing}"),
            Self::DataCollection { told: Some(_) } => out.write_str("keeps prompts"),
            Self::DataCollection { told: None } => {
                out.write_str("not known whether it keeps prompts")
            }
            Self::Zdr { told: Some(_) } => out.write_str("retains data"),
            Self::Zdr { told: None } => out.write_str("not known whether it retains nothing"),
            Self::Quantization { told } => {
                write!(out, "its precision is {}", told.map_or("unknown", Quantization::as_str))
            }
            Self::Price { asked, most } => write!(
                out,
                "asks ${} per million tokens, at most ${} is paid",
                asked.usd_per_million(),
                most.usd_per_million()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Ability, FailureClass, Parameter};

    fn chance(value: f64) -> Probability {
        Probability::clamped(value)
    }

    /// One exclusion of each kind, with its limit and its words.
    fn all() -> Vec<(Exclusion, &'static str, &'static str)> {
        let missing = AbilitySet::EMPTY.with(Ability::Tools);
        let [asked, most] = [3.0, 1.5].map(|it| TokenPrice::per_million(it).unwrap());
        let full = Unavailable::Full { for_ms: 900 };
        let no_key = Unavailable::NoKey("OPENAI_API_KEY".into());
        let shut = Unavailable::Shut { for_ms: 1_500, class: FailureClass::Overloaded };
        vec![
            (Exclusion::Abilities { missing }, "abilities", "lacks tools"),
            (
                Exclusion::Window { needed_tokens: 9_000, window_tokens: 8_192 },
                "context_window",
                "needs 9000 tokens, holds 8192",
            ),
            (Exclusion::Unavailable(no_key), "unavailable", "no API key in OPENAI_API_KEY"),
            (Exclusion::Unavailable(shut), "unavailable", "shut for 1500 ms after overloaded"),
            (Exclusion::Unavailable(full), "unavailable", "full for 900 ms by its own rpm or tpm"),
            (Exclusion::NotAllowed, "not_allowed", "not among the candidates allowed"),
            (Exclusion::NotPermitted, "key_scope", "not among the models of this API key"),
            (Exclusion::NotOnRoute, "not_on_route", "not on the route of this request"),
            (
                Exclusion::Cost { chance: chance(0.42), likely_usd: 0.0123 },
                "max_cost_usd",
                "cost: 42 % sure to fit, likely up to $0.012300",
            ),
            (
                Exclusion::Latency { chance: chance(0.5), likely_ms: 1_234.5 },
                "max_latency_ms",
                "latency: 50 % sure to fit, likely up to 1234 ms",
            ),
            (
                Exclusion::Ttft { chance: chance(0.75), likely_ms: 700.4 },
                "max_ttft_ms",
                "first token: 75 % sure to be in time, likely up to 700 ms",
            ),
            (
                Exclusion::Quality { expected: chance(0.314) },
                "min_quality",
                "expected quality 0.31",
            ),
            (
                Exclusion::InterToken { expected_ms: 12.34 },
                "max_inter_token_ms",
                "a token every 12.3 ms expected",
            ),
            (
                Exclusion::Throughput { expected_per_s: 45.67 },
                "min_throughput",
                "45.7 tokens a second expected",
            ),
            (
                Exclusion::Price { asked, most },
                "max_price",
                "asks $3 per million tokens, at most $1.5 is paid",
            ),
        ]
    }

    /// As [`all`], of those that come from what is wanted of providers.
    fn all_of_providers() -> Vec<(Exclusion, &'static str, &'static str)> {
        let told = Some(DataCollection::Allow);
        let missing = [Parameter::Seed, Parameter::TopK].into_iter().collect();
        vec![
            (Exclusion::NotOnly, "provider_only", "not of the providers that alone are wanted"),
            (Exclusion::Ignored, "provider_ignore", "of a provider that is to be ignored"),
            (Exclusion::Fallback, "allow_fallbacks", "a fallback, and none is allowed"),
            (Exclusion::Parameters { missing }, "require_parameters", "does not take top_k, seed"),
            (Exclusion::DataCollection { told }, "data_collection", "keeps prompts"),
            (
                Exclusion::DataCollection { told: None },
                "data_collection",
                "not known whether it keeps prompts",
            ),
            (Exclusion::Zdr { told: Some(false) }, "zdr", "retains data"),
            (Exclusion::Zdr { told: None }, "zdr", "not known whether it retains nothing"),
            (
                Exclusion::Quantization { told: Some(Quantization::Fp8) },
                "quantizations",
                "its precision is fp8",
            ),
            (Exclusion::Quantization { told: None }, "quantizations", "its precision is unknown"),
        ]
    }

    #[test]
    fn every_exclusion_has_words_with_its_figures() {
        for (exclusion, limit, words) in all().into_iter().chain(all_of_providers()) {
            assert_eq!(exclusion.limit(), limit);
            assert_eq!(exclusion.to_string(), words, "{limit}");
        }
    }
}
