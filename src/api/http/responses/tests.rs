//! OpenAI's Responses dialect: what is read, written and told.

use serde_json::{Value, json};

use super::Responses;
use crate::api::http::dialect::{Delivery, Dialect, Teller};
use crate::api::http::testing::{
    about, arguments, call, parsed, problem, read, rich_answer, rich_deltas, seal, told,
};
use crate::domain::{
    ChatRequest, Delta, Effort, FinishReason, Image, ImageDetail, ImageSource, Message, Part,
    Reasoning, ResponseFormat, ToolCall, ToolChoice,
};

/// A request with everything that a request can have.
fn everything() -> Value {
    json!({
        "model": "auto:cost", "instructions": "be kind", "stream": true, "store": false,
        "input": [
            {"role": "developer", "content": "be brief"},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,QQ=="},
                {"type": "input_image", "detail": "auto", "image_url": "https://x.example/1"},
            ]},
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "pointsman:google:g",
             "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "raw"},
            {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
             "content": [{"type": "output_text", "text": "calling", "annotations": []}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"x\":1}",
             "extra_content": {"pointsman": {"seal": "pointsman:google:t"}}},
            {"type": "function_call", "call_id": "c2", "name": "f", "arguments": ""},
            {"type": "function_call_output", "call_id": "c1", "output": "42"},
            {"type": "function_call_output", "call_id": "c2",
             "output": [{"type": "input_text", "text": "43"}]},
        ],
        "tools": [{"type": "function", "name": "f", "description": "d", "strict": true,
                   "parameters": {"type": "object"}},
                  {"type": "function", "name": "g", "parameters": null, "strict": null}],
        "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false,
        "text": {"verbosity": "low", "format":
            {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
        "max_output_tokens": 99, "temperature": 0.5, "top_p": 0.9,
        "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
        "user": "u1", "metadata": {"team": "a"}, "truncation": "auto", "top_logprobs": 2,
        "pointsman": {"explain": true},
    })
}

#[test]
fn every_part_of_a_request_is_read() {
    let (said, found) = read::<Responses>(everything());
    assert_eq!(found, [""; 0]);
    let inline = ImageSource::Base64 { media_type: "image/png".into(), data: "QQ==".into() };
    let url = ImageSource::Url("https://x.example/1".into());
    let call = |id: &str, arguments: &str, seal| ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        seal,
    };
    let wanted = [
        Message::System("be kind".into()),
        Message::System("be brief".into()),
        Message::User(vec![
            Part::Text("look".into()),
            Part::Image(Image { source: inline, detail: Some(ImageDetail::Low) }),
            Part::Image(Image { source: url, detail: Some(ImageDetail::Auto) }),
        ]),
        Message::Assistant {
            reasoning: vec![
                Reasoning { text: Some("hm".into()), seal: Some(seal("google", "g")) },
                Reasoning { text: None, seal: Some(seal("openai", "raw")) },
            ],
            text: Some("calling".into()),
            tool_calls: vec![
                call("c1", r#"{"x":1}"#, Some(seal("google", "t"))),
                call("c2", "{}", None),
            ],
        },
        Message::tool_result("c1", "42"),
        Message::tool_result("c2", "43"),
    ];
    let chat = &said.chat;
    assert_eq!(chat.messages, wanted);
    assert_eq!(chat.validate(), Ok(()));
    assert_eq!((said.model.as_str(), said.delivery), ("auto:cost", Delivery::Stream));
    assert_eq!(said.metadata["team"], "a");
    assert_eq!(said.extension, Some(json!({"explain": true})));
    assert_eq!(chat.tool_choice, ToolChoice::Tool("f".into()));
    assert_eq!(chat.parallel_tool_calls, Some(false));
    assert_eq!((chat.tools[0].strict, chat.tools[1].strict), (Some(true), None));
    assert!(
        matches!(&chat.response_format, ResponseFormat::JsonSchema { name, .. } if name == "n")
    );
    assert_eq!((chat.sampling.max_output_tokens, chat.sampling.logprobs), (Some(99), Some(2)));
    assert_eq!((chat.effort, chat.user.clone()), (Some(Effort::Low), Some("u1".into())));
    assert_eq!(chat.extra.value(), &json!({"verbosity": "low"}));
}

#[test]
fn a_plain_text_is_a_users_turn() {
    let (said, found) = read::<Responses>(json!({"model": "auto", "input": "hello"}));
    assert_eq!((said.chat, found), (ChatRequest::from_prompt("hello"), vec![]));
    assert_eq!(said.delivery, Delivery::Whole);
}

#[test]
fn what_is_not_served_is_named() {
    let check = |body: Value, wanted: &[&str]| {
        let (_, found) = read::<Responses>(body.clone());
        assert_eq!(found, wanted, "{body}");
    };
    check(json!({}), &["model", "input"]);
    check(
        json!({
            "model": "auto", "store": true, "background": true, "previous_response_id": "resp_1",
            "conversation": {"id": "c"}, "prompt": {"id": "p"},
            "input": [
                {"type": "item_reference", "id": "x"},
                {"type": "web_search_call"},
                {"role": "tool", "content": "a"},
                {"role": "system", "content": [{"type": "input_image", "image_url": "https://x.example/1"}]},
                {"role": "user", "content": [
                    {"type": "input_file"},
                    {"type": "input_image", "file_id": "f"},
                    {"type": "input_image", "image_url": "data:,x"},
                ]},
                {"type": "function_call_output", "output": "a"},
            ],
            "tools": [{"type": "web_search"}, {"type": "function"}],
            "tool_choice": {"type": "web_search"},
            "text": {"format": {"type": "grammar"}},
            "reasoning": {"effort": "enormous"},
        }),
        &[
            "store",
            "background",
            "previous_response_id",
            "conversation",
            "prompt",
            "input[0]",
            "input[1]",
            "input[2].role",
            "input[3].content",
            "input[4].content[0]",
            "input[4].content[1].file_id",
            "input[4].content[2].image_url",
            "input[5].call_id",
            "tools[0].type",
            "tools[1].name",
            "text.format.type",
            "tool_choice.type",
            "reasoning.effort",
        ],
    );
}

fn whole(finish: FinishReason) -> Value {
    let mut answer = rich_answer();
    answer.finish = finish;
    Responses::whole(&about(ChatRequest::default()), answer, json!({"decision": "7"}))
}

#[test]
fn a_whole_answer_is_a_response() {
    let response = whole(FinishReason::ToolCalls);
    let wanted = json!([
        {"id": "rs_7_0", "type": "reasoning", "status": "completed",
         "summary": [{"type": "summary_text", "text": "hm"}],
         "encrypted_content": "pointsman:anthropic:s1"},
        {"id": "rs_7_1", "type": "reasoning", "status": "completed", "summary": [],
         "encrypted_content": "pointsman:anthropic:s2"},
        {"id": "rs_7_2", "type": "reasoning", "status": "completed",
         "summary": [{"type": "summary_text", "text": "so"}], "encrypted_content": null},
        {"id": "msg_7_3", "type": "message", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}]},
        {"id": "fc_7_4", "type": "function_call", "status": "completed", "call_id": "c0",
         "name": "f", "arguments": "{\"x\":1}"},
        {"id": "fc_7_5", "type": "function_call", "status": "completed", "call_id": "c1",
         "name": "f", "arguments": "{}",
         "extra_content": {"pointsman": {"seal": "pointsman:google:t"}}},
    ]);
    assert_eq!(response["output"], wanted);
    let usage = json!({
        "input_tokens": 30, "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 5},
        "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 39,
    });
    assert_eq!(response["usage"], usage);
    assert_eq!((&response["id"], &response["status"]), (&json!("resp_7"), &json!("completed")));
    let cut = whole(FinishReason::Length);
    assert_eq!(cut["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(
        (&cut["status"], &cut["output"][5]["status"]),
        (&json!("incomplete"), &json!("incomplete"))
    );
}

/// Events of a stream are numbered, and those of an item agree with the item at its end.
fn checked(events: &[Value]) -> Value {
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], at);
    }
    let response = events[events.len() - 1]["response"].clone();
    for (at, item) in response["output"].as_array().unwrap().iter().enumerate() {
        let of_item: Vec<_> = events.iter().filter(|it| it["output_index"] == at).collect();
        let (first, last) = (of_item[0], of_item[of_item.len() - 1]);
        assert_eq!(first["type"], "response.output_item.added");
        assert_eq!((&last["type"], &last["item"]), (&json!("response.output_item.done"), item));
        for event in &of_item[1..of_item.len() - 1] {
            assert_eq!(event["item_id"], item["id"]);
        }
        let pieces = of_item.iter().filter_map(|it| it["delta"].as_str());
        let pieces = pieces.collect::<String>();
        let whole = [&item["arguments"], &item["summary"][0]["text"], &item["content"][0]["text"]];
        let whole = whole.iter().find_map(|it| it.as_str()).unwrap_or_default();
        assert!(pieces == whole || (pieces.is_empty() && whole == "{}"), "{item}");
    }
    response
}

#[test]
fn a_stream_tells_what_the_whole_answer_says() {
    for finish in [FinishReason::ToolCalls, FinishReason::Length] {
        let events = told::<Responses>(rich_deltas(), finish);
        assert_eq!(checked(&events), whole(finish));
    }
    let events = told::<Responses>(vec![Delta::Text("a".into())], FinishReason::Stop);
    let kinds: Vec<_> = events.iter().map(|it| it["type"].as_str().unwrap()).collect();
    let wanted = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds, wanted);
}

#[test]
fn interleaved_calls_keep_their_items() {
    let deltas = vec![
        call(0, None),
        arguments(0, "{\"x\""),
        call(1, None),
        arguments(1, "{"),
        arguments(0, ":1}"),
        Delta::Text("a".into()),
        arguments(1, "}"),
        arguments(7, "lost"),
    ];
    let response = checked(&told::<Responses>(deltas, FinishReason::ToolCalls));
    let told: Vec<_> =
        response["output"].as_array().unwrap().iter().map(|it| it["arguments"].clone()).collect();
    assert_eq!(told, [json!("{\"x\":1}"), json!("{}"), Value::Null]);
}

#[test]
fn log_probabilities_come_with_the_text() {
    let token = json!({"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []});
    let logprobs = || Delta::Logprobs(json!({"content": [token]}).into());
    let deltas = vec![logprobs(), Delta::Text("a".into()), logprobs()];
    let response = checked(&told::<Responses>(deltas, FinishReason::Stop));
    assert_eq!(response["output"][0]["content"][0]["logprobs"], json!([token, token]));
}

#[test]
fn a_stream_that_breaks_tells_how_far_it_came() {
    let mut teller = Responses::teller(about(ChatRequest::default()), Delivery::Stream);
    let mut out = Vec::new();
    teller.delta(Delta::Text("a".into()), &mut out);
    teller.fail(&problem(503), &mut out);
    teller.delta(Delta::Text("b".into()), &mut out);
    let events = parsed(&out);
    let last = &events[events.len() - 1];
    assert_eq!(last["type"], "response.failed");
    let wanted = json!({"code": "server_error", "message": "every candidate failed"});
    assert_eq!(last["response"]["error"], wanted);
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "a");
}

#[test]
fn errors_have_openais_shape() {
    let wanted = json!({
        "error": {"message": "every candidate failed", "type": "server_error", "param": null,
                  "code": "exhausted"},
        "pointsman": {"attempts": []},
    });
    assert_eq!(Responses::error(&problem(503)), wanted);
    let check = |status, kind: &str| {
        assert_eq!(Responses::error(&problem(status))["error"]["type"], kind, "{status}");
    };
    check(400, "invalid_request_error");
    check(401, "authentication_error");
    check(404, "not_found_error");
    check(429, "rate_limit_error");
}
