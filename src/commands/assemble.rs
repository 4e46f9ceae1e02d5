//! A config into parts that run.
//!
//! In: [`Config`]. Out: encoder, predictor, [`Pipeline`], a bound listener. Invariant: everything
//! that can be wrong with files is told before the first request is taken.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

use super::CommandError;
use crate::catalog::{Catalog, Deployment, Fleet};
use crate::config::{self, Config, Fault, Problems};
use crate::dispatch::BreakerSettings;
use crate::encoder::{Encoder, WEIGHTS_FILE};
use crate::outcome::{LogSettings, OutcomeLog};
use crate::pipeline::{FaultPolicy, Learning, Pipeline, PipelineParts};
use crate::prediction::Predictor;
use crate::providers::{HttpCaller, Provider};
use crate::ranking::Availability;

/// Who may be asked, how they are reached, and where it is written down.
pub(super) struct Served {
    pub(super) fleet: Fleet,
    pub(super) availability: Availability,
    pub(super) providers: Vec<Provider>,
    pub(super) log: LogSettings,
    pub(super) faults: FaultPolicy,
    pub(super) learning: Learning,
}

/// A file's config, or what the environment has keys for.
pub(super) fn config(file: Option<&Path>) -> Result<Config, CommandError> {
    let env = |name: &str| std::env::var(name).ok();
    let Some(path) = file else { return Ok(config::discover(&env)?) };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| CommandError::Read { path: path.to_owned(), source })?;
    Ok(config::from_toml(&text, &env)?)
}

/// The encoder and the predictor of a folder, or those in this binary. A folder without an encoder
/// was trained on the one in this binary.
pub(super) fn brain(artifact: Option<&Path>) -> Result<(Encoder, Predictor), CommandError> {
    let Some(folder) = artifact else {
        let encoder = Encoder::shipped()?;
        let predictor = Predictor::shipped(&encoder)?;
        return Ok((encoder, predictor));
    };
    let own = folder.join(WEIGHTS_FILE).is_file();
    let encoder = if own { Encoder::open(folder)? } else { Encoder::shipped()? };
    let predictor = Predictor::open(folder, &encoder)?;
    Ok((encoder, predictor))
}

/// A pipeline; makes the outcome log's file where there is none.
pub(super) fn pipeline(
    brain: (Encoder, Predictor),
    served: Served,
) -> Result<Pipeline, CommandError> {
    let (encoder, predictor) = brain;
    let Served { fleet, availability, providers, log, faults, learning } = served;
    let caller = HttpCaller::new(providers)?;
    let log = OutcomeLog::open(&log)?;
    let breakers = BreakerSettings::default();
    let parts = PipelineParts {
        fleet,
        availability,
        breakers,
        encoder,
        predictor,
        caller,
        log,
        faults,
        learning,
    };
    Ok(Pipeline::new(parts))
}

/// A listener on an address.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, CommandError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| CommandError::Bind { address, source })
}

/// Whether nothing is wrong but that there is no key.
pub(super) fn is_keyless(problems: &Problems) -> bool {
    problems.iter().all(|it| matches!(it.fault, Fault::NothingToServe(_)))
}

/// Every model of the catalog at the first provider that serves it.
pub(super) fn whole_catalog() -> Result<Fleet, CommandError> {
    let catalog = Catalog::shipped()?;
    let first = catalog.models().filter_map(|model| {
        let (provider, id) = model.served_by.first_key_value()?;
        Some(Deployment::new(model, provider, id.clone()))
    });
    Fleet::new(first.collect()).map_err(CommandError::Fleet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_keys_the_whole_catalog_can_be_ranked() {
        let fleet = whole_catalog().unwrap();
        assert_eq!(fleet.deployments().len(), fleet.models().len());
        let problems = config::discover(&|_: &str| None).err().unwrap();
        assert!(is_keyless(&problems));
        let problems = config::from_toml("[servr]", &|_: &str| None).err().unwrap();
        assert!(!is_keyless(&problems));
    }
}
