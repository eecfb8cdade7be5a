//! Marks and deposits by the rules, in memory and in a file alike: time, sizes, damage.

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::{Home, ManualClock, START, mark, seconds, tag};
use once::{ClaimError, Limits, MAX_VALUE, OnceStore, ReplayAfterReset, StoreError, TakeError};
use wire::time::{Clock, Timestamp};

/// With the smallest skew a bucket covers a minute.
const BUCKET: i64 = 60;

fn small() -> Limits {
    Limits {
        clock_skew: Duration::from_secs(20),
        marks: 64,
        mark_segments: 1,
        deposits: 16,
        ..Limits::default()
    }
}

/// Runs `test` on both backends, each with a clock of its own.
fn on_both(limits: &Limits, test: impl Fn(&OnceStore, &ManualClock)) {
    let clock = ManualClock::new(START);
    test(
        &OnceStore::memory_with(limits, Arc::new(clock.clone())),
        &clock,
    );
    let (clock, home) = (ManualClock::new(START), Home::new());
    test(&home.open_with(limits, &clock).unwrap(), &clock);
}

#[test]
fn a_mark_is_claimed_once() {
    on_both(&Limits::default(), |store, clock| {
        let at = seconds(START);
        assert!(store.claim(&mark(1), at).is_ok());
        assert!(matches!(
            store.claim(&mark(1), at),
            Err(ClaimError::AlreadyClaimed)
        ));
        assert!(store.claim(&mark(2), at).is_ok());
        clock.advance(299);
        assert!(matches!(
            store.claim(&mark(1), at),
            Err(ClaimError::AlreadyClaimed)
        ));
        let counts = store.counts().unwrap();
        assert_eq!((counts.claimed, counts.refused), (2, 2));
    });
}

/// Wherever in its bucket an authenticator lies, whatever the skew, and however long one waits: once accepted, never again.
#[test]
fn no_moment_admits_a_mark_twice() {
    on_both(&small(), |store, clock| {
        for offset in 0..=2 * BUCKET {
            for skew in [-20, 0, 20] {
                clock.set(START + 100_000 + 4 * BUCKET * offset + offset);
                let now = START + 100_000 + 4 * BUCKET * offset + offset;
                let tag = mark((1000 * offset + skew) as u64);
                assert!(
                    store.claim(&tag, seconds(now + skew)).is_ok(),
                    "{offset} {skew}"
                );
                for later in 0..=4 * BUCKET {
                    clock.set(now + later);
                    assert!(
                        store.claim(&tag, seconds(now + skew)).is_err(),
                        "{offset} {skew} {later}"
                    );
                }
            }
        }
    });
}

#[test]
fn what_is_too_old_or_too_new_is_refused() {
    on_both(&small(), |store, _| {
        let claim = |at| store.claim(&mark(1), at);
        assert!(matches!(
            claim(seconds(START - 2 * BUCKET)),
            Err(ClaimError::TooOld)
        ));
        assert!(matches!(
            claim(seconds(START + 2 * BUCKET)),
            Err(ClaimError::TooNew)
        ));
        assert!(matches!(claim(Timestamp::MAX), Err(ClaimError::TooNew)));
        assert!(matches!(
            claim(Timestamp::from_micros(i64::MIN)),
            Err(ClaimError::TooOld)
        ));
        assert!(matches!(
            claim(Timestamp::from_seconds(0)),
            Err(ClaimError::TooOld)
        ));
        assert!(claim(seconds(START - 20)).is_ok());
    });
}

#[test]
fn a_clock_set_back_revives_nothing() {
    on_both(&small(), |store, clock| {
        let at = seconds(START);
        assert!(store.claim(&mark(1), at).is_ok());
        clock.set(START + 10 * BUCKET);
        assert!(store.claim(&mark(2), seconds(START + 10 * BUCKET)).is_ok());
        clock.set(START);
        assert!(matches!(
            store.claim(&mark(1), at),
            Err(ClaimError::ClockSetBack { .. })
        ));
        assert!(matches!(
            store.claim(&mark(3), at),
            Err(ClaimError::ClockSetBack { .. })
        ));
        clock.set(START + 10 * BUCKET);
        assert!(store.claim(&mark(4), seconds(START + 10 * BUCKET)).is_ok());
    });
}

#[test]
fn a_clock_set_back_a_little_is_bridged() {
    on_both(&small(), |store, clock| {
        assert!(store.claim(&mark(1), seconds(START)).is_ok());
        clock.set(START - BUCKET);
        assert!(matches!(
            store.claim(&mark(1), seconds(START)),
            Err(ClaimError::AlreadyClaimed)
        ));
        assert!(store.claim(&mark(2), seconds(START - BUCKET)).is_ok());
    });
}

/// The clock jumps ahead between the first look at it and the one after the swap, as it does for a process that was stopped.
#[test]
fn the_clock_is_read_again_after_the_swap() {
    let looks = std::sync::atomic::AtomicI64::new(0);
    let jumping = move || match looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 | 1 => seconds(START),
        _ => seconds(START + 3 * BUCKET),
    };
    let store = OnceStore::memory_with(&small(), Arc::new(jumping));
    assert!(matches!(
        store.claim(&mark(1), seconds(START)),
        Err(ClaimError::TooOld)
    ));
}

#[test]
fn a_full_table_of_marks_says_so_and_forgets_nothing() {
    on_both(&small(), |store, clock| {
        let mut claimed = Vec::new();
        let full = (0..).find_map(|number| match store.claim(&mark(number), seconds(START)) {
            Ok(_) => {
                claimed.push(number);
                None
            }
            Err(error) => Some(error),
        });
        assert!(matches!(
            full,
            Some(ClaimError::Store(StoreError::Full { .. }))
        ));
        assert!(claimed.len() >= 32);
        for number in claimed {
            assert!(matches!(
                store.claim(&mark(number), seconds(START)),
                Err(ClaimError::AlreadyClaimed)
            ));
        }
        clock.advance(4 * BUCKET);
        assert!(
            store.claim(&mark(0), seconds(START + 4 * BUCKET)).is_ok(),
            "the ring has turned"
        );
    });
}

#[test]
fn marks_grow_and_each_is_still_claimed_once() {
    let limits = Limits {
        mark_segments: 4,
        ..small()
    };
    on_both(&limits, |store, _| {
        for number in 0..600 {
            assert!(
                store.claim(&mark(number), seconds(START)).is_ok(),
                "{number}"
            );
        }
        for number in 0..600 {
            assert!(matches!(
                store.claim(&mark(number), seconds(START)),
                Err(ClaimError::AlreadyClaimed)
            ));
        }
    });
}

#[test]
fn a_strict_store_refuses_what_is_older_than_itself() {
    let limits = Limits {
        replay_after_reset: ReplayAfterReset::Strict,
        ..small()
    };
    on_both(&limits, |store, _| {
        let older = seconds(START) - Duration::from_micros(1);
        assert!(matches!(
            store.claim(&mark(1), older),
            Err(ClaimError::BeforeStore)
        ));
        assert!(store.claim(&mark(1), seconds(START)).is_ok());
    });
    on_both(&small(), |store, _| {
        assert!(store.claim(&mark(1), seconds(START - 20)).is_ok())
    });
}

#[test]
fn a_deposit_is_looked_at_often_and_taken_once() {
    on_both(&small(), |store, _| {
        for len in (0..=MAX_VALUE).step_by(7).chain([MAX_VALUE]) {
            let value: Vec<u8> = (0..len).map(|byte| byte as u8 ^ 0x5A).collect();
            let (tag, expires) = (tag(len as u64), seconds(START + 60));
            store.put(&tag, &value, expires).unwrap();
            for _ in 0..2 {
                let deposit = store.peek(&tag).unwrap().unwrap();
                assert_eq!((&*deposit.value, deposit.expires), (&value, expires));
            }
            assert!(store.take(&tag).is_ok());
            assert!(matches!(store.take(&tag), Err(TakeError::NotThere)));
            assert!(store.peek(&tag).unwrap().is_none());
        }
    });
}

#[test]
fn what_is_no_deposit_is_refused() {
    on_both(&small(), |store, _| {
        let expires = seconds(START + 60);
        assert!(matches!(
            store.put(&tag(1), &[0; MAX_VALUE + 1], expires),
            Err(StoreError::TooLong { .. })
        ));
        assert!(matches!(
            store.put(&tag(1), b"late", seconds(START)),
            Err(StoreError::Expired)
        ));
        store.put(&tag(1), b"first", expires).unwrap();
        assert!(matches!(
            store.put(&tag(1), b"second", expires),
            Err(StoreError::AlreadyThere)
        ));
        assert_eq!(*store.peek(&tag(1)).unwrap().unwrap().value, b"first");
    });
}

#[test]
fn an_expired_deposit_is_not_given_to_anybody_and_the_next_put_erases_it() {
    on_both(&small(), |store, clock| {
        for number in 0..4 {
            store
                .put(&tag(number), b"value", seconds(START + 10 + number as i64))
                .unwrap();
        }
        clock.advance(11);
        let expires = store.peek(&tag(1)).unwrap().unwrap().expires;
        assert_eq!(expires, seconds(START + 11), "who looks is told when");
        assert!(matches!(store.take(&tag(0)), Err(TakeError::Expired)));
        assert!(matches!(store.take(&tag(0)), Err(TakeError::NotThere)));
        assert!(store.peek(&tag(0)).unwrap().is_none());
        assert!(store.take(&tag(2)).is_ok());
        store.put(&tag(9), b"sweeps", seconds(START + 60)).unwrap();
        assert!(store.peek(&tag(1)).unwrap().is_none());
        assert!(matches!(store.take(&tag(1)), Err(TakeError::NotThere)));
        let counts = store.counts().unwrap();
        assert_eq!((counts.put, counts.taken, counts.expired), (5, 1, 2));
        store
            .put(&tag(1), b"its name is free", seconds(START + 60))
            .unwrap();
    });
}

/// A put that finds room sweeps in another second only.
#[test]
fn what_expires_within_a_second_is_not_in_the_way() {
    struct Micros(AtomicI64);
    impl Clock for Micros {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::SeqCst))
        }
    }
    let start = 1_000_000 * START;
    let clock = Arc::new(Micros(AtomicI64::new(start)));
    let store = OnceStore::memory_with(&small(), clock.clone());
    for number in 0..16 {
        let expires = Timestamp::from_micros(start + 500_000);
        store.put(&tag(number), b"short", expires).unwrap();
    }
    clock.0.store(start + 600_000, Ordering::SeqCst);
    let expires = seconds(START + 60);
    store.put(&tag(16), b"in time", expires).unwrap();
    assert_eq!(store.counts().unwrap().expired, 16);
}

#[test]
fn a_full_table_of_deposits_says_so_and_loses_none() {
    on_both(&small(), |store, clock| {
        let expires = seconds(START + 60);
        for number in 0..16 {
            store
                .put(&tag(number), &number.to_be_bytes(), expires)
                .unwrap();
        }
        assert!(matches!(
            store.put(&tag(16), b"one more", expires),
            Err(StoreError::Full { .. })
        ));
        for number in 0..16 {
            assert_eq!(
                *store.peek(&tag(number)).unwrap().unwrap().value,
                number.to_be_bytes()
            );
        }
        assert!(store.take(&tag(3)).is_ok());
        store.put(&tag(16), b"one more", expires).unwrap();
        clock.advance(60);
        store
            .put(&tag(17), b"all others are expired", seconds(START + 120))
            .unwrap();
        assert_eq!(store.counts().unwrap().expired, 16);
    });
}

#[test]
fn threads_that_race_have_one_winner_each_time() {
    on_both(&Limits::default(), |store, _| {
        let win = |round: u64| {
            let claimed = store.claim(&mark(round), seconds(START)).is_ok();
            let _ = store.put(&tag(round), &round.to_be_bytes(), seconds(START + 60));
            (
                u64::from(claimed),
                u64::from(store.take(&tag(round)).is_ok()),
            )
        };
        let run = || {
            (0..5000)
                .map(win)
                .fold((0, 0), |sum, won| (sum.0 + won.0, sum.1 + won.1))
        };
        let won = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        });
        assert_eq!(won.iter().map(|won| won.0).sum::<u64>(), 5000);
        let counts = store.counts().unwrap();
        assert_eq!(won.iter().map(|won| won.1).sum::<u64>(), counts.taken);
        assert!(counts.taken <= counts.put && counts.taken >= 5000);
    });
}

#[test]
fn a_store_is_told_from_every_other() {
    let clock = ManualClock::new(START);
    let home = Home::new();
    let id = home.open(&clock).unwrap().id().unwrap();
    assert_eq!(home.open(&clock).unwrap().id().unwrap(), id);
    assert_ne!(Home::new().open(&clock).unwrap().id().unwrap(), id);
    let memory = || OnceStore::memory(Arc::new(clock.clone())).id().unwrap();
    assert_ne!(memory(), memory());
}

/// Whatever lies in the tables: an answer, never a panic or an endless loop, and no value that nobody put.
#[test]
fn damage_is_an_error_and_never_a_panic() {
    for round in 0..40_u64 {
        let (clock, home) = (ManualClock::new(START), Home::new());
        let store = home.open_with(&small(), &clock).unwrap();
        store.put(&tag(1), b"true", seconds(START + 60)).unwrap();
        for name in ["marks", "deposits"] {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(home.path().join(name))
                .unwrap();
            let len = file.metadata().unwrap().len();
            let damage = |at: u64| match round {
                0 => u64::MAX,
                1 => 2,
                _ => {
                    (at ^ round << 40)
                        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                        .rotate_left(round as u32)
                        | (round & 3)
                }
            };
            // From the first count on, past the fixed part of the header.
            for at in (640..len)
                .step_by(8)
                .filter(|at| round < 20 || at % 64 == round)
            {
                file.write_all_at(&damage(at).to_ne_bytes(), at).unwrap();
            }
        }
        for number in 0..20 {
            let _ = store.claim(&mark(number), seconds(START));
            let _ = store.put(&tag(100 + number), b"new", seconds(START + 60));
            if let Ok(Some(deposit)) = store.peek(&tag(1)) {
                assert_eq!(*deposit.value, b"true");
            }
            let _ = store.take(&tag(number));
        }
    }
}

#[test]
fn a_damaged_deposit_is_called_damaged() {
    let (clock, home) = (ManualClock::new(START), Home::new());
    let store = home.open_with(&small(), &clock).unwrap();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(home.path().join("deposits"))
        .unwrap();
    store.put(&tag(1), &[7; 64], seconds(START + 60)).unwrap();
    let table = 4096 + 2 * 16 * 8;
    let mut words = vec![0; 64 * 8 * 16];
    file.read_exact_at(&mut words, table).unwrap();
    let value = (0..16)
        .find(|slot| words[slot * 512 + 32..slot * 512 + 40] != [0; 8])
        .unwrap()
        * 512
        + 32;
    for bit in 0..64 {
        let mut byte = words[value + bit / 8];
        byte ^= 1 << (bit % 8);
        file.write_all_at(&[byte], table + (value + bit / 8) as u64)
            .unwrap();
        assert!(
            matches!(store.peek(&tag(1)), Err(StoreError::Corrupt { .. })),
            "bit {bit}"
        );
        file.write_all_at(
            &words[value + bit / 8..=value + bit / 8],
            table + (value + bit / 8) as u64,
        )
        .unwrap();
    }
    assert_eq!(*store.peek(&tag(1)).unwrap().unwrap().value, [7; 64]);
}

#[test]
fn a_mark_from_the_future_is_called_damage() {
    let (clock, home) = (ManualClock::new(START), Home::new());
    let store = home.open_with(&small(), &clock).unwrap();
    let file = OpenOptions::new()
        .write(true)
        .open(home.path().join("marks"))
        .unwrap();
    let len = file.metadata().unwrap().len();
    file.write_all_at(&vec![0xFF; len as usize - 4096], 4096)
        .unwrap();
    let claimed = store.claim(&mark(1), seconds(START));
    assert!(matches!(
        claimed,
        Err(ClaimError::Store(StoreError::Corrupt { .. }))
    ));
}
