//! A model's thinking as it comes, and as it goes back to who made it.
//!
//! In: plain words, or OpenRouter's `reasoning_details`. Out: [`Delta`]s; on the way back one detail.
//! Invariant: a block's seal is its detail as the provider wrote it, words left out, so that it goes
//! back unchanged. Source: OpenRouter's guide to reasoning tokens (2025): `reasoning.text`,
//! `reasoning.summary` and `reasoning.encrypted`, which in a stream come in pieces of one `index`.

use serde_json::{Map, Value};

use crate::domain::{Delta, ProviderName, Reasoning, Seal};

/// The types whose words lie under another key than `text`.
const SUMMARY: &str = "reasoning.summary";
const ENCRYPTED: &str = "reasoning.encrypted";

/// What is being thought.
pub(super) struct Thinking {
    provider: ProviderName,
    /// The detail that is being put together, without its words.
    open: Option<Map<String, Value>>,
    /// Whether words came since the last block ended.
    spoken: bool,
}

impl Thinking {
    pub(super) fn new(provider: ProviderName) -> Self {
        Self { provider, open: None, spoken: false }
    }

    /// Words without a seal.
    pub(super) fn words(&mut self, words: &str, out: &mut Vec<Delta>) {
        if words.is_empty() {
            return;
        }
        if self.open.is_some() {
            self.end(out);
        }
        self.spoken = true;
        out.push(Delta::Reasoning(words.into()));
    }

    /// One detail, or a piece of one.
    pub(super) fn detail(&mut self, detail: &Value, out: &mut Vec<Delta>) {
        let Some(mut fields) = detail.as_object().cloned() else { return };
        let words = fields.remove(words_key(&fields));
        if !self.open.as_ref().is_some_and(|it| is_same_block(it, &fields)) {
            self.end(out);
        }
        let said = fields.into_iter().filter(|(_, value)| !value.is_null());
        self.open.get_or_insert_default().extend(said);
        if let Some(words) = words.as_ref().and_then(Value::as_str).filter(|it| !it.is_empty()) {
            self.spoken = true;
            out.push(Delta::Reasoning(words.into()));
        }
    }

    /// Something else comes, or nothing more.
    pub(super) fn end(&mut self, out: &mut Vec<Delta>) {
        let spoken = std::mem::take(&mut self.spoken);
        if let Some(fields) = self.open.take() {
            let value = Value::Object(fields).to_string().into();
            out.push(Delta::ReasoningEnd(Some(Seal { provider: self.provider.clone(), value })));
        } else if spoken {
            out.push(Delta::ReasoningEnd(None));
        }
    }
}

/// Whether a detail has words.
pub(super) fn has_words(detail: &Value) -> bool {
    let words = detail.as_object().and_then(|it| it.get(words_key(it)));
    words.and_then(Value::as_str).is_some_and(|it| !it.is_empty())
}

/// The detail as its maker wrote it; `None` for what another made, or what is no detail.
pub(super) fn sent_back(reasoning: &Reasoning, provider: &ProviderName) -> Option<Value> {
    let value = reasoning.seal.as_ref()?.for_provider(provider)?;
    let mut fields: Map<String, Value> = serde_json::from_str(value.as_str()).ok()?;
    fields.get("type")?.as_str()?;
    if let Some(text) = &reasoning.text {
        fields.insert(words_key(&fields).to_owned(), text.as_str().into());
    }
    Some(Value::Object(fields))
}

fn words_key(fields: &Map<String, Value>) -> &'static str {
    let kind = fields.get("type").and_then(Value::as_str);
    if kind == Some(SUMMARY) { "summary" } else { "text" }
}

/// Whether a piece goes on with the block; encrypted ones come whole.
fn is_same_block(block: &Map<String, Value>, piece: &Map<String, Value>) -> bool {
    let differs = |key: &str| match (block.get(key), piece.get(key)) {
        (Some(a), Some(b)) if !a.is_null() && !b.is_null() => a != b,
        _ => false,
    };
    let encrypted = piece.get("type").and_then(Value::as_str) == Some(ENCRYPTED);
    !encrypted && !["type", "index", "id"].into_iter().any(differs)
}
