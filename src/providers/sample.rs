//! One small deployment, for tests and fuzzing.

use std::sync::Arc;

use crate::catalog::{Deployment, Model};
use crate::domain::ProviderName;

const MODEL: &str = r#"
    name = "model"
    vendor = "nobody"
    context_window = 1000
    max_output_tokens = 1000
    price = { input = 1.0, output = 1.0 }
    released = "2025-01"
    source = { page = "test", as_of = "2025-01" }
"#;

/// The model `model-1` at this provider; `None` for a name that no provider can have.
pub(super) fn deployment(provider: &str) -> Option<Deployment> {
    let model: Model = toml::from_str(MODEL).ok()?;
    let provider = ProviderName::new(provider).ok()?;
    Some(Deployment::new(&Arc::new(model), &provider, "model-1".into()))
}
