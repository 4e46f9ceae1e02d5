//! What one call gets: decided at once on arrival, carried out by the server.
//!
//! In: a call with its fault, what is asked. Out: an [`Act`] and its line in the log. Invariant:
//! pure but for the call's own random stream. Not here: sockets and clocks.

use std::time::Duration;

use axum::body::Bytes;

use super::{
    answer,
    faults::Fault,
    ledger::{Call, CallLog},
    model::{WAIT_MAX, seconds},
    refusal::{self, Refusal},
    request::ChatAsk,
};

/// What a refusal takes of the usual time to the first token: no model has to run for it.
const REFUSAL_SHARE: f64 = 0.1;

/// How a call ends.
pub(super) enum Ending {
    /// 200 with this body.
    Body(Bytes),
    /// 200 with the first half of this body, then a reset.
    HalfBody(Bytes),
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
}

/// Decides on a call.
pub(super) fn decide(mut call: Call, ask: &ChatAsk) -> (Act, CallLog) {
    let drawn = call.model.draw(&mut call.rng);
    let content = answer::content(ask, drawn, call.number, &mut call.rng);
    let whole = || Bytes::from(answer::completion(ask, &content, call.number).to_string());
    let refused = |it| (Ending::Refused(it), drawn.first_token.mul_f64(REFUSAL_SHARE));
    let answered = drawn.first_token + seconds(drawn.token_s * content.tokens as f64);
    let (ending, wait) = match call.fault {
        None => (Ending::Body(whole()), answered),
        Some(Fault::SlowFirstToken(late)) => (Ending::Body(whole()), answered.saturating_add(late)),
        Some(Fault::ResetInBody) => (Ending::HalfBody(whole()), answered),
        Some(Fault::Empty) => {
            let empty = answer::completion(ask, &answer::nothing(), call.number);
            (Ending::Body(Bytes::from(empty.to_string())), drawn.first_token)
        }
        Some(Fault::Malformed) => {
            let body = Bytes::from_static(b"<html><body>upstream connect error</body></html>");
            (Ending::Body(body), drawn.first_token)
        }
        Some(Fault::ErrorInside200) => {
            (Ending::Body(Bytes::from(refusal::inside_200().to_string())), drawn.first_token)
        }
        Some(Fault::Status { code, retry_after }) => refused(refusal::of_status(code, retry_after)),
        Some(Fault::ContextTooLong) => refused(refusal::context_too_long(ask.prompt_tokens)),
        Some(Fault::ContentFilter) => refused(refusal::content_filter()),
        Some(Fault::WrongModel) => refused(refusal::wrong_model(&call.model.model_id)),
        Some(Fault::Auth) => refused(refusal::auth()),
        Some(Fault::Reset) => (Ending::Reset, drawn.first_token.mul_f64(REFUSAL_SHARE)),
        Some(Fault::Hang) => (Ending::Hang, Duration::ZERO),
    };
    let log = log(&call, ask, content.tokens, drawn.right, &ending);
    (Act { wait: wait.min(WAIT_MAX), ending }, log)
}

fn log(call: &Call, ask: &ChatAsk, tokens: usize, right: bool, ending: &Ending) -> CallLog {
    let answers = matches!(call.fault, None | Some(Fault::SlowFirstToken(_) | Fault::ResetInBody));
    let begun = answers || call.fault == Some(Fault::Empty);
    CallLog {
        model_id: call.model.model_id.clone(),
        at_ms: call.at_ms,
        fault: call.fault,
        status: match ending {
            Ending::Body(_) | Ending::HalfBody(_) => Some(200),
            Ending::Refused(refusal) => Some(refusal.status.as_u16()),
            Ending::Reset | Ending::Hang => None,
        },
        prompt_tokens: if begun { ask.prompt_tokens } else { 0 },
        completion_tokens: if answers { tokens as u64 } else { 0 },
        right: right && answers && call.fault != Some(Fault::ResetInBody),
    }
}
