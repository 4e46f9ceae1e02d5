//! What we send, as cassettes that CI also checks against the types of Anthropic's SDK.

use serde_json::{Value, json};

use super::super::encode;
use crate::domain::{
    ChatRequest, Effort, Image, ImageDetail, ImageSource, Json, Message, Part, ProviderName,
    Reasoning, ResponseFormat, Sampling, Seal, Text, Tool, ToolCall, ToolChoice,
};
use crate::providers::fixtures;
use crate::providers::protocol::{Asking, Delivery, Encoded, Unsupported};
use crate::providers::{Parameter, Protocol, Quirks, SchemaBy};

fn at(
    model_id: &str,
    request: &ChatRequest,
    quirks: &Quirks,
    delivery: Delivery,
) -> Result<Encoded, Unsupported> {
    let mut deployment = fixtures::deployment("test");
    deployment.model_id = model_id.to_owned();
    let mut model = (*deployment.model).clone();
    (model.context_window, model.max_output_tokens) = (200_000, 64_000);
    deployment.model = model.into();
    encode(&Asking { delivery, ..fixtures::asking(request, &deployment, quirks) })
}

fn encoded(model_id: &str, request: &ChatRequest) -> Encoded {
    at(model_id, request, &Quirks::default(), Delivery::Whole).unwrap()
}

fn sends(name: &str, model_id: &str, request: &ChatRequest, dropped: &[&str]) {
    let encoded = encoded(model_id, request);
    assert_eq!(encoded.path, "/messages");
    assert_eq!(encoded.headers, [("anthropic-version", "2023-06-01".to_owned())]);
    assert_eq!(encoded.body, fixtures::cassette(Protocol::Anthropic, name), "{name}");
    assert_eq!(encoded.dropped, dropped, "{name}");
}

fn refuses(model_id: &str, request: &ChatRequest, what: &'static str) {
    let refused = at(model_id, request, &Quirks::default(), Delivery::Whole).unwrap_err();
    assert_eq!(refused, Unsupported(what), "{model_id}");
}

fn closed() -> Json {
    let city = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": { "city": city },
        "required": ["city"],
        "additionalProperties": false,
    })
    .into()
}

fn open() -> Json {
    json!({ "type": "object", "properties": { "zone": { "type": "string" } } }).into()
}

fn tool(name: &str, parameters: Json, strict: Option<bool>) -> Tool {
    Tool { name: name.into(), description: "Tells the time.".into(), parameters, strict }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    let name = "clock".into();
    ToolCall { id: id.into(), name, arguments: arguments.into(), seal: None }
}

fn says(text: &str) -> Message {
    Message::Assistant { reasoning: vec![], text: Some(text.into()), tool_calls: vec![] }
}

fn calls(reasoning: Vec<Reasoning>, tool_calls: Vec<ToolCall>) -> Message {
    Message::Assistant { reasoning, text: None, tool_calls }
}

fn asks(text: &str) -> Message {
    Message::User(vec![Part::Text(text.into())])
}

fn schema(schema: Json) -> ResponseFormat {
    ResponseFormat::JsonSchema { name: "place".into(), schema, strict: None }
}

fn thought(provider: &str, text: Option<&str>, value: &str) -> Reasoning {
    let provider = ProviderName::new(provider).unwrap();
    let seal = Some(Seal { provider, value: value.into() });
    Reasoning { text: text.map(Text::from), seal }
}

#[test]
fn turns_and_sampling_are_sent() {
    let system = |text: &str| Message::System(text.into());
    let messages = vec![
        system("Be brief."),
        asks("What is the capital of Chad?"),
        asks(" "),
        asks("Really."),
        says("N'Djamena."),
        system("Be exact."),
        asks("And of Mali?"),
    ];
    let mut request = ChatRequest { messages, user: Some("user-1".into()), ..Default::default() };
    request.extra = json!({ "reasoning_split": true }).into();
    request.sampling = Sampling {
        temperature: Some(1.5),
        top_p: Some(0.9),
        max_output_tokens: Some(64),
        stop: vec!["END".into(), "\n".into()],
        seed: Some(7),
        top_k: Some(5),
        frequency_penalty: Some(1.0),
        presence_penalty: Some(1.0),
        logprobs: Some(2),
    };
    let unknown = ["seed", "frequency_penalty", "presence_penalty", "logprobs", "reasoning_split"];
    let dropped = |own: &[&'static str]| [own, &unknown].concat();
    sends("request_text", "model-1", &request, &dropped(&["stop"]));
    let hot = dropped(&["top_p", "stop"]);
    sends("request_text_claude_4_5", "claude-haiku-4-5", &request, &hot);
    let new = dropped(&["temperature", "top_p", "top_k", "stop"]);
    sends("request_text_claude_5", "claude-opus-5", &request, &new);
}

#[test]
fn images_are_sent_by_url_and_by_value() {
    let png = ImageSource::Base64 { media_type: "image/png".into(), data: "iVBORw0K".into() };
    let url = ImageSource::Url("https://example.org/a.png".into());
    let closely = Image { source: url.clone(), detail: Some(ImageDetail::High) };
    let parts = vec![
        Part::Text("What differs?".into()),
        Part::Image(closely),
        Part::Image(Image::new(png)),
    ];
    let mut request = ChatRequest { messages: vec![Message::User(parts)], ..Default::default() };
    sends("request_images", "model-1", &request, &["image_detail"]);
    let quirks = Quirks { image_urls: Some(false), ..Quirks::default() };
    let refused = at("model-1", &request, &quirks, Delivery::Whole);
    assert_eq!(refused, Err(Unsupported("an image by URL")));
    let tiff = ImageSource::Base64 { media_type: "image/tiff".into(), data: "SUkq".into() };
    request.messages = vec![Message::User(vec![Part::Image(Image::new(tiff))])];
    refuses("model-1", &request, "an image of this type");
}

fn tool_talk() -> ChatRequest {
    let png = ImageSource::Base64 { media_type: "image/jpg".into(), data: "/9j/".into() };
    let mut request = ChatRequest::from_prompt("What time is it in Oslo and Rome?");
    request.messages.extend([
        calls(vec![], vec![call("call_1", r#"{"zone":"Europe/Oslo"}"#), call("clock:2", "oops")]),
        asks("Hurry."),
        Message::ToolResult {
            tool_call_id: "call_1".into(),
            parts: vec![Part::Text("14:05".into()), Part::Image(Image::new(png))],
            failed: false,
        },
        Message::ToolResult { tool_call_id: "clock:2".into(), parts: vec![], failed: true },
    ]);
    request
}

#[test]
fn tools_calls_and_results_are_sent() {
    let mut request = tool_talk();
    request.tools = vec![
        tool("clock", open(), Some(true)),
        tool("town", closed(), Some(true)),
        tool("bell", open(), None),
    ];
    request.tool_choice = ToolChoice::Tool("clock".into());
    request.parallel_tool_calls = Some(false);
    sends("request_tools", "model-1", &request, &["strict_tools"]);
    for (choice, wanted) in [
        (ToolChoice::Auto, json!({ "type": "auto", "disable_parallel_tool_use": true })),
        (ToolChoice::None, json!({ "type": "none" })),
        (ToolChoice::Required, json!({ "type": "any", "disable_parallel_tool_use": true })),
    ] {
        request.tool_choice = choice;
        assert_eq!(encoded("model-1", &request).body["tool_choice"], wanted);
    }
    sends("request_past_tools", "model-1", &tool_talk(), &[]);
}

#[test]
fn forced_calls_put_thinking_off_or_are_refused() {
    let mut request = ChatRequest::from_prompt("What time is it?");
    (request.tools, request.tool_choice) =
        (vec![tool("clock", open(), None)], ToolChoice::Required);
    let check = |model_id: &str, effort, thinking: Value, dropped: &[&str]| {
        let request = ChatRequest { effort, ..request.clone() };
        let encoded = encoded(model_id, &request);
        assert_eq!(encoded.body["tool_choice"]["type"], "any", "{model_id}");
        assert_eq!(encoded.body["thinking"], thinking, "{model_id}");
        assert_eq!(encoded.dropped, dropped, "{model_id}");
    };
    let (high, off) = (Some(Effort::High), json!({ "type": "disabled" }));
    check("claude-haiku-4-5", high, Value::Null, &["reasoning_effort"]);
    check("claude-opus-4-8", high, Value::Null, &["reasoning_effort"]);
    check("claude-sonnet-5", high, off.clone(), &["reasoning_effort"]);
    check("claude-sonnet-5", None, off, &[]);
    check("claude-fable-5", None, Value::Null, &[]);
    refuses("claude-opus-5-5", &request, "a tool call that must be");
}

#[test]
fn thinking_is_asked_for_and_only_own_blocks_are_sent_back() {
    let mut request = ChatRequest::from_prompt("What time is it in Oslo?");
    let reasoning = vec![
        thought("test", Some("Oslo."), "c2ln"),
        thought("test", None, "c2VjcmV0"),
        thought("test", None, "signature:c2ln"),
        thought("google", Some("Elsewhere."), "Zm9yZWlnbg=="),
        Reasoning { text: Some("Unsigned.".into()), seal: None },
    ];
    request.messages.push(calls(reasoning, vec![call("call_1", "")]));
    request.messages.push(Message::tool_result("call_1", "14:05"));
    request.tools = vec![tool("clock", open(), None)];
    request.effort = Some(Effort::Low);
    request.sampling = Sampling {
        temperature: Some(0.5),
        top_p: Some(0.97),
        top_k: Some(3),
        ..Sampling::default()
    };
    let cold = ["past_reasoning", "temperature", "top_k"];
    sends("request_thinking", "model-1", &request, &cold);
    let cold = ["past_reasoning", "temperature", "top_p", "top_k"];
    sends("request_thinking_adaptive", "claude-opus-4-8", &request, &cold);
    // Without a block of its own, an answer between calls cannot think.
    request.messages[1] = calls(vec![], vec![call("call_1", "")]);
    request.sampling = Sampling::default();
    let encoded = encoded("model-1", &request);
    assert_eq!(
        (&encoded.body["thinking"], encoded.dropped),
        (&Value::Null, vec!["reasoning_effort".to_owned()])
    );
}

#[test]
fn the_limit_leaves_room_for_thinking() {
    let check = |model_id: &str, effort, asked, limit: u64, thinking: Value| {
        let mut request = ChatRequest { effort, ..ChatRequest::from_prompt("Hello") };
        request.sampling.max_output_tokens = asked;
        let body = encoded(model_id, &request).body;
        assert_eq!(body["max_tokens"], limit, "{model_id} {effort:?} {asked:?}");
        assert_eq!(body["thinking"], thinking, "{model_id} {effort:?} {asked:?}");
    };
    let budget = |tokens: u64| json!({ "type": "enabled", "budget_tokens": tokens });
    check("model-1", None, None, 8_192, Value::Null);
    check("model-1", None, Some(100_000), 64_000, Value::Null);
    check("model-1", Some(Effort::Off), Some(500), 500, Value::Null);
    check("model-1", Some(Effort::Minimal), None, 8_192, budget(1_024));
    check("model-1", Some(Effort::High), Some(500), 16_884, budget(16_384));
    check("model-1", Some(Effort::Tokens(90_000)), Some(500), 64_000, budget(63_999));
    let adaptive = json!({ "type": "adaptive", "display": "summarized" });
    check("claude-opus-4-8", None, None, 8_192, Value::Null);
    check("claude-opus-4-8", Some(Effort::High), None, 24_576, adaptive);
    check("claude-opus-5", None, None, 24_576, Value::Null);
    check("claude-opus-5", Some(Effort::Off), None, 8_192, json!({ "type": "disabled" }));
    check("claude-sonnet-5-5", Some(Effort::Off), None, 8_192, json!({ "type": "between_tools" }));
    check("claude-opus-5-5", Some(Effort::Off), None, 24_576, Value::Null);
}

#[test]
fn what_is_cached_is_marked() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.messages.insert(0, Message::System("Be brief.".into()));
    request.messages.push(says("Hello yourself.\n"));
    (request.tools, request.cache_prompt) = (vec![tool("clock", open(), None)], true);
    sends("request_cached", "model-1", &request, &[]);
    let lacks = [Parameter::PromptCache].into();
    let quirks = Quirks { lacks, ..Quirks::default() };
    let encoded = at("model-1", &request, &quirks, Delivery::Stream).unwrap();
    assert!(!encoded.body.to_string().contains("cache_control"));
    assert_eq!(encoded.dropped, ["prompt_cache"]);
    assert_eq!(encoded.body["stream"], true);
    // Newer models go on with no answer.
    refuses("claude-opus-4-6", &request, "an answer that was begun");
}

#[test]
fn json_is_asked_for_by_a_tool_or_by_the_field() {
    let table = [
        ("request_json_object", "model-1", ResponseFormat::JsonObject, None),
        ("request_schema_tool", "model-1", schema(open()), None),
        ("request_schema_thinking", "model-1", schema(closed()), Some(Effort::Low)),
        ("request_schema_claude_5", "claude-sonnet-5", schema(closed()), None),
        ("request_schema_open_claude_5", "claude-sonnet-5", schema(open()), None),
        ("request_schema_claude_5_5", "claude-opus-5-5", schema(closed()), Some(Effort::High)),
    ];
    for (name, model_id, response_format, effort) in table {
        let request = ChatRequest::from_prompt("Where was Abéché founded?");
        sends(name, model_id, &ChatRequest { response_format, effort, ..request }, &[]);
    }
    let mut request = ChatRequest::from_prompt("Hello");
    request.response_format = schema(open());
    refuses("claude-opus-5-5", &request, "JSON of this shape");
    request.effort = Some(Effort::High);
    assert_eq!(encoded("model-1", &request).dropped, ["reasoning_effort"]);
    let quirks = Quirks { json_schema: Some(SchemaBy::Native), ..Quirks::default() };
    let native = at("model-1", &request, &quirks, Delivery::Whole).unwrap().body;
    assert_eq!(native["output_config"]["format"]["type"], "json_schema");
}

#[test]
fn json_beside_tools_leaves_the_choice() {
    let mut request = ChatRequest::from_prompt("What time is it in Oslo?");
    (request.tools, request.response_format) = (vec![tool("clock", open(), None)], schema(open()));
    sends("request_schema_and_tools", "model-1", &request, &[]);
    let alone =
        json!({ "type": "tool", "name": "answer_as_json", "disable_parallel_tool_use": true });
    for (choice, wanted) in [
        (ToolChoice::None, alone),
        (ToolChoice::Required, json!({ "type": "any" })),
        (ToolChoice::Tool("clock".into()), json!({ "type": "tool", "name": "clock" })),
    ] {
        request.tool_choice = choice;
        assert_eq!(encoded("model-1", &request).body["tool_choice"], wanted);
    }
    request.tool_choice = ToolChoice::Auto;
    request.tools = vec![tool("answer_as_json", open(), None)];
    refuses("model-1", &request, "a tool with the name of our own");
}
