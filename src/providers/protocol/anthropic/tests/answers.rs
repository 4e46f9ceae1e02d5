//! What comes back, whole and in pieces, and what errors mean.

use std::time::Duration;

use crate::domain::{
    ChatRequest, ChatResponse, Delta, FailureClass, FinishReason, ProviderName, Reasoning,
    ResponseFormat, Seal, Text, ToolCall, Usage,
};
use crate::providers::protocol::Answered;
use crate::providers::{CallFailure, Protocol, Quirks, fixtures};

const PROTOCOL: Protocol = Protocol::Anthropic;
const USAGE: Usage = Usage {
    input_tokens: 20,
    cached_tokens: 10,
    cache_written_tokens: 6,
    output_tokens: 9,
    reasoning_tokens: 4,
};
/// What was told before the end.
const STARTED: Usage = Usage { output_tokens: 1, reasoning_tokens: 0, ..USAGE };
const CHUNKS: [usize; 7] = [1, 2, 3, 7, 64, 1_000, 1 << 20];

fn asking_for(response_format: ResponseFormat) -> ChatRequest {
    ChatRequest { response_format, ..ChatRequest::from_prompt("Hello") }
}

fn read(name: &str, format: ResponseFormat) -> Result<ChatResponse, CallFailure> {
    fixtures::read(PROTOCOL, name, &asking_for(format))
}

fn answer(text: &str, reasoning: &[(&str, &str)], finish: FinishReason) -> ChatResponse {
    let provider = ProviderName::new("test").unwrap();
    let block = |(text, value): &(&str, &str)| Reasoning {
        text: (!text.is_empty()).then(|| Text::from(*text)),
        seal: Some(Seal { provider: provider.clone(), value: (*value).into() }),
    };
    ChatResponse {
        text: (!text.is_empty()).then(|| text.into()),
        reasoning: reasoning.iter().map(block).collect(),
        tool_calls: vec![],
        finish,
        usage: USAGE,
        logprobs: None,
    }
}

fn calls(text: &str, arguments: &[&str]) -> ChatResponse {
    let call = |(at, arguments): (usize, &&str)| ToolCall {
        id: format!("toolu_{}", at + 1),
        name: "clock".into(),
        arguments: (*arguments).into(),
        seal: None,
    };
    let tool_calls = arguments.iter().enumerate().map(call).collect();
    ChatResponse { tool_calls, ..answer(text, &[], FinishReason::ToolCalls) }
}

const THOUGHT: (&str, &str) = ("A capital.", "c2ln");
const SECRETS: [(&str, &str); 2] = [("", "c2VjcmV0"), ("", "signature:c2ln")];
const ZONE: &str = r#"{"zone":"UTC"}"#;
const CITY: &str = r#"{"city":"Abéché"}"#;

#[test]
fn answers_are_read() {
    use FinishReason::{Length, Stop};
    let check = |name: &str, wanted| {
        assert_eq!(read(name, ResponseFormat::Text), Ok(wanted), "{name}");
    };
    check("answer_text", answer("N'Djamena.", &[THOUGHT], Stop));
    check("answer_parts", answer("N'Djamena.", &[], Stop));
    check("answer_redacted", answer("N'Djamena.", &SECRETS, Stop));
    check("answer_tools", calls("Let me look.", &[ZONE, "{}"]));
    check("answer_length", answer("N'Dja", &[], Length));
    check("answer_length_empty", answer("", &[], Length));
    check("answer_context_full", answer("N'Dja", &[], Length));
    check("answer_paused", answer("N'Djamena.", &[], Stop));
    let unpaid = ChatResponse { usage: Usage::default(), ..answer("N'Djamena.", &[], Stop) };
    check("answer_no_usage", unpaid);
}

#[test]
fn the_arguments_of_our_tool_are_the_text() {
    let check = |name: &str, wanted| {
        assert_eq!(read(name, ResponseFormat::JsonObject), Ok(wanted), "{name}");
    };
    check("answer_json_tool", answer(CITY, &[], FinishReason::Stop));
    check("answer_json_text", answer(CITY, &[], FinishReason::Stop));
    check("answer_json_other_tool", calls("", &[ZONE]));
}

#[test]
fn answers_that_are_none_have_their_class_and_are_paid() {
    let check = |name: &str, class, usage| {
        let wanted = CallFailure { status: Some(200), usage, ..CallFailure::of(class) };
        assert_eq!(read(name, ResponseFormat::Text), Err(wanted), "{name}");
    };
    use FailureClass::{ContentFiltered, EmptyAnswer, Malformed, Overloaded};
    check("answer_empty", EmptyAnswer, USAGE);
    check("answer_refusal", ContentFiltered, USAGE);
    check("answer_paused_empty", Malformed, USAGE);
    check("answer_unknown_end", Malformed, USAGE);
    check("answer_no_end", Malformed, USAGE);
    check("answer_not_json", Malformed, Usage::default());
    check("answer_upstream_error", Overloaded, Usage::default());
}

#[test]
fn errors_have_the_class_of_the_table() {
    use FailureClass as F;
    let table = [
        ("rate", F::RateLimited),
        ("rate_400", F::RateLimited),
        ("key", F::Auth),
        ("billing", F::Auth),
        ("credit", F::Auth),
        ("limit", F::Auth),
        ("forbidden", F::Auth),
        ("forbidden_html", F::Auth),
        ("model", F::ModelMissing),
        ("too_large", F::ContextTooLong),
        ("context", F::ContextTooLong),
        ("context_sum", F::ContextTooLong),
        ("filter", F::ContentFiltered),
        ("thinking", F::Unsupported),
        ("temperature", F::Unsupported),
        ("forced", F::Unsupported),
        ("invalid", F::InvalidRequest),
        ("server", F::Overloaded),
        ("timeout", F::Overloaded),
        ("gateway", F::Overloaded),
        ("overloaded", F::Overloaded),
        ("moved", F::Malformed),
    ];
    for (name, class) in table {
        let failure = read(&format!("error_{name}"), ResponseFormat::Text).unwrap_err();
        assert_eq!((failure.class, failure.usage), (class, Usage::default()), "{name}");
    }
}

#[test]
fn a_pause_that_is_told_and_an_operators_words_are_obeyed() {
    let request = ChatRequest::from_prompt("Hello");
    let deployment = fixtures::deployment("test");
    let check = |status, message: &str, quirks: &Quirks, class| {
        let error = serde_json::json!({ "type": "overloaded_error", "message": message });
        let body = serde_json::json!({ "type": "error", "error": error }).to_string();
        let retry_after = Some(Duration::from_secs(2));
        let answered = Answered { status, retry_after, body: body.as_bytes() };
        let read = PROTOCOL.decode(&answered, &fixtures::asking(&request, &deployment, quirks));
        let failure = read.unwrap_err();
        assert_eq!((failure.class, failure.retry_after), (class, retry_after), "{message}");
    };
    check(529, "Overloaded", &Quirks::default(), FailureClass::RateLimited);
    check(503, "Overloaded", &Quirks::default(), FailureClass::Overloaded);
    let errors = [("no seat".to_owned(), FailureClass::Auth)].into();
    let quirks = Quirks { errors, ..Quirks::default() };
    check(503, "There is No Seat left", &quirks, FailureClass::Auth);
}

/// The stream comes to this, however it is cut.
fn streams(
    name: &str,
    format: ResponseFormat,
    wanted: &Result<ChatResponse, (FailureClass, Usage)>,
) -> Vec<Delta> {
    let recorded = fixtures::bytes(PROTOCOL, &format!("{name}.sse"));
    let request = asking_for(format);
    let (whole, _) = fixtures::stream(PROTOCOL, &recorded, recorded.len(), &request);
    for chunk in CHUNKS {
        let (deltas, read) = fixtures::stream(PROTOCOL, &recorded, chunk, &request);
        assert_eq!(&read, wanted, "{name} in chunks of {chunk}");
        assert_eq!(deltas, whole, "{name} in chunks of {chunk}");
    }
    whole
}

#[test]
fn streams_are_read_as_they_come() {
    use FinishReason::{Length, Stop};
    let check = |name: &str, wanted| streams(name, ResponseFormat::Text, &Ok(wanted));
    let deltas = check("stream_text", answer("N'Djamena.", &[THOUGHT], Stop));
    assert_eq!(deltas.len(), 5, "{deltas:?}");
    assert_eq!(deltas[0], Delta::Reasoning("A ".into()));
    check("stream_redacted", answer("N'Djamena.", &SECRETS, Stop));
    let deltas = check("stream_tools", calls("Let me look.", &[ZONE, "{}"]));
    let fragment = "{\"zo".into();
    assert!(deltas.contains(&Delta::Arguments { index: 0, fragment }), "{deltas:?}");
    check("stream_whole_input", calls("Let me look.", &[ZONE, "{}"]));
    check("stream_length", answer("N'Dja", &[], Length));
}

#[test]
fn our_tool_streams_as_text() {
    let wanted = Ok(answer(CITY, &[], FinishReason::Stop));
    let deltas = streams("stream_json_tool", ResponseFormat::JsonObject, &wanted);
    assert_eq!(deltas, [Delta::Text("{\"city\":\"Ab".into()), Delta::Text("éché\"}".into())]);
    // Words instead of the tool are held back until it is sure that it does not come.
    let deltas = streams("stream_json_text", ResponseFormat::JsonObject, &wanted);
    assert_eq!(deltas, [Delta::Text(CITY.into())]);
}

#[test]
fn streams_that_break_off_say_how() {
    let check = |name: &str, class, usage| {
        streams(name, ResponseFormat::Text, &Err((class, usage)));
    };
    use FailureClass::{ContentFiltered, EmptyAnswer, Malformed, Overloaded, StreamCut};
    check("stream_cut", StreamCut, STARTED);
    check("stream_no_stop", StreamCut, USAGE);
    check("stream_no_reason", Malformed, STARTED);
    check("stream_overloaded", Overloaded, STARTED);
    check("stream_refusal", ContentFiltered, USAGE);
    check("stream_empty", EmptyAnswer, USAGE);
    check("stream_stray", Malformed, STARTED);
    check("stream_not_json", Malformed, Usage::default());
}
