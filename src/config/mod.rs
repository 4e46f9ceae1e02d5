//! What the operator wants served, and how.
//!
//! In: a TOML file, or nothing but the environment. Out: [`Config`], or every problem at once
//! ([`Problems`]), each with its path and line. Invariant: secrets come from variables and files named
//! in the config, never from the config itself. Not here: reading the file, and telling the problems.

mod cache;
mod connections;
mod discover;
mod fleet;
mod keeping;
mod keys;
mod outcomes;
mod place;
mod policy;
mod problems;
#[cfg(test)]
mod provider_tests;
mod quirks;
mod raw;
mod resolve;
mod routes;
mod section;
mod server;
mod terms;
#[cfg(test)]
mod tests;
mod values;
mod wishes;

use std::net::SocketAddr;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use crate::api::Defaults;
use crate::catalog::{Catalog, Fleet};
use crate::outcome::LogSettings;
use crate::pipeline::{ArtifactPlaces, CacheSettings, FaultPolicy, Learning};
use crate::providers::{Provider, ProviderRow, builtin_rows};
use crate::ranking::{Availability, Policy, Routes};

pub use keeping::{ExportPlan, HoldUnexported, Keeping};
pub use keys::{KEYS_STORE_DEFAULT, KeysPlan};
pub use problems::{Fault, Place, Problem, Problems};
pub use routes::RouteFault;
pub use server::{AdminListener, Draining, LogForm, admin_may_listen, log_form};

/// Everything a server needs to know before it starts.
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where operators look; `None`: nowhere.
    pub admin: Option<AdminListener>,
    /// Whether callers need a key, and where keys are.
    pub keys: KeysPlan,
    /// Whether answers are given again.
    pub cache: Option<CacheSettings>,
    /// How long stopping may take.
    pub draining: Draining,
    /// What is wanted of a request that says nothing itself.
    pub policy: Policy,
    /// The operator's own ways through the fleet.
    pub routes: Arc<Routes>,
    /// What may be called.
    pub fleet: Fleet,
    /// Who serves it, with their keys.
    pub providers: Vec<Provider>,
    /// Which of the fleet cannot be called, for want of a key.
    pub availability: Availability,
    /// Where outcomes are kept.
    pub log: LogSettings,
    /// How long, and where they are exported to.
    pub keeping: Keeping,
    /// Whether failures may be asked for, for drills; off unless the file says otherwise.
    pub faults: FaultPolicy,
    /// Whether scores change the choice while serving; off unless the file says otherwise.
    pub learning: Learning,
    /// Where the artifacts that decide are, and the encoder that they were trained on.
    pub artifacts: ArtifactPlaces,
    /// What was found, one line each, for the operator to read.
    pub found: Vec<String>,
}

impl Config {
    /// What holds where a request says nothing, and the routes that it may name.
    pub fn defaults(&self) -> Defaults {
        Defaults { policy: self.policy.clone(), routes: Arc::clone(&self.routes) }
    }
}

/// Reads a config file's text; `env` looks up environment variables.
///
/// # Errors
/// Every [`Problem`] there is. A key that is not set is none: see [`Config::availability`].
pub fn from_toml(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    let (catalog, rows) = shipped()?;
    resolve::resolve(text, &catalog, &rows, env)
}

/// Where outcomes are kept when nothing is said.
pub fn log_default() -> LogSettings {
    outcomes::default()
}

/// A config out of the environment alone, for a server without a config file.
///
/// # Errors
/// [`Fault::NothingToServe`] when no key is set.
pub fn discover(env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    let (catalog, rows) = shipped()?;
    discover::discover(&catalog, &rows, env)
}

fn shipped() -> Result<(Catalog, Vec<ProviderRow>), Problems> {
    let alone = |path: &str, fault| {
        let place = Place { path: path.to_owned(), line: None };
        Problems::sorted(vec![Problem { place, fault }])
    };
    let catalog = Catalog::shipped().map_err(|it| alone("models/catalog.toml", it.into()))?;
    let rows = builtin_rows().map_err(|it| alone("providers/builtin.toml", it.into()))?;
    Ok((catalog, rows))
}

/// Parses TOML; of every syntax error only its message and line are kept, since the parser's own
/// text repeats the line, which may hold a key.
fn toml_table(text: &str) -> Result<Spanned<DeTable<'_>>, Problems> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table);
    }
    let ledger = section::Ledger::new(text);
    for error in errors {
        let fault = Fault::Syntax(error.message().replace('\n', ", "));
        let start = error.span().unwrap_or_default();
        ledger.report(&ledger.place(String::new(), &start), fault);
    }
    Err(Problems::sorted(ledger.into_problems()))
}
