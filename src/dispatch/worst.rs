//! The most that one call may cost: what is set aside for it beforehand.
//!
//! In: a candidate, the request. Out: USD. Invariant: no answer that keeps the limits sent with it costs
//! more, as far as a request tells: as many output tokens as it and the model allow, as many input
//! tokens as its text has bytes, each at the dearest price of its kind. Pure. Not here: what is
//! expected (see [`crate::prediction`]).

use crate::domain::{ChatRequest, Part, Usd};
use crate::ranking::Ranked;

/// Tokens around each turn: role, marks, names. OpenAI's cookbook counts 4 (2024); tools take more.
const TURN_TOKENS: u64 = 16;
/// Tokens of one picture, at the most: Anthropic's largest takes 1,600 (vision guide, 2026), OpenAI's
/// high detail 765 to 1,445; Gemini's tiles are below.
const PICTURE_TOKENS: u64 = 2_000;

/// The most that a call of this candidate may cost; `begun` tokens of an answer are input, too.
pub(super) fn worst(ranked: &Ranked, request: &ChatRequest, begun: u64) -> Usd {
    let Ranked { deployment, prediction, .. } = ranked;
    let predicted = prediction.input_tokens.max(0.0).ceil() as u64;
    let input = input_most(request).max(predicted).saturating_add(begun);
    let asked = request.sampling.max_output_tokens;
    let own = ranked.stop.as_ref().map(|it| it.terms.overrides.output_limit(asked));
    let asked = own.unwrap_or(asked).unwrap_or(u64::MAX);
    let output = asked.min(deployment.model.max_output_tokens);
    let price = &deployment.price;
    price.dearest_input().of(input) + price.dearest_output().of(output)
}

/// No tokenizer in use makes more tokens of a text than it has bytes.
fn input_most(request: &ChatRequest) -> u64 {
    let turns = (request.messages.len() + request.tools.len()) as u64;
    let parts = request.messages.iter().flat_map(|it| it.parts());
    let pictures = parts.filter(|it| matches!(it, Part::Image(_))).count() as u64;
    request.text_bytes() as u64 + turns * TURN_TOKENS + pictures * PICTURE_TOKENS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::fixtures::{self, Figures};
    use crate::domain::{ChatRequest, Price, TokenPrice};

    #[test]
    fn the_most_is_every_byte_and_every_token_at_the_dearest_price() {
        let usd = |it| TokenPrice::per_million(it).unwrap();
        let price = Price {
            cache_written: Some(usd(4.0)),
            reasoning: Some(usd(20.0)),
            ..Price::of(usd(2.0), usd(10.0))
        };
        let check = |limit: Option<u64>, begun: u64, wanted_usd: f64| {
            let mut ranked = fixtures::ranking(&[Figures::default()]).entries.remove(0);
            let deployment = std::sync::Arc::make_mut(&mut ranked.deployment);
            deployment.price = price;
            let most = deployment.model.max_output_tokens as f64;
            let mut request = ChatRequest::from_prompt("x".repeat(984));
            request.sampling.max_output_tokens = limit;
            let found = worst(&ranked, &request, begun);
            let output = limit.map_or(most, |it| (it as f64).min(most));
            let wanted = Usd::new(wanted_usd + output * 20e-6).unwrap();
            assert_eq!(found, wanted, "{limit:?} {begun}");
        };
        check(Some(100), 0, 1_000.0 * 4e-6);
        check(Some(100), 500, 1_500.0 * 4e-6);
        check(None, 0, 1_000.0 * 4e-6);
    }
}
