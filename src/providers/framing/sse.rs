//! Server-sent events, by the WHATWG HTML standard ("Server-sent events", as of 2025).
//!
//! In: bytes, split anywhere. Out: one [`Frame`] per event that has data. Invariant: a line may end
//! in CR, LF or CRLF, also where the CR is the last byte of one push and the LF the first of the
//! next. One thing is not the standard's: an event without its blank line at the end of the input
//! is given out, because servers of LLMs exist that join their events with blank lines and so end
//! without one. Not here: reconnecting, so `id` and `retry` are passed over; UTF-8 of the data.

use super::buffer::{Buffer, fits};
use super::{Frame, FramingError};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Cuts server-sent events.
#[derive(Debug, Default)]
pub(super) struct Sse {
    /// The line so far.
    line: Buffer,
    /// The data lines of the event so far, joined with newlines.
    data: Buffer,
    event: String,
    /// Whether there was a data line: one may be empty.
    has_data: bool,
    /// Whether the last byte was a CR, so that an LF now belongs to it.
    after_cr: bool,
    /// Whether the first line, which may begin with a byte order mark, is behind.
    begun: bool,
}

impl Sse {
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        out: &mut Vec<Frame>,
    ) -> Result<(), FramingError> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|it| matches!(it, b'\r' | b'\n'));
            let Some(end) = end else {
                return self.line.append(bytes, self.held());
            };
            self.after_cr = bytes[end] == b'\r';
            self.end_of_line(&bytes[..end], out)?;
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<Frame>) -> Result<(), FramingError> {
        if !self.line.is_empty() {
            self.end_of_line(b"", out)?;
        }
        self.dispatch(out);
        Ok(())
    }

    /// What the event so far holds beside the line.
    fn held(&self) -> usize {
        self.data.len() + self.event.len()
    }

    fn end_of_line(&mut self, rest: &[u8], out: &mut Vec<Frame>) -> Result<(), FramingError> {
        if self.line.is_empty() {
            fits(rest.len(), self.held(), 0)?;
            return self.line(rest, out);
        }
        self.line.append(rest, self.held())?;
        let mut line = std::mem::take(&mut self.line);
        let done = self.line(line.as_slice(), out);
        line.clear();
        self.line = line;
        done
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<Frame>) -> Result<(), FramingError> {
        let line = match std::mem::replace(&mut self.begun, true) {
            true => line,
            false => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
        };
        if line.is_empty() {
            self.dispatch(out);
            return Ok(());
        }
        let (name, value) = match line.iter().position(|it| *it == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.data_line(value),
            b"event" => {
                self.event = String::from_utf8_lossy(value).into_owned();
                Ok(())
            }
            // A comment has no name. Others are to be ignored, by the standard.
            _ => Ok(()),
        }
    }

    fn data_line(&mut self, value: &[u8]) -> Result<(), FramingError> {
        if std::mem::replace(&mut self.has_data, true) {
            self.data.append(b"\n", self.event.len())?;
        }
        self.data.append(value, self.event.len())
    }

    fn dispatch(&mut self, out: &mut Vec<Frame>) {
        let (event, data) = (std::mem::take(&mut self.event), self.data.take());
        if std::mem::take(&mut self.has_data) {
            out.push(Frame { event, data });
        }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.line.capacity() + self.data.capacity() + self.event.capacity()
    }
}
