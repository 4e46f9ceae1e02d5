//! A config into parts that run.
//!
//! In: [`Config`]. Out: [`Artifacts`], [`Pipeline`], a bound listener. Invariant: everything
//! that can be wrong with files is told before the first request is taken.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

use super::CommandError;
use super::args::{Cli, Command};
use crate::catalog::{Catalog, Deployment, Fleet};
use crate::config::{self, Config, Fault, LogForm, Problems};
use crate::dispatch::BreakerSettings;
use crate::outcome::{LogSettings, OutcomeLog};
use crate::pipeline::{
    ArtifactPlaces, Artifacts, CacheSettings, FaultPolicy, Learning, Pipeline, PipelineParts,
};
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
    pub(super) cache: Option<CacheSettings>,
}

/// A file's config, or what the environment has keys for.
pub(super) fn config(file: Option<&Path>) -> Result<Config, CommandError> {
    let env = |name: &str| std::env::var(name).ok();
    let Some(path) = file else { return Ok(config::discover(&env)?) };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| CommandError::Read { path: path.to_owned(), source })?;
    Ok(config::from_toml(&text, &env)?)
}

/// The artifacts that a config names, or the one in this binary.
pub(super) fn artifacts(places: &ArtifactPlaces) -> Result<Artifacts, CommandError> {
    Ok(Artifacts::open(places.clone())?)
}

/// A pipeline; makes the outcome log's file where there is none.
pub(super) fn pipeline(artifacts: Artifacts, served: Served) -> Result<Pipeline, CommandError> {
    let Served { fleet, availability, providers, log, faults, learning, cache } = served;
    let caller = HttpCaller::new(providers)?;
    let log = OutcomeLog::open(&log)?;
    let breakers = BreakerSettings::default();
    Ok(Pipeline::new(PipelineParts {
        fleet,
        availability,
        breakers,
        artifacts,
        caller,
        log,
        faults,
        learning,
        cache,
    }))
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
    use crate::domain::sha256_hex;
    use crate::encoder::{Encoder, Exit, sample};
    use crate::features::COUNT;
    use crate::prediction::{Artifact, MANIFEST_FILE, WEIGHTS_FILE};

    /// The shipped artifact, as if it had been trained on another encoder: fewer floats, other exits.
    fn artifact_for(encoder: &Encoder, folder: &Path) {
        let mut made = Artifact::shipped(&Encoder::shipped().unwrap()).unwrap();
        let inputs = encoder.width() + COUNT;
        for trunk in &mut made.trunks {
            let hidden = trunk.hidden_bias.len();
            trunk.input_mean.truncate(inputs);
            trunk.input_scale.truncate(inputs);
            trunk.hidden_weight.truncate(inputs * hidden);
        }
        made.manifest.exits = vec![0, encoder.number(Exit::Last)];
        made.manifest.encoder = Some(encoder.name().to_owned());
        made.manifest.encoder_sha256 = encoder.checksum(&made.manifest.exits).unwrap().to_owned();
        let weights = made.weights().unwrap();
        made.manifest.weights_sha256 = sha256_hex(&weights);
        std::fs::write(folder.join(WEIGHTS_FILE), weights).unwrap();
        let manifest = serde_json::to_vec(&made.manifest).unwrap();
        std::fs::write(folder.join(MANIFEST_FILE), manifest).unwrap();
    }

    /// The words of an error and of all that is behind it.
    fn chain(error: &dyn std::error::Error) -> String {
        let behind = error.source().map(chain).unwrap_or_default();
        format!("{error}: {behind}")
    }

    #[test]
    fn an_artifact_has_the_encoder_that_it_was_trained_on_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        let inside = folder.path().join("encoder");
        for (place, seed) in [(&own, 1), (&other, 2), (&inside, 1)] {
            std::fs::create_dir(place).unwrap();
            sample::write(place, seed).unwrap();
        }
        artifact_for(&Encoder::open(&own).unwrap(), folder.path());
        let places = |artifact: Option<&Path>, encoder: Option<&Path>| ArtifactPlaces {
            served: artifact.map(Path::to_owned),
            encoder: encoder.map(Path::to_owned),
            ..ArtifactPlaces::default()
        };
        let check = |artifact: Option<&Path>,
                     encoder: Option<&Path>,
                     wanted: Result<usize, &str>| {
            match (artifacts(&places(artifact, encoder)), wanted) {
                (Ok(it), Ok(width)) => assert_eq!(it.encoder().width(), width),
                (Err(error), Err(part)) => {
                    let error = chain(&error);
                    assert!(error.contains(part), "{error}");
                }
                (found, _) => panic!("{:?}", found.map(|it| it.version())),
            }
        };
        check(None, None, Ok(384));
        check(Some(folder.path()), Some(&own), Ok(32));
        check(Some(folder.path()), None, Ok(32));
        check(Some(folder.path()), Some(&other), Err("(own), the encoder in use has"));
        check(None, Some(&own), Err("(the shipped one), the encoder in use has"));
        std::fs::remove_dir_all(&inside).unwrap();
        check(Some(folder.path()), None, Err("(own), the encoder in use has"));
        check(Some(folder.path()), Some(&inside), Err("tokenizer.json"));
    }

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
