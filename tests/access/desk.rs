//! A server that wants keys, and the desk where they are made.
//!
//! In: the `[keys]` section, wishes. Out: [`Desk`], keys, answers of both faces. Invariant: a key is
//! known to the server when it is handed out.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use pointsman::access::{FreshKey, KeyRow, KeyStore, RANDOM_BYTES};
use pointsman::api::proto;
use pointsman::outcome::OutcomeRecord;
use pointsman::simulator::SimulatedModel;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{Code, Request, Status};

use crate::support::{self, House, ask, config_text, http_client, instant_models};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const RESPONSES: &str = "/v1/responses";

/// An answer: its status, headers and JSON.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }
}

/// A key that was handed out.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) text: String,
}

pub(crate) struct Desk {
    pub(crate) house: House,
    pub(crate) store: KeyStore,
    pub(crate) path: PathBuf,
    pub(crate) made: u8,
    pub(crate) _folder: Option<TempDir>,
}

impl Desk {
    /// A server that wants keys.
    pub(crate) async fn open() -> Self {
        Self::with(instant_models(), "", |text| text).await
    }

    /// The same with other models, more under `[keys]`, and the rest of its config changed.
    pub(crate) async fn with(
        models: Vec<SimulatedModel>,
        more: &str,
        change: impl Fn(String) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let house = start(models, &path, more, change).await;
        let store = KeyStore::open(&path).unwrap();
        Self { house, store, path, made: 0, _folder: Some(folder) }
    }

    /// Hands out a key.
    pub(crate) fn key(&mut self, team: &str, change: impl FnOnce(&mut KeyRow)) -> Key {
        let fresh = self.unknown_key();
        let mut row = KeyRow::new(&fresh, "test", team, 1);
        change(&mut row);
        self.store.add(&row).unwrap();
        self.refresh();
        Key { id: fresh.id.to_string(), text: fresh.text.expose_secret().to_owned() }
    }

    /// A key that the store does not have.
    pub(crate) fn unknown_key(&mut self) -> FreshKey {
        self.made += 1;
        let number = self.made;
        FreshKey::from_random(&std::array::from_fn::<u8, RANDOM_BYTES, _>(|at| number ^ at as u8))
    }

    /// The server looks at the store at once.
    pub(crate) fn refresh(&self) {
        self.house.gate.as_ref().unwrap().refresh().unwrap();
    }

    /// One request with a key in a header.
    pub(crate) async fn send(
        &self,
        path: &str,
        header: (&str, &str),
        body: Option<&Value>,
    ) -> Told {
        let url = format!("http://{}{path}", self.house.address);
        let request = match body {
            Some(body) => http_client().post(url).body(body.to_string()),
            None => http_client().get(url),
        };
        let request = request.header("content-type", "application/json");
        let request =
            if header.1.is_empty() { request } else { request.header(header.0, header.1) };
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Told { status, headers, body }
    }

    /// One request as `Bearer`.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Told {
        let shown = if key.is_empty() { String::new() } else { format!("Bearer {key}") };
        self.send(path, ("authorization", &shown), Some(body)).await
    }

    /// The same over gRPC.
    pub(crate) async fn route(
        &self,
        key: &str,
        request: proto::RouteRequest,
    ) -> Result<proto::RouteResponse, Status> {
        let mut client = self.house.client.clone();
        client.route(shown(key, request)).await.map(tonic::Response::into_inner)
    }

    /// The code of a call over gRPC, and what it is told.
    pub(crate) async fn code(&self, key: &str) -> (Code, String) {
        match self.route(key, ask("Which is heavier?")).await {
            Ok(_) => (Code::Ok, String::new()),
            Err(status) => (status.code(), status.message().to_owned()),
        }
    }

    /// A sample of `/metrics`.
    pub(crate) async fn metric(&self, sample: &str) -> f64 {
        let url = format!("http://{}/metrics", self.house.admin);
        let text = http_client().get(url).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|it| it.strip_prefix(sample));
        line.unwrap_or_else(|| panic!("no {sample}")).trim().parse().unwrap()
    }

    /// The records of the outcome file, oldest first.
    pub(crate) fn records(&self) -> Vec<OutcomeRecord> {
        let file = support::log_file(&self.house.store);
        let mut all = file.prepare("SELECT record FROM outcome ORDER BY seq").unwrap();
        let texts = all.query_map([], |row| row.get::<_, String>(0)).unwrap();
        texts.map(|it| serde_json::from_str(&it.unwrap()).unwrap()).collect()
    }
}

/// A server over a key store.
pub(crate) async fn start(
    models: Vec<SimulatedModel>,
    path: &std::path::Path,
    more: &str,
    change: impl Fn(String) -> String,
) -> House {
    House::with(models, |simulator, listen, outcomes| {
        let text = config_text(&simulator.base_url(), listen, outcomes);
        let keys = format!("[keys]\nstore = \"sqlite://{}\"\n{more}\n", path.display());
        format!("{keys}{}", change(text))
    })
    .await
}

/// A request over gRPC with a key.
pub(crate) fn shown<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !key.is_empty() {
        let value = format!("Bearer {key}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// A body that each dialect takes.
pub(crate) fn body_for(path: &str, model: &str) -> Value {
    let turn = json!([{"role": "user", "content": "Which is heavier?"}]);
    match path {
        RESPONSES => json!({"model": model, "input": "Which is heavier?"}),
        MESSAGES => json!({"model": model, "max_tokens": 100, "messages": turn}),
        _ => json!({"model": model, "messages": turn}),
    }
}

/// Seconds since 1970 UTC.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
