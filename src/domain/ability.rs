//! What a model can do and a request may need.
//!
//! In: names as the catalog writes them. Out: [`AbilitySet`], a small set that is compared in one
//! operation. Not here: context windows, which are numbers (see [`crate::catalog`]).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that not every model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Ability {
    /// Calls tools.
    Tools,
    /// Reads images.
    Images,
    /// Can be held to any JSON object (`response_format = json_object`).
    JsonObject,
    /// Can be held to a JSON schema.
    JsonSchema,
    /// Thinks before it answers; output tokens include the thinking.
    Reasoning,
}

/// An ability's name that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no ability; the abilities are {}", Ability::ALL.map(Ability::as_str).join(", "))]
pub struct UnknownAbility {
    /// The name as written.
    pub name: String,
}

impl Ability {
    /// Every ability, in the order in which they are listed.
    pub const ALL: [Self; 5] =
        [Self::Tools, Self::Images, Self::JsonObject, Self::JsonSchema, Self::Reasoning];

    /// Its name in configs, logs and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Images => "images",
            Self::JsonObject => "json_object",
            Self::JsonSchema => "json_schema",
            Self::Reasoning => "reasoning",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`UnknownAbility`], which lists the names there are.
    pub fn parse(name: &str) -> Result<Self, UnknownAbility> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == name);
        found.ok_or_else(|| UnknownAbility { name: name.to_owned() })
    }
}

/// A set of abilities.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct AbilitySet(u8);

impl AbilitySet {
    /// No ability.
    pub const EMPTY: Self = Self(0);

    /// This set and one more ability.
    #[must_use]
    pub fn with(self, ability: Ability) -> Self {
        Self(self.0 | 1 << ability as u8)
    }

    /// Whether `ability` is in it.
    pub fn has(self, ability: Ability) -> bool {
        self.0 & 1 << ability as u8 != 0
    }

    /// What is needed but not here.
    #[must_use]
    pub fn missing(self, needed: Self) -> Self {
        Self(needed.0 & !self.0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The abilities in it, in the order of [`Ability::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::ALL.into_iter().filter(move |it| self.has(*it))
    }
}

impl FromIterator<Ability> for AbilitySet {
    fn from_iter<I: IntoIterator<Item = Ability>>(abilities: I) -> Self {
        abilities.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl TryFrom<Vec<String>> for AbilitySet {
    type Error = UnknownAbility;
    fn try_from(names: Vec<String>) -> Result<Self, UnknownAbility> {
        names.iter().map(|it| Ability::parse(it)).collect()
    }
}

impl From<AbilitySet> for Vec<&'static str> {
    fn from(set: AbilitySet) -> Self {
        set.iter().map(Ability::as_str).collect()
    }
}

impl fmt::Display for AbilitySet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&Vec::<&str>::from(*self).join(", "))
    }
}

impl fmt::Debug for AbilitySet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_the_difference() {
        let has: AbilitySet = [Ability::Tools, Ability::JsonObject].into_iter().collect();
        let needs: AbilitySet = [Ability::Tools, Ability::Images].into_iter().collect();
        assert_eq!(has.missing(needs).iter().collect::<Vec<_>>(), [Ability::Images]);
        assert!(has.missing(AbilitySet::EMPTY).is_empty());
    }

    #[test]
    fn every_name_reads_back() {
        for ability in Ability::ALL {
            assert_eq!(Ability::parse(ability.as_str()), Ok(ability));
        }
        assert!(Ability::parse("vision").is_err_and(|it| it.to_string().contains("images")));
    }
}
