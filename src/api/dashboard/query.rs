//! What `/api/requests` is asked for.
//!
//! In: the query of a URL. Out: [`Asked`], or every [`Violation`] at once. Invariant: bounded, and a
//! parameter that is not known is told, not ignored. Pure.

use crate::domain::{FailureClass, ModelName, Violation};
use crate::outcome::{FailedAs, OutcomeFilter, OutcomePlace};

/// Longest query, bytes.
const QUERY_BYTES_MAX: usize = 4_096;
/// Pairs of metadata that one query may name.
const METADATA_MAX: usize = 8;
/// Rows of a page.
const ROWS: usize = 50;
const ROWS_MAX: usize = 200;
const KNOWN: &str = "model, failed, end, session, metadata, from, until, after, limit";

/// Which page of what.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) filter: OutcomeFilter,
    pub(super) after: Option<OutcomePlace>,
    pub(super) rows: usize,
}

/// Reads a query.
pub(super) fn read(query: &str) -> Result<Asked, Vec<Violation>> {
    let mut asked = Asked { filter: OutcomeFilter::default(), after: None, rows: ROWS };
    if query.len() > QUERY_BYTES_MAX {
        let message = format!("{} bytes, at most {QUERY_BYTES_MAX} are allowed", query.len());
        return Err(vec![Violation::new("query", message)]);
    }
    // The base is only there to be one; nothing but the query is looked at.
    let Ok(url) = reqwest::Url::parse(&format!("http://localhost/?{query}")) else {
        return Err(vec![Violation::new("query", "this is no query of a URL")]);
    };
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for (name, value) in url.query_pairs().filter(|(_, value)| !value.is_empty()) {
        if name != "metadata" && seen.contains(&name.to_string()) {
            found.push(Violation::new(name.to_string(), "it is given twice"));
        }
        seen.push(name.to_string());
        if let Err(why) = asked.take(&name, &value) {
            found.push(Violation::new(name.to_string(), why));
        }
    }
    if found.is_empty() { Ok(asked) } else { Err(found) }
}

impl Asked {
    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let filter = &mut self.filter;
        match name {
            "model" => filter.model = Some(ModelName::new(value).map_err(|it| it.to_string())?),
            "failed" => filter.failed = Some(failed(value)?),
            "end" => filter.end = Some(value.to_owned()),
            "session" => filter.session = Some(value.to_owned()),
            "metadata" if filter.metadata.len() == METADATA_MAX => {
                return Err(format!("at most {METADATA_MAX} pairs are allowed"));
            }
            "metadata" => {
                let (key, of) = value.split_once('=').ok_or("it must be `key=value`")?;
                filter.metadata.push((key.trim().to_owned(), of.trim().to_owned()));
            }
            "from" => filter.from_unix_ms = Some(time(value)?),
            "until" => filter.until_unix_ms = Some(time(value)?),
            "after" => {
                self.after = Some(value.parse::<OutcomePlace>().map_err(|it| it.to_string())?)
            }
            "limit" => {
                let rows = value.parse().ok().filter(|it| (1..=ROWS_MAX).contains(it));
                self.rows = rows.ok_or(format!("it must be 1 to {ROWS_MAX}"))?;
            }
            _ => return Err(format!("there is no such parameter; there are {KNOWN}")),
        }
        Ok(())
    }
}

fn failed(value: &str) -> Result<FailedAs, String> {
    if value == "any" {
        return Ok(FailedAs::Any);
    }
    let class = FailureClass::ALL.into_iter().find(|it| it.as_str() == value);
    let names = || FailureClass::ALL.map(FailureClass::as_str).join(", ");
    class
        .map(FailedAs::Class)
        .ok_or_else(|| format!("there is no such class of failure; there are any, {}", names()))
}

fn time(value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| "it must be milliseconds since 1970 UTC".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_be_asked_for() {
        let query = "model=a%2Fb&failed=overloaded&end=served&session=s+1&metadata=team%3Dblue\
                     &metadata=user=%C3%A9&from=5&until=7&after=6.3&limit=200&end=";
        let wanted = OutcomeFilter {
            model: ModelName::new("a/b").ok(),
            failed: Some(FailedAs::Class(FailureClass::Overloaded)),
            end: Some("served".into()),
            session: Some("s 1".into()),
            metadata: vec![("team".into(), "blue".into()), ("user".into(), "é".into())],
            from_unix_ms: Some(5),
            until_unix_ms: Some(7),
        };
        let asked = read(query).unwrap();
        assert_eq!((asked.filter, asked.rows), (wanted, 200));
        assert_eq!(asked.after.map(|it| it.to_string()).as_deref(), Some("6.3"));
        assert_eq!(read("").unwrap().rows, ROWS);
        assert_eq!(read("failed=any").unwrap().filter.failed, Some(FailedAs::Any));
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let check = |query: &str, wanted: &[&str]| {
            let found = read(query).err().unwrap_or_default();
            let fields: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
            assert_eq!(fields, wanted, "{found:?}");
        };
        check(
            "failed=sad&metadata=x&from=-1&until=soon&after=1&limit=0&colour=red",
            &["failed", "metadata", "from", "until", "after", "limit", "colour"],
        );
        check("limit=201", &["limit"]);
        check("end=a&end=b", &["end"]);
        check(&"metadata=a%3Db&".repeat(METADATA_MAX + 1), &["metadata"]);
        check(&"x".repeat(QUERY_BYTES_MAX + 1), &["query"]);
    }
}
