//! Answers that break off after their first content, and who takes over, under a paused clock.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fixtures::{Figures, Piece, Script, USD_PER_TOKEN, health, ranking};
use super::{ChainEnd, ChainEvent, Dispatched, EVENTS_MAX, Plan, stream};
use crate::domain::{
    ChatRequest, ChatResponse, Delta, FailureClass, FinishReason, Json, ResponseFormat, StreamEnd,
    Usage, Usd,
};
use crate::providers::{CallFailure, StreamItem};
use crate::ranking::{OnStreamFailure, Policy};

const FIGURES: Figures =
    Figures { latency_s: 1.0, cost_usd: 0.000_01, window: 8_000, last_resort: false };
const HALF: Usage = Usage {
    input_tokens: 10,
    output_tokens: 2,
    cached_tokens: 0,
    cache_written_tokens: 0,
    reasoning_tokens: 0,
};
const REST: Usage = Usage { output_tokens: 5, ..HALF };

fn delta(it: Delta) -> Piece {
    (Duration::ZERO, Ok(StreamItem::Delta(it)))
}

fn text(it: &str) -> Piece {
    delta(Delta::Text(it.into()))
}

fn call() -> Piece {
    delta(Delta::ToolCall { index: 0, id: "1".into(), name: "f".into(), seal: None })
}

fn end(finish: FinishReason) -> Piece {
    (Duration::ZERO, Ok(StreamItem::End(StreamEnd { finish, usage: REST })))
}

fn fails(class: FailureClass) -> Piece {
    let failure = CallFailure { usage: HALF, ..CallFailure::of(class) };
    (Duration::ZERO, Err(failure))
}

fn stop() -> Piece {
    end(FinishReason::Stop)
}

/// A play: what each model streams, call by call; who goes on; what is asked.
struct Play {
    script: Script,
    policy: Policy,
    request: ChatRequest,
    models: usize,
}

/// What a reader has in the end.
struct Told {
    text: String,
    /// Every event but deltas.
    events: Vec<String>,
    deltas: Vec<Delta>,
    dispatched: Dispatched,
    script: Script,
}

impl Play {
    fn of(streams: Vec<Vec<Vec<Piece>>>, wish: OnStreamFailure) -> Self {
        let models = streams.len();
        let mut script = Script::of_streams(streams);
        script.continuing = vec!["m0", "m1", "m2", "m3"];
        let mut policy = Policy::default();
        policy.fallback.on_stream_failure = wish;
        Self { script, policy, request: ChatRequest::from_prompt("hello"), models }
    }

    async fn run(self) -> Told {
        let Self { script, policy, request, models } = self;
        let ranking = ranking(&vec![FIGURES; models]);
        let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
        let (ranking, policy, request) = (&ranking, &policy, &request);
        let health = &health(ranking);
        let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
        let (events_in, mut pieces) = mpsc::channel(EVENTS_MAX);
        let reader = tokio::spawn(async move {
            let (mut text, mut events, mut deltas) = (String::new(), vec![], vec![]);
            while let Some(event) = pieces.recv().await {
                events.push(match event {
                    ChainEvent::Committed(it) => {
                        format!("{} after {}", it.deployment.model_id, it.attempts)
                    }
                    ChainEvent::Switched { failure, answering: it, at_bytes } => {
                        assert_eq!(at_bytes, text.len() as u64);
                        let (class, model) = (failure.as_str(), &it.deployment.model_id);
                        format!("{class}: {model} after {} at {at_bytes}", it.attempts)
                    }
                    ChainEvent::Restarted { failure, answering: it } => {
                        text.clear();
                        let (class, model) = (failure.as_str(), &it.deployment.model_id);
                        format!("{class}: {model} after {} anew", it.attempts)
                    }
                    ChainEvent::Delta(delta) => {
                        if let Delta::Text(more) = &delta {
                            text.push_str(more.as_str());
                        }
                        deltas.push(delta);
                        continue;
                    }
                });
            }
            (text, events, deltas)
        });
        let dispatched = stream(plan, &script, 7, &events_in).await;
        drop(events_in);
        let (text, events, deltas) = reader.await.unwrap();
        Told { text, events, deltas, dispatched, script }
    }
}

impl Told {
    fn served(&self) -> &ChatResponse {
        match &self.dispatched.end {
            ChainEnd::Served { response, .. } => response,
            other => panic!("{other:?}"),
        }
    }

    fn broken(&self) -> (String, FailureClass, String) {
        let ChainEnd::Broken { deployment, class, partial } = &self.dispatched.end else {
            panic!("{:?}", self.dispatched.end)
        };
        let text = partial.text.as_ref().map_or("", |it| it.as_str()).to_owned();
        (deployment.model_id.clone(), *class, text)
    }

    fn classes(&self) -> Vec<Option<FailureClass>> {
        self.dispatched.attempts.iter().map(|it| it.failure).collect()
    }

    fn seams(&self) -> Vec<(u64, &str)> {
        self.dispatched.seams.iter().map(|it| (it.at_bytes, it.deployment.as_str())).collect()
    }

    fn begun(&self) -> Vec<(String, Option<u64>)> {
        self.script.begun.lock().unwrap().clone()
    }
}

/// The first model says half and fails; the others say the rest, or all of it when asked anew.
fn halves(class: FailureClass, wish: OnStreamFailure) -> Play {
    let rest = match wish {
        OnStreamFailure::Continue => " rest.",
        OnStreamFailure::Restart | OnStreamFailure::Error => "all.",
    };
    let whole = vec![vec![text(rest), stop()]];
    let first = vec![vec![text("half"), fails(class)], vec![text(rest), stop()]];
    Play::of(vec![first, whole.clone(), whole], wish)
}

#[tokio::test(start_paused = true)]
async fn every_class_takes_the_way_that_is_wished() {
    use FailureClass as F;
    for class in F::ALL {
        let name = class.as_str();
        // The table of `failure.md`: the same deployment again, the next one, or nobody.
        let next = match class {
            F::Connection | F::Overloaded => Some("m0"),
            F::Deadline | F::ContentFiltered | F::InvalidRequest | F::Cancelled => None,
            // Nobody has a larger window.
            F::ContextTooLong => None,
            F::RateLimited | F::FirstTokenLate | F::Stalled | F::Auth | F::ModelMissing => {
                Some("m1")
            }
            F::Unsupported | F::EmptyAnswer | F::Malformed | F::StreamCut | F::OverBudget => {
                Some("m1")
            }
        };
        let told = halves(class, OnStreamFailure::Continue).run().await;
        if let Some(model) = next {
            assert_eq!(told.text, "half rest.", "{class:?}");
            let wanted = ["m0 after 1".to_owned(), format!("{name}: {model} after 2 at 4")];
            assert_eq!(told.events, wanted);
            let response = told.served();
            assert_eq!(response.text.as_ref().unwrap().as_str(), "half rest.");
            assert_eq!(response.usage, HALF.plus(REST));
            assert_eq!(told.classes(), [Some(class), None]);
            assert_eq!(told.seams(), [(4, format!("{model}@test").as_str())]);
            assert_eq!(told.begun(), [("half".to_owned(), None)]);
        } else {
            assert_eq!(told.broken(), ("m0".into(), class, "half".into()));
        }
        let told = halves(class, OnStreamFailure::Restart).run().await;
        if let Some(model) = next {
            let wanted = ["m0 after 1".to_owned(), format!("{name}: {model} after 2 anew")];
            assert_eq!((told.text.as_str(), told.events.as_slice()), ("all.", &wanted[..]));
            let response = told.served();
            assert_eq!(response.text.as_ref().unwrap().as_str(), "all.");
            assert_eq!((response.usage, told.seams()), (REST, vec![]));
            assert_eq!(told.dispatched.usage(), HALF.plus(REST));
            assert_eq!(told.begun(), []);
        } else {
            assert_eq!(told.broken(), ("m0".into(), class, "half".into()));
        }
        let told = halves(class, OnStreamFailure::Error).run().await;
        assert_eq!(told.broken(), ("m0".into(), class, "half".into()));
        assert_eq!((told.text.as_str(), told.events.len()), ("half", 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_gone_on_with_but_not_past_the_deadline() {
    let late = |it: u64| (Duration::from_secs(it), Ok(StreamItem::Delta(Delta::Text("!".into()))));
    let rest = vec![vec![text(" rest."), stop()]];
    let silent = vec![vec![text("half"), late(16)]];
    let told = Play::of(vec![silent, rest.clone()], OnStreamFailure::Continue).run().await;
    assert_eq!(told.text, "half rest.");
    assert_eq!(told.classes(), [Some(FailureClass::Stalled), None]);
    let drip = vec![std::iter::once(text("half")).chain((0..9).map(|_| late(10))).collect()];
    for wish in [OnStreamFailure::Continue, OnStreamFailure::Restart] {
        let told = Play::of(vec![drip.clone(), rest.clone()], wish).run().await;
        let (by, class, text) = told.broken();
        assert_eq!((by.as_str(), class), ("m0", FailureClass::Deadline));
        assert_eq!((text.as_str(), told.classes().len()), (told.text.as_str(), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn two_breaks_in_a_row_are_two_seams() {
    let cut = FailureClass::StreamCut;
    let parts = ["one", " two", " three."];
    let streams = vec![
        vec![vec![text(parts[0]), fails(cut)]],
        vec![vec![text(parts[1]), fails(FailureClass::Stalled)]],
        vec![vec![text(parts[2]), stop()]],
    ];
    let told = Play::of(streams.clone(), OnStreamFailure::Continue).run().await;
    assert_eq!(told.text, parts.concat());
    assert_eq!(told.served().text.as_ref().unwrap().as_str(), parts.concat());
    assert_eq!(told.seams(), [(3, "m1@test"), (7, "m2@test")]);
    assert_eq!(told.begun(), [("one".to_owned(), None), ("one two".to_owned(), None)]);
    assert_eq!(told.served().usage, HALF.plus(HALF).plus(REST));
    let spent = Usd::new((12.0 + 12.0 + 15.0) * USD_PER_TOKEN).unwrap();
    assert_eq!(told.dispatched.cost_usd(), spent);
    let told = Play::of(streams, OnStreamFailure::Restart).run().await;
    assert_eq!((told.text.as_str(), told.events.len()), (" three.", 3));
}

#[tokio::test(start_paused = true)]
async fn only_those_who_can_go_on_are_asked_to() {
    let first = vec![vec![text("half"), fails(FailureClass::Overloaded)]];
    let rest = vec![vec![text(" rest."), stop()]];
    let mut play =
        Play::of(vec![first.clone(), rest.clone(), rest.clone()], OnStreamFailure::Continue);
    play.script.continuing = vec!["m2"];
    let told = play.run().await;
    assert_eq!(told.script.models(), ["m0", "m2"]);
    assert_eq!(told.seams(), [(4, "m2@test")]);
    let mut play = Play::of(vec![first.clone(), rest.clone()], OnStreamFailure::Continue);
    play.script.continuing = vec![];
    let told = play.run().await;
    assert_eq!(told.broken(), ("m0".into(), FailureClass::Overloaded, "half".into()));
    // Anyone can begin anew.
    let mut play = Play::of(vec![first, rest], OnStreamFailure::Restart);
    play.script.continuing = vec![];
    assert_eq!(play.run().await.text, " rest.");
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_passes_the_same_gate() {
    let cut = FailureClass::StreamCut;
    let first = vec![vec![text("half"), fails(cut)]];
    let rest = vec![vec![text(" rest."), stop()]];
    let check = async |second: Vec<Piece>, class| {
        let streams = vec![first.clone(), vec![second], rest.clone()];
        let told = Play::of(streams, OnStreamFailure::Continue).run().await;
        assert_eq!(told.text, "half rest.");
        assert_eq!(told.classes(), [Some(cut), Some(class), None]);
        assert_eq!(told.seams(), [(4, "m2@test")]);
    };
    check(vec![fails(FailureClass::Auth)], FailureClass::Auth).await;
    check(vec![text(""), fails(FailureClass::Malformed)], FailureClass::Malformed).await;
    // Half a sentence is no whole answer, whoever says so.
    check(vec![stop()], FailureClass::EmptyAnswer).await;
    let late = (Duration::from_secs(3), Ok(StreamItem::Delta(Delta::Text("late".into()))));
    check(vec![late], FailureClass::FirstTokenLate).await;
    // What broke the answer is told, not what befell those after it.
    let dead = vec![vec![fails(FailureClass::Auth)]];
    let told =
        Play::of(vec![first.clone(), dead.clone(), dead], OnStreamFailure::Continue).run().await;
    assert_eq!(told.broken(), ("m0".into(), cut, "half".into()));
    assert_eq!(told.classes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn caps_and_money_hold_for_those_who_go_on() {
    let cut = || vec![vec![text("x"), fails(FailureClass::StreamCut)]];
    for wish in [OnStreamFailure::Continue, OnStreamFailure::Restart] {
        let mut play = Play::of(vec![cut(), cut(), cut(), cut()], wish);
        let told = play.run().await;
        assert_eq!(told.script.models(), ["m0", "m1", "m2"], "three candidates");
        assert_eq!(told.broken().0, "m2");
        play = Play::of(vec![cut(), cut(), cut()], wish);
        play.policy.fallback.attempts_max = 2;
        assert_eq!(play.run().await.script.models(), ["m0", "m1"]);
        play = Play::of(vec![cut(), cut(), cut()], wish);
        // The first takes 12 tokens, and the second is expected to take 10.
        play.policy.budget.max_cost_usd = Some(Usd::new(21.0 * USD_PER_TOKEN).unwrap());
        assert_eq!(play.run().await.script.models(), ["m0"]);
    }
}

#[tokio::test(start_paused = true)]
async fn tool_calls_are_never_spliced() {
    let cut = || fails(FailureClass::StreamCut);
    let rest = vec![vec![text(" rest."), stop()]];
    let arguments = || delta(Delta::Arguments { index: 0, fragment: "{}".into() });
    for first in [vec![call(), cut()], vec![text("a"), call(), arguments(), cut()]] {
        let told = Play::of(vec![vec![first.clone()], rest.clone()], OnStreamFailure::Continue)
            .run()
            .await;
        assert_eq!(told.broken().1, FailureClass::StreamCut);
        let told = Play::of(vec![vec![first], rest.clone()], OnStreamFailure::Restart).run().await;
        assert_eq!(told.served().tool_calls, []);
    }
    // Who goes on may call.
    let calls = vec![vec![text(" then"), call(), arguments(), end(FinishReason::ToolCalls)]];
    let told = Play::of(vec![vec![vec![text("a"), cut()]], calls], OnStreamFailure::Continue);
    let told = told.run().await;
    assert_eq!((told.served().tool_calls.len(), told.text.as_str()), (1, "a then"));
}

#[tokio::test(start_paused = true)]
async fn thinking_and_logprobs_do_not_cross_the_seam() {
    let logprobs = || delta(Delta::Logprobs(Json::from(serde_json::json!({"content": [1]}))));
    let thought = |it: &str| delta(Delta::Reasoning(it.into()));
    let cut = || fails(FailureClass::StreamCut);
    let first = vec![thought("hm"), delta(Delta::ReasoningEnd(None)), logprobs(), text("a"), cut()];
    let second = vec![thought("oh"), logprobs(), text(" b."), logprobs(), stop()];
    let told = Play::of(vec![vec![first], vec![second]], OnStreamFailure::Continue).run().await;
    let response = told.served();
    assert_eq!(response.reasoning.len(), 1);
    let kept = response.logprobs.as_ref().unwrap().value()["content"].as_array().unwrap().len();
    assert_eq!((kept, told.text.as_str(), told.deltas.len()), (1, "a b.", 5));
    // A break inside the thinking leaves no text to go on from: the next one thinks for itself.
    let (first, second) = (vec![thought("hm"), cut()], vec![thought("oh"), text("b"), stop()]);
    let mut play = Play::of(vec![vec![first], vec![second]], OnStreamFailure::Continue);
    play.script.continuing = vec![];
    let told = play.run().await;
    let thoughts = told.served().reasoning.iter().map(|it| it.text.as_ref().unwrap().as_str());
    assert_eq!(thoughts.collect::<Vec<_>>(), ["hm", "oh"]);
    assert_eq!((told.seams(), told.begun()), (vec![(0, "m1@test")], vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_limit_shrinks_and_its_end_is_the_answers() {
    let cut = |usage| {
        (Duration::ZERO, Err(CallFailure { usage, ..CallFailure::of(FailureClass::StreamCut) }))
    };
    let check = async |limit, said: &str, usage, left| {
        let streams = vec![
            vec![vec![text(said), cut(usage)]],
            vec![vec![text("x"), end(FinishReason::Length)]],
        ];
        let mut play = Play::of(streams, OnStreamFailure::Continue);
        play.request.sampling.max_output_tokens = limit;
        let told = play.run().await;
        assert_eq!(told.begun()[0].1, left);
        assert_eq!(told.served().finish, FinishReason::Length);
    };
    check(None, "0123456789ab", HALF, None).await;
    check(Some(10), "0123456789ab", HALF, Some(7)).await;
    check(Some(10), "0123456789ab", REST, Some(5)).await;
    check(Some(2), "0123456789ab", Usage::default(), Some(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_only_lacked_its_end_is_whole() {
    let first = vec![vec![text("All is said."), fails(FailureClass::StreamCut)]];
    for nothing in [stop(), fails(FailureClass::EmptyAnswer)] {
        let streams = vec![first.clone(), vec![vec![nothing]]];
        let told = Play::of(streams, OnStreamFailure::Continue).run().await;
        assert_eq!(told.served().finish, FinishReason::Stop);
        assert_eq!((told.text.as_str(), told.seams()), ("All is said.", vec![(12, "m1@test")]));
    }
}

#[tokio::test(start_paused = true)]
async fn json_that_was_found_wrong_is_not_gone_on_with() {
    let first = vec![vec![text("{}"), fails(FailureClass::Malformed)]];
    let rest = vec![vec![text("{}"), stop()]];
    let mut play = Play::of(vec![first, rest], OnStreamFailure::Continue);
    play.request.response_format = ResponseFormat::JsonObject;
    assert_eq!(play.run().await.broken().1, FailureClass::Malformed);
}
