//! A whole server with models `a` to `d` at two providers, and routes.
//!
//! In: the config's routes. Out: [`Station`], with what was asked and who answered.

use std::collections::BTreeMap;

use pointsman::simulator::{SimulatedModel, Simulator, parse_script};
use serde_json::{Value, json};

use crate::support::{House, http_client};

/// Qualities far apart: `a` is the best.
pub(crate) const MODELS: [(&str, f64); 4] = [("a", 0.95), ("b", 0.75), ("c", 0.55), ("d", 0.35)];

/// A server with routes.
pub(crate) struct Station {
    pub(crate) house: House,
    pub(crate) client: reqwest::Client,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Came {
    /// The deployment that answered, or the reason of the error.
    pub(crate) fn end(&self) -> &str {
        let own = self.body.get("pointsman").unwrap_or(&self.body["error"]["pointsman"]);
        own["deployment"].as_str().or(own["reason"].as_str()).unwrap_or("?")
    }

    /// Every call, in order: the model alone.
    pub(crate) fn calls(&self) -> String {
        let own = self.body.get("pointsman").unwrap_or(&self.body["error"]["pointsman"]);
        let all = own["attempts"].as_array().cloned().unwrap_or_default();
        let name = |it: &Value| it["deployment"].as_str().unwrap_or("?").replace("@one", "");
        all.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    /// The branches of the route.
    pub(crate) fn branch(&self) -> Vec<String> {
        let own = &self.body["pointsman"]["route"]["branch"];
        serde_json::from_value(own.clone()).unwrap_or_default()
    }
}

/// The models and providers of every station.
pub(crate) fn fleet(simulator: &Simulator) -> String {
    let provider = |name: &str| {
        let url = simulator.base_url();
        format!("[[provider]]\nname = \"{name}\"\nprotocol = \"openai\"\nbase_url = \"{url}\"\n")
    };
    let models = MODELS.map(|(name, quality)| {
        let at = |provider: &str| {
            format!(
                "[[model.deployment]]\nprovider = \"{provider}\"\nmodel_id = \"{name}\"\n\
                 price = {{ input = 1.0, output = 2.0 }}\n\
                 speed = {{ ttft_ms = 20, tokens_per_s = 2000 }}\n"
            )
        };
        let second = if name == "d" { at("two") } else { String::new() };
        format!(
            "[[model]]\nname = \"{name}\"\nquality_prior = {quality}\ncontext_window = 131072\n\
             max_output_tokens = 4096\nabilities = [\"tools\", \"json_object\"]\n{}{second}",
            at("one")
        )
    });
    format!("{}{}{}", provider("one"), provider("two"), models.concat())
}

impl Station {
    /// A server with these routes; `policy` goes into `[policy]`.
    pub(crate) async fn with(policy: &str, routes: &str) -> Self {
        let models = MODELS.map(|it| SimulatedModel::instant(it.0)).to_vec();
        let house = House::with(models, |simulator, listen, store| {
            format!(
                "[server]\nlisten = \"{listen}\"\n[policy]\npreference = \"quality\"\n{policy}\n\
                 [outcomes]\nstore = \"sqlite://{}\"\n{}\n{routes}",
                store.display(),
                fleet(simulator)
            )
        });
        Self { house: house.await, client: http_client() }
    }

    /// Asks, with `fields` over a plain body and these headers.
    pub(crate) async fn ask(&self, fields: Value, headers: &[(&str, &str)]) -> Came {
        let mut body = json!({
            "model": "auto",
            "messages": [{ "role": "user", "content": "How far is it to the mill?" }],
        });
        let own = body.as_object_mut().unwrap();
        own.extend(fields.as_object().cloned().unwrap_or_default());
        let url = format!("http://{}/v1/chat/completions", self.house.address);
        let mut request = self.client.post(url).json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        Came { status, body: response.json().await.unwrap() }
    }

    /// Asks on a route.
    pub(crate) async fn on(&self, route: &str, fields: Value) -> Came {
        self.ask(fields, &[("x-pointsman-route", route)]).await
    }

    /// What a model's next calls come to.
    pub(crate) fn script(&self, model: &str, script: &str) {
        self.house.simulator.push_script(model, parse_script(script).unwrap()).unwrap();
    }

    /// How often each model was called.
    pub(crate) fn called(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.house.simulator.calls() {
            *counts.entry(call.model_id).or_default() += 1;
        }
        counts
    }
}
