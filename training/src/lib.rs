//! Trains and judges Pointsman's router artifacts.
//!
//! In: labelled tables (who answered which prompt how well, with how many tokens). Out: figures of
//! merit beside those of the controls, and artifacts with a model card. Invariant: what is learned on is never judged on, and the
//! parts are cut by question text (see [`split`]). Not here: anything that serves requests; of what is here, only
//! [`panel`] calls anybody.

pub mod alike;
pub mod card;
pub mod choose;
pub mod controls;
pub mod course;
pub mod dataset;
pub mod drift;
pub mod encoder;
pub mod evaluate;
pub mod fit;
pub mod judge;
pub mod make;
pub mod metrics;
pub mod newcomer;
pub mod offpolicy;
pub mod outcomes;
pub mod panel;
pub mod progress;
pub mod relearn;
pub mod report;
pub mod seeds;
pub mod split;
