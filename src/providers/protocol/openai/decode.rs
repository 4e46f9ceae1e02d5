//! The body of a chat completion as an answer, or as the way in which it failed.
//!
//! In: status and body. Out: [`ChatResponse`] or [`CallFailure`] with the usage that is paid
//! anyway. Invariant: read as a stream of one chunk, so that streams and answers in one piece mean
//! the same. Not here: validation against a JSON schema.

use serde::de::IgnoredAny;

use super::super::{Answered, Asking, whole};
use super::classify::classify;
use super::reader::Reader;
use super::wire::{Body, Choice};
use crate::domain::{ChatResponse, FailureClass, StreamEnd, Usage};
use crate::providers::call::CallFailure;

/// Reads what came back.
///
/// # Errors
/// [`CallFailure`] with the class of `failure.md`'s table.
pub(in super::super) fn decode(
    answered: &Answered<'_>,
    asking: &Asking<'_>,
) -> Result<ChatResponse, CallFailure> {
    let body: Body = whole::body(answered, asking, classify)?;
    if body.is_error() {
        return Err(classify(answered, asking.quirks));
    }
    let usage = body.usage().unwrap_or_default();
    let choice = body.choices.unwrap_or_default().into_iter().next();
    let read = choice.ok_or(FailureClass::Malformed).and_then(|it| read_choice(it, usage, asking));
    read.map_err(|class| answered.failed(class, usage))
}

fn read_choice(
    mut choice: Choice,
    usage: Usage,
    asking: &Asking<'_>,
) -> Result<ChatResponse, FailureClass> {
    if choice.finish_reason.is_none() {
        return Err(FailureClass::Malformed);
    }
    // Each entry of a whole answer is a call of its own, whatever ids and indices it has.
    let calls = choice.message.as_mut().and_then(|it| it.tool_calls.as_mut());
    for (at, call) in calls.into_iter().flatten().enumerate() {
        call.index = u64::try_from(at).ok();
    }
    let (mut reader, mut deltas) = (Reader::new(asking), Vec::new());
    reader.take(choice, &mut deltas)?;
    let finish = reader.finish(&mut deltas)?;
    let response = whole::assembled(&deltas, StreamEnd { finish, usage });
    let parses = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    let sound = response.tool_calls.iter().all(|it| parses(it.arguments.as_str()));
    if sound { Ok(response) } else { Err(FailureClass::Malformed) }
}
