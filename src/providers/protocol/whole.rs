//! Answers in one piece, as far as the protocols read them alike.
//!
//! In: status and body; the pieces that a decoder made of them. Out: the body as a protocol has it,
//! a [`ChatResponse`], or a [`CallFailure`] with the usage that is paid anyway. Invariant: an answer
//! in one piece means what the same answer in pieces means. Not here: what stands in a body (see the
//! protocols).

use serde::de::DeserializeOwned;

use super::{Answered, Asking, Decode};
use crate::domain::{Assembly, ChatResponse, Delta, FailureClass, StreamEnd, Usage};
use crate::providers::call::CallFailure;
use crate::providers::quirks::Quirks;

/// Classes what is no answer.
pub(super) type Classify = fn(&Answered<'_>, &Quirks) -> CallFailure;

/// The body of an answer with a status of success.
///
/// # Errors
/// What `classify` says of another status; [`FailureClass::Malformed`] for a body that has not the
/// shape of `T`.
pub(super) fn body<T: DeserializeOwned>(
    answered: &Answered<'_>,
    asking: &Asking<'_>,
    classify: Classify,
) -> Result<T, CallFailure> {
    if !(200..300).contains(&answered.status) {
        return Err(classify(answered, asking.quirks));
    }
    let malformed = |_| answered.failed(FailureClass::Malformed, Usage::default());
    serde_json::from_slice(answered.body).map_err(malformed)
}

/// An answer out of its pieces.
pub(super) fn assembled(deltas: &[Delta], end: StreamEnd) -> ChatResponse {
    let mut assembly = Assembly::default();
    deltas.iter().for_each(|it| assembly.push(it));
    assembly.finish(end)
}

/// Reads an answer as the stream that it would have been.
///
/// # Errors
/// What `read` or the end says; what would be a cut stream is malformed in one piece.
pub(super) fn as_stream<D: Decode>(
    mut decoder: D,
    answered: &Answered<'_>,
    read: impl FnOnce(&mut D, &mut Vec<Delta>) -> Result<(), FailureClass>,
) -> Result<ChatResponse, CallFailure> {
    let mut deltas = Vec::new();
    let end = read(&mut decoder, &mut deltas).and_then(|()| decoder.finish(&mut deltas));
    let end = end.map_err(|class| match class {
        FailureClass::StreamCut => FailureClass::Malformed,
        other => other,
    });
    match end {
        Ok(end) => Ok(assembled(&deltas, end)),
        Err(class) => Err(answered.failed(class, decoder.usage())),
    }
}
