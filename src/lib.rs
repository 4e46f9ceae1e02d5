//! Pointsman picks the right LLM for every single request.
pub mod api;
pub mod catalog;
pub mod config;
pub mod dispatch;
pub mod domain;
pub mod encoder;
pub mod features;
pub mod outcome;
pub mod pipeline;
pub mod prediction;
pub mod providers;
pub mod ranking;
pub mod simulator;
