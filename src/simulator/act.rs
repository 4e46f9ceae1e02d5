//! What one call gets: decided at once on arrival, carried out by the server.
//!
//! In: a call with its fault, what is asked. Out: an [`Act`] and its line in the log. Invariant:
//! pure but for the call's own random stream; a stream says exactly what the whole answer would.
//! Not here: sockets and clocks.

use std::time::Duration;

use axum::body::Bytes;

use super::{
    answer::{self, Content, Finish},
    ledger::{Call, CallLog},
    model::{Draw, WAIT_MAX, seconds},
    protocol::{Dialect, Reply},
    refusal::{Refusal, Why},
    request::ChatAsk,
    stream::{Break, Plan},
};
use crate::domain::Fault;

/// What a refusal takes of the usual time to the first token: no model has to run for it.
const REFUSAL_SHARE: f64 = 0.1;
/// Seconds for each token of a dripping answer.
const DRIP_TOKEN_S: f64 = 1.0;

/// How a call ends.
pub(super) enum Ending {
    /// 200 with this body.
    Body(Bytes),
    /// 200 with the first half of this body, then a reset.
    HalfBody(Bytes),
    /// 200 with a stream.
    Stream(Box<Reply>, Plan),
    /// An error status.
    Refused(Refusal),
    /// A reset.
    Reset,
    /// Nothing.
    Hang,
}

/// How a call ends, and when.
pub(super) struct Act {
    pub(super) wait: Duration,
    pub(super) ending: Ending,
    /// What a whole body holds.
    pub(super) tokens: u64,
}

/// What is known of a call before its fault.
struct Scene<'a> {
    call: &'a Call,
    drawn: Draw,
    dialect: Dialect,
    reply: Reply,
}

/// Decides on a call.
pub(super) fn decide(mut call: Call, ask: &ChatAsk, dialect: Dialect) -> (Act, CallLog) {
    let timing = call.model.draw(&mut call.rng);
    let mut words = call.words(&ask.conversation);
    let said = call.model.draw(&mut words);
    let drawn = match call.model.continues {
        true => Draw { tokens: said.tokens, right: said.right, ..timing },
        false => timing,
    };
    let content = answer::content(ask, drawn, call.number, &mut words);
    let tokens = content.tokens();
    let reply = Reply {
        model_id: ask.model_id.clone(),
        number: call.number,
        prompt_tokens: ask.prompt_tokens,
        usage_in_stream: ask.usage_in_stream,
        thinks: ask.thinks,
        content,
    };
    let scene = Scene { call: &call, drawn, dialect, reply };
    let act = match scene.refused() {
        Some((ending, wait)) => Act { wait: wait.min(WAIT_MAX), ending, tokens: 0 },
        None if ask.streamed => scene.streamed(),
        None => scene.whole(),
    };
    let mut log = log(&call, ask, dialect, &act.ending);
    if answers(call.fault) {
        log.completion_tokens = tokens;
        log.right = drawn.right && !breaks(call.fault);
    }
    (act, log)
}

impl Scene<'_> {
    /// What ends before any answer, in the same way streamed or not.
    fn refused(&self) -> Option<(Ending, Duration)> {
        let soon = self.drawn.first_token.mul_f64(REFUSAL_SHARE);
        let refused = |it| Some((Ending::Refused(it), soon));
        match self.call.fault? {
            Fault::Status { code, retry_after } => refused(Refusal::of_status(code, retry_after)),
            Fault::ContextTooLong => {
                refused(Refusal::of(Why::ContextTooLong(self.reply.prompt_tokens)))
            }
            Fault::WrongModel => refused(Refusal::wrong_model(&self.call.model.model_id)),
            Fault::Auth => refused(Refusal::of(Why::Auth)),
            Fault::Quota => refused(Refusal::of(Why::Quota)),
            Fault::Unsupported => refused(Refusal::of(Why::Unsupported)),
            Fault::ContentFilter => match self.dialect {
                Dialect::OpenAi | Dialect::Ollama => refused(Refusal::of(Why::ContentFilter)),
                Dialect::Anthropic | Dialect::Gemini | Dialect::Bedrock => None,
            },
            Fault::Reset => Some((Ending::Reset, soon)),
            Fault::Hang => Some((Ending::Hang, Duration::ZERO)),
            Fault::ResetInBody
            | Fault::Empty
            | Fault::Malformed
            | Fault::ErrorInside200
            | Fault::SlowFirstToken(_)
            | Fault::Stall { .. }
            | Fault::Drip
            | Fault::CutAfter { .. }
            | Fault::NoEndMark
            | Fault::MalformedChunk { .. }
            | Fault::ErrorInStream { .. } => None,
        }
    }

    fn whole(mut self) -> Act {
        let tokens = self.reply.tokens();
        let (first, token_s) = (self.drawn.first_token, self.drawn.token_s);
        let all = first + seconds(token_s * tokens as f64);
        let body = |it: &Self| Bytes::from(it.dialect.voice().whole(&it.reply).to_string());
        let (ending, wait, tokens) = match self.call.fault {
            Some(Fault::SlowFirstToken(late)) => {
                (Ending::Body(body(&self)), all.saturating_add(late), tokens)
            }
            Some(Fault::Drip) => {
                let dripped = seconds(DRIP_TOKEN_S * tokens as f64);
                (Ending::Body(body(&self)), first + dripped, tokens)
            }
            Some(Fault::ResetInBody | Fault::CutAfter { .. } | Fault::NoEndMark) => {
                (Ending::HalfBody(body(&self)), all, tokens / 2)
            }
            Some(Fault::Stall { .. }) => (Ending::Hang, Duration::ZERO, 0),
            Some(Fault::Malformed | Fault::MalformedChunk { .. }) => {
                let page = b"<html><body>upstream connect error</body></html>";
                (Ending::Body(Bytes::from_static(page)), first, 0)
            }
            Some(Fault::ErrorInside200 | Fault::ErrorInStream { .. }) => {
                let error = self.dialect.voice().inside_200().to_string();
                (Ending::Body(Bytes::from(error)), first, 0)
            }
            Some(fault @ (Fault::Empty | Fault::ContentFilter)) => {
                self.reply.content = nothing(fault);
                (Ending::Body(body(&self)), first, 0)
            }
            // The others are refusals, see `refused`.
            _ => (Ending::Body(body(&self)), all, tokens),
        };
        Act { wait: wait.min(WAIT_MAX), ending, tokens }
    }

    fn streamed(mut self) -> Act {
        let (first_token, token_s) = (self.drawn.first_token, self.drawn.token_s);
        let mut plan = Plan { first_token, token_s, break_at: None };
        let tokens = self.reply.tokens();
        let after = |tokens: u32, it: Break| Some((u64::from(tokens), it));
        match self.call.fault {
            Some(Fault::SlowFirstToken(late)) => {
                plan.first_token = plan.first_token.saturating_add(late);
            }
            Some(Fault::Drip) => plan.token_s = DRIP_TOKEN_S,
            Some(Fault::ResetInBody) => plan.break_at = Some((tokens / 2, Break::Reset)),
            Some(Fault::Stall { after_tokens }) => {
                plan.break_at = after(after_tokens, Break::Stall);
            }
            Some(Fault::CutAfter { tokens }) => plan.break_at = after(tokens, Break::Close),
            Some(Fault::NoEndMark) => plan.break_at = Some((u64::MAX, Break::Close)),
            Some(Fault::MalformedChunk { after_tokens }) => {
                plan.break_at = after(after_tokens, Break::Malformed);
            }
            Some(Fault::ErrorInStream { after_tokens }) => {
                plan.break_at = after(after_tokens, Break::Overloaded);
            }
            Some(Fault::Malformed) => plan.break_at = Some((0, Break::Malformed)),
            Some(Fault::ErrorInside200) => plan.break_at = Some((0, Break::Overloaded)),
            Some(fault @ (Fault::Empty | Fault::ContentFilter)) => {
                self.reply.content = nothing(fault);
            }
            // The others are refusals, see `refused`.
            _ => {}
        }
        plan.first_token = plan.first_token.min(WAIT_MAX);
        let ending = Ending::Stream(Box::new(self.reply), plan);
        Act { wait: Duration::ZERO, ending, tokens: 0 }
    }
}

fn nothing(fault: Fault) -> Content {
    let filtered = fault == Fault::ContentFilter;
    Content::nothing(if filtered { Finish::Filtered } else { Finish::Stop })
}

/// Whether an answer is begun at least.
fn answers(fault: Option<Fault>) -> bool {
    match fault {
        None => true,
        Some(
            Fault::SlowFirstToken(_)
            | Fault::ResetInBody
            | Fault::Stall { .. }
            | Fault::Drip
            | Fault::CutAfter { .. }
            | Fault::NoEndMark
            | Fault::MalformedChunk { .. }
            | Fault::ErrorInStream { .. },
        ) => true,
        Some(
            Fault::Status { .. }
            | Fault::Reset
            | Fault::Hang
            | Fault::Empty
            | Fault::Malformed
            | Fault::ErrorInside200
            | Fault::ContextTooLong
            | Fault::ContentFilter
            | Fault::WrongModel
            | Fault::Auth
            | Fault::Quota
            | Fault::Unsupported,
        ) => false,
    }
}

/// Whether an answer that is begun does not end as it should.
pub(super) fn breaks(fault: Option<Fault>) -> bool {
    answers(fault) && !matches!(fault, None | Some(Fault::SlowFirstToken(_) | Fault::Drip))
}

fn log(call: &Call, ask: &ChatAsk, protocol: Dialect, ending: &Ending) -> CallLog {
    // An answer that says nothing tells what the prompt used all the same; a refusal does not.
    let refused = matches!(ending, Ending::Refused(_));
    let silent = matches!(call.fault, Some(Fault::Empty | Fault::ContentFilter)) && !refused;
    let begun = answers(call.fault) || silent;
    CallLog {
        model_id: call.model.model_id.clone(),
        at_ms: call.at_ms,
        fault: call.fault,
        status: match ending {
            Ending::Body(_) | Ending::HalfBody(_) | Ending::Stream(..) => Some(200),
            Ending::Refused(refusal) => Some(refusal.status(protocol)),
            Ending::Reset | Ending::Hang => None,
        },
        asked_tokens: ask.prompt_tokens,
        prompt_tokens: if begun { ask.prompt_tokens } else { 0 },
        completion_tokens: 0,
        right: false,
        protocol,
        streamed: ask.streamed,
        images: ask.heard.images,
        tools: ask.heard.tools,
        system_bytes: ask.heard.system_bytes,
        messages: ask.heard.messages,
        delivered_tokens: 0,
        client_left: false,
        ended_at_ms: None,
    }
}
