//! Every rule of billing against every way in which a call ends.

use super::billing::{Bill, Ended, Expected, Received, bill};
use crate::domain::{Billing, FailureClass, Usage};

const EXPECTED: Expected = Expected { input: 100, output: 300 };

fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

/// A call of which the provider told nothing.
fn ended(failure: FailureClass, received: Received) -> Ended {
    let (told, status) = (Usage::default(), None);
    Ended { failure: Some(failure), status, unsent: false, told, received }
}

fn answered(told: Usage, bytes: u64) -> Ended {
    let received = Received::Bytes(bytes);
    Ended { failure: None, status: Some(200), unsent: false, told, received }
}

/// Input and output by each rule, in the order of [`Billing::ALL`]; what is the provider's own count
/// or nobody's is no estimate.
fn check(ended: Ended, wanted: [(u64, u64); 4]) {
    for (rule, (input, output)) in Billing::ALL.into_iter().zip(wanted) {
        let found = bill(rule, &ended, EXPECTED);
        assert_eq!(found.usage, usage(input, output), "{rule:?} of {ended:?}");
        let own = found.usage == ended.told || found.usage == Usage::default();
        assert_eq!(found.estimated, !own, "{rule:?} of {ended:?}");
    }
}

#[test]
fn a_whole_answer_is_billed_as_told_and_else_as_it_was_seen() {
    check(answered(usage(90, 7), 400), [(90, 7); 4]);
    check(answered(usage(90, 7), 0), [(90, 7); 4]);
    check(answered(Usage::default(), 401), [(100, 101); 4]);
    // Ollama leaves out a prompt that it still knows.
    check(answered(usage(0, 7), 4), [(100, 7); 4]);
    check(answered(usage(90, 0), 40), [(90, 10); 4]);
}

#[test]
fn a_refusal_is_free_unless_the_prompt_was_read() {
    use FailureClass as F;
    for class in [F::RateLimited, F::Overloaded, F::Auth, F::ModelMissing, F::InvalidRequest] {
        for received in [Received::Unseen, Received::Bytes(0)] {
            check(Ended { status: Some(400), ..ended(class, received) }, [(0, 0); 4]);
        }
    }
    for class in [F::ContentFiltered, F::ContextTooLong] {
        check(ended(class, Received::Unseen), [(0, 0), (0, 0), (100, 0), (0, 0)]);
        let told = Ended { told: usage(90, 0), ..ended(class, Received::Unseen) };
        check(told, [(90, 0); 4]);
    }
    let page = Ended { status: Some(503), ..ended(F::StreamCut, Received::Unseen) };
    check(page, [(0, 0); 4]);
}

#[test]
fn what_never_came_to_the_provider_is_free() {
    let sent = ended(FailureClass::Connection, Received::Unseen);
    check(Ended { unsent: true, ..sent }, [(0, 0); 4]);
    // Lost after it was sent.
    check(sent, [(0, 0), (100, 0), (100, 0), (100, 300)]);
    check(ended(FailureClass::OverBudget, Received::Unseen), [(0, 0); 4]);
}

#[test]
fn a_call_that_was_left_is_billed_by_the_rule() {
    use FailureClass as F;
    for class in [F::Deadline, F::Cancelled, F::StreamCut] {
        // Nobody saw of it what was made meanwhile.
        let unseen = [(0, 0), (100, 300), (100, 300), (100, 300)];
        check(ended(class, Received::Unseen), unseen);
    }
    for class in [F::FirstTokenLate, F::Deadline, F::Cancelled, F::Connection, F::StreamCut] {
        let silent = [(0, 0), (100, 0), (100, 0), (100, 300)];
        check(ended(class, Received::Bytes(0)), silent);
    }
    for class in [F::Stalled, F::Deadline, F::Cancelled, F::StreamCut, F::Malformed, F::Overloaded]
    {
        let begun = [(0, 0), (100, 10), (100, 10), (100, 300)];
        check(ended(class, Received::Bytes(40)), begun);
        // More than was expected is already there.
        let long = [(0, 0), (100, 500), (100, 500), (100, 500)];
        check(ended(class, Received::Bytes(2_000)), long);
    }
}

#[test]
fn a_count_that_comes_with_the_stream_wins_and_an_opening_count_does_not() {
    let cut = |told| Ended { told, ..ended(FailureClass::StreamCut, Received::Bytes(400)) };
    // Anthropic's first event.
    check(cut(usage(90, 1)), [(0, 0), (90, 100), (90, 100), (90, 300)]);
    // Gemini's every event.
    check(cut(usage(90, 80)), [(0, 0), (90, 80), (90, 80), (90, 300)]);
    check(cut(usage(90, 350)), [(0, 0), (90, 350), (90, 350), (90, 350)]);
}

#[test]
fn an_answer_that_came_whole_but_wrong_is_billed_as_told() {
    for class in [FailureClass::Malformed, FailureClass::ContentFiltered] {
        let told = Ended { told: usage(90, 7), ..ended(class, Received::Unseen) };
        check(told, [(90, 7); 4]);
    }
    check(
        ended(FailureClass::Malformed, Received::Unseen),
        [(0, 0), (100, 300), (100, 300), (100, 300)],
    );
    for received in [Received::Unseen, Received::Bytes(0)] {
        let empty = ended(FailureClass::EmptyAnswer, received);
        check(empty, [(100, 0); 4]);
        check(Ended { told: usage(90, 4), ..empty }, [(90, 4); 4]);
    }
}

#[test]
fn other_counts_of_the_provider_are_kept() {
    let told = Usage { cached_tokens: 60, cache_written_tokens: 5, ..usage(90, 1) };
    let cut = Ended { told, ..ended(FailureClass::Stalled, Received::Bytes(40)) };
    let found = bill(Billing::WhatWasGenerated, &cut, EXPECTED);
    assert_eq!(found, Bill { usage: Usage { output_tokens: 10, ..told }, estimated: true });
}
