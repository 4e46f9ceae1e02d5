//! Anthropic's Messages, as a caller writes and reads them.

use serde_json::{Value, json};

use super::dialects::{
    BASE64, Call, Heard, MEDIA_TYPE, Picture, Talk, Turn, URL, parameters, schema, text_of,
};

pub(crate) fn body(talk: &Talk) -> Value {
    let mut said = Vec::new();
    for turn in &talk.turns {
        match turn {
            Turn::User(text) => said.push(json!({ "role": "user", "content": text })),
            Turn::Assistant(text) => said.push(json!({ "role": "assistant", "content": text })),
            Turn::Look(text, picture) => {
                let source = match picture {
                    Picture::Url => json!({ "type": "url", "url": URL }),
                    Picture::Base64 => {
                        json!({ "type": "base64", "media_type": MEDIA_TYPE, "data": BASE64 })
                    }
                };
                let image = json!({ "type": "image", "source": source });
                let text = json!({ "type": "text", "text": text });
                said.push(json!({ "role": "user", "content": [image, text] }));
            }
            Turn::Calls(calls) => {
                let blocks = calls.iter().map(|it| {
                    json!({ "type": "tool_use", "id": it.id, "name": it.name, "input": it.arguments })
                });
                let blocks: Value = blocks.collect();
                said.push(json!({ "role": "assistant", "content": blocks }));
            }
            Turn::Results(results) => {
                let blocks = results.iter().map(|(id, text)| {
                    json!({ "type": "tool_result", "tool_use_id": id, "content": text })
                });
                let blocks: Value = blocks.collect();
                said.push(json!({ "role": "user", "content": blocks }));
            }
        }
    }
    let mut body = json!({ "messages": said, "max_tokens": 2_000 });
    if let Some(system) = talk.system {
        body["system"] = system.into();
    }
    if !talk.tools.is_empty() {
        let tool = |name: &&str| json!({ "name": name, "input_schema": parameters() });
        body["tools"] = talk.tools.iter().map(tool).collect();
    }
    if talk.schema {
        body["output_config"] = json!({ "format": { "type": "json_schema", "schema": schema() } });
    }
    body
}

pub(crate) fn heard(body: &Value) -> Heard {
    let mut heard = Heard { finish: text_of(&body["stop_reason"]), ..Heard::default() };
    for block in body["content"].as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => heard.text.push_str(block["text"].as_str().unwrap()),
            Some("tool_use") => heard.calls.push(Call {
                id: text_of(&block["id"]),
                name: text_of(&block["name"]),
                arguments: block["input"].clone(),
            }),
            other => panic!("an unexpected block: {other:?}"),
        }
    }
    heard
}

pub(crate) fn streamed(events: &[(String, String)]) -> Heard {
    let (mut blocks, mut inputs) = (Vec::<Value>::new(), Vec::<String>::new());
    let mut finish = Value::Null;
    assert_eq!(events.last().map(|it| it.0.as_str()), Some("message_stop"));
    for (name, data) in events {
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"].as_str(), Some(name.as_str()));
        match name.as_str() {
            "content_block_start" => {
                assert_eq!(data["index"], blocks.len());
                blocks.push(data["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let at = data["index"].as_u64().unwrap() as usize;
                let delta = &data["delta"];
                if let Some(more) = delta["text"].as_str() {
                    blocks[at]["text"] = (text_of(&blocks[at]["text"]) + more).into();
                }
                inputs[at].push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            "message_delta" => finish = data["delta"]["stop_reason"].clone(),
            _ => {}
        }
    }
    for (block, input) in blocks.iter_mut().zip(inputs) {
        if block["type"] == "tool_use" {
            block["input"] = serde_json::from_str(&input).unwrap();
        }
    }
    heard(&json!({ "content": blocks, "stop_reason": finish }))
}
