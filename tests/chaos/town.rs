//! The server, its five misbehaving providers, and one that never misbehaves and says the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pointsman::api::proto::pointsman_admin_client::PointsmanAdminClient;
use pointsman::api::proto::{DeploymentAvailability, ListAvailabilityRequest};
use pointsman::dispatch::BreakerSettings;
use pointsman::simulator::{Dialect, Fault, FaultRates, OutputTokens, SimulatedModel, Simulator};
use serde_json::{Value, json};

use super::support::{House, channel, http_client, prompt};

/// The protocols of the five providers, and the id of their model: on Bedrock, one that goes on with
/// a begun answer.
const PROVIDERS: [(&str, &str); 5] = [
    ("openai", "chaos-openai"),
    ("anthropic", "chaos-anthropic"),
    ("gemini", "chaos-gemini"),
    ("ollama", "chaos-ollama"),
    ("bedrock", "amazon.nova-chaos"),
];
/// The one that never misbehaves; the server does not know it.
const TRUE_MODEL: &str = "true";
/// Questions asked; every answer is known.
const QUESTIONS: usize = 300;
/// How often each fault strikes: three calls in ten altogether.
const RATE: f64 = 0.3 / KINDS as f64;
const KINDS: usize = 22;
const SOON: Option<Duration> = Some(Duration::from_millis(60));

/// Every way to fail.
pub(crate) const FAULTS: [(Fault, f64); KINDS] = [
    (Fault::Status { code: 429, retry_after: None }, RATE),
    (Fault::Status { code: 429, retry_after: SOON }, RATE),
    (Fault::Status { code: 500, retry_after: None }, RATE),
    (Fault::Status { code: 503, retry_after: None }, RATE),
    (Fault::Reset, RATE),
    (Fault::ResetInBody, RATE),
    (Fault::Hang, RATE),
    (Fault::Empty, RATE),
    (Fault::Malformed, RATE),
    (Fault::ErrorInside200, RATE),
    (Fault::ContextTooLong, RATE),
    (Fault::ContentFilter, RATE),
    (Fault::WrongModel, RATE),
    (Fault::Auth, RATE),
    (Fault::Quota, RATE),
    (Fault::Unsupported, RATE),
    (Fault::SlowFirstToken(Duration::from_secs(3)), RATE),
    (Fault::Stall { after_tokens: 4 }, RATE),
    (Fault::Drip, RATE),
    (Fault::CutAfter { tokens: 4 }, RATE),
    (Fault::MalformedChunk { after_tokens: 4 }, RATE),
    (Fault::ErrorInStream { after_tokens: 4 }, RATE),
];

/// A tenth of the times that hold for real.
const BREAKERS: BreakerSettings = BreakerSettings {
    open_min: Duration::from_millis(200),
    open_max: Duration::from_millis(1_500),
    limited: Duration::from_millis(200),
    ramp: Duration::from_millis(500),
};

/// What every question is answered with.
pub(crate) type Truth = Arc<BTreeMap<String, String>>;

pub(crate) struct Town {
    pub(crate) house: House,
}

impl Town {
    pub(crate) async fn start() -> Self {
        let model = |id: &str| SimulatedModel {
            output_tokens: OutputTokens { median: 40.0, sigma: 0.2 },
            voice: Some("chaos".to_owned()),
            ..SimulatedModel::instant(id)
        };
        let ill = |(_, id): (&str, &str)| SimulatedModel {
            faults: FaultRates::new(FAULTS.to_vec()).unwrap(),
            ..model(id)
        };
        let models = PROVIDERS.map(ill).into_iter().chain([model(TRUE_MODEL)]);
        let house = House::with_breakers(models.collect(), config, BREAKERS).await;
        Self { house }
    }

    /// Asks the one that never misbehaves.
    pub(crate) async fn truth(&self) -> Truth {
        let client = http_client();
        let url = format!("{}/chat/completions", self.house.simulator.base_url());
        let mut truth = BTreeMap::new();
        for number in 0..QUESTIONS {
            let question = prompt(number);
            let messages = json!([{ "role": "user", "content": question }]);
            let body = json!({ "model": TRUE_MODEL, "messages": messages });
            let answer = client.post(&url).json(&body).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
            truth.insert(question, text.to_owned());
        }
        Arc::new(truth)
    }

    /// How every deployment stands, in words.
    pub(crate) async fn conditions(&self) -> Vec<String> {
        let mut admin = PointsmanAdminClient::new(channel(self.house.admin).await);
        let told = admin.list_availability(ListAvailabilityRequest {}).await.unwrap();
        let word = |it: &DeploymentAvailability| {
            let state = it.state().as_str_name().trim_start_matches("AVAILABILITY_STATE_");
            let class = it.failure().as_str_name().trim_start_matches("FAILURE_CLASS_");
            format!("{} {state} {class} {:?}", it.deployment, it.until_ms)
        };
        told.into_inner().deployments.iter().map(word).collect()
    }

    pub(crate) async fn stop(self) {
        self.house.stop().await;
    }
}

fn config(simulator: &Simulator, listen: SocketAddr, store: &Path) -> String {
    let providers = PROVIDERS.map(|(protocol, id)| {
        let base_url = simulator.base_url_for(Dialect::named(protocol).unwrap());
        let quirks = match protocol {
            "openai" => "quirks = { assistant_prefix = \"plain\" }\n",
            _ => "",
        };
        format!(
            "[[provider]]\nname = \"at-{protocol}\"\nprotocol = \"{protocol}\"\n\
             base_url = \"{base_url}\"\napi_key_env = \"CHAOS_KEY\"\n{quirks}\
             [[model]]\nname = \"{protocol}\"\nquality_prior = 0.5\ncontext_window = 131072\n\
             max_output_tokens = 4096\n\
             [[model.deployment]]\nprovider = \"at-{protocol}\"\nmodel_id = \"{id}\"\n\
             price = {{ input = 1.0, output = 1.0 }}\n\
             speed = {{ ttft_ms = 20, tokens_per_s = 2000 }}\n"
        )
    });
    format!(
        "[server]\nlisten = \"{listen}\"\n[policy]\npreference = \"quality\"\n\
         timeouts = {{ first_attempt = \"1500ms\", fallback = \"1s\", first_token = \"1s\", \
         stall = \"900ms\" }}\n[outcomes]\nstore = \"sqlite://{}\"\n{}",
        store.display(),
        providers.concat()
    )
}
