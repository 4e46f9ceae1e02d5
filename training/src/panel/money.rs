//! What a call can cost at most, and what one that failed is counted for.
//!
//! In: a request, a price, how a call failed. Out: amounts. Invariant: never below what the provider can
//! bill for a call that keeps to the request's own limit on output tokens. Pure. Not here: what is left
//! (see [`super::spend`]).

use pointsman::catalog::Deployment;
use pointsman::domain::{Billing, ChatRequest, FailureClass, Price, Usage, Usd};
use pointsman::providers::CallFailure;

/// Input tokens that providers add around a request: roles, marks, and a hidden prompt where tools or a
/// shape of the answer are wanted (Anthropic's for tools: 313 to 346 tokens, 2025).
const FRAME_TOKENS: u64 = 1_024;

/// The most that a call can cost. Every token of a text is at least one byte of it, so bytes bound the
/// input whatever tokenizer counts; output ends at the request's own limit.
pub fn at_most(deployment: &Deployment, request: &ChatRequest) -> Usd {
    let output = request.sampling.max_output_tokens.unwrap_or(deployment.model.max_output_tokens);
    at_most_of(&deployment.price, request.text_bytes() as u64, output)
}

/// The limit on output tokens that a request is sent with: never more than the model gives.
pub fn limit(deployment: &Deployment, max_output_tokens: u64) -> u64 {
    max_output_tokens.min(deployment.model.max_output_tokens)
}

/// As [`at_most`], of so many bytes of text.
pub fn at_most_of(price: &Price, input_bytes: u64, output_tokens: u64) -> Usd {
    let input_tokens = input_bytes.saturating_add(FRAME_TOKENS);
    price.dearest_input().of(input_tokens) + price.dearest_output().of(output_tokens)
}

/// What an answer cost by its provider's count; all that was set aside where it told none.
pub fn answered(price: &Price, usage: &Usage, at_most: Usd) -> Usd {
    if *usage == Usage::default() { at_most } else { price.cost(usage) }
}

/// What a call that failed is counted for: nothing only where nothing can be billed.
pub fn failed(deployment: &Deployment, failure: &CallFailure, at_most: Usd) -> Usd {
    let told = failure.usage != Usage::default();
    match deployment.billing {
        _ if failure.unsent => Usd::ZERO,
        _ if told => deployment.price.cost(&failure.usage),
        Billing::Nothing => Usd::ZERO,
        Billing::WhatWasGenerated | Billing::WhatWasProcessed | Billing::WholeAnswer => {
            if is_refusal(deployment.billing, failure) {
                Usd::ZERO
            } else {
                at_most
            }
        }
    }
}

/// Whether no model ran: an error status, or a failure before anything was sent.
fn is_refusal(billing: Billing, failure: &CallFailure) -> bool {
    use FailureClass as F;
    match failure.class {
        // Read before it was refused.
        F::ContextTooLong | F::ContentFiltered => {
            failure.status.is_some_and(|it| it >= 400) && billing != Billing::WhatWasProcessed
        }
        F::RateLimited
        | F::Overloaded
        | F::Auth
        | F::ModelMissing
        | F::Unsupported
        | F::InvalidRequest
        | F::OverBudget => failure.status.is_none_or(|it| it >= 400),
        F::Connection
        | F::FirstTokenLate
        | F::Stalled
        | F::Deadline
        | F::EmptyAnswer
        | F::Malformed
        | F::StreamCut
        | F::Cancelled => failure.status.is_some_and(|it| it >= 400),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman::catalog::Catalog;
    use pointsman::domain::{ProviderName, TokenPrice};

    use super::super::ask::Ask;
    use super::*;

    fn deployment() -> Deployment {
        let catalog = Catalog::shipped().unwrap();
        let model = catalog.models().next().unwrap();
        let mut found = Deployment::new(model, &ProviderName::new("p").unwrap(), "m".to_owned());
        let price = |usd| TokenPrice::per_million(usd).unwrap();
        found.price =
            Price { cache_written: Some(price(3.0)), ..Price::of(price(2.0), price(10.0)) };
        found.model = Arc::new(pointsman::catalog::Model {
            max_output_tokens: 500,
            ..pointsman::catalog::Model::clone(&found.model)
        });
        found
    }

    #[test]
    fn the_bound_holds_whatever_is_counted() {
        let request = |limit| Ask::new(vec![], "four letters, äöü".into()).request(limit);
        let bytes = "four letters, äöü".len() as u64;
        assert_eq!(request(1).text_bytes() as u64, bytes);
        let usd = |it| Usd::new(it).unwrap();
        let wanted = usd((bytes as f64 + 1_024.0) * 3e-6 + 100.0 * 10e-6);
        assert_eq!(at_most(&deployment(), &request(100)), wanted);
        // Who sends no limit gets the model's.
        let wanted = usd((bytes as f64 + 1_024.0) * 3e-6 + 500.0 * 10e-6);
        let mut unlimited = request(1);
        unlimited.sampling.max_output_tokens = None;
        assert_eq!(at_most(&deployment(), &unlimited), wanted);
        assert_eq!([9_000, 7].map(|it| limit(&deployment(), it)), [500, 7]);
    }

    #[test]
    fn a_failure_is_counted_unless_nothing_can_be_billed() {
        let most = Usd::new(0.25).unwrap();
        let told = Usage { input_tokens: 1_000_000, ..Usage::default() };
        let check = |billing, failure: CallFailure, wanted: f64| {
            let deployment = Deployment { billing, ..deployment() };
            let found = failed(&deployment, &failure, most);
            assert_eq!(found, Usd::new(wanted).unwrap(), "{billing:?} {failure:?}");
        };
        use Billing::{Nothing, WhatWasGenerated, WhatWasProcessed};
        use FailureClass as F;
        let of = CallFailure::of;
        let with = |class, status| CallFailure { status: Some(status), ..of(class) };
        check(WhatWasGenerated, of(F::Deadline), 0.25);
        check(WhatWasGenerated, of(F::Connection), 0.25);
        check(WhatWasGenerated, CallFailure { unsent: true, ..of(F::Connection) }, 0.0);
        check(WhatWasGenerated, with(F::Overloaded, 503), 0.0);
        check(WhatWasGenerated, with(F::Overloaded, 200), 0.25);
        check(WhatWasGenerated, of(F::Unsupported), 0.0);
        check(WhatWasGenerated, with(F::ContentFiltered, 400), 0.0);
        check(WhatWasProcessed, with(F::ContentFiltered, 400), 0.25);
        check(Nothing, of(F::Deadline), 0.0);
        check(WhatWasGenerated, CallFailure { usage: told, ..of(F::Malformed) }, 2.0);
        assert_eq!(answered(&deployment().price, &told, most), Usd::new(2.0).unwrap());
        assert_eq!(answered(&deployment().price, &Usage::default(), most), most);
    }
}
