//! The times of authenticators: no two the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use wire::time::Timestamp;

/// How far the clock may be behind the latest time given before it is taken to have been set back.
const SET_BACK: i64 = 1_000_000;

/// Gives every authenticator a time of its own (RFC 4120 §3.2.3), which is all that ties a service's reply to its request:
/// of two requests under one ticket that have the same time, each would take the other's reply.
///
/// Clones give their times together: one clock has one. Where the clock has not moved on, the time is a microsecond later than
/// the latest one. A clock that was set back by more than a second is followed, because what is far from the peer's clock
/// is refused. Processes do not know of each other's times.
#[derive(Clone, Debug)]
pub struct AuthenticatorTimes(Latest);

/// The latest time that was given.
#[derive(Clone, Debug)]
enum Latest {
    /// Made without a lock, which a `fork` could leave locked in the child.
    OfTheProcess,
    Own(Arc<AtomicI64>),
}

static OF_THE_PROCESS: AtomicI64 = AtomicI64::new(i64::MIN);

impl AuthenticatorTimes {
    /// Those of all initiators of this process whose clock is the system's.
    pub const fn of_the_process() -> Self {
        Self(Latest::OfTheProcess)
    }

    /// Those of another clock.
    pub fn of_another_clock() -> Self {
        Self(Latest::Own(Arc::new(AtomicI64::new(i64::MIN))))
    }

    fn latest(&self) -> &AtomicI64 {
        match &self.0 {
            Latest::OfTheProcess => &OF_THE_PROCESS,
            Latest::Own(latest) => latest,
        }
    }

    /// A time that was not given before: `now`, or soon after.
    pub fn next(&self, now: Timestamp) -> Timestamp {
        let now = now.micros();
        let given = self.latest();
        let mut latest = given.load(Ordering::Relaxed);
        loop {
            let stands = now <= latest && latest.saturating_sub(now) <= SET_BACK;
            let next = if stands {
                latest.saturating_add(1)
            } else {
                now
            };
            // One variable, and nothing else is read by what is found in it.
            match given.compare_exchange_weak(latest, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Timestamp::from_micros(next),
                Err(found) => latest = found,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn a_clock_that_stands_gives_no_time_twice() {
        let times = AuthenticatorTimes::of_another_clock();
        let now = Timestamp::from_seconds(1_800_000_000);
        let threads = [(); 4].map(|()| {
            let times = times.clone();
            thread::spawn(move || (0..1000).map(|_| times.next(now)).collect::<Vec<_>>())
        });
        let given = threads.map(|thread| thread.join().unwrap());
        let different: HashSet<_> = given.iter().flatten().map(|time| time.micros()).collect();
        assert_eq!(different.len(), 4000);
    }

    #[test]
    fn a_clock_that_goes_is_followed_and_one_that_is_set_back_too() {
        let times = AuthenticatorTimes::of_another_clock();
        let next = |micros| times.next(Timestamp::from_micros(micros)).micros();
        assert_eq!(next(10_000_000), 10_000_000);
        assert_eq!(next(10_000_001), 10_000_001);
        // By a little: ahead of the clock, but not the same again.
        assert_eq!(next(9_500_000), 10_000_002);
        assert_eq!(next(9_000_002), 10_000_003);
        // By more than the peer would put up with in the end.
        assert_eq!(next(9_000_002), 9_000_002);
        assert_eq!(next(9_000_002), 9_000_003);
        assert_eq!(next(i64::MAX), i64::MAX);
    }
}
