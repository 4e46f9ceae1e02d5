//! The limits of a key and of a team, as operators set them.
//!
//! Invariant: no limit is `None`, never a number. Not here: keeping them (see `rate` and `spend`).

use std::num::NonZeroU32;

use crate::domain::Usd;

/// How often, and for how many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Requests per minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens per minute, input and output together.
    pub tokens_per_minute: Option<NonZeroU32>,
}

/// For how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpendLimits {
    /// In one day, UTC.
    pub per_day: Option<Usd>,
    /// In one calendar month, UTC.
    pub per_month: Option<Usd>,
}
