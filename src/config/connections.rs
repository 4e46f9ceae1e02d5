//! Which providers can be reached, and with which keys.
//!
//! In: built-in rows, `[[provider]]` sections, the environment. Out: [`Connections`]. Invariant: a key
//! goes from its variable or file straight into a [`SecretString`]; a provider whose URL has a
//! variable that is not set counts as one whose key is missing. Not here: any network.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use secrecy::SecretString;

use super::place;
use super::problems::{Fault, nearest};
use super::raw::{KeyPlace, RawProvider};
use super::section::{Field, Ledger};
use crate::catalog::Terms;
use crate::domain::{Billing, ProviderName};
use crate::providers::{ApiKey, AuthScheme, Protocol, Provider, ProviderRow, Quirks};

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
    /// What it bills of calls that fail.
    pub(super) billing: Billing,
    plan: Plan,
}

impl Connection {
    /// What is known of all its deployments.
    pub(super) fn terms(&self) -> Terms {
        let Plan { protocol, quirks, terms, .. } = &self.plan;
        let lacks = quirks.lacks.iter().copied().collect();
        Terms { lacks: protocol.lacks().and(lacks), ..*terms }
    }
}

/// A provider before the environment is looked at.
#[derive(Clone)]
struct Plan {
    protocol: Protocol,
    base_url: String,
    key: Option<KeyPlace>,
    key_optional: bool,
    auth: AuthScheme,
    billing: Billing,
    quirks: Quirks,
    terms: Terms,
}

/// Every provider that may be named: the built-in ones and those of the file.
pub(super) struct Connections(BTreeMap<ProviderName, Connection>);

impl Connections {
    /// The built-in ones alone.
    pub(super) fn builtin(rows: &[ProviderRow], env: &Env<'_>) -> Self {
        let connect = |row: &ProviderRow| {
            let plan = Plan {
                protocol: row.protocol,
                base_url: row.base_url.clone(),
                key: row.api_key_env.clone().map(KeyPlace::Variable),
                key_optional: row.api_key_optional,
                auth: row.auth_header.as_deref().map_or_else(|| row.protocol.default_auth(), shown),
                billing: row.billing,
                quirks: row.quirks.clone(),
                terms: Terms::default(),
            };
            (row.name.clone(), plan.connection(row.name.clone(), env))
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
        let mut plan = base.map_or_else(|| Plan::new(Protocol::OpenAi), |it| it.plan.clone());
        if let Some(protocol) = section.protocol.given().filter(|it| *it != plan.protocol) {
            // What is known of it is known of its own protocol.
            let Plan { base_url, key, billing, terms, .. } = plan;
            plan = Plan { base_url, key, billing, terms, ..Plan::new(protocol) };
        }
        section.base_url.fill(&mut plan.base_url);
        if let Field::Given(at) = section.key {
            (plan.key, plan.key_optional) = (Some(at.value), false);
        }
        if let Some(header) = section.auth_header.given() {
            plan.auth = shown(&header);
        }
        section.billing.fill(&mut plan.billing);
        section.terms.over(&mut plan.terms);
        if let Some(quirks) = section.quirks {
            quirks.over(&mut plan.quirks);
        }
        Connection { configured: true, ..plan.connection(name, env) }
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

impl Plan {
    fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            base_url: String::new(),
            key: None,
            key_optional: false,
            auth: protocol.default_auth(),
            billing: Billing::default(),
            quirks: Quirks::default(),
            terms: Terms::default(),
        }
    }

    /// Looks the variables up.
    fn connection(self, name: ProviderName, env: &Env<'_>) -> Connection {
        let (base_url, key) = match place::base_url(&self.base_url, env) {
            Ok(url) => (url.clone(), self.key(&url, env)),
            Err(place) => (self.base_url.clone(), ApiKey::Missing { place }),
        };
        let (protocol, auth, quirks) = (self.protocol, self.auth.clone(), self.quirks.clone());
        let provider = Provider { name, protocol, base_url, auth, key, quirks };
        let (key_place, billing) = (self.key.clone(), self.billing);
        Connection { provider, key_place, configured: false, billing, plan: self }
    }

    fn key(&self, base_url: &str, env: &Env<'_>) -> ApiKey {
        let (found, place) = match &self.key {
            None => (None, None),
            Some(KeyPlace::Variable(name)) => (place::set(name, env), Some(name.clone())),
            Some(KeyPlace::File(path)) => (read_key(path), Some(path.display().to_string())),
        };
        if let Some(key) = found.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
            return ApiKey::Set(SecretString::from(key));
        }
        if self.auth == AuthScheme::SigV4 {
            return self.aws_key(base_url, place, env);
        }
        match place {
            Some(place) if !self.key_optional => ApiKey::Missing { place },
            Some(_) | None => ApiKey::NotNeeded,
        }
    }

    /// A key that signs. Who is called without TLS is a server of one's own, which checks none.
    fn aws_key(&self, base_url: &str, place: Option<String>, env: &Env<'_>) -> ApiKey {
        let plain = base_url.starts_with("http://");
        place::aws_key(base_url, env).unwrap_or_else(|missing| match (missing, place) {
            (Some(place), _) | (None, Some(place)) => ApiKey::Missing { place },
            (None, None) if plain => ApiKey::NotNeeded,
            (None, None) => ApiKey::Missing { place: "AWS_ACCESS_KEY_ID".to_owned() },
        })
    }
}

/// How a key is shown in a header of this name.
fn shown(header: &str) -> AuthScheme {
    if header.eq_ignore_ascii_case("authorization") {
        AuthScheme::Bearer
    } else {
        AuthScheme::Header(header.to_owned())
    }
}

/// A secret in a file; `None` when it cannot be read.
pub(super) fn read_key(path: &Path) -> Option<String> {
    let mut key = String::new();
    File::open(path).ok()?.take(KEY_BYTES_MAX).read_to_string(&mut key).ok()?;
    Some(key)
}
