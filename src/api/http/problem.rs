//! A [`Fault`] as an HTTP response.
//!
//! In: what went wrong, a dialect. Out: a status, headers, and a body in the dialect's shape.
//! Invariant: `retry-after` stands where waiting helps, and `x-should-retry: false` (which the SDKs
//! of OpenAI and Anthropic obey, 2025) where they would try again by the status and it does not.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

use super::details::{self, Explain};
use super::dialect::{Dialect, Problem};
use crate::access::{Rate, Standing};
use crate::api::fault::{Fault, Kind};

/// The longest pause that the SDKs of OpenAI and Anthropic wait out; after a longer one they guess
/// their own (openai-python and anthropic-sdk-python, `_calculate_retry_timeout`, 2026).
const SDK_WAIT_MAX: Duration = Duration::from_secs(60);

/// The response to a request that failed.
pub(super) fn response<D: Dialect>(fault: &Fault) -> Response<Body> {
    explained::<D>(fault, Explain::No)
}

/// As [`response`], with the ranking where it is wanted.
pub(super) fn explained<D: Dialect>(fault: &Fault, explain: Explain) -> Response<Body> {
    let problem = problem(fault, explain);
    let status = StatusCode::from_u16(problem.status);
    let mut response = json(&D::error(&problem));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(after) = fault.retry_after() {
        let whole = after.as_millis().div_ceil(1_000).to_string();
        headers.extend(value(&whole).map(|it| (header::RETRY_AFTER, it)));
        insert(headers, "retry-after-ms", &after.as_millis().to_string());
    }
    if is_vain(fault) {
        insert(headers, "x-should-retry", "false");
    }
    if fault.kind == Kind::Unauthenticated {
        insert(headers, "www-authenticate", "Bearer");
    }
    if let Some(tried) = &fault.tried {
        insert(headers, "x-pointsman-decision", &tried.decision.id.to_string());
        insert(headers, "x-pointsman-attempts", &tried.attempts.len().to_string());
        insert(headers, "x-pointsman-cost-usd", &tried.cost_usd.get().to_string());
    }
    response
}

/// Whether a client that tries again by the status does so in vain.
fn is_vain(fault: &Fault) -> bool {
    match fault.retry_after() {
        Some(after) => fault.kind == Kind::OverLimit && after > SDK_WAIT_MAX,
        None => {
            matches!(fault.kind, Kind::ExhaustedForGood | Kind::Deadline | Kind::OverLimit)
        }
    }
}

/// How full a caller's buckets are, in the headers that OpenAI's clients know (its rate limit guide,
/// 2026).
pub(in crate::api) fn told_standing(headers: &mut http::HeaderMap, standing: &[Standing]) {
    for it in standing {
        let [limit, remaining, reset] = match it.rate {
            Rate::Requests => [
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
            ],
            Rate::Tokens => [
                "x-ratelimit-limit-tokens",
                "x-ratelimit-remaining-tokens",
                "x-ratelimit-reset-tokens",
            ],
        };
        insert(headers, limit, &it.limit.to_string());
        insert(headers, remaining, &it.remaining.to_string());
        insert(headers, reset, &span(it.reset_in));
    }
}

/// A time as OpenAI writes it: `6m0s`, `1s`, `20ms`.
fn span(of: Duration) -> String {
    let (minutes, seconds) = (of.as_secs() / 60, of.as_secs() % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{}ms", of.as_millis()),
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// What went wrong, for a dialect to word.
pub(super) fn problem(fault: &Fault, explain: Explain) -> Problem {
    Problem {
        status: fault.kind.codes().0,
        reason: fault.reason.clone(),
        message: fault.message.clone(),
        param: fault.violations.first().map(|it| it.field.clone()),
        details: details::of_fault(fault, explain),
    }
}

/// A response of 200 with JSON.
pub(super) fn json(body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Sets a header, unless its value has characters that headers cannot hold.
pub(super) fn insert(headers: &mut http::HeaderMap, name: &'static str, text: &str) {
    if let Some(value) = value(text) {
        headers.insert(name, value);
    }
}

fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}
