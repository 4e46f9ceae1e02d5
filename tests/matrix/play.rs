//! One case, from one face to one protocol, and what became of it.

use std::fmt;
use std::net::SocketAddr;

use pointsman::simulator::{self, CallLog, OutputTokens, SimulatedModel};
use serde_json::Value;

use super::dialects::{Call, Dialect, Heard, Picture, Talk, Turn};
use super::{PROTOCOLS, grpc, support};

/// How a caller reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Http(Dialect),
    Grpc,
}

impl Face {
    pub(crate) const ALL: [Self; 4] = [
        Self::Http(Dialect::Chat),
        Self::Http(Dialect::Messages),
        Self::Http(Dialect::Responses),
        Self::Grpc,
    ];
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// What was asked arrived, and what was answered came back.
    Whole,
    /// Refused before anything was sent, with this class.
    Refused(String),
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => out.write_str("yes"),
            Self::Refused(class) => write!(out, "refused: `{class}`"),
        }
    }
}

/// A server with one model at each protocol.
pub(crate) struct House {
    inner: support::House,
    http: reqwest::Client,
}

const SYSTEM: &str = "You are a stationmaster.";
const RESULT: &str = "It is 21 degrees there.";

impl House {
    pub(crate) async fn start() -> Self {
        let output_tokens = OutputTokens { median: 40.0, sigma: 0.3 };
        let models = PROTOCOLS
            .map(|it| SimulatedModel { output_tokens, ..SimulatedModel::instant(it) })
            .to_vec();
        let inner = support::House::with(models, |simulator, listen, store| {
            let provider = |protocol: &&str| {
                let base_url = simulator.base_url_for(spoken(protocol));
                let key = format!("{}_KEY", protocol.to_uppercase());
                let model = format!(
                    "[[model]]\nname = \"{protocol}-model\"\nquality_prior = 0.5\n\
                     context_window = 131072\nmax_output_tokens = 4096\n\
                     abilities = [\"tools\", \"images\", \"json_object\", \"json_schema\"]\n\
                     [[model.deployment]]\nprovider = \"{protocol}-house\"\nmodel_id = \"{protocol}\"\n\
                     price = {{ input = 1.0, output = 1.0 }}\n\
                     speed = {{ ttft_ms = 20, tokens_per_s = 2000 }}\n"
                );
                format!(
                    "[[provider]]\nname = \"{protocol}-house\"\nprotocol = \"{protocol}\"\n\
                     base_url = \"{base_url}\"\napi_key_env = \"{key}\"\n{model}"
                )
            };
            let providers: String = PROTOCOLS.iter().map(provider).collect();
            format!(
                "[server]\nlisten = \"{listen}\"\n[outcomes]\nstore = \"sqlite://{}\"\n{providers}",
                store.display()
            )
        });
        Self { inner: inner.await, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) async fn stop(self) {
        drop(self.http);
        self.inner.stop().await;
    }

    pub(crate) async fn play(&self, case: &str, face: Face, protocol: &str) -> Cell {
        let seen = self.inner.simulator.calls().len();
        let user = |it| Talk { turns: vec![Turn::User(it)], ..Talk::default() };
        let call = Player { house: self, face, protocol };
        match case {
            "text" => call.text(&user("Say something.")).await,
            "system prompt" => {
                let talk = Talk { system: Some(SYSTEM), ..user("Who are you?") };
                let cell = call.text(&talk).await;
                self.last(seen, protocol, |it| assert_eq!(it.system_bytes, SYSTEM.len()));
                cell
            }
            "several turns" => {
                let mut talk = user("Count.");
                talk.turns.extend([Turn::Assistant("One."), Turn::User("And then?")]);
                let cell = call.text(&talk).await;
                self.last(seen, protocol, |it| assert_eq!(it.messages, 3));
                cell
            }
            "image by value" => self.look(call, seen, Picture::Base64).await,
            "image by URL" => self.look(call, seen, Picture::Url).await,
            "tool call and result" => call.tools(user("How warm is it in Oslo?"), 1).await,
            "parallel tools" => {
                call.tools(user("How warm is it, and how wet? Ask in parallel."), 2).await
            }
            "JSON schema" => {
                let talk = Talk { schema: true, ..user("Name a city.") };
                call.asked(&talk, |heard| {
                    let told: Value = serde_json::from_str(&heard.text).unwrap();
                    assert!(told["city"].is_string() && told["people"].is_i64(), "{told}");
                })
                .await
            }
            "stream" => {
                let talk = user("Say something long.");
                let cell = call.streamed(&talk, |heard| {
                    assert!(heard.text.len() > 20, "{heard:?}");
                });
                let cell = cell.await;
                let mut talk = user("How warm is it in Oslo?");
                talk.tools = vec!["warmth"];
                let tools = call.streamed(&talk, |heard| {
                    assert_eq!(heard.calls.len(), 1, "{heard:?}");
                    assert!(heard.calls[0].arguments["city"].is_string(), "{heard:?}");
                });
                assert_eq!(tools.await, cell);
                cell
            }
            other => panic!("no such case: {other}"),
        }
    }

    async fn look(&self, call: Player<'_>, seen: usize, picture: Picture) -> Cell {
        let turns = vec![Turn::Look("What is this?", picture)];
        let cell = call.text(&Talk { turns, ..Talk::default() }).await;
        if cell == Cell::Whole {
            self.last(seen, call.protocol, |it| assert_eq!(it.images, 1));
        } else {
            assert_eq!(self.inner.simulator.calls().len(), seen, "it was sent and refused");
        }
        cell
    }

    /// What the provider saw of the last call, in its own protocol.
    fn last(&self, seen: usize, protocol: &str, check: impl Fn(&CallLog)) {
        let calls = self.inner.simulator.calls();
        assert_eq!(calls.len(), seen + 1);
        let last = calls.last().unwrap();
        assert_eq!(last.protocol.as_str(), protocol);
        check(last);
    }
}

/// A caller of one face who asks for the model of one protocol.
#[derive(Clone, Copy)]
struct Player<'a> {
    house: &'a House,
    face: Face,
    protocol: &'a str,
}

impl Player<'_> {
    async fn text(self, talk: &Talk) -> Cell {
        self.asked(talk, |heard| {
            assert!(!heard.text.is_empty() && heard.calls.is_empty(), "{heard:?}");
        })
        .await
    }

    /// Asks, calls as many tools as are asked for, gives their results back, hears the answer.
    async fn tools(self, mut talk: Talk, count: usize) -> Cell {
        talk.tools = ["warmth", "rain"][..count].to_vec();
        let mut calls = Vec::<Call>::new();
        let first = match self.send(&talk).await {
            Ok(heard) => heard,
            Err(class) => return Cell::Refused(class),
        };
        calls.extend(first.calls);
        assert_eq!(calls.len(), count, "{calls:?}");
        assert!(calls.iter().all(|it| it.arguments["city"].is_string() && !it.id.is_empty()));
        assert!(count == 1 || calls[0].id != calls[1].id, "{calls:?}");
        let results = calls.iter().map(|it| (it.id.clone(), RESULT)).collect();
        talk.turns.extend([Turn::Calls(calls), Turn::Results(results)]);
        self.asked(&talk, |heard| assert!(heard.text.contains(RESULT), "{heard:?}")).await
    }

    async fn asked(self, talk: &Talk, check: impl Fn(&Heard)) -> Cell {
        match self.send(talk).await {
            Ok(heard) => {
                check(&heard);
                Cell::Whole
            }
            Err(class) => Cell::Refused(class),
        }
    }

    async fn streamed(self, talk: &Talk, check: impl Fn(&Heard)) -> Cell {
        match self.stream(talk).await {
            Ok(heard) => {
                check(&heard);
                Cell::Whole
            }
            Err(class) => Cell::Refused(class),
        }
    }

    fn model(self) -> String {
        format!("{}-model", self.protocol)
    }

    async fn send(self, talk: &Talk) -> Result<Heard, String> {
        match self.face {
            Face::Http(dialect) => {
                let body = dialect.body(talk, &self.model(), false);
                let response = self.post(dialect, &body).await;
                let ok = response.status().is_success();
                let told: Value = response.json().await.unwrap();
                if ok { Ok(dialect.whole(&told)) } else { Err(class_of(&told)) }
            }
            Face::Grpc => {
                let mut client = self.house.inner.client.clone();
                let answer = client.route(grpc::request(talk, &self.model())).await;
                answer.map(|it| grpc::heard(it.get_ref())).map_err(|it| grpc_class(&it))
            }
        }
    }

    async fn stream(self, talk: &Talk) -> Result<Heard, String> {
        match self.face {
            Face::Http(dialect) => {
                let body = dialect.body(talk, &self.model(), true);
                let response = self.post(dialect, &body).await;
                if !response.status().is_success() {
                    return Err(class_of(&response.json().await.unwrap()));
                }
                let text = response.text().await.unwrap();
                Ok(dialect.streamed(&events(&text)))
            }
            Face::Grpc => {
                let mut client = self.house.inner.client.clone();
                let request = grpc::request(talk, &self.model());
                let mut stream = match client.route_stream(request).await {
                    Ok(response) => response.into_inner(),
                    Err(status) => return Err(grpc_class(&status)),
                };
                let mut events = Vec::new();
                loop {
                    match stream.message().await {
                        Ok(Some(event)) => events.push(event),
                        Ok(None) => return Ok(grpc::streamed(&events)),
                        Err(status) => return Err(grpc_class(&status)),
                    }
                }
            }
        }
    }

    async fn post(self, dialect: Dialect, body: &Value) -> reqwest::Response {
        let address: SocketAddr = self.house.inner.address;
        let url = format!("http://{address}{}", dialect.path());
        self.house.http.post(url).json(body).send().await.unwrap()
    }
}

/// The simulator's name of a protocol.
fn spoken(protocol: &str) -> simulator::Dialect {
    simulator::Dialect::named(protocol).unwrap()
}

/// The events of a stream that has ended: name and data.
fn events(text: &str) -> Vec<(String, String)> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|it| it.strip_prefix(name));
        line.map(|it| it.trim_start().to_owned())
    };
    let blocks = text.split("\n\n").filter_map(|it| Some((it, field(it, "data:")?)));
    blocks.map(|(it, data)| (field(it, "event:").unwrap_or_default(), data)).collect()
}

/// The class of the one attempt that was refused.
fn class_of(told: &Value) -> String {
    let attempts = told["pointsman"]["attempts"].as_array().cloned().unwrap_or_default();
    assert_eq!(attempts.len(), 1, "{told}");
    assert_eq!(attempts[0]["status"], Value::Null, "{told}");
    attempts[0]["failure"].as_str().unwrap().to_owned()
}

fn grpc_class(status: &tonic::Status) -> String {
    let failure = support::failure_of(status);
    assert_eq!(failure.attempts.len(), 1, "{status}");
    let class = failure.attempts[0].failure().as_str_name().to_owned();
    class.trim_start_matches("FAILURE_CLASS_").to_lowercase()
}
