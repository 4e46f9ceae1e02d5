//! Who waits for the encoder: one owner of the deep exit, a bounded queue before it, an exact cache
//! before that.
//!
//! In: requests from any number of tasks and threads. Out: [`Encoded`], or word that there is no time
//! for the deep exit. Invariant: what is known is answered before anyone queues; equal prompts under
//! way are read once; who left before his turn is skipped; the queue is bounded in prompts
//! ([`QUEUE_MAX`]) and, by each caller's time, in tokens. Not here: how much time there is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::cache::ReadingCache;
use super::load::Load;
use super::window::Texts;
use super::{EncodeError, Encoded, Encoder, Exit, Reading};
use crate::domain::ChatRequest;

/// Prompts that wait at most. More would wait longer than any deadline leaves room for: 64 prompts
/// of 128 tokens take 130 to 330 ms.
const QUEUE_MAX: usize = 64;
/// Tokens after which a batch takes in no more: room for the largest prompt of all, and 6 MB of
/// intermediate floats. A batch is hardly faster than its prompts one by one, so larger ones would
/// only make the first wait for the last.
const BATCH_TOKENS_MAX: usize = 1_024;

/// One prompt that waits.
struct Job {
    texts: Texts<'static>,
    /// What it was counted in with.
    tokens: usize,
    reply: Reply,
}

/// Where an answer goes: to a task or to a thread, each of which waits in its own way.
enum Reply {
    Task(oneshot::Sender<Reading>),
    Thread(std::sync::mpsc::SyncSender<Reading>),
}

impl Reply {
    /// Whether nobody waits any more. A thread cannot leave.
    fn is_closed(&self) -> bool {
        match self {
            Self::Task(waiting) => waiting.is_closed(),
            Self::Thread(_) => false,
        }
    }

    fn send(self, reading: Reading) {
        // An error says that he left in the meantime.
        let _ = match self {
            Self::Task(waiting) => waiting.send(reading).map_err(drop),
            Self::Thread(waiting) => waiting.try_send(reading).map_err(drop),
        };
    }
}

/// The encoder, with a queue and a cache before it. When it is dropped, its owner ends.
pub struct EncoderQueue {
    encoder: Arc<Encoder>,
    cache: ReadingCache,
    load: Arc<Load>,
    /// `None` when only the first exit is wanted.
    jobs: Option<mpsc::Sender<Job>>,
}

impl std::fmt::Debug for EncoderQueue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "EncoderQueue({:?}, deep: {})", self.encoder, self.jobs.is_some())
    }
}

/// Who reads deeply, a batch at a time.
struct Owner {
    encoder: Arc<Encoder>,
    jobs: mpsc::Receiver<Job>,
    load: Arc<Load>,
}

impl EncoderQueue {
    /// A queue for these exits, those that the artifact was trained for; starts a thread if there is
    /// a deep one among them.
    /// If that cannot be started, everything is read at the first exit.
    pub fn start(encoder: impl Into<Arc<Encoder>>, exits: &[u8]) -> Self {
        let (mut queue, owner) = Self::unstarted(encoder.into(), exits);
        if let Some(mut owner) = owner {
            let thread = std::thread::Builder::new().name("encoder".to_owned());
            if let Err(error) = thread.spawn(move || while owner.turn() {}) {
                tracing::error!(%error, "no thread for the encoder's layers: only the first exit");
                queue.jobs = None;
            }
        }
        queue
    }

    fn unstarted(encoder: Arc<Encoder>, exits: &[u8]) -> (Self, Option<Owner>) {
        let load = Arc::new(Load::new(encoder.backbone.ns_per_token()));
        let last = encoder.number(Exit::Last);
        let (sender, jobs) = mpsc::channel(QUEUE_MAX);
        let deep = last > 0 && exits.contains(&last);
        let cache = ReadingCache::new(&encoder);
        let owner = Owner { encoder: Arc::clone(&encoder), jobs, load: Arc::clone(&load) };
        (Self { encoder, cache, load, jobs: deep.then_some(sender) }, deep.then_some(owner))
    }

    /// Who computes.
    pub fn encoder(&self) -> &Arc<Encoder> {
        &self.encoder
    }

    /// Whether it reads at the exits that these say.
    pub fn is_for(&self, exits: &[u8]) -> bool {
        let last = self.encoder.number(Exit::Last);
        self.jobs.is_some() == (last > 0 && exits.contains(&last))
    }

    /// How many prompts wait.
    pub fn waiting(&self) -> usize {
        self.jobs.as_ref().map_or(0, |it| it.max_capacity() - it.capacity())
    }

    /// Reads at the first exit, here and now; tens of microseconds.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn shallow(&self, request: &ChatRequest) -> Result<Encoded, EncodeError> {
        let texts = Texts::of(request);
        let key = self.cache.key(&texts, Exit::First);
        if let Some(known) = self.cache.get(&key) {
            return Ok(Reading::clone(&known).of(request));
        }
        let reading = Arc::new(self.encoder.read(&texts, Exit::First)?);
        self.cache.keep(key, Arc::clone(&reading));
        Ok(Reading::clone(&reading).of(request))
    }

    /// Reads at the last exit, if the artifact knows it and it would take no longer than `allowed`.
    /// Otherwise there is nothing, at once, and [`Self::shallow`] is left.
    pub async fn deep(&self, request: &ChatRequest, allowed: Duration) -> Option<Encoded> {
        let jobs = self.jobs.as_ref()?;
        let texts = Texts::of(request);
        let key = self.cache.key(&texts, Exit::Last);
        let duty = match self.cache.get_or_duty(&key).await {
            Ok(known) => return Some(Reading::clone(&known).of(request)),
            Err(duty) => duty,
        };
        let (reply, waiting) = oneshot::channel();
        self.admit(jobs, texts, Reply::Task(reply), allowed)?;
        let reading = Arc::new(waiting.await.ok()?);
        duty.fulfil(Arc::clone(&reading));
        Some(Reading::clone(&reading).of(request))
    }

    /// As [`Self::deep`], by blocking the thread.
    pub fn deep_blocking(&self, request: &ChatRequest, allowed: Duration) -> Option<Encoded> {
        let jobs = self.jobs.as_ref()?;
        let texts = Texts::of(request);
        let key = self.cache.key(&texts, Exit::Last);
        let duty = match self.cache.get_or_duty_blocking(&key, allowed) {
            Ok(known) => return Some(Reading::clone(&known).of(request)),
            Err(duty) => duty?,
        };
        let (reply, waiting) = std::sync::mpsc::sync_channel(1);
        self.admit(jobs, texts, Reply::Thread(reply), allowed)?;
        let reading = Arc::new(waiting.recv().ok()?);
        duty.fulfil(Arc::clone(&reading));
        Some(Reading::clone(&reading).of(request))
    }

    /// Queues a prompt, if there is room and time.
    fn admit(
        &self,
        jobs: &mpsc::Sender<Job>,
        texts: Texts<'_>,
        reply: Reply,
        allowed: Duration,
    ) -> Option<()> {
        let tokens = texts.tokens_expected();
        if !self.load.enter(tokens, allowed) {
            return None;
        }
        let job = Job { texts: texts.into_owned(), tokens, reply };
        let queued = jobs.try_send(job);
        if queued.is_err() {
            self.load.leave(tokens);
        }
        queued.ok()
    }
}

impl Owner {
    /// Reads one batch; waits for its first prompt. False when nobody is left who could send one.
    fn turn(&mut self) -> bool {
        let Some(first) = self.jobs.blocking_recv() else { return false };
        let mut tokens = first.tokens;
        let mut batch = vec![first];
        while tokens < BATCH_TOKENS_MAX
            && let Ok(next) = self.jobs.try_recv()
        {
            tokens += next.tokens;
            batch.push(next);
        }
        batch.retain(|it| !it.reply.is_closed());
        let (start, read) = (Instant::now(), batch.iter().map(|it| it.tokens).sum());
        if let Err(error) = self.read(batch) {
            // Who waits hears that the answer will not come, and is read at the first exit.
            tracing::error!(%error, "a batch of prompts could not be encoded");
        }
        self.load.observe(read, start.elapsed());
        self.load.leave(tokens);
        true
    }

    fn read(&self, batch: Vec<Job>) -> Result<(), EncodeError> {
        if batch.is_empty() {
            return Ok(());
        }
        let windows = batch.iter().map(|it| self.encoder.windows(&it.texts));
        let windows = windows.collect::<Result<Vec<_>, _>>()?;
        let readings = self.encoder.through(&windows)?;
        for (job, reading) in batch.into_iter().zip(readings) {
            job.reply.send(reading);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
