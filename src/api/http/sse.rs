//! Server-sent events, as bytes.
//!
//! In: [`Event`]s. Out: what goes over the wire (WHATWG HTML, "Server-sent events"). Invariant: an
//! event's data stays one event, whatever is in it.

use super::dialect::Event;

/// A comment, which readers skip: it shows them, and every proxy between, that somebody is there.
pub(super) const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// The events, one after another.
pub(super) fn bytes(events: &[Event]) -> String {
    let mut out = String::with_capacity(events.iter().map(|it| it.data.len() + 64).sum());
    for event in events {
        if let Some(name) = event.name {
            out.extend(["event: ", name, "\n"]);
        }
        for line in event.data.split(['\n', '\r']) {
            out.extend(["data: ", line, "\n"]);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_framed() {
        let event = |name, data: &str| Event { name, data: data.into() };
        let told = bytes(&[event(None, "{}"), event(Some("ping"), "a\nb")]);
        assert_eq!(told, "data: {}\n\nevent: ping\ndata: a\ndata: b\n\n");
    }
}
