//! `pointsman outcomes delete`: somebody's outcomes are gone.
//!
//! In: metadata, a log or a server. Out: how many were deleted, and how many of them stand in
//! exports. Invariant: works beside a server that writes the same log.

use std::io::Write;

use serde_json::json;

use super::args::OutcomesDeleteArgs;
use crate::api::proto;
use crate::commands::{CommandError, assemble, export, operator};
use crate::outcome::{LogSettings, OutcomeLog, StoreSettings};

pub(super) async fn delete(
    args: &OutcomesDeleteArgs,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let deleted = match &args.server {
        Some(server) => over_the_wire(args, server).await?,
        None => in_the_file(args).await?,
    };
    let proto::DeleteOutcomesResponse { outcomes, feedback, exported } = deleted;
    if args.json {
        let told = json!({ "outcomes": outcomes, "feedback": feedback, "exported": exported });
        writeln!(out, "{told}")?;
        return Ok(());
    }
    writeln!(out, "{outcomes} outcomes and {feedback} scores are deleted")?;
    if exported > 0 {
        writeln!(
            out,
            "{exported} of the outcomes stand in exports, which are not changed by this"
        )?;
    }
    Ok(())
}

async fn over_the_wire(
    args: &OutcomesDeleteArgs,
    server: &str,
) -> Result<proto::DeleteOutcomesResponse, CommandError> {
    let (metadata_key, metadata_value) = args.metadata.clone();
    let request = proto::DeleteOutcomesRequest { metadata_key, metadata_value };
    Ok(operator::admin(server).await?.delete_outcomes(request).await?.into_inner())
}

async fn in_the_file(
    args: &OutcomesDeleteArgs,
) -> Result<proto::DeleteOutcomesResponse, CommandError> {
    let settings = match &args.at.log {
        Some(_) => crate::config::log_default(),
        None => assemble::config(args.at.config.as_deref())?.log,
    };
    let store = export::log_of(&args.at, settings.store.clone());
    if let StoreSettings::Sqlite(path) = &store
        && !path.is_file()
    {
        let (path, source) = (path.clone(), std::io::ErrorKind::NotFound.into());
        return Err(CommandError::Read { path, source });
    }
    let log = OutcomeLog::open(&LogSettings { store, ..settings })?;
    let (key, value) = &args.metadata;
    let erased = log.upkeep().erase(key, value).await;
    log.close().await;
    let erased = erased?;
    let (outcomes, feedback, exported) = (erased.outcomes, erased.feedback, erased.exported);
    Ok(proto::DeleteOutcomesResponse { outcomes, feedback, exported })
}
