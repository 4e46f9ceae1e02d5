//! Configs of other gateways, made into one of ours.
//!
//! In: a LiteLLM `config.yaml`, a Portkey config, or LiteLLM's price list, as text. Out: [`Imported`]: TOML
//! that `pointsman check` takes, and a list of everything that has no place in it, with the reason.
//! Invariant: nothing is dropped without a word; a key in plain text is never copied, only named. Pure.
//! Not here: reading and writing files (see [`crate::commands`]).

mod draft;
mod fields;
mod litellm;
mod litellm_settings;
mod portkey;
mod portkey_rules;
mod prices;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use draft::Draft;

/// The longest file that is read, in bytes: LiteLLM's price list has 1.5 MB (2026).
pub const FILE_BYTES_MAX: usize = 32 << 20;

/// Whose format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// LiteLLM's `config.yaml`.
    LiteLlm,
    /// A Portkey gateway config, JSON.
    Portkey,
    /// LiteLLM's `model_prices_and_context_window.json`.
    LiteLlmPrices,
}

impl Origin {
    /// Every one by its name.
    pub const NAMES: [(&str, Self); 3] = [
        ("litellm", Self::LiteLlm),
        ("portkey", Self::Portkey),
        ("litellm-prices", Self::LiteLlmPrices),
    ];
}

/// What is to be read as what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Order<'a> {
    /// Whose format; `None`: by its looks.
    pub from: Option<Origin>,
    /// The model of Portkey targets that leave it to the request.
    pub model: Option<&'a str>,
}

/// Something that did not map, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where it stands in the file.
    pub path: String,
    /// Why, and what to do about it.
    pub why: String,
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path, self.why)
    }
}

/// A config of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Whose format it was.
    pub from: Origin,
    /// The TOML.
    pub toml: String,
    /// What did not map.
    pub notes: Vec<Note>,
}

/// A file that is no config of anyone.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Too long.
    #[error("the file has more than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// Neither YAML nor JSON. The parser's own words are left out: they repeat lines, which may hold keys.
    #[error("the file is neither YAML nor JSON{}", .line.map(|it| format!(" (line {it})")).unwrap_or_default())]
    Syntax {
        /// Where it stops being so.
        line: Option<usize>,
    },
    /// Nothing that looks like one of the formats.
    #[error("this looks like none of litellm, portkey and litellm-prices; name one with --from")]
    Unknown,
    /// Nothing of it could be used.
    #[error("nothing of it could be used:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Nothing(Vec<Note>),
    /// What is shipped cannot be read.
    #[error("the shipped catalog or providers cannot be read")]
    Shipped,
    /// The config cannot be written.
    #[error("the config cannot be written")]
    Write(#[from] toml::ser::Error),
}

/// Makes a config of ours out of another's.
///
/// # Errors
/// [`ImportError`] where nothing of it can be used.
pub fn import(text: &str, order: Order<'_>) -> Result<Imported, ImportError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(ImportError::TooLong);
    }
    let value = parsed(text)?;
    let from = order.from.or_else(|| looks_like(&value)).ok_or(ImportError::Unknown)?;
    let mut draft = Draft::new()?;
    match from {
        Origin::LiteLlm => litellm::read(&value, &mut draft),
        Origin::Portkey => portkey::read(&value, order.model, &mut draft),
        Origin::LiteLlmPrices => prices::read(&value, &mut draft),
    }
    if draft.is_empty() {
        return Err(ImportError::Nothing(draft.into_notes()));
    }
    let (toml, notes) = draft.written()?;
    Ok(Imported { from, toml, notes })
}

/// JSON is YAML, but the JSON parser is faster and knows large files.
fn parsed(text: &str) -> Result<Value, ImportError> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text)
            .map_err(|it| ImportError::Syntax { line: Some(it.line()) });
    }
    serde_saphyr::from_str(text).map_err(|_| ImportError::Syntax { line: None })
}

fn looks_like(value: &Value) -> Option<Origin> {
    let own = value.as_object()?;
    let has = |name: &str| own.contains_key(name);
    if has("model_list") || has("router_settings") || has("litellm_settings") {
        return Some(Origin::LiteLlm);
    }
    if ["strategy", "targets", "virtual_key", "provider"].into_iter().any(has) {
        return Some(Origin::Portkey);
    }
    let priced =
        |it: &Value| it.get("litellm_provider").or(it.get("input_cost_per_token")).is_some();
    own.values().any(priced).then_some(Origin::LiteLlmPrices)
}
