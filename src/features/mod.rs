//! What can be counted about a request without reading it: length, structure, tools, turns.
//!
//! In: a [`ChatRequest`]. Out: [`Features`], a fixed vector of floats. Invariant: the same request
//! gives the same numbers, in the same order, in training and in serving; any change of order,
//! meaning or number of features raises [`FEATURE_SCHEMA`], and an artifact of another schema is
//! refused. Not here: the meaning of the words (see [`crate::encoder`]).

mod text;
mod tools;

use crate::domain::{ChatRequest, Message, ResponseFormat, Text, ToolChoice};
use text::TextCounts;
use tools::ToolCounts;

/// Version of the list below.
pub const FEATURE_SCHEMA: u32 = 1;

/// The features' names, in their order.
pub const NAMES: [&str; COUNT] = [
    "log_bytes",
    "log_words",
    "mean_word_bytes",
    "digit_share",
    "upper_share",
    "punctuation_share",
    "non_ascii_share",
    "wide_script_share",
    "log_lines",
    "log_numbers",
    "maths_share",
    "latex_marks",
    "code_marks",
    "log_brackets",
    "option_lines",
    "log_questions",
    "ends_open",
    "log_quotes",
    "log_commas",
    "log_ands",
    "blank_marks",
    "repeated_words",
    "answer_marks",
    "log_longest_number",
    "log_tools",
    "log_parameters",
    "log_required",
    "log_tool_bytes",
    "nested_parameters",
    "enum_parameters",
    "tool_overlap_max",
    "tool_overlap_mean",
    "calls_asked",
    "tool_must",
    "log_system_bytes",
    "log_turns",
    "images",
    "wants_json",
];

/// How many features there are.
pub const COUNT: usize = 38;

/// The features of one request, in the order of [`NAMES`]; not standardised.
#[derive(Debug, Clone, PartialEq)]
pub struct Features([f32; COUNT]);

impl Features {
    /// The numbers, in the order of [`NAMES`].
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

/// Counts what there is to count. Long texts are read at both ends only (see `text`), so the
/// time is bounded whatever the request's size.
pub fn extract(request: &ChatRequest) -> Features {
    let user = TextCounts::of(request.last_user_texts().map(Text::as_str));
    let tools = ToolCounts::of(request);
    let system: usize = request.system_texts().map(Text::len).sum();
    let images = request.messages.iter().filter(|it| it.has_image()).count();
    let must = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_));
    let turns = request.messages.iter().filter(|it| !matches!(it, Message::System(_))).count();
    let mut values = [0.0; COUNT];
    let parts = [
        &user.values()[..],
        &tools.values()[..],
        &[
            flag(must),
            log(system),
            log(turns),
            images as f32,
            flag(request.response_format != ResponseFormat::Text),
        ],
    ];
    for (slot, value) in values.iter_mut().zip(parts.into_iter().flatten()) {
        *slot = *value;
    }
    Features(values)
}

/// `ln(1 + count)`: counts differ by factors, not by differences.
fn log(count: usize) -> f32 {
    (count as f32).ln_1p()
}

fn flag(holds: bool) -> f32 {
    f32::from(u8::from(holds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Json, Part, Tool};

    fn named(features: &Features, name: &str) -> f32 {
        let at = NAMES.iter().position(|it| *it == name);
        features.as_slice()[at.expect("a feature of this name")]
    }

    #[test]
    fn structure_is_seen() {
        let check = |prompt: &str, name: &str, wanted: f32| {
            let found = named(&extract(&ChatRequest::from_prompt(prompt)), name);
            assert!((found - wanted).abs() < 1e-5, "{name} of {prompt:?}: {found}, not {wanted}");
        };
        check("Which?\nA. this\nB. that\nC) other", "option_lines", 3.0);
        check("What is 12 + 3456?", "log_numbers", 2_f32.ln_1p());
        check("What is 12 + 3456?", "log_longest_number", 4_f32.ln_1p());
        check("What is it?", "log_questions", 1_f32.ln_1p());
        check("one two one two", "repeated_words", 0.5);
        check("Где находится библиотека", "wide_script_share", 0.0);
        check("图书馆在哪里", "wide_script_share", 1.0);
        check("hello", "log_tools", 0.0);
    }

    #[test]
    fn tools_and_turns_are_seen() {
        let parameters = serde_json::json!({
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
            "required": ["city"],
        });
        let weather = Tool {
            name: "get_weather".into(),
            description: "Tells the weather of a city".into(),
            parameters: Json::from(parameters),
            strict: None,
        };
        let mut request = ChatRequest::from_prompt("What is the weather in Oslo and in Bergen?");
        request.tools = vec![weather];
        request.tool_choice = ToolChoice::Required;
        request.messages.insert(0, Message::System("Be brief.".into()));
        let features = extract(&request);
        let check = |name: &str, wanted: f32| {
            assert!((named(&features, name) - wanted).abs() < 1e-5, "{name}");
        };
        check("log_tools", 1_f32.ln_1p());
        check("log_parameters", 2_f32.ln_1p());
        check("log_required", 1_f32.ln_1p());
        check("enum_parameters", 1.0);
        check("tool_must", 1.0);
        check("log_system_bytes", 9_f32.ln_1p());
        assert!(named(&features, "tool_overlap_max") > 0.2);
    }

    #[test]
    fn any_request_gives_finite_numbers() {
        let texts = ["", " ", "\u{0}\u{ffff}", "1e999", &"9".repeat(200_000), &"é".repeat(100_000)];
        for text in texts {
            let mut request = ChatRequest::from_prompt(text);
            request
                .messages
                .push(Message::User(vec![Part::Text("x".into()), Part::Text(text.into())]));
            assert!(extract(&request).as_slice().iter().all(|it| it.is_finite()), "{}", text.len());
        }
        assert!(extract(&ChatRequest::default()).as_slice().iter().all(|it| it.is_finite()));
    }
}
