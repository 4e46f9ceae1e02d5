//! `application/vnd.amazon.eventstream`: frames with a length, headers and two checksums.
//!
//! In: bytes, split anywhere. Out: one [`Frame`] per message, named by its `:event-type`, or by
//! `:exception-type` or `:error-code` where it tells a failure. Invariant: a length that is
//! announced is checked before a byte is kept for it, and no memory is taken ahead of the bytes.
//! Not here: the format itself, which is AWS's own crate's; what the events mean.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;

use super::buffer::Buffer;
use super::{FRAME_BYTES_MAX, Frame, FramingError};

/// A frame begins with its whole length, as four bytes.
const LENGTH_BYTES: usize = 4;
/// Two lengths and two checksums: the shortest frame.
const FRAME_BYTES_MIN: usize = 16;

/// Cuts event streams.
#[derive(Debug, Default)]
pub(super) struct EventStream {
    /// The frame so far.
    frame: Buffer,
}

impl EventStream {
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        out: &mut Vec<Frame>,
    ) -> Result<(), FramingError> {
        while !bytes.is_empty() {
            let wanted = match length(self.frame.as_slice())? {
                Some(length) => length,
                None => LENGTH_BYTES,
            };
            let (now, later) = bytes.split_at(bytes.len().min(wanted - self.frame.len()));
            self.frame.append(now, 0)?;
            bytes = later;
            if length(self.frame.as_slice())? == Some(self.frame.len()) {
                out.push(frame(self.frame.as_slice())?);
                self.frame.clear();
            }
        }
        Ok(())
    }

    /// A frame that is not whole is damaged: its length said that more would come.
    pub(super) fn finish(&mut self) -> Result<(), FramingError> {
        if self.frame.is_empty() { Ok(()) } else { Err(FramingError::Damaged) }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.frame.capacity()
    }
}

/// The length of the frame that begins so, in bytes, if it is there already.
fn length(begun: &[u8]) -> Result<Option<usize>, FramingError> {
    let Some(length) = begun.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    match length {
        FRAME_BYTES_MIN..=FRAME_BYTES_MAX => Ok(Some(length)),
        0..FRAME_BYTES_MIN => Err(FramingError::Damaged),
        _ => Err(FramingError::TooLarge),
    }
}

fn frame(bytes: &[u8]) -> Result<Frame, FramingError> {
    let message = read_message_from(bytes).map_err(|_| FramingError::Damaged)?;
    let event = match header(&message, ":message-type") {
        Some("exception") => header(&message, ":exception-type"),
        Some("error") => header(&message, ":error-code"),
        Some(_) | None => header(&message, ":event-type"),
    };
    let event = event.unwrap_or_default().to_owned();
    Ok(Frame { event, data: message.payload().to_vec() })
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let found = message.headers().iter().find(|it| it.name().as_str() == name)?;
    found.value().as_string().ok().map(|it| it.as_str())
}
