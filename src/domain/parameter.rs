//! Parameters that a provider may lack, and which of them a request has.
//!
//! In: names as configs write them, a request. Out: [`Parameter`], and [`ParameterSet`], which is
//! compared in one operation. Not here: what changes an answer's meaning (tools, images, schemas),
//! which are abilities, and what becomes of a parameter that is lacked (see the protocols).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::chat::{ChatRequest, Image, ImageDetail, Message, Part};

/// A parameter that may be left out where a provider lacks it: the answer is less steered, but it
/// is an answer. What changes its meaning (tools, images, schemas) is no such parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Parameter {
    /// How far from the likeliest token.
    Temperature,
    /// From how much of the probability.
    TopP,
    /// From how many tokens.
    TopK,
    /// Strings that end the answer.
    Stop,
    /// For repeatable answers.
    Seed,
    /// Against frequent tokens.
    FrequencyPenalty,
    /// Against tokens that were there.
    PresencePenalty,
    /// Log-probabilities.
    Logprobs,
    /// Whether several tools may be called at once.
    ParallelToolCalls,
    /// How hard the model thinks.
    ReasoningEffort,
    /// The caller's id of its user.
    User,
    /// How closely images are looked at.
    ImageDetail,
    /// That arguments must satisfy their schema.
    StrictTools,
    /// That the prompt is kept in the cache.
    PromptCache,
    /// Thinking of earlier answers.
    PastReasoning,
}

impl Parameter {
    /// Every parameter.
    pub const ALL: [Self; 15] = [
        Self::Temperature,
        Self::TopP,
        Self::TopK,
        Self::Stop,
        Self::Seed,
        Self::FrequencyPenalty,
        Self::PresencePenalty,
        Self::Logprobs,
        Self::ParallelToolCalls,
        Self::ReasoningEffort,
        Self::User,
        Self::ImageDetail,
        Self::StrictTools,
        Self::PromptCache,
        Self::PastReasoning,
    ];

    /// Its name as callers are told it: OpenAI's, where there is one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::TopP => "top_p",
            Self::TopK => "top_k",
            Self::Stop => "stop",
            Self::Seed => "seed",
            Self::FrequencyPenalty => "frequency_penalty",
            Self::PresencePenalty => "presence_penalty",
            Self::Logprobs => "logprobs",
            Self::ParallelToolCalls => "parallel_tool_calls",
            Self::ReasoningEffort => "reasoning_effort",
            Self::User => "user",
            Self::ImageDetail => "image_detail",
            Self::StrictTools => "strict_tools",
            Self::PromptCache => "prompt_cache",
            Self::PastReasoning => "past_reasoning",
        }
    }
}

/// A set of parameters, and whether fields that this server does not know belong to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct ParameterSet(u16);

/// The name of the fields that this server does not know, in a [`ParameterSet`].
const OTHERS: &str = "other fields";
/// Their bit; parameters have the lower ones.
const OTHERS_BIT: u16 = 1 << 15;

/// A parameter's name that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no parameter; the parameters are {}", Parameter::ALL.map(Parameter::as_str).join(", "))]
pub struct UnknownParameter {
    /// The name as written.
    pub name: String,
}

impl ParameterSet {
    /// No parameter.
    pub const EMPTY: Self = Self(0);

    /// This set and one more parameter.
    #[must_use]
    pub fn with(self, parameter: Parameter) -> Self {
        Self(self.0 | 1 << parameter as u8)
    }

    /// This set and the fields that this server does not know.
    #[must_use]
    pub fn with_others(self) -> Self {
        Self(self.0 | OTHERS_BIT)
    }

    /// Both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// The names of what is in it.
    fn names(self) -> impl Iterator<Item = &'static str> {
        let known = Parameter::ALL.into_iter().filter(move |it| self.0 & 1 << *it as u8 != 0);
        let others = (self.0 & OTHERS_BIT != 0).then_some(OTHERS);
        known.map(Parameter::as_str).chain(others)
    }
}

impl FromIterator<Parameter> for ParameterSet {
    fn from_iter<I: IntoIterator<Item = Parameter>>(parameters: I) -> Self {
        parameters.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl TryFrom<Vec<String>> for ParameterSet {
    type Error = UnknownParameter;
    fn try_from(names: Vec<String>) -> Result<Self, UnknownParameter> {
        names.into_iter().try_fold(Self::EMPTY, |set, name| {
            if name == OTHERS {
                return Ok(set.with_others());
            }
            let found = Parameter::ALL.into_iter().find(|it| it.as_str() == name);
            found.map(|it| set.with(it)).ok_or(UnknownParameter { name })
        })
    }
}

impl From<ParameterSet> for Vec<&'static str> {
    fn from(set: ParameterSet) -> Self {
        set.names().collect()
    }
}

impl fmt::Display for ParameterSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&Vec::<&str>::from(*self).join(", "))
    }
}

impl fmt::Debug for ParameterSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.names()).finish()
    }
}

impl ChatRequest {
    /// The parameters it has. Thinking of earlier answers is content and counts as none.
    pub fn parameters(&self) -> ParameterSet {
        let sampling = &self.sampling;
        let close = |it: &Image| matches!(it.detail, Some(ImageDetail::Low | ImageDetail::High));
        let is_close = |it: &Part| match it {
            Part::Image(image) => close(image),
            Part::Text(_) => false,
        };
        let detail = |it: &Message| it.parts().iter().any(is_close);
        let has = [
            (Parameter::Temperature, sampling.temperature.is_some()),
            (Parameter::TopP, sampling.top_p.is_some()),
            (Parameter::TopK, sampling.top_k.is_some()),
            (Parameter::Stop, !sampling.stop.is_empty()),
            (Parameter::Seed, sampling.seed.is_some()),
            (Parameter::FrequencyPenalty, sampling.frequency_penalty.is_some()),
            (Parameter::PresencePenalty, sampling.presence_penalty.is_some()),
            (Parameter::Logprobs, sampling.logprobs.is_some()),
            (Parameter::ParallelToolCalls, self.parallel_tool_calls.is_some()),
            (Parameter::ReasoningEffort, self.effort.is_some()),
            (Parameter::User, self.user.is_some()),
            (Parameter::ImageDetail, self.messages.iter().any(detail)),
            (Parameter::StrictTools, self.tools.iter().any(|it| it.strict == Some(true))),
            (Parameter::PromptCache, self.cache_prompt),
        ];
        let known = has.into_iter().filter(|(_, has)| *has).map(|(it, _)| it).collect();
        let others = self.extra.value().as_object().is_some_and(|it| !it.is_empty());
        if others { ParameterSet::with_others(known) } else { known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_what_it_says() {
        let mut request = ChatRequest::from_prompt("hello");
        assert!(request.parameters().is_empty());
        request.sampling.seed = Some(1);
        request.user = Some("u".into());
        request.extra = serde_json::json!({ "min_p": 0.1 }).into();
        assert_eq!(request.parameters().to_string(), "seed, user, other fields");
        let lacks = ParameterSet::EMPTY.with(Parameter::Seed).with(Parameter::TopK);
        assert_eq!(request.parameters().common(lacks).to_string(), "seed");
    }

    #[test]
    fn every_set_reads_back() {
        let all: ParameterSet = Parameter::ALL.into_iter().collect();
        for set in [ParameterSet::EMPTY, all, all.with_others()] {
            let json = serde_json::to_string(&set).unwrap();
            assert_eq!(serde_json::from_str::<ParameterSet>(&json).unwrap(), set);
        }
        let wrong = serde_json::from_str::<ParameterSet>("[\"min_p\"]");
        assert!(wrong.is_err_and(|it| it.to_string().contains("presence_penalty")));
    }
}
