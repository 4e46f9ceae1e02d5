//! The page itself: files of this crate, as they are.
//!
//! In: a path. Out: a file. Invariant: nothing of this server or of its requests is in any of them, so
//! they are given to everybody, also where there is a key: the page has to be there to ask for it. No
//! script, style, font or picture comes from elsewhere.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{Response, StatusCode, header};

use super::set;

/// No inline script or style, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Name, content type, content.
type File = (&'static str, &'static str, &'static [u8]);

macro_rules! file {
    ($name:literal, $kind:expr) => {
        ($name, $kind, include_bytes!(concat!("page/", $name)))
    };
}

const FILES: [File; 21] = [
    file!("app.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("charts.js", SCRIPT),
    file!("decision.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("explorer.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("overview.js", SCRIPT),
    file!("overview_figures.js", SCRIPT),
    file!("overview_models.js", SCRIPT),
    file!("playground.js", SCRIPT),
    file!("theme.js", SCRIPT),
    file!("timeline.js", SCRIPT),
    file!("base.css", STYLE),
    file!("layout.css", STYLE),
    file!("parts.css", STYLE),
    file!("views.css", STYLE),
    file!("icon.svg", "image/svg+xml"),
    file!("vendor/uplot/uPlot.iife.min.js", SCRIPT),
    file!("vendor/uplot/uPlot.min.css", STYLE),
    file!("vendor/uplot/LICENSE", "text/plain; charset=utf-8"),
];
const INDEX: File = file!("index.html", "text/html; charset=utf-8");

/// `/` and `/dashboard/...`.
pub(in crate::api) fn routes() -> Router {
    Router::new()
        .route("/", get(async || told(&INDEX)))
        .route("/dashboard/{*name}", get(file))
        .layer(middleware::map_response(guarded))
}

async fn file(Path(name): Path<String>) -> Response<Body> {
    match FILES.iter().find(|(own, _, _)| *own == name) {
        Some(found) => told(found),
        None => (StatusCode::NOT_FOUND, "no such file of the dashboard").into_response(),
    }
}

fn told((_, kind, content): &File) -> Response<Body> {
    let mut response = Response::new(Body::from(*content));
    set(response.headers_mut(), header::CONTENT_TYPE, kind);
    // It may be another one after the next start.
    set(response.headers_mut(), header::CACHE_CONTROL, "no-cache");
    response
}

/// With the headers that hold for the page and for what it shows.
pub(super) async fn guarded(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    set(headers, header::CONTENT_SECURITY_POLICY, POLICY);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    if !headers.contains_key(header::CACHE_CONTROL) {
        set(headers, header::CACHE_CONTROL, "no-store");
    }
    response
}
