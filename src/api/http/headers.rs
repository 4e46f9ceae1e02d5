//! Our own request headers: the wishes of callers who cannot add fields to a body.
//!
//! In: `x-pointsman-*` headers, and those of Helicone that mean the same. Out: the same fields of [`proto::RouteRequest`] that the body's
//! `pointsman` object sets. Invariant: the body wins; a header that is not known is told, not
//! ignored.

use std::borrow::Cow;

use http::HeaderMap;

use super::extension;
use crate::api::{policy, proto};
use crate::domain::Violation;

const PREFIX: &str = "x-pointsman-";
/// What Helicone's callers send already, with our name for it. Others of its headers are about Helicone's
/// own service, and passed over.
const ALSO: [(&str, &str); 3] = [
    ("helicone-session-id", "session-id"),
    ("helicone-request-id", "request-id"),
    ("helicone-user-id", "metadata-user"),
];
/// Its custom properties: metadata here.
const PROPERTY: &str = "helicone-property-";
/// Its rest is the key: `x-pointsman-metadata-team: search`.
const METADATA: &str = "metadata-";
/// Every header without its prefix, with the field it sets.
pub(super) const KNOWN: [(&str, &str); 15] = [
    ("cache", "cache"),
    ("max-cost-usd", "budget.max_cost_usd"),
    ("max-latency-ms", "budget.max_latency_ms"),
    ("max-ttft-ms", "budget.max_ttft_ms"),
    ("confidence", "budget.confidence"),
    ("max-inter-token-ms", "budget.max_inter_token_ms"),
    ("min-throughput", "budget.min_throughput"),
    ("preference", "preference.preset"),
    ("min-quality", "min_quality"),
    ("on-stream-failure", "fallback.on_stream_failure"),
    ("session-id", "session_id"),
    ("request-id", "request_id"),
    ("explain", "explain"),
    ("explore", "explore"),
    ("route", "route"),
];

/// Reads every header of ours.
pub(super) fn read(
    headers: &HeaderMap,
    wire: &mut proto::RouteRequest,
    found: &mut Vec<Violation>,
) {
    if let Some(asked) = cache_control(headers) {
        wire.cache = asked.into();
    }
    for (name, value) in headers {
        let Some(own) = own_name(name.as_str()) else { continue };
        let Ok(value) = value.to_str() else {
            found.push(Violation::new(name.as_str(), "the value must be plain ASCII"));
            continue;
        };
        if let Err(message) = one(&own, value, wire) {
            found.push(Violation::new(name.as_str(), message));
        }
    }
}

/// What a header is called here without its prefix; `None` for one that is not for us.
fn own_name(name: &str) -> Option<Cow<'_, str>> {
    if let Some(own) = name.strip_prefix(PREFIX) {
        return Some(own.into());
    }
    let property = || name.strip_prefix(PROPERTY).map(|it| format!("{METADATA}{it}").into());
    let also = ALSO.iter().find(|(theirs, _)| *theirs == name);
    also.map(|(_, own)| (*own).into()).or_else(property)
}

/// The header that was given for a field, if one was.
pub(super) fn given_for(headers: &HeaderMap, field: &str) -> Option<String> {
    let (own, _) = KNOWN.iter().find(|(_, it)| *it == field)?;
    let name = format!("{PREFIX}{own}");
    headers.contains_key(&name).then_some(name)
}

fn one(own: &str, value: &str, wire: &mut proto::RouteRequest) -> Result<(), String> {
    if let Some(key) = own.strip_prefix(METADATA) {
        wire.metadata.insert(key.to_owned(), value.to_owned());
        return Ok(());
    }
    match own {
        "max-cost-usd" => wire.budget.get_or_insert_default().max_cost_usd = number(value)?,
        "max-latency-ms" => wire.budget.get_or_insert_default().max_latency_ms = number(value)?,
        "max-ttft-ms" => wire.budget.get_or_insert_default().max_ttft_ms = number(value)?,
        "confidence" => wire.budget.get_or_insert_default().confidence = number(value)?,
        "max-inter-token-ms" => {
            wire.budget.get_or_insert_default().max_inter_token_ms = number(value)?;
        }
        "min-throughput" => wire.budget.get_or_insert_default().min_throughput = number(value)?,
        "preference" => wire.preference.get_or_insert_default().preset = Some(value.to_owned()),
        "min-quality" => wire.min_quality = number(value)?,
        "on-stream-failure" => {
            let way = extension::on_stream_failure(value.trim())?;
            wire.fallback.get_or_insert_default().on_stream_failure = way.into();
        }
        "session-id" => wire.session_id = Some(value.to_owned()),
        "request-id" => wire.request_id = Some(value.to_owned()),
        "explain" => wire.explain = flag(value)?,
        "explore" => wire.explore = Some(flag(value)?),
        "route" => wire.route = Some(value.trim().to_owned()),
        "cache" => wire.cache = extension::cache_use(value.trim())?.into(),
        _ => return Err(unknown(own)),
    }
    Ok(())
}

/// What a `cache-control` header of a request asks for (RFC 9111, 5.2.1); the rest of them is for caches
/// on the way.
fn cache_control(headers: &HeaderMap) -> Option<proto::CacheUse> {
    let said = headers.get_all(http::header::CACHE_CONTROL).into_iter();
    let words: Vec<_> =
        said.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(',')).collect();
    let says = |word: &str| words.iter().any(|it| it.trim().eq_ignore_ascii_case(word));
    if says("no-store") {
        return Some(proto::CacheUse::Off);
    }
    says("no-cache").then_some(proto::CacheUse::Refresh)
}

fn number(value: &str) -> Result<Option<f64>, String> {
    value.trim().parse().map(Some).map_err(|_| "a number is wanted".to_owned())
}

fn flag(value: &str) -> Result<bool, String> {
    match value.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false is wanted".to_owned()),
    }
}

fn unknown(own: &str) -> String {
    match policy::nearest(own, KNOWN.iter().map(|(it, _)| *it)) {
        Some(nearest) => format!("no such header; did you mean `{PREFIX}{nearest}`?"),
        None => "no such header".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_helicone_say_the_same() {
        let mut headers = HeaderMap::new();
        let given = [
            ("helicone-session-id", "s-1"),
            ("helicone-user-id", "u-1"),
            ("helicone-property-city", "Bern"),
            ("helicone-auth", "Bearer secret"),
        ];
        for (name, value) in given {
            headers.insert(name, value.parse().unwrap());
        }
        let (mut wire, mut found) = (proto::RouteRequest::default(), Vec::new());
        read(&headers, &mut wire, &mut found);
        assert_eq!((found, wire.session_id.as_deref()), (vec![], Some("s-1")));
        let wanted = [("city", "Bern"), ("user", "u-1")];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(wire.metadata, wanted.into());
    }

    #[test]
    fn every_header_sets_its_field_and_others_are_told() {
        let mut headers = HeaderMap::new();
        let given = [
            ("x-pointsman-max-cost-usd", "0.01"),
            ("x-pointsman-confidence", "0.8"),
            ("x-pointsman-preference", "cost"),
            ("x-pointsman-explain", "true"),
            ("x-pointsman-explore", "0"),
            ("cache-control", "max-age=0, No-Store"),
            ("x-pointsman-metadata-team", "search"),
            ("x-pointsman-min-quality", "high"),
            ("x-pointsman-on-stream-failure", "restart"),
            ("x-pointsman-sesion-id", "1"),
            ("x-stainless-timeout", "5"),
        ];
        for (name, value) in given {
            headers.insert(name, value.parse().unwrap());
        }
        let (mut wire, mut found) = (proto::RouteRequest::default(), Vec::new());
        read(&headers, &mut wire, &mut found);
        let budget = wire.budget.unwrap();
        assert_eq!((budget.max_cost_usd, budget.confidence), (Some(0.01), Some(0.8)));
        assert_eq!(wire.preference.unwrap().preset.as_deref(), Some("cost"));
        assert_eq!((wire.explore, wire.cache), (Some(false), proto::CacheUse::Off.into()));
        assert!(wire.explain && wire.metadata["team"] == "search");
        let fields: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
        let wanted = ["min-quality", "on-stream-failure", "sesion-id"];
        assert_eq!(fields, wanted.map(|it| format!("{PREFIX}{it}")));
        assert!(found[1].message.contains("gRPC only"), "{found:?}");
        assert!(found[2].message.contains("x-pointsman-session-id"), "{found:?}");
        let given = given_for(&headers, "budget.max_cost_usd");
        assert_eq!(given.as_deref(), Some("x-pointsman-max-cost-usd"));
        assert_eq!(given_for(&headers, "budget.max_ttft_ms"), None);
    }
}
