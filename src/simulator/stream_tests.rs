//! Streams as a client sees them, over a plain socket, in every protocol.

use std::time::Duration;

use aws_smithy_eventstream::frame::read_message_from;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

async fn start(model: SimulatedModel) -> Simulator {
    Simulator::start(vec![model], 1, TcpListener::bind("127.0.0.1:0").await.unwrap())
}

fn instant() -> SimulatedModel {
    SimulatedModel::instant("m")
}

/// How an answer is wanted.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Whole,
    Stream,
}

/// Sends a request for text, or with this body.
async fn send(simulator: &Simulator, dialect: Dialect, how: How) -> TcpStream {
    let streamed = how == How::Stream;
    let user = json!([{"role": "user", "content": "Hello"}]);
    let (path, body) = match dialect {
        Dialect::OpenAi => ("/chat/completions", json!({"model": "m", "messages": user})),
        Dialect::Anthropic => {
            ("/messages", json!({"model": "m", "max_tokens": 9999, "messages": user}))
        }
        Dialect::Gemini => {
            let path = match how {
                How::Stream => "/models/m:streamGenerateContent?alt=sse",
                How::Whole => "/models/m:generateContent",
            };
            (path, json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}))
        }
        Dialect::Ollama => ("/api/chat", json!({"model": "m", "messages": user})),
        Dialect::Bedrock => {
            let path = if streamed { "/model/m/converse-stream" } else { "/model/%6d/converse" };
            (path, json!({"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}))
        }
    };
    let mut body = body;
    if matches!(dialect, Dialect::OpenAi | Dialect::Anthropic | Dialect::Ollama) {
        body["stream"] = json!(streamed);
    }
    post(simulator, &format!("{}{path}", dialect.base_path()), &body).await
}

async fn post(simulator: &Simulator, path: &str, body: &Value) -> TcpStream {
    let mut socket = TcpStream::connect(simulator.address()).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: AWS4\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

/// How a response ended.
#[derive(Debug, PartialEq)]
enum End {
    Orderly,
    Reset,
}

struct Got {
    status: u16,
    body: Vec<u8>,
    end: End,
}

async fn read(mut socket: TcpStream) -> Got {
    let mut bytes = Vec::new();
    let outcome = timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.unwrap();
    let split = bytes.windows(4).position(|it| it == b"\r\n\r\n").map_or(0, |it| it + 4);
    let (head, mut rest) = bytes.split_at(split);
    let head = String::from_utf8_lossy(head).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    let chunked = head.contains("transfer-encoding: chunked");
    let mut ended = !chunked;
    while chunked && !ended {
        let Some(line) = rest.windows(2).position(|it| it == b"\r\n") else { break };
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        ended = len == 0;
        let to = (line + 2 + len).min(rest.len());
        body.extend_from_slice(&rest[line + 2..to]);
        rest = &rest[(to + 2).min(rest.len())..];
    }
    if !chunked {
        body = rest.to_vec();
    }
    let end = if outcome.is_ok() && ended { End::Orderly } else { End::Reset };
    Got { status, body, end }
}

async fn call(simulator: &Simulator, dialect: Dialect, how: How) -> Got {
    read(send(simulator, dialect, how).await).await
}

/// The text of every frame that parses, and how many do not.
fn frames(dialect: Dialect, body: &[u8]) -> (Vec<Value>, usize) {
    let payloads: Vec<Vec<u8>> = match dialect {
        // A whole answer is JSON; a frame begins with its length.
        Dialect::Bedrock if body.starts_with(b"{") => vec![body.to_vec()],
        Dialect::Bedrock => {
            let (mut left, mut all) = (body, Vec::new());
            while !left.is_empty() {
                all.push(read_message_from(&mut left).unwrap().payload().to_vec());
            }
            all
        }
        Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini | Dialect::Ollama => {
            let text = std::str::from_utf8(body).unwrap();
            let lines = text.lines().filter(|it| !it.is_empty() && !it.starts_with("event: "));
            let data = lines.map(|it| it.strip_prefix("data: ").unwrap_or(it));
            data.filter(|it| *it != "[DONE]").map(|it| it.as_bytes().to_vec()).collect()
        }
    };
    let all = payloads.len();
    let good: Vec<Value> =
        payloads.iter().filter_map(|it| serde_json::from_slice(it).ok()).collect();
    let bad = all - good.len();
    (good, bad)
}

fn said(dialect: Dialect, value: &Value) -> &str {
    let paths: &[&str] = match dialect {
        Dialect::OpenAi => &["/choices/0/delta/content", "/choices/0/message/content"],
        Dialect::Anthropic => &["/delta/text", "/content/0/text"],
        Dialect::Gemini => &["/candidates/0/content/parts/0/text"],
        Dialect::Ollama => &["/message/content"],
        Dialect::Bedrock => &["/delta/text", "/output/message/content/0/text"],
    };
    paths.iter().find_map(|it| value.pointer(it)?.as_str()).unwrap_or_default()
}

fn text(dialect: Dialect, body: &[u8]) -> String {
    frames(dialect, body).0.iter().map(|it| said(dialect, it)).collect()
}

fn has_end_mark(dialect: Dialect, body: &[u8]) -> bool {
    let mark = match dialect {
        Dialect::OpenAi => "data: [DONE]",
        Dialect::Anthropic => "\"message_stop\"",
        Dialect::Gemini => "\"finishReason\":\"STOP\"",
        Dialect::Ollama => "\"done\":true",
        Dialect::Bedrock => "messageStop",
    };
    String::from_utf8_lossy(body).contains(mark)
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    for dialect in Dialect::ALL {
        let simulator = start(instant()).await;
        let whole = call(&simulator, dialect, How::Whole).await;
        let stream = call(&simulator, dialect, How::Stream).await;
        assert_eq!((whole.status, stream.status), (200, 200), "{dialect:?}");
        let wanted = text(dialect, &whole.body);
        assert!(wanted.len() > 20, "{dialect:?}");
        assert_eq!(text(dialect, &stream.body), wanted, "{dialect:?}");
        assert!(has_end_mark(dialect, &stream.body) && stream.end == End::Orderly, "{dialect:?}");
        for (line, streamed) in simulator.calls().into_iter().zip([false, true]) {
            assert_eq!((line.protocol, line.streamed), (dialect, streamed));
            assert_eq!(line.delivered_tokens, line.completion_tokens, "{dialect:?}");
            assert!(!line.client_left && line.ended_at_ms.is_some());
        }
    }
}

#[tokio::test]
async fn streams_break_as_scripted() {
    let after_tokens = 6;
    for dialect in Dialect::ALL {
        let simulator = start(instant()).await;
        let whole = text(dialect, &call(&simulator, dialect, How::Whole).await.body);
        let six = &whole[..24];
        let check = async |fault: Fault, wanted: &str, bad: usize, end: End| {
            simulator.push_script("m", vec![fault]).unwrap();
            let got = call(&simulator, dialect, How::Stream).await;
            assert_eq!(got.end, end, "{dialect:?} {fault}");
            assert_eq!(frames(dialect, &got.body).1, bad, "{dialect:?} {fault}");
            assert_eq!(text(dialect, &got.body), wanted, "{dialect:?} {fault}");
            let fine = fault == Fault::Empty;
            assert_eq!(has_end_mark(dialect, &got.body), fine, "{dialect:?} {fault}");
            let line = simulator.calls().pop().unwrap();
            assert_eq!(line.delivered_tokens, wanted.len().div_ceil(4) as u64, "{fault}");
            assert!(!line.client_left && !line.right && line.ended_at_ms.is_some(), "{fault}");
            got.body
        };
        check(Fault::CutAfter { tokens: 6 }, six, 0, End::Orderly).await;
        check(Fault::CutAfter { tokens: 9999 }, &whole, 0, End::Orderly).await;
        check(Fault::NoEndMark, &whole, 0, End::Orderly).await;
        check(Fault::MalformedChunk { after_tokens }, six, 1, End::Orderly).await;
        let body = check(Fault::ErrorInStream { after_tokens }, six, 0, End::Orderly).await;
        let body = String::from_utf8_lossy(&body).to_lowercase();
        assert!(body.contains("overloaded") || body.contains("busy"), "{dialect:?}");
        check(Fault::Malformed, "", 1, End::Orderly).await;
        check(Fault::ErrorInside200, "", 0, End::Orderly).await;
        check(Fault::Empty, "", 0, End::Orderly).await;
        simulator.push_script("m", vec![Fault::ResetInBody]).unwrap();
        assert_eq!(call(&simulator, dialect, How::Stream).await.end, End::Reset, "{dialect:?}");
    }
}

#[tokio::test]
async fn whole_answers_take_the_nearest_fault() {
    for dialect in Dialect::ALL {
        let simulator = start(instant()).await;
        for fault in [Fault::CutAfter { tokens: 3 }, Fault::NoEndMark, Fault::ResetInBody] {
            simulator.push_script("m", vec![fault]).unwrap();
            let got = call(&simulator, dialect, How::Whole).await;
            assert!(serde_json::from_slice::<Value>(&got.body).is_err() && got.status == 200);
        }
        simulator.push_script("m", vec![Fault::MalformedChunk { after_tokens: 1 }]).unwrap();
        let got = call(&simulator, dialect, How::Whole).await;
        assert!(got.body.starts_with(b"<html>"));
        simulator.push_script("m", vec![Fault::ErrorInStream { after_tokens: 1 }]).unwrap();
        let got = call(&simulator, dialect, How::Whole).await;
        let error: Value = serde_json::from_slice(&got.body).unwrap();
        assert!(error.get("error").or(error.get("message")).is_some() && got.status == 200);
    }
}

#[tokio::test]
async fn refusals_have_the_status_of_their_protocol() {
    let check = async |dialect: Dialect, fault: Fault, status: u16, part: &str| {
        let simulator = start(instant()).await;
        simulator.push_script("m", vec![fault]).unwrap();
        let got = call(&simulator, dialect, How::Stream).await;
        let body = String::from_utf8_lossy(&got.body).into_owned();
        assert_eq!((got.status, body.contains(part)), (status, true), "{dialect:?} {fault} {body}");
        let log = &simulator.calls()[0];
        assert_eq!((log.status, log.prompt_tokens > 0), (Some(status), status == 200));
    };
    let status = |code| Fault::Status { code, retry_after: Some(Duration::from_millis(1500)) };
    check(Dialect::Anthropic, status(503), 529, "overloaded_error").await;
    check(Dialect::Anthropic, Fault::WrongModel, 404, "not_found_error").await;
    check(Dialect::Anthropic, Fault::ContextTooLong, 400, "prompt is too long").await;
    check(Dialect::Anthropic, Fault::ContentFilter, 200, "refusal").await;
    check(Dialect::Gemini, status(429), 429, r#""retryDelay":"1.5s""#).await;
    check(Dialect::Gemini, Fault::Auth, 400, "API_KEY_INVALID").await;
    check(Dialect::Gemini, Fault::ContentFilter, 200, "blockReason").await;
    check(Dialect::Ollama, status(503), 503, "server busy").await;
    check(Dialect::Ollama, Fault::WrongModel, 404, "not found").await;
    check(Dialect::Bedrock, status(429), 429, "Too many requests").await;
    check(Dialect::Bedrock, Fault::Auth, 403, "security token").await;
    check(Dialect::Bedrock, Fault::ContentFilter, 200, "content_filtered").await;
}

#[tokio::test]
async fn a_client_that_leaves_is_noted_with_what_it_got() {
    for (dialect, fault) in
        Dialect::ALL.map(|it| (it, Fault::Stall { after_tokens: 5 })).into_iter().chain([
            (Dialect::OpenAi, Fault::Drip),
            (Dialect::OpenAi, Fault::SlowFirstToken(Duration::from_secs(60))),
        ])
    {
        let simulator = start(instant()).await;
        simulator.push_script("m", vec![fault]).unwrap();
        let mut socket = send(&simulator, dialect, How::Stream).await;
        let mut some = [0; 64];
        assert!(socket.read(&mut some).await.unwrap() > 0);
        assert_eq!(simulator.calls()[0].ended_at_ms, None);
        drop(socket);
        let begun = Instant::now();
        while simulator.calls()[0].ended_at_ms.is_none() {
            assert!(begun.elapsed() < PATIENCE);
            tokio::task::yield_now().await;
        }
        let line = simulator.calls().remove(0);
        assert!(line.client_left, "{dialect:?} {fault}");
        assert!(line.delivered_tokens <= 5, "{dialect:?} {fault}");
        simulator.stop().await;
    }
}

#[tokio::test]
async fn tokens_come_at_the_models_speed() {
    let ttft = Duration::from_millis(40);
    let output_tokens = OutputTokens { median: 20.0, sigma: 0.0 };
    let model =
        SimulatedModel { ttft, tokens_per_s: 500.0, jitter: 0.0, output_tokens, ..instant() };
    let simulator = start(SimulatedModel { time_scale: 1.0, ..model }).await;
    let begun = Instant::now();
    let got = call(&simulator, Dialect::Ollama, How::Stream).await;
    assert!(begun.elapsed() >= ttft + Duration::from_millis(38));
    assert_eq!(frames(Dialect::Ollama, &got.body).0.len(), 21);
}

#[tokio::test]
async fn a_begun_answer_is_gone_on_with_in_every_protocol() {
    let simulator = start(instant()).await;
    let got = call(&simulator, Dialect::OpenAi, How::Whole).await;
    let whole = text(Dialect::OpenAi, &got.body);
    let (begun, rest) = whole.split_at(17);
    let turns = json!([
        {"role": "user", "content": "Hello"}, {"role": "assistant", "content": begun}]);
    let blocks = json!([{"role": "user", "content": [{"text": "Hello"}]},
        {"role": "assistant", "content": [{"text": begun}]}]);
    let parts = json!([{"role": "user", "parts": [{"text": "Hello"}]},
        {"role": "model", "parts": [{"text": begun}]}]);
    let check = async |dialect: Dialect, path: &str, body: Value| {
        let got = read(post(&simulator, path, &body).await).await;
        assert_eq!(text(dialect, &got.body), rest, "{dialect:?}");
    };
    let body = json!({"model": "m", "messages": turns, "max_tokens": 9999, "stream": true});
    check(Dialect::OpenAi, "/v1/chat/completions", body.clone()).await;
    check(Dialect::Anthropic, "/v1/messages", body.clone()).await;
    check(Dialect::Ollama, "/api/chat", body).await;
    let path = "/v1beta/models/m:streamGenerateContent?alt=sse";
    check(Dialect::Gemini, path, json!({"contents": parts})).await;
    check(Dialect::Bedrock, "/model/m/converse-stream", json!({"messages": blocks})).await;
}
