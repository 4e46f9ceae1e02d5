//! A whole server around the world's six models: simulated providers, both faces, export, training.
//!
//! In: a folder with nothing in it. Out: [`House`]. Invariant: the server runs from the first request to
//! the last, whatever is trained, put in place and reloaded meanwhile; all on loopback, on ports that
//! the system gives. Not here: who is good at what.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use pointsman::api::proto::ReloadArtifactRequest;
use pointsman::api::proto::pointsman_admin_client::PointsmanAdminClient;
use pointsman::api::proto::pointsman_client::PointsmanClient;
use pointsman::api::{self, Life, LifeTeller, Phase};
use pointsman::config::{self, Config};
use pointsman::dispatch::BreakerSettings;
use pointsman::encoder::Encoder;
use pointsman::outcome::{Destination, Exported, Exporter, OutcomeLog};
use pointsman::pipeline::{Artifacts, Pipeline, PipelineParts};
use pointsman::prediction::Artifact;
use pointsman::providers::HttpCaller;
use pointsman::simulator::{OutputTokens, SimulatedModel, Simulator};
use pointsman_training::make::save;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::world::MODELS;

/// The longest that anything here may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tokens of an answer; longer ones would only take time.
const ANSWER_TOKENS: f64 = 40.0;

/// A server, and the files that it and the training share.
pub(crate) struct House {
    pub(crate) client: PointsmanClient<Channel>,
    admin: PointsmanAdminClient<Channel>,
    exporter: Exporter,
    simulator: Simulator,
    life: LifeTeller,
    served: [JoinHandle<Result<(), api::ServeError>>; 2],
    folder: TempDir,
}

/// How a run of `pointsman-train` ended.
#[derive(Debug)]
pub(crate) struct Trained {
    pub(crate) code: Option<i32>,
    pub(crate) told: String,
}

impl House {
    /// Starts everything with the shipped artifact in the served folder; requests give up so much to
    /// learn.
    pub(crate) async fn start(given_up: f64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let shipped = Artifact::shipped(&Encoder::shipped().expect("an encoder"));
        save(&shipped.expect("an artifact"), "", &path("live")).expect("it is written");
        let simulator = Simulator::start(models(), 7, listener().await);
        let (callers, operators) = (listener().await, listener().await);
        let addresses = [&callers, &operators].map(|it| it.local_addr().expect("an address"));
        let text = format!(
            "[server]\nlisten = \"{}\"\n[outcomes]\nstore = \"sqlite://{}\"\n[artifact]\npath = \"{}\"\n\
             [exploration]\nutility_given_up = {given_up}\n[[provider]]\nname = \"here\"\nprotocol = \
             \"openai\"\nbase_url = \"{}\"\n{}",
            addresses[0],
            path("outcomes.db").display(),
            path("live").display(),
            simulator.base_url(),
            MODELS.map(model).concat()
        );
        let config = config::from_toml(&text, &|_| None).unwrap_or_else(|it| panic!("{it}"));
        let policy = config.policy.clone();
        let pipeline = Arc::new(pipeline(config));
        let to = Destination::open(path("export").to_str().expect("UTF-8")).expect("a place");
        let exporter = Exporter::open(pipeline.log().store(), to).expect("a log");
        let (life, seen) = Life::begin();
        let own = (Arc::clone(&pipeline), seen.clone());
        let served = [
            tokio::spawn(api::serve(callers, pipeline, policy, seen, None)),
            tokio::spawn(api::serve_admin(operators, None, own.0, own.1, None)),
        ];
        let client = PointsmanClient::new(channel(addresses[0]).await);
        let admin = PointsmanAdminClient::new(channel(addresses[1]).await);
        Self { client, admin, exporter, simulator, life, served, folder }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as an argument.
    pub(crate) fn place(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// Exports what is new, while the server goes on.
    pub(crate) async fn export(&self) -> Exported {
        self.exporter.run(|_| ()).await.expect("it is exported")
    }

    /// Runs `pointsman-train`.
    pub(crate) async fn train(&self, args: &[&str]) -> Trained {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman-train"));
        command.args(args);
        let ran = tokio::task::spawn_blocking(move || command.output());
        let output = ran.await.expect("it runs").expect("it starts");
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        Trained { code: output.status.code(), told }
    }

    /// Lets the server look at its folder; whether another artifact serves now, and which does.
    pub(crate) async fn reload(&mut self) -> (bool, String) {
        let told = self.admin.reload_artifact(ReloadArtifactRequest {}).await;
        let told = told.expect("nothing is refused").into_inner();
        let served = told.status.and_then(|it| it.served).and_then(|it| it.now);
        (told.changed, served.expect("somebody serves").version)
    }

    /// Ends everything.
    pub(crate) async fn stop(self) {
        drop((self.client, self.admin));
        self.life.enter(Phase::Stopping);
        let [callers, operators] = self.served;
        ended(callers).await;
        self.life.enter(Phase::Over);
        ended(operators).await;
        self.simulator.stop().await;
    }
}

async fn ended(task: JoinHandle<Result<(), api::ServeError>>) {
    let ended = tokio::time::timeout(PATIENCE, task).await.expect("it ends in time");
    ended.expect("no panic").expect("it served");
}

async fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.expect("a port")
}

async fn channel(address: std::net::SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect_timeout(PATIENCE).connect().await.expect("it listens")
}

/// Healthy models that answer at once; how good an answer is depends on the prompt, which they do not
/// know: the caller's critic does.
fn models() -> Vec<SimulatedModel> {
    let output_tokens = OutputTokens { median: ANSWER_TOKENS, sigma: 0.0 };
    MODELS.map(|it| SimulatedModel { output_tokens, ..SimulatedModel::instant(it) }).to_vec()
}

/// A model of the catalog at the simulated provider.
fn model(name: &str) -> String {
    format!(
        "[[model]]\nname = \"{name}\"\n[[model.deployment]]\nprovider = \"here\"\nmodel_id = \"{name}\"\n"
    )
}

fn pipeline(config: Config) -> Pipeline {
    let Config { fleet, availability, faults, learning, artifacts, providers, log, .. } = config;
    Pipeline::new(PipelineParts {
        fleet,
        availability,
        breakers: BreakerSettings::default(),
        artifacts: Artifacts::open(artifacts).expect("the artifact"),
        caller: HttpCaller::new(providers).expect("a client"),
        log: OutcomeLog::open(&log).expect("a log"),
        faults,
        learning,
        cache: None,
    })
}
