//! The four models of the demo: real ones of the catalog under other names, made up to answer.
//!
//! In: the catalog. Out: a fleet of four, and how each of them is simulated. Invariant: windows,
//! prices, abilities and speeds are the real model's, and the artifact predicts for the real model,
//! so that the choice is the one it would make for real. Only time runs [`SPEED_UP`] times faster.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Catalog, Deployment, Fleet, Model, Speed};
use crate::commands::CommandError;
use crate::domain::{ModelName, ProviderName};
use crate::providers::Protocol;
use crate::ranking::{Policy, Preference};
use crate::simulator::{FaultRates, OutputTokens, SimulatedModel, parse_rates};

/// How much faster time runs: sixty answers of some seconds each in well under a minute.
pub(super) const SPEED_UP: f64 = 20.0;

/// Spread of the logarithm of the lengths of answers: about what real ones have for one prompt.
const LENGTH_SIGMA: f64 = 0.4;

/// One of the four.
pub(super) struct Role {
    /// Its name here.
    pub(super) name: &'static str,
    /// The provider that serves it here.
    pub(super) provider: &'static str,
    /// What that provider speaks.
    pub(super) protocol: Protocol,
    /// The model it plays, by its name in training.
    pub(super) plays: &'static str,
    /// How often which calls fail.
    pub(super) faults: &'static str,
    /// The same in words.
    pub(super) faults_in_words: &'static str,
}

/// The cast.
pub(super) const CAST: [Role; 4] = [
    Role {
        name: "demo-large",
        provider: "north",
        protocol: Protocol::Anthropic,
        plays: "claude-sonnet-4",
        faults: "status:529=0.02",
        faults_in_words: "2 % of calls",
    },
    Role {
        name: "demo-reasoner",
        provider: "east",
        protocol: Protocol::OpenAi,
        plays: "o3-mini",
        faults: "status:503=0.1, status:429:1s=0.02",
        faults_in_words: "12 % of calls",
    },
    Role {
        name: "demo-small",
        provider: "south",
        protocol: Protocol::Gemini,
        plays: "gpt-4o-mini-2024-07-18",
        faults: "status:503=0.3, reset=0.1, malformed=0.1",
        faults_in_words: "half of all calls",
    },
    Role {
        name: "demo-tiny",
        provider: "west",
        protocol: Protocol::Ollama,
        plays: "Meta-Llama-3.1-8B-Instruct",
        faults: "",
        faults_in_words: "never",
    },
];

/// The four as deployments, in the order of [`CAST`].
pub(super) fn fleet() -> Result<Fleet, CommandError> {
    let catalog = Catalog::shipped()?;
    let deployments = CAST.iter().map(|it| deployment(it, &catalog)).collect::<Result<_, _>>()?;
    Fleet::new(deployments).map_err(CommandError::Fleet)
}

fn deployment(role: &Role, catalog: &Catalog) -> Result<Deployment, CommandError> {
    let played = catalog.models().find(|it| it.learned_as.as_deref() == Some(role.plays));
    let played = played.ok_or(CommandError::NotInCatalog(role.plays))?;
    let model = Model { name: ModelName::new(role.name)?, ..Model::clone(played) };
    let provider = ProviderName::new(role.provider)?;
    let mut made = Deployment::new(&Arc::new(model), &provider, role.name.to_owned());
    made.speed = Speed {
        ttft_ms: played.speed.ttft_ms / SPEED_UP,
        tokens_per_s: played.speed.tokens_per_s * SPEED_UP,
    };
    Ok(made)
}

/// The preset `cost`, under which easy and hard prompts part most visibly, with a second worth what
/// [`SPEED_UP`] seconds are worth outside.
pub(super) fn policy() -> Policy {
    let Preference { cost_per_quality_usd, latency_per_quality_ms } = Preference::COST;
    let latency_per_quality_ms = latency_per_quality_ms / SPEED_UP;
    let preference = Preference { cost_per_quality_usd, latency_per_quality_ms };
    Policy { preference, ..Policy::default() }
}

/// How a role is simulated; `mean_tokens` is what its answers have on average.
pub(super) fn simulated(
    role: &Role,
    deployment: &Deployment,
    mean_tokens: f64,
) -> Result<SimulatedModel, CommandError> {
    // A log-normal's mean lies above its median by this factor.
    let median = mean_tokens / (LENGTH_SIGMA * LENGTH_SIGMA / 2.0).exp();
    let faults: FaultRates = parse_rates(role.faults)?;
    Ok(SimulatedModel {
        ttft: Duration::try_from_secs_f64(deployment.speed.ttft_ms / 1_000.0).unwrap_or_default(),
        tokens_per_s: deployment.speed.tokens_per_s,
        output_tokens: OutputTokens { median, sigma: LENGTH_SIGMA },
        faults,
        ..SimulatedModel::new(role.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cast_is_in_the_catalog_and_differs_in_price() {
        let fleet = fleet().unwrap();
        let prices: Vec<_> = fleet.deployments().iter().map(|it| it.price.output).collect();
        assert!(prices.is_sorted_by(|a, b| a > b), "{prices:?}");
        for (role, deployment) in CAST.iter().zip(fleet.deployments()) {
            simulated(role, deployment, 200.0).unwrap();
            assert_eq!(deployment.model.learned_as.as_deref(), Some(role.plays));
        }
    }
}
