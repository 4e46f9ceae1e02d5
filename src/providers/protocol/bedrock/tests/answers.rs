//! What comes back, whole and in pieces, and what errors mean.

use crate::domain::{
    ChatRequest, ChatResponse, Delta, FailureClass, FinishReason, ProviderName, Reasoning,
    ResponseFormat, Seal, Text, ToolCall, Usage,
};
use crate::providers::{CallFailure, Protocol, fixtures};

const PROTOCOL: Protocol = Protocol::Bedrock;
const USAGE: Usage = Usage {
    input_tokens: 20,
    cached_tokens: 10,
    cache_written_tokens: 6,
    output_tokens: 9,
    reasoning_tokens: 0,
};
const CHUNKS: [usize; 6] = [1, 2, 3, 7, 64, 1 << 20];
const THOUGHT: (&str, &str) = ("A capital.", "c2ln");
const SECRET: (&str, &str) = ("", "c2VjcmV0");
const ZONE: &str = r#"{"zone":"UTC"}"#;
const CITY: &str = r#"{"city":"Abéché"}"#;

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

fn calls(arguments: &[&str]) -> ChatResponse {
    let call = |(at, arguments): (usize, &&str)| ToolCall {
        id: format!("tooluse_{}", at + 1),
        name: "clock".into(),
        arguments: (*arguments).into(),
        seal: None,
    };
    let tool_calls = arguments.iter().enumerate().map(call).collect();
    ChatResponse { tool_calls, ..answer("Let me look.", &[], FinishReason::ToolCalls) }
}

#[test]
fn answers_are_read() {
    use FinishReason::{Length, Stop};
    let check = |name: &str, format, wanted| assert_eq!(read(name, format), Ok(wanted), "{name}");
    let text = ResponseFormat::Text;
    check("answer_text", text.clone(), answer("N'Djamena.", &[THOUGHT], Stop));
    check("answer_redacted", text.clone(), answer("N'Djamena.", &[SECRET], Stop));
    check("answer_tools", text.clone(), calls(&[ZONE, "{}"]));
    check("answer_length", text, answer("N'Dja", &[], Length));
    check("answer_json_tool", ResponseFormat::JsonObject, answer(CITY, &[], Stop));
}

#[test]
fn answers_that_are_none_have_their_class_and_are_paid() {
    let check = |name: &str, class, usage| {
        let wanted = CallFailure { status: Some(200), usage, ..CallFailure::of(class) };
        assert_eq!(read(name, ResponseFormat::Text), Err(wanted), "{name}");
    };
    use FailureClass::{ContentFiltered, EmptyAnswer, Malformed};
    check("answer_empty", EmptyAnswer, USAGE);
    check("answer_guardrail", ContentFiltered, USAGE);
    check("answer_filtered", ContentFiltered, USAGE);
    check("answer_malformed_tool", Malformed, USAGE);
    check("answer_not_json", Malformed, Usage::default());
}

#[test]
fn errors_have_the_class_of_the_table() {
    use FailureClass as F;
    let table = [
        ("throttled", F::RateLimited),
        ("not_ready", F::RateLimited),
        ("quota", F::RateLimited),
        ("denied", F::Auth),
        ("signature", F::Auth),
        ("missing", F::ModelMissing),
        ("identifier", F::ModelMissing),
        ("on_demand", F::ModelMissing),
        ("context", F::ContextTooLong),
        ("tools", F::Unsupported),
        ("choice", F::Unsupported),
        ("invalid", F::InvalidRequest),
        ("timeout", F::Overloaded),
        ("model", F::Overloaded),
        ("server", F::Overloaded),
        ("unavailable", F::Overloaded),
        ("inside_200", F::Overloaded),
    ];
    for (name, class) in table {
        let failure = read(&format!("error_{name}"), ResponseFormat::Text).unwrap_err();
        assert_eq!((failure.class, failure.usage), (class, Usage::default()), "{name}");
    }
}

/// The stream comes to this, however it is cut.
fn streams(
    name: &str,
    format: ResponseFormat,
    wanted: &Result<ChatResponse, (FailureClass, Usage)>,
) -> Vec<Delta> {
    let recorded = fixtures::bytes(PROTOCOL, &format!("{name}.bin"));
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
    check("stream_redacted", answer("N'Djamena.", &[SECRET], Stop));
    let deltas = check("stream_tools", calls(&[ZONE, "{}"]));
    let fragment = "{\"zo".into();
    assert!(deltas.contains(&Delta::Arguments { index: 0, fragment }), "{deltas:?}");
    let unpaid = ChatResponse { usage: Usage::default(), ..answer("N'Dja", &[], Length) };
    check("stream_no_metadata", unpaid);
    let wanted = Ok(answer(CITY, &[], Stop));
    let deltas = streams("stream_json_tool", ResponseFormat::JsonObject, &wanted);
    assert_eq!(deltas, [Delta::Text("{\"city\":\"Ab".into()), Delta::Text("éché\"}".into())]);
}

#[test]
fn streams_that_break_off_say_how() {
    let check = |name: &str, class, usage| {
        streams(name, ResponseFormat::Text, &Err((class, usage)));
    };
    use FailureClass::{ContentFiltered, Malformed, Overloaded, RateLimited, StreamCut};
    let none = Usage::default();
    check("stream_cut", StreamCut, none);
    check("stream_throttled", RateLimited, none);
    check("stream_model_error", Overloaded, none);
    check("stream_guardrail", ContentFiltered, USAGE);
    check("stream_not_json", Malformed, none);
}
