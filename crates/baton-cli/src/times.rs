//! Moments as people read them: UTC, because a log, a KDC and a reader are seldom in one zone.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// Seconds since 1970, now.
pub(crate) fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs().cast_signed(),
        Err(before) => -before.duration().as_secs().cast_signed(),
    }
}

/// `2026-11-24 23:29:00Z`.
pub(crate) fn utc(seconds: i64) -> String {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// The proleptic Gregorian date of a day counted from 1970-01-01.
fn date(day: i64) -> (i64, i64, i64) {
    // Days and years from 1 March of the year 0: a leap day is then a year's last, and eras of 400 years are alike.
    let day = day.saturating_add(719_468);
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    (era * 400 + year + i64::from(month < 3), month, day)
}

/// `9 h 59 min`: how long `seconds` are, in the two largest units.
pub(crate) fn span(seconds: i64) -> String {
    match seconds {
        ..=0 => "0 s".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..DAY => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / DAY, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (-1, "1969-12-31 23:59:59Z"),
            (951_782_399, "2000-02-28 23:59:59Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (951_868_800, "2000-03-01 00:00:00Z"),
            (1_709_164_800, "2024-02-29 00:00:00Z"),
            (1_795_562_940, "2026-11-24 23:29:00Z"),
            (4_107_542_400, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
        for extreme in [i64::MIN, i64::MAX] {
            assert!(!utc(extreme).is_empty());
        }
    }

    #[test]
    fn spans_are_told_in_two_units() {
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (35_999, "9 h 59 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
