//! What single values of routes mean: strategies, triggers, retries, weights, conditions.
//!
//! In: one TOML value. Out: a checked value, or the [`Fault`]. Invariant: pure; recursion is bounded by
//! [`CONDITION_DEPTH_MAX`].

use toml::de::{DeTable, DeValue};

use super::super::problems::Fault;
use super::super::section::wrong;
use super::super::values;
use super::{RouteFault, Strategy};
use crate::ranking::route::{
    Cause, Condition, Fact, Pattern, Retry, RetryRule, Test, Trigger, Value,
};

/// The model that leaves the choice to the ranking.
pub(super) const AUTO: &str = "auto";
/// Most calls more of one target: with pauses between them more would outlast any caller.
const RETRIES_MAX: usize = 10;
/// Most levels of `all`, `any` and `not`.
const CONDITION_DEPTH_MAX: usize = 8;

type Read<T> = Result<T, Fault>;

pub(super) fn strategy(value: &DeValue<'_>) -> Read<Strategy> {
    let known = vec![
        ("fallback", Strategy::Fallback),
        ("loadbalance", Strategy::Loadbalance),
        ("conditional", Strategy::Conditional),
    ];
    values::one_of("strategy", known, value)
}

pub(super) fn weight(value: &DeValue<'_>) -> Read<f64> {
    let weight = values::number(value)?;
    let fine = weight.is_finite() && weight >= 0.0;
    if fine { Ok(weight) } else { Err(Fault::Route(RouteFault::Weight)) }
}

pub(super) fn integer(value: &DeValue<'_>) -> Read<i64> {
    let integer = value.as_integer().ok_or_else(|| wrong("a whole number", value))?;
    let read = i64::from_str_radix(integer.as_str(), integer.radix());
    read.map_err(|_| wrong("a whole number", value))
}

/// `"any"`, `"usual"`, one failure, or a list of failures.
pub(super) fn trigger(value: &DeValue<'_>) -> Read<Trigger> {
    match value {
        DeValue::String(word) if word == "any" => Ok(Trigger::Any),
        DeValue::String(word) if word == "usual" => Ok(Trigger::Usual),
        DeValue::Array(all) if all.is_empty() => Err(Fault::Empty),
        other => causes(other).map(Trigger::Listed),
    }
}

fn causes(value: &DeValue<'_>) -> Read<Vec<Cause>> {
    match value {
        DeValue::Array(all) => all.iter().map(|it| cause(it.get_ref())).collect(),
        one => Ok(vec![cause(one)?]),
    }
}

fn cause(value: &DeValue<'_>) -> Read<Cause> {
    let word = match value {
        DeValue::Integer(it) => it.as_str().to_owned(),
        other => values::string(other)?,
    };
    word.parse().map_err(|why| Fault::Route(RouteFault::Cause { word, why }))
}

/// A number of calls more, by failure or for those that usually pass.
pub(super) fn retry(value: &DeValue<'_>) -> Read<Retry> {
    let DeValue::Table(table) = value else {
        let attempts = attempts(value)?;
        return Ok(rules(&passing(), attempts));
    };
    if table.get("attempts").is_none() {
        let rule = |(word, value): (&str, &DeValue<'_>)| {
            let fault = |why| Fault::Route(RouteFault::Cause { word: word.to_owned(), why });
            Ok(RetryRule { on: word.parse().map_err(fault)?, attempts: attempts(value)? })
        };
        return pairs(table).map(rule).collect::<Read<_>>().map(Retry);
    }
    if let Some((key, _)) = pairs(table).find(|(key, _)| !["attempts", "on"].contains(key)) {
        let nearest = super::super::problems::nearest(key, ["attempts", "on"]);
        return Err(Fault::UnknownKey { nearest });
    }
    let find = |wanted: &str| pairs(table).find(|(key, _)| *key == wanted).map(|it| it.1);
    let attempts = find("attempts").map(attempts).transpose()?.unwrap_or(0);
    let on = find("on").map(causes).transpose()?.unwrap_or_else(passing);
    Ok(rules(&on, attempts))
}

fn rules(on: &[Cause], attempts: usize) -> Retry {
    Retry(on.iter().map(|on| RetryRule { on: *on, attempts }).collect())
}

/// What passes by itself: Portkey retries the same statuses where none are named (docs, 2026).
fn passing() -> Vec<Cause> {
    use crate::domain::FailureClass::{Overloaded, RateLimited};
    let classes = [RateLimited, Overloaded].map(Cause::Class);
    [Cause::Status(429), Cause::Hundred(5)].into_iter().chain(classes).collect()
}

fn attempts(value: &DeValue<'_>) -> Read<usize> {
    let read = integer(value).ok().and_then(|it| usize::try_from(it).ok());
    let fine = read.filter(|it| *it <= RETRIES_MAX);
    fine.ok_or(Fault::Route(RouteFault::Retry(RETRIES_MAX)))
}

fn pairs<'t, 'v>(table: &'t DeTable<'v>) -> impl Iterator<Item = (&'t str, &'t DeValue<'v>)> {
    table.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()))
}

/// A table of facts with what they must be; all of it must hold.
pub(super) fn condition(value: &DeValue<'_>) -> Read<Condition> {
    within(value, 1)
}

fn within(value: &DeValue<'_>, depth: usize) -> Read<Condition> {
    let table = value.as_table().ok_or_else(|| wrong("a table", value))?;
    if depth > CONDITION_DEPTH_MAX {
        return Err(Fault::Route(RouteFault::TooDeep));
    }
    let mut all = Vec::new();
    for (key, value) in pairs(table) {
        match key {
            "all" => all.push(Condition::All(several(value, depth)?)),
            "any" => all.push(Condition::Any(several(value, depth)?)),
            "not" => all.push(Condition::Not(Box::new(within(value, depth + 1)?))),
            "metadata" | "feature" | "quality" => all.extend(group(key, value)?),
            plain => {
                let fact: Fact = plain.parse().map_err(|_| unknown(plain))?;
                all.extend(tests(&fact, value)?);
            }
        }
    }
    match all.len() {
        0 => Err(Fault::Route(RouteFault::NoTest)),
        1 => Ok(all.remove(0)),
        _ => Ok(Condition::All(all)),
    }
}

fn unknown(name: &str) -> Fault {
    Fault::Route(RouteFault::Fact(name.to_owned()))
}

fn several(value: &DeValue<'_>, depth: usize) -> Read<Vec<Condition>> {
    let all = value.as_array().ok_or_else(|| wrong("an array of tables", value))?;
    if all.is_empty() {
        return Err(Fault::Route(RouteFault::NoTest));
    }
    all.iter().map(|it| within(it.get_ref(), depth + 1)).collect()
}

/// `metadata = { KEY = ... }` and the like.
fn group(group: &str, value: &DeValue<'_>) -> Read<Vec<Condition>> {
    let table = value.as_table().ok_or_else(|| wrong("a table", value))?;
    let mut all = Vec::new();
    for (name, value) in pairs(table) {
        let fact = Fact::inside(group, name);
        let fact = fact.map_err(|_| unknown(&format!("{group}.{name}")))?;
        all.extend(tests(&fact, value)?);
    }
    Ok(all)
}

/// A value is what the fact must be, a list what it may be; a table names its tests.
fn tests(fact: &Fact, value: &DeValue<'_>) -> Read<Vec<Condition>> {
    let of = |test: Test| Condition::Fact(fact.clone(), test);
    Ok(match value {
        DeValue::Table(table) => {
            let each = pairs(table).map(|(name, value)| test(name, value).map(of));
            each.collect::<Read<_>>()?
        }
        DeValue::Array(_) => vec![of(Test::In(operands(value)?))],
        one => vec![of(Test::Eq(operand(one)?))],
    })
}

fn test(name: &str, value: &DeValue<'_>) -> Read<Test> {
    Ok(match name {
        "eq" => Test::Eq(operand(value)?),
        "ne" => Test::Ne(operand(value)?),
        "in" => Test::In(operands(value)?),
        "not_in" => Test::NotIn(operands(value)?),
        "gt" => Test::Gt(operand(value)?),
        "gte" => Test::Gte(operand(value)?),
        "lt" => Test::Lt(operand(value)?),
        "lte" => Test::Lte(operand(value)?),
        "matches" => {
            let text = values::text(value)?;
            Test::Matches(Pattern::new(text).map_err(|it| Fault::Route(it.into()))?)
        }
        "exists" => Test::Exists(values::flag(value)?),
        other => return Err(Fault::Route(RouteFault::Test(other.to_owned()))),
    })
}

fn operands(value: &DeValue<'_>) -> Read<Vec<Value>> {
    let all = value.as_array().ok_or_else(|| wrong("an array", value))?;
    all.iter().map(|it| operand(it.get_ref())).collect()
}

fn operand(value: &DeValue<'_>) -> Read<Value> {
    match value {
        DeValue::String(text) => Ok(Value::Text(text.as_ref().to_owned())),
        DeValue::Boolean(flag) => Ok(Value::Flag(*flag)),
        DeValue::Integer(_) | DeValue::Float(_) => {
            let number = values::number(value)?;
            let finite = number.is_finite().then_some(Value::Number(number));
            finite.ok_or(Fault::Route(RouteFault::Value))
        }
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err(Fault::Route(RouteFault::Value))
        }
    }
}
