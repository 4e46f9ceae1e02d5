//! What each deployment would do with a request: quality, tokens, cost and latency, with spreads.
//!
//! In: [`crate::features::Features`], an [`crate::encoder::Encoded`] prompt and [`LiveStats`]. Out:
//! one [`Prediction`] per deployment. Invariant: pure, and knows no policy: the same inputs give the
//! same predictions whoever asks. Not here: which one is chosen (see [`crate::ranking`]), and how
//! the artifact is trained (the `pointsman-training` crate, which calls this very code to judge it).

mod artifact;
mod belief;
mod forecast;
mod head;
mod known;
mod live;
mod manifest;
mod predictor;
mod smoke;
mod tensors;
#[cfg(test)]
mod tests;
mod trunk;

pub use artifact::{Artifact, MANIFEST_FILE, WEIGHTS_FILE};
pub use belief::Belief;
pub use forecast::{CachedInput, Forecast, LogNormal, Prediction, QualityEstimate};
pub use head::{HEAD, QualityHead, TokensHead, packed_len, with_one};
pub use known::{HeldPrompt, Known, Learned, Taught};
pub use live::{LiveFigures, LiveStats, Manner, Pace, SpeedSample, Took};
pub use manifest::{
    ArtifactError, DataFacts, FORMAT_VERSION, FORMAT_VERSION_MIN, Figures, LearnedModel, Lineage,
    Manifest, OtherEncoder,
};
pub use predictor::{Digest, Predictor, Prompt};
pub use smoke::{Probes, SmokeError, smoke};
pub use trunk::{LATENT, Trunk};
