//! Variants of a model in its name: which of its deployments comes first.
//!
//! In: `NAME` or `NAME:VARIANT`. Out: the model, and the strategy that the variant stands for. Invariant:
//! a model that is itself called so is meant before any variant. `floor` and `nitro` are OpenRouter's
//! words (2026), `cheap` and `fast` ours. Pure.

use super::policy;
use crate::catalog::Fleet;
use crate::domain::ModelName;
use crate::ranking::{Figure, Strategy};

/// What stands behind the colon, what it orders by, and the strategy of that.
const VARIANTS: [(&str, Figure, Strategy); 4] = [
    ("cheap", Figure::Price, Strategy::Price),
    ("floor", Figure::Price, Strategy::Price),
    ("fast", Figure::Throughput, Strategy::Throughput),
    ("nitro", Figure::Throughput, Strategy::Throughput),
];

/// Reads a name.
///
/// # Errors
/// In words, where no such model is served or no such variant is known.
pub(super) fn read(text: &str, fleet: &Fleet) -> Result<(ModelName, Option<Strategy>), String> {
    let name = ModelName::new(text).map_err(|it| it.to_string())?;
    if fleet.has_model(&name) {
        return Ok((name, None));
    }
    let split = text.rsplit_once(':').and_then(|(base, it)| Some((ModelName::new(base).ok()?, it)));
    match split.filter(|(base, _)| fleet.has_model(base)) {
        Some((base, variant)) => {
            let known = VARIANTS.iter().find(|(it, ..)| *it == variant);
            let (_, _, strategy) = known.ok_or_else(|| unknown(&base))?;
            Ok((base, Some(*strategy)))
        }
        None => Err(policy::unknown(&name, fleet)),
    }
}

/// The figure that a variant orders by.
pub(super) fn figure(variant: &str) -> Option<&'static str> {
    let (_, by, _) = VARIANTS.iter().find(|(it, ..)| *it == variant)?;
    Figure::NAMES.iter().find(|(_, it)| it == by).map(|(name, _)| *name)
}

fn unknown(base: &ModelName) -> String {
    let names = VARIANTS.map(|(it, ..)| format!("`{base}:{it}`")).join(", ");
    format!("this variant is not known; there are {names}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing;

    #[test]
    fn a_variant_is_a_strategy_of_its_model() {
        let check = |text: &str, wanted: Result<(&str, Option<Strategy>), &str>| {
            let read = read(text, &testing::fleet());
            match (read, wanted) {
                (Ok((name, strategy)), Ok(wanted)) => {
                    assert_eq!((name.as_str(), strategy), wanted, "{text}");
                }
                (Err(told), Err(part)) => assert!(told.contains(part), "{text}: {told}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        };
        check("small", Ok(("small", None)));
        check("small:cheap", Ok(("small", Some(Strategy::Price))));
        check("large:nitro", Ok(("large", Some(Strategy::Throughput))));
        check("small:chep", Err("`small:cheap`, `small:floor`, `small:fast`, `small:nitro`"));
        check("smal:cheap", Err("is not served here"));
        check(":cheap", Err("is not served here"));
        check("", Err("empty"));
    }

    #[test]
    fn every_variant_has_its_figure() {
        assert_eq!(
            ["floor", "fast", "other"].map(figure),
            [Some("price"), Some("throughput"), None]
        );
    }
}
