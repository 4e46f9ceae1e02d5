//! The one sender of HTTP requests: a deployment and a request out, an answer, a stream or a
//! failure back.
//!
//! In: providers, deployments, chat requests, a time limit per call. Out: [`Reply`],
//! [`AnswerStream`] or [`CallFailure`]. Invariant: bodies and time are bounded; no key, URL or body
//! is in an error. Not here: the wire formats (see [`super::protocol`]); retries, and when a stream
//! is too slow (see [`crate::dispatch`]).

mod forced;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

use super::auth::{Signed, authorize};
use super::call::{Begun, CallFailure, Caller, Reply};
use super::check;
use super::drill::Drill;
use super::protocol::{Answered, Asking, Delivery, Encoded};
use super::provider::{Protocol, Provider};
use super::seam::{self, Seam};
use crate::catalog::Deployment;
use crate::domain::{ChatRequest, ChatResponse, FailureClass, ProviderName};
use forced::Response;
pub use stream::AnswerStream;

/// A TCP and TLS handshake takes well under a second; more than this is an outage.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer read: a million output tokens of text are about 4 MiB, and JSON escapes can
/// multiply that by six.
const BODY_BYTES_MAX: usize = 32 << 20;
/// Idle connections kept per provider: a burst's worth, without holding its sockets for ever.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// A sender that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The HTTP client was not built; most often the machine has no CA certificates.
    #[error(
        "no HTTPS client: are CA certificates installed (package ca-certificates, or SSL_CERT_FILE)?"
    )]
    Client(#[source] reqwest::Error),
    /// Two providers with one name.
    #[error("the provider `{0}` is given twice")]
    Duplicate(ProviderName),
}

/// Calls deployments over HTTP, on pooled connections.
///
/// reqwest 0.13 reads the system's CA certificates when a client is built, and fails without them.
/// So `https://` providers share one client that reads them, and `http://` providers (this machine,
/// or a trusted network) share another that needs none and never uses a proxy; each is made only
/// where a provider needs it. Clones share the connections.
#[derive(Debug, Clone)]
pub struct HttpCaller {
    lines: Arc<BTreeMap<ProviderName, Line>>,
    /// Who is made to fail, while somebody asks for it.
    drill: Option<Arc<Drill>>,
}

/// A provider and the client that reaches it.
#[derive(Debug)]
struct Line {
    provider: Provider,
    client: Client,
}

impl HttpCaller {
    /// Makes the clients that these providers need. Connects to nobody.
    ///
    /// # Errors
    /// [`TransportError`] when a client cannot be built, or a provider is given twice.
    pub fn new(providers: Vec<Provider>) -> Result<Self, TransportError> {
        // An error says that one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (mut secure, mut plain) = (None, None);
        let mut lines = BTreeMap::new();
        for provider in providers {
            let client = if is_plain(&provider.base_url) {
                shared(&mut plain, |it| it.no_proxy().tls_certs_only([]))?
            } else {
                shared(&mut secure, |it| it)?
            };
            let name = provider.name.clone();
            if lines.insert(name.clone(), Line { provider, client }).is_some() {
                return Err(TransportError::Duplicate(name));
            }
        }
        Ok(Self { lines: Arc::new(lines), drill: None })
    }

    /// The same, while some calls are made to fail.
    pub fn drilled(&self, drill: Arc<Drill>) -> Self {
        Self { lines: Arc::clone(&self.lines), drill: Some(drill) }
    }

    /// Sends the request, or does instead what somebody asked for.
    async fn answer(
        &self,
        line: &Line,
        asking: &Asking<'_>,
        encoded: &Encoded,
    ) -> Result<Response, CallFailure> {
        match self.drill.as_ref().and_then(|it| {
            it.draw(asking.deployment, |fault| forced::asks_nobody(fault, asking.delivery))
        }) {
            None => line.send(encoded).await,
            Some(fault) => forced::play(line, asking, encoded, fault).await,
        }
    }

    fn line(&self, deployment: &Deployment) -> Result<&Line, CallFailure> {
        let line = self.lines.get(&deployment.provider);
        line.ok_or_else(|| CallFailure::of(FailureClass::ModelMissing))
    }

    async fn exchange(
        &self,
        deployment: &Deployment,
        request: &ChatRequest,
    ) -> Result<Reply, CallFailure> {
        let line = self.line(deployment)?;
        let asking = line.asking(deployment, request, Delivery::Whole);
        let encoded = line.encode(&asking)?;
        let mut response = self.answer(line, &asking, &encoded).await?;
        let status = response.status().as_u16();
        let response = whole_answer(&mut response, line.provider.protocol, &asking).await?;
        Ok(Reply { response, status, ttft: None, dropped: encoded.dropped })
    }
}

impl Line {
    fn asking<'a>(
        &'a self,
        deployment: &'a Deployment,
        request: &'a ChatRequest,
        delivery: Delivery,
    ) -> Asking<'a> {
        Asking { request, deployment, quirks: &self.provider.quirks, delivery }
    }

    /// What the provider has no words for is as if it had refused it.
    fn encode(&self, asking: &Asking<'_>) -> Result<Encoded, CallFailure> {
        let encoded = self.provider.protocol.encode(asking);
        encoded.map_err(|it| CallFailure {
            detail: Some(it.0),
            ..CallFailure::of(FailureClass::Unsupported)
        })
    }

    /// Sends the request; returns when the headers of its answer are there.
    async fn send(&self, encoded: &Encoded) -> Result<Response, CallFailure> {
        let url = format!("{}{}", self.provider.base_url, encoded.path);
        let body = encoded.body.to_string();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &encoded.headers {
            let value = HeaderValue::from_str(value);
            let value = value.map_err(|_| CallFailure::of(FailureClass::Unsupported))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let signed = Signed { url: &url, body: body.as_bytes() };
        authorize(&mut headers, &self.provider, &signed).map_err(CallFailure::of)?;
        let post = self.client.post(url).headers(headers).body(body);
        post.send().await.map(Response::real).map_err(|it| unsent(&it))
    }
}

impl Caller for HttpCaller {
    type Stream = AnswerStream;

    async fn call(
        &self,
        deployment: &Deployment,
        request: &ChatRequest,
        timeout: Duration,
    ) -> Result<Reply, CallFailure> {
        let exchange = tokio::time::timeout(timeout, self.exchange(deployment, request));
        exchange.await.unwrap_or_else(|_| Err(CallFailure::of(FailureClass::Deadline)))
    }

    async fn open(
        &self,
        deployment: &Deployment,
        request: &ChatRequest,
    ) -> Result<AnswerStream, CallFailure> {
        let line = self.line(deployment)?;
        let asking = line.asking(deployment, request, Delivery::Stream);
        let encoded = line.encode(&asking)?;
        let response = self.answer(line, &asking, &encoded).await?;
        let stream = AnswerStream::new(response, line.provider.protocol, &asking, encoded.dropped);
        stream.watched(request, "").begun(&asking).await
    }

    fn continues(&self, deployment: &Deployment, request: &ChatRequest) -> bool {
        self.line(deployment).is_ok_and(|line| {
            let asking = line.asking(deployment, request, Delivery::Stream);
            line.provider.protocol.takes_prefix(&asking)
        })
    }

    async fn resume(
        &self,
        deployment: &Deployment,
        request: &ChatRequest,
        begun: Begun<'_>,
    ) -> Result<AnswerStream, CallFailure> {
        if !self.continues(deployment, request) {
            return Err(CallFailure::of(FailureClass::Unsupported));
        }
        let line = self.line(deployment)?;
        let sent = seam::request(request, begun);
        let asking = line.asking(deployment, &sent, Delivery::Stream);
        let encoded = line.encode(&asking)?;
        let response = self.answer(line, &asking, &encoded).await?;
        let stream = AnswerStream::new(response, line.provider.protocol, &asking, encoded.dropped);
        let repeated = if line.provider.quirks.repeats_prefix { sent.begun() } else { None };
        let seam = Seam::new(begun.text, repeated.map(|it| it.as_str().to_owned()));
        stream.watched(request, begun.text).after(seam).begun(&asking).await
    }
}

fn is_plain(base_url: &str) -> bool {
    base_url.get(..7).is_some_and(|it| it.eq_ignore_ascii_case("http://"))
}

/// The client in `slot`, made on first use.
fn shared(
    slot: &mut Option<Client>,
    adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, TransportError> {
    if let Some(client) = slot {
        return Ok(client.clone());
    }
    let builder = Client::builder()
        .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the prompt to a host that nobody configured.
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
    let client = adjust(builder).build().map_err(TransportError::Client)?;
    Ok(slot.insert(client).clone())
}

/// Nothing came back: the request itself is unusable, or the connection is.
fn unsent(error: &reqwest::Error) -> CallFailure {
    // A URL or key that makes no request is the operator's to mend; other providers still work.
    let class = if error.is_builder() { FailureClass::Auth } else { FailureClass::Connection };
    let unsent = error.is_builder() || error.is_connect();
    CallFailure { unsent, ..CallFailure::of(class) }
}

/// Reads an answer that comes in one piece, and checks that it is what was asked for; of an error,
/// what it means.
async fn whole_answer(
    response: &mut Response,
    protocol: Protocol,
    asking: &Asking<'_>,
) -> Result<ChatResponse, CallFailure> {
    let whole = unchecked_answer(response, protocol, asking).await?;
    let (status, usage) = (Some(response.status().as_u16()), whole.usage);
    let wrong = |class| CallFailure { status, usage, ..CallFailure::of(class) };
    check::check(asking.request, &whole).map_err(wrong)?;
    Ok(whole)
}

async fn unchecked_answer(
    response: &mut Response,
    protocol: Protocol,
    asking: &Asking<'_>,
) -> Result<ChatResponse, CallFailure> {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), SystemTime::now());
    let told = |class| CallFailure { status: Some(status), retry_after, ..CallFailure::of(class) };
    let body = whole_body(response).await.map_err(told)?;
    protocol.decode(&Answered { status, retry_after, body: &body }, asking)
}

async fn whole_body(response: &mut Response) -> Result<Vec<u8>, FailureClass> {
    let mut body = Vec::new();
    if response.content_length().is_some_and(|it| it > BODY_BYTES_MAX as u64) {
        return Err(FailureClass::Malformed);
    }
    while let Some(chunk) = response.chunk().await.map_err(|_| FailureClass::StreamCut)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(FailureClass::Malformed);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The pause a provider asks for: `retry-after-ms`, else `retry-after` in seconds or as a date (RFC
/// 9110, 10.2.3), of which one that is past asks for none. `now` is the wall clock's.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    let name = header::RETRY_AFTER.as_str();
    let ms = number("retry-after-ms").map(|it| it / 1_000.0);
    match ms.or_else(|| number(name)) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => {
            let date = httpdate::parse_http_date(text(name)?).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests;
