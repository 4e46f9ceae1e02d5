//! Whether a rule of a route holds.
//!
//! In: a condition, a way to look facts up. Out: yes or no. Invariant: pure and total: what is not
//! known equals nothing, so that only `not`, `ne` and `not_in` hold of it. Not here: where facts come
//! from (see [`super::facts`]).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::facts::{Fact, Value};
use super::pattern::Pattern;

/// A condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// All of these hold.
    All(Vec<Condition>),
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
    /// A fact passes a test.
    Fact(Fact, Test),
}

/// What is asked of a fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// It is this.
    Eq(Value),
    /// It is not this.
    Ne(Value),
    /// It is one of these.
    In(Vec<Value>),
    /// It is none of these.
    NotIn(Vec<Value>),
    /// It is more.
    Gt(Value),
    /// It is not less.
    Gte(Value),
    /// It is less.
    Lt(Value),
    /// It is not more.
    Lte(Value),
    /// The pattern is found in it.
    Matches(Pattern),
    /// It is known, or (`false`) it is not.
    Exists(bool),
}

impl Condition {
    /// Whether it holds of what is known.
    pub fn holds(&self, known: &impl Fn(&Fact) -> Option<Value>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|it| it.holds(known)),
            Self::Any(any) => any.iter().any(|it| it.holds(known)),
            Self::Not(it) => !it.holds(known),
            Self::Fact(fact, test) => test.passes(known(fact).as_ref()),
        }
    }

    /// Adds every fact that it looks at.
    pub fn reads(&self, facts: &mut BTreeSet<Fact>) {
        match self {
            Self::All(all) | Self::Any(all) => all.iter().for_each(|it| it.reads(facts)),
            Self::Not(it) => it.reads(facts),
            Self::Fact(fact, _) => {
                facts.insert(fact.clone());
            }
        }
    }

    /// How many tests there are.
    pub fn size(&self) -> usize {
        match self {
            Self::All(all) | Self::Any(all) => all.iter().map(Self::size).sum(),
            Self::Not(it) => it.size(),
            Self::Fact(..) => 1,
        }
    }
}

impl Test {
    fn passes(&self, known: Option<&Value>) -> bool {
        let order = |to: &Value| known.and_then(|it| compare(it, to));
        let is = |to: &Value| order(to) == Some(Ordering::Equal);
        match self {
            Self::Eq(to) => is(to),
            Self::Ne(to) => !is(to),
            Self::In(all) => all.iter().any(is),
            Self::NotIn(all) => !all.iter().any(is),
            Self::Gt(to) => order(to).is_some_and(Ordering::is_gt),
            Self::Gte(to) => order(to).is_some_and(Ordering::is_ge),
            Self::Lt(to) => order(to).is_some_and(Ordering::is_lt),
            Self::Lte(to) => order(to).is_some_and(Ordering::is_le),
            Self::Matches(pattern) => {
                matches!(known, Some(Value::Text(text)) if pattern.is_in(text))
            }
            Self::Exists(wanted) => known.is_some() == *wanted,
        }
    }
}

/// How two stand to each other; `None` where they cannot be compared. Metadata are texts, so a text is
/// read as a number or a flag where it is compared with one.
fn compare(known: &Value, to: &Value) -> Option<Ordering> {
    match (known, to) {
        (Value::Flag(known), Value::Flag(to)) => Some(known.cmp(to)),
        (Value::Number(known), Value::Number(to)) => known.partial_cmp(to),
        (Value::Text(known), Value::Text(to)) => Some(known.cmp(to)),
        (Value::Text(known), Value::Number(to)) => {
            known.trim().parse::<f64>().ok()?.partial_cmp(to)
        }
        (Value::Text(known), Value::Flag(to)) => Some(known.trim().parse::<bool>().ok()?.cmp(to)),
        (Value::Number(known), Value::Text(to)) => known.partial_cmp(&to.trim().parse().ok()?),
        (Value::Flag(known), Value::Text(to)) => Some(known.cmp(&to.trim().parse().ok()?)),
        (Value::Flag(_), Value::Number(_)) | (Value::Number(_), Value::Flag(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(it: &str) -> Value {
        Value::Text(it.into())
    }

    /// Of one fact, `plan`, which is `known`.
    fn check(test: Test, known: Option<Value>, wanted: bool) {
        let fact = Fact::Metadata("plan".into());
        let look = |it: &Fact| known.clone().filter(|_| *it == Fact::Metadata("plan".into()));
        let condition = Condition::Fact(fact, test);
        assert_eq!(condition.holds(&look), wanted, "{condition:?} {known:?}");
        let not = Condition::Not(Box::new(condition.clone()));
        assert_eq!(not.holds(&look), !wanted);
        let json = serde_json::to_string(&condition).unwrap();
        assert_eq!(serde_json::from_str::<Condition>(&json).unwrap(), condition);
    }

    #[test]
    fn every_test_does_what_its_name_says() {
        let paid = || Some(text("paid"));
        check(Test::Eq(text("paid")), paid(), true);
        check(Test::Eq(text("free")), paid(), false);
        check(Test::Ne(text("free")), paid(), true);
        check(Test::In(vec![text("free"), text("paid")]), paid(), true);
        check(Test::NotIn(vec![text("free")]), paid(), true);
        check(Test::NotIn(vec![text("paid")]), paid(), false);
        check(Test::Matches(Pattern::new("^pa").unwrap()), paid(), true);
        check(Test::Matches(Pattern::new("^id").unwrap()), paid(), false);
        check(Test::Exists(true), paid(), true);
        let nine = || Some(Value::Number(9.0));
        check(Test::Gt(Value::Number(8.0)), nine(), true);
        check(Test::Gt(Value::Number(9.0)), nine(), false);
        check(Test::Gte(Value::Number(9.0)), nine(), true);
        check(Test::Lt(Value::Number(9.0)), nine(), false);
        check(Test::Lte(Value::Number(9.0)), nine(), true);
    }

    #[test]
    fn metadata_are_read_as_what_they_are_compared_with() {
        check(Test::Gt(Value::Number(9.0)), Some(text("10")), true);
        check(Test::Gt(text("9")), Some(text("10")), false);
        check(Test::Eq(Value::Flag(true)), Some(text("true")), true);
        check(Test::Gt(Value::Number(9.0)), Some(text("many")), false);
        check(Test::Eq(Value::Number(1.0)), Some(Value::Flag(true)), false);
    }

    #[test]
    fn what_is_not_known_equals_nothing() {
        check(Test::Eq(text("a")), None, false);
        check(Test::Ne(text("a")), None, true);
        check(Test::NotIn(vec![text("a")]), None, true);
        check(Test::Lt(Value::Number(1e9)), None, false);
        check(Test::Exists(false), None, true);
    }
}
