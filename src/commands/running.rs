//! Both listeners over one pipeline, from binding to the last outcome on disk.
//!
//! In: bound listeners, a pipeline. Out: a server that runs; then one that has drained. Invariant: the
//! order of stopping: readiness goes, a pause, no new connections, what is under way ends or is cut at
//! the limit, every outcome is on disk, the admin listener goes last. Not here: signals.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::CommandError;
use crate::access::Gate;
use crate::api::{self, AdminKey, Defaults, Life, LifeTeller, Operators, Phase, ServeError};
use crate::config::Draining;
use crate::pipeline::Pipeline;

/// How long those who are cut have to end: dropping a call and writing its outcome takes
/// milliseconds.
const CUT_MAX: Duration = Duration::from_secs(2);
/// How long the admin listener has to end; a scrape takes milliseconds.
const ADMIN_MAX: Duration = Duration::from_secs(1);

type Served = JoinHandle<Result<(), ServeError>>;

/// Where to serve.
pub(super) struct Fronts {
    /// Callers.
    pub(super) main: TcpListener,
    /// Operators, and the key that they show.
    pub(super) admin: Option<(TcpListener, Option<AdminKey>)>,
    /// Where callers show their keys, if they have to.
    pub(super) gate: Option<Arc<Gate>>,
}

/// A server.
pub(super) struct Running {
    teller: LifeTeller,
    main: Served,
    admin: Option<Served>,
    pipeline: Arc<Pipeline>,
}

impl Running {
    /// Serves.
    pub(super) fn start(fronts: Fronts, pipeline: Pipeline, defaults: Defaults) -> Self {
        let (teller, life) = Life::begin();
        let pipeline = Arc::new(pipeline);
        let own = |life: &Life| (Arc::clone(&pipeline), life.clone());
        let admin = fronts.admin.map(|(listener, key)| {
            let (pipeline, life) = own(&life);
            let (gate, defaults) = (fronts.gate.clone(), defaults.clone());
            let operators = Operators { key, gate, defaults };
            tokio::spawn(api::serve_admin(listener, operators, pipeline, life))
        });
        let (own, gate) = (Arc::clone(&pipeline), fronts.gate);
        let main = tokio::spawn(api::serve(fronts.main, own, defaults, life, gate));
        Self { teller, main, admin, pipeline }
    }

    /// Ends when a listener failed: nothing else ends one before it is told to.
    pub(super) async fn failed(&mut self) -> CommandError {
        let admin = async {
            match &mut self.admin {
                Some(admin) => admin.await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! { it = &mut self.main => it, it = admin => it };
        match ended {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) | Err(_) => CommandError::ServerEnded,
        }
    }

    /// Stops, in order.
    pub(super) async fn drain(self, within: Draining) -> Result<(), CommandError> {
        let Self { teller, mut main, admin, pipeline } = self;
        let end = Instant::now() + within.limit;
        teller.enter(Phase::Leaving);
        tokio::time::sleep(within.pause).await;
        teller.enter(Phase::Stopping);
        let mut ended = timeout_at(end, &mut main).await.ok();
        if ended.is_none() {
            tracing::warn!(after_s = within.limit.as_secs_f64(), "requests under way are cut");
            pipeline.cut();
            ended = timeout(CUT_MAX, &mut main).await.ok();
        }
        main.abort();
        let left = pipeline.settle(CUT_MAX).await;
        if left > 0 {
            tracing::error!(left, "requests are still under way; their outcomes may be lost");
        }
        teller.enter(Phase::Over);
        if let Some(mut admin) = admin {
            // Whoever holds on to it has been told all there is.
            let _ = timeout(ADMIN_MAX, &mut admin).await;
            admin.abort();
        }
        // Who is cut and stays connected holds on to it; what was acknowledged is on disk all the same.
        if let Some(pipeline) = Arc::into_inner(pipeline) {
            pipeline.close().await;
        }
        match ended {
            Some(Ok(ended)) => ended.map_err(CommandError::from),
            Some(Err(_)) => Err(CommandError::ServerEnded),
            None => Ok(()),
        }
    }
}
