//! Which providers can be reached, and with which keys.
//!
//! In: built-in rows, `[[provider]]` sections, the environment. Out: [`Connections`]. Invariant: a key
//! goes from its variable or file straight into a [`SecretString`]. Not here: any network.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use secrecy::SecretString;

use super::problems::{Fault, nearest};
use super::raw::{KeyPlace, RawProvider};
use super::section::{Field, Ledger};
use crate::domain::ProviderName;
use crate::providers::{ApiKey, Protocol, Provider, ProviderRow};

/// How environment variables are read.
pub(super) type Env<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// Longest key file read; the longest keys, service tokens, have some 2 KiB.
const KEY_BYTES_MAX: u64 = 16 * 1024;

/// A provider and what is known of its configuration.
pub(super) struct Connection {
    pub(super) provider: Provider,
    /// Where its key comes from, if it needs one.
    pub(super) key_place: Option<KeyPlace>,
    /// Whether the file has a section for it.
    pub(super) configured: bool,
}

/// Every provider that may be named: the built-in ones and those of the file.
pub(super) struct Connections(BTreeMap<ProviderName, Connection>);

impl Connections {
    /// The built-in ones alone.
    pub(super) fn builtin(rows: &[ProviderRow], env: &Env<'_>) -> Self {
        let connect = |row: &ProviderRow| {
            let key_place = row.api_key_env.clone().map(KeyPlace::Variable);
            let key = key(key_place.as_ref(), env);
            let (name, base_url) = (row.name.clone(), row.base_url.clone());
            let provider = Provider::new(name, row.protocol, base_url, key);
            (row.name.clone(), Connection { provider, key_place, configured: false })
        };
        Self(rows.iter().map(connect).collect())
    }

    /// Puts the file's sections over the built-in ones.
    pub(super) fn configure(&mut self, raw: Vec<RawProvider>, ledger: &Ledger<'_>, env: &Env<'_>) {
        for section in raw {
            let Some(name) = section.name.as_given().cloned() else { continue };
            if self.0.get(&name.value).is_some_and(|it| it.configured) {
                let twice = Fault::Duplicate { noun: "provider", name: name.value.to_string() };
                ledger.report(&name.place, twice);
                continue;
            }
            let connection = self.connect(name.value.clone(), section, ledger, env);
            self.0.insert(name.value, connection);
        }
    }

    fn connect(
        &self,
        name: ProviderName,
        section: RawProvider,
        ledger: &Ledger<'_>,
        env: &Env<'_>,
    ) -> Connection {
        let base = self.0.get(&name);
        if base.is_none() && section.base_url.is_absent() {
            let fault = match nearest(name.as_str(), self.names()) {
                nearest @ Some(_) => Fault::Unknown {
                    noun: "provider",
                    name: name.to_string(),
                    nearest,
                    known: vec![],
                },
                None => Fault::Missing {
                    key: "base_url",
                    why: "only the built-in providers have one from the start",
                },
            };
            ledger.report(&section.place, fault);
        }
        let mut protocol = base.map_or(Protocol::OpenAi, |it| it.provider.protocol);
        section.protocol.fill(&mut protocol);
        let mut base_url = base.map(|it| it.provider.base_url.clone()).unwrap_or_default();
        section.base_url.fill(&mut base_url);
        let key_place = match section.key {
            Field::Given(at) => Some(at.value),
            Field::Absent | Field::Bad => base.and_then(|it| it.key_place.clone()),
        };
        let key = key(key_place.as_ref(), env);
        let provider = Provider::new(name, protocol, base_url, key);
        Connection { provider, key_place, configured: true }
    }

    pub(super) fn get(&self, name: &ProviderName) -> Option<&Connection> {
        self.0.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(ProviderName::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.0.values()
    }
}

fn key(place: Option<&KeyPlace>, env: &Env<'_>) -> ApiKey {
    let (found, place) = match place {
        None => return ApiKey::NotNeeded,
        Some(KeyPlace::Variable(name)) => (env(name), name.clone()),
        Some(KeyPlace::File(path)) => (read_key(path), path.display().to_string()),
    };
    let key = found.as_deref().map(str::trim).filter(|it| !it.is_empty());
    key.map_or(ApiKey::Missing { place }, |it| ApiKey::Set(SecretString::from(it)))
}

fn read_key(path: &Path) -> Option<String> {
    let mut key = String::new();
    File::open(path).ok()?.take(KEY_BYTES_MAX).read_to_string(&mut key).ok()?;
    Some(key)
}
