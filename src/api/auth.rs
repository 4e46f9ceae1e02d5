//! Who asks: where callers of both faces show their keys, before anything else is looked at.
//!
//! In: a request, the gate. Out: the request with an [`Asker`] in its extensions, or a refusal in the
//! caller's protocol. Invariant: health is open; everything else, reflection and unknown paths too, is
//! told nobody without a right; whatever is wrong with a key, the answer is the same. What a minute has
//! left stands in the headers of every answer. Not here: what a key may do (see [`super::scope`]).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use http::{Extensions, HeaderMap, Response, header};
use tonic::Status;

use super::fault;
use super::http::{problem_at, told_standing};
use crate::access::{Caller, Gate, KeyText};
use crate::catalog::Model;
use crate::pipeline::Pipeline;

/// Paths that probes look at. They tell nothing of anybody's requests.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];
const OPEN_SERVICE: &str = "/grpc.health.v1.Health/";
/// Where Anthropic's SDKs show a key.
const OTHER_HEADER: &str = "x-api-key";

/// Who asks.
#[derive(Debug, Clone, Default)]
pub(super) enum Asker {
    /// Keys are not looked at here.
    #[default]
    Anyone,
    /// Keys are looked at, and this one may do without.
    Nobody,
    /// Somebody with a key.
    Known(Caller),
}

impl Asker {
    /// Who was let in with a request.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// Whether a model is shown to him: whether he may use it.
    pub(super) fn may_see(&self, model: &Model) -> bool {
        self.caller().is_none_or(|it| it.scope().has_model(&model.name))
    }

    /// His name for something, told apart from the same name of another team.
    pub(super) fn own(&self, name: String) -> String {
        match self.caller() {
            Some(caller) => caller.own(&name),
            None => name,
        }
    }

    /// Whose limits hold, if anybody's.
    pub(super) fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Anyone | Self::Nobody => None,
            Self::Known(caller) => Some(caller),
        }
    }
}

/// Who stands at the door.
pub(super) struct Door {
    /// Knows the keys; `None` where nobody is asked for one.
    pub(super) gate: Option<Arc<Gate>>,
    /// Counts who is turned away.
    pub(super) pipeline: Arc<Pipeline>,
}

/// Lets a request in, or turns it away.
pub(super) async fn let_in(
    State(door): State<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let Some(gate) = door.gate.as_ref().filter(|_| !is_open(request.uri().path())) else {
        return next.run(request).await;
    };
    let metrics = door.pipeline.metrics();
    let caller = match gate.caller(shown(request.headers())) {
        Ok(Some(caller)) => caller,
        Ok(None) => {
            request.extensions_mut().insert(Asker::Nobody);
            return next.run(request).await;
        }
        Err(why) => {
            metrics.auth_refused(why.as_str());
            return refused(&request, fault::unauthenticated());
        }
    };
    let mut response = match caller.take_request() {
        Ok(()) => {
            request.extensions_mut().insert(Asker::Known(caller.clone()));
            next.run(request).await
        }
        Err(over) => {
            metrics.limit_refused(over.rate.as_str());
            refused(&request, fault::over_rate(&over))
        }
    };
    told_standing(response.headers_mut(), &caller.standing());
    response
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || path.starts_with(OPEN_SERVICE)
}

/// The key that is shown: `authorization: Bearer KEY` or `x-api-key: KEY`. One of ours comes before
/// another's, since some SDKs fill both.
pub(super) fn shown(headers: &HeaderMap) -> Option<KeyText<'_>> {
    let text = |it: &'static str| headers.get(it).and_then(|it| it.to_str().ok());
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|it| {
        let (scheme, key) = it.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key)
    });
    let both = [bearer, text(OTHER_HEADER)].into_iter().flatten().map(KeyText::new);
    let (ours, others): (Vec<_>, Vec<_>) = both.partition(KeyText::is_ours);
    ours.into_iter().chain(others).next()
}

fn refused(request: &Request, fault: fault::Fault) -> Response<Body> {
    if is_grpc(request.headers()) {
        return Status::from(fault).into_http();
    }
    problem_at(request.uri().path(), &fault)
}

/// Whether a request is gRPC's.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    kind.is_some_and(|it| it.starts_with("application/grpc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_either_header_and_ours_first() {
        let check = |bearer: &str, other: &str, wanted: Option<bool>| {
            let mut headers = HeaderMap::new();
            for (name, text) in [("authorization", bearer), ("x-api-key", other)] {
                if !text.is_empty() {
                    headers.insert(name, text.parse().unwrap());
                }
            }
            let found = shown(&headers).map(|it| it.is_ours());
            assert_eq!(found, wanted, "{bearer:?} {other:?}");
        };
        check("", "", None);
        check("Bearer pm-a", "", Some(true));
        check("bearer  pm-a", "", Some(true));
        check("pm-a", "", None);
        check("Basic pm-a", "", None);
        check("", "pm-a", Some(true));
        check("Bearer sk-1", "pm-a", Some(true));
        check("Bearer pm-a", "sk-1", Some(true));
        check("Bearer sk-1", "", Some(false));
    }

    #[test]
    fn only_health_is_open() {
        let check = |path: &str, wanted: bool| assert_eq!(is_open(path), wanted, "{path}");
        check("/healthz", true);
        check("/readyz", true);
        check("/grpc.health.v1.Health/Check", true);
        check("/healthz/", false);
        check("/v1/models", false);
        check("/pointsman.v1.Pointsman/Rank", false);
        check("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", false);
    }
}
