//! `pointsman serve`: the server, until it is told to stop.
//!
//! In: a config file or the environment. Out: what was found, where it listens; then logs.
//! Invariant: everything is read and opened before the ports are bound; Ctrl-C and SIGTERM let
//! requests under way end (bounded; see [`super::running`]), a second one ends everything at once. Not
//! here: what is done beside serving (see `chores`).

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::args::{AdminListen, ServeArgs};
use super::assemble::{self, Served};
use super::chores::Chores;
use super::running::{Fronts, Running};
use super::stop::{Signal, Signals};
use super::{CommandError, artifact};
use crate::access::{self, Demand, Gate};
use crate::config::{self, AdminListener, Config, Draining, KeysPlan};
use crate::pipeline::{Artifacts, WATCH_EVERY};

pub(super) async fn serve(args: &ServeArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = assemble::config(args.config.as_deref())?;
    let admin = admin(args, &config)?;
    let artifacts = assemble::artifacts(&config.artifacts)?;
    let listen = args.listen.unwrap_or(config.listen);
    for line in &config.found {
        writeln!(out, "{line}")?;
    }
    for line in artifact::summary(&artifacts.status()) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "encoder: {}", artifacts.encoder().name())?;
    writeln!(out, "outcomes: {}", config.log.store)?;
    let defaults = config.defaults();
    let served = Served {
        fleet: config.fleet,
        availability: config.availability,
        providers: config.providers,
        log: config.log,
        faults: config.faults,
        learning: config.learning,
        cache: config.cache,
    };
    let pipeline = assemble::pipeline(artifacts, served)?;
    let chores = Chores::of(pipeline.log(), &config.keeping)?;
    for line in chores.found() {
        writeln!(out, "{line}")?;
    }
    let gate = gate(&config.keys, listen, out)?;
    let fronts = Fronts { gate: gate.clone(), ..bind(listen, admin, out).await? };
    let mut signals = Signals::listen()?;
    let (tell, stopping) = watch::channel(false);
    let watched = Arc::downgrade(pipeline.artifacts());
    let watching = AbortOnDropHandle::new(tokio::spawn(Artifacts::watch(watched, WATCH_EVERY)));
    let keys = gate.as_ref().map(|it| Gate::watch(Arc::downgrade(it), access::WATCH_EVERY));
    let keys = keys.map(|it| AbortOnDropHandle::new(tokio::spawn(it)));
    let chores = AbortOnDropHandle::new(tokio::spawn(chores.run(stopping)));
    let mut running = Running::start(fronts, pipeline, defaults);
    let signal = tokio::select! {
        signal = signals.next() => signal,
        error = running.failed() => return Err(error),
    };
    tracing::info!(?signal, "stopping: requests under way may end; a second signal ends them");
    tell.send_replace(true);
    let ended = tokio::select! {
        drained = running.drain(draining(config.draining, signal)) => drained,
        _ = signals.next() => Err(CommandError::CutShort),
    };
    // They may be dropped at any moment.
    drop((chores, watching, keys));
    if let Some(gate) = gate {
        gate.settle().await;
    }
    ended
}

/// The admin listener, where the command line put it.
fn admin(args: &ServeArgs, config: &Config) -> Result<Option<AdminListener>, CommandError> {
    let Some(wanted) = args.admin_listen else { return Ok(config.admin.clone()) };
    let AdminListen(Some(listen)) = wanted else { return Ok(None) };
    let key = config.admin.as_ref().and_then(|it| it.key.clone());
    config::admin_may_listen(listen, key.as_ref())
        .map_err(|it| CommandError::AdminListen(it.to_string()))?;
    Ok(Some(AdminListener { listen, key }))
}

async fn bind(
    listen: SocketAddr,
    admin: Option<AdminListener>,
    out: &mut dyn Write,
) -> Result<Fronts, CommandError> {
    let main = assemble::bind(listen, "--listen").await?;
    let address = main.local_addr()?;
    let admin = match admin {
        None => None,
        Some(AdminListener { listen, key }) => {
            let admin = assemble::bind(listen, "--admin-listen (also `off`)").await?;
            let place = admin.local_addr()?;
            let asks = if key.is_some() { "asks for its key" } else { "asks for no key" };
            writeln!(out, "admin: http://{place}/metrics and gRPC; {asks}")?;
            Some((admin, key))
        }
    };
    writeln!(out, "listening on http://{address} (gRPC without TLS); Ctrl-C stops")?;
    out.flush()?;
    Ok(Fronts { main, admin, gate: None })
}

/// Nobody has to notice that a terminal's server leaves.
fn draining(of: Draining, signal: Signal) -> Draining {
    match signal {
        Signal::Interrupt => Draining { pause: std::time::Duration::ZERO, ..of },
        Signal::Terminate => of,
    }
}

/// Where callers show their keys, if they have to there.
fn gate(
    keys: &KeysPlan,
    listen: SocketAddr,
    out: &mut dyn Write,
) -> Result<Option<Arc<Gate>>, CommandError> {
    let demand = keys.demand(listen);
    warn_unless_loopback(listen, demand);
    let Some(demand) = demand else { return Ok(None) };
    let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let gate = Gate::open(&keys.store, demand, Arc::new(move || since().as_millis() as u64))?;
    let asked = match demand {
        Demand::Required => "required",
        Demand::Optional => "not required, and looked at where they are shown",
    };
    let (usable, store) = (gate.usable_keys(), keys.store.display());
    writeln!(out, "API keys: {asked}; {usable} in use, in {store}")?;
    if usable == 0 && demand == Demand::Required {
        writeln!(out, "warning: nobody can ask anything yet; `pointsman keys create` makes a key")?;
    }
    Ok(Some(Arc::new(gate)))
}

fn warn_unless_loopback(address: SocketAddr, demand: Option<Demand>) {
    if address.ip().is_loopback() {
        return;
    }
    match demand {
        Some(Demand::Required) => tracing::warn!(
            %address,
            "LISTENING OFF LOOPBACK without TLS: keys can be read on the way; put a proxy in front"
        ),
        Some(Demand::Optional) | None => tracing::warn!(
            %address,
            "LISTENING OFF LOOPBACK: there is no TLS and no caller is asked who he is, so whoever \
             reaches this port spends your money; leave out `required = false` under [keys], or put a \
             proxy in front that does both"
        ),
    }
}
