//! The handle to a running simulator.
//!
//! In: a bound listener; orders. Out: where it listens, the log. Invariant: stopping ends every call
//! within a bound. Not here: paths and responses (see `paths`), what a call gets (see `act`).

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use super::{
    connection::{ResetSwitch, ResettableListener},
    faults::{FaultRates, Flap},
    ledger::{CallLog, Ledger, SimulatorError},
    model::SimulatedModel,
    paths::{Shared, app},
    protocol::Dialect,
    stream::ended,
};
use crate::domain::Fault;

/// How long stopping may take in all.
const STOP_MAX: Duration = Duration::from_secs(4);

/// A running simulator. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    stopping: watch::Sender<bool>,
    task: JoinHandle<io::Result<()>>,
}

impl Simulator {
    /// Serves the models on the listener, from a task of the current tokio runtime. Of models of
    /// the same name the last one counts.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(models: Vec<SimulatedModel>, seed: u64, listener: TcpListener) -> Self {
        // A listener that is bound has an address; should the system deny it, none is better
        // than a simulator that does not start.
        let address = listener.local_addr().unwrap_or_else(|_| (Ipv4Addr::UNSPECIFIED, 0).into());
        let ledger = Arc::new(Ledger::new(models, seed));
        let (stopping, stopped) = watch::channel(false);
        let app = app(Shared { ledger: ledger.clone(), stopped: stopped.clone() });
        let task = tokio::spawn(async move {
            let service = app.into_make_service_with_connect_info::<ResetSwitch>();
            axum::serve(ResettableListener::new(listener), service)
                .with_graceful_shutdown(ended(stopped))
                .await
        });
        Self { address, ledger, stopping, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client takes as OpenAI's base URL: `http://ADDRESS/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What a client of this protocol takes as its base URL: `http://ADDRESS/v1` for OpenAI and
    /// Anthropic, `http://ADDRESS/v1beta` for Gemini, `http://ADDRESS` for Ollama and Bedrock.
    pub fn base_url_for(&self, protocol: Dialect) -> String {
        format!("http://{}{}", self.address, protocol.base_path())
    }

    /// The newest [`super::CALLS_LOGGED_MAX`] calls that reached a model, oldest first.
    /// Requests that reached none (unknown model, bad body) are not among them.
    pub fn calls(&self) -> Vec<CallLog> {
        self.ledger.calls()
    }

    /// From now on the model fails at these rates.
    ///
    /// # Errors
    /// [`SimulatorError::UnknownModel`].
    pub fn set_faults(&self, model_id: &str, faults: FaultRates) -> Result<(), SimulatorError> {
        self.ledger.set_faults(model_id, faults)
    }

    /// After what its script still holds, the model's next calls fail in this order.
    ///
    /// # Errors
    /// [`SimulatorError`] for an unknown model, or when the script would outgrow its bound.
    pub fn push_script(&self, model_id: &str, script: Vec<Fault>) -> Result<(), SimulatorError> {
        self.ledger.push_script(model_id, script)
    }

    /// From now on every call of the model gets a 503; its script waits.
    ///
    /// # Errors
    /// [`SimulatorError::UnknownModel`].
    pub fn set_down(&self, model_id: &str) -> Result<(), SimulatorError> {
        self.ledger.set_down(model_id)
    }

    /// Ends an outage that [`Self::set_down`] began.
    ///
    /// # Errors
    /// [`SimulatorError::UnknownModel`].
    pub fn set_up(&self, model_id: &str) -> Result<(), SimulatorError> {
        self.ledger.set_up(model_id)
    }

    /// From now on the model comes and goes, beginning with the healthy calls, or does no more. Its
    /// script waits while it is away.
    ///
    /// # Errors
    /// [`SimulatorError::UnknownModel`].
    pub fn set_flap(&self, model_id: &str, flap: Option<Flap>) -> Result<(), SimulatorError> {
        self.ledger.set_flap(model_id, flap)
    }

    /// Takes no more connections, lets calls under way end (two seconds at most; those that hang
    /// are reset at once), and returns after at most four seconds.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        if timeout(STOP_MAX, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
