//! For tests: a panel whose models say what a script says.
//!
//! In: a script from model and request to what comes back. Out: a [`Panel`] in a folder of its own.
//! Invariant: no network; every call is counted.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pointsman::catalog::Deployment;
use pointsman::config;
use pointsman::domain::{ChatRequest, ChatResponse, FailureClass, FinishReason, Usage, Usd};
use pointsman::providers::{AnswerStream, CallFailure, Caller, Reply};

use super::ask::Ask;
use super::call::Manner;
use super::candidates::candidates;
use super::events::State;
use super::grade::Grader;
use super::run::{Panel, Settings, Unanswered};
use super::sample::Why;
use super::spend::Spend;
use super::work::{Sampled, Work};

/// What a model says, or how it fails.
pub(super) type Script = fn(model: &str, prompt: &str, call: usize) -> Result<String, CallFailure>;

/// Plays a script.
pub(super) struct Scripted {
    script: Script,
    calls: Mutex<Vec<(String, String)>>,
}

impl Scripted {
    /// Every call so far: model and prompt.
    pub(super) fn calls(&self) -> Vec<(String, String)> {
        self.calls.lock().unwrap().clone()
    }
}

/// Four bytes to a token, as the simulator counts.
pub(super) fn tokens(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

impl Caller for Scripted {
    type Stream = AnswerStream;

    async fn call(
        &self,
        deployment: &Deployment,
        request: &ChatRequest,
        _timeout: Duration,
    ) -> Result<Reply, CallFailure> {
        let model = deployment.model_id.clone();
        let prompt: String = request.last_user_texts().map(|it| it.as_str()).collect();
        let call = {
            let mut calls = self.calls.lock().unwrap();
            calls.push((model.clone(), prompt.clone()));
            calls.iter().filter(|it| **it == (model.clone(), prompt.clone())).count()
        };
        // Others have their turn, as while a provider works.
        tokio::task::yield_now().await;
        let mut text = (self.script)(&model, &prompt, call)?;
        let limit = request.sampling.max_output_tokens.unwrap_or(u64::MAX);
        let cut = tokens(&text) > limit;
        if cut {
            text.truncate(4 * limit as usize);
        }
        let usage = Usage {
            input_tokens: tokens(&prompt),
            output_tokens: tokens(&text),
            ..Usage::default()
        };
        let response = ChatResponse {
            text: Some(text.into()),
            reasoning: vec![],
            tool_calls: vec![],
            finish: if cut { FinishReason::Length } else { FinishReason::Stop },
            usage,
            logprobs: None,
        };
        Ok(Reply { response, status: 200, ttft: None, dropped: vec![] })
    }

    async fn open(
        &self,
        _deployment: &Deployment,
        _request: &ChatRequest,
    ) -> Result<AnswerStream, CallFailure> {
        Err(CallFailure::of(FailureClass::Unsupported))
    }
}

/// The models `cheap` and `dear` on the panel, and `judge` beside it.
pub(super) const CONFIG: &str = r#"
[[provider]]
name = "p"
base_url = "http://127.0.0.1:1"
[[model]]
name = "cheap"
context_window = 8000
[[model.deployment]]
provider = "p"
model_id = "cheap"
price = { input = 1.0, output = 2.0 }
[[model]]
name = "dear"
context_window = 8000
[[model.deployment]]
provider = "p"
model_id = "dear"
price = { input = 10.0, output = 20.0 }
[[model]]
name = "judge"
context_window = 8000
[[model.deployment]]
provider = "p"
model_id = "judge"
price = { input = 1.0, output = 2.0 }
"#;

/// A panel of two in a folder; `limit` in USD. Prompts are `prompt N`, the right answer is `N`.
pub(super) fn panel(
    folder: &Path,
    (prompts, limit): (usize, f64),
    grader: impl Fn(Arc<Deployment>) -> Grader,
    script: Script,
) -> Arc<Panel<Scripted>> {
    let config = config::from_toml(CONFIG, &|_| None).unwrap();
    let mut found = candidates(&config.fleet, &config.availability, &[]).unwrap();
    let judge = found.pop().unwrap();
    let work = Work::open(folder).unwrap();
    let spend = Spend::new(Usd::new(limit).unwrap(), work.with(State::spent));
    let sampled = (0..prompts).map(|at| {
        let ask = Ask::new(vec![], format!("prompt {at}").into());
        let ask = Ask { reference: Some(at.to_string().into()), ..ask };
        Sampled { ask, cluster: 0, why: Why::Proportion }
    });
    let manner = Manner { timeout: Duration::from_secs(1), pause: Duration::from_secs(1) };
    let unanswered = Unanswered::Left;
    Arc::new(Panel {
        candidates: found,
        sampled: sampled.collect(),
        grader: grader(judge.deployment),
        caller: Scripted { script, calls: Mutex::default() },
        work,
        spend,
        settings: Settings { max_output_tokens: 50, concurrency: 4, manner, unanswered },
    })
}
