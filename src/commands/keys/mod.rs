//! `pointsman keys`: the API keys of callers: made, shown, taken back.
//!
//! In: a key store, wishes. Out: a key, shown once; tables without secrets. Invariant: the secret goes
//! to standard output when it is made and nowhere else. A running server sees every change within
//! seconds (see [`crate::access`]).

pub(super) mod args;
mod table;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::ExposeSecret;
use serde_json::json;

use super::{CommandError, assemble};
use crate::access::{
    FreshKey, KeyRow, KeyStore, RANDOM_BYTES, RateLimits, Role, Scope, SpendLimits, Spending,
};
use crate::config::KEYS_STORE_DEFAULT;
use args::{CreateArgs, KeysCommand, ListArgs, RevokeArgs, SpendArgs, StoreArgs, TeamArgs};

pub(super) fn keys(command: &KeysCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    match command {
        KeysCommand::Create(it) => create(it, out),
        KeysCommand::List(it) => list(it, out),
        KeysCommand::Revoke(it) => revoke(it, out),
        KeysCommand::Team(it) => team(it, out),
    }
}

fn create(args: &CreateArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let mut store = open(&args.at)?;
    let fresh = FreshKey::from_random(&random()?);
    let now_s = now().as_secs();
    let mut row = KeyRow::new(&fresh, &args.name, &args.team, now_s);
    row.scope = Scope {
        models: Some(args.models.clone()).filter(|it| !it.is_empty()),
        policies: Some(args.policies.clone()).filter(|it| !it.is_empty()),
        role: if args.admin { Role::Admin } else { Role::Caller },
    };
    row.rates = RateLimits {
        requests_per_minute: args.requests_per_minute,
        tokens_per_minute: args.tokens_per_minute,
    };
    row.spend = limits(args.spend);
    row.expires_s = args.expires.map(|it| now_s.saturating_add(it.as_secs()));
    store.add(&row)?;
    let key = fresh.text.expose_secret();
    if args.json {
        writeln!(out, "{:#}", json!({ "id": row.id.as_str(), "key": key }))?;
        return Ok(());
    }
    writeln!(out, "{key}")?;
    writeln!(
        out,
        "\nThis is the key, shown this once: only its hash is kept. Its id is {}; callers show it as\n\
         `authorization: Bearer KEY` or `x-api-key: KEY`.",
        row.id
    )?;
    Ok(())
}

fn list(args: &ListArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let store = open(&args.at)?;
    let (keys, teams) = (store.keys()?, store.teams()?);
    let spending = Spending::read(&store, now().as_millis() as u64)?;
    let seen = table::Seen { keys: &keys, teams: &teams, spending, now_s: now().as_secs() };
    if args.json {
        writeln!(out, "{:#}", seen.json())?
    } else {
        seen.text(out)?
    }
    Ok(())
}

fn revoke(args: &RevokeArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let mut store = open(&args.at)?;
    if !store.revoke(&args.id, now().as_secs())? {
        return Err(CommandError::NoSuchKey(args.id.to_string()));
    }
    writeln!(out, "{} is worth nothing from now on", args.id)?;
    Ok(())
}

fn team(args: &TeamArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let limits = limits(args.spend);
    open(&args.at)?.limit_team(&args.team, &limits)?;
    writeln!(out, "{}: {}", args.team, table::spend_in_words(&limits))?;
    Ok(())
}

fn limits(of: SpendArgs) -> SpendLimits {
    SpendLimits { per_day: of.spend_per_day, per_month: of.spend_per_month }
}

fn open(at: &StoreArgs) -> Result<KeyStore, CommandError> {
    if let Some(store) = &at.store {
        return Ok(KeyStore::open(store)?);
    }
    if at.config.is_none() {
        return Ok(KeyStore::open(Path::new(KEYS_STORE_DEFAULT))?);
    }
    Ok(KeyStore::open(&assemble::config(at.config.as_deref())?.keys.store)?)
}

/// Bytes that nobody can guess, from the system.
fn random() -> Result<[u8; RANDOM_BYTES], CommandError> {
    let mut bytes = [0; RANDOM_BYTES];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut bytes).map_err(|_| CommandError::NoRandomness)?;
    Ok(bytes)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
