//! Callers of both faces, whole and streamed, who know what they should be told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pointsman::api::proto::delta::Piece;
use pointsman::api::proto::part::Content;
use pointsman::api::proto::pointsman_client::PointsmanClient;
use pointsman::api::proto::route_event::Event;
use pointsman::api::proto::{Budget, FinishReason, RouteRequest, RouteResponse};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::support::{ask, failure_of, http_client};
use super::town::{Town, Truth};

/// What every request gives: three calls that are each too slow fit into it.
const DEADLINE: Duration = Duration::from_secs(6);
/// Wrong answers that are told; more of them say no more.
const WRONG_MAX: usize = 5;

/// What callers were told.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) asked: usize,
    pub(crate) answered: usize,
    /// Of those, with more than one call.
    pub(crate) fell_back: usize,
    /// Of those, with more than one who said a part of it.
    pub(crate) switched: usize,
    /// Answers that are not the truth, in words.
    pub(crate) wrong: Vec<String>,
    /// Errors by their name.
    pub(crate) refused: BTreeMap<String, usize>,
    /// The latest answer, counted from its deadline.
    pub(crate) latest_ms: f64,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.fell_back += other.fell_back;
        self.switched += other.switched;
        self.wrong.extend(other.wrong);
        self.wrong.truncate(WRONG_MAX);
        for (name, times) in other.refused {
            *self.refused.entry(name).or_default() += times;
        }
        let unset = self.asked == other.asked;
        self.latest_ms = if unset { other.latest_ms } else { self.latest_ms.max(other.latest_ms) };
    }
}

/// An answer, or the name of the error.
type Told = Result<Answer, String>;

struct Answer {
    text: String,
    calls: usize,
    switches: usize,
}

/// One who asks again and again.
pub(crate) struct Caller {
    grpc: PointsmanClient<Channel>,
    http: reqwest::Client,
    url: String,
    truth: Truth,
    number: usize,
}

impl Caller {
    pub(crate) fn new(town: &Town, truth: Truth, number: usize) -> Self {
        let address: SocketAddr = town.house.address;
        let url = format!("http://{address}/v1/chat/completions");
        Self { grpc: town.house.client.clone(), http: http_client(), url, truth, number }
    }

    pub(crate) async fn ask_until(self, until: Instant) -> Count {
        let mut count = Count { latest_ms: f64::MIN, ..Count::default() };
        let questions: Vec<_> = self.truth.keys().cloned().collect();
        while Instant::now() < until {
            let turn = self.number * 7_919 + count.asked;
            let question = &questions[turn % questions.len()];
            let began = Instant::now();
            let told = match (self.number + count.asked) % 4 {
                0 => self.grpc_whole(question).await,
                1 => self.grpc_stream(question).await,
                2 => self.http_whole(question).await,
                _ => self.http_stream(question).await,
            };
            let late_ms = began.elapsed().as_secs_f64() * 1e3 - DEADLINE.as_secs_f64() * 1e3;
            count.latest_ms = count.latest_ms.max(late_ms);
            count.asked += 1;
            self.judge(question, told, &mut count);
        }
        count
    }

    fn judge(&self, question: &str, told: Told, count: &mut Count) {
        match told {
            Err(name) => *count.refused.entry(name).or_default() += 1,
            Ok(answer) => {
                count.answered += 1;
                count.fell_back += usize::from(answer.calls > 1);
                count.switched += usize::from(answer.switches > 0);
                let wanted = &self.truth[question];
                if answer.text != *wanted && count.wrong.len() < WRONG_MAX {
                    count.wrong.push(format!("told {:?}, wanted {wanted:?}", answer.text));
                }
            }
        }
    }

    fn wire(question: &str) -> RouteRequest {
        let max_latency_ms = Some(DEADLINE.as_secs_f64() * 1e3);
        let budget = Some(Budget { max_latency_ms, ..Budget::default() });
        RouteRequest { budget, ..ask(question) }
    }

    async fn grpc_whole(&self, question: &str) -> Told {
        match self.grpc.clone().route(Self::wire(question)).await {
            Ok(answer) => whole(answer.into_inner()),
            Err(status) => Err(failure_of(&status).reason),
        }
    }

    async fn grpc_stream(&self, question: &str) -> Told {
        let stream = self.grpc.clone().route_stream(Self::wire(question)).await;
        let mut stream = stream.map_err(|it| failure_of(&it).reason)?.into_inner();
        let (mut text, mut switches) = (String::new(), 0);
        loop {
            let event = stream.message().await.map_err(|it| failure_of(&it).reason)?;
            match event.and_then(|it| it.event) {
                Some(Event::Delta(delta)) => {
                    if let Some(Piece::Text(more)) = delta.piece {
                        text.push_str(&more);
                    }
                }
                Some(Event::Completed(it)) => {
                    let calls = it.attempts.len();
                    let ended = it.finish_reason() == FinishReason::Stop;
                    assert!(ended, "an answer without its end");
                    return Ok(Answer { text, calls, switches });
                }
                Some(Event::Switched(_)) => switches += 1,
                Some(_) => {}
                None => panic!("a stream ended without a word"),
            }
        }
    }

    async fn post(&self, question: &str, stream: bool) -> (bool, String) {
        let body = json!({
            "model": "auto",
            "stream": stream,
            "messages": [{ "role": "user", "content": question }],
            "pointsman": { "budget": { "max_latency_ms": DEADLINE.as_millis() as u64 } },
        });
        let response = self.http.post(&self.url).json(&body).send().await.unwrap();
        (response.status().is_success(), response.text().await.unwrap())
    }

    async fn http_whole(&self, question: &str) -> Told {
        let (fine, text) = self.post(question, false).await;
        let told: Value = serde_json::from_str(&text).unwrap();
        if !fine {
            return Err(told["error"]["code"].as_str().unwrap_or("unnamed").to_owned());
        }
        assert_eq!(told["choices"][0]["finish_reason"], "stop");
        let text = told["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        Ok(Answer { text, calls: calls(&told), switches: 0 })
    }

    async fn http_stream(&self, question: &str) -> Told {
        let (fine, body) = self.post(question, true).await;
        if !fine {
            let told: Value = serde_json::from_str(&body).unwrap();
            return Err(told["error"]["code"].as_str().unwrap_or("unnamed").to_owned());
        }
        let (mut text, mut last, mut switches) = (String::new(), Value::Null, 0);
        let mut events = body.split("\n\n").filter_map(|it| it.strip_prefix("data: "));
        let ended = events.any(|data| {
            if data == "[DONE]" {
                return true;
            }
            let event: Value = serde_json::from_str(data).unwrap();
            text.push_str(event["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
            switches += usize::from(event["pointsman"]["switched"].is_object());
            last = event;
            false
        });
        match last["error"]["code"].as_str() {
            Some(code) => Err(format!("broken: {code}")),
            None => {
                assert!(ended, "a stream ended without a word");
                Ok(Answer { text, calls: calls(&last), switches })
            }
        }
    }
}

fn whole(answer: RouteResponse) -> Told {
    let calls = answer.attempts.len();
    let parts = answer.message.map(|it| it.parts).unwrap_or_default();
    let text = parts.into_iter().filter_map(|it| match it.content {
        Some(Content::Text(text)) => Some(text),
        _ => None,
    });
    Ok(Answer { text: text.collect(), calls, switches: 0 })
}

fn calls(told: &Value) -> usize {
    told["pointsman"]["attempts"].as_array().map_or(0, Vec::len)
}
