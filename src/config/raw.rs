//! The config as written: each value checked by itself, names not yet looked up.
//!
//! In: the file's table. Out: [`RawConfig`]. Invariant: every key of the file is either read here or
//! reported as unknown. Not here: what names stand for (see [`super::resolve`]).

use std::fmt;
use std::path::PathBuf;

use super::cache;
use super::keeping::{self, Keeping};
use super::keys::{self, KeysPlan};
use super::outcomes::{self, RawOutcomes};
use super::policy;
use super::problems::{Fault, Place};
use super::quirks::{self, RawQuirks};
use super::routes::{self, RawFallbacks, RawRoute};
use super::section::{At, Field, Section};
use super::server::{self, RawServer};
use super::terms::{self, RawLimits, RawTerms};
use super::values;
use super::wishes::RawWishes;
use crate::catalog::{Source, Speed};
use crate::domain::{
    AbilitySet, Billing, ModelName, Price, Probability, ProviderName, RouteName, Timeouts,
};
use crate::pipeline::{ArtifactPlaces, CacheSettings, FaultPolicy, Learning};
use crate::providers::Protocol;
use crate::ranking::{Policy, Strategy};

pub(super) struct RawConfig {
    pub(super) server: RawServer,
    pub(super) keys: KeysPlan,
    pub(super) cache: Option<CacheSettings>,
    pub(super) policy: Policy,
    pub(super) wishes: RawWishes,
    pub(super) timeouts: Timeouts,
    pub(super) route: Field<RouteName>,
    pub(super) routes: Vec<RawRoute>,
    pub(super) providers: Vec<RawProvider>,
    pub(super) models: Vec<RawModel>,
    pub(super) outcomes: RawOutcomes,
    pub(super) keeping: Keeping,
    pub(super) artifacts: ArtifactPlaces,
    pub(super) faults: FaultPolicy,
    pub(super) learning: Learning,
}

/// A `[[provider]]`.
pub(super) struct RawProvider {
    pub(super) place: Place,
    pub(super) name: Field<ProviderName>,
    pub(super) protocol: Field<Protocol>,
    pub(super) base_url: Field<String>,
    pub(super) key: Field<KeyPlace>,
    pub(super) auth_header: Field<String>,
    pub(super) billing: Field<Billing>,
    pub(super) quirks: Option<RawQuirks>,
    pub(super) terms: RawTerms,
}

/// Where a key is.
#[derive(Debug, Clone)]
pub(super) enum KeyPlace {
    Variable(String),
    File(PathBuf),
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => out.write_str(name),
            Self::File(path) => path.display().fmt(out),
        }
    }
}

/// A `[[model]]`.
pub(super) struct RawModel {
    pub(super) place: Place,
    pub(super) name: Field<ModelName>,
    pub(super) figures: RawFigures,
    pub(super) listed: Field<Vec<At<ProviderName>>>,
    pub(super) strategy: Field<Strategy>,
    pub(super) terms: RawTerms,
    pub(super) timeouts: Field<Timeouts>,
    pub(super) fallbacks: RawFallbacks,
    pub(super) deployments: Vec<RawDeployment>,
}

/// What a `[[model]]` says of the model itself.
pub(super) struct RawFigures {
    pub(super) context_window: Field<u64>,
    pub(super) max_output_tokens: Field<u64>,
    pub(super) abilities: Field<AbilitySet>,
    pub(super) price: Field<Price>,
    pub(super) quality_prior: Field<Probability>,
    pub(super) learned_as: Field<String>,
    pub(super) speed: Field<Speed>,
    pub(super) source: Field<Source>,
}

/// A `[[model.deployment]]`.
pub(super) struct RawDeployment {
    pub(super) place: Place,
    pub(super) provider: Field<ProviderName>,
    pub(super) model_id: Field<String>,
    pub(super) price: Field<Price>,
    pub(super) speed: Field<Speed>,
    pub(super) last_resort: Field<bool>,
    pub(super) terms: RawTerms,
    pub(super) limits: RawLimits,
    pub(super) timeouts: Field<Timeouts>,
}

impl RawFigures {
    /// Whether nothing at all is said of the model: it must then be one of the catalog.
    pub(super) fn are_absent(&self) -> bool {
        let Self { context_window, max_output_tokens, abilities, price, .. } = self;
        let Self { quality_prior, learned_as, speed, source, .. } = self;
        let sizes = context_window.is_absent() && max_output_tokens.is_absent();
        let offers = abilities.is_absent() && price.is_absent() && speed.is_absent();
        let beliefs = quality_prior.is_absent() && learned_as.is_absent() && source.is_absent();
        sizes && offers && beliefs
    }
}

/// Reads the whole file.
pub(super) fn read(mut root: Section<'_>) -> RawConfig {
    let server = server::read(root.section("server"));
    server::read_telemetry(root.section("telemetry"));
    let keys = keys::read(root.section("keys"));
    let cache = cache::read(root.section("cache"));
    let artifacts = artifacts(&mut root);
    let (mut policy, timeouts, policy::Named { wishes, route }) =
        policy::read(root.section("policy"));
    policy.exploration = policy::exploration(root.section("exploration"));
    let mut allowed = false;
    if let Some(mut section) = root.section("testing") {
        section.field("allow_faults", values::flag).fill(&mut allowed);
        section.done();
    }
    let outcomes = outcomes::read(root.section("outcomes"));
    let export = keeping::read_export(root.section("export"));
    let keeping = Keeping { export, ..outcomes.keeping.clone() };
    let mut online = false;
    if let Some(mut section) = root.section("learning") {
        section.field("online", values::flag).fill(&mut online);
        section.done();
    }
    let raw = RawConfig {
        server,
        keys,
        cache,
        policy,
        wishes,
        timeouts,
        route,
        routes: routes::read(&mut root),
        providers: root.sections("provider").into_iter().map(provider).collect(),
        models: root.sections("model").into_iter().map(model).collect(),
        outcomes,
        keeping,
        artifacts,
        faults: if allowed { FaultPolicy::Allowed } else { FaultPolicy::Refused },
        learning: if online { Learning::Online } else { Learning::Off },
    };
    root.done();
    raw
}

/// `[artifact]`, and those on trial beside it.
fn artifacts(root: &mut Section<'_>) -> ArtifactPlaces {
    let mut places = ArtifactPlaces::default();
    let why = "it is the folder of an artifact";
    if let Some(mut section) = root.section("artifact") {
        section.field("path", values::path).fill_some(&mut places.served);
        section.done();
    }
    if let Some(mut section) = root.section("encoder") {
        section.field("path", values::path).fill_some(&mut places.encoder);
        section.done();
    }
    if let Some(mut section) = root.section("shadow") {
        section.required("path", why, values::path).fill_some(&mut places.shadow);
        section.done();
    }
    if let Some(mut section) = root.section("canary") {
        let path = section.required("path", why, values::path).given();
        let why = "the canary serves this share of the requests, 0 to 1";
        let share = section.required("share", why, values::probability).given();
        places.canary = path.zip(share);
        section.done();
    }
    places
}

fn provider(mut section: Section<'_>) -> RawProvider {
    let name = section.required("name", "models name their providers", values::provider_name);
    let protocol = section.field("protocol", values::protocol);
    let base_url = section.field("base_url", values::base_url);
    let variable = section.field("api_key_env", |it| values::variable(it).map(KeyPlace::Variable));
    let file = section.field("api_key_file", |it| values::key_path(it).map(KeyPlace::File));
    if !variable.is_absent() && !file.is_absent() {
        section.report(Fault::TwoKeys);
    }
    let key = if variable.is_absent() { file } else { variable };
    let auth_header = section.field("auth_header", values::header);
    let billing = section.field("billing", values::billing);
    let quirks = quirks::read(section.section("quirks"));
    let terms = terms::read(&mut section);
    let place = section.place.clone();
    section.done();
    RawProvider { place, name, protocol, base_url, key, auth_header, billing, quirks, terms }
}

fn model(mut section: Section<'_>) -> RawModel {
    let name = section.required("name", "callers and the log name it", values::model_name);
    let figures = RawFigures {
        context_window: section.field("context_window", values::tokens),
        max_output_tokens: section.field("max_output_tokens", values::tokens),
        abilities: abilities(&mut section),
        price: section.nested("price", price),
        quality_prior: section.field("quality_prior", values::probability),
        learned_as: section.field("learned_as", values::string),
        speed: section.nested("speed", speed),
        source: section.nested("source", source),
    };
    let strategy = section.field("strategy", values::strategy);
    let terms = terms::read(&mut section);
    let timeouts = section.nested("timeouts", policy::timeouts);
    let fallbacks = RawFallbacks::read(&mut section);
    let listed = section.list("deployments", values::provider_name);
    let deployments = section.sections("deployment").into_iter().map(deployment).collect();
    let place = section.place.clone();
    section.done();
    RawModel { place, name, figures, listed, strategy, terms, timeouts, fallbacks, deployments }
}

fn deployment(mut section: Section<'_>) -> RawDeployment {
    let raw = RawDeployment {
        place: section.place.clone(),
        provider: section.required("provider", "someone must serve it", values::provider_name),
        model_id: section.field("model_id", values::string),
        price: section.nested("price", price),
        speed: section.nested("speed", speed),
        last_resort: section.field("last_resort", values::flag),
        terms: terms::read(&mut section),
        limits: terms::read_limits(&mut section),
        timeouts: section.nested("timeouts", policy::timeouts),
    };
    section.done();
    raw
}

fn abilities(section: &mut Section<'_>) -> Field<AbilitySet> {
    match section.list("abilities", values::ability) {
        Field::Absent => Field::Absent,
        Field::Bad => Field::Bad,
        Field::Given(At { value, place }) => {
            Field::Given(At { value: value.into_iter().map(|it| it.value).collect(), place })
        }
    }
}

fn price(section: &mut Section<'_>) -> Option<Price> {
    let why = "prices are USD per million tokens, 0 where it is free";
    let input = section.required("input", why, values::token_price);
    let cached = section.field("cached", values::token_price);
    let cache_written = section.field("cache_written", values::token_price);
    let output = section.required("output", why, values::token_price);
    let reasoning = section.field("reasoning", values::token_price);
    Some(Price {
        input: input.given()?,
        cached: cached.given(),
        cache_written: cache_written.given(),
        output: output.given()?,
        reasoning: reasoning.given(),
    })
}

fn speed(section: &mut Section<'_>) -> Option<Speed> {
    let why = "a speed is a time to first token and a rate after it";
    let ttft_ms = section.required("ttft_ms", why, values::positive);
    let tokens_per_s = section.required("tokens_per_s", why, values::positive);
    Some(Speed { ttft_ms: ttft_ms.given()?, tokens_per_s: tokens_per_s.given()? })
}

fn source(section: &mut Section<'_>) -> Option<Source> {
    let why = "a source is a page and the day on which it said so";
    let page = section.required("page", why, values::string);
    let as_of = section.required("as_of", why, values::string);
    Some(Source { page: page.given()?, as_of: as_of.given()? })
}
