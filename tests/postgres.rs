//! Outcomes in a real PostgreSQL: under load, away, frozen, killed, shared.
//!
//! In: a server that `POINTSMAN_TEST_POSTGRES` names, and a program that stops and starts it
//! (tests/postgres/run.sh makes both); without them each test prints that it is skipped. Invariant:
//! what a caller was told is recorded ends up in the database exactly once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pointsman::api::proto;
use pointsman::api::proto::pointsman_client::PointsmanClient;
use pointsman::outcome::{
    LogSettings, OutcomeAccess, OutcomeError, OutcomeLog, PostgresSettings, PromptPrivacy,
    SpoolSettings, StoreSettings,
};
use support::{House, PATIENCE, ask, config_text, instant_models, prompt};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};
use tonic::transport::Channel;

const SERVER: &str = "POINTSMAN_TEST_POSTGRES";
const PASSWORD: &str = "POINTSMAN_TEST_POSTGRES_PASSWORD";
const CONTROL: &str = "POINTSMAN_TEST_POSTGRES_CONTROL";
const OUTAGE: &str = "POINTSMAN_TEST_OUTAGE_S";
/// Callers at the same time, and how long each rests between two requests.
const CALLERS: usize = 8;
const REST: Duration = Duration::from_millis(10);
/// Few prompts: their embeddings are cached, and the log is what is looked at.
const PROMPTS: usize = 32;
const POLL: Duration = Duration::from_millis(20);
/// What a request may take while the database says nothing at all: the store waits 250 ms for it
/// once, and this machine is shared.
const FROZEN_MAX: Duration = Duration::from_secs(3);

/// A database of one test, and the folder of its spools.
struct Database {
    url: String,
    folder: TempDir,
}

impl Database {
    async fn fresh(name: &str) -> Option<Self> {
        let Ok(server) = std::env::var(SERVER) else {
            eprintln!("skipped: {SERVER} names no server (see tests/postgres/run.sh)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let password = std::env::var(PASSWORD).unwrap();
        std::fs::write(folder.path().join("password"), password).unwrap();
        let first = Self { url: format!("{server}/postgres"), folder };
        let client = first.client().await;
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Some(Self { url: format!("{server}/{name}"), ..first })
    }

    async fn client(&self) -> Client {
        let mut config: tokio_postgres::Config = self.url.parse().unwrap();
        config.password(std::env::var(PASSWORD).unwrap());
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A server's config, with a spool of this name.
    fn config(&self, base_url: &str, listen: SocketAddr, spool: &str) -> String {
        let (sqlite, folder) = (PathBuf::from("FILE"), self.folder.path().display());
        let text = config_text(base_url, listen, &sqlite);
        let ours = format!(
            "store = \"{}\"\npassword_file = \"{folder}/password\"\nspool = \"{folder}/{spool}\"\n",
            self.url
        );
        text.replace("store = \"sqlite://FILE\"\n", &ours)
    }

    async fn house(&self, spool: &str) -> House {
        let config = |simulator: &pointsman::simulator::Simulator, listen, _: &std::path::Path| {
            self.config(&simulator.base_url(), listen, spool)
        };
        House::with(instant_models(), config).await
    }

    async fn count(&self, sql: &str) -> usize {
        let row = self.client().await.query_one(sql, &[]).await.unwrap();
        row.get::<_, i64>(0) as usize
    }

    /// Waits until the database has every one of these, and checks that it has each once.
    async fn wait_for(&self, acknowledged: &[String]) {
        let (client, end) = (self.client().await, Instant::now() + PATIENCE);
        let told: HashSet<&str> = acknowledged.iter().map(String::as_str).collect();
        assert_eq!(told.len(), acknowledged.len(), "two requests of one decision");
        loop {
            let rows = client.query("SELECT decision FROM outcome", &[]).await.unwrap();
            let there: Vec<String> = rows.iter().map(|it| it.get(0)).collect();
            let found: HashSet<&str> = there.iter().map(String::as_str).collect();
            assert_eq!(found.len(), there.len(), "an outcome is there twice");
            let lost = told.difference(&found).count();
            if lost == 0 {
                return;
            }
            assert!(Instant::now() < end, "{lost} of {} are lost", told.len());
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Stops, starts, freezes or thaws the server.
async fn control(what: &str) {
    let program = std::env::var(CONTROL).unwrap();
    let status = Command::new(program).arg(what).stdout(Stdio::null()).status().await.unwrap();
    assert!(status.success(), "{what}: {status}");
}

/// What callers saw.
#[derive(Default)]
struct Seen {
    acknowledged: Mutex<Vec<String>>,
    not_recorded: AtomicUsize,
    failed: AtomicUsize,
    slowest_ms: AtomicUsize,
    stop: AtomicBool,
}

impl Seen {
    fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap().clone()
    }

    async fn wait_for(&self, count: usize) {
        let end = Instant::now() + PATIENCE;
        while self.acknowledged.lock().unwrap().len() < count {
            assert!(Instant::now() < end, "not {count} answers in time");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Asks until told to stop, or until the server is gone.
fn load(channel: &Channel, seen: &Arc<Seen>) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (mut client, seen) = (PointsmanClient::new(channel.clone()), Arc::clone(seen));
        callers.spawn(async move {
            let mut number = caller;
            while !seen.stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                let Ok(answer) = client.route(ask(&prompt(number % PROMPTS))).await else {
                    seen.failed.fetch_add(1, Ordering::Relaxed);
                    return;
                };
                let took = began.elapsed().as_millis() as usize;
                seen.slowest_ms.fetch_max(took, Ordering::Relaxed);
                let answer = answer.into_inner();
                match answer.outcome_recorded {
                    true => seen.acknowledged.lock().unwrap().push(answer.decision.unwrap().id),
                    false => drop(seen.not_recorded.fetch_add(1, Ordering::Relaxed)),
                }
                number += CALLERS;
                tokio::time::sleep(REST).await;
            }
        });
    }
    callers
}

async fn rate(house: &House, decision: &str) {
    let feedback = proto::FeedbackRequest {
        decision_id: decision.to_owned(),
        score: Some(0.5),
        kind: proto::FeedbackKind::Judge.into(),
        ..Default::default()
    };
    house.client.clone().feedback(feedback).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_a_database() {
    let Some(database) = Database::fresh("shared").await else { return };
    // Both find it empty, and both want to make its tables.
    let (one, two) = tokio::join!(database.house("spool-1"), database.house("spool-2"));
    let seen = Arc::new(Seen::default());
    let channels = (support::channel(one.address).await, support::channel(two.address).await);
    let callers = [load(&channels.0, &seen), load(&channels.1, &seen)];
    seen.wait_for(200).await;
    seen.stop.store(true, Ordering::Relaxed);
    for callers in callers {
        callers.join_all().await;
    }
    let acknowledged = seen.acknowledged();
    database.wait_for(&acknowledged).await;
    // Any server takes a score for a decision of any other, and each score once.
    for _ in 0..2 {
        rate(&one, &acknowledged[0]).await;
        rate(&two, &acknowledged[0]).await;
        rate(&two, &acknowledged[1]).await;
    }
    assert_eq!(database.count("SELECT count(*) FROM feedback").await, 2);
    let outcomes = database.count("SELECT count(*) FROM outcome").await;
    assert_eq!((outcomes, seen.failed.load(Ordering::Relaxed)), (acknowledged.len(), 0));
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_under_load_fails_no_request_and_loses_nothing() {
    let Some(database) = Database::fresh("outage").await else { return };
    let outage = std::env::var(OUTAGE).ok().and_then(|it| it.parse().ok()).unwrap_or(5);
    let house = database.house("spool").await;
    let seen = Arc::new(Seen::default());
    let callers = load(&support::channel(house.address).await, &seen);
    seen.wait_for(100).await;
    control("stop").await;
    let (before, since) = (seen.acknowledged(), Instant::now());
    seen.wait_for(before.len() + 100).await;
    let during = seen.acknowledged().pop().unwrap();
    for decision in [&before[0], &during, &during] {
        rate(&house, decision).await;
    }
    tokio::time::sleep(Duration::from_secs(outage).saturating_sub(since.elapsed())).await;
    control("start").await;
    let after = seen.acknowledged().len();
    seen.wait_for(after + 100).await;
    seen.stop.store(true, Ordering::Relaxed);
    callers.join_all().await;
    let all = seen.acknowledged();
    database.wait_for(&all).await;
    let (failed, lost) = (&seen.failed, &seen.not_recorded);
    assert_eq!((failed.load(Ordering::Relaxed), lost.load(Ordering::Relaxed)), (0, 0));
    assert_eq!(database.count("SELECT count(*) FROM outcome").await, all.len());
    assert_eq!(database.count("SELECT count(*) FROM feedback").await, 2);
    let slowest = seen.slowest_ms.load(Ordering::Relaxed);
    println!("outage of {outage} s: {} requests, slowest {slowest} ms", all.len());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_holds_nobody_up() {
    let Some(database) = Database::fresh("frozen").await else { return };
    let house = database.house("spool").await;
    let seen = Arc::new(Seen::default());
    let callers = load(&support::channel(house.address).await, &seen);
    seen.wait_for(100).await;
    seen.slowest_ms.store(0, Ordering::Relaxed);
    control("freeze").await;
    let frozen = seen.acknowledged().len();
    seen.wait_for(frozen + 300).await;
    let slowest = seen.slowest_ms.load(Ordering::Relaxed);
    control("thaw").await;
    seen.stop.store(true, Ordering::Relaxed);
    callers.join_all().await;
    database.wait_for(&seen.acknowledged()).await;
    let (failed, lost) = (&seen.failed, &seen.not_recorded);
    assert_eq!((failed.load(Ordering::Relaxed), lost.load(Ordering::Relaxed)), (0, 0));
    assert!(slowest < FROZEN_MAX.as_millis() as usize, "{slowest} ms");
    println!("frozen: slowest of 300 requests {slowest} ms");
    house.stop().await;
}

/// A process under load, to be killed.
struct Server {
    process: Child,
    callers: JoinSet<()>,
}

impl Server {
    async fn start(database: &Database, base_url: &str, seen: &Arc<Seen>) -> Self {
        let address = support::listener().await.local_addr().unwrap();
        let config = database.folder.path().join("pointsman.toml");
        std::fs::write(&config, database.config(base_url, address, "spool")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("serve").arg("--config").arg(&config).env("RUST_LOG", "error");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let process = command.kill_on_drop(true).spawn().unwrap();
        let callers = load(&support::channel_when_up(address).await, seen);
        Self { process, callers }
    }

    /// SIGKILL: no handler, no destructor and no flush runs.
    async fn kill(mut self) {
        self.process.kill().await.unwrap();
        tokio::time::timeout(PATIENCE, self.callers.join_all()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_in_every_state_lose_nothing_that_was_acknowledged() {
    let Some(database) = Database::fresh("killed").await else { return };
    let simulator = support::simulator(instant_models()).await;
    let (base_url, seen) = (simulator.base_url(), Arc::new(Seen::default()));
    // There, then away, then killed.
    let server = Server::start(&database, &base_url, &seen).await;
    seen.wait_for(100).await;
    control("stop").await;
    seen.wait_for(400).await;
    server.kill().await;
    // Started while it is away, and killed.
    let server = Server::start(&database, &base_url, &seen).await;
    let so_far = seen.acknowledged().len();
    seen.wait_for(so_far + 2_000).await;
    server.kill().await;
    control("start").await;
    let counted = "SELECT count(*) FROM outcome";
    let before = database.count(counted).await;
    assert!(before < so_far, "nothing was to be in the database from while it was away");
    // Killed as soon as anything of the spool has arrived, and a little later.
    for extra in 0..3 {
        let mut arrived = database.count(counted).await;
        let server = Server::start(&database, &base_url, &seen).await;
        let end = Instant::now() + PATIENCE;
        for _ in 0..=extra {
            let before = arrived;
            while arrived == before && Instant::now() < end {
                arrived = database.count(counted).await;
            }
        }
        server.kill().await;
    }
    let server = Server::start(&database, &base_url, &seen).await;
    database.wait_for(&seen.acknowledged()).await;
    server.kill().await;
    database.wait_for(&seen.acknowledged()).await;
    println!("{} acknowledged outcomes outlived 6 kills", seen.acknowledged().len());
    simulator.stop().await;
}

fn over_tls(database: &Database) -> Result<OutcomeLog, OutcomeError> {
    let spool = SpoolSettings { path: database.folder.path().join("spool"), bytes_max: 1 << 20 };
    let password = std::env::var(PASSWORD).ok().map(Into::into);
    let url = format!("{}?sslmode=require", database.url);
    let settings = PostgresSettings::new(&url, password, spool).unwrap();
    let store = StoreSettings::Postgres(Box::new(settings));
    let (prompts, admin) = (PromptPrivacy::None, OutcomeAccess::Refused);
    OutcomeLog::open(&LogSettings { store, prompts, admin })
}

/// Runs where `SSL_CERT_FILE` names the server's certificate.
#[tokio::test]
async fn a_trusted_server_is_spoken_to_over_tls() {
    if std::env::var("SSL_CERT_FILE").is_err() {
        eprintln!("skipped: SSL_CERT_FILE names no certificate");
        return;
    }
    let Some(database) = Database::fresh("trusted").await else { return };
    let log = over_tls(&database).unwrap();
    assert!(log.status().connected, "{:?}", log.status());
    let sql = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE ssl AND application_name = 'pointsman' AND datname = 'trusted'";
    assert_eq!(database.count(sql).await, 1);
    assert_eq!(log.count().await.unwrap(), 0);
    log.close().await;
}

#[tokio::test]
async fn an_untrusted_server_is_not_spoken_to() {
    if std::env::var("SSL_CERT_FILE").is_ok() {
        return;
    }
    let Some(database) = Database::fresh("untrusted").await else { return };
    let error = over_tls(&database).err().unwrap();
    assert!(matches!(error, OutcomeError::Unusable { .. }), "{error}");
}
