//! Pointsman picks the right LLM for every single request. A pointsman is the railway worker who
//! sets the points, so that each train takes its own track; here the trains are prompts.
//!
//! # What happens to a request
//!
//! 1. [`features`] counts what can be counted in it, [`encoder`] turns its words into a vector.
//! 2. [`prediction`] says for every deployment how good, how dear and how slow its answer would be.
//! 3. [`ranking`] orders them by what quality is worth to the caller, within his hard limits, and
//!    gives everyone who is left out his reasons.
//! 4. [`dispatch`] calls the first, and walks down the ranking when a call fails, while time and
//!    money last; [`providers`] speaks each wire format.
//! 5. [`outcome`] writes down what became of it, so that any decision can be recomputed and the
//!    next artifact learns from it (the `pointsman-training` crate, over this same code).
//!
//! [`telemetry`] counts what happens, for operators. [`pipeline`] is these steps in order. [`api`] is
//! its gRPC face, [`config`] says what it runs on, [`commands`] is what a person types, [`simulator`]
//! stands in for providers that cost money, [`hub`] fetches encoders other than the one in the binary, and
//! [`import`] reads the configs of other gateways.
//! [`domain`] holds the nouns, [`catalog`] the models and who serves them, [`access`] the operator's
//! callers: their keys, scopes and limits. A module names only those
//! below it: the steps above know nothing of the ones after them.
//!
//! # One word, one meaning
//!
//! - **Model**: what answers, whoever runs it: `claude-sonnet-4`.
//! - **Provider**: who runs it: a base URL, a key, a protocol. A row of data, never code.
//! - **Protocol**: a wire format. Code: pure encoding and decoding.
//! - **Deployment**: a model at a provider, with a price and a speed there: `gpt-4o@openai`.
//! - **Candidate**: a deployment, looked at for one request.
//! - **Prediction**: what is expected of a candidate: quality, tokens, cost, latency, with spreads.
//! - **Policy**: what is wanted: hard limits, and what quality is worth in money and in time.
//! - **Ranking**: the candidates a policy allows, best first, and everyone else with the reasons.
//! - **Attempt**: one call of one deployment, well or badly ended.
//! - **Decision**: a ranking or a refusal, with an id that feedback can name.
//! - **Outcome**: a decision, its attempts and how it ended, as the log keeps it.
//! - **Artifact**: a trained predictor in files.

pub mod access;
pub mod api;
pub mod catalog;
pub mod commands;
pub mod config;
pub mod dispatch;
pub mod domain;
pub mod encoder;
pub mod features;
pub mod hub;
pub mod import;
pub mod outcome;
pub mod pipeline;
pub mod prediction;
pub mod providers;
pub mod ranking;
pub mod simulator;
pub mod telemetry;
