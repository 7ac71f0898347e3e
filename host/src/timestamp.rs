//! Moments as text for people and programs: RFC 3339, UTC.
//!
//! Knows the calendar and no clock.

use std::time::{Duration, SystemTime};

/// `2026-11-24T02:33:33.123Z`. What lies before 1970 is shown as its beginning.
#[must_use]
pub fn rfc3339(moment: SystemTime) -> String {
    let since = moment
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let (year, month, day) = date(since.as_secs() / 86_400);
    let second = since.as_secs() % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// The same without milliseconds, as people read it: `2026-11-24 02:33:33 UTC`.
#[must_use]
pub fn readable(moment: SystemTime) -> String {
    let text = rfc3339(moment);
    let whole = text.split('.').next().unwrap_or_default();
    format!("{} UTC", whole.replace('T', " "))
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar. Counted
/// in eras of 400 years that begin in March, so that a leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    /// From 0000-03-01 to 1970-01-01.
    const BEFORE: u64 = 719_468;
    const ERA: u64 = 146_097;
    let days = days.saturating_add(BEFORE);
    let (era, of_era) = (days / ERA, days % ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_standard_says() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (1_795_381_851_000, "2026-11-22T21:10:51.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
            assert_eq!(rfc3339(moment), expected, "{ms}");
        }
    }

    #[test]
    fn people_need_no_milliseconds() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_381_851_250);
        assert_eq!(readable(moment), "2026-11-22 21:10:51 UTC");
    }
}
