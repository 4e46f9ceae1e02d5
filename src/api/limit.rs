//! The limits that exclude candidates, by their names on the wire.
//!
//! In: an [`Exclusion`]. Out: its name. Invariant: a full match, so that a new limit needs a name before it
//! compiles.

use super::proto;
use crate::ranking::Exclusion;

pub(super) fn limit(of: &Exclusion) -> proto::Limit {
    match of {
        Exclusion::Abilities { .. } => proto::Limit::Abilities,
        Exclusion::Window { .. } => proto::Limit::ContextWindow,
        Exclusion::Unavailable(_) => proto::Limit::Unavailable,
        Exclusion::NotAllowed => proto::Limit::NotAllowed,
        Exclusion::NotPermitted => proto::Limit::KeyScope,
        Exclusion::NotOnRoute => proto::Limit::NotOnRoute,
        Exclusion::Cost { .. } => proto::Limit::MaxCostUsd,
        Exclusion::Latency { .. } => proto::Limit::MaxLatencyMs,
        Exclusion::Ttft { .. } => proto::Limit::MaxTtftMs,
        Exclusion::Quality { .. } => proto::Limit::MinQuality,
        Exclusion::InterToken { .. } => proto::Limit::MaxInterTokenMs,
        Exclusion::Throughput { .. } => proto::Limit::MinThroughput,
        Exclusion::NotOnly => proto::Limit::ProviderOnly,
        Exclusion::Ignored => proto::Limit::ProviderIgnore,
        Exclusion::Fallback => proto::Limit::AllowFallbacks,
        Exclusion::Parameters { .. } => proto::Limit::RequireParameters,
        Exclusion::DataCollection { .. } => proto::Limit::DataCollection,
        Exclusion::Zdr { .. } => proto::Limit::Zdr,
        Exclusion::Quantization { .. } => proto::Limit::Quantizations,
        Exclusion::Price { .. } => proto::Limit::MaxPrice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AbilitySet;
    use crate::ranking::Unavailable;

    #[test]
    fn limits_keep_their_names() {
        let half = crate::domain::Probability::clamped(0.5);
        let all = [
            Exclusion::Abilities { missing: AbilitySet::EMPTY },
            Exclusion::Window { needed_tokens: 2, window_tokens: 1 },
            Exclusion::Unavailable(Unavailable::NoKey("X".into())),
            Exclusion::NotAllowed,
            Exclusion::NotPermitted,
            Exclusion::NotOnRoute,
            Exclusion::Cost { chance: half, likely_usd: 1.0 },
            Exclusion::Latency { chance: half, likely_ms: 1.0 },
            Exclusion::Ttft { chance: half, likely_ms: 1.0 },
            Exclusion::Quality { expected: half },
        ];
        for exclusion in all {
            let name = format!("LIMIT_{}", exclusion.limit().to_uppercase());
            assert_eq!(limit(&exclusion).as_str_name(), name);
        }
    }
}
