//! Pointsman picks the right LLM for every single request.
pub mod catalog;
pub mod domain;
pub mod prediction;
pub mod ranking;
pub mod simulator;
