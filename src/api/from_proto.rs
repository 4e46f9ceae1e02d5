//! Whole requests, from the wire to what the pipeline takes.
//!
//! In: wire requests. Out: [`Asked`], or [`Feedback`]; else every [`Violation`] at once, prompt and
//! policy together. Invariant: what passed has bounded size.

use std::collections::BTreeMap;

use super::chat_from_proto::chat_request;
use super::defaults::Defaults;
use super::policy::policy_for;
use super::proto;
use super::route::{self, Came};
use crate::catalog::Fleet;
use crate::domain::{ChatRequest, DecisionId, Probability, Violation};
use crate::outcome::{Feedback, FeedbackKind};
use crate::pipeline::CacheUse;
use crate::ranking::Policy;
use crate::telemetry::Delivery;

/// Most pairs of metadata: they are kept in the log with every request.
const METADATA_PAIRS_MAX: usize = 64;
/// Longest id, key or value that the log keeps, in bytes.
const LABEL_BYTES_MAX: usize = 256;
/// Longest comment of a feedback, in bytes.
const COMMENT_BYTES_MAX: usize = 4_096;

/// A request that passed.
#[derive(Debug)]
pub(super) struct Asked {
    /// The prompt.
    pub(super) request: ChatRequest,
    /// What holds for it.
    pub(super) policy: Policy,
    /// The conversation it belongs to.
    pub(super) session_id: Option<String>,
    /// The caller's own id.
    pub(super) request_id: Option<String>,
    /// Kept in the log.
    pub(super) metadata: BTreeMap<String, String>,
    /// Whether the decision is to be put into words.
    pub(super) explain: bool,
    /// What it wants of kept answers.
    pub(super) cache: CacheUse,
}

/// Reads and checks a request.
///
/// # Errors
/// Every [`Violation`].
pub(super) fn asked(
    mut wire: proto::RouteRequest,
    defaults: &Defaults,
    fleet: &Fleet,
    delivery: Delivery,
) -> Result<Asked, Vec<Violation>> {
    let mut found = Vec::new();
    let request = chat_request(&mut wire, &mut found);
    let order = wire.candidates.as_ref().map_or(&[][..], |it| it.order.as_slice());
    let model = order.first().cloned().unwrap_or_default();
    let came = Came { model: &model, stream: delivery == Delivery::Stream };
    let policy = wishes((&wire, &request), defaults, fleet, came, &mut found);
    match policy {
        Some(policy) if found.is_empty() => Ok(Asked {
            request,
            policy,
            session_id: wire.session_id,
            request_id: wire.request_id,
            metadata: wire.metadata.into_iter().collect(),
            explain: wire.explain,
            cache: cache_use(wire.cache).unwrap_or_default(),
        }),
        Some(_) | None => Err(found),
    }
}

/// Checks everything that is not the prompt: the policy, the route, and the labels for the log. Both
/// faces come through here.
pub(super) fn wishes(
    (wire, request): (&proto::RouteRequest, &ChatRequest),
    defaults: &Defaults,
    fleet: &Fleet,
    came: Came<'_>,
    found: &mut Vec<Violation>,
) -> Option<Policy> {
    let policy = policy_for(&defaults.policy, wire, fleet);
    let policy = policy.map_err(|violations| found.extend(violations)).ok();
    let policy = policy.map(|it| route::taken(it, defaults, (wire, request), came, found));
    check_labels(wire, found);
    if cache_use(wire.cache).is_none() {
        let message = format!("{} is no known use of the cache", wire.cache);
        found.push(Violation::new("cache", message));
    }
    policy
}

/// What is wanted of kept answers; `None` for a number that means nothing.
pub(super) fn cache_use(wire: i32) -> Option<CacheUse> {
    use proto::CacheUse as Wire;
    match Wire::try_from(wire) {
        Ok(Wire::Unspecified | Wire::On) => Some(CacheUse::Usual),
        Ok(Wire::Tools) => Some(CacheUse::WithTools),
        Ok(Wire::Refresh) => Some(CacheUse::Refresh),
        Ok(Wire::Off) => Some(CacheUse::Off),
        Err(_) => None,
    }
}

fn check_labels(wire: &proto::RouteRequest, found: &mut Vec<Violation>) {
    let ids = [("session_id", &wire.session_id), ("request_id", &wire.request_id)];
    for (field, id) in ids {
        check_length(field, id.as_deref(), LABEL_BYTES_MAX, found);
    }
    let pairs = wire.metadata.len();
    if pairs > METADATA_PAIRS_MAX {
        let message = format!("{pairs} pairs, at most {METADATA_PAIRS_MAX} are allowed");
        found.push(Violation::new("metadata", message));
    }
    let too_long = |it: &&String| it.len() > LABEL_BYTES_MAX;
    let count = wire.metadata.iter().flat_map(|(key, value)| [key, value]).filter(too_long).count();
    if count > 0 {
        let message = format!("{count} keys or values have more than {LABEL_BYTES_MAX} bytes");
        found.push(Violation::new("metadata", message));
    }
}

fn check_length(field: &str, text: Option<&str>, bytes_max: usize, found: &mut Vec<Violation>) {
    let bytes = text.map_or(0, str::len);
    if bytes > bytes_max {
        let message = format!("{bytes} bytes, at most {bytes_max} are allowed");
        found.push(Violation::new(field, message));
    }
}

/// Reads and checks a feedback.
///
/// # Errors
/// Every [`Violation`].
pub(super) fn feedback(wire: proto::FeedbackRequest) -> Result<Feedback, Vec<Violation>> {
    let mut found = Vec::new();
    let decision = DecisionId::parse(&wire.decision_id);
    if decision.is_none() {
        let message = "not a decision id: `decision.id` of an answer is one";
        found.push(Violation::new("decision_id", message));
    }
    let score = wire.score.map(Probability::new);
    match score {
        Some(Ok(_)) => {}
        Some(Err(why)) => found.push(Violation::new("score", why.to_string())),
        None => found.push(Violation::new("score", "a score between 0 and 1 is needed")),
    }
    let kind = feedback_kind(wire.kind);
    if kind.is_none() {
        let message = format!("{} is no kind of feedback", wire.kind);
        found.push(Violation::new("kind", message));
    }
    check_length("comment", wire.comment.as_deref(), COMMENT_BYTES_MAX, &mut found);
    check_length("idempotency_key", wire.idempotency_key.as_deref(), LABEL_BYTES_MAX, &mut found);
    match (decision, score, kind) {
        (Some(decision), Some(Ok(score)), Some(kind)) if found.is_empty() => Ok(Feedback {
            decision,
            score,
            kind,
            comment: wire.comment.map(Into::into),
            idempotency_key: wire.idempotency_key,
        }),
        _ => Err(found),
    }
}

fn feedback_kind(wire: i32) -> Option<FeedbackKind> {
    use proto::FeedbackKind as Kind;
    Some(match Kind::try_from(wire).ok()? {
        Kind::Unspecified | Kind::Explicit => FeedbackKind::Explicit,
        Kind::Judge => FeedbackKind::Judge,
        Kind::ExactMatch => FeedbackKind::ExactMatch,
        Kind::Implicit => FeedbackKind::Implicit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing;

    fn fields(found: Vec<Violation>) -> Vec<String> {
        found.into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn prompt_policy_and_labels_are_checked_together() {
        let metadata = (0..65).map(|it| (format!("key {it}"), "x".repeat(257))).collect();
        let wire = proto::RouteRequest {
            min_quality: Some(-1.0),
            request_id: Some("x".repeat(257)),
            metadata,
            ..Default::default()
        };
        let asked = |wire| asked(wire, &Defaults::default(), &testing::fleet(), Delivery::Whole);
        let found = asked(wire).unwrap_err();
        assert_eq!(
            fields(found),
            ["messages", "min_quality", "request_id", "metadata", "metadata"]
        );
    }

    #[test]
    fn a_good_request_keeps_everything() {
        let wire = proto::RouteRequest {
            request_id: Some("r".into()),
            session_id: Some("s".into()),
            metadata: [("team".to_owned(), "search".to_owned())].into(),
            explain: true,
            ..testing::request("hello")
        };
        let asked = asked(wire, &Defaults::default(), &testing::fleet(), Delivery::Whole).unwrap();
        assert_eq!(asked.request, ChatRequest::from_prompt("hello"));
        assert_eq!(asked.request_id.as_deref(), Some("r"));
        assert_eq!(asked.session_id.as_deref(), Some("s"));
        assert_eq!(asked.metadata["team"], "search");
        assert!(asked.explain);
    }

    #[test]
    fn feedback_is_checked() {
        let wire = proto::FeedbackRequest {
            decision_id: "x".into(),
            score: None,
            kind: 99,
            comment: Some("x".repeat(5_000)),
            idempotency_key: Some("x".repeat(300)),
        };
        let wanted = ["decision_id", "score", "kind", "comment", "idempotency_key"];
        assert_eq!(fields(feedback(wire).err().unwrap()), wanted);
        let wire = proto::FeedbackRequest {
            decision_id: DecisionId::fresh().to_string(),
            score: Some(0.25),
            ..Default::default()
        };
        assert_eq!(feedback(wire).ok().unwrap().score, Probability::clamped(0.25));
    }
}
