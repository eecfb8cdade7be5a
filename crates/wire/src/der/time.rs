//! GeneralizedTime and the calendar.

use super::{DerError, GENERALIZED_TIME, Value};
use crate::time::Timestamp;

/// A GeneralizedTime in whole seconds, `YYYYMMDDHHMMSSZ` and nothing else (RFC 4120 §5.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GeneralizedTime(i64);

const YEAR_0: i64 = -62_167_219_200;
const YEAR_10000: i64 = 253_402_300_800;
const DAY: i64 = 86_400;

impl GeneralizedTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn seconds(self) -> i64 {
        self.0
    }
}

/// The moment's second; years outside 0 to 9999, which the form cannot write, become the nearest.
impl From<Timestamp> for GeneralizedTime {
    fn from(time: Timestamp) -> Self {
        Self(time.seconds().clamp(YEAR_0, YEAR_10000 - 1))
    }
}

impl From<GeneralizedTime> for Timestamp {
    fn from(time: GeneralizedTime) -> Self {
        Self::from_seconds(time.0)
    }
}

impl Value<'_> for GeneralizedTime {
    const TAG: u8 = GENERALIZED_TIME;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        let (digits, b"Z") = content.split_at_checked(14).ok_or(DerError::Time)? else {
            return Err(DerError::Time);
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(DerError::Time);
        }
        let number = |from: usize, to: usize| {
            digits[from..to]
                .iter()
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
        };
        let (year, month, day) = (number(0, 4), number(4, 6), number(6, 8));
        let (hour, minute, second) = (number(8, 10), number(10, 12), number(12, 14));
        if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
            return Err(DerError::Time);
        }
        let days = days_of_civil(year, month, day);
        // The calendar's inverse finds the days that a month does not have.
        if civil_of_days(days) != (year, month, day) {
            return Err(DerError::Time);
        }
        Ok(Self(days * DAY + hour * 3600 + minute * 60 + second))
    }

    fn content_len(&self) -> usize {
        15
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        let (year, month, day) = civil_of_days(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        let mut digits = |number: i64, count: u32| {
            for place in (0..count).rev() {
                out.push(b'0' + (number / 10_i64.pow(place) % 10) as u8);
            }
        };
        digits(year, 4);
        for pair in [month, day, second / 3600, second / 60 % 60, second % 60] {
            digits(pair, 2);
        }
        out.push(b'Z');
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, counted in years that begin in March: a leap day is then the last.
fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &[u8]) -> Result<i64, DerError> {
        GeneralizedTime::decode_content(text).map(GeneralizedTime::seconds)
    }

    #[test]
    fn times_are_moments_of_the_calendar() {
        let known = [
            (&b"19700101000000Z"[..], 0),
            (b"19940610060317Z", 771_228_197),
            (b"20000229120000Z", 951_825_600),
            (b"20380119031408Z", 2_147_483_648),
            (b"21060207062816Z", 4_294_967_296),
            (b"00000101000000Z", YEAR_0),
            (b"99991231235959Z", YEAR_10000 - 1),
        ];
        for (text, seconds) in known {
            assert_eq!(time(text), Ok(seconds));
            let mut out = Vec::new();
            GeneralizedTime(seconds).encode_content(&mut out);
            assert_eq!(out, text);
        }
        for day in (YEAR_0 / DAY)..(YEAR_10000 / DAY) {
            let (year, month, day_of_month) = civil_of_days(day);
            assert_eq!(days_of_civil(year, month, day_of_month), day);
        }
        let refused: [&[u8]; 13] = [
            b"19700101000000",
            b"19700101000000z",
            b"19700101000000.0Z",
            b"197001010000Z",
            b"19700101000000+0000",
            b"19700001000000Z",
            b"19701301000000Z",
            b"19700100000000Z",
            b"19710229000000Z",
            b"19000229000000Z",
            b"19700101240000Z",
            b"19700101000060Z",
            b"1970010100000 Z",
        ];
        for text in refused {
            assert_eq!(time(text), Err(DerError::Time), "{}", text.escape_ascii());
        }
        let late = GeneralizedTime::from(Timestamp::MAX);
        assert_eq!(late.seconds(), YEAR_10000 - 1);
    }
}
