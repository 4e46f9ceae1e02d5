//! What we send to Ollama, against cassettes.

use serde_json::{Value, json};

use super::super::{Asking, Delivery, Encoded, Unsupported};
use super::encode;
use crate::domain::{
    ChatRequest, Effort, Image, ImageDetail, ImageSource, Json, Message, Part, ProviderName,
    Reasoning, ResponseFormat, Sampling, Seal, Tool, ToolCall, ToolChoice,
};
use crate::providers::quirks::{Parameter, SchemaBy};
use crate::providers::{Protocol, Quirks, fixtures};

fn encoded(request: &ChatRequest, quirks: &Quirks) -> Result<Encoded, Unsupported> {
    encode(&fixtures::asking(request, &fixtures::deployment("ollama"), quirks))
}

fn sends(name: &str, request: &ChatRequest, dropped: &[&str]) {
    let encoded = encoded(request, &Quirks::default()).unwrap();
    assert_eq!(encoded.path, "/api/chat");
    assert_eq!(encoded.body, fixtures::cassette(Protocol::Ollama, name), "{name}");
    assert_eq!(encoded.dropped, dropped, "{name}");
}

fn refuses(request: &ChatRequest, wanted: &'static str) {
    assert_eq!(encoded(request, &Quirks::default()), Err(Unsupported(wanted)));
}

fn tool(name: &str, description: &str, parameters: Value) -> Tool {
    let parameters = Json::from(parameters);
    Tool { name: name.into(), description: description.into(), parameters, strict: None }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "clock".into(), arguments: arguments.into(), seal: None }
}

fn assistant(reasoning: Vec<Reasoning>, text: Option<&str>, tool_calls: Vec<ToolCall>) -> Message {
    Message::Assistant { reasoning, text: text.map(Into::into), tool_calls }
}

fn user(text: &str) -> Message {
    Message::User(vec![Part::Text(text.into())])
}

fn of(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { messages, ..ChatRequest::default() }
}

fn image(source: ImageSource, detail: Option<ImageDetail>) -> Part {
    Part::Image(Image { source, detail })
}

#[test]
fn text_and_options_are_sent() {
    let text = "What is the capital of Chad?";
    let mut request = of(vec![Message::System("Be brief.".into()), user(text)]);
    request.sampling = Sampling {
        temperature: Some(0.2),
        top_p: Some(0.9),
        max_output_tokens: Some(64),
        stop: vec!["END".into()],
        seed: Some(7),
        top_k: Some(40),
        frequency_penalty: Some(-0.5),
        presence_penalty: Some(0.5),
        logprobs: Some(3),
    };
    sends("request_text", &request, &[]);
    let (request, quirks) = (ChatRequest::from_prompt("Hello"), Quirks::default());
    let deployment = fixtures::deployment("ollama");
    let asking = fixtures::asking(&request, &deployment, &quirks);
    let body = encode(&Asking { delivery: Delivery::Stream, ..asking }).unwrap().body;
    assert_eq!(body, fixtures::cassette(Protocol::Ollama, "request_stream"));
}

#[test]
fn images_are_sent_by_value_only() {
    let data = |media_type: &str, data: &str| ImageSource::Base64 {
        media_type: media_type.into(),
        data: data.into(),
    };
    let parts = vec![
        Part::Text("What differs?".into()),
        image(data("image/png", "iVBORw0K"), Some(ImageDetail::Low)),
        Part::Text("Look.".into()),
        image(data("image/gif", "R0lGODdh"), Some(ImageDetail::Auto)),
    ];
    sends("request_images", &of(vec![Message::User(parts)]), &["image_detail"]);
    let url = image(ImageSource::Url("https://example.org/a.png".into()), None);
    refuses(&of(vec![Message::User(vec![url])]), "an image by URL");
}

#[test]
fn tools_calls_and_results_are_sent() {
    let calls = vec![call("a", r#"{"zone":"Europe/Oslo"}"#), call("b", "")];
    let parts = vec![Part::Text("no such zone".into())];
    let messages = vec![
        user("What time is it?"),
        assistant(vec![], Some("Let me look."), calls),
        Message::tool_result("a", "14:05"),
        Message::ToolResult { tool_call_id: "b".into(), parts, failed: true },
        Message::tool_result("z", "lost"),
    ];
    let zone = json!({ "type": "object", "properties": { "zone": { "type": "string" } } });
    let mut request = of(messages);
    request.tools =
        vec![tool("clock", "Tells the time.", zone), tool("bell", "", json!({ "type": "object" }))];
    sends("request_tools", &request, &[]);
    request.tool_choice = ToolChoice::None;
    let body = encoded(&request, &Quirks::default()).unwrap().body;
    assert_eq!(body.get("tools"), None);
    for choice in [ToolChoice::Required, ToolChoice::Tool("clock".into())] {
        request.tool_choice = choice;
        refuses(&request, "a forced tool call");
    }
}

#[test]
fn formats_are_sent() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.response_format = ResponseFormat::JsonObject;
    sends("request_json_object", &request, &[]);
    let schema = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false,
    });
    let (name, schema) = ("place".into(), schema.into());
    request.response_format = ResponseFormat::JsonSchema { name, schema, strict: None };
    sends("request_schema", &request, &[]);
    let quirks = Quirks { json_schema: Some(SchemaBy::Tool), ..Quirks::default() };
    assert_eq!(encoded(&request, &quirks), Err(Unsupported("a forced tool call")));
}

#[test]
fn levels_of_thinking_are_only_for_models_that_take_them() {
    let check = |model: &str, effort, wanted: Value| {
        let request = ChatRequest { effort: Some(effort), ..ChatRequest::from_prompt("Hello") };
        let (mut deployment, quirks) = (fixtures::deployment("ollama"), Quirks::default());
        deployment.model_id = model.to_owned();
        let body = encode(&fixtures::asking(&request, &deployment, &quirks)).unwrap().body;
        assert_eq!(body["think"], wanted, "{model} {effort:?}");
    };
    for model in ["gpt-oss:20b", "qwen3:8b"] {
        check(model, Effort::Off, false.into());
        check(model, Effort::Tokens(9), true.into());
    }
    check("gpt-oss:20b", Effort::Minimal, "low".into());
    check("gpt-oss:20b", Effort::Low, "low".into());
    check("gpt-oss:20b", Effort::Medium, "medium".into());
    check("gpt-oss:20b", Effort::High, "high".into());
    check("qwen3:8b", Effort::High, true.into());
}

#[test]
fn past_thinking_is_sent_unless_it_is_anothers() {
    let thought = |text: &str, provider: Option<&str>| {
        let seal =
            provider.map(|it| Seal { provider: ProviderName::new(it).unwrap(), value: "x".into() });
        Reasoning { text: Some(text.into()), seal }
    };
    let thoughts = vec![
        thought("Hm.", None),
        thought("Mine.", Some("ollama")),
        thought("No.", Some("google")),
    ];
    let turn = assistant(thoughts, Some("Hi."), vec![]);
    let mut request = of(vec![user("Hello"), turn, user("And?")]);
    request.effort = Some(Effort::High);
    sends("request_reasoning", &request, &["past_reasoning"]);
}

#[test]
fn what_is_left_out_is_named() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.sampling.top_k = Some(3);
    request.sampling.logprobs = Some(0);
    request.parallel_tool_calls = Some(false);
    request.user = Some("u".into());
    request.cache_prompt = true;
    request.tools = vec![Tool { strict: Some(true), ..tool("bell", "", json!({})) }];
    request.extra = json!({ "logit_bias": {} }).into();
    let quirks = Quirks { lacks: [Parameter::TopK].into(), ..Quirks::default() };
    let encoded = encoded(&request, &quirks).unwrap();
    let wanted =
        ["top_k", "parallel_tool_calls", "user", "prompt_cache", "strict_tools", "logit_bias"];
    assert_eq!(encoded.dropped, wanted);
    assert_eq!(encoded.body["logprobs"], true);
    assert_eq!(encoded.body.get("top_logprobs"), None);
    assert_eq!(encoded.body.get("options"), None);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let calls = |arguments| assistant(vec![], None, vec![call("a", arguments)]);
    refuses(&of(vec![calls("[1]")]), "a tool call whose arguments are no JSON object");
    let parts = vec![image(ImageSource::Url("https://example.org/a".into()), None)];
    let result = Message::ToolResult { tool_call_id: "a".into(), parts, failed: false };
    refuses(&of(vec![calls("{}"), result]), "an image in a tool's result");
}
