//! `RouteStream`: an answer on its way, as events of the wire.
//!
//! In: a [`RoutedStream`]. Out: the decision, then what comes, then the whole answer's figures or the
//! status of what went wrong. Invariant: nothing is read ahead: an event is taken from the pipeline
//! when the transport has room for it, and dropping the stream ends the call under way. Not here:
//! checks, which are those of `Route`.

use futures_util::{StreamExt as _, future, stream};
use tonic::Status;
use tonic::codegen::BoxStream;

use super::proto::{self, delta::Piece, route_event::Event};
use super::{explain, status, to_proto};
use crate::dispatch::{Answering, ChainEvent};
use crate::domain::{Delta, Seal, Text};
use crate::pipeline::{Decision, RouteEvent, Routed, RoutedStream};

/// The events of a stream. `explain` puts its decision into words.
pub(super) fn events(routed: RoutedStream, explain: bool) -> BoxStream<proto::RouteEvent> {
    let first = event(Event::Decided(decision(&routed.decision, explain)));
    let rest = stream::unfold(Some(routed), move |left| async move {
        let mut routed = left?;
        Some(match routed.next().await {
            Ok(RouteEvent::Chain(it)) => (Ok(event(chain_event(it))), Some(routed)),
            Ok(RouteEvent::Ended(it)) => (last(&it, explain), None),
            Err(error) => (Err(status::broken(&error)), None),
        })
    });
    Box::pin(stream::once(future::ready(Ok(first))).chain(rest))
}

fn event(of: Event) -> proto::RouteEvent {
    proto::RouteEvent { event: Some(of) }
}

fn decision(of: &Decision, explain: bool) -> proto::Decision {
    let explanation = explain.then(|| explain::explanation(of));
    proto::Decision { explanation, ..to_proto::decision(of) }
}

fn last(routed: &Routed, explain: bool) -> Result<proto::RouteEvent, Status> {
    let told = to_proto::completed(routed).ok_or_else(|| status::unanswered(routed))?;
    let decision = Some(decision(&routed.decision, explain));
    Ok(event(Event::Completed(proto::RouteResponse { decision, ..told })))
}

fn chain_event(of: ChainEvent) -> Event {
    match of {
        ChainEvent::Committed(it) => Event::Answering(answering(it)),
        ChainEvent::Switched { failure, answering: it, at_bytes } => {
            Event::Switched(proto::Switched {
                failure: to_proto::failure_class(failure).into(),
                answering: Some(answering(it)),
                text_bytes: at_bytes,
            })
        }
        ChainEvent::Restarted { failure, answering: it } => Event::Restarted(proto::Restarted {
            failure: to_proto::failure_class(failure).into(),
            answering: Some(answering(it)),
        }),
        ChainEvent::Delta(it) => Event::Delta(proto::Delta { piece: Some(piece(it)) }),
    }
}

fn answering(of: Answering) -> proto::Answering {
    let Answering { deployment, attempts, dropped } = of;
    proto::Answering {
        deployment: deployment.id.to_string(),
        model: deployment.model.name.to_string(),
        provider: deployment.provider.to_string(),
        attempts: number(attempts),
        dropped_parameters: dropped,
    }
}

fn piece(of: Delta) -> Piece {
    let seal = |it: Option<Seal>| it.as_ref().map(Seal::to_wire);
    match of {
        Delta::Text(text) => Piece::Text(text.into_string()),
        Delta::Reasoning(text) => Piece::Reasoning(text.into_string()),
        Delta::ReasoningEnd(it) => Piece::ReasoningEnd(proto::ReasoningEnd { seal: seal(it) }),
        Delta::ToolCall { index, id, name, seal: it } => {
            let (index, seal) = (number(index), seal(it));
            Piece::ToolCallBegin(proto::ToolCallBegin { index, id, name, seal })
        }
        Delta::Arguments { index, fragment } => {
            let (index, fragment) = (number(index), Text::into_string(fragment));
            Piece::ToolCallArguments(proto::ToolCallArguments { index, fragment })
        }
        Delta::Logprobs(json) => Piece::LogprobsJson(json.value().to_string()),
    }
}

/// Attempts and calls are few; no count comes near the limit.
fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{mpsc, oneshot};
    use tonic::Code;

    use super::*;
    use crate::api::testing;
    use crate::domain::FailureClass;

    type Sent = Vec<Result<proto::RouteEvent, Status>>;

    fn who() -> Answering {
        let deployment = Arc::clone(&testing::fleet().deployments()[0]);
        Answering { deployment, attempts: 2, dropped: vec!["seed".into()] }
    }

    fn committed() -> ChainEvent {
        ChainEvent::Committed(who())
    }

    fn text(it: &str) -> ChainEvent {
        ChainEvent::Delta(Delta::Text(it.into()))
    }

    /// Plays a script; without an end, the task that was calling providers has died.
    async fn play(script: Vec<ChainEvent>, decision: Decision, end: Option<Routed>) -> Sent {
        let (events_in, pieces) = mpsc::channel(16);
        let (tell, telling) = oneshot::channel();
        for it in script {
            events_in.try_send(it).unwrap();
        }
        drop(events_in);
        match end {
            Some(end) => tell.send(end).unwrap(),
            None => drop(tell),
        }
        let routed = RoutedStream::scripted(decision, pieces, telling);
        events(routed, true).collect().await
    }

    fn names(sent: &Sent) -> Vec<String> {
        let name = |it: &Result<proto::RouteEvent, Status>| match it {
            Err(status) => format!("{:?}", status.code()),
            Ok(it) => match it.event.as_ref().unwrap() {
                Event::Decided(_) => "decided",
                Event::Answering(_) => "answering",
                Event::Delta(_) => "delta",
                Event::Switched(_) => "switched",
                Event::Restarted(_) => "restarted",
                Event::Completed(_) => "completed",
            }
            .to_owned(),
        };
        sent.iter().map(name).collect()
    }

    #[tokio::test]
    async fn a_whole_answer_ends_in_its_figures() {
        let script = vec![committed(), text("hel"), text("lo")];
        let end = testing::answered(testing::answer());
        let sent = play(script, end.decision.clone(), Some(end)).await;
        assert_eq!(names(&sent), ["decided", "answering", "delta", "delta", "completed"]);
        let Event::Decided(decided) = sent[0].clone().unwrap().event.unwrap() else { panic!() };
        assert!(decided.explanation().starts_with("1. small@one"));
        let Event::Answering(who) = sent[1].clone().unwrap().event.unwrap() else { panic!() };
        assert_eq!((who.deployment.as_str(), who.attempts), ("small@one", 2));
        assert_eq!(who.dropped_parameters, ["seed"]);
        let Event::Completed(told) = sent[4].clone().unwrap().event.unwrap() else { panic!() };
        assert_eq!((told.message, told.attempts.len()), (None, 1));
        assert_eq!(told.decision.unwrap(), decided);
    }

    #[tokio::test]
    async fn another_deployment_is_told_where_it_begins() {
        let failure = FailureClass::Stalled;
        let switched = ChainEvent::Switched { failure, answering: who(), at_bytes: 3 };
        let restarted = ChainEvent::Restarted { failure, answering: who() };
        let script = vec![committed(), text("hel"), switched, text("lo"), restarted];
        let end = testing::answered(testing::answer());
        let sent = play(script, end.decision.clone(), Some(end)).await;
        let wanted =
            ["decided", "answering", "delta", "switched", "delta", "restarted", "completed"];
        assert_eq!(names(&sent), wanted);
        let Event::Switched(told) = sent[3].clone().unwrap().event.unwrap() else { panic!() };
        assert_eq!((told.text_bytes, told.failure()), (3, proto::FailureClass::Stalled));
        assert_eq!(told.answering.unwrap().deployment, "small@one");
        let Event::Restarted(told) = sent[5].clone().unwrap().event.unwrap() else { panic!() };
        assert_eq!(told.failure(), proto::FailureClass::Stalled);
    }

    #[tokio::test]
    async fn what_went_wrong_ends_the_stream_in_a_status() {
        let check = async |script, end: Option<Routed>, wanted: &[&str]| {
            let decision = end.as_ref().map_or_else(testing::decided, |it| it.decision.clone());
            let sent = play(script, decision, end).await;
            assert_eq!(names(&sent), wanted);
        };
        let refused = testing::routed(testing::refused(), None);
        check(vec![], Some(refused), &["decided", "FailedPrecondition"]).await;
        let failure = crate::dispatch::ChainFailure::Exhausted;
        let failed = testing::routed(testing::decided(), Some(failure));
        check(vec![], Some(failed), &["decided", "Unavailable"]).await;
        let cut = testing::broken(FailureClass::StreamCut, testing::answer());
        let wanted = ["decided", "answering", "delta", "Unavailable"];
        check(vec![committed(), text("hello")], Some(cut), &wanted).await;
        check(vec![], None, &["decided", "Internal"]).await;
    }

    #[tokio::test]
    async fn an_unread_event_waits_and_a_reader_who_leaves_is_noticed() {
        let (events_in, pieces) = mpsc::channel(1);
        let (_tell, telling) = oneshot::channel();
        let routed = RoutedStream::scripted(testing::decided(), pieces, telling);
        let mut sent = events(routed, false);
        events_in.try_send(text("a")).unwrap();
        assert!(events_in.try_send(text("b")).is_err(), "nothing is read ahead");
        for _ in 0..2 {
            sent.next().await.unwrap().unwrap();
        }
        events_in.try_send(text("b")).unwrap();
        drop(sent);
        events_in.closed().await;
    }

    #[test]
    fn every_piece_has_its_place() {
        let check = |delta: Delta, wanted: Piece| assert!(piece(delta) == wanted);
        let sealed = testing::tool_call();
        let seal = sealed.seal.clone();
        let wire = seal.as_ref().map(Seal::to_wire);
        check(Delta::Text("a".into()), Piece::Text("a".into()));
        check(Delta::Reasoning("b".into()), Piece::Reasoning("b".into()));
        let end = proto::ReasoningEnd { seal: wire.clone() };
        check(Delta::ReasoningEnd(seal.clone()), Piece::ReasoningEnd(end));
        let (id, name) = (sealed.id, sealed.name);
        let begin =
            proto::ToolCallBegin { index: 1, id: id.clone(), name: name.clone(), seal: wire };
        check(Delta::ToolCall { index: 1, id, name, seal }, Piece::ToolCallBegin(begin));
        let fragment = proto::ToolCallArguments { index: 1, fragment: "{".into() };
        let delta = Delta::Arguments { index: 1, fragment: "{".into() };
        check(delta, Piece::ToolCallArguments(fragment));
        let json = serde_json::json!({"content": []});
        check(Delta::Logprobs(json.into()), Piece::LogprobsJson(r#"{"content":[]}"#.into()));
    }

    #[test]
    fn the_status_of_a_cut_is_no_success() {
        let cut = testing::broken(FailureClass::Stalled, testing::answer());
        assert_eq!(last(&cut, false).unwrap_err().code(), Code::Unavailable);
    }
}
