//! Faults as text, for command lines and config files: `status:429:2s`, `reset*3, hang`.
//!
//! In: text. Out: faults, scripts and rates, or an error that names the part that is wrong.
//! Invariant: what `Display` writes, [`parse_fault`] reads back as the same fault.

use std::{fmt, str::FromStr, time::Duration};

use super::{
    faults::{Fault, FaultRates, Flap, InvalidRates},
    ledger::SCRIPT_LEN_MAX,
};

/// The names of the faults, as they are written.
const NAMES: [&str; 18] = [
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
    "slow_first_token:DURATION",
    "stall:TOKENS",
    "drip",
    "cut_after:TOKENS",
    "no_end_mark",
    "malformed_chunk:TOKENS",
    "error_in_stream:TOKENS",
];

/// A fault, a script or a rate that cannot be read.
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
    /// Not two numbers of calls.
    #[error("`{part}` is not HEALTHY:FAILING, two numbers of calls such as 10:5")]
    BadFlap {
        /// What was given.
        part: String,
    },
    /// Not a number of repetitions.
    #[error("`{part}` is not a number of calls from 1 to {SCRIPT_LEN_MAX}")]
    BadCount {
        /// What was given.
        part: String,
    },
    /// The script has more calls than are kept.
    #[error("the script has more than {SCRIPT_LEN_MAX} calls")]
    ScriptTooLong,
    /// Not `fault=rate`.
    #[error("`{part}` is not a fault with its rate, such as status:503=0.02")]
    BadRate {
        /// What was given.
        part: String,
    },
    /// Each rate can be read, but they cannot be used together.
    #[error(transparent)]
    Rates(#[from] InvalidRates),
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

/// Reads the faults of the next calls, in order: `status:503, reset*3, hang`. Blank means none.
///
/// # Errors
/// [`InvalidFault`], which names the part that is wrong.
pub fn parse_script(text: &str) -> Result<Vec<Fault>, InvalidFault> {
    let mut script = Vec::new();
    for part in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let (fault, times) = match part.split_once('*') {
            Some((fault, times)) => (fault, count(times.trim())?),
            None => (part, 1),
        };
        let fault = parse_fault(fault)?;
        if script.len() + times > SCRIPT_LEN_MAX {
            return Err(InvalidFault::ScriptTooLong);
        }
        script.extend(std::iter::repeat_n(fault, times));
    }
    Ok(script)
}

/// Reads shares of calls: `status:503=0.02, hang=0.001`. Blank means none.
///
/// # Errors
/// [`InvalidFault`], which names the part that is wrong.
pub fn parse_rates(text: &str) -> Result<FaultRates, InvalidFault> {
    let mut rates = Vec::new();
    for part in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let bad = || InvalidFault::BadRate { part: part.to_owned() };
        let (fault, rate) = part.split_once('=').ok_or_else(bad)?;
        rates.push((parse_fault(fault)?, rate.trim().parse().map_err(|_| bad())?));
    }
    Ok(FaultRates::new(rates)?)
}

/// Reads how a model comes and goes: `10:5` for ten calls as usual, then five that fail.
///
/// # Errors
/// [`InvalidFault::BadFlap`].
pub fn parse_flap(text: &str) -> Result<Flap, InvalidFault> {
    let bad = || InvalidFault::BadFlap { part: text.to_owned() };
    let (healthy, failing) = text.split_once(':').ok_or_else(bad)?;
    let [healthy, failing] = [healthy, failing].map(|it| it.trim().parse().map_err(|_| bad()));
    Ok(Flap { healthy: healthy?, failing: failing? })
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

fn count(part: &str) -> Result<usize, InvalidFault> {
    match part.parse() {
        Ok(times) if (1..=SCRIPT_LEN_MAX).contains(&times) => Ok(times),
        _ => Err(InvalidFault::BadCount { part: part.to_owned() }),
    }
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
            let error = parse_script(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        };
        check("status:503, rest", "`rest` is not a fault");
        check("status", "`status:503`");
        check("status:200", "`200`");
        check("status:429:soon", "`soon`");
        check("status:429:2s:x", "`x` is more than `status:429:2s` takes");
        check("reset:1s", "`1s` is more than `reset` takes");
        check("slow_first_token", "`slow_first_token:5s`");
        check("stall", "`stall:20`");
        check("cut_after:-1", "`-1`");
        check("drip:3", "`3` is more than `drip` takes");
        check("reset*0", "`0`");
        check("reset*99999999", "`99999999`");
        check("reset*9999, reset*9999", "more than");
    }

    #[test]
    fn scripts_repeat_and_rates_add_up() {
        let script = parse_script("reset*2, hang,").unwrap();
        assert_eq!(script, [Fault::Reset, Fault::Reset, Fault::Hang]);
        assert_eq!(parse_script(" "), Ok(vec![]));
        assert_eq!(parse_flap("10: 5"), Ok(Flap { healthy: 10, failing: 5 }));
        assert!(parse_flap("10").is_err() && parse_flap("10:-5").is_err());
        let rates = parse_rates("status:503=0.02, hang = 0.5").unwrap();
        assert_eq!(rates.iter().map(|(_, rate)| rate).collect::<Vec<_>>(), [0.02, 0.5]);
        let check = |text: &str, wanted: &str| {
            let error = parse_rates(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        };
        check("hang", "`hang`");
        check("hang=often", "`hang=often`");
        check("hang=2", "`hang` is 2");
        check("hang=0.6, reset=0.6", "sum to 1.2");
    }
}
