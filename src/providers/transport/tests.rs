//! The sender against a real socket on loopback: answers, errors, resets, silence.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::domain::Text;
use crate::providers::fixtures::deployment;
use crate::providers::{ApiKey, Protocol};

const FAST: Duration = Duration::from_secs(5);
const ANSWER: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;

/// What the server does with the one connection it takes.
enum Behaviour {
    Sends(String),
    Hangs,
    Closes,
}

fn with_length(head: &str, length: usize, body: &str) -> Behaviour {
    Behaviour::Sends(format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}"))
}

fn answer(head: &str, body: &str) -> Behaviour {
    with_length(head, body.len(), body)
}

/// Serves one request, and gives back its bytes.
async fn serve(listener: TcpListener, behaviour: Behaviour) -> String {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("hello") {
        let mut chunk = [0; 4_096];
        let count = socket.read(&mut chunk).await.unwrap();
        assert!(count > 0, "the caller hung up");
        seen.extend_from_slice(&chunk[..count]);
    }
    match behaviour {
        Behaviour::Sends(text) => socket.write_all(text.as_bytes()).await.unwrap(),
        Behaviour::Hangs => drop(socket.read(&mut [0; 16]).await),
        Behaviour::Closes => {}
    }
    String::from_utf8_lossy(&seen).into_owned()
}

fn caller(base_url: String, key: ApiKey) -> HttpCaller {
    let name = ProviderName::new("test").unwrap();
    let provider = Provider::new(name, Protocol::OpenAi, base_url, key);
    HttpCaller::new(vec![provider]).unwrap()
}

async fn exchange(behaviour: Behaviour, limit: Duration) -> (Result<Reply, CallFailure>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, behaviour));
    let caller = caller(base_url, ApiKey::Set("sesame".to_owned().into()));
    let result = caller.call(&deployment("test"), &ChatRequest::from_prompt("hello"), limit).await;
    drop(caller);
    (result, server.await.unwrap())
}

#[tokio::test]
async fn an_answer_comes_back_and_the_request_is_whole() {
    let (result, seen) = exchange(answer("200 OK", ANSWER), FAST).await;
    let reply = result.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.response.text, Some(Text::from("hi")));
    assert!(seen.starts_with("POST /v1/chat/completions HTTP/1.1"), "{seen}");
    assert!(seen.contains("authorization: Bearer sesame"), "{seen}");
    assert!(seen.contains(r#""model":"model-1""#), "{seen}");
}

#[tokio::test]
async fn every_way_of_failing_has_its_class() {
    let check = async |behaviour, limit, class, status, retry_after| {
        let failure = exchange(behaviour, limit).await.0.unwrap_err();
        let got = (failure.class, failure.status, failure.retry_after);
        assert_eq!(got, (class, status, retry_after));
    };
    use FailureClass::{Connection, Deadline, Malformed, Overloaded, RateLimited, StreamCut};
    let pause = Some(Duration::from_secs(2));
    let limited = answer("429 Too Many Requests\r\nretry-after: 2", "{}");
    check(limited, FAST, RateLimited, Some(429), pause).await;
    check(answer("503 Unavailable", "oh no"), FAST, Overloaded, Some(503), None).await;
    check(answer("200 OK", "<html>"), FAST, Malformed, Some(200), None).await;
    let moved = answer("302 Found\r\nlocation: http://127.0.0.1:9/", "");
    check(moved, FAST, Malformed, Some(302), None).await;
    check(with_length("200 OK", 900, ANSWER), FAST, StreamCut, Some(200), None).await;
    let huge = with_length("200 OK", BODY_BYTES_MAX * 2, ANSWER);
    check(huge, FAST, Malformed, Some(200), None).await;
    check(Behaviour::Closes, FAST, Connection, None, None).await;
    check(Behaviour::Hangs, Duration::from_millis(50), Deadline, None, None).await;
}

#[tokio::test]
async fn nothing_is_sent_without_a_listener_a_key_or_a_provider() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let request = ChatRequest::from_prompt("hello");
    let missing = ApiKey::Missing { place: "KEY".into() };
    let nobody = HttpCaller::new(vec![]).unwrap();
    let table = [
        (caller(base_url.clone(), ApiKey::NotNeeded), FailureClass::Connection, true),
        (caller(base_url, missing), FailureClass::Auth, false),
        (caller("http://[".into(), ApiKey::NotNeeded), FailureClass::Auth, true),
        (nobody, FailureClass::ModelMissing, false),
    ];
    for (caller, class, unsent) in table {
        let result = caller.call(&deployment("test"), &request, FAST).await;
        assert_eq!(result, Err(CallFailure { unsent, ..CallFailure::of(class) }));
    }
}

#[test]
fn a_pause_is_read_in_seconds_milliseconds_and_dates() {
    let check = |name: &'static str, value: &str, wanted: Option<u64>| {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        assert_eq!(
            retry_after(&headers, now),
            wanted.map(Duration::from_millis),
            "{name}: {value}"
        );
    };
    check("retry-after", "2", Some(2_000));
    check("retry-after", "0.5", Some(500));
    check("retry-after-ms", "250", Some(250));
    // RFC 9110, 5.6.7: the three forms of a date. `now` is 07:28:00.
    check("retry-after", "Wed, 21 Oct 2015 07:28:03 GMT", Some(3_000));
    check("retry-after", "Wednesday, 21-Oct-15 07:29:00 GMT", Some(60_000));
    check("retry-after", "Wed Oct 21 07:28:01 2015", Some(1_000));
    check("retry-after", "Wed, 21 Oct 2015 07:27:00 GMT", Some(0));
    for bad in ["-1", "NaN", "1e300", "soon", "Wed, 99 Oct 2015 07:28:00 GMT"] {
        check("retry-after", bad, None);
    }
}

#[test]
fn no_key_is_printed() {
    let caller = caller("http://127.0.0.1:9".into(), ApiKey::Set("sesame".to_owned().into()));
    assert!(!format!("{caller:?}").contains("sesame"));
}
