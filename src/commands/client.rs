//! The caller's side: a prompt and wishes into a request, a connection, and failures read back.
//!
//! In: arguments. Out: `pointsman.v1` messages. Invariant: the prompt goes nowhere but into the
//! request. Not here: TLS; a server is spoken to in plain text, as it listens.

use std::io::Read;
use std::time::Duration;

use prost::Message as _;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic_types::pb;

use super::CommandError;
use super::args::WishArgs;
use super::operator::Shown;
use crate::api::proto::pointsman_client::PointsmanClient;
use crate::api::proto::{self, part::Content};
use crate::domain::PROMPT_BYTES_MAX;

/// A server on this machine or in this network answers far sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What holds the caller's API key.
const KEY_VARIABLE: &str = "POINTSMAN_API_KEY";

/// The client.
pub(super) type Client = PointsmanClient<InterceptedService<Channel, Shown>>;

/// Connects to a server, for instance `http://127.0.0.1:8080`. The key is read from the environment.
pub(super) async fn connect(server: &str) -> Result<Client, CommandError> {
    let (channel, shown) = (channel(server).await?, Shown::from_env(KEY_VARIABLE)?);
    Ok(PointsmanClient::with_interceptor(channel, shown))
}

/// As [`connect`], for whatever is said over it.
pub(super) async fn channel(server: &str) -> Result<Channel, CommandError> {
    let url = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let connected = async {
        let endpoint = Endpoint::from_shared(url)?.connect_timeout(CONNECT_TIMEOUT);
        endpoint.connect().await
    };
    let failed = |source| CommandError::Connect { server: server.to_owned(), source };
    connected.await.map_err(failed)
}

/// The prompt as typed, or from standard input for `-`.
pub(super) fn prompt(typed: &str) -> Result<String, CommandError> {
    if typed != "-" {
        return Ok(typed.to_owned());
    }
    let mut text = String::new();
    let most = PROMPT_BYTES_MAX as u64 + 1;
    std::io::stdin().lock().take(most).read_to_string(&mut text)?;
    if text.len() > PROMPT_BYTES_MAX { Err(CommandError::PromptTooLong) } else { Ok(text) }
}

/// A turn of plain text.
pub(super) fn turn(role: proto::Role, text: &str) -> proto::Message {
    let part = proto::Part { content: Some(Content::Text(text.to_owned())) };
    proto::Message { role: role.into(), parts: vec![part] }
}

/// One user turn with what is wanted.
pub(super) fn request(prompt: &str, wish: &WishArgs) -> proto::RouteRequest {
    let budget = proto::Budget {
        max_cost_usd: wish.max_cost_usd,
        max_latency_ms: wish.max_latency_ms,
        ..Default::default()
    };
    let preset = wish.preference.clone();
    let allow = wish.allow.clone();
    proto::RouteRequest {
        messages: vec![turn(proto::Role::User, prompt)],
        budget: Some(budget),
        preference: Some(proto::Preference { preset, ..Default::default() }),
        candidates: Some(proto::Candidates { allow, ..Default::default() }),
        route: wish.route.clone(),
        ..Default::default()
    }
}

/// The words of an answer, tool calls among them.
pub(super) fn words(message: &proto::Message) -> String {
    let part = |it: &proto::Part| match &it.content {
        Some(Content::Text(text)) => text.clone(),
        Some(Content::ToolCall(call)) => format!("{}({})", call.name, call.arguments),
        Some(Content::Image(_) | Content::ToolResult(_) | Content::Reasoning(_)) | None => {
            String::new()
        }
    };
    let words = message.parts.iter().map(part).filter(|it| !it.is_empty());
    words.collect::<Vec<_>>().join("\n")
}

/// Why a request got no answer, where the server told.
pub(super) fn failure(status: &Status) -> Option<proto::RouteFailure> {
    let whole = pb::Status::decode(status.details()).ok()?;
    let of_ours = |it: &&prost_types::Any| it.type_url.ends_with("/pointsman.v1.RouteFailure");
    let detail = whole.details.iter().find(of_ours)?;
    proto::RouteFailure::decode(detail.value.as_slice()).ok()
}

/// A failure's name in lower case, for instance `rate_limited`; `answered` for none.
pub(super) fn class(attempt: &proto::Attempt) -> String {
    match attempt.failure() {
        proto::FailureClass::Unspecified => "answered".to_owned(),
        other => {
            let name = other.as_str_name();
            name.trim_start_matches("FAILURE_CLASS_").to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_read_back_from_a_status() {
        let sent = proto::RouteFailure { reason: "EXHAUSTED".into(), ..Default::default() };
        let detail = prost_types::Any {
            type_url: "type.googleapis.com/pointsman.v1.RouteFailure".into(),
            value: sent.encode_to_vec(),
        };
        let whole = pb::Status { code: 14, message: String::new(), details: vec![detail] };
        let bytes = whole.encode_to_vec().into();
        let status = Status::with_details(tonic::Code::Unavailable, "no", bytes);
        assert_eq!(failure(&status).map(|it| it.reason), Some("EXHAUSTED".to_owned()));
        assert!(failure(&Status::internal("no")).is_none());
    }

    #[test]
    fn classes_have_the_names_of_the_log() {
        let attempt = |class: proto::FailureClass| proto::Attempt {
            failure: class.into(),
            ..Default::default()
        };
        assert_eq!(class(&attempt(proto::FailureClass::Unspecified)), "answered");
        assert_eq!(class(&attempt(proto::FailureClass::RateLimited)), "rate_limited");
    }
}
