//! What Ollama answers, whole and in streams, and what its errors mean.

use serde_json::json;

use crate::domain::{
    ChatRequest, ChatResponse, Delta, FailureClass, FinishReason, Reasoning, ToolCall, Usage,
};
use crate::providers::call::CallFailure;
use crate::providers::{Protocol, fixtures};

const USAGE: Usage = Usage {
    input_tokens: 20,
    cached_tokens: 0,
    cache_written_tokens: 0,
    output_tokens: 9,
    reasoning_tokens: 0,
};

fn read(name: &str) -> Result<ChatResponse, CallFailure> {
    fixtures::read(Protocol::Ollama, name, &ChatRequest::from_prompt("Hello"))
}

fn answer(text: Option<&str>, finish: FinishReason) -> ChatResponse {
    let (reasoning, tool_calls, logprobs) = (vec![], vec![], None);
    let text = text.map(Into::into);
    ChatResponse { text, reasoning, tool_calls, finish, usage: USAGE, logprobs }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "clock".into(), arguments: arguments.into(), seal: None }
}

fn thoughts(text: &str) -> Vec<Reasoning> {
    vec![Reasoning { text: Some(text.into()), seal: None }]
}

#[test]
fn answers_are_read() {
    use FinishReason::{Length, Stop, ToolCalls};
    let check = |name: &str, wanted: ChatResponse| assert_eq!(read(name), Ok(wanted), "{name}");
    let text = || answer(Some("N'Djamena."), Stop);
    check("answer_text", text());
    check("answer_no_reason", text());
    let reasoning = thoughts("Chad. Its capital?");
    check("answer_thinking", ChatResponse { reasoning, ..text() });
    check("answer_length", answer(Some("N'Dja"), Length));
    let reasoning = thoughts("Chad.");
    check("answer_length_empty", ChatResponse { reasoning, ..answer(None, Length) });
    let tool_calls = vec![call("own", r#"{"zone":"UTC"}"#), call("call_2", "{}")];
    check("answer_tools", ChatResponse { tool_calls, ..answer(None, ToolCalls) });
    let hi = json!({ "token": "Hi", "logprob": -0.25, "bytes": [72, 105] });
    let mut tokens = [hi.clone(), json!({ "token": ".", "logprob": -0.5, "bytes": [46] })];
    tokens[0]["top_logprobs"] = json!([hi]);
    tokens[1]["top_logprobs"] = json!([]);
    let logprobs = Some(json!({ "content": tokens }).into());
    check("answer_logprobs", ChatResponse { logprobs, ..answer(Some("Hi."), Stop) });
}

#[test]
fn answers_that_are_none_have_their_class_and_are_paid() {
    use FailureClass::{EmptyAnswer, Malformed, Overloaded};
    let check = |name: &str, class, usage| {
        let wanted = CallFailure { status: Some(200), usage, ..CallFailure::of(class) };
        assert_eq!(read(name), Err(wanted), "{name}");
    };
    let none = Usage::default();
    check("answer_empty", EmptyAnswer, USAGE);
    check("answer_load", EmptyAnswer, none);
    check("answer_unknown_end", Malformed, USAGE);
    check("answer_not_done", Malformed, none);
    check("answer_args_broken", Malformed, USAGE);
    check("answer_unnamed_call", Malformed, USAGE);
    check("answer_not_json", Malformed, none);
    check("answer_error", Overloaded, none);
}

#[test]
fn errors_have_the_class_of_the_table() {
    use FailureClass as F;
    let table = [
        ("model", F::ModelMissing),
        ("model_400", F::ModelMissing),
        ("proxy", F::ModelMissing),
        ("tools", F::Unsupported),
        ("think", F::Unsupported),
        ("image", F::Unsupported),
        ("context", F::ContextTooLong),
        ("context_500", F::ContextTooLong),
        ("invalid", F::InvalidRequest),
        ("busy", F::Overloaded),
        ("memory", F::Overloaded),
        ("runner", F::Overloaded),
        ("gateway", F::Overloaded),
        ("call", F::Malformed),
        ("moved", F::Malformed),
        ("key", F::Auth),
        ("rate", F::RateLimited),
    ];
    for (name, class) in table {
        let failure = read(&format!("error_{name}")).unwrap_err();
        assert_eq!((failure.class, failure.usage), (class, Usage::default()), "{name}");
    }
}

type Streamed = (Vec<Delta>, Result<ChatResponse, (FailureClass, Usage)>);

/// Reads a stream in chunks of every size, which must give the same.
fn stream(name: &str) -> Streamed {
    let recorded = fixtures::bytes(Protocol::Ollama, &format!("{name}.ndjson"));
    let request = ChatRequest::from_prompt("Hello");
    let read = |chunk| fixtures::stream(Protocol::Ollama, &recorded, chunk, &request);
    let whole = read(recorded.len());
    for chunk in 1..recorded.len() {
        assert_eq!(read(chunk), whole, "{name} in chunks of {chunk}");
    }
    whole
}

#[test]
fn streams_are_read() {
    use FinishReason::{Length, Stop, ToolCalls};
    let check = |name: &str, wanted: ChatResponse| {
        assert_eq!(stream(name).1, Ok(wanted), "{name}");
    };
    let reasoning = thoughts("Chad. Its capital?");
    check("stream_text", ChatResponse { reasoning, ..answer(Some("N'Djaména."), Stop) });
    let tool_calls = vec![call("call_1", r#"{"zone":"UTC"}"#), call("call_2", "{}")];
    let called = answer(Some("Let me look."), ToolCalls);
    check("stream_tools", ChatResponse { tool_calls, ..called });
    check("stream_length", answer(Some("N'Dja"), Length));
    let token = |token: &str, logprob: f64| json!({ "token": token, "logprob": logprob, "bytes": null, "top_logprobs": [] });
    let logprobs = Some(json!({ "content": [token("Hi", -0.25), token(".", -0.5)] }).into());
    check("stream_logprobs", ChatResponse { logprobs, ..answer(Some("Hi."), Stop) });
}

#[test]
fn streams_that_fail_have_their_class_and_are_paid() {
    use FailureClass::{EmptyAnswer, Malformed, Overloaded, StreamCut, Unsupported};
    let check = |name: &str, class, usage| {
        assert_eq!(stream(name).1, Err((class, usage)), "{name}");
    };
    let none = Usage::default();
    check("stream_cut", StreamCut, none);
    check("stream_empty", EmptyAnswer, USAGE);
    check("stream_error", Overloaded, none);
    check("stream_error_tools", Unsupported, none);
    check("stream_not_json", Malformed, none);
}

#[test]
fn pieces_come_as_they_were_sent() {
    let wanted = [
        Delta::Reasoning("Chad. ".into()),
        Delta::Reasoning("Its capital?".into()),
        Delta::ReasoningEnd(None),
        Delta::Text("N'Dja".into()),
        Delta::Text("ména.".into()),
    ];
    assert_eq!(stream("stream_text").0, wanted);
}
