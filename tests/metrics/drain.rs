//! Stopping: the program itself, told by signals, while streams are under way.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pointsman::api::proto::pointsman_client::PointsmanClient;
use pointsman::api::proto::{RouteEvent, route_event::Event};
use pointsman::simulator::{OutputTokens, SimulatedModel, Simulator};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tonic::{Code, Status, Streaming};

use crate::support::{self, PATIENCE, ROWS, ask, config_text, http_client, prompt};

/// Streams at the same time.
const STREAMS: usize = 16;
const POLL: Duration = Duration::from_millis(20);

struct Stage {
    simulator: Simulator,
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    store: PathBuf,
    _folder: TempDir,
}

/// An address that was free a moment ago.
async fn free() -> SocketAddr {
    support::listener().await.local_addr().unwrap()
}

/// The program, before models whose answers have so many tokens, 40 a second.
async fn stage(tokens: f64, settings: &str) -> Stage {
    let output_tokens = OutputTokens { median: tokens, sigma: 0.0 };
    let slow = SimulatedModel {
        tokens_per_s: 40.0,
        time_scale: 1.0,
        output_tokens,
        ..SimulatedModel::instant("")
    };
    let models = ROWS.map(|it| SimulatedModel { model_id: it.name.to_owned(), ..slow.clone() });
    let simulator = support::simulator(models.to_vec()).await;
    let folder = tempfile::tempdir().unwrap();
    let (address, admin) = (free().await, free().await);
    let store = folder.path().join("outcomes.db");
    let text = config_text(&simulator.base_url(), address, &store);
    let text = text.replace(
        "admin_listen = \"127.0.0.1:0\"\n",
        &format!("admin_listen = \"{admin}\"\n{settings}\n"),
    );
    let config = folder.path().join("pointsman.toml");
    std::fs::write(&config, text).unwrap();
    let child = start(&config);
    Stage { simulator, child, address, admin, store, _folder: folder }
}

fn start(config: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("serve").arg("--config").arg(config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.env("RUST_LOG", "error").kill_on_drop(true).spawn().unwrap()
}

impl Stage {
    /// Streams that have begun.
    async fn streams(&self) -> Vec<Streaming<RouteEvent>> {
        let channel = support::channel_when_up(self.address).await;
        let begun = (0..STREAMS).map(|number| {
            let mut client = PointsmanClient::new(channel.clone());
            async move {
                let mut events =
                    client.route_stream(ask(&prompt(number))).await.unwrap().into_inner();
                loop {
                    let event = events.message().await.unwrap().unwrap().event.unwrap();
                    if matches!(event, Event::Delta(_)) {
                        return events;
                    }
                }
            }
        });
        join_all(begun).await
    }

    async fn terminate(&self) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(sent.success());
    }

    async fn ready(&self, at: SocketAddr) -> Option<u16> {
        let asked = http_client().get(format!("http://{at}/readyz")).send().await;
        asked.ok().map(|it| it.status().as_u16())
    }

    async fn until_unready(&self) {
        let end = Instant::now() + PATIENCE;
        while self.ready(self.admin).await == Some(200) {
            assert!(Instant::now() < end, "it stays ready");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }

    /// How the outcomes in the file ended.
    fn ends(&self) -> Vec<String> {
        let file = support::log_file(&self.store);
        let mut rows = file.prepare("SELECT ended FROM outcome").unwrap();
        let ends = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        ends.map(Result::unwrap).collect()
    }
}

/// The last event of a stream, or how it broke.
async fn last(mut events: Streaming<RouteEvent>) -> Result<Option<Event>, Status> {
    let mut last = None;
    loop {
        match events.message().await {
            Ok(Some(event)) => last = event.event,
            Ok(None) => return Ok(last),
            Err(status) => return Err(status),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_cuts_no_stream_that_ends_in_time_and_loses_no_outcome() {
    let mut stage = stage(60.0, "drain = \"40s\"\ndrain_pause = \"1s\"").await;
    let streams = stage.streams().await;
    stage.terminate().await;
    stage.until_unready().await;
    // In the pause new connections are still taken, and told to go elsewhere.
    assert_eq!(stage.ready(stage.address).await, Some(503));
    let ends =
        tokio::time::timeout(PATIENCE, join_all(streams.into_iter().map(last))).await.unwrap();
    let whole = ends.iter().filter(|it| matches!(it, Ok(Some(Event::Completed(_))))).count();
    assert_eq!(whole, STREAMS);
    assert!(stage.ended().await.success());
    assert_eq!(stage.ready(stage.address).await, None);
    assert_eq!(stage.ends(), ["served"; STREAMS]);
    stage.simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_than_the_limit_is_cut_told_and_recorded() {
    let mut stage = stage(4_000.0, "drain = \"500ms\"\ndrain_pause = \"0s\"").await;
    let streams = stage.streams().await;
    let began = Instant::now();
    stage.terminate().await;
    let ends =
        tokio::time::timeout(PATIENCE, join_all(streams.into_iter().map(last))).await.unwrap();
    // A cut answer is never passed off as a whole one.
    for end in ends {
        let status = end.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().contains("the server stopped"), "{status}");
    }
    assert!(stage.ended().await.success());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(stage.ends(), ["cancelled"; STREAMS]);
    stage.simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let mut stage = stage(4_000.0, "drain = \"10m\"").await;
    let _streams = stage.streams().await;
    stage.terminate().await;
    stage.until_unready().await;
    stage.terminate().await;
    assert!(!stage.ended().await.success());
    stage.simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_with_the_way_out() {
    let mut first = stage(40.0, "").await;
    support::channel_when_up(first.address).await;
    let taken = first.admin;
    let mut second = stage(40.0, "").await;
    second.child.kill().await.unwrap();
    let text = config_text(&second.simulator.base_url(), second.address, &second.store);
    let text = text.replace("127.0.0.1:0", &taken.to_string());
    let config = second.store.with_extension("toml");
    std::fs::write(&config, text).unwrap();
    let ended = start(&config).wait_with_output().await.unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success());
    assert!(told.contains(&format!("{taken} cannot be listened on; --admin-listen")), "{told}");
    first.terminate().await;
    assert!(first.ended().await.success());
    first.simulator.stop().await;
    second.simulator.stop().await;
}
