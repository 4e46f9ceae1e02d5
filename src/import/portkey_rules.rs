//! Portkey's conditions, as `when` of ours.
//!
//! In: `conditions` and `default` of a conditional strategy. Out: its targets in the order of the rules, the
//! default last. Invariant: a rule that has no place here is named and left out, never widened.

use serde_json::Value;
use toml::Table;

use super::Note;
use super::fields::Fields;

/// A target as it was, and as a table of ours.
pub(super) type Made<'a> = (&'a Value, Option<Table>);

/// Portkey's operators, and ours.
const TESTS: [(&str, &str); 9] = [
    ("$eq", "eq"),
    ("$ne", "ne"),
    ("$in", "in"),
    ("$nin", "not_in"),
    ("$gt", "gt"),
    ("$gte", "gte"),
    ("$lt", "lt"),
    ("$lte", "lte"),
    ("$regex", "matches"),
];
/// Parameters of requests, and our names of them.
const PARAMS: [(&str, &str); 6] = [
    ("model", "model"),
    ("stream", "stream"),
    ("temperature", "temperature"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("user", "user"),
];

/// Targets in the order in which rules lead to them.
pub(super) fn ordered(
    strategy: &mut Fields<'_>,
    targets: &[Made<'_>],
    notes: &mut Vec<Note>,
) -> Vec<Table> {
    let named = |name: &str| {
        let own =
            targets.iter().find(|(from, _)| from.get("name").and_then(Value::as_str) == Some(name));
        own.and_then(|it| it.1.clone())
    };
    let path = strategy.at("conditions");
    let rules = strategy.take("conditions").and_then(Value::as_array);
    let mut all = Vec::new();
    for (at, rule) in rules.into_iter().flatten().enumerate() {
        let place = format!("{path}[{at}]");
        let to = rule.get("then").and_then(Value::as_str).unwrap_or_default();
        let when = rule.get("query").ok_or("there is no query").and_then(when);
        match (named(to), when) {
            (Some(mut table), Ok(when)) => {
                table.insert("name".into(), to.into());
                table.insert("when".into(), when.into());
                all.push(table);
            }
            (None, _) => {
                let why = format!("leads to `{to}`, of which nothing could be used");
                notes.push(Note { path: place, why });
            }
            (_, Err(why)) => notes.push(Note { path: place, why: why.to_owned() }),
        }
    }
    let default = strategy.text("default").unwrap_or_default();
    match named(default) {
        Some(mut table) => {
            table.insert("name".into(), default.into());
            all.push(table);
        }
        None => {
            let why = "there must be a default here: the last target stands for it";
            notes.push(Note { path: strategy.at("default"), why: why.into() });
            all.extend(targets.iter().rev().find_map(|it| it.1.clone()));
        }
    }
    all
}

fn when(query: &Value) -> Result<Table, &'static str> {
    let query = query.as_object().ok_or("the query is no object")?;
    let mut own = Table::new();
    for (key, value) in query {
        match key.as_str() {
            "$and" => insert(&mut own, "all", several(value)?)?,
            "$or" => insert(&mut own, "any", several(value)?)?,
            fact => {
                let tests = tests(value)?;
                if let Some(name) = fact.strip_prefix("metadata.") {
                    let group = own.entry("metadata").or_insert_with(|| Table::new().into());
                    let group = group.as_table_mut().ok_or("two conditions on one thing")?;
                    group.insert(name.to_owned(), tests);
                } else {
                    let name =
                        fact.strip_prefix("params.").ok_or("looks at what has no name here")?;
                    let ours = PARAMS.iter().find(|(it, _)| *it == name).map(|it| it.1);
                    insert(
                        &mut own,
                        ours.ok_or("looks at a parameter that has no name here")?,
                        tests,
                    )?;
                }
            }
        }
    }
    if own.is_empty() { Err("the query is empty") } else { Ok(own) }
}

fn insert(table: &mut Table, key: &str, value: toml::Value) -> Result<(), &'static str> {
    let before = table.insert(key.to_owned(), value);
    if before.is_some() { Err("two conditions on one thing") } else { Ok(()) }
}

fn several(value: &Value) -> Result<toml::Value, &'static str> {
    let all = value.as_array().filter(|it| !it.is_empty()).ok_or("the list is empty")?;
    let each = all.iter().map(|it| when(it).map(toml::Value::Table));
    Ok(toml::Value::Array(each.collect::<Result<_, _>>()?))
}

fn tests(value: &Value) -> Result<toml::Value, &'static str> {
    let Some(operators) = value.as_object() else { return operand(value) };
    let mut own = Table::new();
    for (name, value) in operators {
        let ours = TESTS.iter().find(|(it, _)| it == name).map(|it| it.1);
        own.insert(ours.ok_or("has an operator that has no name here")?.into(), operand(value)?);
    }
    Ok(own.into())
}

fn operand(value: &Value) -> Result<toml::Value, &'static str> {
    match value {
        Value::String(text) => Ok(text.as_str().into()),
        Value::Bool(flag) => Ok((*flag).into()),
        Value::Number(number) => {
            let whole = number.as_i64().map(toml::Value::Integer);
            whole.or(number.as_f64().map(toml::Value::Float)).ok_or("has a number out of range")
        }
        Value::Array(all) => all.iter().map(operand).collect::<Result<Vec<_>, _>>().map(Into::into),
        Value::Null | Value::Object(_) => Err("compares with what is no value"),
    }
}
