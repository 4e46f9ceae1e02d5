//! What single values mean: durations, money, counts, names, addresses.
//!
//! In: one TOML value. Out: a checked value of the domain, or the [`Fault`]. Invariant: pure; a value
//! that might be a secret is never repeated in a fault.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::place;
use super::problems::{Fault, nearest};
use super::section::wrong;
use crate::catalog::{DataCollection, Quantization};
use crate::domain::{
    Ability, Billing, DeploymentId, ModelName, Parameter, Probability, ProviderName, RouteName,
    TokenPrice, Usd,
};
use crate::outcome::PromptPrivacy;
use crate::providers::Protocol;
use crate::ranking::{Figure, OnStreamFailure, Partition, Preference, Strategy, UtilityGivenUp};

/// No request is waited for longer than a day; also keeps `Instant + Duration` from overflowing.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const DURATION_MIN: Duration = Duration::from_millis(1);
/// Far beyond any model, and exact in a float.
const TOKENS_MAX: u64 = 1_000_000_000;
/// Beyond what any provider sells; sums of a minute's stay far from overflowing.
const PER_MINUTE_MAX: u64 = 1_000_000_000_000;
/// A chain longer than this helps nobody: at 10 s each it is past any deadline.
const CHAIN_MAX: u64 = 32;
/// A spool of less than 1 MiB would be full at once; 16 TiB is beyond any disk and any SQLite file.
const SPOOL_BYTES: (u64, u64) = (1 << 20, 1 << 44);
/// A century: more would only be another way to write "for ever".
const DAYS_MAX: u64 = 36_500;
/// Below a MiB a cache holds a few hundred answers; above 64 GiB it would be another program.
const CACHE_BYTES: (u64, u64) = (1 << 20, 1 << 36);
/// Below this every other question of the training table is taken for another one (docs/cache.md).
const SIMILARITY_MIN: f64 = 0.95;
/// Below a MiB a log holds some hundred outcomes.
const LOG_BYTES_MIN: u64 = 1 << 20;
/// What TOML's integers hold.
const LOG_BYTES_MAX: u64 = i64::MAX as u64;
/// Each export makes at least one file a day and a request or two.
const EXPORT_EVERY_MIN: Duration = Duration::from_secs(1);
/// The longest header in use for keys, `ocp-apim-subscription-key`, has 25 bytes.
const HEADER_BYTES_MAX: usize = 32;

type Read<T> = Result<T, Fault>;

pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Read<&'v str> {
    let text = value.as_str().ok_or_else(|| wrong("a string", value))?;
    if text.trim().is_empty() { Err(Fault::Empty) } else { Ok(text) }
}

pub(super) fn string(value: &DeValue<'_>) -> Read<String> {
    text(value).map(str::to_owned)
}

pub(super) fn path(value: &DeValue<'_>) -> Read<PathBuf> {
    text(value).map(PathBuf::from)
}

pub(super) fn flag(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| wrong("true or false", value))
}

pub(super) fn number(value: &DeValue<'_>) -> Read<f64> {
    let parsed = match value {
        DeValue::Integer(it) => {
            i64::from_str_radix(it.as_str(), it.radix()).ok().map(|it| it as f64)
        }
        DeValue::Float(it) => it.as_str().parse().ok(),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    };
    parsed.ok_or_else(|| wrong("a number", value))
}

pub(super) fn positive(value: &DeValue<'_>) -> Read<f64> {
    let number = number(value)?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err(Fault::NotPositive) }
}

fn whole(value: &DeValue<'_>, most: u64) -> Read<u64> {
    within(value, 1, most)
}

fn within(value: &DeValue<'_>, least: u64, most: u64) -> Read<u64> {
    let integer = value.as_integer().ok_or_else(|| wrong("a whole number", value))?;
    let parsed = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
    let in_range = parsed.filter(|it| (least..=most).contains(it));
    in_range.ok_or(Fault::OutOfRange { least, most })
}

pub(super) fn days(value: &DeValue<'_>) -> Read<Duration> {
    whole(value, DAYS_MAX).map(|it| Duration::from_secs(it * 24 * 60 * 60))
}

pub(super) fn log_bytes(value: &DeValue<'_>) -> Read<u64> {
    within(value, LOG_BYTES_MIN, LOG_BYTES_MAX)
}

pub(super) fn cache_bytes(value: &DeValue<'_>) -> Read<u64> {
    let (least, most) = CACHE_BYTES;
    within(value, least, most)
}

pub(super) fn similarity(value: &DeValue<'_>) -> Read<Probability> {
    let similarity = probability(value)?;
    let near = similarity.get() >= SIMILARITY_MIN;
    if near { Ok(similarity) } else { Err(Fault::Similarity(SIMILARITY_MIN)) }
}

pub(super) fn export_every(value: &DeValue<'_>) -> Read<Duration> {
    let every = duration(value)?;
    if every < EXPORT_EVERY_MIN { Err(Fault::Duration(text(value)?.to_owned())) } else { Ok(every) }
}

pub(super) fn tokens(value: &DeValue<'_>) -> Read<u64> {
    whole(value, TOKENS_MAX)
}

pub(super) fn chain(value: &DeValue<'_>) -> Read<usize> {
    whole(value, CHAIN_MAX).map(|it| it as usize)
}

pub(super) fn usd(value: &DeValue<'_>) -> Read<Usd> {
    Ok(Usd::new(number(value)?)?)
}

pub(super) fn token_price(value: &DeValue<'_>) -> Read<TokenPrice> {
    Ok(TokenPrice::per_million(number(value)?)?)
}

pub(super) fn probability(value: &DeValue<'_>) -> Read<Probability> {
    Ok(Probability::new(number(value)?)?)
}

pub(super) fn given_up(value: &DeValue<'_>) -> Read<UtilityGivenUp> {
    Ok(UtilityGivenUp::new(number(value)?)?)
}

pub(super) fn duration(value: &DeValue<'_>) -> Read<Duration> {
    let written = text(value)?;
    let parsed = humantime::parse_duration(written).ok();
    let sensible = parsed.filter(|it| (DURATION_MIN..=DURATION_MAX).contains(it));
    sensible.ok_or_else(|| Fault::Duration(written.to_owned()))
}

pub(super) fn model_name(value: &DeValue<'_>) -> Read<ModelName> {
    Ok(ModelName::new(text(value)?)?)
}

pub(super) fn deployment_id(value: &DeValue<'_>) -> Read<DeploymentId> {
    Ok(DeploymentId::new(text(value)?)?)
}

pub(super) fn route_name(value: &DeValue<'_>) -> Read<RouteName> {
    Ok(RouteName::new(text(value)?)?)
}

pub(super) fn provider_name(value: &DeValue<'_>) -> Read<ProviderName> {
    Ok(ProviderName::new(text(value)?)?)
}

pub(super) fn one_of<T>(
    noun: &'static str,
    known: Vec<(&'static str, T)>,
    value: &DeValue<'_>,
) -> Read<T> {
    let name = text(value)?;
    let names: Vec<_> = known.iter().map(|(it, _)| *it).collect();
    let found = known.into_iter().find(|(it, _)| *it == name).map(|(_, it)| it);
    found.ok_or_else(|| Fault::Unknown {
        noun,
        name: name.to_owned(),
        nearest: nearest(name, names.iter().copied()),
        known: names,
    })
}

pub(super) fn preset(value: &DeValue<'_>) -> Read<Preference> {
    one_of("preference", Preference::PRESETS.to_vec(), value)
}

pub(super) fn on_stream_failure(value: &DeValue<'_>) -> Read<OnStreamFailure> {
    one_of("way on", OnStreamFailure::NAMES.to_vec(), value)
}

pub(super) fn strategy(value: &DeValue<'_>) -> Read<Strategy> {
    one_of("strategy", Strategy::NAMES.to_vec(), value)
}

pub(super) fn figure(value: &DeValue<'_>) -> Read<Figure> {
    one_of("figure", Figure::NAMES.to_vec(), value)
}

pub(super) fn partition(value: &DeValue<'_>) -> Read<Partition> {
    one_of("partition", Partition::NAMES.to_vec(), value)
}

pub(super) fn data_collection(value: &DeValue<'_>) -> Read<DataCollection> {
    one_of("policy", DataCollection::NAMES.to_vec(), value)
}

pub(super) fn quantization(value: &DeValue<'_>) -> Read<Quantization> {
    one_of("precision", Quantization::NAMES.to_vec(), value)
}

pub(super) fn parameter(value: &DeValue<'_>) -> Read<Parameter> {
    one_of("parameter", Parameter::ALL.map(|it| (it.as_str(), it)).to_vec(), value)
}

/// A share: zero is never drawn.
pub(super) fn weight(value: &DeValue<'_>) -> Read<f64> {
    let number = number(value)?;
    if number.is_finite() && number >= 0.0 { Ok(number) } else { Err(Fault::Weight) }
}

/// Calls or tokens in a minute.
pub(super) fn per_minute(value: &DeValue<'_>) -> Read<u64> {
    whole(value, PER_MINUTE_MAX)
}

pub(super) fn ability(value: &DeValue<'_>) -> Read<Ability> {
    one_of("ability", Ability::ALL.map(|it| (it.as_str(), it)).to_vec(), value)
}

pub(super) fn protocol(value: &DeValue<'_>) -> Read<Protocol> {
    one_of("protocol", Protocol::ALL.map(|it| (it.as_str(), it)).to_vec(), value)
}

pub(super) fn billing(value: &DeValue<'_>) -> Read<Billing> {
    one_of("rule", Billing::ALL.map(|it| (it.as_str(), it)).to_vec(), value)
}

pub(super) fn prompts(value: &DeValue<'_>) -> Read<PromptPrivacy> {
    let known = vec![
        ("none", PromptPrivacy::None),
        ("hash", PromptPrivacy::Hash),
        ("full", PromptPrivacy::Full),
    ];
    one_of("setting", known, value)
}

pub(super) fn listen(value: &DeValue<'_>) -> Read<SocketAddr> {
    let written = text(value)?;
    written.parse().map_err(|_| Fault::Address(written.to_owned()))
}

/// A base URL, its slashes at the end taken off; `${NAME}` in it stands for a variable.
pub(super) fn base_url(value: &DeValue<'_>) -> Read<String> {
    let written = text(value)?.trim_end_matches('/');
    // What the variables hold is looked at when they are read; here only the rest.
    let stand_in = if written.starts_with("${") { "https://host" } else { "host" };
    let filled = place::filled(written, |name| is_variable(name).then(|| stand_in.to_owned()));
    filled.filter(|it| is_base_url(it)).map(|_| written.to_owned()).ok_or(Fault::Url)
}

/// Whether a text is a URL of the web without user, password or query.
pub(super) fn is_base_url(text: &str) -> bool {
    let Ok(url) = text.parse::<http::Uri>() else { return false };
    let web = matches!(url.scheme_str(), Some("http" | "https"));
    let bare =
        url.query().is_none() && url.authority().is_some_and(|it| !it.as_str().contains('@'));
    web && bare && url.host().is_some_and(|it| !it.is_empty())
}

/// The name of a header.
pub(super) fn header(value: &DeValue<'_>) -> Read<String> {
    let name = text(value)?.parse::<http::HeaderName>().map_err(|_| Fault::Header)?;
    // Keys have no such form in common, but few header names are this long or have an underscore.
    let fine = name.as_str().len() <= HEADER_BYTES_MAX && !name.as_str().contains('_');
    if fine { Ok(name.as_str().to_owned()) } else { Err(Fault::Header) }
}

/// The name of an environment variable, in capitals as is the custom: what is not may well be the
/// key itself (`sk-...`, `gsk_...`), and names are printed.
pub(super) fn variable(value: &DeValue<'_>) -> Read<String> {
    let name = text(value)?;
    if is_variable(name) { Ok(name.to_owned()) } else { Err(Fault::Variable) }
}

fn is_variable(name: &str) -> bool {
    let digit_first = name.starts_with(|it: char| it.is_ascii_digit());
    let fine = name.chars().all(|it| matches!(it, 'A'..='Z' | '0'..='9' | '_'));
    fine && !digit_first && !name.is_empty()
}

/// The path of a file with a key. A pasted key is seldom one.
pub(super) fn key_path(value: &DeValue<'_>) -> Read<PathBuf> {
    let written = text(value)?;
    if written.contains('/') { Ok(PathBuf::from(written)) } else { Err(Fault::KeyPath) }
}

/// The size of a spool.
pub(super) fn spool_bytes(value: &DeValue<'_>) -> Read<u64> {
    let (least, most) = SPOOL_BYTES;
    let bytes = whole(value, most).ok().filter(|it| *it >= least);
    bytes.ok_or(Fault::OutOfRange { least, most })
}
