//! Two models at three providers, and what one asks of them.
//!
//! In: more of a config, a body. Out: a whole server's answers, or a pipeline alone. Invariant: the
//! providers differ in price, speed, promises and precision, as the table says. Not here: assertions.

use std::sync::Arc;

use pointsman::config;
use pointsman::domain::{ChatRequest, ModelName};
use pointsman::outcome::{OutcomeReader, OutcomeRecord};
use pointsman::pipeline::{Call, Decision, Pipeline, Routed};
use pointsman::ranking::{Order, Policy};
use pointsman::simulator::{OutputTokens, SimulatedModel, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{self, House, http_client};

/// The dear model, at all three.
pub(crate) const LLAMA: &str = "meta-llama/llama-3.3-70b-instruct";
/// The cheap one, at two.
pub(crate) const MIXTRAL: &str = "mistralai/mixtral-8x7b-instruct";
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A provider as the config has it.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    /// More of its section.
    terms: &'static str,
    /// More of its deployments.
    of_deployment: &'static str,
    /// USD per million tokens of either kind.
    pub(crate) usd: f64,
    ttft_ms: u32,
    tokens_per_s: u32,
}

/// The cheapest is the slowest. Of the last nothing is known.
pub(crate) const PLACES: [Place; 3] = [
    Place {
        name: "together",
        terms: "data_collection = \"deny\"\nzdr = true\n",
        of_deployment: "quantization = \"fp8\"\nweight = 7\n",
        usd: 1.0,
        ttft_ms: 60,
        tokens_per_s: 50,
    },
    Place {
        name: "deepinfra",
        terms: "data_collection = \"allow\"\nzdr = false\n",
        of_deployment: "quantization = \"bf16\"\nweight = 2\n",
        usd: 2.0,
        ttft_ms: 20,
        tokens_per_s: 1_000,
    },
    Place {
        name: "fireworks",
        terms: "",
        of_deployment: "lacks = [\"seed\"]\n",
        usd: 3.0,
        ttft_ms: 40,
        tokens_per_s: 200,
    },
];

/// A block of docs/controls.md, by the name behind its language.
pub(crate) fn snippet(name: &str) -> String {
    let page = include_str!("../../docs/controls.md");
    let begins = |line: &&str| line.starts_with("```") && line.ends_with(&format!(" {name}"));
    let mut lines = page.lines().skip_while(|it| !begins(it)).skip(1);
    let lines: Vec<_> = lines.by_ref().take_while(|it| *it != "```").collect();
    assert!(!lines.is_empty(), "docs/controls.md has no snippet {name}");
    lines.join("\n")
}

/// The same as JSON.
pub(crate) fn json_snippet(name: &str) -> Value {
    serde_json::from_str(&snippet(name)).unwrap()
}

/// What the simulator calls a model at a provider.
pub(crate) fn model_id(model: &str, provider: &str) -> String {
    format!("{}-{provider}", model.rsplit('/').next().unwrap())
}

pub(crate) fn id(model: &str, provider: &str) -> String {
    format!("{model}@{provider}")
}

fn models_at() -> Vec<(&'static str, &'static Place)> {
    let all =
        [LLAMA, MIXTRAL].into_iter().flat_map(|model| PLACES.iter().map(move |it| (model, it)));
    all.filter(|(model, it)| *model == LLAMA || it.name != "fireworks").collect()
}

/// Healthy ones that answer at once.
pub(crate) fn simulated() -> Vec<SimulatedModel> {
    let output_tokens = OutputTokens { median: 20.0, sigma: 0.0 };
    let model = |id: String| SimulatedModel { output_tokens, ..SimulatedModel::instant(&id) };
    models_at().into_iter().map(|(name, it)| model(model_id(name, it.name))).collect()
}

/// A config, with more under `[policy]`, for the dear model, and for its deployments in the order of
/// [`PLACES`].
pub(crate) struct Plan {
    pub(crate) policy: &'static str,
    pub(crate) model: &'static str,
    pub(crate) deployments: [&'static str; 3],
}

impl Plan {
    pub(crate) const PLAIN: Self = Self { policy: "", model: "", deployments: [""; 3] };

    pub(crate) const fn of_model(model: &'static str) -> Self {
        Self { model, ..Self::PLAIN }
    }

    pub(crate) fn text(&self, url: &str) -> String {
        let mut text = format!("[policy]\npreference = \"quality\"\n{}", self.policy);
        for Place { name, terms, .. } in &PLACES {
            text += &format!(
                "[[provider]]\nname = \"{name}\"\nprotocol = \"openai\"\nbase_url = \"{url}\"\n\
                 api_key_env = \"A_KEY\"\n{terms}"
            );
        }
        for (model, quality, more) in [(LLAMA, 0.9, self.model), (MIXTRAL, 0.6, "")] {
            text += &format!(
                "[[model]]\nname = \"{model}\"\nquality_prior = {quality}\ncontext_window = 131072\n\
                 max_output_tokens = 4096\n{more}"
            );
            for (at, place) in PLACES.iter().enumerate() {
                if models_at().iter().any(|it| it.0 == model && it.1.name == place.name) {
                    let more = if model == LLAMA { self.deployments[at] } else { "" };
                    text += &deployment(model, place, more);
                }
            }
        }
        text
    }
}

fn deployment(model: &str, place: &Place, more: &str) -> String {
    let Place { name, of_deployment, usd, ttft_ms, tokens_per_s, .. } = place;
    let id = model_id(model, name);
    format!(
        "[[model.deployment]]\nprovider = \"{name}\"\nmodel_id = \"{id}\"\n\
         price = {{ input = {usd:?}, output = {usd:?} }}\n\
         speed = {{ ttft_ms = {ttft_ms}, tokens_per_s = {tokens_per_s} }}\n{of_deployment}{more}"
    )
}

/// A whole server.
pub(crate) async fn house(plan: &Plan) -> House {
    House::with(simulated(), |simulator, listen, store| {
        format!(
            "[server]\nlisten = \"{listen}\"\nadmin_listen = \"127.0.0.1:0\"\n\
             [outcomes]\nstore = \"sqlite://{}\"\n{}",
            store.display(),
            plan.text(&simulator.base_url())
        )
    })
    .await
}

/// Status and body of an answer.
pub(crate) async fn post(house: &House, path: &str, body: &Value) -> (u16, Value) {
    let request = http_client().post(format!("http://{}{path}", house.address));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
}

pub(crate) fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Which is heavier?"}]})
}

/// How a body is ranked: the order, and of each that is excluded the limits.
pub(crate) async fn ranked(
    house: &House,
    body: &Value,
) -> (Vec<String>, Vec<(String, Vec<String>)>) {
    let (status, told) = post(house, "/v1/rank", body).await;
    assert_eq!(status, 200, "{told}");
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let order = told["ranking"].as_array().unwrap().iter().map(|it| text(&it["deployment"]));
    let excluded = told["excluded"].as_array().unwrap().iter().map(|it| {
        let limits = it["reasons"].as_array().unwrap().iter().map(|it| text(&it["limit"]));
        (text(&it["deployment"]), limits.collect())
    });
    (order.collect(), excluded.collect())
}

/// Every record of a server.
pub(crate) fn records(store: &std::path::Path) -> Vec<OutcomeRecord> {
    let mut records = Vec::new();
    let reader = OutcomeReader::open(store).unwrap();
    reader.for_each(|it| records.push(it.unwrap().record)).unwrap();
    records
}

/// A pipeline alone, for many decisions.
pub(crate) struct Table {
    pub(crate) simulator: Simulator,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) folder: TempDir,
    policy: Policy,
}

impl Table {
    pub(crate) async fn with(models: Vec<SimulatedModel>, plan: &Plan) -> Self {
        let simulator = support::simulator(models).await;
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("outcomes.db");
        let own = format!("[outcomes]\nstore = \"sqlite://{}\"\n", store.display());
        let text = own + &plan.text(&simulator.base_url());
        let key = |name: &str| name.ends_with("_KEY").then(|| "key".to_owned());
        let config = config::from_toml(&text, &key).map_err(|it| it.to_string()).unwrap();
        let mut policy = config.policy.clone();
        policy.candidates.order = Order::Given(vec![ModelName::new(LLAMA).unwrap()]);
        Self { simulator, pipeline: Arc::new(support::pipeline_of(config)), folder, policy }
    }

    pub(crate) fn rank(&self) -> Decision {
        self.pipeline.rank(&ChatRequest::from_prompt("Which is heavier?"), &self.policy).unwrap()
    }

    pub(crate) fn first(&self) -> String {
        self.rank().verdict.unwrap().entries[0].deployment.provider.to_string()
    }

    pub(crate) fn call(&self) -> Call {
        Call {
            request: ChatRequest::from_prompt("Which is heavier?"),
            policy: self.policy.clone(),
            arrived: tokio::time::Instant::now(),
            deadline: None,
            request_id: None,
            session_id: None,
            metadata: [].into(),
            faults: Vec::new(),
            caller: None,
            cache: Default::default(),
        }
    }

    pub(crate) async fn route(&self) -> Routed {
        self.pipeline.route(self.call()).await.unwrap()
    }

    /// Every record, after the pipeline's end.
    pub(crate) async fn records(self) -> Vec<OutcomeRecord> {
        Arc::into_inner(self.pipeline).unwrap().close().await;
        self.simulator.stop().await;
        records(&self.folder.path().join("outcomes.db"))
    }
}
