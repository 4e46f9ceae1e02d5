//! Streams through the chain, against scripted streams under a paused clock.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fixtures::{Figures, Piece, Script, health, ranking};
use super::{ChainEnd, ChainEvent, ChainFailure, Dispatched, EVENTS_MAX, Plan, stream};
use crate::domain::{ChatRequest, Delta, FailureClass, FinishReason, StreamEnd, Text, Usage};
use crate::providers::{CallFailure, StreamItem};
use crate::ranking::Policy;

const FIGURES: Figures =
    Figures { latency_s: 1.0, cost_usd: 0.001, window: 8_000, last_resort: false };

fn text(wait_s: u64, text: &str) -> Piece {
    (Duration::from_secs(wait_s), Ok(StreamItem::Delta(Delta::Text(text.into()))))
}

fn end(finish: FinishReason) -> Piece {
    let usage = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
    (Duration::ZERO, Ok(StreamItem::End(StreamEnd { finish, usage })))
}

fn fails(class: FailureClass) -> Piece {
    (Duration::ZERO, Err(CallFailure::of(class)))
}

/// What a reader was told, and how it ended. The reader takes an event, then waits.
struct Told {
    text: String,
    by: Vec<String>,
    dispatched: Dispatched,
}

async fn play(streams: Vec<Vec<Vec<Piece>>>, reads: usize, wait: Duration) -> Told {
    let (ranking, policy) = (ranking(&vec![FIGURES; streams.len()]), Policy::default());
    let request = ChatRequest::from_prompt("hello");
    let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
    let (ranking, policy, request) = (&ranking, &policy, &request);
    let health = &health(ranking);
    let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
    let script = Script::of_streams(streams);
    let (events, mut pieces) = mpsc::channel(EVENTS_MAX);
    let reader = tokio::spawn(async move {
        let (mut text, mut by) = (String::new(), vec![]);
        for _ in 0..reads {
            match pieces.recv().await {
                Some(ChainEvent::Committed(it)) => by.push(it.deployment.model_id.clone()),
                Some(other @ (ChainEvent::Switched { .. } | ChainEvent::Restarted { .. })) => {
                    panic!("{other:?}")
                }
                Some(ChainEvent::Delta(Delta::Text(more))) => text.push_str(more.as_str()),
                Some(ChainEvent::Delta(_)) => {}
                None => break,
            }
            tokio::time::sleep(wait).await;
        }
        (text, by)
    });
    let dispatched = stream(plan, &script, 7, &events).await;
    drop(events);
    let (text, by) = reader.await.unwrap();
    Told { text, by, dispatched }
}

async fn read_all(streams: Vec<Vec<Vec<Piece>>>) -> Told {
    play(streams, usize::MAX, Duration::ZERO).await
}

fn classes(told: &Told) -> Vec<Option<FailureClass>> {
    told.dispatched.attempts.iter().map(|it| it.failure).collect()
}

fn whole(words: &str) -> Vec<Vec<Piece>> {
    vec![vec![text(0, words), end(FinishReason::Stop)]]
}

#[tokio::test(start_paused = true)]
async fn pieces_are_passed_on_and_make_the_answer() {
    let told =
        read_all(vec![vec![vec![text(0, "a"), text(1, "b"), end(FinishReason::Stop)]]]).await;
    assert_eq!((told.text.as_str(), told.by.as_slice()), ("ab", &["m0".to_owned()][..]));
    let ChainEnd::Served { response, .. } = &told.dispatched.end else { panic!("not served") };
    assert_eq!(response.text, Some(Text::from("ab")));
    assert_eq!(told.dispatched.attempts[0].usage.output_tokens, 5);
    assert_eq!(told.dispatched.attempts[0].ttft_ms, Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_before_the_first_content_falls_back_unseen() {
    use FailureClass as F;
    let nothing = Delta::ReasoningEnd(None);
    let check = async |first: Vec<Piece>, class| {
        let told = read_all(vec![vec![first], whole("fine")]).await;
        assert_eq!((told.text.as_str(), told.by.as_slice()), ("fine", &["m1".to_owned()][..]));
        assert_eq!(classes(&told), [Some(class), None]);
    };
    check(vec![fails(F::Malformed)], F::Malformed).await;
    check(vec![text(0, ""), fails(F::StreamCut)], F::StreamCut).await;
    check(vec![], F::StreamCut).await;
    check(vec![end(FinishReason::Stop)], F::EmptyAnswer).await;
    let no_content = (Duration::ZERO, Ok(StreamItem::Delta(nothing)));
    check(vec![no_content, end(FinishReason::ToolCalls)], F::EmptyAnswer).await;
    // 500 ms are predicted, so that 2.25 s are waited for.
    check(vec![text(3, "late")], F::FirstTokenLate).await;
}

#[tokio::test(start_paused = true)]
async fn what_breaks_after_the_first_content_is_told_and_not_hidden() {
    let check = async |pieces: Vec<Piece>, class| {
        let told = read_all(vec![vec![pieces], whole("never")]).await;
        assert_eq!(told.text, "half");
        let ChainEnd::Broken { class: found, partial, .. } = &told.dispatched.end else {
            panic!("{:?}", told.dispatched.end)
        };
        assert_eq!((*found, &partial.text), (class, &Some(Text::from("half"))));
        assert_eq!(classes(&told), [Some(class)]);
    };
    check(vec![text(0, "half")], FailureClass::StreamCut).await;
    check(vec![text(0, "half"), text(16, "!")], FailureClass::Stalled).await;
    check(vec![text(0, "half"), fails(FailureClass::Malformed)], FailureClass::Malformed).await;
    let drip = |at: u64| text(if at == 0 { 0 } else { 10 }, if at == 0 { "half" } else { "" });
    check((0..9).map(drip).collect(), FailureClass::Deadline).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_at_the_callers_limit_needs_no_content() {
    let told = read_all(vec![vec![vec![end(FinishReason::Length)]]]).await;
    assert!(matches!(told.dispatched.end, ChainEnd::Served { .. }), "{:?}", told.dispatched.end);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_leaves_ends_the_call_and_is_recorded() {
    let check = async |pieces: Vec<Piece>, reads| {
        let began = Instant::now();
        let told = play(vec![vec![pieces], whole("never")], reads, Duration::ZERO).await;
        assert_eq!(told.dispatched.end, ChainEnd::Failed(ChainFailure::Cancelled));
        assert_eq!(classes(&told), [Some(FailureClass::Cancelled)]);
        assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    };
    check(vec![text(0, "a"), text(5, "b")], 2).await;
    check(vec![text(2, "a")], 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_slows_the_provider_and_loses_nothing() {
    let many: Vec<Piece> =
        (0..100).map(|_| text(0, "x")).chain([end(FinishReason::Stop)]).collect();
    let told = play(vec![vec![many]], usize::MAX, Duration::from_millis(100)).await;
    assert_eq!(told.text.len(), 100);
    // All but what fits into the channel was read no faster than the reader took it.
    assert!(told.dispatched.attempts[0].total_ms >= (100 - EVENTS_MAX) as f64 * 100.0 - 500.0);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_leaves_while_another_is_sought_ends_it() {
    let mut script = Script::of_streams(vec![
        vec![vec![text(0, "half"), fails(FailureClass::StreamCut)]],
        vec![vec![text(2, "x")]],
    ]);
    script.continuing = vec!["m1"];
    let (ranking, policy) = (ranking(&[FIGURES; 2]), Policy::default());
    let request = ChatRequest::from_prompt("hello");
    let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
    let (ranking, policy, request) = (&ranking, &policy, &request);
    let health = &health(ranking);
    let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
    let (events, pieces) = mpsc::channel(EVENTS_MAX);
    let leaves = async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(pieces);
    };
    let (dispatched, ()) = tokio::join!(stream(plan, &script, 7, &events), leaves);
    assert_eq!(dispatched.end, ChainEnd::Failed(ChainFailure::Cancelled));
    let classes: Vec<_> = dispatched.attempts.iter().map(|it| it.failure).collect();
    assert_eq!(classes, [Some(FailureClass::StreamCut), Some(FailureClass::Cancelled)]);
    assert!(arrived.elapsed() < Duration::from_millis(600));
}
