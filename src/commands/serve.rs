//! `pointsman serve`: the server, until it is told to stop.
//!
//! In: a config file or the environment. Out: what was found, where it listens; then logs.
//! Invariant: everything is read and opened before the port is bound; Ctrl-C and SIGTERM let
//! requests under way end (bounded), and then close the log. Not here: what is done beside serving
//! (see `chores`).

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::args::ServeArgs;
use super::assemble::{self, Served};
use super::chores::Chores;
use super::{CommandError, stop};
use crate::api;

pub(super) async fn serve(args: &ServeArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = assemble::config(args.config.as_deref())?;
    let brain = assemble::brain(config.artifact.as_deref())?;
    let version = brain.1.version().to_owned();
    let listen = args.listen.unwrap_or(config.listen);
    for line in &config.found {
        writeln!(out, "{line}")?;
    }
    let place = config.artifact.as_ref().map_or("built in".into(), |it| it.display().to_string());
    writeln!(out, "router artifact: {version} ({place})")?;
    writeln!(out, "outcomes: {}", config.log.store)?;
    let served = Served {
        fleet: config.fleet,
        availability: config.availability,
        providers: config.providers,
        log: config.log,
        faults: config.faults,
    };
    let pipeline = Arc::new(assemble::pipeline(brain, served)?);
    let chores = Chores::of(pipeline.log(), &config.keeping)?;
    for line in chores.found() {
        writeln!(out, "{line}")?;
    }
    let listener = assemble::bind(listen).await?;
    let address = listener.local_addr()?;
    warn_unless_loopback(address);
    writeln!(out, "listening on http://{address} (gRPC without TLS); Ctrl-C stops")?;
    out.flush()?;

    let (tell, stopping) = watch::channel(false);
    let signal = tokio::spawn(async move {
        stop::signal().await;
        tracing::info!("stopping: requests under way may end");
        tell.send_replace(true);
    });
    let chores = tokio::spawn(chores.run(stopping.clone()));
    let told = stop::told(stopping.clone());
    let server = api::serve(listener, Arc::clone(&pipeline), config.policy, told);
    let ended = stop::drained(server, stopping, stop::DRAIN_MAX).await;
    signal.abort();
    // It may be dropped at any moment, even where the server ended by itself.
    chores.abort();
    if ended.is_none() {
        tracing::warn!(after_s = stop::DRAIN_MAX.as_secs(), "requests under way were cut off");
    }
    close(pipeline).await;
    ended.unwrap_or(Ok(())).map_err(CommandError::from)
}

/// Closes the log. When a request that was cut off still holds the pipeline, what was
/// acknowledged is committed all the same.
pub(super) async fn close(pipeline: Arc<crate::pipeline::Pipeline>) {
    match Arc::into_inner(pipeline) {
        Some(pipeline) => pipeline.close().await,
        None => tracing::warn!("a request is still under way; its outcome may be lost"),
    }
}

fn warn_unless_loopback(address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "LISTENING OFF LOOPBACK: there is no TLS and no caller is asked who he is, so whoever \
             reaches this port spends your money; put a proxy in front that does both"
        );
    }
}
