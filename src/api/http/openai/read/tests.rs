//! Bodies of chat completions, and what is wrong with them.

use serde_json::json;

use super::*;
use crate::domain::{Image, ImageDetail, ImageSource, Message, Part, ResponseFormat, ToolChoice};

fn said(body: Value) -> (Said, Vec<Violation>) {
    let Value::Object(body) = body else { panic!("no object") };
    let mut found = Vec::new();
    (read(body, &mut found), found)
}

fn good(body: Value) -> Said {
    let (said, found) = said(body);
    assert_eq!(found, []);
    said
}

#[test]
fn every_kind_of_message_is_read() {
    let said = good(json!({"messages": [
        {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "name": "x", "content": [
            {"type": "text", "text": "c"},
            {"type": "image_url", "image_url": {"url": "https://x.example/1", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        ]},
        {"role": "assistant", "content": null, "reasoning_content": "hm", "refusal": null,
         "reasoning_details": [
            {"type": "reasoning.text", "text": "hm", "signature": "pointsman:anthropic:s"},
            {"type": "reasoning.encrypted", "data": "of somebody else"},
         ],
         "tool_calls": [{"id": "1", "type": "function",
            "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"pointsman": {"seal": "pointsman:google:t"}}}]},
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"role": "assistant", "content": "d", "reasoning_content": "so"},
    ]}));
    let messages = said.chat.messages;
    assert_eq!(messages[0], Message::System("a\nb".into()));
    let low = Image {
        source: ImageSource::Url("https://x.example/1".into()),
        detail: Some(ImageDetail::Low),
    };
    let here = ImageSource::Base64 { media_type: "image/png".into(), data: "QUJD".into() };
    let parts = vec![Part::Text("c".into()), Part::Image(low), Part::Image(Image::new(here))];
    assert_eq!(messages[1], Message::User(parts));
    let Message::Assistant { reasoning, text: None, tool_calls } = &messages[2] else {
        panic!("{:?}", messages[2])
    };
    assert_eq!(reasoning.len(), 1);
    assert_eq!(reasoning[0].seal.as_ref().unwrap().to_wire(), "pointsman:anthropic:s");
    assert_eq!(tool_calls[0].seal.as_ref().unwrap().to_wire(), "pointsman:google:t");
    assert_eq!(messages[3], Message::tool_result("1", "42"));
    let Message::Assistant { reasoning, .. } = &messages[4] else { panic!("{:?}", messages[4]) };
    assert_eq!(reasoning[0].text, Some("so".into()));
}

#[test]
fn every_parameter_is_read() {
    let said = good(json!({
        "model": "auto:cost", "models": ["a", "b"], "route": "fallback", "messages": [],
        "stream": true, "stream_options": {"include_usage": true}, "n": 1,
        "temperature": 0.5, "top_p": 0.9, "max_tokens": 5, "max_completion_tokens": 7.0,
        "stop": "x", "seed": -1, "frequency_penalty": 1, "presence_penalty": -1,
        "logprobs": true, "top_logprobs": 3, "top_k": 40, "parallel_tool_calls": false,
        "user": "u", "safety_identifier": "v", "reasoning_effort": "xhigh",
        "metadata": {"team": "search"}, "store": true, "logit_bias": {"1": 2}, "verbosity": null,
        "tools": [{"type": "function", "function": {"name": "f", "strict": true}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema":
            {"name": "s", "schema": {"type": "object"}, "strict": true, "description": "d"}},
        "pointsman": {"explain": true},
    }));
    assert_eq!((said.model.as_str(), said.models.len()), ("auto:cost", 2));
    assert_eq!(said.delivery, Delivery::StreamWithUsage);
    assert_eq!(said.metadata["team"], "search");
    assert!(said.extension.is_some());
    let chat = said.chat;
    let sampling = Sampling {
        temperature: Some(0.5),
        top_p: Some(0.9),
        max_output_tokens: Some(7),
        stop: vec!["x".into()],
        seed: Some(-1),
        top_k: Some(40),
        frequency_penalty: Some(1.0),
        presence_penalty: Some(-1.0),
        logprobs: Some(3),
    };
    assert_eq!(chat.sampling, sampling);
    assert_eq!((chat.parallel_tool_calls, chat.effort), (Some(false), Some(Effort::High)));
    assert_eq!(chat.user, Some("v".into()));
    assert_eq!(chat.tool_choice, ToolChoice::Tool("f".into()));
    assert_eq!(chat.tools[0].strict, Some(true));
    let ResponseFormat::JsonSchema { name, schema, strict } = &chat.response_format else {
        panic!("{:?}", chat.response_format)
    };
    assert_eq!((name.as_str(), *strict), ("s", Some(true)));
    assert_eq!(schema.value()["description"], "d");
    assert_eq!(chat.extra.value(), &json!({"store": true, "logit_bias": {"1": 2}}));
}

#[test]
fn efforts_are_read_in_both_forms() {
    let check = |body: Value, wanted: Option<Effort>| {
        assert_eq!(good(body).chat.effort, wanted);
    };
    check(json!({"reasoning_effort": null}), None);
    check(json!({"reasoning_effort": "none"}), Some(Effort::Off));
    check(json!({"reasoning": {"effort": "low", "exclude": true}}), Some(Effort::Low));
    check(json!({"reasoning": {"max_tokens": 9}}), Some(Effort::Tokens(9)));
    check(json!({"reasoning": {"enabled": true}}), Some(Effort::Medium));
}

#[test]
fn what_is_wrong_has_its_path() {
    let check = |body: Value, field: &str| {
        let (_, found) = said(body);
        let fields: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, [field], "{found:?}");
        assert!(!found[0].message.contains("secret"), "{found:?}");
    };
    let message = |it: Value| json!({"messages": [it]});
    let part = |it: Value| json!({"messages": [{"role": "user", "content": ["x", it]}]});
    let tool = |it: Value| json!({"tools": [it]});
    check(json!({"messages": "secret"}), "messages");
    check(message(json!("secret")), "messages[0]");
    check(message(json!({"content": "secret"})), "messages[0].role");
    check(message(json!({"role": "function", "content": "secret"})), "messages[0].role");
    check(message(json!({"role": "user"})), "messages[0].content");
    check(message(json!({"role": "user", "content": 1})), "messages[0].content");
    let image = json!({"type": "image_url", "image_url": {"url": "ftp://secret"}});
    let system = json!({"role": "system", "content": [{"type": "image_url",
        "image_url": {"url": "https://secret"}}]});
    check(message(system), "messages[0].content[0]");
    let twice = |it: Value| {
        let (_, found) = said(part(it));
        found.into_iter().map(|it| it.field).collect::<Vec<_>>()
    };
    let at = "messages[0].content[1].";
    let first = "messages[0].content[0]".to_owned();
    assert_eq!(twice(image), [first.clone(), format!("{at}image_url.url")]);
    let url = |it: &str| json!({"type": "image_url", "image_url": {"url": it}});
    for bad in ["", "data:image/png,x", "data:image/png;base64,*", "data:text/plain;base64,QQ=="] {
        assert_eq!(twice(url(bad)), [first.clone(), format!("{at}image_url.url")], "{bad}");
    }
    assert_eq!(twice(json!({"type": "input_audio"})), [first, format!("{at}type")]);
    let call = json!({"role": "assistant", "tool_calls": [{"id": "1", "type": "custom"}]});
    check(message(call), "messages[0].tool_calls[0].type");
    check(tool(json!({"type": "custom"})), "tools[0].type");
    check(tool(json!({"type": "function"})), "tools[0].function");
    check(json!({"functions": []}), "functions");
    check(json!({"tool_choice": "secret"}), "tool_choice");
    check(json!({"tool_choice": {"type": "allowed_tools"}}), "tool_choice.type");
    check(json!({"response_format": {"type": "secret"}}), "response_format.type");
    check(json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema");
    check(json!({"n": 2}), "n");
    check(json!({"temperature": "secret"}), "temperature");
    check(json!({"stop": ["a", 1]}), "stop[1]");
    check(json!({"top_logprobs": 2}), "top_logprobs");
    check(json!({"reasoning_effort": "secret"}), "reasoning_effort");
    check(json!({"metadata": {"a": 1}}), "metadata.a");
    check(json!({"route": "secret"}), "route");
}

#[test]
fn validations_paths_become_the_callers() {
    let check = |field: &str, wanted: &str| assert_eq!(path(field.into()), wanted);
    check("sampling.temperature", "temperature");
    check("sampling.max_output_tokens", "max_completion_tokens");
    check("tools[2].name", "tools[2].function.name");
    check("response_format.schema", "response_format.json_schema.schema");
    check("messages[1]", "messages[1]");
}
