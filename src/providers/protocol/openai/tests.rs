//! Bodies against cassettes: what we send, what comes back, and what errors mean.

use serde_json::{Value, json};

use super::encode;
use crate::domain::{
    ChatRequest, ChatResponse, FailureClass, FinishReason, Image, ImageSource, Json, Message, Part,
    ProviderName, ResponseFormat, Sampling, Text, Tool, ToolCall, ToolChoice, Usage,
};
use crate::providers::fixtures;
use crate::providers::{CallFailure, Protocol, Quirks};

fn cassette(name: &str) -> Value {
    fixtures::cassette(Protocol::OpenAi, name)
}

fn encode_at(provider: &str, request: &ChatRequest) -> Value {
    let (deployment, quirks) = (fixtures::deployment(provider), Quirks::default());
    encode(&fixtures::asking(request, &deployment, &quirks)).unwrap().body
}

fn sends(name: &str, request: &ChatRequest) {
    assert_eq!(encode_at("test", request), cassette(name), "{name}");
}

fn clock() -> Json {
    json!({ "type": "object", "properties": { "zone": { "type": "string" } } }).into()
}

fn tool(name: &str, description: &str, parameters: Json) -> Tool {
    Tool { name: name.into(), description: description.into(), parameters, strict: None }
}

fn call(arguments: &str) -> ToolCall {
    let (id, name) = ("call_1".into(), "clock".into());
    ToolCall { id, name, arguments: arguments.into(), seal: None }
}

#[test]
fn text_and_sampling_are_sent() {
    let mut request = ChatRequest::from_prompt("What is the capital of Chad?");
    request.messages.insert(0, Message::System("Be brief.".into()));
    request.sampling = Sampling {
        temperature: Some(0.2),
        top_p: Some(0.9),
        max_output_tokens: Some(64),
        stop: vec!["END".into()],
        seed: Some(7),
        ..Sampling::default()
    };
    sends("request_text", &request);
    let mut request = ChatRequest::from_prompt("Hello");
    request.sampling.max_output_tokens = Some(64);
    assert_eq!(encode_at("openai", &request), cassette("request_openai_limit"));
}

#[test]
fn images_are_sent_by_url_and_by_value() {
    let image = |source| Part::Image(Image::new(source));
    let data = ImageSource::Base64 { media_type: "image/png".into(), data: "iVBORw0K".into() };
    let parts = vec![
        Part::Text("What differs?".into()),
        image(ImageSource::Url("https://example.org/a.png".into())),
        image(data),
    ];
    let messages = vec![Message::User(parts)];
    sends("request_images", &ChatRequest { messages, ..ChatRequest::default() });
}

#[test]
fn tools_calls_and_results_are_sent() {
    let mut request = ChatRequest::from_prompt("What time is it in Oslo?");
    let calls = vec![call(r#"{"zone":"Europe/Oslo"}"#)];
    request.messages.push(Message::Assistant { reasoning: vec![], text: None, tool_calls: calls });
    request.messages.push(Message::tool_result("call_1", "14:05"));
    request.tools = vec![
        tool("clock", "Tells the time.", clock()),
        tool("bell", "", json!({ "type": "object" }).into()),
    ];
    request.tool_choice = ToolChoice::Tool("clock".into());
    sends("request_tools", &request);
    for (choice, wanted) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, "none".into()),
        (ToolChoice::Required, "required".into()),
    ] {
        request.tool_choice = choice;
        assert_eq!(encode_at("test", &request)["tool_choice"], wanted);
    }
}

#[test]
fn formats_are_sent_and_strict_only_where_it_is_taken() {
    let closed = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false,
    });
    let schema = |schema| ResponseFormat::JsonSchema { name: "place".into(), schema, strict: None };
    let table = [
        ("request_schema_strict", schema(closed.into())),
        ("request_schema_loose", schema(clock())),
        ("request_json_object", ResponseFormat::JsonObject),
    ];
    for (name, format) in table {
        let mut request = ChatRequest::from_prompt("Hello");
        request.response_format = format;
        sends(name, &request);
    }
}

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
        ("invalid", F::InvalidRequest),
        ("invalid_422", F::InvalidRequest),
        ("moved", F::Malformed),
    ];
    for (name, class) in table {
        let failure = read(&format!("error_{name}"), &ResponseFormat::Text).unwrap_err();
        assert_eq!((failure.class, failure.usage), (class, Usage::default()), "{name}");
    }
}
