//! Messages, tools and the rest of a prompt, from the wire to our own shape.
//!
//! In: the wire's messages. Out: a [`ChatRequest`], and every [`Violation`] that the wire's shape
//! allows and ours does not. Invariant: one wire message becomes one of ours, so that the paths of
//! [`ChatRequest::validate`] fit the wire's; what is wrong leaves a stand-in, so that it is reported
//! once. Not here: what validation knows already.

use super::proto::{self, image, part::Content, tool_choice};
use crate::domain::{
    ChatRequest, Image, ImageSource, Json, Message, Part, ResponseFormat, Sampling, Text, Tool,
    ToolCall, ToolChoice, Violation,
};

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
        ..ChatRequest::default()
    };
    found.extend(request.validate().err().unwrap_or_default());
    request
}

fn message(at: usize, wire: proto::Message, found: &mut Vec<Violation>) -> Message {
    let turn = Turn { at, role: wire.role };
    match proto::Role::try_from(wire.role) {
        Ok(proto::Role::System) => Message::System(turn.text_only(wire.parts, found)),
        Ok(proto::Role::User) => Message::User(turn.user(wire.parts, found)),
        Ok(proto::Role::Assistant) => turn.assistant(wire.parts, found),
        Ok(proto::Role::Tool) => turn.tool_result(wire.parts, found),
        Ok(proto::Role::Unspecified) | Err(_) => {
            let message = "the role must be SYSTEM, USER, ASSISTANT or TOOL";
            found.push(Violation::new(format!("messages[{at}].role"), message));
            Message::User(vec![stand_in()])
        }
    }
}

/// What stands for a part that was reported already.
fn stand_in() -> Part {
    Part::Text("?".into())
}

#[derive(Clone, Copy)]
struct Turn {
    at: usize,
    role: i32,
}

impl Turn {
    fn text_only(self, parts: Vec<proto::Part>, found: &mut Vec<Violation>) -> Text {
        let mut texts = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            match part.content {
                Some(Content::Text(text)) => texts.push(text),
                other => self.stray(index, other.as_ref(), found),
            }
        }
        texts.join("\n").into()
    }

    fn user(self, parts: Vec<proto::Part>, found: &mut Vec<Violation>) -> Vec<Part> {
        let mut read = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            read.push(match part.content {
                Some(Content::Text(text)) => Part::Text(text.into()),
                Some(Content::Image(image)) => self.image(index, image, found),
                other => {
                    self.stray(index, other.as_ref(), found);
                    stand_in()
                }
            });
        }
        read
    }

    fn image(self, index: usize, wire: proto::Image, found: &mut Vec<Violation>) -> Part {
        let source = match wire.source {
            Some(image::Source::Url(url)) if !url.is_empty() => ImageSource::Url(url.into()),
            Some(image::Source::Inline(it)) if !it.media_type.is_empty() && !it.data.is_empty() => {
                ImageSource::Base64 { media_type: it.media_type, data: it.data.into() }
            }
            Some(_) | None => {
                let field = format!("messages[{}].parts[{index}].image", self.at);
                let message = "an image needs a url, or a media_type and data in base64";
                found.push(Violation::new(field, message));
                return stand_in();
            }
        };
        Part::Image(Image::new(source))
    }

    fn assistant(self, parts: Vec<proto::Part>, found: &mut Vec<Violation>) -> Message {
        let (mut texts, mut tool_calls) = (Vec::new(), Vec::new());
        for (index, part) in parts.into_iter().enumerate() {
            match part.content {
                Some(Content::Text(text)) => texts.push(text),
                Some(Content::ToolCall(call)) => tool_calls.push(ToolCall {
                    id: call.id,
                    name: call.name,
                    arguments: call.arguments.into(),
                    seal: None,
                }),
                other => {
                    self.stray(index, other.as_ref(), found);
                    texts.push(String::new());
                }
            }
        }
        let text = (!texts.is_empty()).then(|| texts.join("\n").into());
        Message::Assistant { reasoning: vec![], text, tool_calls }
    }

    fn tool_result(self, parts: Vec<proto::Part>, found: &mut Vec<Violation>) -> Message {
        let count = parts.len();
        let mut results = parts.into_iter().filter_map(|it| match it.content {
            Some(Content::ToolResult(result)) => Some(result),
            Some(Content::Text(_) | Content::Image(_) | Content::ToolCall(_)) | None => None,
        });
        match (results.next(), count) {
            (Some(it), 1) => Message::tool_result(it.tool_call_id, it.text),
            _ => {
                let message = "a TOOL message has exactly one part, a tool_result";
                found.push(Violation::new(format!("messages[{}].parts", self.at), message));
                Message::tool_result("?", Text::default())
            }
        }
    }

    fn stray(self, index: usize, content: Option<&Content>, found: &mut Vec<Violation>) {
        let field = format!("messages[{}].parts[{index}]", self.at);
        let role = proto::Role::try_from(self.role).unwrap_or(proto::Role::Unspecified);
        let role = role.as_str_name().trim_start_matches("ROLE_");
        let kind = match content {
            None => {
                found.push(Violation::new(field, "the part is empty"));
                return;
            }
            Some(Content::Text(_)) => "text",
            Some(Content::Image(_)) => "an image",
            Some(Content::ToolCall(_)) => "a tool call",
            Some(Content::ToolResult(_)) => "a tool result",
        };
        let message = format!("{kind} has no place in a message of role {role}");
        found.push(Violation::new(field, message));
    }
}

fn tool(at: usize, wire: proto::Tool, found: &mut Vec<Violation>) -> Tool {
    let parameters = if wire.parameters.is_empty() {
        serde_json::json!({"type": "object", "properties": {}})
    } else {
        json(&format!("tools[{at}].parameters"), &wire.parameters, found)
    };
    let description = wire.description.into();
    Tool { name: wire.name, description, parameters: parameters.into(), strict: None }
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
    if !wire.schema.is_empty() || !wire.name.is_empty() {
        let message = "a name or schema is given, so the kind must be JSON_SCHEMA";
        found.push(Violation::new("response_format.kind", message));
    }
    plain
}

fn json_schema(wire: proto::ResponseFormat, found: &mut Vec<Violation>) -> ResponseFormat {
    let schema: Json = json("response_format.schema", &wire.schema, found).into();
    let name = if wire.name.is_empty() { "answer".to_owned() } else { wire.name };
    ResponseFormat::JsonSchema { name, schema, strict: None }
}

fn sampling(wire: Option<proto::Sampling>) -> Sampling {
    let wire = wire.unwrap_or_default();
    Sampling {
        temperature: wire.temperature,
        top_p: wire.top_p,
        max_output_tokens: wire.max_output_tokens,
        stop: wire.stop,
        seed: wire.seed,
        ..Sampling::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: proto::Role, contents: Vec<Content>) -> proto::Message {
        let parts = contents.into_iter().map(|it| proto::Part { content: Some(it) }).collect();
        proto::Message { role: role.into(), parts }
    }

    fn text(content: &str) -> Content {
        Content::Text(content.into())
    }

    fn fields(mut wire: proto::RouteRequest) -> Vec<String> {
        let mut found = Vec::new();
        chat_request(&mut wire, &mut found);
        found.into_iter().map(|it| it.field).collect()
    }

    fn image(source: image::Source) -> Content {
        Content::Image(proto::Image { source: Some(source) })
    }

    #[test]
    fn every_kind_of_turn_is_read() {
        let call = proto::ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into() };
        let result = proto::ToolResult { tool_call_id: "1".into(), text: "42".into() };
        let mut wire = proto::RouteRequest {
            messages: vec![
                message(proto::Role::System, vec![text("a"), text("b")]),
                message(
                    proto::Role::User,
                    vec![text("c"), image(image::Source::Url("https://x.example/1".into()))],
                ),
                message(proto::Role::Assistant, vec![text("d"), Content::ToolCall(call)]),
                message(proto::Role::Tool, vec![Content::ToolResult(result)]),
            ],
            ..Default::default()
        };
        let mut found = Vec::new();
        let request = chat_request(&mut wire, &mut found);
        assert_eq!(found, []);
        let source = ImageSource::Url("https://x.example/1".into());
        let wanted = [
            Message::System("a\nb".into()),
            Message::User(vec![Part::Text("c".into()), Part::Image(Image::new(source))]),
            Message::Assistant {
                reasoning: vec![],
                text: Some("d".into()),
                tool_calls: vec![ToolCall {
                    id: "1".into(),
                    name: "f".into(),
                    arguments: "{}".into(),
                    seal: None,
                }],
            },
            Message::tool_result("1", "42"),
        ];
        assert_eq!(request.messages, wanted);
    }

    #[test]
    fn every_problem_is_found_once_with_its_path() {
        let wire = proto::RouteRequest {
            messages: vec![
                message(proto::Role::Unspecified, vec![text("a")]),
                message(proto::Role::System, vec![image(image::Source::Url("x".into()))]),
                message(proto::Role::User, vec![image(image::Source::Url(String::new()))]),
                message(proto::Role::Assistant, vec![image(image::Source::Url("x".into()))]),
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
            sampling: Some(proto::Sampling { temperature: Some(9.0), ..Default::default() }),
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
            "sampling.temperature",
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
            let wire =
                proto::ResponseFormat { kind: kind.into(), schema: schema.into(), name: "".into() };
            let mut found = Vec::new();
            assert_eq!(response_format(Some(wire), &mut found), wanted);
            assert_eq!(found, []);
        };
        check(proto::ResponseFormatKind::Unspecified, "", ResponseFormat::Text);
        check(proto::ResponseFormatKind::JsonObject, "", ResponseFormat::JsonObject);
        let schema = serde_json::json!({"type": "object"}).into();
        let wanted = ResponseFormat::JsonSchema { name: "answer".into(), schema, strict: None };
        check(proto::ResponseFormatKind::JsonSchema, r#"{"type": "object"}"#, wanted);
    }
}
