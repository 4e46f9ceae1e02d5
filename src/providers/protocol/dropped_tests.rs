//! What each protocol has no words for, as `docs/translation.md` tells it.
//!
//! The test fails when the page says otherwise; `UPDATE_DOCS=1` writes it anew.

use super::super::fixtures;
use super::super::provider::Protocol;
use super::super::quirks::{Parameter, Quirks};
use crate::domain::{
    ChatRequest, Effort, Image, ImageDetail, ImageSource, Message, Part, ProviderName, Reasoning,
    Sampling, Seal, Tool,
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/translation.md");
const BEGIN: &str =
    "<!-- parameters: made by the tests of src/providers/protocol, do not edit -->\n";
const END: &str = "<!-- end of parameters -->\n";

/// A request with every parameter that may be left out.
fn everything() -> ChatRequest {
    let source = ImageSource::Base64 { media_type: "image/png".into(), data: "QUJD".into() };
    let image = Image { source, detail: Some(ImageDetail::Low) };
    let other = Seal { provider: ProviderName::new("other").unwrap(), value: "x".into() };
    let thought = Reasoning { text: Some("hm".into()), seal: Some(other) };
    let tool = Tool {
        name: "clock".into(),
        description: "Tells the time.".into(),
        parameters: serde_json::json!({ "type": "object", "properties": {} }).into(),
        strict: Some(true),
    };
    ChatRequest {
        messages: vec![
            Message::User(vec![Part::Text("Hello".into()), Part::Image(image)]),
            Message::Assistant {
                reasoning: vec![thought],
                text: Some("Yes?".into()),
                tool_calls: vec![],
            },
            Message::User(vec![Part::Text("What time is it?".into())]),
        ],
        tools: vec![tool],
        parallel_tool_calls: Some(false),
        sampling: Sampling {
            temperature: Some(0.5),
            top_p: Some(0.9),
            max_output_tokens: Some(4_000),
            stop: vec!["END".into()],
            seed: Some(7),
            top_k: Some(5),
            frequency_penalty: Some(0.1),
            presence_penalty: Some(0.1),
            logprobs: Some(2),
        },
        effort: Some(Effort::Low),
        cache_prompt: true,
        user: Some("u1".into()),
        extra: serde_json::json!({ "logit_bias": {} }).into(),
        ..ChatRequest::default()
    }
}

/// What each protocol leaves out of it.
fn dropped(request: &ChatRequest) -> [Vec<String>; 5] {
    let (deployment, quirks) = (fixtures::deployment("test"), Quirks::default());
    Protocol::ALL
        .map(|it| it.encode(&fixtures::asking(request, &deployment, &quirks)).unwrap().dropped)
}

fn table() -> String {
    let thinking = dropped(&everything());
    let plain = dropped(&ChatRequest { effort: None, ..everything() });
    let names = Protocol::ALL.map(Protocol::as_str).join(" | ");
    let mut table = format!("| | {names} |\n|---|{}\n", "---|".repeat(Protocol::ALL.len()));
    let parameters = Parameter::ALL.into_iter().map(Parameter::as_str);
    for name in parameters.chain(["logit_bias"]) {
        let has = |it: &Vec<String>| it.iter().any(|it| it == name);
        let cells = plain.iter().zip(&thinking).map(|(plain, thinking)| {
            match (has(plain), has(thinking)) {
                (false, false) => "yes",
                (false, true) if name == Parameter::ReasoningEffort.as_str() => "left out",
                (false, true) => "not while it thinks",
                (true, _) => "left out",
            }
        });
        let shown = if name == "logit_bias" { "fields unknown here" } else { name };
        table.push_str(&format!("| {shown} | {} |\n", cells.collect::<Vec<_>>().join(" | ")));
    }
    table
}

/// What a protocol is said to lack is what it leaves out; thinking of earlier answers is no parameter of
/// a request.
#[test]
fn what_is_lacked_is_what_is_left_out() {
    let plain = ChatRequest { effort: None, ..everything() };
    for (protocol, dropped) in Protocol::ALL.into_iter().zip(dropped(&plain)) {
        let past = Parameter::PastReasoning.as_str();
        let mut dropped: Vec<_> = dropped.iter().map(String::as_str).collect();
        dropped.retain(|it| *it != past);
        let lacks = Vec::<&str>::from(protocol.lacks());
        let shown = |it| if it == "other fields" { "logit_bias" } else { it };
        let mut lacks: Vec<_> = lacks.into_iter().map(shown).collect();
        // Only models that think have it there; the table says so for a model that is not known.
        lacks.retain(|it| *it != Parameter::ReasoningEffort.as_str());
        dropped.sort_unstable();
        lacks.sort_unstable();
        assert_eq!(dropped, lacks, "{protocol:?}");
    }
}

#[test]
fn the_page_tells_what_is_left_out() {
    let table = table();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert_eq!(written, table, "docs/translation.md tells otherwise; UPDATE_DOCS=1 writes it anew");
}
