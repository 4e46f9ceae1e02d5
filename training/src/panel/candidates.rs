//! Who sits on the panel: every model that can be called, each at the cheapest place.
//!
//! In: the config's fleet, who has no key, the models named. Out: [`Candidate`]s in the fleet's order.
//! Not here: what each is asked.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use pointsman::catalog::{Deployment, Fleet};
use pointsman::domain::{ModelName, Usage, Usd};
use pointsman::ranking::Availability;

/// By what places are compared: a question of a page and an answer of half of one. Which of two is
/// cheaper seldom depends on it.
const TYPICAL: Usage = Usage {
    input_tokens: 1_000,
    cached_tokens: 0,
    cache_written_tokens: 0,
    output_tokens: 500,
    reasoning_tokens: 0,
};

/// A model on the panel.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its name in the table: the one under which artifacts learn it.
    pub name: String,
    /// Where it is called.
    pub deployment: Arc<Deployment>,
}

/// The panel: the models named, or all that can be called where none is.
///
/// # Errors
/// When a model named is not in the fleet or cannot be called, or nobody can.
pub fn candidates(
    fleet: &Fleet,
    availability: &Availability,
    only: &[ModelName],
) -> Result<Vec<Candidate>> {
    let models = fleet.models().into_iter().map(|it| it.name.clone());
    let wanted: Vec<ModelName> = match only {
        [] => models.filter(|it| cheapest(fleet, availability, it).is_ok()).collect(),
        named => named.to_vec(),
    };
    let mut found: Vec<Candidate> = Vec::new();
    for model in wanted {
        let deployment = cheapest(fleet, availability, &model)?;
        let name = deployment.model.name_in_training().to_owned();
        ensure!(
            found.iter().all(|it| it.name != name),
            "two models of the panel are learned as `{name}`; name the ones wanted with --models"
        );
        found.push(Candidate { name, deployment });
    }
    ensure!(!found.is_empty(), "no model of the config can be called: no key of a provider is set");
    Ok(found)
}

/// Where a model is called.
///
/// # Errors
/// When it is not in the fleet, or no place of it has its key.
pub fn cheapest(
    fleet: &Fleet,
    availability: &Availability,
    model: &ModelName,
) -> Result<Arc<Deployment>> {
    let of: Vec<_> = fleet.deployments().iter().filter(|it| it.model.name == *model).collect();
    ensure!(!of.is_empty(), "the config has no model `{model}`");
    let usable = of.into_iter().filter(|it| availability.of(&it.id).is_none());
    // The first of equals.
    let typical = |it: &&Arc<Deployment>| -> Usd { it.price.cost(&TYPICAL) };
    match usable.min_by_key(typical) {
        Some(found) => Ok(Arc::clone(found)),
        None => bail!("no provider of the model `{model}` has its key set"),
    }
}

#[cfg(test)]
mod tests {
    use pointsman::config;

    use super::*;

    const CONFIG: &str = r#"
[[provider]]
name = "dear"
base_url = "http://127.0.0.1:1"
[[provider]]
name = "cheap"
base_url = "http://127.0.0.1:2"
[[provider]]
name = "keyless"
base_url = "http://127.0.0.1:3"
api_key_env = "NOT_SET"
[[model]]
name = "both"
context_window = 8000
[[model.deployment]]
provider = "dear"
model_id = "b"
price = { input = 2.0, output = 4.0 }
[[model.deployment]]
provider = "keyless"
model_id = "b"
price = { input = 0.1, output = 0.1 }
[[model.deployment]]
provider = "cheap"
model_id = "b"
price = { input = 1.0, output = 5.0 }
[[model]]
name = "shut"
context_window = 8000
[[model.deployment]]
provider = "keyless"
model_id = "s"
price = { input = 0.1, output = 0.1 }
[[model]]
name = "one"
learned_as = "One (2026)"
context_window = 8000
[[model.deployment]]
provider = "dear"
model_id = "o"
price = { input = 2.0, output = 4.0 }
"#;

    #[test]
    fn each_model_sits_once_at_its_cheapest_place() {
        let config = config::from_toml(CONFIG, &|_| None).unwrap();
        let check = |only: &[&str], wanted: Result<&[(&str, &str)], &str>| {
            let only: Vec<_> = only.iter().map(|it| ModelName::new(it).unwrap()).collect();
            let found = candidates(&config.fleet, &config.availability, &only);
            match (found, wanted) {
                (Ok(found), Ok(wanted)) => {
                    let told: Vec<_> = found
                        .iter()
                        .map(|it| (it.name.as_str(), it.deployment.id.as_str()))
                        .collect();
                    assert_eq!(told, wanted);
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{found:?}"),
            }
        };
        check(&[], Ok(&[("both", "both@cheap"), ("One (2026)", "one@dear")]));
        check(&["one"], Ok(&[("One (2026)", "one@dear")]));
        check(&["shut"], Err("`shut` has its key"));
        check(&["none"], Err("no model `none`"));
        check(&["one", "one"], Err("learned as `One (2026)`"));
    }
}
