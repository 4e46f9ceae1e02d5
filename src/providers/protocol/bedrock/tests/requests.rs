//! What we send.

use serde_json::{Value, json};

use super::super::encode;
use crate::domain::{
    ChatRequest, Effort, Image, ImageSource, Json, Message, Part, ProviderName, Reasoning,
    ResponseFormat, Sampling, Seal, Tool, ToolCall, ToolChoice,
};
use crate::providers::protocol::{Asking, Delivery, Encoded, Unsupported};
use crate::providers::{Protocol, Quirks, SchemaBy, fixtures};

const HAIKU: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";
const NOVA: &str = "amazon.nova-pro-v1:0";

fn at(model_id: &str, request: &ChatRequest, quirks: &Quirks) -> Result<Encoded, Unsupported> {
    let mut deployment = fixtures::deployment("test");
    deployment.model_id = model_id.to_owned();
    let mut model = (*deployment.model).clone();
    (model.context_window, model.max_output_tokens) = (200_000, 64_000);
    deployment.model = model.into();
    encode(&fixtures::asking(request, &deployment, quirks))
}

fn sends(name: &str, model_id: &str, request: &ChatRequest, dropped: &[&str]) {
    let encoded = at(model_id, request, &Quirks::default()).unwrap();
    assert_eq!(encoded.body, fixtures::cassette(Protocol::Bedrock, name), "{name}");
    assert_eq!(encoded.dropped, dropped, "{name}");
}

fn open() -> Json {
    json!({ "type": "object", "properties": { "zone": { "type": "string" } } }).into()
}

fn tool(name: &str) -> Tool {
    let description = "Tells the time.".into();
    Tool { name: name.into(), description, parameters: open(), strict: None }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "clock".into(), arguments: arguments.into(), seal: None }
}

fn image(source: ImageSource) -> Part {
    Part::Image(Image::new(source))
}

fn talk() -> ChatRequest {
    let mut request = ChatRequest::from_prompt("What time is it in Oslo and Rome?");
    let provider = ProviderName::new("test").unwrap();
    let seal = |value: &str| Some(Seal { provider: provider.clone(), value: value.into() });
    let reasoning = vec![
        Reasoning { text: Some("Two.".into()), seal: seal("c2ln") },
        Reasoning { text: None, seal: seal("c2VjcmV0") },
        Reasoning { text: Some("Unsigned.".into()), seal: None },
    ];
    let calls = vec![call("call_1", r#"{"zone":"Europe/Oslo"}"#), call("clock:2", "")];
    request.messages.insert(0, Message::System("Be brief.".into()));
    let png = ImageSource::Base64 { media_type: "image/png".into(), data: "iVBORw0K".into() };
    request.messages.extend([
        Message::Assistant { reasoning, text: Some("I look.".into()), tool_calls: calls },
        Message::ToolResult {
            tool_call_id: "call_1".into(),
            parts: vec![Part::Text("14:05".into()), image(png)],
            failed: false,
        },
        Message::ToolResult { tool_call_id: "clock:2".into(), parts: vec![], failed: true },
        Message::User(vec![Part::Text("Hurry.".into())]),
    ]);
    request
}

#[test]
fn the_path_names_the_model() {
    let request = ChatRequest::from_prompt("Hello");
    let mut deployment = fixtures::deployment("test");
    deployment.model_id = "arn:aws:bedrock:eu-west-1:1:inference-profile/a.b-v1:0".into();
    let quirks = Quirks::default();
    let asking = fixtures::asking(&request, &deployment, &quirks);
    let base = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fa.b-v1%3A0";
    assert_eq!(encode(&asking).unwrap().path, format!("{base}/converse"));
    let asking = Asking { delivery: Delivery::Stream, ..asking };
    assert_eq!(encode(&asking).unwrap().path, format!("{base}/converse-stream"));
}

#[test]
fn turns_tools_and_sampling_are_sent() {
    let mut request = talk();
    request.sampling = Sampling {
        temperature: Some(1.5),
        top_p: Some(0.9),
        max_output_tokens: Some(64),
        stop: vec!["END".into()],
        seed: Some(7),
        top_k: Some(5),
        ..Sampling::default()
    };
    (request.cache_prompt, request.user) = (true, Some("user-1".into()));
    request.parallel_tool_calls = Some(false);
    request.tools = vec![tool("clock"), tool("bell")];
    request.tool_choice = ToolChoice::Required;
    let dropped = ["past_reasoning", "top_p", "user", "parallel_tool_calls", "seed"];
    sends("request_tools", HAIKU, &request, &dropped);
    let dropped = ["past_reasoning", "top_k", "user", "parallel_tool_calls", "seed"];
    sends("request_tools_nova", NOVA, &request, &dropped);
    request.tool_choice = ToolChoice::Tool("bell".into());
    let body = at(HAIKU, &request, &Quirks::default()).unwrap().body;
    assert_eq!(body["toolConfig"]["toolChoice"], json!({ "tool": { "name": "bell" } }));
}

#[test]
fn tools_that_are_forbidden_are_left_out_unless_they_were_called() {
    let mut request = ChatRequest::from_prompt("Hello");
    (request.tools, request.tool_choice) = (vec![tool("clock")], ToolChoice::None);
    let config =
        |it: &ChatRequest| at(HAIKU, it, &Quirks::default()).unwrap().body["toolConfig"].clone();
    assert_eq!(config(&request), Value::Null);
    request.messages = talk().messages;
    assert_eq!(config(&request)["tools"][0]["toolSpec"]["name"], "clock");
    request.tools.clear();
    let past =
        json!({ "toolSpec": { "name": "clock", "inputSchema": { "json": { "type": "object" } } } });
    assert_eq!(config(&request), json!({ "tools": [past], "toolChoice": { "auto": {} } }));
}

#[test]
fn thinking_is_asked_for_in_anthropics_words() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.effort = Some(Effort::Low);
    sends("request_thinking", HAIKU, &request, &[]);
    sends("request_thinking_adaptive", "us.anthropic.claude-opus-4-8", &request, &[]);
    sends("request_text", NOVA, &request, &["reasoning_effort"]);
}

#[test]
fn json_is_asked_for_by_a_tool_or_by_the_field() {
    let mut request = ChatRequest::from_prompt("Where was Abéché founded?");
    request.response_format =
        ResponseFormat::JsonSchema { name: "place".into(), schema: open(), strict: None };
    sends("request_schema_tool", NOVA, &request, &[]);
    let quirks = Quirks { json_schema: Some(SchemaBy::Native), ..Quirks::default() };
    let body = at(NOVA, &request, &quirks).unwrap().body;
    let inner = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    assert_eq!(inner["name"], "place");
    assert_eq!(
        serde_json::from_str::<Value>(inner["schema"].as_str().unwrap()).unwrap(),
        *open().value()
    );
}

#[test]
fn what_converse_cannot_say_is_refused() {
    let check = |messages, what| {
        let request = ChatRequest { messages, ..ChatRequest::default() };
        let refused = at(NOVA, &request, &Quirks::default());
        assert_eq!(refused, Err(Unsupported(what)));
    };
    let url = ImageSource::Url("https://example.org/a.png".into());
    check(vec![Message::User(vec![image(url)])], "an image by URL");
    let begun =
        Message::Assistant { reasoning: vec![], text: Some("Hi".into()), tool_calls: vec![] };
    let user = Message::User(vec![Part::Text("Hello".into())]);
    check(vec![begun, user], "a conversation that an answer begins");
}
