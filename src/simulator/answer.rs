//! Good answers: made-up prose, JSON and tool calls in OpenAI's shape.
//!
//! In: what is asked, what the call drew. Out: the body of a `chat.completion`. Invariant: a token
//! is four bytes, rounded up; no answer exceeds the request's limit, and one that was cut says so
//! by `finish_reason: length`. Same call, same bytes: even `created` counts calls, not seconds.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{
    model::Draw,
    request::{ChatAsk, Wanted},
    schema,
};

/// Bytes of a token, the usual estimate for English.
const TOKEN_BYTES: usize = 4;
/// `created` of call 0, in Unix seconds; an arbitrary past time.
const CREATED_S: u64 = 1_735_689_600;
/// What the prose is made of.
const WORDS: [&str; 16] = [
    "the", "signal", "clears", "and", "a", "train", "takes", "its", "track", "over", "points",
    "towards", "station", "while", "another", "waits",
];

/// What an answer says, before it is wrapped.
pub(super) struct Content {
    message: Value,
    finish_reason: &'static str,
    pub(super) tokens: usize,
}

/// Makes the answer of one call.
pub(super) fn content(ask: &ChatAsk, drawn: Draw, number: u64, rng: &mut ChaCha8Rng) -> Content {
    let limit = ask.limit.unwrap_or(usize::MAX);
    match &ask.wanted {
        Wanted::Text => {
            let cut = cut(prose(drawn, limit, rng), limit);
            let message = json!({"role": "assistant", "content": cut.text, "refusal": null});
            Content { message, finish_reason: cut.reason("stop"), tokens: cut.tokens }
        }
        Wanted::Json(schema) => {
            let cut = cut(schema::example(schema, rng).to_string(), limit);
            let message = json!({"role": "assistant", "content": cut.text, "refusal": null});
            Content { message, finish_reason: cut.reason("stop"), tokens: cut.tokens }
        }
        Wanted::ToolCall(name, parameters) => {
            let arguments = match schema::example(parameters, rng) {
                object @ Value::Object(_) => object,
                // Arguments are an object, whatever the schema forgot to say.
                _ => json!({}),
            };
            let cut = cut(arguments.to_string(), limit);
            let call = json!({
                "id": format!("call_sim{number}"),
                "type": "function",
                "function": {"name": name, "arguments": cut.text},
            });
            let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            Content { message, finish_reason: cut.reason("tool_calls"), tokens: cut.tokens }
        }
    }
}

/// An answer that says nothing at all.
pub(super) fn nothing() -> Content {
    let message = json!({"role": "assistant", "content": "", "refusal": null});
    Content { message, finish_reason: "stop", tokens: 0 }
}

/// The body around an answer.
pub(super) fn completion(ask: &ChatAsk, content: &Content, number: u64) -> Value {
    let completion_tokens = content.tokens as u64;
    json!({
        "id": format!("chatcmpl-sim{number}"),
        "object": "chat.completion",
        "created": CREATED_S + number,
        "model": ask.model_id,
        "choices": [{
            "index": 0,
            "message": content.message,
            "logprobs": null,
            "finish_reason": content.finish_reason,
        }],
        "usage": {
            "prompt_tokens": ask.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": ask.prompt_tokens + completion_tokens,
        },
        "system_fingerprint": "fp_simulated",
    })
}

struct Cut {
    text: String,
    tokens: usize,
    short: bool,
}

impl Cut {
    fn reason(&self, whole: &'static str) -> &'static str {
        if self.short { "length" } else { whole }
    }
}

fn cut(mut text: String, limit: usize) -> Cut {
    let most = limit.saturating_mul(TOKEN_BYTES);
    let short = text.len() > most;
    text.truncate(text.floor_char_boundary(most));
    Cut { tokens: text.len().div_ceil(TOKEN_BYTES), text, short }
}

/// Prose of about the drawn length, its first word the verdict; made no further than the limit.
fn prose(drawn: Draw, limit: usize, rng: &mut ChaCha8Rng) -> String {
    let wanted = drawn.tokens.min(limit.saturating_add(1)) * TOKEN_BYTES;
    let mut text = if drawn.right { "Right".to_owned() } else { "Wrong".to_owned() };
    if drawn.tokens * TOKEN_BYTES >= 24 {
        text.push_str(" (simulated):");
    }
    loop {
        let word = WORDS[rng.random_range(0..WORDS.len())];
        // One byte each for the space and the full stop.
        if text.len() + word.len() + 2 > wanted {
            break;
        }
        text.push(' ');
        text.push_str(word);
    }
    text.push('.');
    // What the limit cuts off was cut off inside the sentence.
    while drawn.tokens > limit && text.len() <= limit.saturating_mul(TOKEN_BYTES) {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn draw(tokens: usize) -> Draw {
        Draw { first_token: std::time::Duration::ZERO, token_s: 0.0, tokens, right: true }
    }

    #[test]
    fn limits_are_met_and_named() {
        let check = |tokens: usize,
                     limit: Option<usize>,
                     wanted: std::ops::RangeInclusive<usize>,
                     reason: &str| {
            let (model_id, wanted_kind) = ("m".to_owned(), Wanted::Text);
            let ask = ChatAsk { model_id, prompt_tokens: 1, limit, wanted: wanted_kind };
            let made = content(&ask, draw(tokens), 1, &mut ChaCha8Rng::seed_from_u64(5));
            assert!(wanted.contains(&made.tokens), "{tokens} {limit:?}: {}", made.tokens);
            assert_eq!(made.finish_reason, reason, "{tokens} {limit:?}");
            let text = made.message["content"].as_str().unwrap();
            assert_eq!(text.len().div_ceil(4), made.tokens);
            assert!(text.starts_with(if limit == Some(1) { "Righ" } else { "Right" }));
        };
        check(100, None, 97..=100, "stop");
        check(1, None, 2..=2, "stop");
        check(100, Some(100), 97..=100, "stop");
        check(100, Some(20), 20..=20, "length");
        check(100, Some(99), 99..=99, "length");
        check(100, Some(1), 1..=1, "length");
        check(100, Some(usize::MAX), 97..=100, "stop");
    }
}
