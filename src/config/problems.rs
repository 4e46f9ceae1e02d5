//! What can be wrong with a config, and where.
//!
//! In: findings of reading and resolving. Out: [`Problems`], printed one per line. Invariant: all of
//! them at once, each with its path; no value that could be a key is ever repeated here.

use std::fmt;
use std::net::SocketAddr;

use super::routes::RouteFault;
use crate::catalog::{CatalogError, FleetError};
use crate::domain::{DeploymentId, InvalidName, MoneyError, NotAProbability};
use crate::outcome::PostgresUrlError;
use crate::ranking::NotGivenUp;

/// What is wrong with one place.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Not TOML; the parser's words, without the line it stumbled over.
    #[error("this is not TOML: {0}")]
    Syntax(String),
    /// A key or section that means nothing here.
    #[error("unknown key{}", did_you_mean(.nearest))]
    UnknownKey {
        /// The known key it resembles.
        nearest: Option<String>,
    },
    /// A secret written into the file.
    #[error(
        "keys do not belong in this file: name the environment variable that holds it with \
         `api_key_env`, or a file with `api_key_file`"
    )]
    LiteralKey,
    /// Another kind of value was expected.
    #[error("expected {wanted}, found {found}")]
    WrongType {
        /// What was expected.
        wanted: &'static str,
        /// TOML's name of what is there.
        found: &'static str,
    },
    /// A name that stands for nothing.
    #[error("unknown {noun} `{name}`{}{}", did_you_mean(.nearest), listing(.known))]
    Unknown {
        /// What it should be the name of.
        noun: &'static str,
        /// As written.
        name: String,
        /// The known name it resembles.
        nearest: Option<String>,
        /// All known names, where they are few.
        known: Vec<&'static str>,
    },
    /// A key without which the section means nothing.
    #[error("`{key}` is missing: {why}")]
    Missing {
        /// Which.
        key: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
    /// A second thing of the same name.
    #[error("the {noun} `{name}` is given twice")]
    Duplicate {
        /// What.
        noun: &'static str,
        /// Its name.
        name: String,
    },
    /// A name that cannot be used.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Not an amount of money.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Outside [0, 1].
    #[error(transparent)]
    Probability(#[from] NotAProbability),
    /// Not what a request can give up to learn.
    #[error(transparent)]
    GivenUp(#[from] NotGivenUp),
    /// Not a duration, or one that makes no sense.
    #[error("`{0}` is not a duration between 1ms and 24h, such as \"250ms\" or \"60s\"")]
    Duration(String),
    /// A whole number outside its bounds.
    #[error("must be a whole number from {least} to {most}")]
    OutOfRange {
        /// The least allowed.
        least: u64,
        /// The most allowed.
        most: u64,
    },
    /// A similarity at which nearly everything is alike.
    #[error("must be a number from {0} to 1: below it questions get the answers of others")]
    Similarity(f64),
    /// A number that must be above zero.
    #[error("must be a number above zero")]
    NotPositive,
    /// A share that is none.
    #[error("must be a number, zero or more")]
    Weight,
    /// Not an address to listen on.
    #[error("`{0}` is not an address and port, such as \"127.0.0.1:8080\"")]
    Address(String),
    /// Not a base URL; not repeated, since URLs may hold credentials.
    #[error("must be a URL such as \"https://host/v1\", without user, password or query")]
    Url,
    /// Not the name of a header; not repeated, since it may be the key itself.
    #[error("must be the name of a header, such as \"api-key\"")]
    Header,
    /// Not the name of an environment variable; not repeated, since it may be the key itself.
    #[error("is not the name of an environment variable (capitals, digits and `_`)")]
    Variable,
    /// Not visibly a path; not repeated, since it may be the key itself.
    #[error("must be a path with a `/`, such as \"./keys/openai\"")]
    KeyPath,
    /// Both `api_key_env` and `api_key_file`.
    #[error("`api_key_env` and `api_key_file` exclude each other")]
    TwoKeys,
    /// Both `admin_key_env` and `admin_key_file`.
    #[error("`admin_key_env` and `admin_key_file` exclude each other")]
    TwoAdminKeys,
    /// An admin key that is named and not there. Going on without would open the listener.
    #[error("{0} holds no key: set it, or leave the admin key out")]
    NoAdminKey(String),
    /// An admin listener that others reach and that asks for nothing.
    #[error(
        "`{0}` is not a loopback address: whoever reaches it could see and change this server; set \
         `admin_key_env` or `admin_key_file`, or listen on 127.0.0.1"
    )]
    AdminOpen(SocketAddr),
    /// Both listeners on one address.
    #[error("`{0}` is also `server.listen`: the admin listener needs an address of its own")]
    AdminSame(SocketAddr),
    /// A pause that leaves no time to drain.
    #[error("must be shorter than `drain`, of which it is a part")]
    PauseTooLong,
    /// Not a place where outcomes can be kept.
    #[error("must be \"sqlite://path/of/file.db\" or \"postgres://user@host/database\"")]
    Store,
    /// Not a place where keys can be kept.
    #[error("must be \"sqlite://path/of/keys.db\"")]
    KeyStore,
    /// The URL of a database that cannot be used.
    #[error(transparent)]
    Database(#[from] PostgresUrlError),
    /// A password written into the file.
    #[error(
        "passwords do not belong in this file: name the environment variable that holds it with \
         `password_env`, or a file with `password_file`"
    )]
    LiteralPassword,
    /// Both `password_env` and `password_file`.
    #[error("`password_env` and `password_file` exclude each other")]
    TwoPasswords,
    /// Nothing stands where the password should.
    #[error("the password is missing: {0} is not set or empty")]
    NoPassword(String),
    /// Keys about a database beside a file.
    #[error(
        "`password_env`, `password_file`, `spool` and `spool_bytes` are there only with a \
         PostgreSQL `store`"
    )]
    OnlyPostgres,
    /// A bound that a database does not keep.
    #[error(
        "`keep_bytes` is there only with a SQLite `store`: what PostgreSQL holds does not get \
         smaller when rows are deleted; use `keep_days`"
    )]
    OnlySqlite,
    /// Empty where something must stand.
    #[error("must not be empty")]
    Empty,
    /// The catalog does not know the model's id there.
    #[error(
        "the catalog has no id of `{model}` at `{provider}`: write a [[model.deployment]] with \
         `provider` and `model_id`"
    )]
    NoModelId {
        /// The model.
        model: String,
        /// The provider.
        provider: String,
    },
    /// The provider would be this server.
    #[error("`{0}` is this very server: change the provider's `base_url` or `server.listen`")]
    OwnAddress(DeploymentId),
    /// Nothing to serve.
    #[error("there is nothing to serve: write a [[model]], or set one of {0}")]
    NothingToServe(String),
    /// A route that cannot be.
    #[error(transparent)]
    Route(#[from] RouteFault),
    /// The fleet was refused.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The shipped catalog cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The built-in providers cannot be read.
    #[error("the built-in providers cannot be read: {0}")]
    Builtin(#[from] toml::de::Error),
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|it| format!("; did you mean `{it}`?")).unwrap_or_default()
}

fn listing(known: &[&str]) -> String {
    if known.is_empty() { String::new() } else { format!(" (there are {})", known.join(", ")) }
}

/// How alike two names must be for one to be suggested for the other: `openia` and `openai` are
/// 0.83, `gpt4o` and `gpt-4o-mini` 0.45.
const ALIKE_MIN: f64 = 0.6;

/// The known name most like `name`, if any is.
pub(super) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let alike = |it: &'k str| (strsim::normalized_damerau_levenshtein(name, it), it);
    let scored = known.into_iter().map(alike).filter(|(score, _)| *score >= ALIKE_MIN);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, it)| it.to_owned())
}

/// Where something stands in the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// For instance `model[2].deployment[0].provider`; empty for the whole file.
    pub path: String,
    /// From 1; `None` when it stands nowhere, as a missing section does.
    pub line: Option<usize>,
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.place.path.is_empty() { "config" } else { &self.place.path };
        out.write_str(path)?;
        if let Some(line) = self.place.line {
            write!(out, " (line {line})")?;
        }
        write!(out, ": {}", self.fault)
    }
}

/// Everything that is wrong with a config, in the order of its lines; never empty.
#[derive(Debug)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Takes problems and puts them in the order of their lines, those without one at the end.
    pub(super) fn sorted(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|it| it.place.line.unwrap_or(usize::MAX));
        Self(problems)
    }

    /// Each problem.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(out, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
