//! The dashboard on the admin listener: a page in this binary, and the JSON that it shows.
//!
//! In: the pipeline, its log. Out: `/` and `/dashboard/...`, which are the same for everybody, and
//! `/api/...`, which tells of this server. Invariant: changes, calls, spends and logs nothing; the page
//! asks nobody but this listener; figures that stand in `/metrics` too are read from the same place. Not
//! here: the key (see [`super::serve_admin()`]).

mod decision;
mod explorer;
mod overview;
mod page;
mod query;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Response, header};

use super::fault::{Fault, Kind};
use super::http::{Face, answer, playground};
use crate::outcome::OutcomeBrowser;
pub(super) use page::routes as page_routes;

/// What every handler here has.
struct Desk {
    /// The pipeline, and the policy in force.
    face: Arc<Face>,
    /// Reads the log.
    browser: OutcomeBrowser,
    /// When this listener began, milliseconds since 1970 UTC.
    began_unix_ms: u64,
}

/// Who may ask by which name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// By whatever name: a key is asked for.
    Any,
    /// By addresses and `localhost` alone. Without a key, a page of somebody else could have its own
    /// name lead here, and read along (DNS rebinding).
    Local,
}

/// `/api/...`.
pub(super) fn routes(face: Arc<Face>, names: Names) -> Router {
    let browser = OutcomeBrowser::new(face.pipeline.log().store());
    let desk = Desk { face: Arc::clone(&face), browser, began_unix_ms: unix_ms() };
    let own = Router::new()
        .route("/api/overview", get(overview::overview))
        .route("/api/requests", get(explorer::requests))
        .route("/api/requests/{decision}", get(explorer::request))
        .with_state(Arc::new(desk));
    own.merge(playground("/api/rank", face))
        .layer(middleware::map_response(page::guarded))
        .layer(middleware::from_fn_with_state(names, known_name))
}

async fn known_name(State(names): State<Names>, request: Request, next: Next) -> Response<Body> {
    let own = request.uri().authority().map(|it| it.as_str().to_owned());
    let shown = request.headers().get(header::HOST).and_then(|it| it.to_str().ok());
    let host = own.or_else(|| shown.map(str::to_owned)).unwrap_or_default();
    if names == Names::Any || is_local(&host) {
        return next.run(request).await;
    }
    let message = "without a key this is served by an address or `localhost` alone, so that no other \
                   site can read along: use one of them, or set [server] admin_key_env";
    answer(Err(Fault::new(Kind::NotPermitted, "HOST", message)))
}

/// Whether a host, with or without its port, is an address or this machine's own name.
fn is_local(host: &str) -> bool {
    let bare = match host.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    name.is_empty() || name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}

/// Sets a header that is known to be one.
fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_local() {
        let check = |host: &str, wanted: bool| assert_eq!(is_local(host), wanted, "{host}");
        check("127.0.0.1:8081", true);
        check("[::1]:8081", true);
        check("192.168.0.7", true);
        check("localhost:8081", true);
        check("LOCALHOST.", true);
        check("", true);
        check("evil.example:8081", false);
        check("localhost.evil.example", false);
        check("127.0.0.1.evil.example:80", false);
    }
}
