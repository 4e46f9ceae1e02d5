//! One turn of a conversation, from the wire to our own shape.
//!
//! In: a wire message and its place. Out: a [`Message`], and every [`Violation`] that the wire's
//! shape allows and ours does not. Invariant: what is wrong leaves a stand-in, so that it is reported
//! once; no content is in a violation. Not here: what validation knows already.

use super::proto::{self, image, part::Content};
use crate::domain::{
    Image, ImageDetail, ImageSource, Message, Part, Reasoning, Seal, Text, ToolCall, Violation,
};

/// Reads the message at place `at`; problems go to `found`.
pub(super) fn message(at: usize, wire: proto::Message, found: &mut Vec<Violation>) -> Message {
    let Ok(role) = proto::Role::try_from(wire.role) else { return no_role(at, found) };
    let path = format!("messages[{at}]");
    let mut turn = Turn { path, role, found };
    match role {
        proto::Role::System => Message::System(turn.text_only(wire.parts)),
        proto::Role::User => Message::User(turn.parts(wire.parts)),
        proto::Role::Assistant => turn.assistant(wire.parts),
        proto::Role::Tool => turn.tool_result(wire.parts),
        proto::Role::Unspecified => no_role(at, found),
    }
}

fn no_role(at: usize, found: &mut Vec<Violation>) -> Message {
    let message = "the role must be SYSTEM, USER, ASSISTANT or TOOL";
    found.push(Violation::new(format!("messages[{at}].role"), message));
    Message::User(vec![stand_in()])
}

/// What stands for a part that was reported already.
fn stand_in() -> Part {
    Part::Text("?".into())
}

struct Turn<'f> {
    /// Where its parts are.
    path: String,
    role: proto::Role,
    found: &'f mut Vec<Violation>,
}

impl Turn<'_> {
    fn text_only(&mut self, parts: Vec<proto::Part>) -> Text {
        let mut texts = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            match part.content {
                Some(Content::Text(text)) => texts.push(text),
                other => self.stray(index, other.as_ref()),
            }
        }
        texts.join("\n").into()
    }

    /// Text and images.
    fn parts(&mut self, parts: Vec<proto::Part>) -> Vec<Part> {
        let mut read = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            read.push(match part.content {
                Some(Content::Text(text)) => Part::Text(text.into()),
                Some(Content::Image(image)) => self.image(index, image),
                other => {
                    self.stray(index, other.as_ref());
                    stand_in()
                }
            });
        }
        read
    }

    fn image(&mut self, index: usize, wire: proto::Image) -> Part {
        let field = format!("{}.parts[{index}].image", self.path);
        let detail = match proto::ImageDetail::try_from(wire.detail) {
            Ok(proto::ImageDetail::Unspecified) => None,
            Ok(proto::ImageDetail::Auto) => Some(ImageDetail::Auto),
            Ok(proto::ImageDetail::Low) => Some(ImageDetail::Low),
            Ok(proto::ImageDetail::High) => Some(ImageDetail::High),
            Err(_) => {
                let message = format!("{} is no detail: AUTO, LOW and HIGH are", wire.detail);
                self.found.push(Violation::new(format!("{field}.detail"), message));
                None
            }
        };
        let source = match wire.source {
            Some(image::Source::Url(url)) if !url.is_empty() => ImageSource::Url(url.into()),
            Some(image::Source::Inline(it)) if !it.media_type.is_empty() && !it.data.is_empty() => {
                ImageSource::Base64 { media_type: it.media_type, data: it.data.into() }
            }
            Some(_) | None => {
                let message = "an image needs a url, or a media_type and data in base64";
                self.found.push(Violation::new(field, message));
                return stand_in();
            }
        };
        Part::Image(Image { source, detail })
    }

    fn assistant(&mut self, parts: Vec<proto::Part>) -> Message {
        let (mut reasoning, mut texts, mut tool_calls) = (Vec::new(), Vec::new(), Vec::new());
        for (index, part) in parts.into_iter().enumerate() {
            match part.content {
                Some(Content::Text(text)) => texts.push(text),
                Some(Content::ToolCall(call)) => tool_calls.push(self.tool_call(index, call)),
                Some(Content::Reasoning(block)) => reasoning.push(self.reasoning(index, block)),
                other => {
                    self.stray(index, other.as_ref());
                    texts.push(String::new());
                }
            }
        }
        let text = (!texts.is_empty()).then(|| texts.join("\n").into());
        Message::Assistant { reasoning, text, tool_calls }
    }

    fn tool_call(&mut self, index: usize, wire: proto::ToolCall) -> ToolCall {
        let seal = self.seal(format!("parts[{index}].tool_call.seal"), wire.seal);
        ToolCall { id: wire.id, name: wire.name, arguments: wire.arguments.into(), seal }
    }

    fn reasoning(&mut self, index: usize, wire: proto::ReasoningBlock) -> Reasoning {
        let text = wire.text.filter(|it| !it.is_empty());
        if text.is_none() && wire.seal.is_none() {
            let field = format!("{}.parts[{index}].reasoning", self.path);
            self.found.push(Violation::new(field, "reasoning needs a text or a seal"));
        }
        let seal = self.seal(format!("parts[{index}].reasoning.seal"), wire.seal);
        Reasoning { text: text.map(Into::into), seal }
    }

    /// A seal that an earlier answer of ours gave; others have no maker whom they could be shown.
    fn seal(&mut self, place: String, wire: Option<String>) -> Option<Seal> {
        let wire = wire?;
        let seal = Seal::from_wire(&wire);
        if seal.is_none() {
            let message = "not a seal of this service: send it back as the answer gave it";
            self.found.push(Violation::new(format!("{}.{place}", self.path), message));
        }
        seal
    }

    fn tool_result(&mut self, parts: Vec<proto::Part>) -> Message {
        let count = parts.len();
        let mut results = parts.into_iter().filter_map(|it| match it.content {
            Some(Content::ToolResult(result)) => Some(result),
            Some(
                Content::Text(_) | Content::Image(_) | Content::ToolCall(_) | Content::Reasoning(_),
            )
            | None => None,
        });
        let (Some(wire), 1) = (results.next(), count) else {
            let message = "a TOOL message has exactly one part, a tool_result";
            self.found.push(Violation::new(format!("{}.parts", self.path), message));
            return Message::tool_result("?", Text::default());
        };
        let proto::ToolResult { tool_call_id, text, parts, failed } = wire;
        let path = format!("{}.parts[0].tool_result", self.path);
        let mut inner = Turn { path, role: self.role, found: self.found };
        let more = inner.parts(parts);
        let alone = more.is_empty();
        let text = (alone || !text.is_empty()).then(|| Part::Text(text.into()));
        let parts = text.into_iter().chain(more).collect();
        Message::ToolResult { tool_call_id, parts, failed }
    }

    fn stray(&mut self, index: usize, content: Option<&Content>) {
        let kind = match content {
            None => "",
            Some(Content::Text(_)) => "text",
            Some(Content::Image(_)) => "an image",
            Some(Content::ToolCall(_)) => "a tool call",
            Some(Content::ToolResult(_)) => "a tool result",
            Some(Content::Reasoning(_)) => "reasoning",
        };
        let role = self.role.as_str_name().trim_start_matches("ROLE_");
        let message = match content {
            None => "the part is empty".to_owned(),
            Some(_) => format!("{kind} has no place in a message of role {role}"),
        };
        self.found.push(Violation::new(format!("{}.parts[{index}]", self.path), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProviderName;

    fn wire(role: proto::Role, contents: Vec<Content>) -> proto::Message {
        let parts = contents.into_iter().map(|it| proto::Part { content: Some(it) }).collect();
        proto::Message { role: role.into(), parts }
    }

    fn text(content: &str) -> Content {
        Content::Text(content.into())
    }

    fn image(url: &str, detail: i32) -> Content {
        Content::Image(proto::Image { source: Some(image::Source::Url(url.into())), detail })
    }

    fn seal() -> Seal {
        Seal { provider: ProviderName::new("house").unwrap(), value: "s:1".into() }
    }

    #[test]
    fn every_kind_of_turn_is_read() {
        let check = |role: proto::Role, contents: Vec<Content>, wanted: Message| {
            let mut found = Vec::new();
            assert_eq!(message(3, wire(role, contents), &mut found), wanted);
            assert_eq!(found, []);
        };
        let url = || ImageSource::Url("https://x.example/1".into());
        check(proto::Role::System, vec![text("a"), text("b")], Message::System("a\nb".into()));
        let parts = vec![text("c"), image("https://x.example/1", 2)];
        let low = Image { source: url(), detail: Some(ImageDetail::Low) };
        check(
            proto::Role::User,
            parts,
            Message::User(vec![Part::Text("c".into()), Part::Image(low)]),
        );
        let block = proto::ReasoningBlock { text: Some("hm".into()), seal: None };
        let secret = proto::ReasoningBlock { text: None, seal: Some(seal().to_wire()) };
        let call = proto::ToolCall {
            id: "1".into(),
            name: "f".into(),
            arguments: "{}".into(),
            seal: Some(seal().to_wire()),
        };
        let parts = vec![
            Content::Reasoning(block),
            Content::Reasoning(secret),
            text("d"),
            Content::ToolCall(call),
        ];
        let wanted = Message::Assistant {
            reasoning: vec![
                Reasoning { text: Some("hm".into()), seal: None },
                Reasoning { text: None, seal: Some(seal()) },
            ],
            text: Some("d".into()),
            tool_calls: vec![ToolCall {
                id: "1".into(),
                name: "f".into(),
                arguments: "{}".into(),
                seal: Some(seal()),
            }],
        };
        check(proto::Role::Assistant, parts, wanted);
        let result =
            proto::ToolResult { tool_call_id: "1".into(), text: "42".into(), ..Default::default() };
        let parts = vec![Content::ToolResult(result.clone())];
        check(proto::Role::Tool, parts, Message::tool_result("1", "42"));
        let picture = proto::Part { content: Some(image("https://x.example/1", 0)) };
        let result = proto::ToolResult { parts: vec![picture], failed: true, ..result };
        let wanted = Message::ToolResult {
            tool_call_id: "1".into(),
            parts: vec![Part::Text("42".into()), Part::Image(Image::new(url()))],
            failed: true,
        };
        check(proto::Role::Tool, vec![Content::ToolResult(result)], wanted);
    }

    #[test]
    fn what_has_no_place_is_named() {
        let check = |role: proto::Role, content: Content, wanted: &str| {
            let mut found = Vec::new();
            message(0, wire(role, vec![content]), &mut found);
            let fields: Vec<_> = found.into_iter().map(|it| it.field).collect();
            assert_eq!(fields, [wanted]);
        };
        let block = |text: Option<&str>, seal: Option<&str>| {
            let (text, seal) = (text.map(Into::into), seal.map(Into::into));
            Content::Reasoning(proto::ReasoningBlock { text, seal })
        };
        check(proto::Role::User, block(Some("hm"), None), "messages[0].parts[0]");
        let assistant = proto::Role::Assistant;
        check(assistant, block(Some(""), None), "messages[0].parts[0].reasoning");
        check(assistant, block(None, Some("sk")), "messages[0].parts[0].reasoning.seal");
        let call = proto::ToolCall { seal: Some("x".into()), ..Default::default() };
        let field = "messages[0].parts[0].tool_call.seal";
        check(assistant, Content::ToolCall(call), field);
        check(proto::Role::User, image("u", 9), "messages[0].parts[0].image.detail");
        let stray = proto::Part { content: Some(block(Some("hm"), None)) };
        let result = proto::ToolResult { parts: vec![stray], ..Default::default() };
        let field = "messages[0].parts[0].tool_result.parts[0]";
        check(proto::Role::Tool, Content::ToolResult(result), field);
    }
}
