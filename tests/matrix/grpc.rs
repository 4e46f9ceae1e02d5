//! Our own gRPC, as a caller writes and reads it.

use pointsman::api::proto::{self, part::Content, route_event::Event};
use serde_json::Value;

use super::dialects::{
    BASE64, Call, Heard, MEDIA_TYPE, Picture, Talk, Turn, URL, parameters, schema,
};

/// The request that asks `model` to continue.
pub(crate) fn request(talk: &Talk, model: &str) -> proto::RouteRequest {
    let mut messages = Vec::new();
    let text = |it: &str| Content::Text(it.to_owned());
    messages.extend(talk.system.map(|it| message(proto::Role::System, vec![text(it)])));
    for turn in &talk.turns {
        match turn {
            Turn::User(it) => messages.push(message(proto::Role::User, vec![text(it)])),
            Turn::Assistant(it) => messages.push(message(proto::Role::Assistant, vec![text(it)])),
            Turn::Look(it, picture) => {
                messages.push(message(proto::Role::User, vec![text(it), image(*picture)]));
            }
            Turn::Calls(calls) => {
                let calls = calls.iter().map(|it| {
                    Content::ToolCall(proto::ToolCall {
                        id: it.id.clone(),
                        name: it.name.clone(),
                        arguments: it.arguments.to_string(),
                        ..Default::default()
                    })
                });
                messages.push(message(proto::Role::Assistant, calls.collect()));
            }
            Turn::Results(results) => messages.extend(results.iter().map(|(id, text)| {
                let (tool_call_id, text) = (id.clone(), (*text).to_owned());
                let result = proto::ToolResult { tool_call_id, text, ..Default::default() };
                message(proto::Role::Tool, vec![Content::ToolResult(result)])
            })),
        }
    }
    let tools = talk.tools.iter().map(|name| proto::Tool {
        name: (*name).to_owned(),
        parameters: parameters().to_string(),
        ..Default::default()
    });
    let response_format = talk.schema.then(|| proto::ResponseFormat {
        kind: proto::ResponseFormatKind::JsonSchema.into(),
        name: "place".to_owned(),
        schema: schema().to_string(),
        strict: Some(true),
    });
    let candidates = proto::Candidates { order: vec![model.to_owned()], ..Default::default() };
    proto::RouteRequest {
        messages,
        tools: tools.collect(),
        response_format,
        candidates: Some(candidates),
        ..Default::default()
    }
}

fn message(role: proto::Role, contents: Vec<Content>) -> proto::Message {
    let parts = contents.into_iter().map(|it| proto::Part { content: Some(it) }).collect();
    proto::Message { role: role.into(), parts }
}

fn image(picture: Picture) -> Content {
    let source = match picture {
        Picture::Url => proto::image::Source::Url(URL.to_owned()),
        Picture::Base64 => proto::image::Source::Inline(proto::InlineImage {
            media_type: MEDIA_TYPE.to_owned(),
            data: BASE64.to_owned(),
        }),
    };
    Content::Image(proto::Image { source: Some(source), ..Default::default() })
}

/// Reads an answer in one piece.
pub(crate) fn heard(answer: &proto::RouteResponse) -> Heard {
    let mut heard = Heard { finish: finish(answer), ..Heard::default() };
    for part in &answer.message.as_ref().unwrap().parts {
        match part.content.as_ref().unwrap() {
            Content::Text(text) => heard.text.push_str(text),
            Content::ToolCall(it) => heard.calls.push(Call {
                id: it.id.clone(),
                name: it.name.clone(),
                arguments: serde_json::from_str(&it.arguments).unwrap(),
            }),
            Content::Image(_) | Content::ToolResult(_) | Content::Reasoning(_) => {
                panic!("a stray part")
            }
        }
    }
    heard
}

/// Reads a stream's events.
pub(crate) fn streamed(events: &[proto::RouteEvent]) -> Heard {
    let mut heard = Heard::default();
    let mut arguments = Vec::<String>::new();
    assert!(matches!(events[0].event, Some(Event::Decided(_))));
    for event in events {
        match event.event.as_ref().unwrap() {
            Event::Delta(delta) => match delta.piece.as_ref().unwrap() {
                proto::delta::Piece::Text(text) => heard.text.push_str(text),
                proto::delta::Piece::ToolCallBegin(it) => {
                    assert_eq!(it.index as usize, arguments.len());
                    let (id, name) = (it.id.clone(), it.name.clone());
                    heard.calls.push(Call { id, name, arguments: Value::Null });
                    arguments.push(String::new());
                }
                proto::delta::Piece::ToolCallArguments(it) => {
                    arguments[it.index as usize].push_str(&it.fragment);
                }
                _ => {}
            },
            Event::Completed(it) => heard.finish = finish(it),
            _ => {}
        }
    }
    for (call, arguments) in heard.calls.iter_mut().zip(arguments) {
        call.arguments = serde_json::from_str(&arguments).unwrap();
    }
    heard
}

fn finish(answer: &proto::RouteResponse) -> String {
    answer.finish_reason().as_str_name().to_owned()
}
