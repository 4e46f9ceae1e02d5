//! What holds where a request says nothing, and the routes that it may name.
//!
//! In: the config. Out: [`Defaults`], which both faces have.

use std::sync::Arc;

use crate::ranking::{Policy, Routes};

/// What holds where a request says nothing.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// What is wanted of whoever answers.
    pub policy: Policy,
    /// The operator's ways through the fleet.
    pub routes: Arc<Routes>,
}

impl From<Policy> for Defaults {
    /// Without routes.
    fn from(policy: Policy) -> Self {
        Self { policy, routes: Arc::default() }
    }
}
