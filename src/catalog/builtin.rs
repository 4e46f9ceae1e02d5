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
