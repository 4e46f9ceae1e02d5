//! What each protocol's decoder makes of the failures in its own words; nobody is contacted.

use std::sync::Arc;

use tokio::time::Instant;

use super::*;
use crate::domain::{ChatRequest, FaultTarget, ForcedFault, Probability, ProviderName};
use crate::providers::fixtures::deployment;
use crate::providers::{
    ApiKey, Armed, Caller, DeltaStream, Drill, HttpCaller, Provider, StreamItem,
};

/// A caller whose provider is not there: whoever contacts it has no connection.
fn caller(protocol: Protocol, fault: Fault) -> HttpCaller {
    let name = ProviderName::new("test").unwrap();
    let nowhere = "http://127.0.0.1:1".to_owned();
    let provider = Provider::new(name, protocol, nowhere, ApiKey::NotNeeded);
    let (target, probability) = (FaultTarget::All, Probability::ONE);
    let forced = ForcedFault { target, fault, times: None, probability };
    let drill = Drill::new(vec![Armed::new(forced)], 1);
    HttpCaller::new(vec![provider]).unwrap().drilled(Arc::new(drill))
}

async fn whole(protocol: Protocol, fault: Fault) -> CallFailure {
    let request = ChatRequest::from_prompt("hello");
    let limit = SILENCE_MAX * 2;
    let called = caller(protocol, fault).call(&deployment("test"), &request, limit).await;
    called.unwrap_err()
}

async fn streamed(protocol: Protocol, fault: Fault) -> CallFailure {
    let request = ChatRequest::from_prompt("hello");
    let mut stream = match caller(protocol, fault).open(&deployment("test"), &request).await {
        Ok(stream) => stream,
        Err(failure) => return failure,
    };
    loop {
        match stream.next().await {
            Ok(StreamItem::Delta(delta)) => assert!(!delta.is_content(), "{fault}"),
            // An empty stream ends well; the chain asks for content.
            Ok(StreamItem::End(_)) => {
                let status = Some(stream.status());
                return CallFailure { status, ..CallFailure::of(FailureClass::EmptyAnswer) };
            }
            Err(failure) => return failure,
        }
    }
}

async fn check(fault: Fault, class: FailureClass) {
    for protocol in Protocol::ALL {
        let (one, many) = (whole(protocol, fault).await, streamed(protocol, fault).await);
        assert_eq!(one.class, class, "{fault} {protocol:?}");
        assert_eq!(many.class, class, "{fault} {protocol:?} streamed");
        assert_eq!(one.status, many.status, "{fault} {protocol:?}");
        assert_eq!((one.usage, many.usage), Default::default(), "{fault} costs nothing");
    }
}

fn status(code: u16) -> Fault {
    Fault::Status { code, retry_after: None }
}

#[tokio::test(start_paused = true)]
async fn every_protocol_recognises_its_own_failures() {
    use FailureClass::*;
    check(status(400), InvalidRequest).await;
    check(status(401), Auth).await;
    check(status(402), Auth).await;
    check(status(403), Auth).await;
    check(status(404), ModelMissing).await;
    check(status(408), Overloaded).await;
    check(status(413), ContextTooLong).await;
    check(status(422), InvalidRequest).await;
    check(status(429), RateLimited).await;
    check(status(500), Overloaded).await;
    check(status(503), Overloaded).await;
    check(status(529), Overloaded).await;
    check(Fault::ContextTooLong, ContextTooLong).await;
    check(Fault::WrongModel, ModelMissing).await;
    check(Fault::Auth, Auth).await;
    check(Fault::Quota, Auth).await;
    check(Fault::Unsupported, Unsupported).await;
    check(Fault::Empty, EmptyAnswer).await;
    check(Fault::Malformed, Malformed).await;
    check(Fault::ErrorInside200, Overloaded).await;
    check(Fault::Reset, Connection).await;
    check(Fault::Hang, Connection).await;
}

#[tokio::test]
async fn a_filter_is_a_filter_where_the_protocol_has_one() {
    for protocol in Protocol::ALL {
        // Ollama has no word for it.
        let wanted = match protocol {
            Protocol::Ollama => FailureClass::InvalidRequest,
            _ => FailureClass::ContentFiltered,
        };
        assert_eq!(whole(protocol, Fault::ContentFilter).await.class, wanted, "{protocol:?}");
        assert_eq!(streamed(protocol, Fault::ContentFilter).await.class, wanted, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_pause_that_is_asked_for_arrives() {
    let pause = Duration::from_millis(1_500);
    let fault = Fault::Status { code: 429, retry_after: Some(pause) };
    for protocol in Protocol::ALL {
        assert_eq!(whole(protocol, fault).await.retry_after, Some(pause), "{protocol:?}");
        assert_eq!(streamed(protocol, fault).await.retry_after, Some(pause), "{protocol:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_whole_answer_is_asked_of_nobody() {
    let check = async |fault: Fault, class: FailureClass, status: Option<u16>, waits: Duration| {
        for protocol in Protocol::ALL {
            let began = Instant::now();
            let failure = whole(protocol, fault).await;
            assert_eq!((failure.class, failure.status), (class, status), "{fault} {protocol:?}");
            assert!((waits..waits + Duration::from_secs(1)).contains(&began.elapsed()), "{fault}");
        }
    };
    let (at_once, ok) = (Duration::ZERO, Some(200));
    check(Fault::ResetInBody, FailureClass::StreamCut, ok, at_once).await;
    check(Fault::CutAfter { tokens: 3 }, FailureClass::StreamCut, ok, at_once).await;
    check(Fault::NoEndMark, FailureClass::StreamCut, ok, at_once).await;
    check(Fault::MalformedChunk { after_tokens: 3 }, FailureClass::Malformed, ok, at_once).await;
    check(Fault::ErrorInStream { after_tokens: 3 }, FailureClass::Overloaded, ok, at_once).await;
    check(Fault::Stall { after_tokens: 3 }, FailureClass::Connection, None, SILENCE_MAX).await;
}

#[tokio::test(start_paused = true)]
async fn what_needs_an_answer_asks_the_provider() {
    // It is not there, so the connection fails: late where lateness was asked for.
    let began = Instant::now();
    let late = Fault::SlowFirstToken(Duration::from_secs(3));
    assert_eq!(whole(Protocol::OpenAi, late).await.class, FailureClass::Connection);
    assert!(began.elapsed() >= Duration::from_secs(3));
    for fault in [Fault::Drip, Fault::Stall { after_tokens: 1 }, Fault::NoEndMark] {
        let failure = streamed(Protocol::OpenAi, fault).await;
        assert_eq!((failure.class, failure.status), (FailureClass::Connection, None), "{fault}");
    }
}
