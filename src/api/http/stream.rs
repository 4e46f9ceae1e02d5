//! An answer in pieces, over server-sent events.
//!
//! In: a [`RoutedStream`]. Out: a response whose body is pulled: each read asks the pipeline for one
//! event, so that a slow reader slows the provider down and nothing piles up. Invariant: an error
//! before the first content has its own status, as long as that comes within [`HEADERS_WAIT`];
//! every other one is told in-band. Dropping the body drops the stream, which ends the call.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use http::{HeaderValue, Response, header};
use tokio::time::{Instant, timeout};

use super::details::{self, Explain};
use super::dialect::{About, Delivery, Dialect, Event, Teller};
use super::handler::{call, ended, told_cached, told_dropped};
use super::said::Wanted;
use super::{Face, problem, sse};
use crate::api::fault::{self, Fault};
use crate::dispatch::{Answering, ChainEvent};
use crate::domain::Seam;
use crate::pipeline::{PipelineError, RouteEvent, RoutedStream};

/// The longest that headers wait for the first content. Longer, and clients and proxies that time
/// out on silent connections (many at 15 to 30 s) would give up on a model that thinks.
const HEADERS_WAIT: Duration = Duration::from_secs(10);
/// Silence after which a comment is sent: below the shortest idle timeouts of proxies in use (15 s).
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

type Next = Result<RouteEvent, PipelineError>;

/// Where events come from: the pipeline, or a script in tests.
pub(super) trait Source: Send + 'static {
    /// The next event. May be dropped while it waits, and asked again.
    fn next(&mut self) -> impl Future<Output = Next> + Send;
}

impl Source for RoutedStream {
    fn next(&mut self) -> impl Future<Output = Next> + Send {
        Self::next(self)
    }
}

/// Routes, waits for the first content, and answers with the stream.
pub(super) async fn respond<D: Dialect>(
    face: &Face,
    wanted: Wanted,
    arrived: Instant,
) -> Result<Response<Body>, Fault> {
    let how = How { delivery: wanted.delivery, explain: wanted.explain() };
    let (about, call) = call(wanted, arrived);
    let stream = face.pipeline.route_stream(call).await.map_err(|it| fault::broken(&it))?;
    let about = About { id: stream.decision.id.to_string(), ..about };
    let cached = stream.cached;
    let mut answer = tell::<D, _>(stream, about, how).await?;
    told_cached(answer.headers_mut(), cached);
    Ok(answer)
}

/// How a stream is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// With or without usage.
    pub(super) delivery: Delivery,
    /// With or without reasons.
    pub(super) explain: Explain,
}

/// Waits for the first event and makes a response of it.
pub(super) async fn tell<D: Dialect, S: Source>(
    mut source: S,
    mut about: About,
    how: How,
) -> Result<Response<Body>, Fault> {
    let first = match timeout(HEADERS_WAIT, source.next()).await {
        Ok(Ok(event)) => Some(event),
        Ok(Err(error)) => return Err(fault::broken(&error)),
        Err(_) => None,
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would gather the pieces.
    problem::insert(headers, "x-accel-buffering", "no");
    problem::insert(headers, "x-pointsman-decision", &about.id);
    match &first {
        Some(RouteEvent::Chain(ChainEvent::Committed(answering))) => {
            let Answering { deployment, attempts, dropped } = answering;
            about.model = deployment.model.name.to_string();
            problem::insert(headers, "x-pointsman-model", &about.model);
            problem::insert(headers, "x-pointsman-deployment", deployment.id.as_str());
            problem::insert(headers, "x-pointsman-attempts", &attempts.to_string());
            told_dropped(headers, dropped);
        }
        Some(RouteEvent::Ended(routed)) => {
            ended(routed, how.explain)?;
        }
        Some(RouteEvent::Chain(
            ChainEvent::Delta(_) | ChainEvent::Switched { .. } | ChainEvent::Restarted { .. },
        ))
        | None => {}
    }
    let begin = match first {
        Some(event) => Begin::With(Box::new(event)),
        None => Begin::Late,
    };
    let telling: Telling<D, S> =
        Telling { source, about, how, teller: None, phase: Phase::Begin(begin) };
    let body = unfold(telling, |mut it| async move {
        let bytes = it.next_bytes().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), it))
    });
    *response.body_mut() = Body::from_stream(body);
    Ok(response)
}

/// What the body starts with.
enum Begin {
    /// The event that the headers waited for.
    With(Box<RouteEvent>),
    /// A comment: the headers waited long enough.
    Late,
}

enum Phase {
    Begin(Begin),
    Under,
    Over,
}

/// A stream that is being told.
struct Telling<D: Dialect, S> {
    source: S,
    about: About,
    how: How,
    /// Made when it is known who answers.
    teller: Option<D::Teller>,
    phase: Phase,
}

impl<D: Dialect, S: Source> Telling<D, S> {
    /// The next bytes of the body; `None` after the last.
    async fn next_bytes(&mut self) -> Option<Bytes> {
        // Ends: each round takes an event, and a chain has an end.
        loop {
            let next = match std::mem::replace(&mut self.phase, Phase::Under) {
                Phase::Over => {
                    self.phase = Phase::Over;
                    return None;
                }
                Phase::Begin(Begin::Late) => return Some(Bytes::from_static(KEEP_ALIVE)),
                Phase::Begin(Begin::With(event)) => Ok(*event),
                Phase::Under => match timeout(KEEP_ALIVE_EVERY, self.source.next()).await {
                    Ok(next) => next,
                    Err(_) => return Some(Bytes::from_static(KEEP_ALIVE)),
                },
            };
            let mut out = Vec::new();
            self.take(next, &mut out);
            if !out.is_empty() {
                return Some(sse::bytes(&out).into());
            }
        }
    }

    fn take(&mut self, next: Next, out: &mut Vec<Event>) {
        match next {
            Ok(RouteEvent::Chain(ChainEvent::Committed(Answering { deployment, .. }))) => {
                self.about.model = deployment.model.name.to_string();
            }
            Ok(RouteEvent::Chain(ChainEvent::Switched { failure, answering, at_bytes })) => {
                let deployment = answering.deployment.id.clone();
                let told = details::of_switch(&Seam { at_bytes, deployment }, failure);
                self.teller().switched(told, out);
            }
            // No policy of this face asks for it (see `said`), and it could not be told.
            Ok(RouteEvent::Chain(ChainEvent::Restarted { .. })) => {
                self.phase = Phase::Over;
                self.fail(&fault::broken(&PipelineError::Interrupted), out);
            }
            Ok(RouteEvent::Chain(ChainEvent::Delta(delta))) => self.teller().delta(delta, out),
            Ok(RouteEvent::Ended(routed)) => {
                self.phase = Phase::Over;
                match ended(&routed, self.how.explain) {
                    Ok((end, details)) => self.teller().end(end, details, out),
                    Err(fault) => self.fail(&fault, out),
                }
            }
            Err(error) => {
                self.phase = Phase::Over;
                self.fail(&fault::broken(&error), out);
            }
        }
    }

    fn fail(&mut self, fault: &Fault, out: &mut Vec<Event>) {
        let problem = problem::problem(fault, self.how.explain);
        self.teller().fail(&problem, out);
    }

    fn teller(&mut self) -> &mut D::Teller {
        let (about, delivery) = (&self.about, self.how.delivery);
        self.teller.get_or_insert_with(|| D::teller(about.clone(), delivery))
    }
}

const KEEP_ALIVE: &[u8] = sse::KEEP_ALIVE.as_bytes();

#[cfg(test)]
mod tests;
