//! `pointsman outcomes summary`: what requests cost, took and were worth, by whatever tells them apart.
//!
//! In: a log or an export. Out: a table, or JSON. Invariant: records that cannot be read are counted and
//! told; works beside a server that writes the same log.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::args::OutcomesSummaryArgs;
use crate::commands::{CommandError, assemble, export};
use crate::outcome::{ExportReader, Group, Logged, OutcomeReader, StoreSettings, Summary};

pub(super) async fn summary(
    args: &OutcomesSummaryArgs,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let source = source(args)?;
    let summary = Summary::new(args.by.clone(), args.wanted.clone());
    let after = args.since.map_or(0, |it| unix_ms(SystemTime::now(), it));
    // Reading blocks, and the export's reader has a runtime of its own.
    let read = tokio::task::spawn_blocking(move || read(source, summary, after));
    let (summary, unread) = read.await.map_err(CommandError::Interrupted)??;
    let groups = summary.groups();
    if args.json {
        let told = json!({ "by": args.by.to_string(), "groups": groups, "unread": unread });
        writeln!(out, "{told}")?;
        return Ok(());
    }
    table(&args.by.to_string(), &groups[..groups.len().min(args.top)], out)?;
    if groups.len() > args.top {
        writeln!(out, "and {} more; --top shows more", groups.len() - args.top)?;
    }
    if unread > 0 {
        writeln!(out, "{unread} records could not be read, and are not in it")?;
    }
    Ok(())
}

enum Source {
    Log(OutcomeReader),
    Export(ExportReader),
}

fn source(args: &OutcomesSummaryArgs) -> Result<Source, CommandError> {
    if let Some(place) = &args.export {
        return Ok(Source::Export(ExportReader::open(place)?));
    }
    let store = match &args.at.log {
        Some(log) => StoreSettings::Sqlite(log.clone()),
        None => export::log_of(&args.at, assemble::config(args.at.config.as_deref())?.log.store),
    };
    match store {
        StoreSettings::Sqlite(path) => Ok(Source::Log(OutcomeReader::open(&path)?)),
        StoreSettings::Postgres(_) => Err(CommandError::OnlyExported),
    }
}

fn read(
    source: Source,
    mut summary: Summary,
    after_unix_ms: u64,
) -> Result<(Summary, u64), CommandError> {
    let mut unread = 0_u64;
    let mut take = |logged: Option<Logged>| match logged {
        Some(it) if it.record.at_unix_ms >= after_unix_ms => summary.add(&it),
        Some(_) => {}
        None => unread += 1,
    };
    match source {
        Source::Log(reader) => reader.for_each(|it| take(it.ok()))?,
        Source::Export(reader) => reader.for_each(|it| take(it.ok()))?,
    }
    Ok((summary, unread))
}

fn unix_ms(now: SystemTime, ago: Duration) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(ago);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn table(by: &str, groups: &[Group], out: &mut dyn Write) -> std::io::Result<()> {
    let longest = groups.iter().map(|it| it.name.chars().count()).chain([by.chars().count()]);
    let width = longest.max().unwrap_or_default().min(48);
    writeln!(
        out,
        "{by:width$}  requests  answered  fallback  cached     cost USD  per request     p50 ms     p95 ms  score (of)"
    )?;
    for it in groups {
        let share = |of: u64| format!("{:.1} %", of as f64 * 100.0 / it.requests.max(1) as f64);
        let ms = |it: Option<f64>| it.map_or("-".to_owned(), |it| format!("{it:.0}"));
        let score = it.score.map_or("-".to_owned(), |score| format!("{score:.3} ({})", it.scored));
        let name: String = it.name.chars().take(width).collect();
        writeln!(
            out,
            "{name:width$}  {:8}  {:>8}  {:>8}  {:>6}  {:11.6}  {:11.6}  {:>9}  {:>9}  {score}",
            it.requests,
            share(it.answered),
            share(it.fallbacks),
            share(it.cached),
            it.cost_usd,
            it.cost_usd / it.requests.max(1) as f64,
            ms(it.latency_ms_p50),
            ms(it.latency_ms_p95),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::args::LogArgs;
    use crate::outcome::{LogSettings, OutcomeLog, OutcomeRecord, PromptPrivacy, samples};

    #[tokio::test]
    async fn a_log_is_told_by_property_in_words_and_as_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes.db");
        let log = OutcomeLog::open(&LogSettings::sqlite(&path, PromptPrivacy::None)).unwrap();
        for user in ["anna", "anna", "ben"] {
            let metadata = [("user".to_owned(), user.to_owned())].into();
            log.append(OutcomeRecord { metadata, ..samples::record() }).await.unwrap();
        }
        let said = async |change: fn(&mut OutcomesSummaryArgs)| {
            let at = LogArgs { config: None, log: Some(path.clone()) };
            let by = "metadata.user".parse().unwrap();
            let (wanted, since, export) = (vec![], None, None);
            let mut args =
                OutcomesSummaryArgs { by, wanted, since, top: 50, at, export, json: false };
            change(&mut args);
            let mut out = Vec::new();
            summary(&args, &mut out).await.unwrap();
            String::from_utf8(out).unwrap()
        };
        let table = said(|_| {}).await;
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[1].starts_with("anna") && lines[1].contains(" 2 "), "{table}");
        assert!(lines.len() == 3 && lines[2].starts_with("ben"), "{table}");
        assert!(said(|it| it.top = 1).await.contains("and 1 more"));
        let json = said(|it| {
            it.json = true;
            it.wanted = vec![("metadata.user".parse().unwrap(), "ben".into())];
        });
        let json: serde_json::Value = serde_json::from_str(&json.await).unwrap();
        assert_eq!((&json["groups"][0]["requests"], &json["unread"]), (&json!(1), &json!(0)));
        let recent = said(|it| it.since = Some(Duration::from_secs(3_600))).await;
        assert_eq!(recent.lines().count(), 1, "the records are of 2023: {recent}");
        log.close().await;
    }
}
