//! Counts over a request's tools: how many, how wide, how near to what is asked.
//!
//! In: a [`ChatRequest`]. Out: [`ToolCounts`], all zero without tools. For function calling the
//! structure says more than the words (`learning.md`: AUC 0.79 against 0.69), above all how many
//! calls are asked for and whether any tool fits at all.

use std::collections::BTreeSet;

use serde_json::Value;

use super::log;
use crate::domain::{ChatRequest, Text, Tool};

/// Deeper schemas are not followed.
const DEPTH_MAX: usize = 6;
/// Words looked at in the user's turn, and in each tool's name and description.
const WORDS_MAX: usize = 512;
/// Shorter words ("the", "for") say nothing of fit.
const WORD_BYTES_MIN: usize = 4;
const TOOL_FEATURES: usize = 9;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct ToolCounts {
    tools: usize,
    parameters: usize,
    required: usize,
    bytes: usize,
    nested: usize,
    enums: usize,
    overlap_max: f32,
    overlap_mean: f32,
    calls_asked: f32,
}

impl ToolCounts {
    pub(super) fn of(request: &ChatRequest) -> Self {
        if request.tools.is_empty() {
            return Self::default();
        }
        let mut counts = Self { tools: request.tools.len(), ..Self::default() };
        let asked: BTreeSet<String> =
            request.last_user_texts().flat_map(|it| words(it.as_str())).collect();
        for tool in &request.tools {
            counts.bytes += tool.description.len();
            counts.count_schema(tool.parameters.value(), 0);
            let overlap = overlap(tool, &asked);
            counts.overlap_max = counts.overlap_max.max(overlap);
            counts.overlap_mean += overlap / request.tools.len() as f32;
        }
        counts.calls_asked = request.last_user_texts().map(calls_asked).sum::<f32>().ln_1p();
        counts
    }

    fn count_schema(&mut self, schema: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        self.required += schema.get("required").and_then(Value::as_array).map_or(0, Vec::len);
        self.enums += usize::from(schema.get("enum").is_some());
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            self.parameters += properties.len();
            self.nested += usize::from(depth > 0);
            for (_, inner) in properties {
                self.count_schema(inner, depth + 1);
            }
        }
        if let Some(items) = schema.get("items") {
            self.nested += 1;
            self.count_schema(items, depth + 1);
        }
    }

    /// The features of [`super::NAMES`] from `log_tools` on.
    pub(super) fn values(&self) -> [f32; TOOL_FEATURES] {
        [
            log(self.tools),
            log(self.parameters),
            log(self.required),
            log(self.bytes),
            self.nested as f32,
            self.enums as f32,
            self.overlap_max,
            self.overlap_mean,
            self.calls_asked,
        ]
    }
}

/// Lower-case words of letters, long enough to mean something; `get_weather` is two words.
fn words(text: &str) -> impl Iterator<Item = String> {
    let all = text.split(|it: char| !it.is_alphabetic()).filter(|it| it.len() >= WORD_BYTES_MIN);
    // A stem of five letters meets "area" with "areas" and "calculate" with "calculation".
    all.take(WORDS_MAX).map(|it| it.chars().take(5).flat_map(char::to_lowercase).collect())
}

/// The share of the tool's words that the user's turn has too.
fn overlap(tool: &Tool, asked: &BTreeSet<String>) -> f32 {
    let own: BTreeSet<String> = words(&tool.name).chain(words(tool.description.as_str())).collect();
    own.intersection(asked).count() as f32 / own.len().max(1) as f32
}

/// Signs that several things are asked for at once: lists, conjunctions, further sentences.
fn calls_asked(text: &Text) -> f32 {
    let (text, _) = super::text::ends(text.as_str(), 8 << 10);
    let joins = text.split_ascii_whitespace().filter(|it| {
        matches!(
            *it,
            "and" | "also" | "then" | "respectively" | "respectively." | "Also," | "both" | "each"
        )
    });
    let ends = text.matches(['?', ';']).count() + text.matches(". ").count();
    joins.count() as f32 + ends as f32 + text.matches(", ").count() as f32 / 2.0
}
