//! Being built.

use super::super::{Asking, Decode, Progress};
use crate::domain::{Delta, FailureClass, StreamEnd, Usage};
use crate::providers::framing::Frame;

pub(in super::super) struct Decoder;

impl Decoder {
    pub(in super::super) fn new(_asking: &Asking<'_>) -> Self {
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
