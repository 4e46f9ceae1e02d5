//! Every protocol reads the same conversation alike, and says the same answer.

use aws_smithy_eventstream::frame::read_message_from;
use serde_json::json;

use super::*;
use crate::simulator::{
    answer::Finish,
    request::{Heard, Wanted},
};

const MODEL: &str = "m";

fn ask(dialect: Dialect, body: &Value) -> Result<ChatAsk, Rejection> {
    let target = Target { model_id: MODEL.to_owned(), streamed: false };
    dialect.ask(body.to_string().as_bytes(), &target)
}

/// The parts of a request whose protocol-given forms differ.
fn openai(more: Value) -> Value {
    let text = "Weather in Oslo? Use get_weather.";
    with(json!({"model": MODEL, "messages": [{"role": "user", "content": text}]}), more)
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A system prompt, an image, a call and its result, with one tool on offer.
fn conversation(dialect: Dialect) -> Value {
    let (system, question, result) = ("Be brief.", "Look at this.", "12 degrees");
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let function = json!({"name": "get_weather", "parameters": schema});
    match dialect {
        Dialect::OpenAi => json!({"model": MODEL, "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": [{"type": "text", "text": question},
                {"type": "image_url", "image_url": {"url": "data:,"}}]},
            {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function",
                "function": {"name": "get_weather", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": result},
        ], "tools": [{"type": "function", "function": function}]}),
        Dialect::Anthropic => json!({"model": MODEL, "max_tokens": 100, "system": system,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": question},
                    {"type": "image", "source": {}}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "x", "signature": dialect.seal(1)},
                    {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": result}]},
            ], "tools": [{"name": "get_weather", "input_schema": schema}]}),
        Dialect::Gemini => json!({"systemInstruction": {"parts": [{"text": system}]}, "contents": [
            {"role": "user", "parts": [{"text": question}, {"inlineData": {"data": ""}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "get_weather", "args": {}},
                "thoughtSignature": dialect.seal(1)}]},
            {"role": "user", "parts": [{"functionResponse":
                {"name": "get_weather", "response": {"output": result}}}]},
        ], "tools": [{"functionDeclarations": [function]}]}),
        Dialect::Ollama => json!({"model": MODEL, "stream": false, "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": question, "images": [""]},
            {"role": "assistant", "content": "", "tool_calls": [
                {"function": {"name": "get_weather", "arguments": {}}}]},
            {"role": "tool", "tool_name": "get_weather", "content": result},
        ], "tools": [{"type": "function", "function": function}]}),
        Dialect::Bedrock => json!({"system": [{"text": system}], "messages": [
            {"role": "user", "content": [{"text": question}, {"image": {}}]},
            {"role": "assistant", "content": [
                {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {}}}]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": result}]}}]},
        ], "toolConfig": {"tools": [
            {"toolSpec": {"name": "get_weather", "inputSchema": {"json": schema}}}]}}),
    }
}

#[test]
fn every_protocol_reads_the_same_conversation() {
    let wanted = ask(Dialect::OpenAi, &conversation(Dialect::OpenAi)).unwrap();
    assert!(matches!(&wanted.wanted, Wanted::Text { seen: Some(it) } if it == "12 degrees"));
    assert_eq!(wanted.heard, Heard { images: 1, tools: 1, system_bytes: 9, messages: 3 });
    for dialect in Dialect::ALL {
        let got = ask(dialect, &conversation(dialect)).unwrap();
        assert!(got.wanted == wanted.wanted, "{dialect:?}");
        assert_eq!(got.heard, wanted.heard, "{dialect:?}");
        assert_eq!(got.conversation, wanted.conversation, "{dialect:?}");
        assert_eq!(got.prompt_tokens, wanted.prompt_tokens, "{dialect:?}");
        assert!(!got.streamed && got.prefix.is_none());
    }
}

#[test]
fn the_kind_of_answer_follows_the_request() {
    let check = |more: Value, wanted: &str| {
        let got = match ask(Dialect::OpenAi, &openai(more.clone())).unwrap().wanted {
            Wanted::Text { .. } => "text".to_owned(),
            Wanted::Json(schema) => schema["type"].as_str().unwrap_or("any").to_owned(),
            Wanted::ToolCalls(calls) => {
                calls.into_iter().map(|it| it.0).collect::<Vec<_>>().join("+")
            }
        };
        assert_eq!(got, wanted, "{more}");
    };
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let tools = json!([tool("find"), tool("get_weather")]);
    let both = json!([{"role": "user", "content": "Do it in parallel"}]);
    let one = json!([tool("find")]);
    check(json!({}), "text");
    check(json!({"tools": tools}), "get_weather");
    check(json!({"tools": one}), "find");
    check(json!({"tools": tools, "tool_choice": "none"}), "text");
    check(json!({"tools": tools, "tool_choice": "required"}), "get_weather");
    check(json!({"tools": tools, "tool_choice": tool("find")}), "find");
    check(json!({"tools": tools, "messages": both}), "find+get_weather");
    check(json!({"tools": one, "messages": both}), "find+find");
    check(json!({"tools": tools, "messages": both, "parallel_tool_calls": false}), "find");
    let object = json!({"type": "json_object"});
    check(json!({"response_format": object}), "object");
    check(json!({"response_format": object, "tools": one}), "object");
    let format = json!({"type": "json_schema", "json_schema": {"schema": {"type": "array"}}});
    check(json!({"response_format": format}), "array");
}

#[test]
fn schemas_are_found_where_each_protocol_keeps_them() {
    let user = json!([{"role": "user", "content": "x"}]);
    let said = json!([{"role": "user", "content": [{"text": "x"}]}]);
    let parts = json!([{"role": "user", "parts": [{"text": "x"}]}]);
    let schema = json!({"type": "array"});
    let tool = json!([{"name": "answer_as_json", "input_schema": schema}]);
    let check = |dialect: Dialect, body: Value| match ask(dialect, &body).unwrap().wanted {
        Wanted::Json(got) => assert_eq!(got["type"], "array", "{body}"),
        Wanted::ToolCalls(calls) => assert_eq!(calls[0].1, schema, "{body}"),
        Wanted::Text { .. } => panic!("{body}"),
    };
    let anthropic = json!({"model": "m", "max_tokens": 9, "messages": user});
    let format = json!({"format": {"type": "json_schema", "schema": schema}});
    check(Dialect::Anthropic, with(anthropic.clone(), json!({"output_config": format})));
    let choice = json!({"type": "tool", "name": "answer_as_json"});
    check(Dialect::Anthropic, with(anthropic, json!({"tools": tool, "tool_choice": choice})));
    for name in ["responseSchema", "responseJsonSchema"] {
        let schema =
            if name == "responseSchema" { json!({"type": "ARRAY"}) } else { schema.clone() };
        check(Dialect::Gemini, json!({"contents": parts, "generationConfig": {name: schema}}));
    }
    check(Dialect::Ollama, json!({"model": "m", "messages": user, "format": schema}));
    let text = json!({"schema": schema.to_string()});
    let format = json!({"type": "json_schema", "structure": {"jsonSchema": text}});
    check(Dialect::Bedrock, json!({"messages": said, "outputConfig": {"textFormat": format}}));
}

#[test]
fn bad_requests_are_rejected() {
    let check = |dialect: Dialect, body: Value, wanted: Rejection| {
        assert_eq!(ask(dialect, &body).err(), Some(wanted), "{body}");
    };
    let openai_check = |more: Value, wanted| check(Dialect::OpenAi, openai(more), wanted);
    openai_check(json!({"messages": []}), Rejection::NoMessages);
    openai_check(json!({"messages": 3}), Rejection::NotAChatRequest);
    openai_check(json!({"max_tokens": 0}), Rejection::NoRoomToAnswer);
    openai_check(json!({"tool_choice": {"function": {"name": "x"}}}), Rejection::UnknownTool);
    let stray = json!([{"role": "tool", "tool_call_id": "c9", "content": "x"}]);
    openai_check(json!({"messages": stray}), Rejection::UnknownCall);
    let user = json!([{"role": "user", "content": "x"}]);
    let no_limit = json!({"model": "m", "messages": user});
    check(Dialect::Anthropic, no_limit, Rejection::NoRoomToAnswer);
    let seal = |seal: &str| json!([{"type": "thinking", "thinking": "x", "signature": seal}]);
    let sealed = |it| json!({"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": it}]});
    check(Dialect::Anthropic, sealed(seal("abcd")), Rejection::ForeignSeal);
    check(Dialect::Anthropic, sealed(seal(&Dialect::Gemini.seal(1))), Rejection::ForeignSeal);
    let both = openai(json!({"max_tokens": 9, "max_completion_tokens": 7}));
    let both = ask(Dialect::OpenAi, &both).unwrap();
    assert_eq!((both.limit, both.prompt_tokens), (Some(7), 9));
}

#[test]
fn a_begun_answer_does_not_change_the_conversation() {
    let messages = json!([{"role": "user", "content": "x"}]);
    let begun =
        json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "Right"}]);
    let ask = |it| ask(Dialect::OpenAi, &openai(json!({"messages": it}))).unwrap();
    let (whole, rest) = (ask(messages), ask(begun));
    assert_eq!(whole.conversation, rest.conversation);
    assert_eq!((whole.prefix, rest.prefix), (None, Some("Right".to_owned())));
}

fn reply() -> Reply {
    let call = |id: &str| Block::Call {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: r#"{"a":1}"#.to_owned(),
    };
    let (thought, text) = (Block::Thinking("hm".to_owned()), Block::Text("well".to_owned()));
    Reply {
        model_id: MODEL.to_owned(),
        number: 3,
        prompt_tokens: 5,
        usage_in_stream: true,
        thinks: true,
        content: Content {
            blocks: vec![thought, text, call("1"), call("2")],
            finish: Finish::ToolCalls,
        },
    }
}

#[test]
fn whole_answers_say_it_all() {
    for dialect in Dialect::ALL {
        let text = dialect.voice().whole(&reply()).to_string();
        assert_eq!(text.matches("\"f\"").count(), 2, "{dialect:?}: {text}");
        assert!(text.contains("\"hm\""), "{dialect:?}: {text}");
        let sealed = text.contains(&dialect.seal(3));
        assert_eq!(sealed, !matches!(dialect, Dialect::OpenAi | Dialect::Ollama), "{dialect:?}");
    }
}

#[test]
fn frames_of_bedrock_are_whole_messages() {
    let (reply, mut out) = (reply(), Vec::new());
    for event in [Event::Start, Event::End, Event::Overloaded, Event::Broken] {
        Dialect::Bedrock.voice().event(&reply, event, &mut out);
    }
    let mut left = out.as_slice();
    let mut kinds = Vec::new();
    while !left.is_empty() {
        let message = read_message_from(&mut left).unwrap();
        let kind = message.headers()[0].value().as_string().unwrap().as_str().to_owned();
        kinds.push(kind);
    }
    let exception = "serviceUnavailableException";
    let wanted = ["messageStart", "messageStop", "metadata", exception, "contentBlockDelta"];
    assert_eq!(kinds, wanted);
}
