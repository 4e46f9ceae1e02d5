//! From what is written to what is meant.
//!
//! In: [`RawConfig`], the catalog, the environment. Out: [`Config`]. Invariant: a config comes out only
//! when nothing was reported. A key that is not set is no problem of the file: its deployments are
//! marked unavailable.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::connections::{Connection, Connections, Env};
use super::discover;
use super::fleet::{self, Known};
use super::outcomes;
use super::problems::{Fault, Place, Problem, Problems};
use super::raw::{self, KeyPlace, RawModel};
use super::routes::{self, Named};
use super::section::{Ledger, Section};
use super::server;
use super::{Config, toml_table};
use crate::access::Demand;
use crate::catalog::{Catalog, Deployment, Fleet};
use crate::domain::ModelName;
use crate::outcome::OutcomeAccess;
use crate::pipeline::FaultPolicy;
use crate::providers::{ApiKey, Provider, ProviderRow};
use crate::ranking::{Availability, Strategy, Unavailable};

const FORCED: &str = "warning: callers may force failures ([testing] allow_faults)";
const READABLE: &str = "warning: callers may read and delete outcomes ([outcomes] admin_calls)";
const OPEN: &str = "warning: whoever reaches this server may use it ([keys] required = false)";

/// Resolves a file against a catalog and the built-in providers.
pub(super) fn resolve(
    text: &str,
    catalog: &Catalog,
    rows: &[ProviderRow],
    env: &Env<'_>,
) -> Result<Config, Problems> {
    let table = toml_table(text)?;
    let ledger = Ledger::new(text);
    let root = Place { path: String::new(), line: None };
    let raw = raw::read(Section::new(&ledger, root.clone(), table.get_ref()));

    let mut connections = Connections::builtin(rows, env);
    connections.configure(raw.providers, &ledger, env);
    let mut policy = raw.policy;
    policy.candidates.strategies.models = strategies(&raw.models);
    let log = outcomes::resolve(raw.outcomes, &ledger, env);
    let mut models = raw.models;
    let fallbacks = fallbacks(&mut models);
    let mut deployments = if models.is_empty() {
        discover::deployments(catalog, &connections)
    } else {
        let known = Known { catalog, connections: &connections, ledger: &ledger };
        fleet::deployments(models, &known)
    };
    for deployment in &mut deployments {
        deployment.timeouts = deployment.timeouts.or(raw.timeouts);
    }
    let routes = routes::link(&raw.routes, &fallbacks, &raw.route, &deployments, &ledger);
    policy.candidates.provider = raw.wishes.resolve(&deployments, &ledger);
    for id in calls_itself(&deployments, &connections, raw.server.listen) {
        let place = Place { path: "server.listen".to_owned(), line: None };
        ledger.report(&place, Fault::OwnAddress(id));
    }
    let admin = server::admin(&raw.server, &ledger, env);
    let problems = ledger.into_problems();
    if !problems.is_empty() {
        return Err(Problems::sorted(problems));
    }
    let fleet = fleet_of(deployments, rows)?;
    let mut found = findings(&fleet, &connections);
    let open = raw.keys.demand(raw.server.listen) == Some(Demand::Optional)
        && !raw.server.listen.ip().is_loopback();
    let warnings = [
        (raw.faults == FaultPolicy::Allowed, FORCED),
        (log.admin == OutcomeAccess::Allowed, READABLE),
        (open, OPEN),
    ];
    found.extend(warnings.into_iter().filter(|it| it.0).map(|it| it.1.to_owned()));
    Ok(Config {
        listen: raw.server.listen,
        admin,
        keys: raw.keys,
        cache: raw.cache,
        draining: raw.server.draining,
        policy,
        routes: Arc::new(routes),
        providers: reached(&fleet, &connections),
        availability: availability(&fleet, &connections),
        fleet,
        log,
        keeping: raw.keeping,
        artifacts: raw.artifacts,
        faults: raw.faults,
        learning: raw.learning,
        found,
    })
}

/// Takes what models say of the time after they failed.
fn fallbacks(models: &mut [RawModel]) -> Vec<Named> {
    let of = |it: &mut RawModel| {
        let fallbacks = std::mem::take(&mut it.fallbacks);
        Some((it.name.as_given()?.clone(), fallbacks))
    };
    models.iter_mut().filter_map(of).collect()
}

/// The strategy of each model that has one.
fn strategies(models: &[RawModel]) -> BTreeMap<ModelName, Strategy> {
    let own =
        |it: &RawModel| Some((it.name.as_given()?.value.clone(), it.strategy.as_given()?.value));
    models.iter().filter_map(own).collect()
}

/// Makes the fleet; an empty one is told with the variables that would fill it.
pub(super) fn fleet_of(
    deployments: Vec<Deployment>,
    rows: &[ProviderRow],
) -> Result<Fleet, Problems> {
    let nowhere = || Place { path: String::new(), line: None };
    if deployments.is_empty() {
        let variables: Vec<_> = rows.iter().filter(|it| !it.api_key_optional).collect();
        let variables: Vec<_> =
            variables.iter().filter_map(|it| it.api_key_env.as_deref()).collect();
        let fault = Fault::NothingToServe(variables.join(", "));
        return Err(Problems::sorted(vec![Problem { place: nowhere(), fault }]));
    }
    let problem = |it| Problem { place: nowhere(), fault: Fault::Fleet(it) };
    Fleet::new(deployments)
        .map_err(|found| Problems::sorted(found.into_iter().map(problem).collect()))
}

/// The providers that the fleet or the file names.
pub(super) fn reached(fleet: &Fleet, connections: &Connections) -> Vec<Provider> {
    let wanted = connections.iter().filter(|it| it.configured || served(fleet, it) > 0);
    wanted.map(|it| it.provider.clone()).collect()
}

/// Marks every deployment whose provider's key is missing.
pub(super) fn availability(fleet: &Fleet, connections: &Connections) -> Availability {
    let mut availability = Availability::default();
    for deployment in fleet.deployments() {
        let key = connections.get(&deployment.provider).map(|it| &it.provider.key);
        if let Some(ApiKey::Missing { place }) = key {
            availability.mark(deployment.id.clone(), Unavailable::NoKey(place.clone()));
        }
    }
    availability
}

/// One line per provider in use, and a warning when none of them can be called.
pub(super) fn findings(fleet: &Fleet, connections: &Connections) -> Vec<String> {
    let used = connections.iter().filter(|it| it.configured || served(fleet, it) > 0);
    let mut lines: Vec<_> = used.map(|it| finding(it, served(fleet, it))).collect();
    let keyless = availability(fleet, connections);
    if fleet.deployments().iter().all(|it| keyless.of(&it.id).is_some()) {
        lines.push("warning: no deployment has its key, so every request is refused".to_owned());
    }
    lines
}

fn served(fleet: &Fleet, connection: &Connection) -> usize {
    let name = &connection.provider.name;
    fleet.deployments().iter().filter(|it| it.provider == *name).count()
}

fn finding(connection: &Connection, models: usize) -> String {
    let name = &connection.provider.name;
    let key = match (&connection.provider.key, &connection.key_place) {
        (ApiKey::Aws(_), _) => "AWS credentials are set".to_owned(),
        (ApiKey::NotNeeded, _) | (ApiKey::Set(_), None) => "no key needed".to_owned(),
        (ApiKey::Set(_), Some(KeyPlace::Variable(variable))) => format!("{variable} is set"),
        (ApiKey::Set(_), Some(KeyPlace::File(path))) => format!("key in {}", path.display()),
        (ApiKey::Missing { place }, Some(KeyPlace::File(path)))
            if *place == path.display().to_string() =>
        {
            format!("no key in {place}")
        }
        (ApiKey::Missing { place }, _) => format!("{place} is not set"),
    };
    let plural = if models == 1 { "" } else { "s" };
    let left_out = matches!(connection.provider.key, ApiKey::Missing { .. }) && models > 0;
    let unavailable = if left_out { " unavailable" } else { "" };
    format!("{name}: {key}, {models} model{plural}{unavailable}")
}

/// Deployments whose provider is this server: llama.cpp's default port is also ours.
fn calls_itself(
    deployments: &[Deployment],
    connections: &Connections,
    listen: SocketAddr,
) -> Vec<crate::domain::DeploymentId> {
    let itself = |it: &&Deployment| {
        let url = connections.get(&it.provider).map(|it| it.provider.base_url.as_str());
        url.is_some_and(|it| is_at(it, listen))
    };
    deployments.iter().filter(itself).map(|it| it.id.clone()).collect()
}

fn is_at(base_url: &str, listen: SocketAddr) -> bool {
    let Ok(url) = base_url.parse::<http::Uri>() else { return false };
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let ip: Option<IpAddr> = host.parse().ok();
    let loopback = host == "localhost" || ip.is_some_and(|it| it.is_loopback());
    let ours = listen.ip();
    let same = ip == Some(ours) || loopback && (ours.is_loopback() || ours.is_unspecified());
    port == listen.port() && same
}
