//! A prompt of a table, as the request that it stands for.
//!
//! In: the text of the column `prompt`. Out: a [`ChatRequest`]. A text that ends with
//!
//! ```text
//! (blank line)
//! Available functions:
//! {"name": "...", "description": "...", "parameters": {...}}
//! {"name": ...}
//! ```
//!
//! is a user turn (what stands before) with those tools, one JSON object per line; `parameters.type`
//! may be `dict` for `object`, as BFCL writes it. Anything else is one user turn. Invariant: every
//! text gives a request; what does not parse wholly as tools stays text. Not here: earlier turns.

use pointsman::domain::{ChatRequest, Json, Text, Tool};
use serde::Deserialize;
use serde_json::Value;

/// What stands between the question and the tools.
const TOOLS_BEGIN: &str = "\n\nAvailable functions:\n";

#[derive(Deserialize)]
struct RawTool {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Value,
}

/// The request that a prompt of a table stands for.
pub fn request(prompt: &str) -> ChatRequest {
    match split_tools(prompt) {
        Some((question, tools)) => {
            ChatRequest { tools, ..ChatRequest::from_prompt(Text::from(question)) }
        }
        None => ChatRequest::from_prompt(Text::from(prompt)),
    }
}

/// What is asked, without the tools.
pub fn question(prompt: &str) -> &str {
    split_tools(prompt).map_or(prompt, |it| it.0)
}

fn split_tools(prompt: &str) -> Option<(&str, Vec<Tool>)> {
    let (question, lines) = prompt.rsplit_once(TOOLS_BEGIN)?;
    let lines = lines.lines().filter(|it| !it.trim().is_empty());
    let tools: Vec<Tool> = lines.map(tool).collect::<Option<_>>()?;
    if tools.is_empty() { None } else { Some((question, tools)) }
}

fn tool(line: &str) -> Option<Tool> {
    let raw: RawTool = serde_json::from_str(line).ok()?;
    let mut parameters = match raw.parameters {
        Value::Null => Value::Object(serde_json::Map::new()),
        given => given,
    };
    let kind = parameters.as_object_mut()?.get_mut("type");
    if let Some(kind) = kind.filter(|it| it.as_str() == Some("dict")) {
        *kind = Value::from("object");
    }
    let description = Text::from(raw.description);
    Some(Tool { name: raw.name, description, parameters: Json::from(parameters), strict: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prompt: &str, text: &str, tools: &[&str]) {
        let request = request(prompt);
        let texts: Vec<_> = request.last_user_texts().map(Text::as_str).collect();
        let names: Vec<_> = request.tools.iter().map(|it| it.name.as_str()).collect();
        assert_eq!((texts, names), (vec![text], tools.to_vec()), "{prompt}");
    }

    #[test]
    fn tools_stand_behind_the_question_or_it_is_all_text() {
        let clock = r#"{"name":"clock","description":"time","parameters":{"type":"dict"}}"#;
        let bare = r#"{"name":"bare"}"#;
        check("hello", "hello", &[]);
        check(&format!("now?{TOOLS_BEGIN}{clock}"), "now?", &["clock"]);
        check(&format!("now?{TOOLS_BEGIN}{clock}\n{bare}\n"), "now?", &["clock", "bare"]);
        let quoted = format!("a{TOOLS_BEGIN}b{TOOLS_BEGIN}{clock}");
        check(&quoted, &format!("a{TOOLS_BEGIN}b"), &["clock"]);
        for text in ["", "{}", "not json", r#"{"name":"x","parameters":[1]}"#] {
            let prompt = format!("now?{TOOLS_BEGIN}{text}");
            check(&prompt, &prompt, &[]);
        }
    }

    #[test]
    fn dict_becomes_object_and_the_request_is_valid() {
        let prompt = format!(
            "x{TOOLS_BEGIN}{}\n{}",
            r#"{"name":"a","parameters":{"type":"dict","properties":{"p":{"type":"dict"}}}}"#,
            r#"{"name":"b"}"#
        );
        let request = request(&prompt);
        assert_eq!(request.tools[0].parameters.value()["type"], "object");
        assert_eq!(request.validate(), Ok(()));
        assert_eq!(question(&prompt), "x");
    }
}
