//! The ways in which a call can be made to fail, and their text form: `status:429:2s`, `stall:20`.
//!
//! In: text. Out: a [`Fault`], or an error that names the part that is wrong. Invariant: what
//! `Display` writes, [`parse_fault`] reads back as the same fault. The simulator and forced failures
//! speak this one language. Not here: what each looks like on the wire, and which calls it befalls.

use std::{fmt, str::FromStr, time::Duration};

/// One way to misbehave, for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// An error status with the body that the provider sends with it.
    Status {
        /// 400 to 599; anything else is sent as 500.
        code: u16,
        /// Sent as `retry-after` (whole seconds, rounded up) and `retry-after-ms`; by Gemini in
        /// the body.
        retry_after: Option<Duration>,
    },
    /// The connection is reset before any header.
    Reset,
    /// The connection is reset in the middle of a 200's body.
    ResetInBody,
    /// No header until the client leaves, at most a minute; then a reset.
    Hang,
    /// 200 with neither text nor tool call.
    Empty,
    /// 200 with a body that is not JSON; in a stream, with a first frame that does not parse.
    Malformed,
    /// 200 with an error object instead of an answer; in a stream, instead of its first frame.
    ErrorInside200,
    /// The prompt is too long: 400, `context_length_exceeded` at OpenAI.
    ContextTooLong,
    /// The prompt is filtered: 400 `content_filter` at OpenAI, and at Ollama as any other 400; 200
    /// with the reason at Anthropic, Gemini and Bedrock.
    ContentFilter,
    /// No such model: 404, `model_not_found` at OpenAI; Bedrock says 400.
    WrongModel,
    /// A wrong key: 401 `invalid_api_key` at OpenAI; Gemini says 400, Bedrock 403.
    Auth,
    /// The account is used up: 429 `insufficient_quota` at OpenAI; others say 400, 402 or 403.
    Quota,
    /// A parameter that the model lacks: 400, `unsupported_parameter` at OpenAI.
    Unsupported,
    /// A good answer, so much later than usual; a stream's headers come at once. As written: the
    /// model's time scale does not apply.
    SlowFirstToken(Duration),
    /// The stream falls silent, for a minute at most; then a reset. A whole answer hangs.
    Stall {
        /// What comes before that.
        after_tokens: u32,
    },
    /// One token per second, whatever the model's speed.
    Drip,
    /// The stream ends in good order, but too early and without its end mark. A whole answer is
    /// reset half way.
    CutAfter {
        /// What comes before that.
        tokens: u32,
    },
    /// All that is said arrives, but neither why it ends nor the end mark. A whole answer is reset
    /// half way.
    NoEndMark,
    /// A frame that does not parse, and no more. A whole answer is malformed.
    MalformedChunk {
        /// What comes before that.
        after_tokens: u32,
    },
    /// The provider's own error in the stream: overloaded. A whole answer is an error inside a 200.
    ErrorInStream {
        /// What comes before that.
        after_tokens: u32,
    },
}

/// The names of the faults, as they are written.
const NAMES: [&str; 20] = [
    "status:CODE[:RETRY_AFTER]",
    "reset",
    "reset_in_body",
    "hang",
    "empty",
    "malformed",
    "error_inside_200",
    "context_too_long",
    "content_filter",
    "wrong_model",
    "auth",
    "quota",
    "unsupported",
    "slow_first_token:DURATION",
    "stall:TOKENS",
    "drip",
    "cut_after:TOKENS",
    "no_end_mark",
    "malformed_chunk:TOKENS",
    "error_in_stream:TOKENS",
];

/// A fault that cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidFault {
    /// No fault has this name.
    #[error("`{part}` is not a fault; there are: {}", NAMES.join(", "))]
    UnknownName {
        /// The name given.
        part: String,
    },
    /// A value is missing after the name.
    #[error("`{part}` needs a value: `{part}:{wanted}`")]
    MissingValue {
        /// What was given.
        part: String,
        /// What should follow.
        wanted: &'static str,
    },
    /// There is more than the fault takes.
    #[error("`{part}` is more than `{fault}` takes")]
    Surplus {
        /// What is too much.
        part: String,
        /// Behind which fault.
        fault: String,
    },
    /// Not an error status.
    #[error("`{part}` is not an error status from 400 to 599")]
    BadStatus {
        /// What was given.
        part: String,
    },
    /// Not a duration.
    #[error("`{part}` is not a duration such as 250ms, 2s or 1m")]
    BadDuration {
        /// What was given.
        part: String,
    },
    /// Not a number of tokens.
    #[error("`{part}` is not a number of tokens")]
    BadTokens {
        /// What was given.
        part: String,
    },
}

/// Reads one fault, for instance `status:429:2s` or `reset`.
///
/// # Errors
/// [`InvalidFault`], which names the part that is wrong.
pub fn parse_fault(text: &str) -> Result<Fault, InvalidFault> {
    let mut parts = text.trim().split(':').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let mut value = |wanted| {
        parts.next().ok_or_else(|| InvalidFault::MissingValue { part: name.to_owned(), wanted })
    };
    let fault = match name {
        "status" => {
            let code = status(value("503")?)?;
            Fault::Status { code, retry_after: parts.next().map(duration).transpose()? }
        }
        "reset" => Fault::Reset,
        "reset_in_body" => Fault::ResetInBody,
        "hang" => Fault::Hang,
        "empty" => Fault::Empty,
        "malformed" => Fault::Malformed,
        "error_inside_200" => Fault::ErrorInside200,
        "context_too_long" => Fault::ContextTooLong,
        "content_filter" => Fault::ContentFilter,
        "wrong_model" => Fault::WrongModel,
        "auth" => Fault::Auth,
        "quota" => Fault::Quota,
        "unsupported" => Fault::Unsupported,
        "slow_first_token" => Fault::SlowFirstToken(duration(value("5s")?)?),
        "stall" => Fault::Stall { after_tokens: tokens(value("20")?)? },
        "drip" => Fault::Drip,
        "cut_after" => Fault::CutAfter { tokens: tokens(value("20")?)? },
        "no_end_mark" => Fault::NoEndMark,
        "malformed_chunk" => Fault::MalformedChunk { after_tokens: tokens(value("20")?)? },
        "error_in_stream" => Fault::ErrorInStream { after_tokens: tokens(value("20")?)? },
        _ => return Err(InvalidFault::UnknownName { part: name.to_owned() }),
    };
    match parts.next() {
        Some(part) => {
            Err(InvalidFault::Surplus { part: part.to_owned(), fault: fault.to_string() })
        }
        None => Ok(fault),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Status { code, retry_after: None } => return write!(out, "status:{code}"),
            Self::Status { code, retry_after: Some(pause) } => {
                return write!(out, "status:{code}:{}", written(*pause));
            }
            Self::SlowFirstToken(late) => {
                return write!(out, "slow_first_token:{}", written(*late));
            }
            Self::Stall { after_tokens } => return write!(out, "stall:{after_tokens}"),
            Self::CutAfter { tokens } => return write!(out, "cut_after:{tokens}"),
            Self::MalformedChunk { after_tokens } => {
                return write!(out, "malformed_chunk:{after_tokens}");
            }
            Self::ErrorInStream { after_tokens } => {
                return write!(out, "error_in_stream:{after_tokens}");
            }
            Self::Drip => "drip",
            Self::NoEndMark => "no_end_mark",
            Self::Reset => "reset",
            Self::ResetInBody => "reset_in_body",
            Self::Hang => "hang",
            Self::Empty => "empty",
            Self::Malformed => "malformed",
            Self::ErrorInside200 => "error_inside_200",
            Self::ContextTooLong => "context_too_long",
            Self::ContentFilter => "content_filter",
            Self::WrongModel => "wrong_model",
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::Unsupported => "unsupported",
        };
        out.write_str(name)
    }
}

impl FromStr for Fault {
    type Err = InvalidFault;
    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        parse_fault(text)
    }
}

fn written(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

fn status(part: &str) -> Result<u16, InvalidFault> {
    match part.parse() {
        Ok(code @ 400..=599) => Ok(code),
        _ => Err(InvalidFault::BadStatus { part: part.to_owned() }),
    }
}

fn duration(part: &str) -> Result<Duration, InvalidFault> {
    humantime::parse_duration(part).map_err(|_| InvalidFault::BadDuration { part: part.to_owned() })
}

fn tokens(part: &str) -> Result<u32, InvalidFault> {
    part.parse().map_err(|_| InvalidFault::BadTokens { part: part.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let (short, odd) = (Duration::from_secs(2), Duration::from_millis(61_500));
        for fault in [
            Fault::Status { code: 503, retry_after: None },
            Fault::Status { code: 429, retry_after: Some(short) },
            Fault::Reset,
            Fault::ResetInBody,
            Fault::Hang,
            Fault::Empty,
            Fault::Malformed,
            Fault::ErrorInside200,
            Fault::ContextTooLong,
            Fault::ContentFilter,
            Fault::WrongModel,
            Fault::Auth,
            Fault::Quota,
            Fault::Unsupported,
            Fault::SlowFirstToken(odd),
            Fault::SlowFirstToken(Duration::ZERO),
            Fault::Stall { after_tokens: 3 },
            Fault::Drip,
            Fault::CutAfter { tokens: 0 },
            Fault::NoEndMark,
            Fault::MalformedChunk { after_tokens: u32::MAX },
            Fault::ErrorInStream { after_tokens: 7 },
        ] {
            assert_eq!(parse_fault(&fault.to_string()), Ok(fault), "{fault}");
        }
        assert_eq!(
            parse_fault(" status : 429 : 2s "),
            Ok(Fault::Status { code: 429, retry_after: Some(short) })
        );
    }

    #[test]
    fn an_error_names_the_part() {
        let check = |text: &str, wanted: &str| {
            let error = parse_fault(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        };
        check("rest", "`rest` is not a fault");
        check("status", "`status:503`");
        check("status:200", "`200`");
        check("status:429:soon", "`soon`");
        check("status:429:2s:x", "`x` is more than `status:429:2s` takes");
        check("reset:1s", "`1s` is more than `reset` takes");
        check("slow_first_token", "`slow_first_token:5s`");
        check("stall", "`stall:20`");
        check("cut_after:-1", "`-1`");
        check("drip:3", "`3` is more than `drip` takes");
    }
}
