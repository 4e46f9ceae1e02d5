//! What conditions may look at: what the caller said, what can be counted, what is predicted.
//!
//! In: a request and what came with it. Out: [`Facts`], of which a record keeps those that its route
//! reads. Invariant: nothing of the prompt's words is among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::{ChatRequest, Message, ModelName, ResponseFormat, ToolChoice};
use crate::features;

/// Something that a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Fact {
    /// The model, as the caller wrote it.
    Model,
    /// Whether the answer is to come in pieces.
    Stream,
    /// The most output tokens, where the caller said.
    MaxOutputTokens,
    /// The temperature, where the caller said.
    Temperature,
    /// Whether tools may be called.
    Tools,
    /// Whether there are pictures.
    Images,
    /// Whether JSON is asked for.
    Json,
    /// About how many tokens the prompt has.
    InputTokens,
    /// Turns of the conversation, instructions not counted.
    Turns,
    /// The caller's own id of the person it asks for.
    User,
    /// A value of the request's metadata.
    Metadata(String),
    /// A figure that the router reads, by its name in [`features::NAMES`].
    Feature(String),
    /// The quality that is predicted for a model, 0 to 1.
    Quality(ModelName),
}

/// A name of nothing that conditions may look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing that a condition can look at")]
pub struct UnknownFact;

/// The names of all facts that have no name inside their name.
const PLAIN: [(&str, Fact); 10] = [
    ("model", Fact::Model),
    ("stream", Fact::Stream),
    ("max_output_tokens", Fact::MaxOutputTokens),
    ("temperature", Fact::Temperature),
    ("tools", Fact::Tools),
    ("images", Fact::Images),
    ("json", Fact::Json),
    ("input_tokens", Fact::InputTokens),
    ("turns", Fact::Turns),
    ("user", Fact::User),
];

impl Fact {
    /// The names of the facts of which there is one each.
    pub fn plain_names() -> impl Iterator<Item = &'static str> {
        PLAIN.iter().map(|(name, _)| *name)
    }

    /// The fact of this name inside a group: `metadata`, `feature` or `quality`.
    ///
    /// # Errors
    /// [`UnknownFact`].
    pub fn inside(group: &str, name: &str) -> Result<Self, UnknownFact> {
        match group {
            "metadata" if !name.is_empty() => Ok(Self::Metadata(name.to_owned())),
            "feature" if features::NAMES.contains(&name) => Ok(Self::Feature(name.to_owned())),
            "quality" => ModelName::new(name).map(Self::Quality).map_err(|_| UnknownFact),
            _ => Err(UnknownFact),
        }
    }
}

impl FromStr for Fact {
    type Err = UnknownFact;
    fn from_str(name: &str) -> Result<Self, UnknownFact> {
        if let Some((_, fact)) = PLAIN.iter().find(|(it, _)| *it == name) {
            return Ok(fact.clone());
        }
        let (group, name) = name.split_once('.').ok_or(UnknownFact)?;
        Self::inside(group, name)
    }
}

impl TryFrom<String> for Fact {
    type Error = UnknownFact;
    fn try_from(name: String) -> Result<Self, UnknownFact> {
        name.parse()
    }
}

impl From<Fact> for String {
    fn from(fact: Fact) -> Self {
        fact.to_string()
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(name) => write!(out, "metadata.{name}"),
            Self::Feature(name) => write!(out, "feature.{name}"),
            Self::Quality(model) => write!(out, "quality.{model}"),
            plain => {
                let name = PLAIN.iter().find(|(_, it)| it == plain).map(|(name, _)| *name);
                out.write_str(name.unwrap_or_default())
            }
        }
    }
}

/// What stands for a fact, or what it is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A finite number.
    Number(f64),
    /// Words.
    Text(String),
}

/// What a route knows of a request; of predicted qualities it is told later.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<Fact, Value>);

/// Where facts are taken from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The prompt.
    pub request: &'a ChatRequest,
    /// `model` as the caller wrote it.
    pub model: &'a str,
    /// Whether the answer is to come in pieces.
    pub stream: bool,
    /// A value of the metadata.
    pub metadata: &'a dyn Fn(&str) -> Option<String>,
}

impl Facts {
    /// Those that are wanted and known.
    pub fn of(wanted: &BTreeSet<Fact>, sources: &Sources<'_>) -> Self {
        let known = |it: &Fact| Some((it.clone(), sources.look(it)?));
        Self(wanted.iter().filter_map(known).collect())
    }

    /// What is known of a fact.
    pub fn get(&self, fact: &Fact) -> Option<&Value> {
        self.0.get(fact)
    }

    /// The first number that JSON cannot hold.
    pub fn unwritable(&self) -> Option<f64> {
        let numbers = self.0.values().filter_map(|it| match it {
            Value::Number(it) => Some(*it),
            Value::Flag(_) | Value::Text(_) => None,
        });
        numbers.into_iter().find(|it| !it.is_finite())
    }
}

impl Sources<'_> {
    fn look(&self, fact: &Fact) -> Option<Value> {
        let request = self.request;
        let number = |it: Option<u64>| it.map(|it| Value::Number(it as f64));
        match fact {
            Fact::Model => Some(Value::Text(self.model.to_owned())),
            Fact::Stream => Some(Value::Flag(self.stream)),
            Fact::MaxOutputTokens => number(request.sampling.max_output_tokens),
            Fact::Temperature => request.sampling.temperature.map(Value::Number),
            Fact::Tools => {
                let may = !request.tools.is_empty() && request.tool_choice != ToolChoice::None;
                Some(Value::Flag(may))
            }
            Fact::Images => Some(Value::Flag(request.messages.iter().any(Message::has_image))),
            Fact::Json => Some(Value::Flag(request.response_format != ResponseFormat::Text)),
            Fact::InputTokens => number(Some(request.tokens_about())),
            Fact::Turns => {
                let own = request.messages.iter().filter(|it| !matches!(it, Message::System(_)));
                number(Some(own.count() as u64))
            }
            Fact::User => request.user.as_ref().map(|it| Value::Text(it.as_str().to_owned())),
            Fact::Metadata(key) => (self.metadata)(key).map(Value::Text),
            Fact::Feature(name) => {
                let place = features::NAMES.iter().position(|it| it == name)?;
                let features = features::extract(request);
                features.as_slice().get(place).map(|it| Value::Number(f64::from(*it)))
            }
            Fact::Quality(_) => None,
        }
    }
}
