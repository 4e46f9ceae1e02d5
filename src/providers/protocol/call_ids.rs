//! Ids of tool calls, for protocols whose answers do not always have them.
//!
//! In: a conversation, and what a provider calls a call. Out: an id that no other call of the
//! conversation has. Invariant: a provider's own id is never changed. Not here: the protocols.

use std::collections::BTreeMap;

use crate::domain::{ChatRequest, Message, ToolCall};

/// What stands before the number of an id that is made here.
const MADE_PREFIX: &str = "call_";

/// Gives ids to the calls of one answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallIds {
    last: usize,
}

impl CallIds {
    /// Begins behind the calls of the conversation so far: behind their count, and behind every
    /// number given before, since a caller may have left early turns out.
    pub(super) fn after(request: &ChatRequest) -> Self {
        let number = |it: &ToolCall| it.id.strip_prefix(MADE_PREFIX)?.parse().ok();
        let highest = calls(request).filter_map(number).max().unwrap_or(0);
        Self { last: calls(request).count().max(highest) }
    }

    /// The provider's own id, or a new one where it gave none.
    pub(super) fn name(&mut self, own: Option<String>) -> String {
        self.last = self.last.saturating_add(1);
        own.filter(|it| !it.is_empty()).unwrap_or_else(|| format!("{MADE_PREFIX}{}", self.last))
    }
}

/// The tool of each call so far, by the call's id: some protocols want it in the result. Built turn
/// by turn, so that an id that is used again means its latest call.
#[derive(Debug, Default)]
pub(super) struct CallNames<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> CallNames<'a> {
    /// Notes the calls of a turn.
    pub(super) fn note(&mut self, calls: &'a [ToolCall]) {
        self.0.extend(calls.iter().map(|it| (it.id.as_str(), it.name.as_str())));
    }

    /// The tool that the call with this id was of.
    pub(super) fn of(&self, id: &str) -> Option<&'a str> {
        self.0.get(id).copied()
    }
}

fn calls(request: &ChatRequest) -> impl Iterator<Item = &ToolCall> {
    request.messages.iter().flat_map(|it| match it {
        Message::Assistant { tool_calls, .. } => tool_calls.as_slice(),
        Message::System(_) | Message::User(_) | Message::ToolResult { .. } => &[],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_are_new_in_the_conversation() {
        let check = |before: &[&str], own: &[&str], wanted: &[&str]| {
            let call = |id: &&str| ToolCall {
                id: (*id).to_owned(),
                name: "clock".into(),
                arguments: "{}".into(),
                seal: None,
            };
            let mut request = ChatRequest::from_prompt("Hello");
            let tool_calls = before.iter().map(call).collect();
            let turn = Message::Assistant { reasoning: vec![], text: None, tool_calls };
            request.messages.push(turn);
            let mut ids = CallIds::after(&request);
            let named: Vec<_> = own.iter().map(|it| ids.name(Some((*it).to_owned()))).collect();
            assert_eq!(named, wanted, "{before:?} {own:?}");
        };
        check(&[], &["", ""], &["call_1", "call_2"]);
        check(&["a", "b"], &[""], &["call_3"]);
        check(&["call_9"], &["", "x", ""], &["call_10", "x", "call_12"]);
        check(&["call_x", "call_99999999999999999999"], &[""], &["call_3"]);
    }
}
