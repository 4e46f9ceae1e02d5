//! Whether an answer is what was asked for: JSON where JSON was asked, arguments that parse, and the
//! schema where it is strict.
//!
//! In: a request and its whole answer. Out: nothing, or [`FailureClass::Malformed`]. Invariant: the
//! same rule for every protocol, streamed or not. An answer cut at the caller's own token limit is
//! not looked at. Not here: the protocols, and how a schema is held against a value (see
//! [`schema`]).
//!
//! A response schema is strict unless the caller says `false`: who writes a schema wants it
//! satisfied, and where a provider takes it only as a guide the check is needed most. The
//! parameters of a tool are strict only where the caller says `true`, which is OpenAI's own default
//! (2025); schemas of tools are written for reading, and many are wrong in details.

mod schema;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::schema::Verdict;
use crate::domain::{
    ChatRequest, ChatResponse, FailureClass, FinishReason, Json, ResponseFormat, Text, ToolCall,
    ToolChoice,
};

/// Whether there is anything to check, so that a stream has to be kept until its end.
pub(super) fn is_needed(request: &ChatRequest) -> bool {
    request.response_format != ResponseFormat::Text || !request.tools.is_empty()
}

/// Checks a whole answer.
///
/// # Errors
/// [`FailureClass::Malformed`].
pub(super) fn check(request: &ChatRequest, response: &ChatResponse) -> Result<(), FailureClass> {
    if !is_needed(request) || response.finish == FinishReason::Length {
        return Ok(());
    }
    let fine = match response.tool_calls.as_slice() {
        [] => text_is_right(&request.response_format, response.text.as_ref()),
        // What is said beside a tool call is not the answer yet.
        calls => calls.iter().all(|it| call_is_right(request, it)),
    };
    if fine { Ok(()) } else { Err(FailureClass::Malformed) }
}

fn text_is_right(format: &ResponseFormat, text: Option<&Text>) -> bool {
    let read = || text.and_then(parse);
    match format {
        ResponseFormat::Text => true,
        ResponseFormat::JsonObject => read().is_some_and(|it| it.is_object()),
        ResponseFormat::JsonSchema { strict: Some(false), .. } => read().is_some(),
        ResponseFormat::JsonSchema { strict: None | Some(true), schema, .. } => {
            read().is_some_and(|it| satisfies(schema, &it))
        }
    }
}

fn call_is_right(request: &ChatRequest, call: &ToolCall) -> bool {
    let offered = match request.tool_choice {
        ToolChoice::None => None,
        ToolChoice::Auto | ToolChoice::Required | ToolChoice::Tool(_) => {
            request.tools.iter().find(|it| it.name == call.name)
        }
    };
    let arguments = parse(&call.arguments).filter(Value::is_object);
    match (offered, arguments) {
        (Some(tool), Some(_)) if tool.strict != Some(true) => true,
        (Some(tool), Some(arguments)) => satisfies(&tool.parameters, &arguments),
        (None, _) | (_, None) => false,
    }
}

fn parse(text: &Text) -> Option<Value> {
    serde_json::from_str(text.as_str()).ok()
}

/// A schema that cannot be judged by does not count against the answer.
fn satisfies(schema: &Json, value: &Value) -> bool {
    match schema::judge(schema.value(), value) {
        Verdict::Satisfied | Verdict::NotJudged => true,
        Verdict::Violated => false,
    }
}
