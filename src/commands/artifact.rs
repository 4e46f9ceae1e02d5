//! `pointsman artifact`: which artifact a running server decides with, another one, the one before.
//!
//! In: a server. Out: how its artifacts stand, in a few lines. Invariant: the folders stand in the
//! server's config; nothing is sent to it. Not here: what it checks (see docs/artifacts.md).

use std::io::Write;
use std::time::{Duration, SystemTime};

use clap::Subcommand;

use super::CommandError;
use super::operator::{AtServer, admin};
use crate::api::proto::{self, ArtifactSlot, GetStatusResponse, LoadedArtifact};
use crate::pipeline::{ArtifactsStatus, SlotStatus};

/// As much of an encoder's checksum as a person compares.
const CHECKSUM_CHARS: usize = 12;

/// What of `artifact`.
#[derive(Debug, Subcommand)]
pub enum ArtifactCommand {
    /// Show which artifact serves, which one was before it, and why another was refused.
    Status(AtServer),
    /// Load what is in the configured folders now.
    Reload(AtServer),
    /// Put back the artifact that served before.
    Rollback(AtServer),
}

pub(super) async fn artifact(
    what: &ArtifactCommand,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let status = match what {
        ArtifactCommand::Status(at) => {
            admin(&at.admin).await?.get_status(proto::GetStatusRequest {}).await?.into_inner()
        }
        ArtifactCommand::Reload(at) => {
            let told =
                admin(&at.admin).await?.reload_artifact(proto::ReloadArtifactRequest {}).await?;
            let told = told.into_inner();
            let what = if told.changed { "loaded" } else { "nothing new: all as before" };
            writeln!(out, "{what}")?;
            told.status.unwrap_or_default()
        }
        ArtifactCommand::Rollback(at) => {
            let request = proto::RollbackArtifactRequest {};
            let told = admin(&at.admin).await?.rollback_artifact(request).await?.into_inner();
            writeln!(out, "rolled back")?;
            told.status.unwrap_or_default()
        }
    };
    tell(&status, SystemTime::now(), out)?;
    Ok(())
}

/// What a server says of its artifacts when it starts.
pub(super) fn summary(of: &ArtifactsStatus) -> Vec<String> {
    let slots = [
        ("router artifact", &of.served, String::new()),
        ("shadow", &of.shadow, String::new()),
        ("canary", &of.canary, of.canary_share.map_or(String::new(), |it| share(it.get()))),
    ];
    let line = |(name, slot, more): (&str, &SlotStatus, String)| {
        let place = slot.path.as_ref().map_or("built in".into(), |it| it.display().to_string());
        match (&slot.now, &slot.refused) {
            (Some(now), _) => Some(format!("{name}: {} ({place}){more}", now.version)),
            (None, Some(why)) => Some(format!("{name}: none; {}", why.message)),
            (None, None) => None,
        }
    };
    slots.into_iter().filter_map(line).collect()
}

fn tell(of: &GetStatusResponse, now: SystemTime, out: &mut dyn Write) -> std::io::Result<()> {
    let mut slot = |name: &str, slot: &Option<ArtifactSlot>, more: String| {
        let Some(slot) = slot else { return Ok(()) };
        let filled = slot.now.as_ref().map_or("nothing".to_owned(), |it| loaded(it, now));
        writeln!(out, "{name:<9} {filled}{more}")?;
        if let Some(path) = &slot.path {
            writeln!(out, "          watches {path}")?;
        }
        if let Some(why) = &slot.refused {
            let ago = ago(why.at_unix_ms, now);
            writeln!(out, "          refused {ago}: {} ({})", why.message, why.reason)?;
        }
        Ok::<_, std::io::Error>(())
    };
    slot("serves", &of.served, String::new())?;
    slot("shadow", &of.shadow, format!(", {} requests missed", of.shadow_missed))?;
    slot("canary", &of.canary, of.canary_share.map_or(String::new(), share))?;
    if let Some(version) = &of.rolled_back {
        writeln!(out, "{version} was rolled back; it stays so until a folder changes or a reload")?;
    }
    match &of.previous {
        Some(it) => writeln!(out, "before    {}; `rollback` puts it back", loaded(it, now)),
        None => writeln!(out, "before    nothing to roll back to"),
    }
}

fn share(of: f64) -> String {
    format!(", decides {} % of the requests", of * 100.0)
}

fn loaded(of: &LoadedArtifact, now: SystemTime) -> String {
    let encoder = of.encoder_sha256.get(..CHECKSUM_CHARS).unwrap_or(&of.encoder_sha256);
    let place = of.path.as_deref().unwrap_or("built in");
    let exits: Vec<_> = of.exits.iter().map(ToString::to_string).collect();
    format!(
        "{} ({place}), loaded {}, encoder {encoder} at exits {}",
        of.version,
        ago(of.loaded_at_unix_ms, now),
        exits.join(" and "),
    )
}

fn ago(unix_ms: u64, now: SystemTime) -> String {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(unix_ms);
    let seconds = now.duration_since(at).unwrap_or_default().as_secs();
    format!("{} ago", humantime::format_duration(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::commands::args::Cli;

    const PAGE: &str = include_str!("../../docs/artifacts.md");

    fn one(version: &str) -> LoadedArtifact {
        LoadedArtifact {
            version: version.to_owned(),
            path: Some("/models/live".into()),
            loaded_at_unix_ms: 1_000,
            encoder_sha256: "0123456789abcdef".into(),
            exits: vec![0, 3],
        }
    }

    #[test]
    fn a_person_reads_what_serves_and_why_another_does_not() {
        let refused = proto::ArtifactRefusal {
            reason: "CHECKSUM".into(),
            message: "/models/live/x: the file is corrupt".into(),
            at_unix_ms: 61_000,
        };
        let path = Some("/models/live".to_owned());
        let status = GetStatusResponse {
            served: Some(ArtifactSlot { now: Some(one("v1")), path, refused: Some(refused) }),
            canary: Some(ArtifactSlot::default()),
            canary_share: Some(0.05),
            previous: Some(one("v0")),
            rolled_back: Some("v2".into()),
            ..Default::default()
        };
        let mut out = Vec::new();
        tell(&status, SystemTime::UNIX_EPOCH + Duration::from_secs(121), &mut out).unwrap();
        let wanted = "serves    v1 (/models/live), loaded 2m ago, encoder 0123456789ab at exits 0 and 3\n          \
                      watches /models/live\n          \
                      refused 1m ago: /models/live/x: the file is corrupt (CHECKSUM)\n\
                      canary    nothing, decides 5 % of the requests\n\
                      v2 was rolled back; it stays so until a folder changes or a reload\n\
                      before    v0 (/models/live), loaded 2m ago, encoder 0123456789ab at exits 0 and 3; \
                      `rollback` puts it back\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn the_commands_of_the_page_are_understood() {
        let commands: Vec<_> = PAGE.lines().filter(|it| it.starts_with("pointsman ")).collect();
        assert!(commands.len() >= 3, "{commands:?}");
        for command in commands {
            let words = command.split('#').next().unwrap_or_default();
            let read = Cli::try_parse_from(words.split_whitespace());
            assert!(read.is_ok(), "{command}: {}", read.err().unwrap());
        }
    }
}
