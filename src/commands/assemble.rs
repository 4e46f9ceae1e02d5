//! A config into parts that run.
//!
//! In: [`Config`]. Out: encoder, predictor, [`Pipeline`], a bound listener. Invariant: everything
//! that can be wrong with files is told before the first request is taken.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

use super::CommandError;
use super::args::{Cli, Command};
use crate::catalog::{Catalog, Deployment, Fleet};
use crate::config::{self, Config, Fault, LogForm, Problems};
use crate::dispatch::BreakerSettings;
use crate::encoder::{Encoder, WEIGHTS_FILE};
use crate::outcome::{LogSettings, OutcomeLog};
use crate::pipeline::{FaultPolicy, Pipeline, PipelineParts};
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
    let Served { fleet, availability, providers, log, faults } = served;
    let caller = HttpCaller::new(providers)?;
    let log = OutcomeLog::open(&log)?;
    let breakers = BreakerSettings::default();
    let parts =
        PipelineParts { fleet, availability, breakers, encoder, predictor, caller, log, faults };
    Ok(Pipeline::new(parts))
}

/// A listener on an address; `option` is what takes another.
pub(super) async fn bind(
    address: SocketAddr,
    option: &'static str,
) -> Result<TcpListener, CommandError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| CommandError::Bind { address, option, source })
}

/// How logs are to look: as the command line says, or else the config file.
pub fn log_form(cli: &Cli) -> LogForm {
    let text = match &cli.command {
        _ if cli.log_json => return LogForm::Json,
        Command::Serve(args) => args.config.as_deref().map(std::fs::read_to_string),
        _ => None,
    };
    // Whatever is wrong with the file is told by whoever reads it.
    text.and_then(Result::ok).map_or_else(LogForm::default, |it| config::log_form(&it))
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
