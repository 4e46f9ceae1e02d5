//! What a model thought before it answered, and how hard it is asked to think.
//!
//! In: decoded answers, and earlier answers that a caller sends back. Out: [`Reasoning`], [`Seal`],
//! [`Effort`]. Invariant: a [`Seal`] is given back only to the provider that made it: it means
//! nothing to others, and some refuse the whole request over it. Not here: how each protocol
//! writes it.

use super::ids::ProviderName;
use super::text::Text;

/// How hard a model is asked to think. Providers know some of these; each takes the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Not at all.
    Off,
    /// As little as it can.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// Much.
    High,
    /// For at most so many tokens.
    Tokens(u64),
}

/// One block of a model's thinking.
#[derive(Debug, Clone, PartialEq)]
pub struct Reasoning {
    /// The thinking in words; `None` where the provider keeps it to itself and gives only a seal.
    pub text: Option<Text>,
    /// What its provider needs to see it again.
    pub seal: Option<Seal>,
}

/// An opaque signature or ciphertext with which a provider knows its own model's thinking again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Who made it; nobody else is shown it.
    pub provider: ProviderName,
    /// As the provider wrote it.
    pub value: Text,
}

/// What stands before a seal that was given to a caller.
const WIRE_PREFIX: &str = "pointsman:";

impl Seal {
    /// As callers are given it: the maker's name is in it, so that it finds its way back.
    pub fn to_wire(&self) -> String {
        format!("{WIRE_PREFIX}{}:{}", self.provider, self.value.as_str())
    }

    /// Reads what [`Seal::to_wire`] wrote; `None` for any other text.
    pub fn from_wire(text: &str) -> Option<Self> {
        let (provider, value) = text.strip_prefix(WIRE_PREFIX)?.split_once(':')?;
        let provider = ProviderName::new(provider).ok()?;
        Some(Self { provider, value: value.into() })
    }

    /// The seal itself, for its maker only.
    pub fn for_provider(&self, provider: &ProviderName) -> Option<&Text> {
        (self.provider == *provider).then_some(&self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_comes_back_to_its_maker_and_nobody_else() {
        let provider = ProviderName::new("anthropic").unwrap();
        let seal = Seal { provider: provider.clone(), value: "a:b==".into() };
        let back = Seal::from_wire(&seal.to_wire()).unwrap();
        assert_eq!(back, seal);
        assert_eq!(back.for_provider(&provider).map(Text::as_str), Some("a:b=="));
        assert_eq!(back.for_provider(&ProviderName::new("google").unwrap()), None);
        for other in ["", "a:b==", "pointsman:", "pointsman:x", "pointsman::x"] {
            assert_eq!(Seal::from_wire(other), None, "{other}");
        }
    }
}
