//! Tool calls as they come, whole or in pieces.
//!
//! In: entries of `tool_calls`. Out: [`Delta`]s whose indices count from 0 in the order in which the
//! calls begin. Invariant: a call begins once, when its name is known. Not here: whether arguments
//! are JSON (see [`crate::providers::check`]).

use serde_json::Value;

use super::super::ANSWER_TOOL;
use super::super::Asking;
use super::shape::answers_by_tool;
use super::wire::CallBody;
use crate::domain::{Delta, FailureClass, Message, ProviderName, Seal, Text};

/// Calls in one answer; more is a server that repeats itself.
const CALLS_MAX: usize = 512;
/// Arguments held back until a name comes; names come first or with the first piece.
const HELD_BYTES_MAX: usize = 1 << 20;

/// The calls of one answer.
pub(super) struct Calls {
    provider: ProviderName,
    by_tool: bool,
    /// Calls in the conversation so far, so that ids we make up are new.
    past: usize,
    calls: Vec<Call>,
    begun: usize,
    answered: bool,
}

struct Call {
    /// The index it has on the wire.
    wire: Option<u64>,
    id: String,
    seal: Option<Seal>,
    goes: Goes,
}

/// Where its arguments go.
enum Goes {
    /// Nowhere until there is a name.
    Held(String),
    /// To the tool call of this index.
    Tool(usize),
    /// Into the text: it is the answer itself.
    Text,
}

impl Calls {
    pub(super) fn new(asking: &Asking<'_>) -> Self {
        let past = asking.request.messages.iter().map(|it| match it {
            Message::Assistant { tool_calls, .. } => tool_calls.len(),
            Message::System(_) | Message::User(_) | Message::ToolResult { .. } => 0,
        });
        Self {
            provider: asking.deployment.provider.clone(),
            by_tool: answers_by_tool(asking),
            past: past.sum(),
            calls: Vec::new(),
            begun: 0,
            answered: false,
        }
    }

    /// Tool calls that have begun; the answer itself is none.
    pub(super) fn begun(&self) -> usize {
        self.begun
    }

    /// Whether a call gave the answer.
    pub(super) fn answered(&self) -> bool {
        self.answered
    }

    /// Whether a call never said what it calls.
    pub(super) fn any_nameless(&self) -> bool {
        self.calls.iter().any(|it| matches!(it.goes, Goes::Held(_)))
    }

    /// Reads one entry.
    pub(super) fn take(
        &mut self,
        body: CallBody,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        let at = self.locate(&body);
        let CallBody { index, id, function, extra_content } = body;
        let id = id.unwrap_or_default();
        let at = match at {
            Some(at) => at,
            None if self.calls.len() >= CALLS_MAX => return Err(FailureClass::Malformed),
            None => {
                let (wire, goes) = (index, Goes::Held(String::new()));
                self.calls.push(Call { wire, id: String::new(), seal: None, goes });
                self.calls.len() - 1
            }
        };
        let Some(call) = self.calls.get_mut(at) else { return Err(FailureClass::Malformed) };
        if call.id.is_empty() {
            call.id = id;
        }
        if let Some(value) = signature(&extra_content) {
            call.seal = Some(Seal { provider: self.provider.clone(), value });
        }
        let (name, arguments) =
            function.map(|it| (it.name.unwrap_or_default(), it.arguments)).unwrap_or_default();
        if !name.is_empty() {
            self.begin(at, name, out);
        }
        self.arguments(at, &arguments, out)
    }

    /// The call that an entry goes on with; `None` for a new one. Servers differ (2025): some repeat
    /// id and name, some give whole calls without an index, Gemini's gives every call the index 0.
    fn locate(&self, body: &CallBody) -> Option<usize> {
        let id = body.id.as_deref().filter(|it| !it.is_empty());
        let named = body.function.as_ref().and_then(|it| it.name.as_deref());
        let named = named.is_some_and(|it| !it.is_empty());
        let last_where = |test: &dyn Fn(&Call) -> bool| self.calls.iter().rposition(test);
        if let Some(index) = body.index {
            let at = last_where(&|it| it.wire == Some(index))?;
            let other = self
                .calls
                .get(at)
                .is_some_and(|it| !it.id.is_empty() && id.is_some_and(|id| id != it.id));
            return (!(named && other)).then_some(at);
        }
        match id {
            Some(id) => {
                let same = last_where(&|it| it.id == id);
                if named { same } else { same.or_else(|| self.calls.len().checked_sub(1)) }
            }
            None if named => None,
            None => self.calls.len().checked_sub(1),
        }
    }

    /// A name is known: the call begins, if it has not.
    fn begin(&mut self, at: usize, name: String, out: &mut Vec<Delta>) {
        let Some(call) = self.calls.get_mut(at) else { return };
        let Goes::Held(held) = &mut call.goes else { return };
        let held = std::mem::take(held);
        if self.by_tool && name == ANSWER_TOOL {
            call.goes = Goes::Text;
            self.answered = true;
        } else {
            let index = self.begun;
            call.goes = Goes::Tool(index);
            self.begun += 1;
            if call.id.is_empty() {
                call.id = format!("call_{}", self.past + index);
            }
            let (id, seal) = (call.id.clone(), call.seal.take());
            out.push(Delta::ToolCall { index, id, name, seal });
        }
        push(&call.goes, held, out);
    }

    fn arguments(
        &mut self,
        at: usize,
        arguments: &Value,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        let fragment = match arguments {
            Value::Null => return Ok(()),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        if let Goes::Held(held) = &mut call.goes {
            held.push_str(&fragment);
            let fits = held.len() <= HELD_BYTES_MAX;
            return if fits { Ok(()) } else { Err(FailureClass::Malformed) };
        }
        push(&call.goes, fragment, out);
        Ok(())
    }
}

fn push(goes: &Goes, fragment: String, out: &mut Vec<Delta>) {
    if fragment.is_empty() {
        return;
    }
    match goes {
        Goes::Held(_) => {}
        Goes::Tool(index) => {
            out.push(Delta::Arguments { index: *index, fragment: fragment.into() });
        }
        Goes::Text => out.push(Delta::Text(fragment.into())),
    }
}

/// Gemini's signature of the thought behind a call, on its OpenAI-compatible endpoint (2025).
fn signature(extra: &Value) -> Option<Text> {
    extra.get("google")?.get("thought_signature")?.as_str().map(Text::from)
}
