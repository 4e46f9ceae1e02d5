//! A provider's stream, delayed or broken on its way.
//!
//! In: the real response, a [`Spoil`]. Out: its bytes, token by token, and how they break. Invariant:
//! only whole frames are passed on; what breaks never shows its end: the last piece of the answer and
//! everything after it are held back, since some protocols say the end in the last piece. What the
//! provider itself does wrong is passed on as it is. Not here: what a fault is.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::super::super::framing::{Frame, Framer};
use super::super::super::protocol::{Asking, Decode, Progress};
use super::super::super::provider::Protocol;
use super::{Broken, DRIP_EVERY, SILENCE_MAX, shape};
use crate::domain::Delta;

/// What a token is taken to be, in bytes of text: the rule of thumb for English (OpenAI, 2023), and
/// what the simulator takes.
const TOKEN_BYTES: usize = 4;
/// Most bytes held back while it is not known whether more follows: a long run of keep-alives.
const HELD_BYTES_MAX: usize = 1 << 20;

/// What is done to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoil {
    /// One token a second, after the first piece.
    Drip,
    /// It breaks.
    Break {
        /// After at least so many tokens; at its end, if it has fewer.
        after_tokens: u64,
        /// In which way.
        how: Break,
    },
}

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

/// The last frame of a stream that breaks so; nothing for those that break without words.
pub(super) fn last_words(protocol: Protocol, how: Break) -> Vec<u8> {
    match how {
        Break::Stall | Break::Close | Break::Reset => Vec::new(),
        Break::Malformed => shape::torn(protocol),
        Break::Overloaded => shape::overloaded(protocol),
    }
}

/// A stream that is spoiled.
pub(super) struct Spoiled {
    /// The provider's; gone when it is over, or broken.
    real: Option<reqwest::Response>,
    protocol: Protocol,
    spoil: Spoil,
    framer: Framer,
    decoder: Box<dyn Decode>,
    /// The frame so far.
    begun: Vec<u8>,
    /// The last piece of the answer so far and what followed, and its tokens.
    held: (Vec<u8>, u64),
    /// Tokens passed on.
    passed: u64,
    /// What comes next, each after so long.
    ready: VecDeque<(Bytes, Duration)>,
    /// The provider did something wrong: nothing is done to it any more.
    left_alone: bool,
}

impl Spoiled {
    pub(super) fn new(
        real: reqwest::Response,
        protocol: Protocol,
        asking: &Asking<'_>,
        spoil: Spoil,
    ) -> Self {
        Self {
            real: Some(real),
            protocol,
            spoil,
            framer: Framer::new(protocol.framing()),
            decoder: protocol.decoder(asking),
            begun: Vec::new(),
            held: (Vec::new(), 0),
            passed: 0,
            ready: VecDeque::new(),
            left_alone: false,
        }
    }

    /// The next bytes; `None` after the last.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        // Ends: each round takes from `ready` or from the provider.
        loop {
            if let Some((_, wait)) = self.ready.front() {
                sleep(*wait).await;
                return Ok(self.ready.pop_front().map(|(bytes, _)| bytes));
            }
            let Some(real) = &mut self.real else { return self.over().await };
            match real.chunk().await.map_err(|_| Broken)? {
                Some(bytes) if self.left_alone => return Ok(Some(bytes)),
                Some(bytes) => self.take(&bytes),
                None => self.input_ended(),
            }
        }
    }

    /// What comes when nothing more does.
    async fn over(&self) -> Result<Option<Bytes>, Broken> {
        match self.spoil {
            Spoil::Break { how: Break::Stall, .. } if !self.left_alone => {
                sleep(SILENCE_MAX).await;
                Err(Broken)
            }
            Spoil::Break { how: Break::Reset, .. } if !self.left_alone => Err(Broken),
            Spoil::Break { .. } | Spoil::Drip => Ok(None),
        }
    }

    /// Cuts at the ends of frames: a framer that is given byte after byte tells where they are.
    fn take(&mut self, bytes: &[u8]) {
        let mut frames = Vec::new();
        for (at, byte) in bytes.iter().enumerate() {
            self.begun.push(*byte);
            if self.framer.push(std::slice::from_ref(byte), &mut frames).is_err() {
                return self.leave_alone(&bytes[at + 1..]);
            }
            if frames.is_empty() {
                continue;
            }
            let segment = std::mem::take(&mut self.begun);
            match self.tokens(&std::mem::take(&mut frames)) {
                Ok((tokens, Progress::More)) => self.pass(segment, tokens),
                Ok((_, Progress::Ended)) => return self.ended(segment, &bytes[at + 1..]),
                Err(()) => {
                    self.begun = segment;
                    return self.leave_alone(&bytes[at + 1..]);
                }
            }
            if self.real.is_none() {
                return;
            }
        }
    }

    /// How many tokens frames hold; an error where the provider tells one.
    fn tokens(&mut self, frames: &[Frame]) -> Result<(u64, Progress), ()> {
        let (mut deltas, mut progress) = (Vec::new(), Progress::More);
        for frame in frames {
            progress = self.decoder.frame(frame, &mut deltas).map_err(|_| ())?;
        }
        let bytes: usize = deltas.iter().map(text_bytes).sum();
        Ok((bytes.div_ceil(TOKEN_BYTES) as u64, progress))
    }

    /// A frame that is not the last.
    fn pass(&mut self, segment: Vec<u8>, tokens: u64) {
        let Spoil::Break { after_tokens, .. } = self.spoil else {
            // The first token is not late: it is what follows that drips.
            let late = if self.passed == 0 { 0 } else { tokens };
            self.passed += tokens;
            let wait = DRIP_EVERY.saturating_mul(u32::try_from(late).unwrap_or(u32::MAX));
            self.ready.push_back((segment.into(), wait.min(SILENCE_MAX)));
            return;
        };
        if tokens > 0 {
            let (held, before) = std::mem::take(&mut self.held);
            self.passed += before;
            self.ready.push_back((held.into(), Duration::ZERO));
            self.held.1 = tokens;
        }
        self.held.0.extend_from_slice(&segment);
        let enough = tokens > 0 && self.passed >= after_tokens;
        if enough || self.held.0.len() > HELD_BYTES_MAX {
            self.break_off();
        }
    }

    /// The provider's end mark, and what stands behind it.
    fn ended(&mut self, segment: Vec<u8>, rest: &[u8]) {
        match self.spoil {
            Spoil::Break { .. } => self.break_off(),
            Spoil::Drip => {
                self.begun = segment;
                self.leave_alone(rest);
            }
        }
    }

    fn input_ended(&mut self) {
        match self.spoil {
            Spoil::Break { .. } => self.break_off(),
            Spoil::Drip => {
                self.real = None;
                let begun = std::mem::take(&mut self.begun);
                self.ready.push_back((begun.into(), Duration::ZERO));
            }
        }
    }

    /// Leaves the provider, and says the last words.
    fn break_off(&mut self) {
        self.real = None;
        self.held = (Vec::new(), 0);
        if let Spoil::Break { how, .. } = self.spoil {
            self.ready.push_back((last_words(self.protocol, how).into(), Duration::ZERO));
        }
    }

    /// Passes on everything that was kept, and from now on all there is.
    fn leave_alone(&mut self, rest: &[u8]) {
        self.left_alone = true;
        let mut all = std::mem::take(&mut self.held.0);
        all.append(&mut self.begun);
        all.extend_from_slice(rest);
        self.ready.push_back((all.into(), Duration::ZERO));
    }
}

/// The bytes of text in a piece of an answer.
fn text_bytes(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) => text.len(),
        Delta::Reasoning(text) => text.len(),
        Delta::Arguments { fragment, .. } => fragment.len(),
        // Its name is content: without it the call could not be told.
        Delta::ToolCall { name, .. } => name.len(),
        Delta::ReasoningEnd(_) | Delta::Logprobs(_) => 0,
    }
}
