//! Nothing that a caller or an operator keeps to himself is ever printed by `Debug`.
#![allow(clippy::unwrap_used, reason = "a test may stop on the first surprise")]

mod support;

use std::fmt::Debug;

use pointsman::api::proto::{self, delta, part, route_event};
use pointsman::domain::{
    ChatRequest, ChatResponse, FinishReason, Image, ImageSource, Message, Part, ResponseFormat,
    Tool, ToolCall, Usage,
};
use pointsman::outcome::{PromptPrivacy, RecordedPrompt};
use pointsman::providers::{ApiKey, HttpCaller, Protocol, Provider};
use pointsman::{config, domain};
use secrecy::SecretString;

/// Stands in every place that must not be printed, and nowhere else.
const MARKER: &str = "kestrel-4711";

/// Neither form of `Debug` may hold the marker.
fn check(what: &str, value: &dyn Debug) {
    for printed in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!printed.contains(MARKER), "{what} prints its content: {printed}");
    }
}

fn json() -> domain::Json {
    serde_json::json!({"type": "object", "properties": {MARKER: {"description": MARKER}}}).into()
}

fn tool_call() -> ToolCall {
    ToolCall { id: "1".into(), name: "find".into(), arguments: MARKER.into(), seal: None }
}

fn reasoning() -> domain::Reasoning {
    let provider = domain::ProviderName::new("house").unwrap();
    let seal = domain::Seal { provider, value: MARKER.into() };
    domain::Reasoning { text: Some(MARKER.into()), seal: Some(seal) }
}

fn chat_request() -> ChatRequest {
    let image = |source| Part::Image(Image::new(source));
    let data = ImageSource::Base64 { media_type: "image/png".into(), data: MARKER.into() };
    ChatRequest {
        messages: vec![
            Message::System(MARKER.into()),
            Message::User(vec![
                Part::Text(MARKER.into()),
                image(ImageSource::Url(MARKER.into())),
                image(data),
            ]),
            Message::Assistant {
                reasoning: vec![reasoning()],
                text: Some(MARKER.into()),
                tool_calls: vec![tool_call()],
            },
            Message::tool_result("1", MARKER),
        ],
        tools: vec![Tool {
            name: "find".into(),
            description: MARKER.into(),
            parameters: json(),
            strict: None,
        }],
        response_format: ResponseFormat::JsonSchema {
            name: "answer".into(),
            schema: json(),
            strict: None,
        },
        ..ChatRequest::default()
    }
}

#[test]
fn prompts_and_answers_are_not_printed() {
    check("a chat request", &chat_request());
    check("a validation error", &chat_request().validate());
    let response = ChatResponse {
        text: Some(MARKER.into()),
        reasoning: vec![reasoning()],
        tool_calls: vec![tool_call()],
        logprobs: Some(json()),
        finish: FinishReason::Stop,
        usage: Usage::default(),
    };
    check("a chat response", &response);
    let prompt = RecordedPrompt::of(&chat_request(), PromptPrivacy::Full);
    check("a recorded prompt", &prompt);
}

#[test]
fn wire_messages_are_not_printed() {
    let mut wire = support::ask(MARKER);
    wire.tools = vec![proto::Tool {
        name: "find".into(),
        description: MARKER.into(),
        parameters: MARKER.into(),
        strict: None,
    }];
    wire.user = Some(MARKER.into());
    wire.extra_json = Some(MARKER.into());
    wire.response_format =
        Some(proto::ResponseFormat { schema: MARKER.into(), ..Default::default() });
    check("a message", &wire.messages[0]);
    check("a part", &wire.messages[0].parts[0]);
    check("a tool", &wire.tools[0]);
    check("a format", &wire.response_format);
    check("a route request", &wire);
    check("a rank request", &proto::RankRequest { request: Some(wire.clone()) });
    check("a batch", &proto::RankBatchRequest { requests: vec![wire.clone()] });
    let message = wire.messages.remove(0);
    check(
        "a route response",
        &proto::RouteResponse { message: Some(message), ..Default::default() },
    );
    let call = proto::ToolCall { arguments: MARKER.into(), ..Default::default() };
    check("a tool call", &proto::Part { content: Some(part::Content::ToolCall(call)) });
    let result = proto::ToolResult { text: MARKER.into(), ..Default::default() };
    check("a tool result", &proto::Part { content: Some(part::Content::ToolResult(result)) });
    let secret = || Some(MARKER.to_owned());
    let block = proto::ReasoningBlock { text: secret(), seal: secret() };
    check("a reasoning block", &block);
    check("reasoning", &proto::Part { content: Some(part::Content::Reasoning(block)) });
    let feedback = proto::FeedbackRequest { comment: Some(MARKER.into()), ..Default::default() };
    check("a feedback", &feedback);
}

#[test]
fn events_of_a_stream_are_not_printed() {
    let secret = || MARKER.to_owned();
    let seal = || Some(MARKER.to_owned());
    let end = proto::ReasoningEnd { seal: seal() };
    let begin = proto::ToolCallBegin { index: 0, id: secret(), name: secret(), seal: seal() };
    let arguments = proto::ToolCallArguments { index: 0, fragment: secret() };
    check("the end of a thought", &end);
    check("the beginning of a call", &begin);
    check("arguments", &arguments);
    let pieces = [
        delta::Piece::Text(secret()),
        delta::Piece::Reasoning(secret()),
        delta::Piece::ReasoningEnd(end),
        delta::Piece::ToolCallBegin(begin),
        delta::Piece::ToolCallArguments(arguments),
        delta::Piece::LogprobsJson(secret()),
    ];
    for piece in pieces {
        let delta = proto::Delta { piece: Some(piece) };
        check("a delta", &delta);
        let event = route_event::Event::Delta(delta);
        check("an event", &proto::RouteEvent { event: Some(event) });
    }
    let whole = proto::RouteResponse { logprobs_json: Some(secret()), ..Default::default() };
    let event = route_event::Event::Completed(whole);
    check("the last event", &proto::RouteEvent { event: Some(event) });
}

#[test]
fn keys_are_not_printed() {
    let name = domain::ProviderName::new("house").unwrap();
    let key = ApiKey::Set(SecretString::from(MARKER));
    let provider = Provider::new(name, Protocol::OpenAi, "http://127.0.0.1:9/v1".into(), key);
    check("a provider", &provider);
    check("a caller", &HttpCaller::new(vec![provider]).unwrap());
    let pasted = format!("[[provider]]\nname = \"house\"\napi_key = \"{MARKER}\"\n");
    let problems = config::from_toml(&pasted, &|_| None).err().unwrap();
    check("a config's problems", &problems);
    assert!(!problems.to_string().contains(MARKER), "{problems}");
}
