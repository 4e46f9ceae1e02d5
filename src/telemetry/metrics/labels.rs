//! What figures are told apart by.
//!
//! Invariant: every value is a name of the fleet or of an enum.

use std::fmt::Write as _;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// By which way a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Face {
    /// gRPC.
    Grpc,
    /// `/v1/chat/completions`.
    Openai,
    /// `/v1/messages`.
    Anthropic,
    /// `/v1/responses`.
    Responses,
}

/// How an answer was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// In one piece.
    Whole,
    /// In pieces.
    Stream,
}

impl Face {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Grpc, Self::Openai, Self::Anthropic, Self::Responses];

    fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Responses => "responses",
        }
    }
}

impl Delivery {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Whole, Self::Stream];

    fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Stream => "stream",
        }
    }
}

impl EncodeLabelValue for Face {
    fn encode(&self, to: &mut LabelValueEncoder) -> std::fmt::Result {
        to.write_str(self.as_str())
    }
}

impl EncodeLabelValue for Delivery {
    fn encode(&self, to: &mut LabelValueEncoder) -> std::fmt::Result {
        to.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfFace {
    pub(super) face: Face,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfDelivery {
    pub(super) delivery: Delivery,
}

/// `model` is the one that served, or `none`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfEnd {
    pub(super) end: String,
    pub(super) model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfDuration {
    pub(super) end: String,
    pub(super) delivery: Delivery,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfDeployment {
    pub(super) deployment: String,
}

/// `class` is how the call failed, or `answered`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfClass {
    pub(super) deployment: String,
    pub(super) class: &'static str,
}

/// `first` is the deployment that was ranked first, `why` how its call failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfFallback {
    pub(super) first: String,
    pub(super) why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfTokens {
    pub(super) deployment: String,
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfQuantity {
    pub(super) deployment: String,
    pub(super) quantity: &'static str,
}

/// What was foretold of a model's answers: one of [`FORETOLD`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfForetold {
    pub(super) model: String,
    pub(super) quantity: &'static str,
}

/// USD, tokens, seconds, and 0 to 1.
pub(super) const FORETOLD: [&str; 4] = ["cost", "output_tokens", "latency", QUALITY];
pub(super) const QUALITY: &str = "quality";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfExit {
    pub(super) exit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfResult {
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfReason {
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfLimit {
    pub(super) limit: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfState {
    pub(super) deployment: String,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfModel {
    pub(super) deployment: String,
    pub(super) model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfVersion {
    pub(super) version: &'static str,
}
