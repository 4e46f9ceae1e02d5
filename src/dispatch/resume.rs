//! What follows when an answer breaks off after its first content: the rules, pure.
//!
//! In: what the caller wishes, how it broke off, what was passed on. Out: whether and how another
//! deployment takes over, and within which limit. Invariant: tool calls are never spliced. Not here:
//! who is next (see [`super::next`]), and who can go on (see [`crate::providers::Caller`]).

use crate::domain::{Assembly, ChatRequest, Delta, FailureClass, ResponseFormat};
use crate::ranking::OnStreamFailure;

/// Bytes of a token, the usual estimate for English.
const TOKEN_BYTES: u64 = 4;
/// What texts end with: sentences, quotations, brackets, code, lists of things in Markdown.
const ENDS: &str = ".!?\u{2026}:;\"'\u{201d}\u{2019}\u{bb})]}>`*_|\u{3002}\u{ff01}\u{ff1f}";

/// How another deployment takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It goes on from what was passed on.
    Continue,
    /// It begins anew.
    Restart,
}

/// How another deployment takes over, if it does.
///
/// - Once a tool call has begun, nobody goes on, not even behind a whole one: only its own model
///   knows whether more calls were to come, and a call half told cannot be joined.
/// - Nobody mends JSON that was found wrong: text that follows does not make it right.
/// - Where the time of the whole request is gone, nobody else has any.
pub(super) fn way_on(
    wish: OnStreamFailure,
    class: FailureClass,
    request: &ChatRequest,
    passed_on: &Assembly,
) -> Option<Way> {
    let is_wrong =
        class == FailureClass::Malformed && request.response_format != ResponseFormat::Text;
    match wish {
        _ if class == FailureClass::Deadline => None,
        OnStreamFailure::Error => None,
        OnStreamFailure::Restart => Some(Way::Restart),
        OnStreamFailure::Continue if passed_on.calls_tools() || is_wrong => None,
        OnStreamFailure::Continue => Some(Way::Continue),
    }
}

/// What a part of an answer counts against the limit on output tokens: as many as its provider told,
/// which most do only at the end, or as many as its text must have had.
pub(super) fn tokens(told: u64, text_bytes: usize) -> u64 {
    told.max(text_bytes as u64 / TOKEN_BYTES)
}

/// What is left of the limit; never nothing, since providers refuse that.
pub(super) fn left(limit: Option<u64>, used: u64) -> Option<u64> {
    limit.map(|it| it.saturating_sub(used).max(1))
}

/// Whether a deployment that has nothing to add can be believed: the text ends as texts do. A
/// provider that does not really go on may give back nothing too, and then a part would pass for the
/// whole.
pub(super) fn looks_whole(text: &str) -> bool {
    text.trim_end().ends_with(|it| ENDS.contains(it))
}

/// Whether a piece has its place behind a seam. Thinking had it before the text, and log-probabilities
/// would leave out what the deployment before said.
pub(super) fn fits_behind_seam(delta: &Delta) -> bool {
    match delta {
        Delta::Text(_) | Delta::ToolCall { .. } | Delta::Arguments { .. } => true,
        Delta::Reasoning(_) | Delta::ReasoningEnd(_) | Delta::Logprobs(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_on_follows_wish_class_and_tool_calls() {
        use OnStreamFailure::{Continue, Error, Restart};
        let text = ChatRequest::from_prompt("hello");
        let json = ChatRequest { response_format: ResponseFormat::JsonObject, ..text.clone() };
        let mut said = Assembly::default();
        said.push(&Delta::Text("a".into()));
        let mut called = said.clone();
        called.push(&Delta::ToolCall { index: 0, id: "1".into(), name: "f".into(), seal: None });
        for class in FailureClass::ALL {
            let late = class == FailureClass::Deadline;
            let check = |wish, request, passed_on, wanted: Option<Way>| {
                let found = way_on(wish, class, request, passed_on);
                assert_eq!(found, wanted.filter(|_| !late), "{wish:?} {class:?}");
            };
            check(Error, &text, &said, None);
            check(Restart, &text, &said, Some(Way::Restart));
            check(Restart, &json, &called, Some(Way::Restart));
            check(Continue, &text, &said, Some(Way::Continue));
            check(Continue, &text, &called, None);
            let wrong = class == FailureClass::Malformed;
            check(Continue, &json, &said, (!wrong).then_some(Way::Continue));
        }
    }

    #[test]
    fn limits_shrink_by_what_was_said() {
        assert_eq!((tokens(0, 41), tokens(1, 41), tokens(30, 41)), (10, 10, 30));
        assert_eq!((left(None, 5), left(Some(9), 5), left(Some(5), 9)), (None, Some(4), Some(1)));
    }

    #[test]
    fn only_texts_that_end_are_whole() {
        for whole in ["Yes.", "{\"a\": 1}\n", "```\ncode\n```", "so he said \u{201c}no\u{201d}"] {
            assert!(looks_whole(whole), "{whole}");
        }
        for part in ["", "  ", "Yes, and", "1, 2,", "a ("] {
            assert!(!looks_whole(part), "{part}");
        }
    }
}
