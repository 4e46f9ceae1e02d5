//! The simulator's HTTP side and the handle to it.
//!
//! In: a bound listener; orders through [`Simulator`]. Out: responses. Invariant: every wait ends,
//! by its own bound or when the simulator stops. Not here: what a call gets (see `act`).

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, State, rejection::BytesRejection},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    act::{self, Ending},
    connection::{ResetSwitch, ResettableListener},
    faults::{Fault, FaultRates},
    ledger::{CallLog, Ledger, SimulatorError},
    model::SimulatedModel,
    refusal,
    request::{BODY_BYTES_MAX, ChatAsk, Rejection},
};

/// A hanging call is reset after this long: above the usual timeout for a first token.
const HANG_MAX: Duration = Duration::from_secs(60);
/// How long calls under way may go on when the simulator stops.
const STOP_GRACE: Duration = Duration::from_secs(2);
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

    /// Takes no more connections, lets calls under way end (two seconds at most; those that hang
    /// are reset at once), and returns after at most four seconds.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        if timeout(STOP_MAX, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

#[derive(Clone)]
struct Shared {
    ledger: Arc<Ledger>,
    stopped: watch::Receiver<bool>,
}

fn app(shared: Shared) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .fallback(|| async { refusal::of_rejection(&Rejection::NoSuchPath) })
        .method_not_allowed_fallback(|| async { refusal::of_rejection(&Rejection::NoSuchPath) })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

async fn models(State(shared): State<Shared>) -> Json<Value> {
    let row = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": "simulator"});
    let data: Vec<Value> = shared.ledger.model_ids().into_iter().map(row).collect();
    Json(json!({"object": "list", "data": data}))
}

async fn complete(
    State(shared): State<Shared>,
    ConnectInfo(switch): ConnectInfo<ResetSwitch>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match arrive(&shared.ledger, body) {
        Ok(act) => perform(act, shared.stopped, switch).await,
        Err(rejection) => refusal::of_rejection(&rejection).into_response(),
    }
}

fn arrive(ledger: &Ledger, body: Result<Bytes, BytesRejection>) -> Result<act::Act, Rejection> {
    let body = body.map_err(|it| match it.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Rejection::TooLarge,
        _ => Rejection::Unreadable,
    })?;
    let ask = ChatAsk::parse(&body)?;
    let Some(call) = ledger.arrive(&ask.model_id) else {
        return Err(Rejection::UnknownModel(ask.model_id));
    };
    let (act, line) = act::decide(call, &ask);
    ledger.record(line);
    Ok(act)
}

async fn perform(act: act::Act, stopped: watch::Receiver<bool>, switch: ResetSwitch) -> Response {
    let (wait, grace) = match act.ending {
        Ending::Hang => (HANG_MAX, Duration::ZERO),
        Ending::Body(_) | Ending::HalfBody(_) | Ending::Refused(_) | Ending::Reset => {
            (act.wait, STOP_GRACE)
        }
    };
    let in_time = wait.is_zero()
        || tokio::select! {
            () = sleep(wait) => true,
            () = async { ended(stopped).await; sleep(grace).await } => false,
        };
    match act.ending {
        Ending::Body(body) if in_time => json_response(Body::from(body)),
        Ending::HalfBody(body) if in_time => json_response(half(body, switch)),
        Ending::Refused(refusal) if in_time => refusal.into_response(),
        Ending::Body(_)
        | Ending::HalfBody(_)
        | Ending::Refused(_)
        | Ending::Reset
        | Ending::Hang => {
            switch.throw();
            // Never written: the connection fails first.
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn json_response(body: Body) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// The first half, which is on the wire before the connection is reset.
fn half(body: Bytes, switch: ResetSwitch) -> Body {
    let first = Some(body.slice(..body.len() / 2));
    Body::from_stream(stream::unfold((first, switch), |(first, switch)| async move {
        if let Some(first) = first {
            return Some((Ok(first), (None, switch)));
        }
        // The connection flushes what it has when the body lets it wait.
        tokio::task::yield_now().await;
        switch.throw();
        Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), (None, switch)))
    }))
}

/// Returns when the simulator stops, or its handle is gone.
async fn ended(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the same.
    let _ = stopped.wait_for(|it| *it).await;
}
