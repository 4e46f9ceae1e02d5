//! A model at a provider, and the set of those that this server may use.
//!
//! In: models of the catalog and the operator's config. Out: [`Fleet`]. Invariant: ids are unique,
//! windows and speeds are positive, and there is at least one deployment.

use std::sync::Arc;

use super::model::{Model, Speed};
use super::terms::Terms;
use crate::domain::{AbilitySet, Billing, DeploymentId, ModelName, Price, ProviderName, Timeouts};

/// A model at a provider, with the price and speed it has there.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// `model@provider`.
    pub id: DeploymentId,
    /// The model, shared by all its deployments.
    pub model: Arc<Model>,
    /// The provider.
    pub provider: ProviderName,
    /// The model's id at this provider.
    pub model_id: String,
    /// What it costs here, USD per million tokens.
    pub price: Price,
    /// What its provider bills of calls that fail.
    pub billing: Billing,
    /// How fast it is believed to be here before anything was measured.
    pub speed: Speed,
    /// Whether it goes to the end of every ranking it can serve, over and above the others.
    pub last_resort: bool,
    /// Limits on a call here that the operator named, for this model or for all.
    pub timeouts: Timeouts,
    /// What else is known of it.
    pub terms: Terms,
}

impl Deployment {
    /// A model at a provider under the model's own list price and speed, billed by the usual rule.
    pub fn new(model: &Arc<Model>, provider: &ProviderName, model_id: String) -> Self {
        Self {
            id: DeploymentId::of(&model.name, provider),
            model: Arc::clone(model),
            provider: provider.clone(),
            model_id,
            price: model.price,
            billing: Billing::default(),
            speed: model.speed,
            last_resort: false,
            timeouts: Timeouts::default(),
            terms: Terms::default(),
        }
    }

    /// What it can do.
    pub fn abilities(&self) -> AbilitySet {
        self.model.abilities
    }
}

/// A fleet that cannot be served.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FleetError {
    /// Nothing to choose from.
    #[error("there is no deployment: name at least one model and a provider that serves it")]
    Empty,
    /// Two deployments with one id.
    #[error("the deployment `{0}` is given twice")]
    Duplicate(DeploymentId),
    /// A figure that must be above zero is not.
    #[error("`{deployment}`: {field} must be above zero")]
    NotPositive {
        /// Whose.
        deployment: DeploymentId,
        /// Which.
        field: &'static str,
    },
}

/// The deployments this server may use, in the order given.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet(Vec<Arc<Deployment>>);

impl Fleet {
    /// Checks and takes deployments.
    ///
    /// # Errors
    /// Every [`FleetError`] there is.
    pub fn new(deployments: Vec<Deployment>) -> Result<Self, Vec<FleetError>> {
        let mut found = Vec::new();
        if deployments.is_empty() {
            found.push(FleetError::Empty);
        }
        for (at, deployment) in deployments.iter().enumerate() {
            if deployments[..at].iter().any(|it| it.id == deployment.id) {
                found.push(FleetError::Duplicate(deployment.id.clone()));
            }
            let model = &deployment.model;
            let positive = [
                ("context_window", model.context_window > 0),
                ("max_output_tokens", model.max_output_tokens > 0),
                ("speed.ttft_ms", deployment.speed.ttft_ms > 0.0),
                ("speed.tokens_per_s", deployment.speed.tokens_per_s > 0.0),
            ];
            let faults = positive.into_iter().filter(|(_, fine)| !fine);
            found.extend(faults.map(|(field, _)| FleetError::NotPositive {
                deployment: deployment.id.clone(),
                field,
            }));
        }
        let shared = deployments.into_iter().map(Arc::new).collect();
        if found.is_empty() { Ok(Self(shared)) } else { Err(found) }
    }

    /// Every deployment, in the order given.
    pub fn deployments(&self) -> &[Arc<Deployment>] {
        &self.0
    }

    /// Whether any deployment is of this model.
    pub fn has_model(&self, name: &ModelName) -> bool {
        self.0.iter().any(|it| it.model.name == *name)
    }

    /// The models served, each once, in the order of their first deployment.
    pub fn models(&self) -> Vec<Arc<Model>> {
        let mut models: Vec<Arc<Model>> = Vec::new();
        for deployment in &self.0 {
            if models.iter().all(|it| it.name != deployment.model.name) {
                models.push(Arc::clone(&deployment.model));
            }
        }
        models
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn model(name: &str) -> Arc<Model> {
        let toml = format!(
            "[[model]]\nname = \"{name}\"\nvendor = \"V\"\ncontext_window = 8000\n\
             max_output_tokens = 1000\nabilities = [\"tools\"]\n\
             price = {{ input = 1.0, output = 2.0 }}\nreleased = \"2026-01\"\n\
             source = {{ page = \"p\", as_of = \"2026-01\" }}\n"
        );
        Arc::clone(Catalog::parse(&toml).unwrap().get(name).unwrap())
    }

    fn deployment(name: &str, provider: &str) -> Deployment {
        let provider = ProviderName::new(provider).unwrap();
        Deployment::new(&model(name), &provider, format!("org/{name}"))
    }

    #[test]
    fn a_deployment_starts_with_its_models_list_price_and_speed() {
        let it = deployment("m", "p");
        assert_eq!(it.id.as_str(), "m@p");
        assert_eq!((it.price, it.speed), (it.model.price, it.model.speed));
        assert_eq!(it.abilities(), it.model.abilities);
        assert!(!it.last_resort);
    }

    #[test]
    fn a_fleet_keeps_its_order_and_lists_each_model_once() {
        let given = [("b", "p"), ("a", "p"), ("b", "q")];
        let fleet = Fleet::new(given.map(|(name, at)| deployment(name, at)).to_vec()).unwrap();
        let ids: Vec<&str> = fleet.deployments().iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["b@p", "a@p", "b@q"]);
        let models = fleet.models();
        let names: Vec<&str> = models.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        assert!(fleet.has_model(&ModelName::new("a").unwrap()));
        assert!(!fleet.has_model(&ModelName::new("c").unwrap()));
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let check = |deployments: Vec<Deployment>, wanted: &[&str]| {
            let faults = Fleet::new(deployments).unwrap_err();
            let messages: Vec<String> = faults.iter().map(ToString::to_string).collect();
            assert_eq!(messages.len(), wanted.len(), "{messages:?}");
            for (message, wanted) in messages.iter().zip(wanted) {
                assert!(message.contains(wanted), "{message}");
            }
        };
        let slow = |ttft_ms, tokens_per_s| Deployment {
            speed: Speed { ttft_ms, tokens_per_s },
            ..deployment("slow", "p")
        };
        let mut shut = deployment("shut", "p");
        shut.model =
            Arc::new(Model { context_window: 0, max_output_tokens: 0, ..(*shut.model).clone() });
        check(vec![], &["no deployment"]);
        check(vec![deployment("a", "p"), deployment("a", "p")], &["`a@p` is given twice"]);
        check(vec![slow(0.0, 1.0)], &["speed.ttft_ms"]);
        check(vec![slow(f64::NAN, -1.0)], &["speed.ttft_ms", "speed.tokens_per_s"]);
        check(
            vec![shut, deployment("a", "p"), deployment("a", "p")],
            &["`shut@p`: context_window", "`shut@p`: max_output_tokens", "`a@p`"],
        );
    }
}
