//! A prompt with its tools and settings, from the wire to our own shape.
//!
//! In: the wire's messages. Out: a [`ChatRequest`], and every [`Violation`] that the wire's shape
//! allows and ours does not. Invariant: one wire message becomes one of ours, so that the paths of
//! [`ChatRequest::validate`] fit the wire's; what is wrong leaves a stand-in, so that it is reported
//! once. Not here: single turns (see [`super::turn_from_proto`]), and what validation knows already.

use super::proto::{self, reasoning, tool_choice};
use super::turn_from_proto::message;
use crate::domain::{
    ChatRequest, Effort, Json, ResponseFormat, Sampling, Text, Tool, ToolChoice, Violation,
};

/// Longest `user`, in bytes: an id, as long as the other ids a caller gives.
const USER_BYTES_MAX: usize = 256;
/// Longest `extra_json`, in bytes: settings of providers, never content.
const EXTRA_BYTES_MAX: usize = 64 << 10;
/// Most tokens of thinking, as of output.
const REASONING_TOKENS_MAX: u64 = 1_000_000;

/// Takes the prompt out of a request and reads it; problems go to `found`.
pub(super) fn chat_request(
    wire: &mut proto::RouteRequest,
    found: &mut Vec<Violation>,
) -> ChatRequest {
    let messages = std::mem::take(&mut wire.messages).into_iter().enumerate();
    let messages = messages.map(|(at, it)| message(at, it, found)).collect();
    let tools = std::mem::take(&mut wire.tools).into_iter().enumerate();
    let tools = tools.map(|(at, it)| tool(at, it, found)).collect();
    let tool_choice = tool_choice(wire.tool_choice.take(), found);
    let response_format = response_format(wire.response_format.take(), found);
    let sampling = sampling(wire.sampling.take());
    let request = ChatRequest {
        messages,
        tools,
        tool_choice,
        response_format,
        sampling,
        parallel_tool_calls: wire.parallel_tool_calls,
        effort: effort(wire.reasoning.take(), found),
        cache_prompt: wire.cache_prompt,
        user: user(wire.user.take(), found),
        extra: extra(wire.extra_json.take(), found),
    };
    found.extend(request.validate().err().unwrap_or_default());
    request
}

fn tool(at: usize, wire: proto::Tool, found: &mut Vec<Violation>) -> Tool {
    let parameters = if wire.parameters.is_empty() {
        serde_json::json!({"type": "object", "properties": {}})
    } else {
        json(&format!("tools[{at}].parameters"), &wire.parameters, found)
    };
    let description = wire.description.into();
    Tool { name: wire.name, description, parameters: parameters.into(), strict: wire.strict }
}

/// Reads JSON; where it does not parse, an empty object stands in.
fn json(field: &str, text: &str, found: &mut Vec<Violation>) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| {
        // The parser's own words could quote the text; the place is enough.
        let message = format!("not JSON at line {}, column {}", error.line(), error.column());
        found.push(Violation::new(field, message));
        serde_json::json!({})
    })
}

fn tool_choice(wire: Option<proto::ToolChoice>, found: &mut Vec<Violation>) -> ToolChoice {
    use proto::ToolChoiceMode as Mode;
    let mode = match wire.and_then(|it| it.choice) {
        None => return ToolChoice::Auto,
        Some(tool_choice::Choice::Tool(name)) => return ToolChoice::Tool(name),
        Some(tool_choice::Choice::Mode(mode)) => mode,
    };
    match Mode::try_from(mode) {
        Ok(Mode::Unspecified | Mode::Auto) => ToolChoice::Auto,
        Ok(Mode::None) => ToolChoice::None,
        Ok(Mode::Required) => ToolChoice::Required,
        Err(_) => {
            let message = format!("{mode} is no mode: AUTO, NONE and REQUIRED are");
            found.push(Violation::new("tool_choice.mode", message));
            ToolChoice::Auto
        }
    }
}

fn response_format(
    wire: Option<proto::ResponseFormat>,
    found: &mut Vec<Violation>,
) -> ResponseFormat {
    use proto::ResponseFormatKind as Kind;
    let Some(wire) = wire else { return ResponseFormat::Text };
    let plain = match Kind::try_from(wire.kind) {
        Ok(Kind::JsonSchema) => return json_schema(wire, found),
        Ok(Kind::Unspecified | Kind::Text) => ResponseFormat::Text,
        Ok(Kind::JsonObject) => ResponseFormat::JsonObject,
        Err(_) => {
            let message = format!("{} is no kind: TEXT, JSON_OBJECT, JSON_SCHEMA are", wire.kind);
            found.push(Violation::new("response_format.kind", message));
            return ResponseFormat::Text;
        }
    };
    if !wire.schema.is_empty() || !wire.name.is_empty() || wire.strict.is_some() {
        let message = "a name, schema or strict is given, so the kind must be JSON_SCHEMA";
        found.push(Violation::new("response_format.kind", message));
    }
    plain
}

fn json_schema(wire: proto::ResponseFormat, found: &mut Vec<Violation>) -> ResponseFormat {
    let schema: Json = json("response_format.schema", &wire.schema, found).into();
    let name = if wire.name.is_empty() { "answer".to_owned() } else { wire.name };
    ResponseFormat::JsonSchema { name, schema, strict: wire.strict }
}

fn sampling(wire: Option<proto::Sampling>) -> Sampling {
    let wire = wire.unwrap_or_default();
    Sampling {
        temperature: wire.temperature,
        top_p: wire.top_p,
        max_output_tokens: wire.max_output_tokens,
        stop: wire.stop,
        seed: wire.seed,
        top_k: wire.top_k,
        frequency_penalty: wire.frequency_penalty,
        presence_penalty: wire.presence_penalty,
        // What does not fit is far above the limit of validation.
        logprobs: wire.logprobs.map(|it| u8::try_from(it).unwrap_or(u8::MAX)),
    }
}

fn effort(wire: Option<proto::Reasoning>, found: &mut Vec<Violation>) -> Option<Effort> {
    use proto::ReasoningEffort as Named;
    let named = match wire?.amount? {
        reasoning::Amount::Effort(named) => named,
        reasoning::Amount::MaxTokens(tokens) => {
            if !(1..=REASONING_TOKENS_MAX).contains(&tokens) {
                let message = format!("{tokens} is not between 1 and {REASONING_TOKENS_MAX}");
                found.push(Violation::new("reasoning.max_tokens", message));
            }
            return Some(Effort::Tokens(tokens));
        }
    };
    match Named::try_from(named) {
        Ok(Named::Unspecified) => None,
        Ok(Named::Off) => Some(Effort::Off),
        Ok(Named::Minimal) => Some(Effort::Minimal),
        Ok(Named::Low) => Some(Effort::Low),
        Ok(Named::Medium) => Some(Effort::Medium),
        Ok(Named::High) => Some(Effort::High),
        Err(_) => {
            let message = format!("{named} is no effort: OFF, MINIMAL, LOW, MEDIUM, HIGH are");
            found.push(Violation::new("reasoning.effort", message));
            None
        }
    }
}

fn user(wire: Option<String>, found: &mut Vec<Violation>) -> Option<Text> {
    let bytes = wire.as_ref().map_or(0, String::len);
    if bytes > USER_BYTES_MAX {
        let message = format!("{bytes} bytes, at most {USER_BYTES_MAX} are allowed");
        found.push(Violation::new("user", message));
    }
    wire.map(Into::into)
}

fn extra(wire: Option<String>, found: &mut Vec<Violation>) -> Json {
    let Some(wire) = wire.filter(|it| !it.is_empty()) else { return Json::default() };
    if wire.len() > EXTRA_BYTES_MAX {
        let message = format!("{} bytes, at most {EXTRA_BYTES_MAX} are allowed", wire.len());
        found.push(Violation::new("extra_json", message));
        return Json::default();
    }
    let read = json("extra_json", &wire, found);
    if !read.is_object() {
        found.push(Violation::new("extra_json", "it must be a JSON object"));
    }
    read.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::proto::part::Content;
    use crate::api::testing;

    fn message(role: proto::Role, contents: Vec<Content>) -> proto::Message {
        let parts = contents.into_iter().map(|it| proto::Part { content: Some(it) }).collect();
        proto::Message { role: role.into(), parts }
    }

    fn text(content: &str) -> Content {
        Content::Text(content.into())
    }

    fn image() -> Content {
        Content::Image(proto::Image::default())
    }

    fn fields(mut wire: proto::RouteRequest) -> Vec<String> {
        let mut found = Vec::new();
        chat_request(&mut wire, &mut found);
        found.into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn every_problem_is_found_once_with_its_path() {
        let wire = proto::RouteRequest {
            messages: vec![
                message(proto::Role::Unspecified, vec![text("a")]),
                message(proto::Role::System, vec![image()]),
                message(proto::Role::User, vec![image()]),
                message(proto::Role::Assistant, vec![image()]),
                message(proto::Role::Tool, vec![text("42")]),
            ],
            tools: vec![proto::Tool {
                name: "f".into(),
                parameters: "{secret".into(),
                ..Default::default()
            }],
            tool_choice: Some(proto::ToolChoice { choice: Some(tool_choice::Choice::Mode(9)) }),
            response_format: Some(proto::ResponseFormat {
                schema: "{}".into(),
                ..Default::default()
            }),
            sampling: Some(proto::Sampling {
                temperature: Some(9.0),
                logprobs: Some(300),
                ..Default::default()
            }),
            reasoning: Some(proto::Reasoning { amount: Some(reasoning::Amount::Effort(9)) }),
            user: Some("x".repeat(257)),
            extra_json: Some("[]".into()),
            ..Default::default()
        };
        let wanted = [
            "messages[0].role",
            "messages[1].parts[0]",
            "messages[2].parts[0].image",
            "messages[3].parts[0]",
            "messages[4].parts",
            "tools[0].parameters",
            "tool_choice.mode",
            "response_format.kind",
            "reasoning.effort",
            "user",
            "extra_json",
            "sampling.temperature",
            "sampling.logprobs",
        ];
        assert_eq!(fields(wire), wanted);
    }

    #[test]
    fn a_prompt_of_ten_megabytes_names_messages() {
        let long = "x".repeat(10 << 20);
        let messages = vec![message(proto::Role::User, vec![text(&long)])];
        assert_eq!(fields(proto::RouteRequest { messages, ..Default::default() }), ["messages"]);
    }

    #[test]
    fn formats_are_read() {
        let check = |kind: proto::ResponseFormatKind, schema: &str, wanted: ResponseFormat| {
            let strict = (kind == proto::ResponseFormatKind::JsonSchema).then_some(true);
            let (kind, schema) = (kind.into(), schema.into());
            let wire = proto::ResponseFormat { kind, schema, strict, name: String::new() };
            let mut found = Vec::new();
            assert_eq!(response_format(Some(wire), &mut found), wanted);
            assert_eq!(found, []);
        };
        check(proto::ResponseFormatKind::Unspecified, "", ResponseFormat::Text);
        check(proto::ResponseFormatKind::JsonObject, "", ResponseFormat::JsonObject);
        let schema = serde_json::json!({"type": "object"}).into();
        let wanted =
            ResponseFormat::JsonSchema { name: "answer".into(), schema, strict: Some(true) };
        check(proto::ResponseFormatKind::JsonSchema, r#"{"type": "object"}"#, wanted);
    }

    #[test]
    fn every_setting_is_read() {
        let sampling = proto::Sampling {
            top_k: Some(40),
            frequency_penalty: Some(0.5),
            presence_penalty: Some(-0.5),
            logprobs: Some(3),
            ..Default::default()
        };
        let mut wire = proto::RouteRequest {
            tools: vec![proto::Tool { name: "f".into(), strict: Some(true), ..Default::default() }],
            sampling: Some(sampling),
            parallel_tool_calls: Some(false),
            reasoning: Some(proto::Reasoning { amount: Some(reasoning::Amount::MaxTokens(900)) }),
            user: Some("u1".into()),
            cache_prompt: true,
            extra_json: Some(r#"{"safe_prompt": true}"#.into()),
            ..testing::request("hello")
        };
        let mut found = Vec::new();
        let request = chat_request(&mut wire, &mut found);
        assert_eq!(found, []);
        let Sampling { top_k, frequency_penalty, presence_penalty, logprobs, .. } =
            request.sampling;
        assert_eq!((top_k, logprobs), (Some(40), Some(3)));
        assert_eq!((frequency_penalty, presence_penalty), (Some(0.5), Some(-0.5)));
        assert_eq!(request.tools[0].strict, Some(true));
        assert_eq!(request.parallel_tool_calls, Some(false));
        assert_eq!(request.effort, Some(Effort::Tokens(900)));
        assert_eq!(request.user, Some("u1".into()));
        assert!(request.cache_prompt);
        assert_eq!(*request.extra.value(), serde_json::json!({"safe_prompt": true}));
    }

    #[test]
    fn bounds_are_held() {
        let check = |wire: proto::RouteRequest, wanted: &[&str]| assert_eq!(fields(wire), wanted);
        let ask = || testing::request("hello");
        let amount = |it| Some(proto::Reasoning { amount: Some(it) });
        let high = proto::ReasoningEffort::High.into();
        check(
            proto::RouteRequest { reasoning: amount(reasoning::Amount::Effort(high)), ..ask() },
            &[],
        );
        let none = amount(reasoning::Amount::MaxTokens(0));
        check(proto::RouteRequest { reasoning: none, ..ask() }, &["reasoning.max_tokens"]);
        let extra = |it: String| proto::RouteRequest { extra_json: Some(it), ..ask() };
        check(extra(String::new()), &[]);
        check(extra("{secret".into()), &["extra_json"]);
        check(extra(format!(r#"{{"x": "{}"}}"#, "y".repeat(65_536))), &["extra_json"]);
    }
}
