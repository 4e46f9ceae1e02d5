//! What Gemini answers, whole and in streams, and what its errors mean.

use std::time::Duration;

use super::super::{Answered, Asking};
use super::decode;
use crate::domain::{
    ChatRequest, ChatResponse, Delta, FailureClass, FinishReason, Json, ProviderName, Reasoning,
    ResponseFormat, Seal, ToolCall, Usage,
};
use crate::providers::call::CallFailure;
use crate::providers::quirks::SchemaBy;
use crate::providers::{Protocol, Quirks, fixtures};

const USAGE: Usage = Usage {
    input_tokens: 20,
    cached_tokens: 16,
    cache_written_tokens: 0,
    output_tokens: 9,
    reasoning_tokens: 4,
};

fn read(name: &str) -> Result<ChatResponse, CallFailure> {
    fixtures::read(Protocol::Gemini, name, &ChatRequest::from_prompt("Hello"))
}

fn answer(text: Option<&str>, finish: FinishReason) -> ChatResponse {
    let (reasoning, tool_calls, logprobs) = (vec![], vec![], None);
    let text = text.map(Into::into);
    ChatResponse { text, reasoning, tool_calls, finish, usage: USAGE, logprobs }
}

fn seal() -> Option<Seal> {
    Some(Seal { provider: ProviderName::new("test").unwrap(), value: "c2VhbA==".into() })
}

fn call(id: &str, arguments: &str, seal: Option<Seal>) -> ToolCall {
    ToolCall { id: id.into(), name: "clock".into(), arguments: arguments.into(), seal }
}

fn thought(text: Option<&str>, seal: Option<Seal>) -> Reasoning {
    Reasoning { text: text.map(Into::into), seal }
}

fn logprobs(tops: bool) -> Option<Json> {
    let one = |token: &str, logprob: f64| serde_json::json!({ "token": token, "logprob": logprob, "bytes": null });
    let (mut hi, mut dot) = (one("Hi", -0.25), one(".", -0.5));
    let top = if tops { vec![one("Hi", -0.25), one("Yo", -2.0)] } else { vec![] };
    (hi["top_logprobs"], dot["top_logprobs"]) = (top.into(), serde_json::json!([]));
    Some(serde_json::json!({ "content": [hi, dot] }).into())
}

#[test]
fn answers_are_read() {
    use FinishReason::{Length, Stop, ToolCalls};
    let check = |name: &str, wanted: ChatResponse| assert_eq!(read(name), Ok(wanted), "{name}");
    let text = || answer(Some("N'Djamena."), Stop);
    check("answer_text", text());
    check("answer_list", text());
    check("answer_tool_tokens", text());
    check("answer_no_usage", ChatResponse { usage: Usage::default(), ..text() });
    let reasoning = vec![thought(Some("Chad. Its capital?"), None), thought(None, seal())];
    check("answer_thought", ChatResponse { reasoning, ..text() });
    let reasoning = vec![thought(Some("Chad."), seal())];
    check("answer_sealed_thought", ChatResponse { reasoning, ..text() });
    check("answer_length", answer(Some("N'Dja"), Length));
    check("answer_length_empty", answer(None, Length));
    let tool_calls = vec![call("own", r#"{"zone":"UTC"}"#, seal()), call("call_2", "{}", None)];
    check("answer_tools", ChatResponse { tool_calls, ..answer(None, ToolCalls) });
    let told = logprobs(true);
    check("answer_logprobs", ChatResponse { logprobs: told, ..answer(Some("Hi."), Stop) });
}

#[test]
fn answers_that_are_none_have_their_class_and_are_paid() {
    use FailureClass::{ContentFiltered, EmptyAnswer, Malformed, Unsupported};
    let check = |name: &str, class, usage| {
        let wanted = CallFailure { status: Some(200), usage, ..CallFailure::of(class) };
        assert_eq!(read(name), Err(wanted), "{name}");
    };
    check("answer_empty", EmptyAnswer, USAGE);
    check("answer_other_empty", EmptyAnswer, USAGE);
    check("answer_safety", ContentFiltered, USAGE);
    check("answer_blocked", ContentFiltered, USAGE);
    check("answer_malformed_call", Malformed, USAGE);
    check("answer_other", Malformed, USAGE);
    check("answer_unsealed", Unsupported, USAGE);
    check("answer_unknown_end", Malformed, USAGE);
    check("answer_no_end", Malformed, USAGE);
    check("answer_no_candidates", Malformed, USAGE);
    check("answer_args_broken", Malformed, USAGE);
    check("answer_not_json", Malformed, Usage::default());
}

/// Reads bytes as the answer to a request whose schema was asked for by a tool.
fn read_by_tool(name: &str) -> Result<ChatResponse, CallFailure> {
    let response_format =
        ResponseFormat::JsonSchema { name: "place".into(), schema: Json::default(), strict: None };
    let request = ChatRequest { response_format, ..ChatRequest::from_prompt("Hello") };
    let quirks = Quirks { json_schema: Some(SchemaBy::Tool), ..Quirks::default() };
    let deployment = fixtures::deployment("test");
    let asking: Asking<'_> = fixtures::asking(&request, &deployment, &quirks);
    let body = fixtures::cassette(Protocol::Gemini, name)["body"].to_string();
    decode(&Answered { status: 200, retry_after: None, body: body.as_bytes() }, &asking)
}

#[test]
fn the_answer_by_a_tool_is_text() {
    let wanted = answer(Some(r#"{"city":"Oslo"}"#), FinishReason::Stop);
    assert_eq!(read_by_tool("answer_by_tool"), Ok(wanted));
    // The model did not call the tool that it had to.
    let class = read_by_tool("answer_text").map_err(|it| it.class);
    assert_eq!(class, Err(FailureClass::EmptyAnswer));
    // Nobody asked for that tool: it is one of the caller's own.
    assert_eq!(read("answer_by_tool").unwrap().tool_calls.len(), 1);
}

#[test]
fn errors_have_the_class_of_the_table() {
    use FailureClass as F;
    let table = [
        ("rate", F::RateLimited),
        ("rate_list", F::RateLimited),
        ("rate_200", F::RateLimited),
        ("key", F::Auth),
        ("key_expired", F::Auth),
        ("forbidden", F::Auth),
        ("status_200", F::Auth),
        ("model", F::ModelMissing),
        ("context", F::ContextTooLong),
        ("mime_tools", F::Unsupported),
        ("thinking", F::Unsupported),
        ("image", F::Unsupported),
        ("location", F::Unsupported),
        ("invalid", F::InvalidRequest),
        ("internal", F::Overloaded),
        ("unavailable", F::Overloaded),
        ("timeout", F::Overloaded),
        ("gateway", F::Overloaded),
        ("unnamed_200", F::Overloaded),
        ("moved", F::Malformed),
    ];
    for (name, class) in table {
        let failure = read(&format!("error_{name}")).unwrap_err();
        assert_eq!((failure.class, failure.usage), (class, Usage::default()), "{name}");
    }
}

#[test]
fn the_pause_is_the_headers_or_the_bodys() {
    let check = |header: Option<u64>, body: &str, wanted: Option<f64>| {
        let (request, quirks) = (ChatRequest::from_prompt("Hello"), Quirks::default());
        let deployment = fixtures::deployment("test");
        let retry_after = header.map(Duration::from_secs);
        let answered = Answered { status: 429, retry_after, body: body.as_bytes() };
        let failure = decode(&answered, &fixtures::asking(&request, &deployment, &quirks));
        let pause = failure.unwrap_err().retry_after;
        assert_eq!(pause, wanted.map(Duration::from_secs_f64), "{body}");
    };
    let body =
        |delay: &str| format!(r#"{{"error":{{"details":[{{}},{{"retryDelay":"{delay}"}}]}}}}"#);
    check(None, &body("34.5s"), Some(34.5));
    check(Some(2), &body("34.5s"), Some(2.0));
    for strange in ["", "s", "-1s", "NaNs", "1e99s", "7"] {
        check(None, &body(strange), None);
    }
}

#[test]
fn a_providers_own_words_come_first() {
    let request = ChatRequest::from_prompt("Hello");
    let errors = [("daily".to_owned(), FailureClass::Auth)].into();
    let (quirks, deployment) =
        (Quirks { errors, ..Quirks::default() }, fixtures::deployment("test"));
    let body = br#"{"error":{"code":429,"message":"Daily limit."}}"#;
    let answered = Answered { status: 429, retry_after: None, body };
    let failure = decode(&answered, &fixtures::asking(&request, &deployment, &quirks));
    assert_eq!(failure.unwrap_err().class, FailureClass::Auth);
}

type Streamed = (Vec<Delta>, Result<ChatResponse, (FailureClass, Usage)>);

/// Reads a stream in chunks of every size, which must give the same.
fn stream(name: &str) -> Streamed {
    let recorded = fixtures::bytes(Protocol::Gemini, &format!("{name}.sse"));
    let request = ChatRequest::from_prompt("Hello");
    let read = |chunk| fixtures::stream(Protocol::Gemini, &recorded, chunk, &request);
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
    let reasoning = vec![thought(Some("Chad. Its capital?"), None), thought(None, seal())];
    check("stream_text", ChatResponse { reasoning, ..answer(Some("N'Djaména."), Stop) });
    let tool_calls = vec![call("call_1", r#"{"zone":"UTC"}"#, seal()), call("call_2", "{}", None)];
    check("stream_tools", ChatResponse { tool_calls, ..answer(None, ToolCalls) });
    check("stream_length", answer(Some("N'Djame"), Length));
    let told = logprobs(false);
    check("stream_logprobs", ChatResponse { logprobs: told, ..answer(Some("Hi."), Stop) });
}

#[test]
fn streams_that_fail_have_their_class_and_are_paid() {
    use FailureClass::{ContentFiltered, EmptyAnswer, Malformed, Overloaded, RateLimited};
    let check = |name: &str, class, usage| {
        assert_eq!(stream(name).1, Err((class, usage)), "{name}");
    };
    check("stream_cut", FailureClass::StreamCut, USAGE);
    check("stream_safety", ContentFiltered, USAGE);
    check("stream_blocked", ContentFiltered, USAGE);
    check("stream_empty", EmptyAnswer, USAGE);
    check("stream_error", Overloaded, USAGE);
    check("stream_error_rate", RateLimited, Usage::default());
    check("stream_not_json", Malformed, USAGE);
}

#[test]
fn pieces_come_as_they_were_sent() {
    let wanted = [
        Delta::Reasoning("Chad. ".into()),
        Delta::Reasoning("Its capital?".into()),
        Delta::ReasoningEnd(None),
        Delta::Text("N'Dja".into()),
        Delta::Text("ména.".into()),
        Delta::ReasoningEnd(seal()),
    ];
    assert_eq!(stream("stream_text").0, wanted);
}
