//! The deadline that a gRPC caller gave.
//!
//! In: the `grpc-timeout` header (`PROTOCOL-HTTP2.md`: up to eight digits and a unit). Out: how
//! long our own work may take. Invariant: it ends a little before the caller's, so that he gets our
//! list of attempts and not his own "deadline exceeded".

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// What is kept for recording the outcome and sending the answer.
const RESERVE: Duration = Duration::from_millis(50);
/// No more of a short deadline than this part is kept.
const RESERVE_PART: u32 = 10;
const DIGITS_MAX: usize = 8;

/// How long our work may take, counted from the arrival; `None` without a deadline, and where the
/// header is malformed, as gRPC's own servers take it.
pub(super) fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let whole = parse(metadata.get("grpc-timeout")?.to_str().ok()?)?;
    Some(whole.saturating_sub(RESERVE.min(whole / RESERVE_PART)))
}

fn parse(header: &str) -> Option<Duration> {
    let unit = header.chars().next_back()?;
    let digits = header.strip_suffix(unit)?;
    let plain = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    if !plain || digits.len() > DIGITS_MAX {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(count * 3_600)),
        'M' => Some(Duration::from_secs(count * 60)),
        'S' => Some(Duration::from_secs(count)),
        'm' => Some(Duration::from_millis(count)),
        'u' => Some(Duration::from_micros(count)),
        'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let check = |header: &str, wanted: Option<Duration>| {
            assert_eq!(parse(header), wanted, "{header:?}");
        };
        check("2H", Some(Duration::from_secs(7_200)));
        check("3M", Some(Duration::from_secs(180)));
        check("4S", Some(Duration::from_secs(4)));
        check("99999999m", Some(Duration::from_millis(99_999_999)));
        check("5u", Some(Duration::from_micros(5)));
        check("6n", Some(Duration::from_nanos(6)));
        for bad in ["", "S", "5", "5s", "-5S", "+5S", "123456789S", "5é"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_little_is_kept_for_the_answer() {
        let check = |header: &'static str, wanted_ms: u64| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", header.parse().unwrap());
            assert_eq!(deadline(&metadata), Some(Duration::from_millis(wanted_ms)));
        };
        check("10S", 9_950);
        check("100m", 90);
        assert_eq!(deadline(&MetadataMap::new()), None);
    }
}
