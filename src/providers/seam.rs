//! Going on with an answer that was begun: how it is asked for, and what of it is new.
//!
//! In: a request with the text so far; what a provider says then. Out: the request as it is sent, and
//! the text that follows the text so far, nothing twice and nothing lost. Invariant: pure. Not here:
//! which provider can (see [`super::protocol`]), and when it is asked (see [`crate::dispatch`]).

use super::call::Begun;
use crate::domain::{ChatRequest, Message, ResponseFormat, Sampling, Text};

/// The request as it is sent.
///
/// The text so far is the last message, joined to one that the caller had begun. Its trailing white
/// space is left out: Anthropic refuses it (a 400), and tokens begin with their space, so that other
/// models stumble over it too. A shape is not asked for again: what holds a model to it (a grammar, a
/// forced tool) would begin a new document. The model goes on with what it sees, and the whole is
/// checked.
pub(super) fn request(of: &ChatRequest, begun: Begun<'_>) -> ChatRequest {
    let sampling = Sampling {
        max_output_tokens: begun.max_output_tokens,
        logprobs: None,
        ..of.sampling.clone()
    };
    let mut request = ChatRequest { sampling, response_format: ResponseFormat::Text, ..of.clone() };
    let text = begun.text.trim_end();
    match request.messages.last_mut() {
        Some(Message::Assistant { text: own, tool_calls, .. }) if tool_calls.is_empty() => {
            let own = own.get_or_insert_default();
            *own = Text::from(format!("{}{text}", own.as_str()));
        }
        // White space alone is no beginning.
        Some(_) | None if text.is_empty() => {}
        Some(_) | None => {
            let text = Some(Text::from(text));
            let (reasoning, tool_calls) = (vec![], vec![]);
            request.messages.push(Message::Assistant { reasoning, text, tool_calls });
        }
    }
    request
}

/// Lets through what is new.
pub(super) struct Seam {
    /// What the provider may say once more, empty when it said it or will not.
    echo: String,
    /// How many bytes of it came.
    echoed: usize,
    /// White space that a reader has and the provider was not sent.
    blank: String,
}

impl Seam {
    /// For what follows `begun`, of a provider that repeats this first.
    pub(super) fn new(begun: &str, repeated: Option<String>) -> Self {
        let blank = begun[begun.trim_end().len()..].to_owned();
        Self { echo: repeated.unwrap_or_default(), echoed: 0, blank }
    }

    /// What of this piece is new.
    pub(super) fn pass(&mut self, piece: &str) -> String {
        let text = self.past_echo(piece);
        let again = common(&self.blank, &text);
        if text.len() > again {
            // The first letter that is no repetition ends them.
            self.blank.clear();
        } else {
            self.blank.drain(..again);
        }
        text[again..].to_owned()
    }

    /// What was held back as the beginning of a repetition, which it was not.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.echo);
        held[..std::mem::take(&mut self.echoed)].to_owned()
    }

    fn past_echo(&mut self, piece: &str) -> String {
        let due = &self.echo[self.echoed..];
        let again = common(due, piece);
        self.echoed += again;
        let rest = &piece[again..];
        if self.echoed == self.echo.len() {
            (self.echo, self.echoed) = (String::new(), 0);
            return rest.to_owned();
        }
        if rest.is_empty() {
            return String::new();
        }
        self.finish() + rest
    }
}

/// Bytes that both begin with.
fn common(one: &str, other: &str) -> usize {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    same.map(|(it, _)| it.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes through when the provider says `said` in pieces of so many letters.
    fn through(begun: &str, repeats: bool, said: &str, size: usize) -> String {
        let mut seam = Seam::new(begun, repeats.then(|| begun.trim_end().to_owned()));
        let letters: Vec<char> = said.chars().collect();
        let pieces = letters.chunks(size).map(|it| it.iter().collect::<String>());
        let mut out: String = pieces.map(|it| seam.pass(&it)).collect();
        out.push_str(&seam.finish());
        out
    }

    #[test]
    fn nothing_is_said_twice_and_nothing_is_lost() {
        let check = |begun: &str, repeats, said: &str, wanted: &str| {
            for size in 1..=said.chars().count().max(1) {
                assert_eq!(
                    through(begun, repeats, said, size),
                    wanted,
                    "{begun:?} {said:?} {size}"
                );
            }
        };
        check("one two", false, " three", " three");
        check("one two ", false, " three", "three");
        check("one two ", false, "three", "three");
        check("one\n\n  ", false, "\n\n  two", "two");
        // Only what is the same is dropped.
        check("one\n", false, "\n\ntwo", "\ntwo");
        check("one ", false, "\ntwo", "\ntwo");
        check(" \n", false, " \none", "one");
        check("ha", false, "haha", "haha");
        check("größe ", true, "größe zählt", "zählt");
        check("one two", true, "one two three", " three");
        // No repetition after all.
        check("one two", true, "one three", "one three");
        check("one two", true, "one", "one");
        check("one two", true, " three", " three");
        check("one two", true, "one two", "");
    }

    #[test]
    fn the_text_so_far_is_the_last_message() {
        let mut plain = ChatRequest::from_prompt("hello");
        plain.response_format = ResponseFormat::JsonObject;
        plain.sampling.logprobs = Some(2);
        let begun = Begun { text: "one two \n", max_output_tokens: Some(7) };
        let sent = request(&plain, begun);
        let last = |of: &ChatRequest| match of.messages.last() {
            Some(Message::Assistant { text: Some(text), .. }) => text.as_str().to_owned(),
            _ => panic!("no begun answer"),
        };
        assert_eq!((sent.messages.len(), last(&sent).as_str()), (2, "one two"));
        assert_eq!((sent.sampling.max_output_tokens, sent.sampling.logprobs), (Some(7), None));
        assert_eq!(sent.response_format, ResponseFormat::Text);
        // One that the caller had begun is gone on with.
        let again = request(&sent, Begun { text: " three ", max_output_tokens: None });
        assert_eq!((again.messages.len(), last(&again).as_str()), (2, "one two three"));
    }
}
