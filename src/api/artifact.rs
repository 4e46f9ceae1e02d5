//! How the artifacts stand, on the wire, and why one was refused.
//!
//! In: the pipeline's own words. Out: wire messages, [`Fault`]s and statuses. Invariant: a refusal says
//! for programs which place, which folder and why, and what goes on serving. Not here: loading.

use std::time::SystemTime;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt as _};

use super::fault::{Fault, Kind};
use super::proto;
use crate::pipeline::{ArtifactsStatus, Loaded, NothingBefore, Refused, SlotStatus};

/// Longest message of one refusal, in bytes: three of them, twice in base64, stay under 8 KiB.
const MESSAGE_BYTES_MAX: usize = 600;

/// How the artifacts stand.
pub(super) fn status(of: &ArtifactsStatus) -> proto::GetStatusResponse {
    let trial = |it: &SlotStatus| it.path.is_some().then(|| slot(it));
    proto::GetStatusResponse {
        served: Some(slot(&of.served)),
        previous: of.previous.as_ref().map(loaded),
        rolled_back: of.rolled_back.clone(),
        shadow: trial(&of.shadow),
        shadow_missed: of.shadow_missed,
        canary: trial(&of.canary),
        canary_share: of.canary_share.map(crate::domain::Probability::get),
    }
}

/// Whether there is any folder to load from.
///
/// # Errors
/// A refusal that names the setting.
pub(super) fn reloadable(of: &ArtifactsStatus) -> Result<(), Fault> {
    let slots = [&of.served, &of.shadow, &of.canary];
    if slots.iter().any(|it| it.path.is_some()) {
        return Ok(());
    }
    let message = "this server decides with the artifact in its program; where it is to load others, \
                   its config says `path = \"folder\"` under [artifact]";
    Err(Fault::new(Kind::ArtifactRefused, "NO_ARTIFACT_PATH", message))
}

/// Nothing served before.
pub(super) fn nothing_before() -> Fault {
    Fault::new(Kind::ArtifactRefused, "NOTHING_TO_ROLL_BACK", NothingBefore.to_string())
}

/// Artifacts that were not taken, never none.
pub(super) fn refused(all: &[Refused], now: &ArtifactsStatus) -> Status {
    let version = now.served.now.as_ref().map_or("", |it| it.version.as_str());
    let words: Vec<_> = all.iter().map(|it| cut(&it.to_string()).to_owned()).collect();
    let message = format!("{}; {version} goes on serving", words.join("; "));
    let mut details = ErrorDetails::new();
    let violation = |it: &Refused| {
        let path = it.path.as_ref().map_or(String::new(), |it| it.display().to_string());
        PreconditionViolation::new(it.reason, path, cut(&it.message))
    };
    details.set_precondition_failure(all.iter().map(violation).collect::<Vec<_>>());
    let slots: Vec<_> = all.iter().map(|it| it.slot.as_str()).collect();
    let reasons: Vec<_> = all.iter().map(|it| it.reason).collect();
    let metadata = [
        ("slots".to_owned(), slots.join(",")),
        ("reasons".to_owned(), reasons.join(",")),
        ("serving".to_owned(), version.to_owned()),
    ];
    details.set_error_info("ARTIFACT_REFUSED", super::status::DOMAIN, metadata);
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

fn slot(of: &SlotStatus) -> proto::ArtifactSlot {
    proto::ArtifactSlot {
        now: of.now.as_ref().map(loaded),
        path: of.path.as_ref().map(|it| it.display().to_string()),
        refused: of.refused.as_ref().map(|it| proto::ArtifactRefusal {
            reason: it.reason.to_owned(),
            message: cut(&it.message).to_owned(),
            at_unix_ms: unix_ms(it.at),
        }),
    }
}

fn loaded(of: &Loaded) -> proto::LoadedArtifact {
    proto::LoadedArtifact {
        version: of.version.clone(),
        path: of.path.as_ref().map(|it| it.display().to_string()),
        loaded_at_unix_ms: unix_ms(of.loaded_at),
        encoder_sha256: of.encoder_sha256.clone(),
        exits: of.exits.iter().map(|it| u32::from(*it)).collect(),
    }
}

fn unix_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::pipeline::Slot;

    fn served(version: &str) -> SlotStatus {
        let now = Loaded {
            version: version.to_owned(),
            path: None,
            loaded_at: SystemTime::UNIX_EPOCH,
            encoder_sha256: "abc".into(),
            exits: vec![0, 3],
        };
        SlotStatus { now: Some(now), path: None, refused: None }
    }

    fn all() -> ArtifactsStatus {
        let empty = SlotStatus { now: None, path: None, refused: None };
        ArtifactsStatus {
            served: served("v1"),
            shadow: empty.clone(),
            shadow_missed: 0,
            canary: empty,
            canary_share: None,
            previous: None,
            rolled_back: None,
        }
    }

    #[test]
    fn a_refusal_fits_into_headers_and_says_what_goes_on() {
        let refused = |slot: Slot| Refused {
            slot,
            path: Some(PathBuf::from("/models/live")),
            reason: "CHECKSUM",
            message: "é".repeat(5_000),
            at: SystemTime::UNIX_EPOCH,
        };
        let status = super::refused(&Slot::ALL.map(refused), &all());
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().ends_with("v1 goes on serving"), "{}", status.message());
        assert!(status.details().len() * 4 / 3 + status.message().len() < 8_000);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("ARTIFACT_REFUSED", "pointsman"));
        assert_eq!(info.metadata["slots"], "served,shadow,canary");
        let failure = status.get_details_precondition_failure().unwrap();
        assert_eq!(failure.violations[0].subject, "/models/live");
    }

    #[test]
    fn without_a_folder_there_is_nothing_to_load() {
        let mut of = all();
        assert_eq!(reloadable(&of).unwrap_err().reason, "NO_ARTIFACT_PATH");
        of.canary.path = Some(PathBuf::from("next"));
        assert!(reloadable(&of).is_ok());
        let wire = status(&of);
        assert!(wire.shadow.is_none() && wire.canary.is_some());
    }
}
