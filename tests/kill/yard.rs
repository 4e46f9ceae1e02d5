//! What outlives the killed: the log, the export, the artifact's folder, the providers; and the ledger
//! of what callers were told.
//!
//! In: nothing. Out: processes of the real program on the same files. Invariant: every artifact is in
//! the ledger before it is in the folder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use pointsman::simulator::Simulator;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tonic::transport::Channel;

use crate::mill::{LEARNED_AS, Mill};
use crate::support::{self, ROWS, config_text, instant_models};

const POLL: Duration = Duration::from_millis(20);

/// What callers and operators were told.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Decisions that were said to be recorded.
    pub(crate) acknowledged: Vec<String>,
    /// Decisions whose score was taken.
    pub(crate) scored: Vec<String>,
    /// Artifacts that ever were in the folder, and whom each thinks best.
    pub(crate) artifacts: BTreeMap<String, &'static str>,
    /// Answers that no such artifact can have decided.
    pub(crate) strange: Vec<String>,
    /// Swaps that a server took over.
    pub(crate) reloads: usize,
    /// Exports of another process that came to their end.
    pub(crate) exports: usize,
}

pub(crate) struct Yard {
    pub(crate) simulator: Simulator,
    mill: Mill,
    folder: TempDir,
    ledger: Mutex<Ledger>,
}

impl Yard {
    pub(crate) async fn new() -> Self {
        let simulator = support::simulator(instant_models()).await;
        let (mill, folder) = (Mill::new(), tempfile::tempdir().unwrap());
        let yard = Self { simulator, mill, folder, ledger: Mutex::default() };
        yard.swap();
        yard
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("outcomes.db")
    }

    pub(crate) fn exported(&self) -> PathBuf {
        self.folder.path().join("export")
    }

    /// Puts another artifact into the served one's place, by renaming, as `promote` does.
    pub(crate) fn swap(&self) {
        let number = self.ledger().artifacts.len();
        let (version, best) = (number.to_string(), ROWS[number % ROWS.len()].name);
        self.ledger().artifacts.insert(version.clone(), best);
        self.mill.mint("live", &version, best);
    }

    /// Starts a server for callers and operators.
    pub(crate) fn serve(&self, [callers, operators]: [SocketAddr; 2]) -> Child {
        let mut text = config_text(&self.simulator.base_url(), callers, &self.store());
        for (row, learned_as) in ROWS.iter().zip(LEARNED_AS) {
            let prior = format!("quality_prior = {}", row.quality);
            text = text.replace(&prior, &format!("learned_as = \"{learned_as}\""));
        }
        let admin = format!("admin_listen = \"{operators}\"");
        let text = text.replace("admin_listen = \"127.0.0.1:0\"", &admin);
        let (live, to) = (self.mill.at("live"), self.exported());
        let more = format!(
            "[artifact]\npath = \"{}\"\n[export]\nto = \"{}\"\nevery = \"1s\"\n",
            live.display(),
            to.display()
        );
        let config = self.folder.path().join("pointsman.toml");
        std::fs::write(&config, text + &more).unwrap();
        program(&["serve", "--config", path(&config)])
    }

    /// Starts an export by another process.
    pub(crate) fn export(&self) -> Child {
        let (log, to) = (self.store(), self.exported());
        program(&["export", "--log", path(&log), "--to", path(&to)])
    }

    pub(crate) async fn stop(self) {
        self.simulator.stop().await;
    }
}

fn path(of: &Path) -> &str {
    of.to_str().unwrap()
}

/// Killed at the latest when it is dropped.
fn program(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    // An export says that it failed; what a server says of its own is looked at in other tests.
    command.env("RUST_LOG", "off").kill_on_drop(true).spawn().unwrap()
}

/// Addresses that were free a moment ago. The server has to be told them, since its callers have to
/// know them.
pub(crate) async fn free_addresses() -> [SocketAddr; 2] {
    let both = [support::listener().await, support::listener().await];
    both.map(|it| it.local_addr().unwrap())
}

/// Connections for callers and for operators, as soon as it takes them.
pub(crate) async fn connect(
    [callers, operators]: [SocketAddr; 2],
    server: &mut Child,
) -> (Channel, Channel) {
    (connection(callers, server).await, connection(operators, server).await)
}

async fn connection(address: SocketAddr, server: &mut Child) -> Channel {
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
