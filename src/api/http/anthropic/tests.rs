//! Anthropic's dialect: what is read, written and told.

use serde_json::{Value, json};

use super::Messages;
use crate::api::http::dialect::{Delivery, Dialect, Teller};
use crate::api::http::testing::{
    about, arguments, call, parsed, problem, read, rich_answer, rich_deltas, seal, told,
};
use crate::domain::{
    ChatRequest, Delta, Effort, FinishReason, Image, ImageSource, Message, Part, Reasoning,
    ResponseFormat, ToolCall, ToolChoice,
};

/// A request with everything that a request can have.
fn everything() -> Value {
    json!({
        "model": "auto", "max_tokens": 99, "stream": true,
        "system": [{"type": "text", "text": "be"}, {"type": "text", "text": "kind"}],
        "messages": [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "pointsman:google:g"},
                {"type": "redacted_thinking", "data": "raw"},
                {"type": "text", "text": "calling"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1},
                 "extra_content": {"pointsman": {"seal": "pointsman:google:t"}}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "is_error": true, "content": "bad"},
                {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
                {"type": "tool_result", "tool_use_id": "c2", "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image", "source": {"type": "url", "url": "https://x.example/1"}},
                ]},
                {"type": "image", "source":
                    {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
            ]},
        ],
        "tools": [{"name": "f", "description": "d", "strict": true,
            "input_schema": {"type": "object", "properties": {"cache_control": {}}}}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
        "stop_sequences": ["END"], "temperature": 0.5, "top_p": 0.9, "top_k": 3,
        "metadata": {"user_id": "u1"}, "service_tier": "auto", "betas": ["x"],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "pointsman": {"explain": true},
    })
}

#[test]
fn every_part_of_a_request_is_read() {
    let (said, found) = read::<Messages>(everything());
    assert_eq!(found, [""; 0]);
    let url = Part::Image(Image::new(ImageSource::Url("https://x.example/1".into())));
    let inline = ImageSource::Base64 { media_type: "image/png".into(), data: "QQ==".into() };
    let wanted = [
        Message::System("be\nkind".into()),
        Message::User(vec![Part::Text("hello".into())]),
        Message::Assistant {
            reasoning: vec![
                Reasoning { text: Some("hm".into()), seal: Some(seal("google", "g")) },
                Reasoning { text: None, seal: Some(seal("anthropic", "raw")) },
            ],
            text: Some("calling".into()),
            tool_calls: vec![ToolCall {
                id: "c1".into(),
                name: "f".into(),
                arguments: r#"{"x":1}"#.into(),
                seal: Some(seal("google", "t")),
            }],
        },
        Message::ToolResult {
            tool_call_id: "c1".into(),
            parts: vec![Part::Text("bad".into())],
            failed: true,
        },
        Message::ToolResult {
            tool_call_id: "c2".into(),
            parts: vec![Part::Text("a".into()), url],
            failed: false,
        },
        Message::User(vec![Part::Text("look".into()), Part::Image(Image::new(inline))]),
    ];
    let chat = &said.chat;
    assert_eq!(chat.messages, wanted);
    assert_eq!(chat.validate(), Ok(()));
    assert_eq!((said.model.as_str(), said.delivery), ("auto", Delivery::Stream));
    assert_eq!(said.extension, Some(json!({"explain": true})));
    assert_eq!(chat.tools[0].strict, Some(true));
    assert_eq!(chat.tool_choice, ToolChoice::Tool("f".into()));
    assert_eq!(chat.parallel_tool_calls, Some(false));
    assert_eq!(chat.sampling.stop, ["END"]);
    assert_eq!((chat.sampling.top_k, chat.sampling.max_output_tokens), (Some(3), Some(99)));
    assert_eq!(chat.effort, Some(Effort::Tokens(2048)));
    assert!(matches!(chat.response_format, ResponseFormat::JsonSchema { strict: Some(true), .. }));
    assert!(chat.cache_prompt);
    assert_eq!(chat.user, Some("u1".into()));
}

#[test]
fn thinking_becomes_effort() {
    let check = |fields: Value, wanted: Option<Effort>| {
        let mut body =
            json!({"model": "auto", "messages": [{"role": "user", "content": "a"}], "tools": []});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (said, found) = read::<Messages>(body);
        assert_eq!((said.chat.effort, found), (wanted, vec![]), "{fields}");
        assert!(!said.chat.cache_prompt);
    };
    check(json!({}), None);
    check(json!({"thinking": {"type": "disabled"}}), Some(Effort::Off));
    check(json!({"thinking": {"type": "adaptive"}}), Some(Effort::Medium));
    let adaptive = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}});
    check(adaptive, Some(Effort::High));
    check(json!({"output_config": {"effort": "low"}}), Some(Effort::Low));
}

#[test]
fn what_is_not_served_is_named() {
    let check = |body: Value, wanted: &[&str]| {
        let (_, found) = read::<Messages>(body.clone());
        assert_eq!(found, wanted, "{body}");
    };
    check(json!({}), &["model", "messages"]);
    check(
        json!({
            "model": 1, "max_tokens": "many", "stream": "yes",
            "mcp_servers": [{"url": "x"}], "container": "c",
            "system": [{"type": "image"}],
            "messages": [
                {"role": "tool", "content": "a"},
                {"role": "user", "content": [
                    {"type": "text", "text": "a"},
                    {"type": "document", "source": {}},
                    {"type": "image", "source": {"type": "file", "file_id": "f"}},
                    {"type": "tool_result", "content": [{"type": "search_result"}]},
                ]},
                {"role": "assistant", "content": [
                    {"type": "server_tool_use"},
                    {"type": "tool_use", "id": "1", "name": "f", "input": "x"},
                ]},
            ],
            "tools": [{"type": "web_search_20250305", "name": "web_search"}, {"name": "f"}],
            "tool_choice": {"type": "some"},
            "thinking": {"type": "enabled"},
        }),
        &[
            "mcp_servers",
            "container",
            "model",
            "system[0].source",
            "messages[0].role",
            "messages[1].content[1]",
            "messages[1].content[2].source.type",
            "messages[1].content[3].tool_use_id",
            "messages[1].content[3].content[0]",
            "messages[2].content[0]",
            "messages[2].content[1].input",
            "tools[0].type",
            "tools[1].input_schema",
            "tool_choice.type",
            "thinking.budget_tokens",
            "max_tokens",
            "stream",
        ],
    );
}

#[test]
fn a_whole_answer_is_a_message() {
    let details = json!({"decision": "7"});
    let message = Messages::whole(&about(ChatRequest::default()), rich_answer(), details.clone());
    let wanted = json!({
        "id": "msg_7", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "pointsman:anthropic:s1"},
            {"type": "redacted_thinking", "data": "pointsman:anthropic:s2"},
            {"type": "thinking", "thinking": "so", "signature": ""},
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "c0", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {},
             "extra_content": {"pointsman": {"seal": "pointsman:google:t"}}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 15, "cache_read_input_tokens": 10,
                  "cache_creation_input_tokens": 5, "output_tokens": 9},
        "pointsman": details,
    });
    assert_eq!(message, wanted);
}

/// Puts a stream together as an SDK does; blocks must be told one after the other.
fn folded(events: &[Value]) -> Value {
    let mut message = events[0]["message"].clone();
    let mut open: Option<(Value, String)> = None;
    for event in &events[1..] {
        let at = message["content"].as_array().unwrap().len();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert!(open.is_none() && event["index"] == at);
                open = Some((event["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                assert_eq!(event["index"], at);
                let (block, json) = open.as_mut().unwrap();
                for (field, value) in event["delta"].as_object().unwrap() {
                    let value = value.as_str().unwrap();
                    match field.as_str() {
                        "type" => {}
                        "partial_json" => json.push_str(value),
                        _ => {
                            block[field] =
                                (block[field].as_str().unwrap().to_owned() + value).into()
                        }
                    }
                }
            }
            "content_block_stop" => {
                let (mut block, json) = open.take().unwrap();
                if !json.is_empty() {
                    block["input"] = serde_json::from_str(&json).unwrap();
                }
                message["content"].as_array_mut().unwrap().push(block);
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
                message["pointsman"] = event["pointsman"].clone();
            }
            "message_stop" => assert!(open.is_none()),
            other => unreachable!("{other}"),
        }
    }
    message
}

#[test]
fn a_stream_tells_what_the_whole_answer_says() {
    let events = told::<Messages>(rich_deltas(), FinishReason::ToolCalls);
    let details = json!({"decision": "7"});
    let whole = Messages::whole(&about(ChatRequest::default()), rich_answer(), details);
    assert_eq!(folded(&events), whole);
    let kinds: Vec<_> = events.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "content_block_delta"]);
    assert_eq!(kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);
    let empty = told::<Messages>(vec![], FinishReason::Stop);
    assert_eq!(folded(&empty)["content"], json!([]));
}

#[test]
fn interleaved_calls_come_one_after_the_other() {
    let check = |deltas: Vec<Delta>, wanted: Value| {
        let message = folded(&told::<Messages>(deltas, FinishReason::ToolCalls));
        let blocks = message["content"].as_array().unwrap().iter().map(|it| match &it["text"] {
            Value::Null => json!([it["id"], it["input"]]),
            text => text.clone(),
        });
        assert_eq!(Value::Array(blocks.collect()), wanted);
    };
    let (first, second) = (r#"{"x":"}"}"#, r#"{"y":[2]}"#);
    let mut mixed = vec![call(0, None), call(1, None), call(2, None)];
    for at in 0..9 {
        mixed.push(arguments(0, &first[at..=at]));
        mixed.push(arguments(2, &second[at..=at]));
        mixed.push(arguments(1, &second[at..=at]));
    }
    mixed.push(Delta::Text("end".into()));
    let y = json!({"y": [2]});
    check(mixed, json!([["c0", {"x": "}"}], ["c1", y], ["c2", y], "end"]));
    // A call without arguments is whole only when the stream ends.
    let bare = vec![call(0, None), Delta::Text("a".into()), call(1, None), arguments(1, second)];
    check(bare, json!([["c0", {}], "a", ["c1", y]]));
    let late = vec![call(0, None), arguments(0, "{}"), call(1, None), arguments(0, "\n")];
    check(late, json!([["c0", {}], ["c1", {}]]));
}

#[test]
fn a_whole_call_is_not_kept_waiting() {
    let mut teller = Messages::teller(about(ChatRequest::default()), Delivery::Stream);
    let mut out = Vec::new();
    for delta in [call(0, None), call(1, None), arguments(1, "{}")] {
        teller.delta(delta, &mut out);
    }
    let before = out.len();
    teller.delta(arguments(0, "{}"), &mut out);
    let told: Vec<_> = parsed(&out[before..]).iter().map(|it| it["index"].clone()).collect();
    assert_eq!(told, [0, 0, 1, 1]);
}

#[test]
fn what_is_held_is_bounded() {
    let mut teller = Messages::teller(about(ChatRequest::default()), Delivery::Stream);
    let mut out = Vec::new();
    teller.delta(call(0, None), &mut out);
    teller.delta(call(1, None), &mut out);
    for _ in 0..20_000 {
        teller.delta(arguments(1, "1"), &mut out);
    }
    teller.end(crate::api::http::testing::end(FinishReason::Stop), json!({}), &mut out);
    let told = parsed(&out);
    let kinds: Vec<_> = told.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message_start", "content_block_start", "error"]);
}

#[test]
fn a_thought_without_words_keeps_its_signature() {
    let sealed = || Delta::ReasoningEnd(Some(seal("anthropic", "s")));
    let deltas = vec![Delta::Reasoning("".into()), sealed(), sealed(), Delta::Text("a".into())];
    let message = folded(&told::<Messages>(deltas, FinishReason::Stop));
    let wanted = json!([
        {"type": "thinking", "thinking": "", "signature": "pointsman:anthropic:s"},
        {"type": "redacted_thinking", "data": "pointsman:anthropic:s"},
        {"type": "text", "text": "a"},
    ]);
    assert_eq!(message["content"], wanted);
}

#[test]
fn errors_have_the_types_of_their_status() {
    let check = |status, kind: &str| {
        let body = Messages::error(&problem(status));
        assert_eq!(body["error"]["type"], kind, "{status}");
        assert_eq!(
            (&body["type"], &body["pointsman"]["reason"]),
            (&json!("error"), &json!("EXHAUSTED"))
        );
        let mut teller = Messages::teller(about(ChatRequest::default()), Delivery::Stream);
        let mut out = Vec::new();
        teller.fail(&problem(status), &mut out);
        teller.fail(&problem(status), &mut out);
        assert_eq!(parsed(&out), [body]);
    };
    check(400, "invalid_request_error");
    check(401, "authentication_error");
    check(404, "not_found_error");
    check(413, "request_too_large");
    check(422, "invalid_request_error");
    check(429, "rate_limit_error");
    check(500, "api_error");
    check(502, "api_error");
    check(503, "overloaded_error");
    check(529, "overloaded_error");
}
