//! The outcome log over the wire: read by whoever pulls, deleted from for whoever wants to be forgotten.
//!
//! In: a cursor, or metadata. Out: batches as the caller takes them, or what was deleted. Invariant:
//! nothing without the operator's leave; at most [`AHEAD_MAX`] batches are read ahead of the caller,
//! and none once it has left. Not here: files (see [`crate::outcome::Exporter`]).

use futures_util::stream;
use tokio::sync::mpsc;
use tonic::Status;
use tonic::codegen::BoxStream;

use super::fault::{self, Fault, Kind};
use super::proto;
use crate::domain::Violation;
use crate::outcome::{
    Cursor, OutcomeAccess, OutcomeError, OutcomeLog, Pulled, PulledFeedback, PulledOutcome, Puller,
};

/// Batches that wait for the caller; one more is in the making. Each is 8 MiB at worst.
const AHEAD_MAX: usize = 1;
/// A message ends after so many bytes, or one record: a quarter of what clients take by default.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

type Told = Result<proto::ExportOutcomesResponse, Status>;

/// The log from a cursor on.
///
/// # Errors
/// A refusal, a violation of `cursor`, or the log's own failure.
pub(super) async fn pulled(
    log: &OutcomeLog,
    request: &proto::ExportOutcomesRequest,
) -> Result<BoxStream<proto::ExportOutcomesResponse>, Status> {
    allowed(log)?;
    let wrong = |why: String| Status::from(fault::invalid(&[Violation::new("cursor", why)]));
    let cursor = match request.cursor.as_str() {
        "" => None,
        given => Some(given.parse::<Cursor>().map_err(|it| wrong(it.to_string()))?),
    };
    let store = log.store().clone();
    let opened = tokio::task::spawn_blocking(move || Puller::open(&store, cursor)).await;
    let opened = opened.map_err(|_| Status::from(fault::panicked()))?;
    let puller = opened.map_err(|it| unreadable(&it))?.map_err(|it| wrong(it.to_string()))?;
    let (tell, told) = mpsc::channel(AHEAD_MAX);
    tokio::task::spawn_blocking(move || pull(puller, &tell));
    let batches = stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) });
    Ok(Box::pin(batches))
}

/// Reads on for as long as somebody listens.
fn pull(mut puller: Puller, tell: &mpsc::Sender<Told>) {
    // Ends with the log, or with the caller.
    loop {
        let messages = match puller.next_batch() {
            Ok(Some(batch)) => messages(batch),
            Ok(None) => return,
            Err(error) => vec![Err(unreadable(&error))],
        };
        for message in messages {
            let last = message.is_err();
            if tell.blocking_send(message).is_err() || last {
                return;
            }
        }
    }
}

/// A batch in messages that are not too large; each says where to go on after it.
fn messages(batch: Pulled) -> Vec<Told> {
    let Pulled { outcomes, feedback, .. } = batch;
    let mut all: Vec<proto::ExportOutcomesResponse> = Vec::new();
    let mut bytes = usize::MAX;
    for it in outcomes {
        let size = it.record.len() + 4 * (it.features.len() + it.embedding.len());
        let cursor = it.cursor.to_string();
        let message = room(&mut all, &mut bytes, size);
        message.outcomes.push(outcome(it));
        message.cursor = cursor;
    }
    for it in feedback {
        let size = 256 + it.comment.as_ref().map_or(0, crate::domain::Text::len);
        let cursor = it.cursor.to_string();
        let message = room(&mut all, &mut bytes, size);
        message.feedback.push(said(it));
        message.cursor = cursor;
    }
    all.into_iter().map(Ok).collect()
}

/// The last message, or a new one where there is no room in it.
fn room<'a>(
    all: &'a mut Vec<proto::ExportOutcomesResponse>,
    bytes: &mut usize,
    size: usize,
) -> &'a mut proto::ExportOutcomesResponse {
    *bytes = bytes.saturating_add(size);
    if *bytes > MESSAGE_BYTES_MAX || all.is_empty() {
        all.push(proto::ExportOutcomesResponse::default());
        *bytes = size;
    }
    let last = all.len() - 1;
    &mut all[last]
}

fn outcome(of: PulledOutcome) -> proto::ExportedOutcome {
    proto::ExportedOutcome {
        decision_id: of.decision,
        at_unix_ms: of.at_unix_ms,
        record_version: of.version,
        record_json: of.record.into_string(),
        features: of.features,
        embedding: of.embedding,
    }
}

fn said(of: PulledFeedback) -> proto::ExportedFeedback {
    proto::ExportedFeedback {
        decision_id: of.decision,
        at_unix_ms: of.at_unix_ms,
        kind: of.kind,
        signal: of.signal,
        about: of.about,
        score: of.score,
        weight: of.weight,
        idempotency_key: of.idempotency_key,
        comment: of.comment.map(crate::domain::Text::into_string),
    }
}

/// Deletes every outcome with this metadata.
///
/// # Errors
/// A refusal, a violation of an empty key, or the log's own failure.
pub(super) async fn deleted(
    log: &OutcomeLog,
    request: proto::DeleteOutcomesRequest,
) -> Result<proto::DeleteOutcomesResponse, Status> {
    allowed(log)?;
    let proto::DeleteOutcomesRequest { metadata_key, metadata_value } = request;
    if metadata_key.is_empty() {
        let why = "the key of the metadata whose outcomes are to go is needed";
        return Err(fault::invalid(&[Violation::new("metadata_key", why)]).into());
    }
    let erased = log.upkeep().erase(&metadata_key, &metadata_value).await;
    let erased = erased.map_err(|it| unreadable(&it))?;
    // The value may be a person's name: only how many is logged.
    tracing::warn!(outcomes = erased.outcomes, "outcomes were deleted by their metadata");
    let (outcomes, feedback, exported) = (erased.outcomes, erased.feedback, erased.exported);
    Ok(proto::DeleteOutcomesResponse { outcomes, feedback, exported })
}

fn allowed(log: &OutcomeLog) -> Result<(), Status> {
    match log.admin() {
        OutcomeAccess::Allowed => Ok(()),
        OutcomeAccess::Refused => {
            let message = "this server gives nobody its outcome log; where it may, its config says \
                           `admin_calls = true` under [outcomes]";
            Err(Fault::new(Kind::OutcomesRefused, "OUTCOMES_REFUSED", message).into())
        }
    }
}

fn unreadable(error: &OutcomeError) -> Status {
    tracing::error!(%error, "the outcome log could not be read or deleted from");
    Fault::new(Kind::NotStored, "LOG_FAILED", "the outcome log failed; try again").into()
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tonic::Code;

    use super::*;
    use crate::domain::Text;
    use crate::outcome::{LogSettings, OutcomeRecord, PromptPrivacy, RecordedPrompt, samples};

    async fn log_of(admin: OutcomeAccess, count: u64) -> (tempfile::TempDir, OutcomeLog) {
        let folder = tempfile::tempdir().unwrap();
        let settings = LogSettings::sqlite(folder.path().join("outcomes.db"), PromptPrivacy::Full);
        let log = OutcomeLog::open(&LogSettings { admin, ..settings }).unwrap();
        for at in 0..count {
            let metadata = [("user".to_owned(), at.to_string())].into();
            // Some so large that few fit into a message.
            let text = "x".repeat(if at % 10 == 0 { 900_000 } else { 10 });
            let prompt = RecordedPrompt::Full(Text::from(text));
            log.append(OutcomeRecord { metadata, prompt, ..samples::record() }).await.unwrap();
        }
        (folder, log)
    }

    async fn pull(log: &OutcomeLog, cursor: &str) -> Vec<proto::ExportOutcomesResponse> {
        let request = proto::ExportOutcomesRequest { cursor: cursor.to_owned() };
        let stream = pulled(log, &request).await.unwrap_or_else(|it| panic!("{it:?}"));
        stream.map(Result::unwrap).collect().await
    }

    #[tokio::test]
    async fn the_log_comes_in_messages_each_of_which_can_be_the_last() {
        use prost::Message as _;
        let (_folder, log) = log_of(OutcomeAccess::Allowed, 40).await;
        let all = pull(&log, "").await;
        let ids = |of: &[proto::ExportOutcomesResponse]| {
            let rows = of.iter().flat_map(|it| &it.outcomes);
            rows.map(|it| it.decision_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&all).len(), 40);
        assert!(all.len() >= 4 && all.iter().all(|it| it.encoded_len() < 2 << 20), "{all:?}");
        for (at, message) in all.iter().enumerate() {
            assert_eq!(ids(&pull(&log, &message.cursor).await), ids(&all[at + 1..]), "after {at}");
        }
        assert!(!format!("{all:?}").contains("xxx"), "prompts are not printed");
    }

    #[tokio::test]
    async fn nothing_without_leave_and_nothing_for_strange_cursors() {
        let check = async |admin, cursor: &str, wanted: Code| {
            let (_folder, log) = log_of(admin, 1).await;
            let request = proto::ExportOutcomesRequest { cursor: cursor.to_owned() };
            let told = pulled(&log, &request).await.err().map(|it| it.code());
            assert_eq!(told, Some(wanted), "{cursor}");
        };
        check(OutcomeAccess::Refused, "", Code::PermissionDenied).await;
        check(OutcomeAccess::Allowed, "x", Code::InvalidArgument).await;
        check(OutcomeAccess::Allowed, "ffff.0.0", Code::InvalidArgument).await;
    }

    #[tokio::test]
    async fn outcomes_are_deleted_by_metadata() {
        let delete = async |log: &OutcomeLog, key: &str| {
            let (metadata_key, metadata_value) = (key.to_owned(), "3".to_owned());
            let request = proto::DeleteOutcomesRequest { metadata_key, metadata_value };
            deleted(log, request).await.map(|it| it.outcomes).map_err(|it| it.code())
        };
        let (_folder, log) = log_of(OutcomeAccess::Refused, 1).await;
        assert_eq!(delete(&log, "user").await, Err(Code::PermissionDenied));
        let (_folder, log) = log_of(OutcomeAccess::Allowed, 5).await;
        assert_eq!(delete(&log, "").await, Err(Code::InvalidArgument));
        assert_eq!(delete(&log, "user").await, Ok(1));
        assert_eq!(delete(&log, "user").await, Ok(0));
        assert_eq!(log.count().await.unwrap(), 4);
    }
}
