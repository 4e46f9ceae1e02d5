//! Good answers: made-up thoughts, prose, JSON and tool calls, before a protocol wraps them.
//!
//! In: what is asked, what the call drew. Out: a [`Content`]. Invariant: a token is four bytes,
//! rounded up for each block; no answer exceeds the request's limit, and one that was cut says so.
//! The full text does not depend on the limit, so that what a limit or a cut took away can be asked
//! for again, with the begun answer at the end of the request. Not here: any wire format.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{
    model::Draw,
    request::{ChatAsk, Wanted},
    schema,
};

/// Bytes of a token, the usual estimate for English.
pub(super) const TOKEN_BYTES: usize = 4;
/// What the prose is made of.
const WORDS: [&str; 16] = [
    "the", "signal", "clears", "and", "a", "train", "takes", "its", "track", "over", "points",
    "towards", "station", "while", "another", "waits",
];
/// What every thought says.
const THOUGHT: &str = "The question is whether the points are set. They are, so the train may go.";

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// It is said.
    Stop,
    /// The limit.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// The filter took it.
    Filtered,
}

/// One part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    Thinking(String),
    Text(String),
    Call { id: String, name: String, arguments: String },
}

impl Block {
    /// What of it is streamed in pieces.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Thinking(text) | Self::Text(text) => text,
            Self::Call { arguments, .. } => arguments,
        }
    }

    fn tokens(&self) -> usize {
        self.text().len().div_ceil(TOKEN_BYTES)
    }
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) blocks: Vec<Block>,
    pub(super) finish: Finish,
}

impl Content {
    /// An answer that says nothing at all.
    pub(super) fn nothing(finish: Finish) -> Self {
        Self { blocks: vec![], finish }
    }

    /// Of all blocks.
    pub(super) fn tokens(&self) -> u64 {
        self.blocks.iter().map(Block::tokens).sum::<usize>() as u64
    }

    pub(super) fn thinking_tokens(&self) -> u64 {
        let thoughts = self.blocks.iter().filter(|it| matches!(it, Block::Thinking(_)));
        thoughts.map(Block::tokens).sum::<usize>() as u64
    }

    /// What is said, all of it.
    pub(super) fn text(&self) -> String {
        let said = |it: &Block| match it {
            Block::Text(text) => Some(text.clone()),
            Block::Thinking(_) | Block::Call { .. } => None,
        };
        self.blocks.iter().filter_map(said).collect()
    }

    /// What is thought, if anything is.
    pub(super) fn thought(&self) -> Option<&str> {
        self.blocks.iter().find_map(|it| match it {
            Block::Thinking(text) => Some(text.as_str()),
            Block::Text(_) | Block::Call { .. } => None,
        })
    }

    /// The tool calls: id, name, arguments as JSON.
    pub(super) fn calls(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.blocks.iter().filter_map(|it| match it {
            Block::Call { id, name, arguments } => {
                Some((id.as_str(), name.as_str(), arguments.as_str()))
            }
            Block::Thinking(_) | Block::Text(_) => None,
        })
    }
}

/// The arguments as a value; those that a limit cut are lost.
pub(super) fn object(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| json!({}))
}

/// Makes the answer of one call; `number` keeps the ids of its tool calls apart.
pub(super) fn content(ask: &ChatAsk, drawn: Draw, number: u64, rng: &mut ChaCha8Rng) -> Content {
    let mut cutter = Cutter { left: ask.limit.unwrap_or(usize::MAX), short: false };
    let mut blocks = Vec::new();
    // Half of the limit is kept for what is said.
    if ask.thinks && cutter.left > 1 {
        let mut thought = Cutter { left: cutter.left / 2, short: false };
        blocks.push(Block::Thinking(thought.cut(THOUGHT.to_owned())));
        cutter.left -= blocks[0].tokens();
    }
    let whole = match &ask.wanted {
        Wanted::Text { seen } => {
            let text = rest(prose(drawn, seen.as_deref(), rng), ask.prefix.as_deref());
            blocks.push(Block::Text(cutter.cut(text)));
            Finish::Stop
        }
        Wanted::Json(schema) => {
            let text = schema::example(schema, rng).to_string();
            blocks.push(Block::Text(cutter.cut(rest(text, ask.prefix.as_deref()))));
            Finish::Stop
        }
        Wanted::ToolCalls(tools) => {
            let [a, b, c, ..] = ask.conversation;
            for (at, (name, parameters)) in tools.iter().enumerate() {
                let arguments = match schema::example(parameters, rng) {
                    object @ Value::Object(_) => object,
                    // Arguments are an object, whatever the schema forgot to say.
                    _ => json!({}),
                };
                // The first call is always made, however little of it is left.
                if at == 0 || cutter.left > 0 {
                    let id = format!("sim{a:02x}{b:02x}{c:02x}n{number}c{at}");
                    let arguments = cutter.cut(arguments.to_string());
                    blocks.push(Block::Call { id, name: name.clone(), arguments });
                }
            }
            Finish::ToolCalls
        }
    };
    blocks.retain(|it| !it.text().is_empty());
    Content { blocks, finish: if cutter.short { Finish::Length } else { whole } }
}

/// Gives out a limit, in tokens.
struct Cutter {
    left: usize,
    short: bool,
}

impl Cutter {
    fn cut(&mut self, mut text: String) -> String {
        let most = self.left.saturating_mul(TOKEN_BYTES);
        self.short |= text.len() > most;
        text.truncate(text.floor_char_boundary(most));
        self.left -= text.len().div_ceil(TOKEN_BYTES).min(self.left);
        text
    }
}

/// What follows the begun answer. One that is not how the text begins is another model's: then the
/// text goes on from the same length, and none is left after a longer one.
fn rest(text: String, begun: Option<&str>) -> String {
    let begun = begun.map_or(0, str::len).min(text.len());
    text[text.ceil_char_boundary(begun)..].to_owned()
}

/// Prose of the drawn length, its first word the verdict. What tools gave back comes on top.
fn prose(drawn: Draw, seen: Option<&str>, rng: &mut ChaCha8Rng) -> String {
    let mut text = if drawn.right { "Right".to_owned() } else { "Wrong".to_owned() };
    if drawn.tokens * TOKEN_BYTES >= 24 || seen.is_some() {
        text.push_str(" (simulated):");
    }
    if let Some(seen) = seen {
        text.push_str(" the tools gave back: ");
        text.push_str(seen);
    }
    let wanted = drawn.tokens * TOKEN_BYTES + seen.map_or(0, str::len);
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
    while text.len() < wanted {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::simulator::request::{Heard, Wanted};

    fn draw(tokens: usize) -> Draw {
        Draw { first_token: std::time::Duration::ZERO, token_s: 0.0, tokens, right: true }
    }

    fn ask(limit: Option<usize>) -> ChatAsk {
        ChatAsk {
            model_id: "m".to_owned(),
            prompt_tokens: 1,
            limit,
            wanted: Wanted::Text { seen: None },
            prefix: None,
            thinks: false,
            streamed: false,
            usage_in_stream: true,
            heard: Heard::default(),
            conversation: [0; 32],
        }
    }

    fn make(ask: &ChatAsk, tokens: usize) -> Content {
        content(ask, draw(tokens), 1, &mut ChaCha8Rng::seed_from_u64(5))
    }

    #[test]
    fn limits_are_met_and_named() {
        let check = |tokens: usize, limit: Option<usize>, wanted: u64, finish: Finish| {
            let made = make(&ask(limit), tokens);
            assert_eq!((made.tokens(), made.finish), (wanted, finish), "{tokens} {limit:?}");
            assert!(made.text().starts_with(if limit == Some(1) { "Righ" } else { "Right" }));
        };
        check(100, None, 100, Finish::Stop);
        check(1, None, 2, Finish::Stop);
        check(100, Some(100), 100, Finish::Stop);
        check(100, Some(20), 20, Finish::Length);
        check(100, Some(99), 99, Finish::Length);
        check(100, Some(1), 1, Finish::Length);
        check(100, Some(usize::MAX), 100, Finish::Stop);
    }

    #[test]
    fn a_begun_answer_is_gone_on_with() {
        let whole = make(&ask(None), 60).text();
        for at in [1, 7, 100, whole.len()] {
            let begun = ChatAsk { prefix: Some(whole[..at].to_owned()), ..ask(None) };
            assert_eq!(make(&begun, 60).text(), whole[at..]);
        }
        let foreign = ChatAsk { prefix: Some("x".repeat(1000)), ..ask(None) };
        assert_eq!(make(&foreign, 60), Content::nothing(Finish::Stop));
    }

    #[test]
    fn thoughts_and_results_have_their_place() {
        let wanted = Wanted::Text { seen: Some("12 degrees".to_owned()) };
        let made = make(&ChatAsk { thinks: true, wanted, ..ask(Some(60)) }, 50);
        assert_eq!(made.thought(), Some(THOUGHT));
        assert!(made.text().contains("12 degrees") && made.tokens() <= 60);
        let tight = make(&ChatAsk { thinks: true, ..ask(Some(6)) }, 50);
        assert_eq!((tight.thinking_tokens(), tight.tokens(), tight.finish), (3, 6, Finish::Length));
    }
}
