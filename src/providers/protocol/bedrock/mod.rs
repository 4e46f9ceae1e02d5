//! Being built.

use super::{Answered, Asking, Decode, Encoded, Progress, Unsupported};
use crate::domain::{ChatResponse, Delta, FailureClass, StreamEnd, Usage};
use crate::providers::call::CallFailure;
use crate::providers::framing::Frame;

pub(super) fn encode(_asking: &Asking<'_>) -> Result<Encoded, Unsupported> {
    Err(Unsupported("anything"))
}

pub(super) fn decode(
    answered: &Answered<'_>,
    _asking: &Asking<'_>,
) -> Result<ChatResponse, CallFailure> {
    Err(answered.failed(FailureClass::Malformed, Usage::default()))
}

pub(super) struct Decoder;

impl Decoder {
    pub(super) fn new(_asking: &Asking<'_>) -> Self {
        Self
    }
}

impl Decode for Decoder {
    fn frame(&mut self, _frame: &Frame, _out: &mut Vec<Delta>) -> Result<Progress, FailureClass> {
        Ok(Progress::Ended)
    }

    fn finish(&mut self, _out: &mut Vec<Delta>) -> Result<StreamEnd, FailureClass> {
        Err(FailureClass::StreamCut)
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}
