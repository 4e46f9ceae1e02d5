//! The benches' names, all in one table, and the prompts and fleets they run on.
//!
//! In: sizes. Out: names, prompts of so many tokens, fleets of so many candidates. Invariant: the
//! same inputs in every run. Not here: any measuring.
#![allow(dead_code, reason = "each bench program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may stop on the first surprise")]

use std::sync::Arc;

use pointsman::catalog::{Catalog, Deployment, Fleet};
use pointsman::domain::{ChatRequest, ProviderName};
use pointsman::encoder::Encoder;

/// Counting what there is to count, by tokens of the prompt.
pub(crate) const FEATURES: &str = "features";
/// Tokenizing and averaging, by tokens of the prompt.
pub(crate) const ENCODER: &str = "encoder";
/// One prompt at an exit, by tokens of the prompt.
pub(crate) const ENCODER_EXIT: &str = "encoder/exit";
/// A prompt that was read before.
pub(crate) const ENCODER_CACHED: &str = "encoder/cached, 128 tokens";
/// A whole choice at the deep exit, through the queue.
pub(crate) const RANK_DEEP: &str = "rank_exit_3";
/// Trunk and heads, by candidates.
pub(crate) const PREDICTION: &str = "prediction";
/// Limits, utility, order, by candidates.
pub(crate) const RANKING: &str = "ranking";
/// All four together; the one with a target: under 100 us.
pub(crate) const RANK: &str = "rank/128 tokens, 8 candidates";
/// A whole request against a provider that answers at once.
pub(crate) const PIPELINE: &str = "pipeline/route, provider at once";
/// The choice alone, as `Rank` makes it.
pub(crate) const PIPELINE_RANK: &str = "pipeline/rank";

/// Sizes of prompts, in tokens of the encoder.
pub(crate) const TOKENS: [usize; 5] = [16, 64, 128, 256, 512];
/// Sizes of fleets.
pub(crate) const CANDIDATES: [usize; 3] = [8, 32, 128];

/// Prose that no benchmark and no data set holds; repeated with a number where more is needed.
const PROSE: &str = "Our town's swimming pool lost about a third of its visitors between May and \
    September, although the summer was warm. The manager blames the new bus timetable, the council \
    blames the price of tickets, which rose from 4.50 to 6.20, and the visitors we asked complain \
    about the queues at the changing rooms. Please compare these three explanations, say which \
    figures would tell them apart, and propose what to measure over the next four weeks with two \
    people and hardly any money. ";

/// A prompt of so many tokens, to within one word.
pub(crate) fn prompt(encoder: &Encoder, tokens: usize) -> ChatRequest {
    let (mut text, mut count) = (String::new(), 0);
    for (at, word) in (0..).flat_map(|_| PROSE.split_whitespace()).enumerate() {
        let next = if at % 97 == 96 { format!("{word} ({at}) ") } else { format!("{word} ") };
        count += encoder.tokenize(&next).unwrap().len();
        if count > tokens {
            break;
        }
        text.push_str(&next);
    }
    ChatRequest::from_prompt(text)
}

/// The first models of the catalog, at as many made-up providers as are needed.
pub(crate) fn fleet(candidates: usize) -> Fleet {
    let catalog = Catalog::shipped().unwrap();
    let provider = |at: usize| ProviderName::new(&format!("provider{at}")).unwrap();
    let at_all = (0..candidates).flat_map(|at| {
        let here = provider(at);
        let deployment = move |it| Deployment::new(it, &here, "id".to_owned());
        catalog.models().map(deployment).collect::<Vec<_>>()
    });
    let deployments = at_all.take(candidates).collect();
    Fleet::new(deployments).unwrap_or_else(|it| panic!("{it:?}"))
}

/// The deployments of [`fleet`].
pub(crate) fn deployments(candidates: usize) -> Vec<Arc<Deployment>> {
    fleet(candidates).deployments().to_vec()
}
