//! The nouns of the house: what a request, an answer, an attempt, a price and a failure are.
//!
//! In: nothing. Out: plain values that every other layer speaks in. Invariant: no IO, no async, no
//! clock, no randomness; nothing here prints a prompt, an answer or a key in its `Debug`. Not here:
//! anything that decides (see [`crate::ranking`]) or acts (see [`crate::dispatch`]).

mod ability;
mod answer;
mod attempt;
mod billing;
mod chat;
mod checksum;
mod delta;
mod failure;
mod fault;
mod forced;
mod ids;
mod money;
mod parameter;
mod probability;
mod reasoning;
mod shape;
mod text;
mod timeouts;
mod validate;

pub use ability::{Ability, AbilitySet, UnknownAbility};
pub use answer::{ChatResponse, FinishReason, Usage};
pub use attempt::{Attempt, Seam};
pub use billing::Billing;
pub use chat::{
    ChatRequest, Image, ImageDetail, ImageSource, Message, Part, ResponseFormat, Sampling, Tool,
    ToolCall, ToolChoice,
};
pub use checksum::sha256_hex;
pub use delta::{Assembly, Delta, StreamEnd};
pub use failure::{Again, BreakerEffect, FailureClass, Handling, Next};
pub use fault::{Fault, InvalidFault, parse_fault};
pub use forced::{FORCED_MAX, FaultTarget, ForcedFault};
pub use ids::{DecisionId, DeploymentId, InvalidName, ModelName, ProviderName, RouteName};
pub use money::{MoneyError, Price, TokenPrice, Usd};
pub use parameter::{Parameter, ParameterSet, UnknownParameter};
pub use probability::{NotAProbability, Probability};
pub use reasoning::{Effort, Reasoning, Seal};
pub use shape::Shape;
pub use text::{Json, Text};
pub use timeouts::Timeouts;
pub use validate::{PROMPT_BYTES_MAX, Violation};
