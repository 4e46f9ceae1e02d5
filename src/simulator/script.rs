//! Scripts and rates of faults as text, for command lines: `reset*3, hang`, `status:503=0.02`.
//!
//! In: text. Out: scripts and rates, or an error that names the part that is wrong. Not here: single
//! faults (see [`Fault`]).

use super::{
    faults::{FaultRates, Flap, InvalidRates},
    ledger::SCRIPT_LEN_MAX,
};
use crate::domain::{Fault, InvalidFault, parse_fault};

/// A script or a rate that cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidScript {
    /// One of its faults.
    #[error(transparent)]
    Fault(#[from] InvalidFault),
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

/// Reads the faults of the next calls, in order: `status:503, reset*3, hang`. Blank means none.
///
/// # Errors
/// [`InvalidScript`], which names the part that is wrong.
pub fn parse_script(text: &str) -> Result<Vec<Fault>, InvalidScript> {
    let mut script = Vec::new();
    for part in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let (fault, times) = match part.split_once('*') {
            Some((fault, times)) => (fault, count(times.trim())?),
            None => (part, 1),
        };
        let fault = parse_fault(fault)?;
        if script.len() + times > SCRIPT_LEN_MAX {
            return Err(InvalidScript::ScriptTooLong);
        }
        script.extend(std::iter::repeat_n(fault, times));
    }
    Ok(script)
}

/// Reads shares of calls: `status:503=0.02, hang=0.001`. Blank means none.
///
/// # Errors
/// [`InvalidScript`], which names the part that is wrong.
pub fn parse_rates(text: &str) -> Result<FaultRates, InvalidScript> {
    let mut rates = Vec::new();
    for part in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let bad = || InvalidScript::BadRate { part: part.to_owned() };
        let (fault, rate) = part.split_once('=').ok_or_else(bad)?;
        rates.push((parse_fault(fault)?, rate.trim().parse().map_err(|_| bad())?));
    }
    Ok(FaultRates::new(rates)?)
}

/// Reads how a model comes and goes: `10:5` for ten calls as usual, then five that fail.
///
/// # Errors
/// [`InvalidScript::BadFlap`].
pub fn parse_flap(text: &str) -> Result<Flap, InvalidScript> {
    let bad = || InvalidScript::BadFlap { part: text.to_owned() };
    let (healthy, failing) = text.split_once(':').ok_or_else(bad)?;
    let [healthy, failing] = [healthy, failing].map(|it| it.trim().parse().map_err(|_| bad()));
    Ok(Flap { healthy: healthy?, failing: failing? })
}

fn count(part: &str) -> Result<usize, InvalidScript> {
    match part.parse() {
        Ok(times) if (1..=SCRIPT_LEN_MAX).contains(&times) => Ok(times),
        _ => Err(InvalidScript::BadCount { part: part.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_part() {
        let check = |text: &str, wanted: &str| {
            let error = parse_script(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        };
        check("status:503, rest", "`rest` is not a fault");
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
