//! What passes, what does not, and that no schema of a caller costs much.

use serde_json::{Value, json};

use super::schema::{Verdict, judge};
use super::*;
use crate::domain::{Tool, Usage};

fn response(text: Option<&str>, calls: &[(&str, &str)]) -> ChatResponse {
    let call = |(name, arguments): &(&str, &str)| ToolCall {
        id: "1".into(),
        name: (*name).into(),
        arguments: (*arguments).into(),
        seal: None,
    };
    ChatResponse {
        text: text.map(Text::from),
        reasoning: vec![],
        tool_calls: calls.iter().map(call).collect(),
        finish: if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls },
        usage: Usage::default(),
        logprobs: None,
    }
}

fn tool(name: &str, strict: Option<bool>) -> Tool {
    let parameters = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false
    });
    Tool { name: name.into(), description: "".into(), parameters: parameters.into(), strict }
}

fn by_schema(schema: Value, strict: Option<bool>) -> ResponseFormat {
    ResponseFormat::JsonSchema { name: "answer".into(), schema: schema.into(), strict }
}

#[test]
fn text_is_held_against_the_format() {
    let number = || {
        json!({ "type": "object", "properties": { "n": { "type": "integer" } },
        "required": ["n"] })
    };
    let check = |format: ResponseFormat, text: &str, fine: bool| {
        let request = ChatRequest { response_format: format.clone(), ..ChatRequest::default() };
        assert_eq!(is_needed(&request), format != ResponseFormat::Text);
        let told = super::check(&request, &response(Some(text), &[]));
        let wanted = if fine { Ok(()) } else { Err(FailureClass::Malformed) };
        assert_eq!(told, wanted, "{format:?} {text}");
    };
    check(ResponseFormat::Text, "no JSON", true);
    check(ResponseFormat::JsonObject, " {\"a\": 1}\n", true);
    check(ResponseFormat::JsonObject, "[1]", false);
    check(ResponseFormat::JsonObject, "```json\n{}\n```", false);
    check(ResponseFormat::JsonObject, "{", false);
    check(by_schema(number(), Some(true)), "{\"n\": 1}", true);
    check(by_schema(number(), Some(true)), "{\"n\": \"1\"}", false);
    check(by_schema(number(), None), "{}", false);
    check(by_schema(number(), Some(false)), "{}", true);
    check(by_schema(number(), Some(false)), "n = 1", false);
    check(by_schema(json!({ "type": "array" }), None), "[]", true);
    check(by_schema(json!({ "type": "no such type" }), Some(true)), "{}", true);
    check(by_schema(Value::Null, Some(true)), "{}", true);
}

#[test]
fn nothing_is_not_json() {
    let response_format = ResponseFormat::JsonObject;
    let request = ChatRequest { response_format, ..ChatRequest::default() };
    assert_eq!(check(&request, &response(None, &[])), Err(FailureClass::Malformed));
}

#[test]
fn an_answer_cut_at_the_callers_limit_passes() {
    let response_format = ResponseFormat::JsonObject;
    let request = ChatRequest { response_format, ..ChatRequest::default() };
    let cut = ChatResponse { finish: FinishReason::Length, ..response(Some("{\"a"), &[]) };
    assert_eq!(check(&request, &cut), Ok(()));
}

#[test]
fn tool_calls_are_held_against_what_was_offered() {
    let check = |choice: ToolChoice, calls: &[(&str, &str)], fine: bool| {
        let request = ChatRequest {
            tools: vec![tool("loose", None), tool("exact", Some(true))],
            tool_choice: choice,
            response_format: ResponseFormat::JsonObject,
            ..ChatRequest::default()
        };
        let told = super::check(&request, &response(Some("let me see"), calls));
        let wanted = if fine { Ok(()) } else { Err(FailureClass::Malformed) };
        assert_eq!(told, wanted, "{calls:?}");
    };
    check(ToolChoice::Auto, &[("loose", "{}")], true);
    check(ToolChoice::Auto, &[("loose", "{\"town\": 1}")], true);
    check(ToolChoice::Auto, &[("loose", "[]")], false);
    check(ToolChoice::Auto, &[("loose", "")], false);
    check(ToolChoice::Auto, &[("loose", "{\"city\": ")], false);
    check(ToolChoice::Auto, &[("exact", "{\"city\": \"Rome\"}")], true);
    check(ToolChoice::Auto, &[("exact", "{\"town\": \"Rome\"}")], false);
    check(ToolChoice::Required, &[("loose", "{}"), ("exact", "{}")], false);
    check(ToolChoice::Auto, &[("another", "{}")], false);
    check(ToolChoice::None, &[("loose", "{}")], false);
    check(ToolChoice::Auto, &[], false);
}

#[test]
fn without_tools_and_format_there_is_nothing_to_check() {
    let request = ChatRequest::default();
    assert!(!is_needed(&request));
    assert_eq!(check(&request, &response(None, &[("another", "")])), Ok(()));
    let request = ChatRequest { tools: vec![tool("loose", None)], ..request };
    assert!(is_needed(&request));
}

#[test]
fn references_within_the_schema_are_followed() {
    let tree = json!({
        "$defs": { "node": {
            "type": "object",
            "properties": { "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] } },
            "required": ["next"]
        } },
        "$ref": "#/$defs/node"
    });
    let mut value = json!({ "next": null });
    for _ in 0..40 {
        value = json!({ "next": value });
    }
    assert_eq!(judge(&tree, &value), Verdict::Satisfied);
    assert_eq!(judge(&tree, &json!({ "next": { "next": 1 } })), Verdict::Violated);
    let list = json!({ "type": "array", "items": { "$ref": "#" } });
    assert_eq!(judge(&list, &json!([[], [[]]])), Verdict::Satisfied);
    assert_eq!(judge(&list, &json!([[], [1]])), Verdict::Violated);
}

#[test]
fn a_schema_that_costs_too_much_is_not_judged_by() {
    let check = |schema: Value, value: Value| {
        assert_eq!(judge(&schema, &value), Verdict::NotJudged, "{}", &schema.to_string()[..40]);
    };
    check(json!({ "$ref": "#" }), json!({}));
    check(json!({ "allOf": [{ "$ref": "#" }], "title": "itself" }), json!({}));
    check(json!({ "$ref": "https://example.org/schema.json", "title": "" }), json!({}));
    check(json!({ "$ref": "file:///etc/hostname", "title": "elsewhere" }), json!({}));
    check(json!({ "$ref": "other.json", "title": "relative, elsewhere" }), json!({}));
    check(json!({ "$dynamicRef": "#node", "title": "what a name means" }), json!({}));
    check(json!({ "title": "x".repeat(SIZE) }), json!({}));
    check(json!({ "pattern": "(a{1000}){1000}", "title": "a large automaton" }), json!("a"));
    check(json!({ "pattern": "(?=a)b", "title": "it looks around, it looks" }), json!("a"));
    let many: Vec<_> = (0..65).map(|it| json!({ "pattern": it.to_string() })).collect();
    check(json!({ "anyOf": many }), json!("a"));
    let mut doubling = serde_json::Map::new();
    for at in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/d{}", at + 1) });
        doubling.insert(format!("d{at}"), json!({ "allOf": [next.clone(), next] }));
    }
    doubling.insert("d40".into(), json!({}));
    check(json!({ "$defs": doubling, "$ref": "#/$defs/d0" }), json!({}));
    let again = json!({ "properties": { "a": { "$ref": "#" } } });
    let mut deep = json!({});
    for _ in 0..60 {
        deep = json!({ "a": deep });
    }
    check(json!({ "allOf": [again.clone(), again] }), deep);
}

const SIZE: usize = 300 << 10;
