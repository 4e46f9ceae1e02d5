//! Requests against cassettes: what we send, and what we leave out.

use serde_json::{Value, json};

use super::super::{Asking, Delivery, Encoded, Unsupported};
use super::encode;
use crate::domain::{
    ChatRequest, Effort, Image, ImageDetail, ImageSource, Json, Message, Part, ProviderName,
    Reasoning, ResponseFormat, Sampling, Seal, Tool, ToolCall, ToolChoice,
};
use crate::providers::fixtures;
use crate::providers::{MaxTokensField, Parameter, Protocol, Quirks, SchemaBy};

pub(super) fn cassette(name: &str) -> Value {
    fixtures::cassette(Protocol::OpenAi, name)
}

fn encoded(request: &ChatRequest, quirks: &Quirks) -> Result<Encoded, Unsupported> {
    let deployment = fixtures::deployment("test");
    encode(&fixtures::asking(request, &deployment, quirks))
}

pub(super) fn body(request: &ChatRequest) -> Value {
    encoded(request, &Quirks::default()).unwrap().body
}

/// What is sent, and what is left out.
fn sends_with(name: &str, request: &ChatRequest, quirks: &Quirks, dropped: &[&str]) {
    let encoded = encoded(request, quirks).unwrap();
    assert_eq!(encoded.body, cassette(name), "{name}");
    assert_eq!(encoded.dropped, dropped, "{name}");
}

fn sends(name: &str, request: &ChatRequest) {
    sends_with(name, request, &Quirks::default(), &[]);
}

pub(super) fn clock() -> Json {
    json!({ "type": "object", "properties": { "zone": { "type": "string" } } }).into()
}

fn tool(name: &str, description: &str, parameters: Json) -> Tool {
    Tool { name: name.into(), description: description.into(), parameters, strict: None }
}

pub(super) fn call(arguments: &str) -> ToolCall {
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
    let max_tokens_field = MaxTokensField::MaxCompletionTokens;
    let quirks = Quirks { max_tokens_field, ..Quirks::default() };
    sends_with("request_openai_limit", &request, &quirks, &[]);
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
        assert_eq!(body(&request)["tool_choice"], wanted);
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

#[test]
fn image_detail_is_sent_and_what_cannot_be_seen_is_refused() {
    let image = |source, detail| Part::Image(Image { source, detail });
    let url = ImageSource::Url("https://example.org/a.png".into());
    let data = ImageSource::Base64 { media_type: "image/png".into(), data: "iVBORw0K".into() };
    let parts = vec![
        image(url.clone(), Some(ImageDetail::Low)),
        image(data.clone(), Some(ImageDetail::High)),
    ];
    let mut request =
        ChatRequest { messages: vec![Message::User(parts)], ..ChatRequest::default() };
    sends("request_image_detail", &request);
    let quirks = Quirks { image_urls: Some(false), ..Quirks::default() };
    assert_eq!(encoded(&request, &quirks), Err(Unsupported("an image by URL")));
    request.messages = vec![Message::User(vec![image(data, None)])];
    assert!(encoded(&request, &quirks).is_ok());
    let (tool_call_id, parts) = ("call_1".to_owned(), vec![image(url, None)]);
    request.messages.push(Message::ToolResult { tool_call_id, parts, failed: false });
    let refused = encoded(&request, &Quirks::default());
    assert_eq!(refused, Err(Unsupported("an image in a tool's result")));
}

#[test]
fn parallel_calls_and_their_results_are_sent() {
    let mut request = ChatRequest::from_prompt("What time is it in Oslo and Lima?");
    let second = ToolCall { id: "call_2".into(), ..call(r#"{"zone":"America/Lima"}"#) };
    let (reasoning, text) = (vec![], Some("Let me look.".into()));
    let tool_calls = vec![call(r#"{"zone":"Europe/Oslo"}"#), second];
    request.messages.push(Message::Assistant { reasoning, text, tool_calls });
    request.messages.push(Message::tool_result("call_1", "14:05"));
    let parts = vec![Part::Text("no such zone,".into()), Part::Text(" try again".into())];
    let tool_call_id = "call_2".into();
    request.messages.push(Message::ToolResult { tool_call_id, parts, failed: true });
    request.tools = vec![Tool { strict: Some(true), ..tool("clock", "Tells the time.", clock()) }];
    request.parallel_tool_calls = Some(true);
    request.tool_choice = ToolChoice::Required;
    sends("request_parallel_tools", &request);
    let lacks = [Parameter::StrictTools, Parameter::ParallelToolCalls].into();
    let sent = encoded(&request, &Quirks { lacks, ..Quirks::default() }).unwrap();
    assert_eq!(sent.dropped, ["strict_tools", "parallel_tool_calls"]);
}

#[test]
fn a_schema_is_asked_for_by_a_tool_where_there_is_no_other_way() {
    let schema = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false,
    });
    let mut request = ChatRequest::from_prompt("Hello");
    request.response_format =
        ResponseFormat::JsonSchema { name: "place".into(), schema: schema.into(), strict: None };
    let quirks = Quirks { json_schema: Some(SchemaBy::Tool), ..Quirks::default() };
    sends_with("request_schema_tool", &request, &quirks, &[]);
    request.tools = vec![tool("clock", "Tells the time.", clock())];
    sends_with("request_schema_tool_beside", &request, &quirks, &[]);
    request.tool_choice = ToolChoice::Required;
    let sent = encoded(&request, &quirks).unwrap().body;
    assert_eq!(sent["tools"].as_array().map(Vec::len), Some(1), "the caller's own tool is due");
    let strict = |given| {
        let format =
            ResponseFormat::JsonSchema { name: "a".into(), schema: clock(), strict: given };
        let request = ChatRequest { response_format: format, ..ChatRequest::from_prompt("Hello") };
        body(&request)["response_format"]["json_schema"]["strict"].clone()
    };
    assert_eq!([strict(Some(true)), strict(Some(false)), strict(None)], [true, false, false]);
}

#[test]
fn every_parameter_is_sent_or_named() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.sampling = Sampling {
        temperature: Some(0.5),
        top_p: Some(0.5),
        max_output_tokens: Some(9),
        stop: vec!["a".into(), "b".into()],
        seed: Some(-1),
        top_k: Some(40),
        frequency_penalty: Some(0.5),
        presence_penalty: Some(-0.5),
        logprobs: Some(3),
    };
    request.user = Some("u-1".into());
    sends("request_sampling", &request);
    let lacks = Parameter::ALL.into();
    let left = encoded(&request, &Quirks { lacks, ..Quirks::default() }).unwrap();
    let named =
        "logprobs temperature top_p top_k stop seed frequency_penalty presence_penalty user";
    let mut sorted = left.dropped.clone();
    sorted.sort();
    let mut wanted: Vec<_> = named.split(' ').collect();
    wanted.sort_unstable();
    assert_eq!(sorted, wanted);
    assert_eq!(left.body.as_object().map(serde_json::Map::len), Some(3));
    request.sampling.logprobs = Some(0);
    let sent = body(&request);
    assert_eq!((&sent["logprobs"], sent.get("top_logprobs")), (&json!(true), None));
}

#[test]
fn effort_is_the_nearest_level() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.sampling.max_output_tokens = Some(100);
    request.effort = Some(Effort::High);
    let max_tokens_field = MaxTokensField::MaxCompletionTokens;
    let quirks = Quirks { max_tokens_field, ..Quirks::default() };
    sends_with("request_effort", &request, &quirks, &[]);
    for (effort, level) in [
        (Effort::Off, "none"),
        (Effort::Minimal, "minimal"),
        (Effort::Low, "low"),
        (Effort::Medium, "medium"),
        (Effort::Tokens(0), "none"),
        (Effort::Tokens(1_024), "low"),
        (Effort::Tokens(8_192), "medium"),
        (Effort::Tokens(u64::MAX), "high"),
    ] {
        request.effort = Some(effort);
        assert_eq!(body(&request)["reasoning_effort"], level, "{effort:?}");
    }
}

#[test]
fn unknown_fields_pass_and_replace_nothing() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.sampling.temperature = Some(0.5);
    let extra = json!({
        "metadata": { "team": "a" },
        "service_tier": "flex",
        "temperature": 2,
        "stream": true,
        "n": 3,
    });
    request.extra = extra.into();
    let encoded = encoded(&request, &Quirks::default()).unwrap();
    assert_eq!(encoded.body, cassette("request_extra"));
    let mut dropped = encoded.dropped;
    dropped.sort();
    assert_eq!(dropped, ["n", "stream", "temperature"]);
}

#[test]
fn a_stream_is_asked_for_with_its_usage() {
    let (request, deployment) = (ChatRequest::from_prompt("Hello"), fixtures::deployment("test"));
    for (name, stream_options) in [("request_stream", None), ("request_stream_plain", Some(false))]
    {
        let quirks = Quirks { stream_options, ..Quirks::default() };
        let asking = fixtures::asking(&request, &deployment, &quirks);
        let encoded = encode(&Asking { delivery: Delivery::Stream, ..asking }).unwrap();
        assert_eq!(encoded.body, cassette(name));
    }
}

#[test]
fn a_begun_answer_is_marked_as_the_server_wants() {
    use crate::providers::quirks::AssistantPrefix as P;
    let check = |assistant_prefix, prefix: Value, fields: Value| {
        let mut request = ChatRequest::from_prompt("Hello");
        let quirks = Quirks { assistant_prefix, ..Quirks::default() };
        let flags = |of: &ChatRequest| {
            let body = encoded(of, &quirks).unwrap().body;
            let last = body["messages"].as_array().unwrap().last().unwrap()["prefix"].clone();
            (last, json!([body["add_generation_prompt"], body["continue_final_message"]]))
        };
        assert_eq!(flags(&request), (Value::Null, json!([null, null])));
        let (reasoning, text, tool_calls) = (vec![], Some("Hi".into()), vec![]);
        request.messages.push(Message::Assistant { reasoning, text, tool_calls });
        assert_eq!(flags(&request), (prefix, fields), "{assistant_prefix:?}");
    };
    check(P::None, Value::Null, json!([null, null]));
    check(P::Plain, Value::Null, json!([null, null]));
    check(P::PrefixField, json!(true), json!([null, null]));
    check(P::ContinueFinalMessage, Value::Null, json!([false, true]));
}

/// A turn that thought and called a tool, then its result.
pub(super) fn after(reasoning: Vec<Reasoning>, seal: Option<Seal>) -> ChatRequest {
    let tool_calls = vec![ToolCall { seal, ..call("{}") }];
    let mut request = ChatRequest::from_prompt("Hello");
    request.messages.push(Message::Assistant { reasoning, text: None, tool_calls });
    request.messages.push(Message::tool_result("call_1", "14:05"));
    request
}

pub(super) fn seal(provider: &str, value: &str) -> Option<Seal> {
    Some(Seal { provider: ProviderName::new(provider).unwrap(), value: value.into() })
}

#[test]
fn past_thinking_goes_back_to_its_maker_only() {
    let signed =
        r#"{"type":"reasoning.text","signature":"c2ln","format":"anthropic-claude-v1","index":0}"#;
    let secret = r#"{"type":"reasoning.encrypted","data":"AAEC","id":"rs_1","index":1}"#;
    let thoughts = |provider: &str| {
        vec![
            Reasoning { text: Some("Hm.".into()), seal: seal(provider, signed) },
            Reasoning { text: None, seal: seal(provider, secret) },
        ]
    };
    sends("request_reasoning_details", &after(thoughts("test"), None));
    sends("request_tool_seal", &after(vec![], seal("test", "c2ln")));
    let left_out = |request: &ChatRequest| {
        let encoded = encoded(request, &Quirks::default()).unwrap();
        assert_eq!(encoded.dropped, ["past_reasoning"]);
        assert!(!encoded.body.to_string().contains("c2ln"));
    };
    left_out(&after(thoughts("anthropic"), None));
    left_out(&after(vec![], seal("google", "c2ln")));
    left_out(&after(vec![Reasoning { text: Some("Hm.".into()), seal: None }], None));
    left_out(&after(vec![Reasoning { text: None, seal: seal("test", "c2ln") }], None));
    let quirks = Quirks { past_reasoning: Some(true), ..Quirks::default() };
    let words = vec![Reasoning { text: Some("Hm.".into()), seal: None }];
    sends_with("request_reasoning_words", &after(words, None), &quirks, &[]);
}
