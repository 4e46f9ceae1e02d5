//! Whether the arguments of a tool call, which come in pieces, are whole.
//!
//! In: fragments of JSON text. Out: yes or no. Invariant: constant memory; a call whose arguments
//! never begin is never whole. Not here: whether the JSON is right, which is checked before.

/// Follows one call's arguments.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    depth: usize,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Progress {
    /// Takes a fragment, cut anywhere.
    pub(super) fn push(&mut self, fragment: &str) {
        // Every byte of interest is ASCII, and no byte of a longer character is.
        for byte in fragment.bytes() {
            if self.in_string {
                self.inside_string(byte);
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether the object has begun and ended.
    pub(super) fn is_whole(self) -> bool {
        self.begun && self.depth == 0
    }

    fn inside_string(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_seen_and_not_too_soon() {
        let check = |text: &str, whole: bool| {
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let mut progress = Progress::default();
                progress.push(&text[..at]);
                assert!(at == text.len() || !progress.is_whole(), "{text} at {at}");
                progress.push(&text[at..]);
                assert_eq!(progress.is_whole(), whole, "{text}");
            }
        };
        check("{}", true);
        check(r#"{"a":"}\"}","b":[{"c":"ü\\"}]}"#, true);
        check(r#" {"a":{"b":1}"#, false);
        check("", false);
    }
}
