//! Time as a value: protocol code is handed a moment or a clock and never asks the system itself.

use core::ops::{Add, Sub};
use core::time::Duration;

const MICROS: i64 = 1_000_000;

/// A moment: microseconds since 1970-01-01T00:00:00Z, 64 bits wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The end of time, for what never expires.
    pub const MAX: Self = Self(i64::MAX);

    /// `seconds` since the epoch; saturates beyond some 292,000 years.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    /// `micros` microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// The microseconds of the current second, 0 to 999,999 (RFC 4120 §5.2.4).
    pub const fn subsec_micros(self) -> u32 {
        self.0.rem_euclid(MICROS) as u32
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The distance between two moments, whichever is later.
    pub const fn abs_diff(self, other: Self) -> Duration {
        Duration::from_micros(self.0.abs_diff(other.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration_micros(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration_micros(duration)))
    }
}

fn duration_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A clock, for the few places that must look again after an effect.
pub trait Clock: Send + Sync {
    /// The moment now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}
