//! What each deployment would do with a request: quality, tokens, cost and latency, with spreads.
//!
//! In: [`crate::features::Features`], an [`crate::encoder::Embedding`] and [`LiveStats`]. Out: one
//! [`Prediction`] per deployment. Invariant: pure, and knows no policy: the same inputs give the
//! same predictions whoever asks. Not here: which one is chosen (see [`crate::ranking`]).

mod forecast;
mod live;

pub use forecast::{Forecast, LogNormal, Prediction, QualityEstimate};
pub use live::{LiveStats, SpeedSample};
