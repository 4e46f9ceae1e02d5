//! What a reader is given of an answer, whoever gave it.
//!
//! In: the pieces of one deployment after another. Out: [`ChainEvent`]s through the channel, and the
//! text so far. Invariant: what is put together is what the reader was told. The channel is small,
//! and the provider is read no faster than it empties. Not here: who is next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Permit, Sender};
use tokio::time::{Instant, timeout_at};

use super::resume::{Way, fits_behind_seam};
use crate::catalog::Deployment;
use crate::domain::{Assembly, Delta, FailureClass, Seam, StreamEnd, Usage};
use crate::providers::{CallFailure, DeltaStream, StreamItem};

/// Events that wait for a slow reader; more of them wait at the provider.
pub const EVENTS_MAX: usize = 16;

/// What a reader is told while an answer comes.
#[derive(Debug, Clone, PartialEq)]
pub enum ChainEvent {
    /// From here on this deployment answers; its first content follows.
    Committed(Answering),
    /// A piece of the answer.
    Delta(Delta),
    /// Who was answering broke off, and another goes on: everything that came stays valid.
    Switched {
        /// How it broke off.
        failure: FailureClass,
        /// Who goes on.
        answering: Answering,
        /// Bytes of text (UTF-8) that came so far, from which it goes on.
        at_bytes: u64,
    },
    /// Who was answering broke off, and another begins anew: nothing that came is valid.
    Restarted {
        /// How it broke off.
        failure: FailureClass,
        /// Who begins.
        answering: Answering,
    },
}

/// Who answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answering {
    /// Which.
    pub deployment: Arc<Deployment>,
    /// Calls made so far, this one included.
    pub attempts: usize,
    /// Parameters that it lacks and was not sent.
    pub dropped: Vec<String>,
}

/// Why an answer was not passed on to its end.
pub(super) enum Stopped {
    Failed(CallFailure),
    ReaderLeft,
}

/// An answer on its way to a reader.
pub(super) struct Passage<'a> {
    pub(super) events: &'a Sender<ChainEvent>,
    /// What was passed on so far.
    pub(super) assembly: Assembly,
    pub(super) seams: Vec<Seam>,
    /// What nobody whose part is in the answer was sent.
    pub(super) dropped: Vec<String>,
    /// What the parts before this one used.
    pub(super) usage: Usage,
    /// Output tokens of the parts before this one, see [`super::resume::tokens`].
    pub(super) tokens: u64,
    /// How the part before this one broke off, and how the answer goes on.
    pub(super) broken: Option<(FailureClass, Way)>,
    pub(super) ends_at: Instant,
}

impl<'a> Passage<'a> {
    /// Nothing was passed on yet.
    pub(super) fn new(events: &'a Sender<ChainEvent>, ends_at: Instant) -> Self {
        Self {
            events,
            assembly: Assembly::default(),
            seams: Vec::new(),
            dropped: Vec::new(),
            usage: Usage::default(),
            tokens: 0,
            broken: None,
            ends_at,
        }
    }

    /// The text that another deployment goes on from; empty where it begins an answer.
    pub(super) fn text(&self) -> &str {
        match self.broken {
            Some((_, Way::Continue)) => self.assembly.text(),
            Some((_, Way::Restart)) | None => "",
        }
    }

    /// Tells that a deployment answers from here on.
    pub(super) async fn begin(&mut self, answering: Answering) -> Result<(), Stopped> {
        let event = match self.broken {
            None => ChainEvent::Committed(answering.clone()),
            Some((failure, Way::Restart)) => {
                *self = Self::new(self.events, self.ends_at);
                ChainEvent::Restarted { failure, answering: answering.clone() }
            }
            Some((failure, Way::Continue)) => {
                let at_bytes = self.assembly.text().len() as u64;
                let deployment = answering.deployment.id.clone();
                self.seams.push(Seam { at_bytes, deployment });
                ChainEvent::Switched { failure, answering: answering.clone(), at_bytes }
            }
        };
        for name in answering.dropped {
            if !self.dropped.contains(&name) {
                self.dropped.push(name);
            }
        }
        self.place().await?.send(event);
        // The thought that broke off is a block of its own.
        if self.assembly.is_thinking() {
            self.delta(Delta::ReasoningEnd(None)).await?;
        }
        Ok(())
    }

    /// A place in the channel, once there is one.
    async fn place(&self) -> Result<Permit<'a, ChainEvent>, Stopped> {
        // A reader that does not read is bounded by the deadline, as a provider is.
        match timeout_at(self.ends_at, self.events.reserve()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(Stopped::ReaderLeft),
            Err(_) => Err(Stopped::Failed(CallFailure::of(FailureClass::Deadline))),
        }
    }

    /// Passes on a piece.
    pub(super) async fn delta(&mut self, delta: Delta) -> Result<(), Stopped> {
        // What has no place yet was not passed on, and does not count.
        let place = self.place().await?;
        self.assembly.push(&delta);
        place.send(ChainEvent::Delta(delta));
        Ok(())
    }

    /// Passes on everything that is still to come and belongs there.
    pub(super) async fn rest<S: DeltaStream>(
        &mut self,
        stream: &mut S,
        stall: Duration,
        place: Place,
    ) -> Result<StreamEnd, Stopped> {
        loop {
            let stalled = Instant::now() + stall;
            let (until, class) = if stalled < self.ends_at {
                (stalled, FailureClass::Stalled)
            } else {
                (self.ends_at, FailureClass::Deadline)
            };
            let next = tokio::select! {
                biased;
                () = self.events.closed() => return Err(Stopped::ReaderLeft),
                next = timeout_at(until, stream.next()) => next,
            };
            let status = Some(stream.status());
            let late = || CallFailure { status, usage: stream.usage(), ..CallFailure::of(class) };
            match next.unwrap_or_else(|_| Err(late())).map_err(Stopped::Failed)? {
                StreamItem::Delta(delta) if place.takes(&delta) => self.delta(delta).await?,
                StreamItem::Delta(_) => {}
                StreamItem::End(end) => return Ok(end),
            }
        }
    }
}

/// Where a part stands in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the first that says anything.
    First,
    /// It goes on with a text.
    BehindSeam,
}

impl Place {
    /// Whether a piece belongs into the answer.
    pub(super) fn takes(self, delta: &Delta) -> bool {
        match self {
            Self::First => true,
            Self::BehindSeam => fits_behind_seam(delta),
        }
    }
}
