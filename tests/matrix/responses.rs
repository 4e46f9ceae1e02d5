//! OpenAI's Responses, as a caller writes and reads them.

use serde_json::{Map, Value, json};

use super::dialects::{
    Call, Heard, Picture, Talk, Turn, URL, data_url, parameters, parsed, schema, text_of,
};

pub(crate) fn body(talk: &Talk) -> Value {
    let mut items = Vec::new();
    let message = |role: &str, content: Value| json!({ "role": role, "content": content });
    for turn in &talk.turns {
        match turn {
            Turn::User(text) => items.push(message("user", (*text).into())),
            Turn::Assistant(text) => items.push(message("assistant", (*text).into())),
            Turn::Look(text, picture) => {
                let url = match picture {
                    Picture::Url => URL.to_owned(),
                    Picture::Base64 => data_url(),
                };
                let image = json!({ "type": "input_image", "image_url": url, "detail": "auto" });
                let text = json!({ "type": "input_text", "text": text });
                items.push(message("user", json!([text, image])));
            }
            Turn::Calls(calls) => items.extend(calls.iter().map(|it| {
                let arguments = it.arguments.to_string();
                json!({ "type": "function_call", "call_id": it.id, "name": it.name, "arguments": arguments })
            })),
            Turn::Results(results) => items.extend(results.iter().map(|(id, text)| {
                json!({ "type": "function_call_output", "call_id": id, "output": text })
            })),
        }
    }
    let mut body = json!({ "input": items });
    if let Some(system) = talk.system {
        body["instructions"] = system.into();
    }
    if !talk.tools.is_empty() {
        let tool = |name: &&str| json!({ "type": "function", "name": name, "parameters": parameters(), "strict": true });
        body["tools"] = talk.tools.iter().map(tool).collect();
    }
    if talk.schema {
        let format =
            json!({ "type": "json_schema", "name": "place", "schema": schema(), "strict": true });
        body["text"] = json!({ "format": format });
    }
    body
}

pub(crate) fn heard(body: &Value) -> Heard {
    let mut heard = Heard { finish: text_of(&body["status"]), ..Heard::default() };
    for item in body["output"].as_array().into_iter().flatten() {
        match item["type"].as_str() {
            Some("message") => {
                for part in item["content"].as_array().into_iter().flatten() {
                    heard.text.push_str(part["text"].as_str().unwrap());
                }
            }
            Some("function_call") => heard.calls.push(Call {
                id: text_of(&item["call_id"]),
                name: text_of(&item["name"]),
                arguments: parsed(&item["arguments"]),
            }),
            other => panic!("an unexpected item: {other:?}"),
        }
    }
    heard
}

pub(crate) fn streamed(events: &[(String, String)]) -> Heard {
    let mut text = String::new();
    let mut pieces = Map::new();
    let mut last = Value::Null;
    for (at, (name, data)) in events.iter().enumerate() {
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"].as_str(), Some(name.as_str()));
        assert_eq!(data["sequence_number"], at);
        match name.as_str() {
            "response.output_text.delta" => text.push_str(data["delta"].as_str().unwrap()),
            "response.function_call_arguments.delta" => {
                let id = text_of(&data["item_id"]);
                let whole = pieces.get(&id).map(text_of).unwrap_or_default();
                pieces.insert(id, (whole + data["delta"].as_str().unwrap()).into());
            }
            "response.completed" => last = data["response"].clone(),
            _ => {}
        }
    }
    let heard = heard(&last);
    // The pieces and the whole at the end tell the same.
    assert_eq!(heard.text, text);
    let whole = last["output"].as_array().into_iter().flatten();
    for call in whole.filter(|it| it["type"] == "function_call") {
        assert_eq!(pieces.get(call["id"].as_str().unwrap()), Some(&call["arguments"]));
    }
    heard
}
