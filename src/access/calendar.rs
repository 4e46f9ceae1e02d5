//! Days and months in UTC, counted from 1970.
//!
//! In: milliseconds since 1970 UTC. Out: the day, the month's first day and when both end. Invariant:
//! every day has 86,400 s, as Unix time counts. Pure.

use std::time::Duration;

const DAY_MS: u64 = 86_400_000;

/// What a limit on spending is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// From midnight to midnight, UTC.
    Day,
    /// From the first of a month to the next, UTC.
    Month,
}

impl Window {
    /// Its name in limits: `spend_per_day`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// How long from `now_ms` until it begins anew.
    pub fn resets_in(self, now_ms: u64) -> Duration {
        let next = match self {
            Self::Day => day(now_ms) + 1,
            Self::Month => month(day(now_ms)).1,
        };
        Duration::from_millis((next * DAY_MS).saturating_sub(now_ms))
    }
}

/// The day, counted from 1970-01-01.
pub(super) fn day(now_ms: u64) -> u64 {
    now_ms / DAY_MS
}

/// The first day of the month that `day` is in, and of the next one.
pub(super) fn month(day: u64) -> (u64, u64) {
    let (mut first, mut year) = (0, 1970_u64);
    // Ends: some tens of years, each shorter than what is left.
    while first + days_of(year) <= day {
        first += days_of(year);
        year += 1;
    }
    let february = if days_of(year) == 366 { 29 } else { 28 };
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < first + length {
            return (first, first + length);
        }
        first += length;
    }
    // No year is longer than its months.
    (first, first + 31)
}

fn days_of(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_and_end_where_calendars_say() {
        // Days since 1970 as `date -u -d DATE +%s` / 86400 tells them.
        let check = |day: u64, wanted: (u64, u64)| assert_eq!(month(day), wanted, "{day}");
        check(0, (0, 31));
        check(31, (31, 59));
        // 2024-02-29, a leap day.
        check(19_782, (19_754, 19_783));
        // 2026-12-31 and 2027-01-01.
        check(20_818, (20_788, 20_819));
        check(20_819, (20_819, 20_850));
        // 2100 is no leap year: 2100-03-01 follows 2100-02-28.
        check(47_540, (47_513, 47_541));
        check(47_541, (47_541, 47_572));
    }

    #[test]
    fn windows_end_at_midnight() {
        let check = |now_ms: u64, day_ms: u64, month_ms: u64| {
            let ends = [Window::Day, Window::Month].map(|it| it.resets_in(now_ms));
            assert_eq!(ends.map(|it| it.as_millis()), [day_ms.into(), month_ms.into()]);
        };
        check(0, DAY_MS, 31 * DAY_MS);
        check(31 * DAY_MS - 1, 1, 1);
        check(31 * DAY_MS, DAY_MS, 28 * DAY_MS);
    }
}
