//! One JSON value per line.
//!
//! In: bytes, split anywhere. Out: one [`Frame`] per line that is not blank. Invariant: a line ends
//! in LF or CRLF; the last one may end with the input. Not here: the JSON.

use super::buffer::{Buffer, fits};
use super::{Frame, FramingError};

/// Cuts lines.
#[derive(Debug, Default)]
pub(super) struct Ndjson {
    /// The line so far.
    line: Buffer,
}

impl Ndjson {
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        out: &mut Vec<Frame>,
    ) -> Result<(), FramingError> {
        while let Some(end) = bytes.iter().position(|it| *it == b'\n') {
            let rest = &bytes[..end];
            bytes = &bytes[end + 1..];
            if self.line.is_empty() {
                fits(rest.len(), 0, 0)?;
                line(rest, out);
            } else {
                self.line.append(rest, 0)?;
                line(self.line.as_slice(), out);
                self.line.clear();
            }
        }
        self.line.append(bytes, 0)
    }

    pub(super) fn finish(&mut self, out: &mut Vec<Frame>) {
        line(&self.line.take(), out);
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.line.capacity()
    }
}

fn line(line: &[u8], out: &mut Vec<Frame>) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        out.push(Frame { event: String::new(), data: line.to_vec() });
    }
}
