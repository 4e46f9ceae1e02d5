//! The hub over HTTPS: one client, one token, one address.
//!
//! In: paths below the hub's address. Out: answers with a status of success, or what was wrong.
//! Invariant: redirects are few and never lead from https to http; the token is marked sensitive, so
//! that it is dropped on the way to another host and left out of `Debug`, and it is sent in the clear
//! to nobody but this machine.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};

use super::error::HubError;
use super::listing::{Listing, Name};

/// Where encoders are found unless HF_ENDPOINT or a flag says otherwise.
pub const HUB_DEFAULT: &str = "https://huggingface.co";

/// A handshake takes well under a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which a line is thought dead; a CDN sends something every few seconds.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// From the hub to its CDN it is one; mirrors add one or two.
const REDIRECTS_MAX: usize = 5;
/// The listing of a repository with a thousand files has some 300 kB.
const LISTING_BYTES_MAX: usize = 8 << 20;

/// A hub.
#[derive(Debug)]
pub struct Hub {
    base: String,
    client: Client,
    token: Option<HeaderValue>,
}

impl Hub {
    /// A hub at an address, with a token if there is one. Connects to nobody.
    ///
    /// # Errors
    /// [`HubError::Address`], [`HubError::Token`], [`HubError::Client`].
    pub fn new(address: &str, token: Option<&SecretString>) -> Result<Self, HubError> {
        // An error says that one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = address.trim_end_matches('/').to_owned();
        let uri: http::Uri = base.parse().map_err(|_| HubError::Address)?;
        let host = uri.host().ok_or(HubError::Address)?;
        let plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return Err(HubError::Address),
        };
        let bare = uri.query().is_none() && !base.contains(['@', '#', '?']);
        if !bare {
            return Err(HubError::Address);
        }
        let here = plain && is_here(host);
        let token = token.filter(|_| !plain || here).map(bearer).transpose()?;
        let builder = Client::builder()
            .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::custom(|attempt| {
                if is_fine(&attempt) { attempt.follow() } else { attempt.stop() }
            }))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX);
        // On this machine no certificates and no proxy are needed.
        let builder = if here { builder.no_proxy().tls_certs_only([]) } else { builder };
        let client = builder.build().map_err(HubError::Client)?;
        Ok(Self { base, client, token })
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// The files of a repository at a revision.
    pub(super) async fn listing(&self, name: &Name, revision: &str) -> Result<Listing, HubError> {
        let url = format!("{}/api/models/{name}/revision/{revision}?blobs=true", self.base);
        let mut response = self.get(&url, HeaderMap::new()).await?;
        let mut body = Vec::new();
        let lost = |source| HubError::Unreachable { url: url.clone(), source };
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > LISTING_BYTES_MAX {
                let reason = format!("it has more than {LISTING_BYTES_MAX} bytes");
                return Err(HubError::Listing { url, reason });
            }
            body.extend_from_slice(&chunk);
        }
        Listing::parse(&body).map_err(|reason| HubError::Listing { url, reason })
    }

    /// The address of a file at a commit.
    pub(super) fn file(&self, name: &Name, commit: &str, path: &str) -> String {
        format!("{}/{name}/resolve/{commit}/{path}", self.base)
    }

    /// Asks for something; statuses that are no success are errors, but for 416.
    pub(super) async fn get(
        &self,
        url: &str,
        mut headers: HeaderMap,
    ) -> Result<Response, HubError> {
        // Bytes are counted as they lie in the file.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        let sent = self.client.get(url).headers(headers).send().await;
        let url = url.to_owned();
        let response = match sent {
            Ok(response) => response,
            // Its own words name the address once more, signature of the CDN and all.
            Err(error) => return Err(HubError::Unreachable { url, source: error.without_url() }),
        };
        match response.status().as_u16() {
            200..=299 | 416 => Ok(response),
            status @ (401 | 403) => Err(HubError::Unauthorized { url, status }),
            404 => Err(HubError::NotFound { url }),
            status => Err(HubError::Status { url, status }),
        }
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, HubError> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret().trim()));
    let mut value = value.map_err(|_| HubError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_here(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
}

fn is_fine(attempt: &Attempt<'_>) -> bool {
    let secure = attempt.previous().iter().any(|it| it.scheme() == "https");
    attempt.previous().len() <= REDIRECTS_MAX && (!secure || attempt.url().scheme() == "https")
}
