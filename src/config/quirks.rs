//! How a provider of the file differs from its protocol.
//!
//! In: the `quirks` table of a `[[provider]]`. Out: [`RawQuirks`], which go over the built-in ones of
//! that provider. Invariant: what is not written stays as it was. Not here: what quirks do.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;

use super::problems::Fault;
use super::section::{Field, Section};
use super::values::{one_of, text};
use super::{section, values};
use crate::domain::FailureClass;
use crate::providers::{AssistantPrefix, MaxTokensField, Parameter, Quirks, SchemaBy};

/// What an error answer can mean; the other classes are ours to find.
const CLASSES: [FailureClass; 9] = [
    FailureClass::RateLimited,
    FailureClass::Overloaded,
    FailureClass::Auth,
    FailureClass::ModelMissing,
    FailureClass::ContextTooLong,
    FailureClass::Unsupported,
    FailureClass::ContentFiltered,
    FailureClass::InvalidRequest,
    FailureClass::Malformed,
];

/// A `quirks` table.
pub(super) struct RawQuirks {
    max_tokens_field: Field<MaxTokensField>,
    json_schema: Field<SchemaBy>,
    lacks: Field<Vec<section::At<Parameter>>>,
    image_urls: Field<bool>,
    stream_options: Field<bool>,
    past_reasoning: Field<bool>,
    assistant_prefix: Field<AssistantPrefix>,
    repeats_prefix: Field<bool>,
    errors: Option<BTreeMap<String, FailureClass>>,
}

/// Reads the table, if there is one.
pub(super) fn read(section: Option<Section<'_>>) -> Option<RawQuirks> {
    let mut section = section?;
    let raw = RawQuirks {
        max_tokens_field: section.field("max_tokens_field", max_tokens_field),
        json_schema: section.field("json_schema", json_schema),
        lacks: section.list("lacks", values::parameter),
        image_urls: section.field("image_urls", values::flag),
        stream_options: section.field("stream_options", values::flag),
        past_reasoning: section.field("past_reasoning", values::flag),
        assistant_prefix: section.field("assistant_prefix", assistant_prefix),
        repeats_prefix: section.field("repeats_prefix", values::flag),
        errors: section.section("errors").map(|it| it.entries(phrase, class)),
    };
    section.done();
    Some(raw)
}

impl RawQuirks {
    /// Puts what is written over what is known.
    pub(super) fn over(self, quirks: &mut Quirks) {
        self.max_tokens_field.fill(&mut quirks.max_tokens_field);
        self.json_schema.fill_some(&mut quirks.json_schema);
        self.image_urls.fill_some(&mut quirks.image_urls);
        self.stream_options.fill_some(&mut quirks.stream_options);
        self.past_reasoning.fill_some(&mut quirks.past_reasoning);
        self.assistant_prefix.fill(&mut quirks.assistant_prefix);
        self.repeats_prefix.fill(&mut quirks.repeats_prefix);
        if let Some(lacks) = self.lacks.given() {
            quirks.lacks = lacks.into_iter().map(|it| it.value).collect::<BTreeSet<_>>();
        }
        if let Some(errors) = self.errors {
            quirks.errors = errors;
        }
    }
}

fn max_tokens_field(value: &DeValue<'_>) -> Result<MaxTokensField, Fault> {
    let known = vec![
        ("max_tokens", MaxTokensField::MaxTokens),
        ("max_completion_tokens", MaxTokensField::MaxCompletionTokens),
    ];
    one_of("field", known, value)
}

fn json_schema(value: &DeValue<'_>) -> Result<SchemaBy, Fault> {
    one_of("way", vec![("native", SchemaBy::Native), ("tool", SchemaBy::Tool)], value)
}

fn assistant_prefix(value: &DeValue<'_>) -> Result<AssistantPrefix, Fault> {
    let known = vec![
        ("none", AssistantPrefix::None),
        ("plain", AssistantPrefix::Plain),
        ("prefix_field", AssistantPrefix::PrefixField),
        ("continue_final_message", AssistantPrefix::ContinueFinalMessage),
    ];
    one_of("way", known, value)
}

fn class(value: &DeValue<'_>) -> Result<FailureClass, Fault> {
    one_of("failure class", CLASSES.map(|it| (it.as_str(), it)).to_vec(), value)
}

/// Errors are looked through in lower case.
fn phrase(key: &DeValue<'_>) -> Result<String, Fault> {
    text(key).map(str::to_lowercase)
}
