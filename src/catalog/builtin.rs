//! The catalog that ships in the binary: `models/catalog.toml`.
//!
//! In: TOML with a `[[model]]` per model. Out: [`Catalog`]. Invariant: names are unique and every
//! price, window and date is there; a test reads the shipped file.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::model::Model;
use crate::domain::ModelName;

const SHIPPED: &str = include_str!("../../models/catalog.toml");

/// A catalog that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Not TOML, an unknown key, or a figure that is missing or out of range.
    #[error("the catalog cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// Two models with one name.
    #[error("the model `{0}` stands twice in the catalog")]
    Duplicate(ModelName),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    model: Vec<Model>,
}

/// Models by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog(BTreeMap<ModelName, Arc<Model>>);

impl Catalog {
    /// The catalog in this binary.
    ///
    /// # Errors
    /// [`CatalogError`]; never for the file that was shipped, which a test reads.
    pub fn shipped() -> Result<Self, CatalogError> {
        Self::parse(SHIPPED)
    }

    /// Reads a catalog.
    ///
    /// # Errors
    /// [`CatalogError`], with the line for anything that is not understood.
    pub fn parse(toml: &str) -> Result<Self, CatalogError> {
        let file: File = toml::from_str(toml)?;
        let mut models = BTreeMap::new();
        for model in file.model {
            let name = model.name.clone();
            if models.insert(name.clone(), Arc::new(model)).is_some() {
                return Err(CatalogError::Duplicate(name));
            }
        }
        Ok(Self(models))
    }

    /// The model of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Model>> {
        self.0.get(name)
    }

    /// Every model, by name.
    pub fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TokenPrice;

    const MODELS_MIN: usize = 40;

    /// A catalog of one row per name; `extra` goes to the end of every row.
    fn rows(names: &[&str], extra: &str) -> String {
        let row = |name: &&str| {
            format!(
                "[[model]]\nname = \"{name}\"\nvendor = \"V\"\ncontext_window = 8000\n\
                 max_output_tokens = 1000\nprice = {{ input = 1.0, output = 2.0 }}\n\
                 released = \"2026-01\"\nsource = {{ page = \"p\", as_of = \"2026-01\" }}\n{extra}\n"
            )
        };
        names.iter().map(row).collect()
    }

    /// `YYYY-MM-DD` or `YYYY-MM`.
    fn is_date(text: &str) -> bool {
        let parts: Vec<&str> = text.split('-').collect();
        let digits = parts.iter().all(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
        let lengths: Vec<usize> = parts.iter().map(|it| it.len()).collect();
        digits && matches!(lengths[..], [4, 2] | [4, 2, 2])
    }

    #[test]
    fn the_shipped_catalog_covers_the_market() {
        let catalog = Catalog::shipped().unwrap();
        assert!(catalog.models().count() >= MODELS_MIN, "{}", catalog.models().count());
        let vendors = [
            "OpenAI",
            "Anthropic",
            "Google",
            "Mistral",
            "DeepSeek",
            "xAI",
            "Meta",
            "Qwen",
            "Cohere",
        ];
        for vendor in vendors {
            assert!(catalog.models().any(|it| it.vendor == vendor), "no model of {vendor}");
        }
        for model in catalog.models() {
            assert!(vendors.contains(&model.vendor.as_str()), "{}: {}", model.name, model.vendor);
        }
    }

    #[test]
    fn every_shipped_figure_is_plausible_and_has_a_source() {
        for model in Catalog::shipped().unwrap().models() {
            let name = &model.name;
            assert!(!model.source.page.trim().is_empty(), "{name}: source");
            assert!(is_date(&model.source.as_of), "{name}: {}", model.source.as_of);
            assert!(is_date(&model.released), "{name}: {}", model.released);
            let price = model.price;
            let free = price.output == TokenPrice::FREE;
            assert!(free || price.output >= price.input, "{name}: output below input");
            assert!(price.cached.is_none_or(|it| it <= price.input), "{name}: cached above input");
            assert!(model.max_output_tokens > 0, "{name}: max_output_tokens");
            assert!(model.max_output_tokens <= model.context_window, "{name}: window");
            assert!(model.speed.ttft_ms > 0.0 && model.speed.tokens_per_s > 0.0, "{name}: speed");
            assert!(!model.served_by.is_empty(), "{name}: nobody serves it");
        }
    }

    #[test]
    fn every_shipped_model_is_learned_or_has_a_sourced_prior() {
        let catalog = Catalog::shipped().unwrap();
        let mut learned = Vec::new();
        for model in catalog.models() {
            let name = &model.name;
            assert!(model.learned_as.is_some() || model.quality_prior.is_some(), "{name}: neither");
            if let Some(prior) = &model.quality_prior {
                assert!(!prior.source.trim().is_empty(), "{name}: the prior's source");
                assert!(is_date(&prior.as_of), "{name}: {}", prior.as_of);
            }
            learned.extend(model.learned_as.as_deref());
        }
        let count = learned.len();
        learned.sort_unstable();
        learned.dedup();
        assert_eq!(learned.len(), count, "two models learned as one");
    }

    #[test]
    fn a_model_is_found_by_its_name() {
        let catalog = Catalog::parse(&rows(&["b", "a"], "")).unwrap();
        assert_eq!(catalog.get("a").map(|it| it.name.as_str()), Some("a"));
        assert_eq!(catalog.get("c"), None);
        let names: Vec<&str> = catalog.models().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn an_error_names_what_is_wrong() {
        let check = |toml: String, wanted: &str| {
            let message = Catalog::parse(&toml).unwrap_err().to_string();
            assert!(message.contains(wanted), "{message}");
        };
        check(rows(&["a", "b", "a"], ""), "`a`");
        check(rows(&["a"], "contxt_window = 1"), "contxt_window");
        check(rows(&["a"], "abilities = [\"vision\"]"), "vision");
        check(rows(&["a"], "speed = { ttft_ms = 1.0 }"), "tokens_per_s");
        check("[[modell]]".to_owned(), "modell");
        check(rows(&["a"], "").replace("vendor = \"V\"\n", ""), "vendor");
        check(rows(&["a"], "").replace("input = 1.0", "input = -1.0"), "-1");
        check("not toml".to_owned(), "line 1");
    }
}
