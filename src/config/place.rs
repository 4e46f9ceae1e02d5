//! What the environment fills in: `${NAME}` in base URLs, AWS credentials.
//!
//! In: texts as written, the environment. Out: URLs and keys, or the name of what is missing.
//! Invariant: a key goes straight into a [`SecretString`]. Not here: which provider it is for.

use secrecy::SecretString;

use super::connections::Env;
use super::values;
use crate::providers::{ApiKey, AwsKey};

/// Where AWS services are called when no region is named: the first and largest.
const REGION_DEFAULT: &str = "us-east-1";
const REGION: &str = "AWS_REGION";
const REGION_TOO: &str = "AWS_DEFAULT_REGION";
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION: &str = "AWS_SESSION_TOKEN";

/// A piece of a text with variables in it.
enum Piece<'t> {
    Plain(&'t str),
    Variable(&'t str),
}

/// Cuts a text at its variables; `None` where one has no end.
fn pieces(mut text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    while let Some((before, after)) = text.split_once("${") {
        let (name, rest) = after.split_once('}')?;
        pieces.extend([Piece::Plain(before), Piece::Variable(name)]);
        text = rest;
    }
    pieces.push(Piece::Plain(text));
    Some(pieces)
}

/// The text with every variable filled in by `value`; `None` where one has no end or no value.
pub(super) fn filled(text: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let parts = pieces(text)?.into_iter().map(|it| match it {
        Piece::Plain(text) => Some(text.to_owned()),
        Piece::Variable(name) => value(name),
    });
    parts.collect()
}

/// A base URL out of its template.
///
/// # Errors
/// What is not set, or does not make a URL.
pub(super) fn base_url(template: &str, env: &Env<'_>) -> Result<String, String> {
    if !template.contains("${") {
        return Ok(template.to_owned());
    }
    let names = pieces(template).unwrap_or_default().into_iter().filter_map(|it| match it {
        Piece::Variable(name) => Some(name.to_owned()),
        Piece::Plain(_) => None,
    });
    let names: Vec<_> = names.collect();
    if let Some(unset) = names.iter().find(|it| variable(it, env).is_none()) {
        return Err(unset.clone());
    }
    let url = filled(template, |name| variable(name, env));
    let sound = url.filter(|it| values::is_base_url(it));
    sound.ok_or_else(|| format!("{} as part of a URL", names.join(" and ")))
}

/// What stands for a variable: its value, without slashes at the end.
fn variable(name: &str, env: &Env<'_>) -> Option<String> {
    if name == REGION {
        return Some(region(env));
    }
    set(name, env).map(|it| it.trim_end_matches('/').to_owned())
}

/// The variable's value, if it is more than white space.
pub(super) fn set(name: &str, env: &Env<'_>) -> Option<String> {
    env(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
}

fn region(env: &Env<'_>) -> String {
    let named = set(REGION, env).or_else(|| set(REGION_TOO, env));
    named.unwrap_or_else(|| REGION_DEFAULT.to_owned())
}

/// AWS credentials of the environment, for the service at this URL.
///
/// # Errors
/// The variable that is missing, or `None` when none of them is set.
pub(super) fn aws_key(base_url: &str, env: &Env<'_>) -> Result<ApiKey, Option<String>> {
    let secret = set(SECRET, env);
    let access_key_id = match (set(KEY_ID, env), &secret) {
        (Some(id), _) => id,
        (None, Some(_)) => return Err(Some(KEY_ID.to_owned())),
        (None, None) => return Err(None),
    };
    let secret = secret.ok_or_else(|| Some(SECRET.to_owned()))?;
    Ok(ApiKey::Aws(AwsKey {
        access_key_id,
        secret_access_key: SecretString::from(secret),
        session_token: set(SESSION, env).map(SecretString::from),
        region: region_of(base_url).unwrap_or_else(|| region(env)),
    }))
}

/// The region in `https://SERVICE.REGION.amazonaws.com`: a signature is for the one that is called.
fn region_of(base_url: &str) -> Option<String> {
    let url: http::Uri = base_url.parse().ok()?;
    let host = url.host()?.strip_suffix(".amazonaws.com")?;
    host.split_once('.').map(|(_, region)| region.to_owned())
}
