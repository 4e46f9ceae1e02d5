//! What a key may be used for.
//!
//! In: lists of names. Out: yes or no. Invariant: no list means everything, an empty one nothing.

use crate::domain::ModelName;

/// Whether a key opens the operators' listener too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// It asks for answers.
    #[default]
    Caller,
    /// It may look at and change the server as well.
    Admin,
}

/// What a key may be used for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// The models that may answer it; `None`: all.
    pub models: Option<Vec<ModelName>>,
    /// The policies that it may name; `None`: all. Naming none, which is the operator's own, is open
    /// to everyone.
    pub policies: Option<Vec<String>>,
    /// Whether it is an operator's.
    pub role: Role,
}

impl Scope {
    /// Whether this model may answer it.
    pub fn has_model(&self, model: &ModelName) -> bool {
        self.models.as_ref().is_none_or(|it| it.contains(model))
    }

    /// Whether it may ask for this policy, by name.
    pub fn has_policy(&self, name: &str) -> bool {
        self.policies.as_ref().is_none_or(|it| it.iter().any(|own| own == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_is_everything_and_an_empty_one_nothing() {
        let name = |it: &str| ModelName::new(it).unwrap();
        let check = |models: Option<&[&str]>, wanted: bool| {
            let models = models.map(|it| it.iter().map(|it| name(it)).collect());
            let policies = Some(vec!["cost".to_owned()]);
            let scope = Scope { models, policies, role: Role::Caller };
            assert_eq!(scope.has_model(&name("a")), wanted);
            assert!(scope.has_policy("cost") && !scope.has_policy("quality"));
        };
        check(None, true);
        check(Some(&["a", "b"]), true);
        check(Some(&["b"]), false);
        check(Some(&[]), false);
        assert!(Scope::default().has_policy("anything"));
    }
}
