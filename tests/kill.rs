//! No acknowledged outcome is lost when the server is killed in the middle of its work.
//!
//! A real process under load is killed with SIGKILL; what it told its callers was recorded has to
//! be in the file, and the next process has to start from that file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pointsman::api::proto::pointsman_client::PointsmanClient;
use pointsman::domain::DecisionId;
use pointsman::outcome::{LogSettings, OutcomeLog, PromptPrivacy};
use support::{ask, config_text, instant_models, prompt};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tonic::transport::Channel;

/// Callers at the same time.
const CALLERS: usize = 16;
/// Acknowledged answers before the kill.
const ACKNOWLEDGED_MIN: usize = 300;
/// Starts and kills, all on one file.
const ROUNDS: usize = 2;
/// Most requests of one caller: what ends it if the kill never comes.
const REQUESTS_MAX: usize = 10_000;
const POLL: Duration = Duration::from_millis(20);

type Acknowledged = Arc<Mutex<Vec<String>>>;

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_outcomes_survive_sigkill() {
    let simulator = support::simulator(instant_models()).await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("outcomes.db");
    let acknowledged = Acknowledged::default();
    for round in 1..=ROUNDS {
        let address = free_address().await;
        let config = folder.path().join("pointsman.toml");
        std::fs::write(&config, config_text(&simulator.base_url(), address, &store)).unwrap();
        let mut server = start(&config);
        let channel = connect(address, &mut server).await;
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(call_until_it_fails(channel.clone(), caller, acknowledged.clone()));
        }
        wait_for(&acknowledged, round * ACKNOWLEDGED_MIN).await;
        // SIGKILL: no handler, no destructor and no flush runs.
        server.kill().await.unwrap();
        tokio::time::timeout(support::PATIENCE, callers.join_all()).await.unwrap();
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    assert!(acknowledged.len() >= ROUNDS * ACKNOWLEDGED_MIN);
    let log = OutcomeLog::open(&LogSettings::sqlite(store, PromptPrivacy::Hash)).unwrap();
    let mut lost = Vec::new();
    for id in &acknowledged {
        let record = log.get(DecisionId::parse(id).unwrap()).await.unwrap();
        if !record.is_some_and(|it| it.decision.to_string() == *id && !it.attempts.is_empty()) {
            lost.push(id);
        }
    }
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    log.close().await;
    simulator.stop().await;
}

/// An address that was free a moment ago. The server has to be told one, since its callers have to
/// know it.
async fn free_address() -> SocketAddr {
    support::listener().await.local_addr().unwrap()
}

fn start(config: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("serve").arg("--config").arg(config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    command.env("RUST_LOG", "error").kill_on_drop(true).spawn().unwrap()
}

async fn connect(address: SocketAddr, server: &mut Child) -> Channel {
    let end = Instant::now() + support::PATIENCE;
    loop {
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        if let Ok(channel) = endpoint.connect().await {
            return channel;
        }
        let ended = server.try_wait().unwrap();
        assert!(ended.is_none(), "the server ended before it served: {ended:?}");
        assert!(Instant::now() < end, "the server does not listen on {address}");
        tokio::time::sleep(POLL).await;
    }
}

async fn call_until_it_fails(channel: Channel, caller: usize, acknowledged: Acknowledged) {
    let mut client = PointsmanClient::new(channel);
    for number in 0..REQUESTS_MAX {
        let wire = ask(&prompt(caller * REQUESTS_MAX + number));
        // The first error is the kill: nothing was acknowledged, so nothing can be lost.
        let Ok(answer) = client.route(wire).await else { return };
        let answer = answer.into_inner();
        if let Some(decision) = answer.decision.filter(|_| answer.outcome_recorded) {
            acknowledged.lock().unwrap().push(decision.id);
        }
    }
}

async fn wait_for(acknowledged: &Acknowledged, count: usize) {
    let end = Instant::now() + support::PATIENCE;
    loop {
        let now = acknowledged.lock().unwrap().len();
        if now >= count {
            return;
        }
        if Instant::now() > end {
            panic!("only {now} answers of {count} were acknowledged in time");
        }
        tokio::time::sleep(POLL).await;
    }
}
