//! Answers in one piece against cassettes: what comes back, and what errors mean.

use super::super::Answered;
use super::tests::{after, body, call, cassette, clock, seal};
use crate::domain::{
    ChatRequest, ChatResponse, FailureClass, FinishReason, Reasoning, ResponseFormat, Text, Usage,
};
use crate::providers::fixtures;
use crate::providers::{CallFailure, Protocol, Quirks, SchemaBy, builtin_rows};

fn read(name: &str, format: &ResponseFormat) -> Result<ChatResponse, CallFailure> {
    let response_format = format.clone();
    let request = ChatRequest { response_format, ..ChatRequest::from_prompt("Hello") };
    fixtures::read(Protocol::OpenAi, name, &request)
}

const USAGE: Usage = Usage {
    input_tokens: 20,
    cached_tokens: 16,
    cache_written_tokens: 0,
    output_tokens: 9,
    reasoning_tokens: 4,
};

#[test]
fn answers_are_read() {
    let check = |name: &str, text: Option<&str>, calls: &[&str], finish, usage| {
        let tool_calls = calls.iter().map(|it| call(it)).collect();
        let text = text.map(Text::from);
        let (reasoning, logprobs) = (vec![], None);
        let wanted = ChatResponse { text, reasoning, tool_calls, finish, usage, logprobs };
        assert_eq!(read(name, &ResponseFormat::Text), Ok(wanted), "{name}");
    };
    use FinishReason::{Length, Stop, ToolCalls};
    let (zone, none) = (r#"{"zone":"UTC"}"#, Usage::default());
    check("answer_text", Some("N'Djamena."), &[], Stop, USAGE);
    check("answer_no_usage", Some("N'Djamena."), &[], Stop, none);
    check("answer_parts", Some("N'Djamena."), &[], Stop, USAGE);
    check("answer_length", Some("N'Dja"), &[], Length, USAGE);
    check("answer_length_empty", None, &[], Length, USAGE);
    check("answer_tools", None, &[zone, "{}"], ToolCalls, USAGE);
    check("answer_tools_stop", Some("Let me look."), &[zone], ToolCalls, USAGE);
}

#[test]
fn answers_that_are_none_have_their_class_and_are_paid() {
    let check = |name: &str, class, usage| {
        let wanted = CallFailure { status: Some(200), usage, ..CallFailure::of(class) };
        assert_eq!(read(name, &ResponseFormat::Text), Err(wanted), "{name}");
    };
    use FailureClass::{ContentFiltered, EmptyAnswer, Malformed, Overloaded};
    check("answer_empty", EmptyAnswer, USAGE);
    check("answer_refusal", ContentFiltered, USAGE);
    check("answer_filtered", ContentFiltered, USAGE);
    check("answer_tools_broken", Malformed, USAGE);
    check("answer_unknown_end", Malformed, USAGE);
    check("answer_no_end", Malformed, USAGE);
    check("answer_upstream_error", Overloaded, USAGE);
    check("answer_no_choices", Malformed, USAGE);
    check("answer_not_json", Malformed, Usage::default());
}

fn good(name: &str) -> ChatResponse {
    read(name, &ResponseFormat::Text).unwrap()
}

#[test]
fn thinking_seals_and_logprobs_are_read() {
    let words = vec![Reasoning { text: Some("Chad, so N'Djamena.".into()), seal: None }];
    for name in ["answer_reasoning", "answer_thinking_parts"] {
        let answer = good(name);
        assert_eq!((answer.reasoning, answer.usage), (words.clone(), USAGE), "{name}");
        assert_eq!(answer.text.as_ref().map(Text::as_str), Some("N'Djamena."), "{name}");
    }
    let answer = good("answer_reasoning_details");
    let texts: Vec<_> = answer.reasoning.iter().map(|it| it.text.is_some()).collect();
    assert_eq!(texts, [true, false]);
    // What was read goes back as it came.
    let sent = body(&after(answer.reasoning, None));
    let came = cassette("answer_reasoning_details");
    let came = &came["body"]["choices"][0]["message"]["reasoning_details"];
    assert_eq!(&sent["messages"][1]["reasoning_details"], came);
    let logprobs = good("answer_logprobs").logprobs.unwrap();
    assert_eq!(logprobs.value()["content"].as_array().map(Vec::len), Some(2));
    assert_eq!(good("answer_seal").tool_calls[0].seal, seal("test", "c2ln"));
    assert_eq!(good("answer_total_usage").usage, USAGE);
}

/// Reads a cassette as a provider with these quirks would be read.
fn read_with(
    name: &str,
    request: &ChatRequest,
    quirks: &Quirks,
) -> Result<ChatResponse, CallFailure> {
    let (cassette, deployment) = (cassette(name), fixtures::deployment("test"));
    let status = cassette["status"].as_u64().and_then(|it| u16::try_from(it).ok()).unwrap();
    let body = cassette["body"].to_string();
    let answered = Answered { status, retry_after: None, body: body.as_bytes() };
    super::decode(&answered, &fixtures::asking(request, &deployment, quirks))
}

#[test]
fn an_answer_by_tool_is_text_only_where_it_was_asked_for() {
    let format = ResponseFormat::JsonSchema { name: "place".into(), schema: clock(), strict: None };
    let request = ChatRequest { response_format: format, ..ChatRequest::from_prompt("Hello") };
    let quirks = Quirks { json_schema: Some(SchemaBy::Tool), ..Quirks::default() };
    let answer = read_with("answer_schema_tool", &request, &quirks).unwrap();
    assert_eq!(answer.text.as_ref().map(Text::as_str), Some(r#"{"city":"N'Djamena"}"#));
    assert_eq!((answer.tool_calls.len(), answer.finish), (0, FinishReason::Stop));
    let answer = good("answer_schema_tool");
    assert_eq!((answer.tool_calls.len(), answer.finish), (1, FinishReason::ToolCalls));
}

#[test]
fn a_providers_own_phrases_come_first() {
    let rows = builtin_rows().unwrap();
    let groq = rows.iter().find(|it| it.name.as_str() == "groq").unwrap();
    let request = ChatRequest::from_prompt("Hello");
    let class = |quirks| read_with("error_own_phrase", &request, quirks).unwrap_err().class;
    assert_eq!(class(&groq.quirks), FailureClass::Malformed);
    assert_eq!(class(&Quirks::default()), FailureClass::InvalidRequest);
}

#[test]
fn errors_have_the_class_of_the_table() {
    use FailureClass as F;
    let table = [
        ("rate", F::RateLimited),
        ("rate_403", F::RateLimited),
        ("rate_200", F::RateLimited),
        ("rate_400", F::RateLimited),
        ("quota", F::Auth),
        ("key", F::Auth),
        ("key_400", F::Auth),
        ("payment", F::Auth),
        ("forbidden", F::Auth),
        ("overloaded", F::Overloaded),
        ("server", F::Overloaded),
        ("gateway", F::Overloaded),
        ("timeout", F::Overloaded),
        ("unnamed_200", F::Overloaded),
        ("model", F::ModelMissing),
        ("model_400", F::ModelMissing),
        ("path", F::ModelMissing),
        ("context", F::ContextTooLong),
        ("context_vllm", F::ContextTooLong),
        ("too_large", F::ContextTooLong),
        ("filter", F::ContentFiltered),
        ("moderation", F::ContentFiltered),
        ("parameter", F::Unsupported),
        ("tools_404", F::Unsupported),
        ("string_error", F::Unsupported),
        ("extra_forbidden", F::Unsupported),
        ("invalid", F::InvalidRequest),
        ("invalid_422", F::InvalidRequest),
        ("moved", F::Malformed),
    ];
    for (name, class) in table {
        let failure = read(&format!("error_{name}"), &ResponseFormat::Text).unwrap_err();
        assert_eq!((failure.class, failure.usage), (class, Usage::default()), "{name}");
    }
}
