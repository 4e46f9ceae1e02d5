//! What the simulated provider puts on its bill.
//!
//! In: a call that has ended, a rule. Out: tokens. Invariant: made from what the provider itself did,
//! not from what its client saw. A call that was never answered was never begun here: nobody's model
//! ran, and no rule bills it.

use super::{act, ledger::CallLog};
use crate::domain::Fault;
use crate::domain::{Billing, Usage};

impl CallLog {
    /// What this call is billed for by a rule, once it has ended.
    pub fn billed(&self, rule: Billing) -> Usage {
        let (input_tokens, output_tokens) = self.billed_tokens(rule);
        Usage { input_tokens, output_tokens, ..Usage::default() }
    }

    fn billed_tokens(&self, rule: Billing) -> (u64, u64) {
        let read = matches!(self.fault, Some(Fault::ContextTooLong | Fault::ContentFilter));
        if self.prompt_tokens == 0 {
            let read = read && rule == Billing::WhatWasProcessed;
            return (if read { self.asked_tokens } else { 0 }, 0);
        }
        let whole = (self.prompt_tokens, self.completion_tokens);
        if !act::breaks(self.fault) && !self.client_left {
            return whole;
        }
        match rule {
            Billing::Nothing => (0, 0),
            Billing::WholeAnswer => whole,
            // An answer in one piece is made before any of it is sent.
            Billing::WhatWasGenerated | Billing::WhatWasProcessed if !self.streamed => whole,
            Billing::WhatWasGenerated | Billing::WhatWasProcessed => {
                (self.prompt_tokens, self.delivered_tokens)
            }
        }
    }
}
