//! A whole server in this process: simulated providers, the pipeline, callers' and operators' ports.
//!
//! In: models. Out: [`House`], with a client and everything a test wants to look at. Invariant: all
//! on loopback with ports that the system gives; it ends when the test says so. Not here: any
//! assertion.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pointsman::access::Gate;
use pointsman::api::proto::pointsman_client::PointsmanClient;
use pointsman::api::proto::{self, part};
use pointsman::api::{self, Life, LifeTeller, Phase};
use pointsman::config::{self, Config, KeysPlan};
use pointsman::dispatch::BreakerSettings;
use pointsman::outcome::OutcomeLog;
use pointsman::pipeline::{Artifacts, Pipeline, PipelineParts};
use pointsman::providers::HttpCaller;
use pointsman::simulator::{CallLog, OutputTokens, SimulatedModel, Simulator};
use prost::Message as _;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

/// The provider's name in the config of tests.
pub(crate) const PROVIDER: &str = "simulated";
/// The longest that anything here may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A model as the server is told of it. Qualities far apart and the preference for quality make the
/// order certain: the better is ranked first.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Its name, for callers and at the provider.
    pub(crate) name: &'static str,
    /// Believed mean quality.
    pub(crate) quality: f64,
    /// USD per million input tokens.
    pub(crate) input: f64,
    /// USD per million output tokens.
    pub(crate) output: f64,
}

/// Three models, best first.
pub(crate) const ROWS: [Row; 3] = [
    Row { name: "best", quality: 0.95, input: 3.0, output: 15.0 },
    Row { name: "middle", quality: 0.75, input: 0.5, output: 2.0 },
    Row { name: "small", quality: 0.55, input: 0.1, output: 0.4 },
];

/// The deployment's id of a model here.
pub(crate) fn deployment(name: &str) -> String {
    format!("{name}@{PROVIDER}")
}

/// A config file for [`ROWS`] behind one simulator.
pub(crate) fn config_text(base_url: &str, listen: SocketAddr, store: &Path) -> String {
    let models = ROWS.map(|Row { name, quality, input, output }| {
        format!(
            "[[model]]\nname = \"{name}\"\nquality_prior = {quality}\ncontext_window = 131072\n\
             max_output_tokens = 4096\nabilities = [\"tools\", \"json_object\"]\n\
             [[model.deployment]]\nprovider = \"{PROVIDER}\"\nmodel_id = \"{name}\"\n\
             price = {{ input = {input:?}, output = {output:?} }}\n\
             speed = {{ ttft_ms = 20, tokens_per_s = 2000 }}\n"
        )
    });
    format!(
        "[server]\nlisten = \"{listen}\"\nadmin_listen = \"127.0.0.1:0\"\n[policy]\npreference = \"quality\"\n\
         [outcomes]\nstore = \"sqlite://{}\"\nprompts = \"hash\"\n\
         [[provider]]\nname = \"{PROVIDER}\"\nprotocol = \"openai\"\nbase_url = \"{base_url}\"\n{}",
        store.display(),
        models.concat()
    )
}

/// Healthy models that answer at once, with answers of some 40 tokens.
pub(crate) fn instant_models() -> Vec<SimulatedModel> {
    let output_tokens = OutputTokens { median: 40.0, sigma: 0.3 };
    ROWS.map(|it| SimulatedModel { output_tokens, ..SimulatedModel::instant(it.name) }).to_vec()
}

/// The log's file, once everything that was acknowledged is in it.
pub(crate) fn log_file(store: &Path) -> rusqlite::Connection {
    drop(pointsman::outcome::OutcomeReader::open(store).unwrap());
    rusqlite::Connection::open(store).unwrap()
}

/// A port on loopback that the system gives.
pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

/// A simulator on a port of its own.
pub(crate) async fn simulator(models: Vec<SimulatedModel>) -> Simulator {
    Simulator::start(models, 7, listener().await)
}

/// The parts of a config put together, as `pointsman serve` does.
pub(crate) fn pipeline_of(config: Config) -> Pipeline {
    pipeline_with(config, BreakerSettings::default())
}

/// As [`pipeline_of`], with breakers of one's own.
pub(crate) fn pipeline_with(config: Config, breakers: BreakerSettings) -> Pipeline {
    let artifacts = Artifacts::open(config.artifacts.clone()).unwrap();
    let caller = HttpCaller::new(config.providers).unwrap();
    let log = OutcomeLog::open(&config.log).unwrap();
    let Config { fleet, availability, faults, learning, cache, .. } = config;
    Pipeline::new(PipelineParts {
        fleet,
        availability,
        breakers,
        artifacts,
        caller,
        log,
        faults,
        learning,
        cache,
    })
}

/// A server with a simulator behind it.
pub(crate) struct House {
    /// The providers.
    pub(crate) simulator: Simulator,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// Where its operators look.
    pub(crate) admin: SocketAddr,
    /// A connection to it.
    pub(crate) client: PointsmanClient<Channel>,
    /// The file of outcomes.
    pub(crate) store: PathBuf,
    pub(crate) life: LifeTeller,
    /// What decides; gone once the server has ended.
    pub(crate) artifacts: std::sync::Weak<Artifacts>,
    /// Who asks for keys, where the config wants it.
    pub(crate) gate: Option<Arc<Gate>>,
    served: [JoinHandle<Result<(), pointsman::api::ServeError>>; 2],
    _folder: TempDir,
}

impl House {
    /// Starts everything.
    pub(crate) async fn start(models: Vec<SimulatedModel>) -> Self {
        Self::with(models, |simulator, listen, store| {
            config_text(&simulator.base_url(), listen, store)
        })
        .await
    }

    /// Starts everything with breakers that open and close quickly.
    pub(crate) async fn hasty(models: Vec<SimulatedModel>, breakers: BreakerSettings) -> Self {
        let config = |simulator: &Simulator, listen: SocketAddr, store: &Path| {
            config_text(&simulator.base_url(), listen, store)
        };
        Self::with_breakers(models, config, breakers).await
    }

    /// Starts everything under a config that is made from the simulator, the address to listen on
    /// and the file of outcomes; every variable whose name ends in `_KEY` is set.
    pub(crate) async fn with(
        models: Vec<SimulatedModel>,
        config: impl Fn(&Simulator, SocketAddr, &Path) -> String,
    ) -> Self {
        Self::with_breakers(models, config, BreakerSettings::default()).await
    }

    /// As [`House::with`], with breakers of one's own.
    pub(crate) async fn with_breakers(
        models: Vec<SimulatedModel>,
        config: impl Fn(&Simulator, SocketAddr, &Path) -> String,
        breakers: BreakerSettings,
    ) -> Self {
        let simulator = simulator(models).await;
        let (listener, folder) = (listener().await, tempfile::tempdir().unwrap());
        let address = listener.local_addr().unwrap();
        let store = folder.path().join("outcomes.db");
        let text = config(&simulator, address, &store);
        let key = |name: &str| name.ends_with("_KEY").then(|| "house-key".to_owned());
        let config = config::from_toml(&text, &key).unwrap_or_else(|it| panic!("{it}"));
        let policy = config.defaults();
        let key = config.admin.as_ref().and_then(|it| it.key.clone());
        let gate = gate(&config.keys, address);
        let pipeline = Arc::new(pipeline_with(config, breakers));
        let artifacts = Arc::downgrade(pipeline.artifacts());
        let (teller, life) = Life::begin();
        let admin_listener = self::listener().await;
        let admin = admin_listener.local_addr().unwrap();
        let own = (Arc::clone(&pipeline), life.clone());
        let operators = api::serve_admin(admin_listener, key, own.0, own.1, gate.clone());
        let operators = tokio::spawn(operators);
        let callers = tokio::spawn(api::serve(listener, pipeline, policy, life, gate.clone()));
        let served = [callers, operators];
        let client = PointsmanClient::new(channel(address).await);
        let (life, _folder) = (teller, folder);
        Self { simulator, address, admin, client, store, life, artifacts, gate, served, _folder }
    }

    /// Rows of a table of the outcome file.
    pub(crate) fn stored(&self, table: &str) -> u64 {
        let file = log_file(&self.store);
        let count = format!("SELECT count(*) FROM {table}");
        file.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
    }

    /// What the simulator's calls cost by the price list of [`ROWS`], USD.
    pub(crate) fn spent(&self) -> f64 {
        self.simulator.calls().iter().map(price_of).sum()
    }

    /// Ends the server, then the simulator; fails when the server does not end.
    pub(crate) async fn stop(self) {
        drop(self.client);
        self.life.enter(Phase::Stopping);
        let [callers, operators] = self.served;
        tokio::time::timeout(PATIENCE, callers).await.unwrap().unwrap().unwrap();
        self.life.enter(Phase::Over);
        tokio::time::timeout(PATIENCE, operators).await.unwrap().unwrap().unwrap();
        self.simulator.stop().await;
    }
}

/// Who asks for keys, where the config wants it; looks at the store every few milliseconds.
fn gate(keys: &KeysPlan, listen: SocketAddr) -> Option<Arc<Gate>> {
    let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let clock = Arc::new(move || since().as_millis() as u64);
    let gate = Arc::new(Gate::open(&keys.store, keys.demand(listen)?, clock).unwrap());
    tokio::spawn(Gate::watch(Arc::downgrade(&gate), Duration::from_millis(10)));
    Some(gate)
}

/// A connection, once the server takes one.
pub(crate) async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_timeout(PATIENCE).connect().await.unwrap()
}

/// What one call cost by the price list of [`ROWS`], USD.
pub(crate) fn price_of(call: &CallLog) -> f64 {
    let row = ROWS.iter().find(|it| it.name == call.model_id).unwrap();
    let (input, output) = (call.prompt_tokens as f64, call.completion_tokens as f64);
    (input * row.input + output * row.output) / 1e6
}

/// A request of one user turn.
pub(crate) fn ask(text: &str) -> proto::RouteRequest {
    let part = proto::Part { content: Some(part::Content::Text(text.to_owned())) };
    let message = proto::Message { role: proto::Role::User.into(), parts: vec![part] };
    proto::RouteRequest { messages: vec![message], ..Default::default() }
}

/// A prompt that no other number gives.
pub(crate) fn prompt(number: usize) -> String {
    const KINDS: [&str; 4] = [
        "Add these numbers and explain each step",
        "Write a short letter to a neighbour about a fallen tree",
        "Name the capital cities that lie on this river",
        "Rewrite this loop so that it stops at the first match",
    ];
    format!("{}, please. Case {number}.", KINDS[number % KINDS.len()])
}

/// A plain client for the HTTP face.
pub(crate) fn http_client() -> reqwest::Client {
    // The crypto provider is the process's; a second installation is refused and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// The failure in the details of an error.
pub(crate) fn failure_of(status: &tonic::Status) -> proto::RouteFailure {
    let details = tonic_types::pb::Status::decode(status.details()).unwrap().details;
    let found = details.iter().find(|it| it.type_url.ends_with("/pointsman.v1.RouteFailure"));
    proto::RouteFailure::decode(&found.unwrap().value[..]).unwrap()
}

/// A connection, as soon as a server that is starting takes one.
pub(crate) async fn channel_when_up(address: SocketAddr) -> Channel {
    let began = std::time::Instant::now();
    loop {
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        match endpoint.connect().await {
            Ok(channel) => return channel,
            Err(error) => assert!(began.elapsed() < PATIENCE, "no server at {address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
