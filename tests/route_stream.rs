//! `RouteStream` over a real connection, with simulated providers behind it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use pointsman::api::proto::delta::Piece;
use pointsman::api::proto::route_event::Event;
use pointsman::api::proto::{FinishReason, RouteEvent, RouteRequest};
use support::{House, PATIENCE, ask, deployment, instant_models, prompt};
use tonic::{Code, Status};

/// Everything that a stream sent, and how it ended.
async fn told(house: &mut House, request: RouteRequest) -> (Vec<Event>, Result<(), Status>) {
    let mut stream = house.client.route_stream(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, stream.message()).await.unwrap() {
            Ok(Some(RouteEvent { event })) => events.push(event.unwrap()),
            Ok(None) => return (events, Ok(())),
            Err(status) => return (events, Err(status)),
        }
    }
}

fn text(events: &[Event]) -> String {
    let piece = |it: &Event| match it {
        Event::Delta(delta) => match &delta.piece {
            Some(Piece::Text(text)) => text.clone(),
            _ => String::new(),
        },
        _ => String::new(),
    };
    events.iter().map(piece).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_the_choice_the_answer_and_its_cost() {
    let mut house = House::start(instant_models()).await;
    let (events, ended) = told(&mut house, ask(&prompt(1))).await;
    ended.unwrap();
    let [Event::Decided(decided), Event::Answering(who), .., Event::Completed(whole)] = &events[..]
    else {
        panic!("{} events in another order", events.len())
    };
    assert_eq!(who.deployment, deployment("best"));
    assert_eq!((who.provider.as_str(), who.attempts), (support::PROVIDER, 1));
    assert!(!text(&events).is_empty());
    assert_eq!((whole.finish_reason(), &whole.message), (FinishReason::Stop, &None));
    assert_eq!(whole.decision.as_ref().unwrap().id, decided.id);
    assert!(whole.attempts[0].ttft_ms.is_some());
    let [call] = &house.simulator.calls()[..] else { panic!("not one call") };
    assert_eq!(whole.usage.unwrap().output_tokens, call.completion_tokens);
    assert!((whole.cost_usd - house.spent()).abs() < 1e-9);
    assert!(whole.outcome_recorded);
    assert_eq!(house.stored("outcome"), 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_after_the_decision() {
    let mut house = House::start(instant_models()).await;
    let mut wire = ask(&prompt(3));
    wire.budget.get_or_insert_default().max_cost_usd = Some(1e-9);
    let (events, ended) = told(&mut house, wire).await;
    let [Event::Decided(decided)] = &events[..] else { panic!("{} events", events.len()) };
    assert!(decided.ranking.is_empty() && !decided.excluded.is_empty());
    assert_eq!(ended.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(house.simulator.calls(), []);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_gets_no_stream() {
    let mut house = House::start(instant_models()).await;
    let status = house.client.route_stream(RouteRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    house.stop().await;
}
