//! What we send to Gemini, against cassettes.

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
    encode(&fixtures::asking(request, &fixtures::deployment("google"), quirks))
}

/// Sends it to a provider without quirks: the body is the cassette's, and this is left out.
fn sends(name: &str, request: &ChatRequest, dropped: &[&str]) {
    sends_to(name, request, dropped, &Quirks::default());
}

fn sends_to(name: &str, request: &ChatRequest, dropped: &[&str], quirks: &Quirks) {
    let encoded = encoded(request, quirks).unwrap();
    assert_eq!(encoded.body, fixtures::cassette(Protocol::Gemini, name), "{name}");
    assert_eq!(encoded.dropped, dropped, "{name}");
}

fn seal(provider: &str, value: &str) -> Option<Seal> {
    Some(Seal { provider: ProviderName::new(provider).unwrap(), value: value.into() })
}

fn tool(name: &str, description: &str, parameters: Value) -> Tool {
    let parameters = Json::from(parameters);
    Tool { name: name.into(), description: description.into(), parameters, strict: None }
}

fn call(id: &str, arguments: &str, seal: Option<Seal>) -> ToolCall {
    ToolCall { id: id.into(), name: "clock".into(), arguments: arguments.into(), seal }
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

fn place() -> ResponseFormat {
    let schema = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false,
    });
    ResponseFormat::JsonSchema { name: "place".into(), schema: schema.into(), strict: None }
}

#[test]
fn text_and_sampling_are_sent() {
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
}

#[test]
fn turns_alternate_and_instructions_stand_apart() {
    let messages = vec![
        Message::System("Be brief.".into()),
        user("First."),
        user("Second."),
        user(""),
        assistant(vec![], Some("Answer."), vec![]),
        Message::System("Be kind.".into()),
        user("Third."),
    ];
    sends("request_turns", &of(messages), &[]);
    sends("request_instructions", &of(vec![Message::System("Say hello.".into())]), &[]);
}

#[test]
fn images_are_sent_by_value_and_by_url() {
    let image = |source, detail| Part::Image(Image { source, detail });
    let data = ImageSource::Base64 { media_type: "image/png".into(), data: "iVBORw0K".into() };
    let url = |url: &str| ImageSource::Url(url.into());
    let parts = vec![
        Part::Text("What differs?".into()),
        image(data, Some(ImageDetail::Auto)),
        image(url("https://example.org/a.JPG?size=1"), Some(ImageDetail::High)),
        image(url("https://example.org/b"), None),
    ];
    let request = of(vec![Message::User(parts)]);
    sends("request_images", &request, &["image_detail"]);
    let quirks = Quirks { image_urls: Some(false), ..Quirks::default() };
    assert_eq!(encoded(&request, &quirks), Err(Unsupported("an image by URL")));
}

#[test]
fn tools_calls_and_results_are_sent() {
    let calls = vec![
        call("a", r#"{"zone":"Europe/Oslo"}"#, seal("google", "c2VhbA==")),
        call("b", r#"{"zone":"Mars"}"#, seal("anthropic", "not yours")),
        call("c", " ", None),
    ];
    let failed = vec![Part::Text("no such zone".into())];
    let messages = vec![
        user("What time is it?"),
        assistant(vec![], Some("Let me look."), calls),
        Message::tool_result("a", r#"{"time":"14:05"}"#),
        Message::ToolResult { tool_call_id: "b".into(), parts: failed, failed: true },
        Message::tool_result("c", "13:05"),
        user("So?"),
    ];
    let zone = json!({ "type": "object", "properties": { "zone": { "type": "string" } } });
    let mut request = of(messages);
    request.tools = vec![
        Tool { strict: Some(false), ..tool("clock", "Tells the time.", zone) },
        tool("bell", "", json!({ "type": "object" })),
    ];
    request.tool_choice = ToolChoice::Tool("clock".into());
    sends("request_tools", &request, &["past_reasoning"]);
    for (choice, wanted) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!({ "functionCallingConfig": { "mode": "NONE" } })),
        (ToolChoice::Required, json!({ "functionCallingConfig": { "mode": "ANY" } })),
    ] {
        request.tool_choice = choice;
        let body = encoded(&request, &Quirks::default()).unwrap().body;
        assert_eq!(body["toolConfig"], wanted);
    }
}

#[test]
fn a_schema_is_sent_natively_or_as_a_tool() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.response_format = ResponseFormat::JsonObject;
    sends("request_json_object", &request, &[]);
    request.response_format = place();
    sends("request_schema", &request, &[]);
    let quirks = Quirks { json_schema: Some(SchemaBy::Tool), ..Quirks::default() };
    request.tools = vec![tool("bell", "", json!({ "type": "object" }))];
    sends_to("request_schema_tool", &request, &[], &quirks);
    for (choice, allowed) in [
        (ToolChoice::None, "answer_as_json"),
        (ToolChoice::Required, "bell"),
        (ToolChoice::Tool("bell".into()), "bell"),
    ] {
        request.tool_choice = choice;
        let body = encoded(&request, &quirks).unwrap().body;
        let config = &body["toolConfig"]["functionCallingConfig"];
        assert_eq!(config, &json!({ "mode": "ANY", "allowedFunctionNames": [allowed] }));
    }
}

#[test]
fn thinking_has_a_budget() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.effort = Some(Effort::Medium);
    sends("request_thinking", &request, &[]);
    request.effort = Some(Effort::Off);
    sends("request_thinking_off", &request, &[]);
    for (effort, budget) in [
        (Effort::Minimal, 512),
        (Effort::Low, 1024),
        (Effort::High, 24576),
        (Effort::Tokens(77), 77),
    ] {
        request.effort = Some(effort);
        let body = encoded(&request, &Quirks::default()).unwrap().body;
        let config = &body["generationConfig"]["thinkingConfig"];
        assert_eq!(config["thinkingBudget"], budget);
        assert_eq!(config["includeThoughts"], true);
    }
}

#[test]
fn only_own_seals_come_back() {
    let thought = |text: Option<&str>, seal| Reasoning { text: text.map(Into::into), seal };
    let mine = vec![
        thought(Some("Hm."), seal("google", "b25l")),
        thought(None, seal("google", "dHdv")),
        thought(Some("Unsealed."), None),
        thought(Some("Yours."), seal("anthropic", "x")),
    ];
    let secret = vec![thought(None, seal("google", "b25l")), thought(None, seal("google", "dHdv"))];
    let mut messages = vec![user("Hello"), assistant(mine, Some("Hi."), vec![])];
    messages.extend([user("And?"), assistant(secret, None, vec![])]);
    let request = of(messages);
    sends("request_reasoning", &request, &["past_reasoning"]);
    let quirks = Quirks { lacks: [Parameter::PastReasoning].into(), ..Quirks::default() };
    let encoded = encoded(&request, &quirks).unwrap();
    assert!(!encoded.body.to_string().contains("thoughtSignature"));
    assert_eq!(encoded.dropped, ["past_reasoning"]);
}

#[test]
fn what_is_left_out_is_named() {
    let mut request = ChatRequest::from_prompt("Hello");
    request.sampling.stop = (0..6).map(|it| it.to_string()).collect();
    request.sampling.seed = Some(1 << 40);
    request.sampling.logprobs = Some(0);
    request.sampling.top_k = Some(3);
    request.effort = Some(Effort::High);
    request.parallel_tool_calls = Some(false);
    request.user = Some("u".into());
    request.cache_prompt = true;
    request.tools = vec![Tool { strict: Some(true), ..tool("bell", "", json!({})) }];
    request.extra = json!({ "logit_bias": {} }).into();
    let lacks = [Parameter::TopK, Parameter::ReasoningEffort].into();
    let encoded = encoded(&request, &Quirks { lacks, ..Quirks::default() }).unwrap();
    let wanted = [
        "top_k",
        "seed",
        "stop",
        "reasoning_effort",
        "parallel_tool_calls",
        "user",
        "prompt_cache",
        "strict_tools",
        "logit_bias",
    ];
    assert_eq!(encoded.dropped, wanted);
    let kept = json!({ "stopSequences": ["0", "1", "2", "3", "4"], "responseLogprobs": true });
    assert_eq!(encoded.body["generationConfig"], kept);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let check = |messages: Vec<Message>, wanted| {
        assert_eq!(encoded(&of(messages), &Quirks::default()), Err(Unsupported(wanted)));
    };
    check(vec![Message::tool_result("a", "1")], "a tool's result without its call");
    let calls = |arguments| assistant(vec![], None, vec![call("a", arguments, None)]);
    check(vec![calls("[1]")], "a tool call whose arguments are no JSON object");
    check(vec![calls("{")], "a tool call whose arguments are no JSON object");
    let parts = vec![Part::Image(Image::new(ImageSource::Url("https://example.org/a".into())))];
    let result = Message::ToolResult { tool_call_id: "a".into(), parts, failed: false };
    check(vec![calls("{}"), result], "an image in a tool's result");
}

#[test]
fn the_path_names_model_and_method() {
    let check = |id: &str, delivery, wanted: &str| {
        let (request, quirks) = (ChatRequest::from_prompt("Hello"), Quirks::default());
        let mut deployment = fixtures::deployment("google");
        deployment.model_id = id.to_owned();
        let asking = Asking { delivery, ..fixtures::asking(&request, &deployment, &quirks) };
        assert_eq!(encode(&asking).unwrap().path, wanted);
    };
    use Delivery::{Stream, Whole};
    check("gemini-2.5-pro", Whole, "/models/gemini-2.5-pro:generateContent");
    check("models/a", Stream, "/models/a:streamGenerateContent?alt=sse");
    check("tunedModels/a", Whole, "/tunedModels/a:generateContent");
    check("a/b?c é", Whole, "/models/a%2Fb%3Fc%20%C3%A9:generateContent");
}
