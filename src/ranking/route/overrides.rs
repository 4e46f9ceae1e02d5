//! Parameters that a target puts in place of the caller's.
//!
//! In: what the operator wrote. Out: the request as that target is asked. Invariant: limits only
//! tighten: of two limits on output tokens the smaller holds, so that what was predicted and set aside
//! stays enough.

use serde::{Deserialize, Serialize};

use crate::domain::{ChatRequest, Sampling};

/// Parameters of a target; what is absent stays the caller's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Above 0, up to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most output tokens; the caller's own limit holds too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Strings that end the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    /// For providers that try to repeat themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Draw only from so many of the likeliest tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
}

impl Overrides {
    /// Whether nothing is changed.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// The request as the target is asked.
    pub fn applied_to(&self, request: &ChatRequest) -> ChatRequest {
        let own = &request.sampling;
        let sampling = Sampling {
            temperature: self.temperature.or(own.temperature),
            top_p: self.top_p.or(own.top_p),
            max_output_tokens: self.output_limit(own.max_output_tokens),
            stop: self.stop.clone().unwrap_or_else(|| own.stop.clone()),
            seed: self.seed.or(own.seed),
            top_k: self.top_k.or(own.top_k),
            frequency_penalty: self.frequency_penalty.or(own.frequency_penalty),
            presence_penalty: self.presence_penalty.or(own.presence_penalty),
            logprobs: own.logprobs,
        };
        ChatRequest { sampling, ..request.clone() }
    }

    /// The most output tokens, beside what the caller asked for.
    pub fn output_limit(&self, asked: Option<u64>) -> Option<u64> {
        asked.into_iter().chain(self.max_output_tokens).min()
    }

    /// These, and where one is absent, the other's.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            temperature: self.temperature.or(other.temperature),
            top_p: self.top_p.or(other.top_p),
            max_output_tokens: self.max_output_tokens.or(other.max_output_tokens),
            stop: self.stop.or_else(|| other.stop.clone()),
            seed: self.seed.or(other.seed),
            top_k: self.top_k.or(other.top_k),
            frequency_penalty: self.frequency_penalty.or(other.frequency_penalty),
            presence_penalty: self.presence_penalty.or(other.presence_penalty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_takes_the_callers_place_and_limits_only_tighten() {
        let mut request = ChatRequest::from_prompt("hello");
        request.sampling.temperature = Some(1.0);
        request.sampling.seed = Some(7);
        let check = |asked: Option<u64>, own: Option<u64>, wanted: Option<u64>| {
            let mut request = request.clone();
            request.sampling.max_output_tokens = asked;
            let overrides = Overrides {
                temperature: Some(0.2),
                max_output_tokens: own,
                ..Overrides::default()
            };
            let sampling = overrides.applied_to(&request).sampling;
            assert_eq!((sampling.temperature, sampling.seed), (Some(0.2), Some(7)));
            assert_eq!(sampling.max_output_tokens, wanted);
        };
        check(None, Some(10), Some(10));
        check(Some(5), Some(10), Some(5));
        check(Some(50), Some(10), Some(10));
        check(Some(50), None, Some(50));
        assert_eq!(Overrides::default().applied_to(&request), request);
    }
}
