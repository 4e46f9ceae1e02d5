//! Recorded streams: their pieces, and what they make together, however the bytes were cut.

use serde_json::json;

use super::super::{Asking, Decode, Delivery, Progress};
use super::Decoder;
use crate::domain::{
    ChatRequest, ChatResponse, Delta, FailureClass, FinishReason, ProviderName, Reasoning,
    ResponseFormat, Seal, ToolCall, Usage,
};
use crate::providers::framing::Frame;
use crate::providers::{Protocol, Quirks, SchemaBy, fixtures};

type Read = (Vec<Delta>, Result<ChatResponse, (FailureClass, Usage)>);

const USAGE: Usage = Usage {
    input_tokens: 20,
    cached_tokens: 16,
    cache_written_tokens: 0,
    output_tokens: 9,
    reasoning_tokens: 4,
};

/// Cut into chunks of every size; the pieces are always the same.
fn read(name: &str) -> Read {
    let recorded = fixtures::bytes(Protocol::OpenAi, &format!("stream_{name}.sse"));
    let request = ChatRequest::from_prompt("Hello");
    let at = |chunk| fixtures::stream(Protocol::OpenAi, &recorded, chunk, &request);
    let whole = at(recorded.len());
    for chunk in (1..=64).chain([recorded.len() / 2]) {
        assert_eq!(at(chunk.max(1)), whole, "{name} in chunks of {chunk}");
    }
    whole
}

fn answer(text: Option<&str>, calls: Vec<ToolCall>, finish: FinishReason) -> ChatResponse {
    let (text, tool_calls) = (text.map(Into::into), calls);
    let (reasoning, logprobs) = (vec![], None);
    ChatResponse { text, reasoning, tool_calls, finish, usage: USAGE, logprobs }
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    let (id, name) = (id.into(), name.into());
    ToolCall { id, name, arguments: arguments.into(), seal: None }
}

fn seal(value: &str) -> Seal {
    Seal { provider: ProviderName::new("test").unwrap(), value: value.into() }
}

#[test]
fn text_comes_in_pieces_and_is_whole_at_its_end() {
    let check = |name: &str, text: &str, pieces, finish, usage| {
        let (deltas, whole) = read(name);
        let wanted = ChatResponse { usage, ..answer(Some(text), vec![], finish) };
        assert_eq!((whole, deltas.len()), (Ok(wanted), pieces), "{name}");
    };
    use FinishReason::{Length, Stop};
    check("text", "N'Djamena – ✓.", 2, Stop, USAGE);
    check("text_crlf", "N'Djamena – ✓.", 1, Stop, USAGE);
    check("no_done", "N'Djamena.", 1, Stop, Usage::default());
    check("usage_groq", "N'Djamena.", 1, Stop, USAGE);
    check("perplexity", "N'Djamena.", 2, Stop, USAGE);
    check("length", "N'Dja", 1, Length, USAGE);
}

#[test]
fn thinking_is_kept_apart_with_its_seals() {
    let check = |name: &str, text: &str, reasoning, pieces: &[Delta]| {
        let (deltas, whole) = read(name);
        let stop = FinishReason::Stop;
        let wanted = ChatResponse { reasoning, ..answer(Some(text), vec![], stop) };
        assert_eq!(whole, Ok(wanted), "{name}");
        assert_eq!(deltas.get(..pieces.len()), Some(pieces), "{name}");
    };
    let said = |text: &str| Delta::Reasoning(text.into());
    let pieces = [said("Chad, "), said("so N'Djamena."), Delta::ReasoningEnd(None)];
    let reasoning = vec![Reasoning { text: Some("Chad, so N'Djamena.".into()), seal: None }];
    check("reasoning", "\n\nN'Djamena.", reasoning, &pieces);
    let signed = seal(
        r#"{"format":"anthropic-claude-v1","index":0,"signature":"c2ln","type":"reasoning.text"}"#,
    );
    let secret = seal(r#"{"data":"AAEC","id":"rs_1","index":1,"type":"reasoning.encrypted"}"#);
    let ends = |it: &Seal| Delta::ReasoningEnd(Some(it.clone()));
    let pieces = [said("Ch"), said("ad."), ends(&signed), ends(&secret)];
    let reasoning = vec![
        Reasoning { text: Some("Chad.".into()), seal: Some(signed) },
        Reasoning { text: None, seal: Some(secret) },
    ];
    check("reasoning_details", "N'Djamena.", reasoning, &pieces);
}

#[test]
fn tool_calls_are_put_together_whichever_way_they_come() {
    let check = |name: &str, calls: &[ToolCall]| {
        let wanted = answer(None, calls.to_vec(), FinishReason::ToolCalls);
        let (deltas, whole) = read(name);
        assert_eq!(whole, Ok(wanted), "{name}");
        let begun = deltas.iter().filter_map(|it| match it {
            Delta::ToolCall { index, .. } => Some(*index),
            _ => None,
        });
        assert_eq!(begun.collect::<Vec<_>>(), (0..calls.len()).collect::<Vec<_>>(), "{name}");
    };
    let clock = call("call_1", "clock", r#"{"zone":"UTC"}"#);
    let bell = call("call_2", "bell", r#"{"n":1}"#);
    let sealed = ToolCall { seal: Some(seal("c2ln")), ..clock.clone() };
    let nameless = ToolCall { id: "call_0".into(), ..clock.clone() };
    check("tools", std::slice::from_ref(&clock));
    check("tools_repeated", std::slice::from_ref(&clock));
    check("tools_late_name", std::slice::from_ref(&clock));
    check("tools_no_id", &[nameless]);
    check("tools_interleaved", &[clock.clone(), bell.clone()]);
    check("tools_whole", &[clock, bell.clone()]);
    check("tools_index_0", &[sealed, bell]);
}

#[test]
fn logprobs_are_joined() {
    let (_, whole) = read("logprobs");
    let logprobs = whole.unwrap().logprobs.unwrap();
    let tokens =
        [&logprobs.value()["content"][0]["token"], &logprobs.value()["content"][1]["token"]];
    assert_eq!(tokens, [&json!("N"), &json!("o")]);
}

#[test]
fn what_is_no_answer_fails_in_its_class() {
    let check = |name: &str, class, usage| {
        assert_eq!(read(name).1, Err((class, usage)), "{name}");
    };
    use FailureClass as F;
    let none = Usage::default();
    check("no_end", F::StreamCut, none);
    check("done_without_end", F::StreamCut, none);
    check("error", F::Overloaded, none);
    check("error_event", F::RateLimited, none);
    check("error_vllm", F::ContextTooLong, none);
    check("error_openrouter", F::Overloaded, USAGE);
    check("not_json", F::Malformed, none);
    check("unknown_end", F::Malformed, none);
    check("tools_nameless", F::Malformed, USAGE);
    check("empty", F::EmptyAnswer, USAGE);
    check("refusal", F::ContentFiltered, USAGE);
    check("filtered", F::ContentFiltered, USAGE);
    assert!(read("empty").0.is_empty(), "white space alone is shown to nobody");
    let (deltas, whole) = read("length_empty");
    assert_eq!((deltas, whole), (vec![], Ok(answer(None, vec![], FinishReason::Length))));
}

/// The frames of a recorded stream, with the quirks of a provider.
fn decode(name: &str, request: &ChatRequest, quirks: &Quirks) -> Result<Vec<Delta>, FailureClass> {
    let recorded = fixtures::bytes(Protocol::OpenAi, &format!("stream_{name}.sse"));
    let deployment = fixtures::deployment("test");
    let asking = fixtures::asking(request, &deployment, quirks);
    let mut decoder = Decoder::new(&Asking { delivery: Delivery::Stream, ..asking });
    let mut deltas = Vec::new();
    for line in String::from_utf8(recorded).unwrap().lines() {
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let frame = Frame { event: String::new(), data: data.into() };
        if decoder.frame(&frame, &mut deltas)? == Progress::Ended {
            break;
        }
    }
    let end = decoder.finish(&mut deltas)?;
    assert_eq!(end.finish, FinishReason::Stop, "{name}");
    Ok(deltas)
}

#[test]
fn an_answer_by_tool_is_text() {
    let schema = json!({ "type": "object" }).into();
    let response_format = ResponseFormat::JsonSchema { name: "a".into(), schema, strict: None };
    let request = ChatRequest { response_format, ..ChatRequest::from_prompt("Hello") };
    let quirks = Quirks { json_schema: Some(SchemaBy::Tool), ..Quirks::default() };
    let text = |it: &str| Delta::Text(it.into());
    let deltas = decode("schema_tool", &request, &quirks).unwrap();
    assert_eq!(deltas, [text(r#"{"city""#), text(r#":"N'Djamena"}"#)]);
}

#[test]
fn a_providers_own_phrases_hold_in_streams_too() {
    let errors = [("overloaded".to_owned(), FailureClass::Auth)].into();
    let quirks = Quirks { errors, ..Quirks::default() };
    let request = ChatRequest::from_prompt("Hello");
    assert_eq!(decode("error", &request, &quirks), Err(FailureClass::Auth));
}
