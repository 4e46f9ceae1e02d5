//! OpenAI's chat completions, as a caller writes and reads them.

use serde_json::{Value, json};

use super::dialects::{
    Call, Heard, Picture, Talk, Turn, URL, data_url, parameters, parsed, schema, text_of,
};

pub(crate) fn body(talk: &Talk) -> Value {
    let mut said = Vec::new();
    said.extend(talk.system.map(|it| json!({ "role": "system", "content": it })));
    for turn in &talk.turns {
        match turn {
            Turn::User(text) => said.push(json!({ "role": "user", "content": text })),
            Turn::Assistant(text) => said.push(json!({ "role": "assistant", "content": text })),
            Turn::Look(text, picture) => {
                let url = match picture {
                    Picture::Url => URL.to_owned(),
                    Picture::Base64 => data_url(),
                };
                let image = json!({ "type": "image_url", "image_url": { "url": url } });
                let text = json!({ "type": "text", "text": text });
                said.push(json!({ "role": "user", "content": [text, image] }));
            }
            Turn::Calls(calls) => {
                let calls = calls.iter().map(|it| {
                    let arguments = it.arguments.to_string();
                    json!({ "id": it.id, "type": "function", "function": { "name": it.name, "arguments": arguments } })
                });
                let calls: Value = calls.collect();
                said.push(json!({ "role": "assistant", "content": null, "tool_calls": calls }));
            }
            Turn::Results(results) => {
                said.extend(results.iter().map(
                    |(id, text)| json!({ "role": "tool", "tool_call_id": id, "content": text }),
                ))
            }
        }
    }
    let mut body = json!({ "messages": said });
    if !talk.tools.is_empty() {
        let tool = |name: &&str| json!({ "type": "function", "function": { "name": name, "parameters": parameters() } });
        body["tools"] = talk.tools.iter().map(tool).collect();
    }
    if talk.schema {
        let format = json!({ "name": "place", "schema": schema(), "strict": true });
        body["response_format"] = json!({ "type": "json_schema", "json_schema": format });
    }
    body
}

pub(crate) fn heard(message: &Value, choice: &Value) -> Heard {
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|it| Call {
        id: text_of(&it["id"]),
        name: text_of(&it["function"]["name"]),
        arguments: parsed(&it["function"]["arguments"]),
    });
    Heard {
        text: text_of(&message["content"]),
        calls: calls.collect(),
        finish: text_of(&choice["finish_reason"]),
    }
}

pub(crate) fn streamed(events: &[(String, String)]) -> Heard {
    let (mut text, mut finish, mut calls) = (String::new(), String::new(), Vec::<Value>::new());
    assert_eq!(events.last().map(|it| it.1.as_str()), Some("[DONE]"));
    for (_, data) in &events[..events.len() - 1] {
        let chunk: Value = serde_json::from_str(data).unwrap();
        let choice = &chunk["choices"][0];
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        if let Some(reason) = choice["finish_reason"].as_str() {
            finish = reason.to_owned();
        }
        for piece in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let at = piece["index"].as_u64().unwrap() as usize;
            if at == calls.len() {
                calls.push(json!({ "id": piece["id"], "function": { "name": piece["function"]["name"], "arguments": "" } }));
            }
            let whole = text_of(&calls[at]["function"]["arguments"]);
            let more = piece["function"]["arguments"].as_str().unwrap_or_default();
            calls[at]["function"]["arguments"] = (whole + more).into();
        }
    }
    let message = json!({ "content": text, "tool_calls": calls });
    heard(&message, &json!({ "finish_reason": finish }))
}
