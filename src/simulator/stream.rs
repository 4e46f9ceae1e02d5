//! An answer as it is streamed: piece by piece, at the model's speed, and how that breaks.
//!
//! In: a [`Reply`] and a [`Plan`]. Out: a body; at its end, or when the connection drops it, a note
//! in the log. Invariant: the pieces together are the answer's text, byte for byte; only one piece
//! is made at a time, so that an open stream holds little more than its answer. Not here: what the
//! pieces look like (see `protocol`).

use std::{io, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    answer::{Block, TOKEN_BYTES},
    connection::ResetSwitch,
    ledger::{Client, Ledger, LogId},
    model::seconds,
    protocol::{Dialect, Event, Reply, Spot},
};

/// A hanging call is reset after this long: above the usual timeout for a first token.
pub(super) const HANG_MAX: Duration = Duration::from_secs(60);
/// How long calls under way may go on when the simulator stops.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(2);
/// Tokens in a piece where no time passes between them.
const TOKENS_AT_ONCE: u64 = 4;

/// How a stream breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// Silence, then a reset.
    Stall,
    /// An orderly end.
    Close,
    /// A reset.
    Reset,
    /// A frame that does not parse, then an orderly end.
    Malformed,
    /// The provider's error, then an orderly end.
    Overloaded,
}

/// When the tokens come, and after how many of them something breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    pub(super) first_token: Duration,
    pub(super) token_s: f64,
    pub(super) break_at: Option<(u64, Break)>,
}

/// Tells the log how a call ended. Dropped before it was told, the client has left.
pub(super) struct Delivery {
    ledger: Arc<Ledger>,
    id: LogId,
    tokens: u64,
    over: bool,
}

impl Delivery {
    pub(super) fn new(ledger: Arc<Ledger>, id: LogId) -> Self {
        Self { ledger, id, tokens: 0, over: false }
    }

    fn gave(&mut self, tokens: u64) {
        self.tokens += tokens;
    }

    fn end(&mut self) {
        if !self.over {
            self.over = true;
            self.ledger.close(self.id, self.tokens, Client::Stayed);
        }
    }

    /// All is given, so many tokens in all.
    pub(super) fn done(mut self, tokens: u64) {
        self.tokens = tokens;
        self.end();
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.over {
            self.ledger.close(self.id, self.tokens, Client::Left);
        }
    }
}

/// What a call needs to go on after its headers.
pub(super) struct Line {
    pub(super) delivery: Delivery,
    pub(super) switch: ResetSwitch,
    pub(super) stopped: watch::Receiver<bool>,
}

/// The body of a stream.
pub(super) fn body(dialect: Dialect, reply: Reply, plan: Plan, line: Line) -> Body {
    let streamer = Streamer {
        dialect,
        reply,
        plan,
        line,
        begun: Instant::now(),
        next: Next::Start,
        spoken: 0,
        call: 0,
    };
    Body::from_stream(stream::unfold(streamer, |mut it| async move {
        let piece = it.piece().await?;
        Some((piece, it))
    }))
}

/// The first half of a whole body, which is on the wire before the connection is reset.
pub(super) fn half(body: &Bytes, tokens: u64, mut line: Line) -> Body {
    line.delivery.gave(tokens);
    let first = Some(body.slice(..body.len() / 2));
    Body::from_stream(stream::unfold((first, line), |(first, mut line)| async move {
        match first {
            Some(first) => Some((Ok(first), (None, line))),
            None => Some((reset(&mut line).await, (None, line))),
        }
    }))
}

/// Returns when the simulator stops, or its handle is gone.
pub(super) async fn ended(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the same.
    let _ = stopped.wait_for(|it| *it).await;
}

/// What comes next in a stream.
#[derive(Debug, Clone, Copy)]
enum Next {
    Start,
    /// From this byte of this block on.
    Say {
        at: usize,
        from: usize,
    },
    Finish,
    Over,
}

struct Streamer {
    dialect: Dialect,
    reply: Reply,
    plan: Plan,
    line: Line,
    begun: Instant,
    next: Next,
    /// Tokens so far.
    spoken: u64,
    /// Tool calls so far.
    call: usize,
}

type Piece = Option<io::Result<Bytes>>;

impl Streamer {
    async fn piece(&mut self) -> Piece {
        let mut out = Vec::new();
        // Events that look like nothing are passed over; each step comes nearer to the end.
        while out.is_empty() {
            match self.next {
                Next::Start => {
                    self.next = Next::Say { at: 0, from: 0 };
                    // A stream that is broken from the first frame on has no good one before.
                    if !matches!(
                        self.plan.break_at,
                        Some((0, Break::Malformed | Break::Overloaded))
                    ) {
                        self.event(Event::Start, &mut out);
                    }
                }
                Next::Over => {
                    self.line.delivery.end();
                    return None;
                }
                Next::Say { .. } | Next::Finish => {
                    if !self.wait().await {
                        return Some(reset(&mut self.line).await);
                    }
                    if let Some(broken) = self.due_break() {
                        return self.broken(broken).await;
                    }
                    match self.next {
                        Next::Say { at, from } => self.say(at, from, &mut out),
                        Next::Start | Next::Finish | Next::Over => self.finish(&mut out),
                    }
                }
            }
        }
        Some(Ok(out.into()))
    }

    /// Until the next token is due; false when the simulator stops before.
    async fn wait(&self) -> bool {
        let due =
            self.begun + self.plan.first_token + seconds(self.plan.token_s * self.spoken as f64);
        if due <= Instant::now() {
            return true;
        }
        self.line.until(sleep_until(due), STOP_GRACE).await
    }

    fn due_break(&self) -> Option<Break> {
        let (tokens, broken) = self.plan.break_at?;
        let all_said = match self.next {
            Next::Say { at, .. } => at >= self.reply.content.blocks.len(),
            Next::Start => false,
            Next::Finish | Next::Over => true,
        };
        (self.spoken >= tokens || all_said).then_some(broken)
    }

    fn say(&mut self, at: usize, from: usize, out: &mut Vec<u8>) {
        let most = if self.plan.token_s > 0.0 { 1 } else { TOKENS_AT_ONCE };
        let left = self.plan.break_at.map_or(u64::MAX, |(tokens, _)| tokens - self.spoken);
        let Some(block) = self.reply.content.blocks.get(at) else {
            self.next = Next::Finish;
            return;
        };
        let (text, spot) = (block.text(), Spot { at, call: self.call, block });
        let bytes = usize::try_from(most.min(left)).unwrap_or(1).max(1) * TOKEN_BYTES;
        let to = text.ceil_char_boundary((from + bytes).min(text.len()));
        if from == 0 {
            self.event(Event::Open(spot), out);
        }
        self.event(Event::Part(spot, &text[from..to]), out);
        let (all, is_call) = (to == text.len(), matches!(block, Block::Call { .. }));
        if all {
            self.event(Event::Close(spot), out);
        }
        let tokens = (to.div_ceil(TOKEN_BYTES) - from.div_ceil(TOKEN_BYTES)) as u64;
        self.spoken += tokens;
        self.line.delivery.gave(tokens);
        self.call += usize::from(all && is_call);
        self.next =
            if all { Next::Say { at: at + 1, from: 0 } } else { Next::Say { at, from: to } };
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.event(Event::End, out);
        self.next = Next::Over;
        // Noted with the last piece: a client may hang up as soon as it has that.
        self.line.delivery.end();
    }

    async fn broken(&mut self, broken: Break) -> Piece {
        let mut out = Vec::new();
        self.next = Next::Over;
        match broken {
            Break::Close => {
                self.line.delivery.end();
                return None;
            }
            Break::Reset => return Some(reset(&mut self.line).await),
            Break::Stall => {
                self.line.until(sleep(HANG_MAX), Duration::ZERO).await;
                return Some(reset(&mut self.line).await);
            }
            Break::Malformed => self.event(Event::Broken, &mut out),
            Break::Overloaded => self.event(Event::Overloaded, &mut out),
        }
        self.line.delivery.end();
        Some(Ok(out.into()))
    }

    fn event(&self, event: Event<'_>, out: &mut Vec<u8>) {
        self.dialect.voice().event(&self.reply, event, out);
    }
}

impl Line {
    /// Whether the wait ended before the simulator stopped and its grace was over.
    pub(super) async fn until(&self, wait: impl Future<Output = ()>, grace: Duration) -> bool {
        tokio::select! {
            () = wait => true,
            () = async { ended(self.stopped.clone()).await; sleep(grace).await } => false,
        }
    }
}

async fn reset(line: &mut Line) -> io::Result<Bytes> {
    // The connection flushes what it has when the body lets it wait.
    tokio::task::yield_now().await;
    line.delivery.end();
    line.switch.throw();
    Err(io::Error::from(io::ErrorKind::ConnectionReset))
}
