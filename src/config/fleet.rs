//! `[[model]]` sections into deployments.
//!
//! In: models as written, the catalog, the providers. Out: [`Deployment`]s. Invariant: whatever could
//! not be resolved was reported; the rest goes on, so that one mistake hides no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::connections::Connections;
use super::problems::{Fault, Place, nearest};
use super::raw::{RawDeployment, RawFigures, RawModel};
use super::section::{At, Field, Ledger};
use crate::catalog::{Catalog, Deployment, Model, QualityPrior, Source, Speed};
use crate::domain::{AbilitySet, ModelName, Price, ProviderName};

/// What names are looked up in.
pub(super) struct Known<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) connections: &'a Connections,
    pub(super) ledger: &'a Ledger<'a>,
}

/// Stands for a figure whose absence was reported; never reaches a served fleet.
const REPORTED: u64 = 1;

/// All deployments of the file, in its order.
pub(super) fn deployments(models: Vec<RawModel>, known: &Known<'_>) -> Vec<Deployment> {
    let mut seen: Vec<ModelName> = Vec::new();
    let mut deployments = Vec::new();
    for raw in models {
        let Some(name) = raw.name.as_given() else { continue };
        if seen.contains(&name.value) {
            let twice = Fault::Duplicate { noun: "model", name: name.value.to_string() };
            known.ledger.report(&name.place, twice);
            continue;
        }
        seen.push(name.value.clone());
        if let Some(model) = model(name, &raw, known) {
            deployments.extend(deploy(&Arc::new(model), &raw, known));
        }
    }
    deployments
}

/// The model, from the catalog, the section, or both; `None` when its name stands for nothing.
fn model(name: &At<ModelName>, raw: &RawModel, known: &Known<'_>) -> Option<Model> {
    let ledger = known.ledger;
    match known.catalog.get(name.value.as_str()) {
        Some(listed) if raw.figures.are_absent() => Some(Model::clone(listed)),
        Some(listed) => Some(overlaid(Model::clone(listed), &raw.figures)),
        None if raw.figures.are_absent() && raw.deployments.is_empty() => {
            let nearest =
                nearest(name.value.as_str(), known.catalog.models().map(|it| it.name.as_str()));
            let name_written = name.value.to_string();
            let fault =
                Fault::Unknown { noun: "model", name: name_written, nearest, known: vec![] };
            ledger.report(&name.place, fault);
            None
        }
        None => Some(overlaid(own(&name.value, raw, ledger), &raw.figures)),
    }
}

/// A model of the operator's, before the figures it gives are put over it.
fn own(name: &ModelName, raw: &RawModel, ledger: &Ledger<'_>) -> Model {
    let figures = &raw.figures;
    if figures.context_window.is_absent() {
        let why = "the catalog does not know this model";
        ledger.report(&raw.place, Fault::Missing { key: "context_window", why });
    }
    if figures.price.is_absent() {
        let unpriced = raw.deployments.iter().filter(|it| it.price.is_absent());
        let why = "neither this deployment nor its model has one";
        for deployment in unpriced {
            ledger.report(&deployment.place, Fault::Missing { key: "price", why });
        }
    }
    let first_price = raw.deployments.iter().find_map(|it| it.price.as_given());
    let context_window = figures.context_window.as_given().map_or(REPORTED, |it| it.value);
    Model {
        name: name.clone(),
        vendor: "config".to_owned(),
        context_window,
        max_output_tokens: context_window,
        abilities: AbilitySet::EMPTY,
        price: first_price.map_or(Price::FREE, |it| it.value),
        released: String::new(),
        source: Source { page: "config".to_owned(), as_of: String::new() },
        served_by: BTreeMap::new(),
        learned_as: None,
        quality_prior: None,
        speed: Speed::default(),
    }
}

/// A model with the figures of a section in place of its own.
fn overlaid(mut model: Model, figures: &RawFigures) -> Model {
    figures.context_window.clone().fill(&mut model.context_window);
    figures.max_output_tokens.clone().fill(&mut model.max_output_tokens);
    figures.abilities.clone().fill(&mut model.abilities);
    figures.price.clone().fill(&mut model.price);
    figures.learned_as.clone().fill_some(&mut model.learned_as);
    figures.speed.clone().fill(&mut model.speed);
    model.source = Source { page: "config".to_owned(), as_of: String::new() };
    figures.source.clone().fill(&mut model.source);
    if let Some(prior) = figures.quality_prior.as_given() {
        let Source { page, as_of } = model.source.clone();
        model.quality_prior = Some(QualityPrior { value: prior.value, source: page, as_of });
    }
    model
}

fn deploy(model: &Arc<Model>, raw: &RawModel, known: &Known<'_>) -> Vec<Deployment> {
    let listed = raw.listed.as_given().map_or(&[][..], |it| &it.value);
    if raw.listed.is_absent() && raw.deployments.is_empty() {
        let why = "for instance deployments = [\"openai\"], or a [[model.deployment]]";
        known.ledger.report(&raw.place, Fault::Missing { key: "deployments", why });
    }
    let timeouts = raw.timeouts.as_given().map(|it| it.value).unwrap_or_default();
    let of_model = |it: Deployment| Deployment { timeouts: it.timeouts.or(timeouts), ..it };
    let with_terms = |mut it: Deployment| {
        raw.terms.over(&mut it.terms);
        it
    };
    let mut found: Vec<Deployment> = Vec::new();
    for provider in listed {
        let made = at_provider(model, provider, None, known).map(with_terms);
        keep(&mut found, made.map(of_model), &provider.place, known.ledger);
    }
    for section in &raw.deployments {
        let Some(provider) = section.provider.as_given() else { continue };
        let made = at_provider(model, provider, Some(section), known).map(with_terms);
        let made = made.map(|it| of_model(refined(it, section)));
        keep(&mut found, made, &provider.place, known.ledger);
    }
    found
}

/// The model at a provider, under the id that the section or the catalog gives it there.
fn at_provider(
    model: &Arc<Model>,
    provider: &At<ProviderName>,
    section: Option<&RawDeployment>,
    known: &Known<'_>,
) -> Option<Deployment> {
    let name = &provider.value;
    let Some(connection) = known.connections.get(name) else {
        let nearest = nearest(name.as_str(), known.connections.names());
        let fault =
            Fault::Unknown { noun: "provider", name: name.to_string(), nearest, known: vec![] };
        known.ledger.report(&provider.place, fault);
        return None;
    };
    let model_id = match section.map_or(&Field::Absent, |it| &it.model_id) {
        Field::Given(at) => Some(at.value.clone()),
        Field::Bad => return None,
        Field::Absent => model.served_by.get(name).cloned(),
    };
    if model_id.is_none() {
        let place = section.map_or(&provider.place, |it| &it.place);
        let (model, provider) = (model.name.to_string(), name.to_string());
        known.ledger.report(place, Fault::NoModelId { model, provider });
    }
    let (billing, terms) = (connection.billing, connection.terms());
    model_id.map(|it| Deployment { billing, terms, ..Deployment::new(model, name, it) })
}

fn refined(mut deployment: Deployment, section: &RawDeployment) -> Deployment {
    section.price.clone().fill(&mut deployment.price);
    section.speed.clone().fill(&mut deployment.speed);
    section.last_resort.clone().fill(&mut deployment.last_resort);
    section.terms.over(&mut deployment.terms);
    section.limits.over(&mut deployment.terms);
    section.timeouts.clone().fill(&mut deployment.timeouts);
    deployment
}

fn keep(found: &mut Vec<Deployment>, made: Option<Deployment>, place: &Place, ledger: &Ledger<'_>) {
    let Some(made) = made else { return };
    if found.iter().any(|it| it.id == made.id) {
        let twice = Fault::Duplicate { noun: "deployment", name: made.id.to_string() };
        ledger.report(place, twice);
        return;
    }
    found.push(made);
}
