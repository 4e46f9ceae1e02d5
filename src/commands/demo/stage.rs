//! Four providers and a server, all on this machine.
//!
//! In: [`Show`], prompts. Out: [`Stage`]: a client that is connected to the server. Invariant: every
//! port is one of this machine's own; the outcome log is in a folder that goes when the stage does.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;

use super::Show;
use super::cast::{self, CAST};
use super::prompts::Prompt;
use crate::api::proto;
use crate::catalog::Fleet;
use crate::commands::CommandError;
use crate::commands::assemble::{self, Served};
use crate::commands::client::{self, Client};
use crate::commands::running::{Fronts, Running};
use crate::commands::scratch::Scratch;
use crate::config::Draining;
use crate::domain::ProviderName;
use crate::pipeline::{ArtifactPlaces, FaultPolicy, Learning};
use crate::providers::{ApiKey, Provider};
use crate::ranking::Availability;
use crate::simulator::{Dialect, Simulator};

/// Where the server listens if it can: the default of `pointsman serve`.
const USUAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8080);
const USUAL_ADMIN: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8081);
const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// Nobody waits long for a demo to end; its longest calls take a few seconds.
const DRAINING: Draining = Draining { limit: Duration::from_secs(5), pause: Duration::ZERO };

/// What runs while the demo does.
pub(super) struct Stage {
    fleet: Fleet,
    artifact: String,
    address: SocketAddr,
    admin: SocketAddr,
    client: Client,
    simulators: Vec<Simulator>,
    server: Running,
    scratch: Scratch,
}

impl Stage {
    /// Starts everything. The server comes first, so that it can say how long the answers of each
    /// model are expected to be; that is how long they are made up.
    pub(super) async fn set(show: &Show, prompts: &[Prompt]) -> Result<Self, CommandError> {
        let scratch = Scratch::new()?;
        let fleet = cast::fleet()?;
        let listeners = listeners().await?;
        let artifacts = assemble::artifacts(&ArtifactPlaces::default())?;
        let artifact = artifacts.version();
        let served = Served {
            fleet: fleet.clone(),
            availability: Availability::default(),
            providers: providers(&listeners)?,
            log: scratch.log(),
            // Made-up models on loopback: whoever plays with it may also break it.
            faults: FaultPolicy::Allowed,
            learning: Learning::Off,
            cache: None,
        };
        let pipeline = assemble::pipeline(artifacts, served)?;
        let main = front(show.listen, USUAL.into()).await?;
        let any_admin = show.listen.map(|_| ANY.into());
        let admin_front = front(any_admin, USUAL_ADMIN.into()).await?;
        let (address, admin) = (main.local_addr()?, admin_front.local_addr()?);
        let fronts = Fronts { main, admin: Some((admin_front, None)), gate: None };
        let server = Running::start(fronts, pipeline, cast::policy().into());
        let mut client = client::connect(&format!("http://{address}")).await?;
        let means = mean_tokens(&mut client, prompts, &fleet).await?;
        let mut simulators = Vec::with_capacity(CAST.len());
        let parts = CAST.iter().zip(fleet.deployments()).zip(means).zip(listeners);
        for (((role, deployment), mean), listener) in parts {
            let model = cast::simulated(role, deployment, mean)?;
            simulators.push(Simulator::start(vec![model], show.seed, listener));
        }
        Ok(Self { fleet, artifact, address, admin, client, simulators, server, scratch })
    }

    pub(super) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The router artifact that predicts.
    pub(super) fn artifact(&self) -> &str {
        &self.artifact
    }

    /// Where the server listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators look.
    pub(super) fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.scratch.log_path()
    }

    /// Stops everything, and takes the log away.
    pub(super) async fn clear(self) -> Result<(), CommandError> {
        let Self { client, simulators, server, scratch, .. } = self;
        drop(client);
        let ended = server.drain(DRAINING).await;
        futures_util::future::join_all(simulators.into_iter().map(Simulator::stop)).await;
        drop(scratch);
        ended
    }
}

async fn listeners() -> Result<Vec<TcpListener>, CommandError> {
    let mut bound = Vec::with_capacity(CAST.len());
    for _ in &CAST {
        bound.push(assemble::bind(ANY.into(), "--listen").await?);
    }
    Ok(bound)
}

/// A listener where it is wanted, or else where it usually is if that is free.
async fn front(wanted: Option<SocketAddr>, usual: SocketAddr) -> Result<TcpListener, CommandError> {
    if let Some(address) = wanted {
        return assemble::bind(address, "--listen").await;
    }
    match assemble::bind(usual, "--listen").await {
        Ok(listener) => Ok(listener),
        Err(_) => assemble::bind(ANY.into(), "--listen").await,
    }
}

fn providers(listeners: &[TcpListener]) -> Result<Vec<Provider>, CommandError> {
    let provider = |(role, listener): (&cast::Role, &TcpListener)| {
        let name = ProviderName::new(role.provider)?;
        let spoken = Dialect::named(role.protocol.as_str());
        let path = spoken.map_or("", Dialect::base_path);
        let base_url = format!("http://{}{path}", listener.local_addr()?);
        // Not a secret: a made-up provider takes any.
        let key = ApiKey::Set("demo".to_owned().into());
        Ok(Provider::new(name, role.protocol, base_url, key))
    };
    CAST.iter().zip(listeners).map(provider).collect()
}

/// Expected length of each model's answers to these prompts, in the order of the fleet.
async fn mean_tokens(
    client: &mut Client,
    prompts: &[Prompt],
    fleet: &Fleet,
) -> Result<Vec<f64>, CommandError> {
    let requests = prompts.iter().map(|it| it.request.clone()).collect();
    let batch = proto::RankBatchRequest { requests };
    let ranked = client.rank_batch(batch).await?.into_inner().responses;
    let all: Vec<_> = ranked.iter().filter_map(|it| it.decision.as_ref()).collect();
    let mean = |id: &str| {
        let own = all.iter().flat_map(|it| &it.ranking).filter(|it| it.deployment == id);
        let tokens: Vec<_> =
            own.filter_map(|it| it.prediction).map(|it| it.output_tokens).collect();
        tokens.iter().sum::<f64>() / tokens.len().max(1) as f64
    };
    Ok(fleet.deployments().iter().map(|it| mean(it.id.as_str())).collect())
}
