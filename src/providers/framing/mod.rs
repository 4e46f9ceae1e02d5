//! Bytes of a stream, cut into frames: server-sent events, lines of JSON, AWS event streams.
//!
//! In: bytes, split anywhere. Out: [`Frame`]s. Invariant: the same bytes give the same frames
//! however they were split; no frame is larger than [`FRAME_BYTES_MAX`]. Pure. Not here: what the
//! frames mean.

mod buffer;
mod event_stream;
mod ndjson;
mod sse;
#[cfg(test)]
mod tests;

/// Largest frame, in bytes: one delta is rarely above a few hundred, but a server may send a whole
/// answer (or an image) in one.
pub(super) const FRAME_BYTES_MAX: usize = 8 << 20;

/// How bytes are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events (WHATWG HTML, "Server-sent events").
    Sse,
    /// One JSON value per line.
    Ndjson,
    /// `application/vnd.amazon.eventstream`.
    EventStream,
}

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Frame {
    /// The event's name; empty where the framing has none. Exceptions of event streams are
    /// named by their exception type.
    pub(super) event: String,
    /// Its data.
    pub(super) data: Vec<u8>,
}

/// Bytes that make no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FramingError {
    /// A frame above [`FRAME_BYTES_MAX`].
    #[error("a frame of the stream exceeds {FRAME_BYTES_MAX} bytes")]
    TooLarge,
    /// A checksum or a length is wrong.
    #[error("the bytes of the stream are damaged")]
    Damaged,
}

/// Cuts one stream.
#[derive(Debug)]
pub(super) struct Framer {
    cutter: Cutter,
    /// What was wrong: nothing after it can be trusted.
    failed: Option<FramingError>,
}

#[derive(Debug)]
enum Cutter {
    Sse(sse::Sse),
    Ndjson(ndjson::Ndjson),
    EventStream(event_stream::EventStream),
}

impl Framer {
    pub(super) fn new(framing: Framing) -> Self {
        Self { cutter: Cutter::new(framing), failed: None }
    }

    /// Takes bytes; complete frames go to `out`, in order, also those before an error.
    ///
    /// # Errors
    /// [`FramingError`]; the same again for everything that follows.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<Frame>) -> Result<(), FramingError> {
        self.after(|cutter| match cutter {
            Cutter::Sse(it) => it.push(bytes, out),
            Cutter::Ndjson(it) => it.push(bytes, out),
            Cutter::EventStream(it) => it.push(bytes, out),
        })
    }

    /// No more bytes come; a last frame that needs no end mark of its own goes to `out`: a line of
    /// JSON without its newline, and an event without its blank line (see [`sse`]).
    ///
    /// # Errors
    /// [`FramingError::Damaged`] where a frame is known to be cut; that of an earlier push.
    pub(super) fn finish(&mut self, out: &mut Vec<Frame>) -> Result<(), FramingError> {
        self.after(|cutter| match cutter {
            Cutter::Sse(it) => it.finish(out),
            Cutter::Ndjson(it) => {
                it.finish(out);
                Ok(())
            }
            Cutter::EventStream(it) => it.finish(),
        })
    }

    fn after(
        &mut self,
        step: impl FnOnce(&mut Cutter) -> Result<(), FramingError>,
    ) -> Result<(), FramingError> {
        match self.failed {
            Some(error) => Err(error),
            None => step(&mut self.cutter).inspect_err(|it| self.failed = Some(*it)),
        }
    }
}

impl Cutter {
    fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse => Self::Sse(sse::Sse::default()),
            Framing::Ndjson => Self::Ndjson(ndjson::Ndjson::default()),
            Framing::EventStream => Self::EventStream(event_stream::EventStream::default()),
        }
    }

    #[cfg(test)]
    fn held_bytes(&self) -> usize {
        match self {
            Self::Sse(it) => it.held_bytes(),
            Self::Ndjson(it) => it.held_bytes(),
            Self::EventStream(it) => it.held_bytes(),
        }
    }
}
