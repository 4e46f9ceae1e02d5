//! What is known of a deployment besides its price: data policy, precision, and how much it takes.
//!
//! In: the operator's config. Out: [`Terms`]. Invariant: what nobody said is unknown, and an unknown
//! promise satisfies no demand (see [`crate::ranking`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::ParameterSet;

/// Whether a provider may keep prompts and train on them, in OpenRouter's words (2026).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataCollection {
    /// It may; of a request: it does not matter.
    #[default]
    Allow,
    /// It does not; of a request: it must not.
    Deny,
}

impl DataCollection {
    /// Both, by their names.
    pub const NAMES: [(&str, Self); 2] = [("allow", Self::Allow), ("deny", Self::Deny)];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// Whether it is the default.
    pub fn is_allowed(&self) -> bool {
        *self == Self::Allow
    }
}

/// At which precision a model's weights are served, in OpenRouter's words (2026).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// Integers of 4 bits.
    Int4,
    /// Integers of 8 bits.
    Int8,
    /// Floats of 4 bits.
    Fp4,
    /// Floats of 6 bits.
    Fp6,
    /// Floats of 8 bits.
    Fp8,
    /// Floats of 16 bits.
    Fp16,
    /// Floats of 16 bits with the exponent of 32.
    Bf16,
    /// Floats of 32 bits.
    Fp32,
    /// Not known; a request that lists it takes those of which nothing is said, too.
    Unknown,
}

impl Quantization {
    /// All of them, by their names.
    pub const NAMES: [(&str, Self); 9] = [
        ("int4", Self::Int4),
        ("int8", Self::Int8),
        ("fp4", Self::Fp4),
        ("fp6", Self::Fp6),
        ("fp8", Self::Fp8),
        ("fp16", Self::Fp16),
        ("bf16", Self::Bf16),
        ("fp32", Self::Fp32),
        ("unknown", Self::Unknown),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, it)| *it == self);
        found.map_or("unknown", |(name, _)| name)
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What is known of a deployment besides its price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Whether prompts may be kept there; `None`: nobody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_collection: Option<DataCollection>,
    /// Whether nothing at all is retained (zero data retention); `None`: nobody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zdr: Option<bool>,
    /// The precision; `None`: nobody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// Parameters that it is known not to take.
    #[serde(skip_serializing_if = "ParameterSet::is_empty")]
    pub lacks: ParameterSet,
    /// Its share where deployments are shuffled by weight; zero or more, and 1 unless said.
    pub weight: f64,
    /// Calls that it takes in a minute; `None`: no limit was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u64>,
    /// Tokens that it takes in a minute, input and output; `None`: no limit was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<u64>,
}

impl Default for Terms {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            data_collection: None,
            zdr: None,
            quantization: None,
            lacks: ParameterSet::EMPTY,
            weight: 1.0,
            rpm: None,
            tpm: None,
        }
    }
}

impl Terms {
    /// Whether nothing is known; it then stands in no record.
    pub fn are_unknown(&self) -> bool {
        *self == Self::default()
    }
}
