//! `[keys]`: whether callers need an API key, and where keys are kept.
//!
//! In: the section. Out: [`KeysPlan`]. Invariant: off loopback keys are asked for unless the file says
//! otherwise in so many words. Not here: the keys (see [`crate::access`]).

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeValue;

use super::problems::Fault;
use super::section::Section;
use super::values;
use crate::access::Demand;

/// Where keys are kept when nothing is said.
pub const KEYS_STORE_DEFAULT: &str = "data/keys.db";

/// What the file says of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysPlan {
    /// The file that they are kept in.
    pub store: PathBuf,
    /// Whether one must be shown; `None` where that is not said.
    required: Option<bool>,
    /// Whether there is a section at all.
    stated: bool,
}

impl Default for KeysPlan {
    fn default() -> Self {
        Self { store: KEYS_STORE_DEFAULT.into(), required: None, stated: false }
    }
}

impl KeysPlan {
    /// What callers of a listener there have to show; `None`: keys are not looked at.
    ///
    /// - `required` says so, if it is there: without need of a key, those that are shown still count.
    /// - A section that says no more means that keys are wanted.
    /// - Without a section nothing is asked on loopback, and a key everywhere else.
    pub fn demand(&self, listen: SocketAddr) -> Option<Demand> {
        match self.required {
            Some(true) => Some(Demand::Required),
            Some(false) => Some(Demand::Optional),
            None if self.stated || !listen.ip().is_loopback() => Some(Demand::Required),
            None => None,
        }
    }
}

/// Reads `[keys]`.
pub(super) fn read(section: Option<Section<'_>>) -> KeysPlan {
    let mut plan = KeysPlan::default();
    let Some(mut section) = section else { return plan };
    plan.stated = true;
    section.field("store", store).fill(&mut plan.store);
    section.field("required", values::flag).fill_some(&mut plan.required);
    section.done();
    plan
}

fn store(value: &DeValue<'_>) -> Result<PathBuf, Fault> {
    let path = values::text(value)?.strip_prefix("sqlite://").filter(|it| !it.is_empty());
    path.map(PathBuf::from).ok_or(Fault::KeyStore)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_toml;

    fn plan(section: &str) -> Result<KeysPlan, String> {
        let model = "[[model]]\nname = \"gpt-4o-mini\"\ndeployments = [\"openai\"]\n";
        let read = from_toml(&format!("{section}\n{model}"), &|_: &str| None);
        read.map(|it| it.keys).map_err(|it| it.to_string())
    }

    #[test]
    fn keys_are_asked_for_off_loopback_and_where_the_file_says_so() {
        let check = |section: &str, here: Option<Demand>, elsewhere: Option<Demand>| {
            let plan = plan(section).unwrap();
            let told =
                ["127.0.0.1:8080", "0.0.0.0:8080"].map(|it| plan.demand(it.parse().unwrap()));
            assert_eq!(told, [here, elsewhere], "{section}");
        };
        let (required, optional) = (Some(Demand::Required), Some(Demand::Optional));
        check("", None, required);
        check("[keys]", required, required);
        check("[keys]\nrequired = true", required, required);
        check("[keys]\nrequired = false", optional, optional);
        let plan = plan("[keys]\nstore = \"sqlite://var/k.db\"").unwrap();
        assert_eq!(plan.store, PathBuf::from("var/k.db"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let check = |section: &str, wanted: &str| {
            let told = plan(section).unwrap_err();
            assert!(told.contains(wanted), "{section}: {told}");
        };
        check("[keys]\nstore = \"keys.db\"", "sqlite://path/of/keys.db");
        check("[keys]\nrequired = \"no\"", "keys.required");
        check("[keys]\nstor = \"\"", "did you mean `store`?");
    }
}
