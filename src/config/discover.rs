//! Serving without a config file: whatever the environment has keys for.
//!
//! In: the catalog, the built-in providers, the environment. Out: [`Config`] with every catalog model
//! at every provider whose key is set. Not here: looking for servers on this machine.

use std::sync::Arc;

use super::connections::{Connections, Env};
use super::keeping::Keeping;
use super::keys::KeysPlan;
use super::problems::Problems;
use super::server::{AdminListener, RawServer};
use super::{Config, outcomes, resolve};
use crate::catalog::{Catalog, Deployment};
use crate::pipeline::{ArtifactPlaces, FaultPolicy, Learning};
use crate::providers::{ApiKey, ProviderRow};
use crate::ranking::Policy;

/// A config out of the environment alone.
pub(super) fn discover(
    catalog: &Catalog,
    rows: &[ProviderRow],
    env: &Env<'_>,
) -> Result<Config, Problems> {
    let connections = Connections::builtin(rows, env);
    let fleet = resolve::fleet_of(deployments(catalog, &connections), rows)?;
    let server = RawServer::default();
    Ok(Config {
        listen: server.listen,
        admin: server.admin_listen.map(|listen| AdminListener { listen, key: None }),
        keys: KeysPlan::default(),
        draining: server.draining,
        policy: Policy::default(),
        routes: Arc::default(),
        providers: resolve::reached(&fleet, &connections),
        availability: resolve::availability(&fleet, &connections),
        found: resolve::findings(&fleet, &connections),
        fleet,
        log: outcomes::default(),
        keeping: Keeping::default(),
        artifacts: ArtifactPlaces::default(),
        faults: FaultPolicy::Refused,
        learning: Learning::Off,
        cache: None,
    })
}

/// Every catalog model at every provider that is ready: one whose key is set, or one of the file's
/// own that needs none. Built-in servers of one's own are left out, since they may not be running.
pub(super) fn deployments(catalog: &Catalog, connections: &Connections) -> Vec<Deployment> {
    let ready = connections.iter().filter(|it| match it.provider.key {
        ApiKey::Set(_) | ApiKey::Aws(_) => true,
        ApiKey::NotNeeded => it.configured,
        ApiKey::Missing { .. } => false,
    });
    let served = ready.flat_map(|connection| {
        let provider = &connection.provider.name;
        catalog.models().filter_map(move |model| {
            let id = model.served_by.get(provider)?;
            let deployment = Deployment::new(model, provider, id.clone());
            let (billing, terms) = (connection.billing, connection.terms());
            Some(Deployment { billing, terms, ..deployment })
        })
    });
    served.collect()
}
