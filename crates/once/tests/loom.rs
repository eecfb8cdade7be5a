//! The atomic steps under a model checker: every interleaving, and every value that weak memory may show.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p once --test loom`
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use once::table::deposits::{FILLER_SECONDS, Fill, Slots};
use once::table::marks::{Mark, Outcome, put, retire};

/// Each thread may be interrupted so often where it could go on; beyond that the number of schedules explodes.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn words(count: usize) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

fn mark(bucket: u64, fingerprint: u64) -> Mark {
    Mark::new(bucket, fingerprint, 0, 0).unwrap()
}

#[test]
fn of_two_that_claim_one_mark_one_wins() {
    check(5, || {
        let slots = Arc::new(words(2));
        let claimers: Vec<_> = (0..2)
            .map(|_| {
                let slots = Arc::clone(&slots);
                thread::spawn(move || put(&slots, 0, 2, &mark(8, 1)))
            })
            .collect();
        let won = claimers.into_iter().map(|claimer| claimer.join().unwrap());
        assert_eq!(won.filter(|&outcome| outcome == Outcome::Put).count(), 1);
    });
}

#[test]
fn marks_of_one_chain_do_not_hide_each_other() {
    check(3, || {
        let slots = Arc::new(words(2));
        let claimers: Vec<_> = [1, 2, 1]
            .map(|fingerprint| {
                let slots = Arc::clone(&slots);
                thread::spawn(move || put(&slots, 0, 2, &mark(8, fingerprint)))
            })
            .into_iter()
            .collect();
        let outcomes: Vec<_> = claimers
            .into_iter()
            .map(|claimer| claimer.join().unwrap())
            .collect();
        assert_eq!(outcomes[1], Outcome::Put);
        assert_eq!(
            [outcomes[0], outcomes[2]]
                .iter()
                .filter(|&&outcome| outcome == Outcome::Put)
                .count(),
            1
        );
    });
}

/// Two claim one mark while its bucket turns: a third overwrites their chain. At most one wins, and it is over or seen for the
/// other; who meets the later bucket finds that its own is retired.
#[test]
fn a_turn_of_the_ring_admits_no_second_winner() {
    check(3, || {
        let table = Arc::new((words(2), AtomicU64::new(0)));
        let claimers: Vec<_> = (0..2)
            .map(|_| {
                let table = Arc::clone(&table);
                thread::spawn(move || {
                    let outcome = put(&table.0, 0, 2, &mark(8, 1));
                    if outcome == Outcome::Over {
                        assert!(table.1.load(Ordering::Acquire) >= 8);
                    }
                    outcome
                })
            })
            .collect();
        retire(&table.1, 9);
        assert_ne!(put(&table.0, 0, 2, &mark(12, 2)), Outcome::Over);
        assert_ne!(put(&table.0, 0, 2, &mark(12, 3)), Outcome::Over);
        let won = claimers.into_iter().map(|claimer| claimer.join().unwrap());
        assert!(won.filter(|&outcome| outcome == Outcome::Put).count() <= 1);
    });
}

#[test]
fn what_is_retired_never_falls() {
    check(5, || {
        let retired = Arc::new(AtomicU64::new(3));
        let other = Arc::clone(&retired);
        let ahead = thread::spawn(move || assert!(retire(&other, 7) >= 7));
        assert!(retire(&retired, 5) >= 5);
        let seen = retire(&retired, 4);
        assert!(seen >= 5 && retire(&retired, 0) >= seen);
        ahead.join().unwrap();
        assert_eq!(retire(&retired, 0), 7);
    });
}

/// One slot of an expiry and two words.
struct Table {
    states: Box<[AtomicU64]>,
    expiries: Box<[AtomicU64]>,
    bodies: Box<[AtomicU64]>,
}

impl Table {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            states: words(1),
            expiries: words(1),
            bodies: words(2),
        })
    }

    fn slots(&self) -> Slots<'_> {
        Slots {
            states: &self.states,
            expiries: &self.expiries,
            bodies: &self.bodies,
            seed: 1,
        }
    }

    fn fill(&self, words: [u64; 3]) -> bool {
        matches!(self.slots().fill(0, &words, 0), Fill::Done(_))
    }

    /// As the layer above does it: find the tag, read, and say what was there. Never half of it.
    fn peek(&self, tag: u64) -> Option<[u64; 3]> {
        let slots = self.slots();
        let full = slots.holds(0, 1, &[tag])?;
        let mut words = [0; 3];
        slots.read(0, full, &mut words).then_some(words)
    }

    fn take(&self, tag: u64) -> bool {
        let slots = self.slots();
        slots
            .holds(0, 1, &[tag])
            .is_some_and(|full| slots.take(0, full))
    }

    fn sweep(&self, seconds: u64, now: u64) -> bool {
        self.slots().sweep(0, seconds, |expiry| expiry <= now)
    }

    fn is_clean(&self) -> bool {
        self.expiries
            .iter()
            .chain(&self.bodies)
            .all(|word| word.load(Ordering::Acquire) == 0)
    }
}

#[test]
fn of_two_that_take_one_deposit_while_it_is_made_at_most_one_wins() {
    check(4, || {
        let table = Table::new();
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let table = Arc::clone(&table);
                thread::spawn(move || table.take(11))
            })
            .collect();
        assert!(table.fill([50, 11, 12]));
        let won = takers
            .into_iter()
            .map(|taker| taker.join().unwrap())
            .filter(|&won| won)
            .count();
        let later = table.take(11);
        assert_eq!(won + usize::from(later), 1);
        assert!(table.is_clean());
    });
}

#[test]
fn a_deposit_is_taken_or_expires_and_is_wiped_either_way() {
    check(4, || {
        let table = Table::new();
        assert!(table.fill([50, 11, 12]));
        let sweeper = Arc::clone(&table);
        let expired = thread::spawn(move || sweeper.sweep(0, 60));
        let taken = table.take(11);
        let expired = expired.join().unwrap();
        assert!(taken ^ expired);
        assert!(table.is_clean());
    });
}

/// A reader meets the end of one deposit and the whole of the next in the same slot.
#[test]
fn no_torn_value_is_believed() {
    check(3, || {
        let table = Table::new();
        assert!(table.fill([50, 11, 12]));
        let reader = Arc::clone(&table);
        let read = thread::spawn(move || {
            for tag in [11, 21] {
                if let Some(words) = reader.peek(tag) {
                    assert_eq!(
                        words,
                        if tag == 11 {
                            [50, 11, 12]
                        } else {
                            [60, 21, 22]
                        }
                    );
                }
            }
        });
        assert!(table.take(11));
        assert!(table.fill([60, 21, 22]));
        read.join().unwrap();
        assert_eq!(table.peek(21), Some([60, 21, 22]));
    });
}

/// A filler is taken for dead wherever it stands, its slot is wiped and filled anew, and it goes on. It may succeed before it is
/// taken for dead, and it may spoil the other's attempt; but whoever was told that its deposit is there finds it whole.
#[test]
fn a_stalled_filler_breaks_nothing() {
    check(3, || {
        let table = Table::new();
        let stalled = Arc::clone(&table);
        let first = thread::spawn(move || stalled.fill([50, 11, 12]));
        table.sweep(FILLER_SECONDS + 1, 0);
        let second = table.fill([60, 21, 22]);
        if second {
            assert_eq!(table.peek(21), Some([60, 21, 22]));
        }
        let first = first.join().unwrap();
        assert!(!(first && second));
        assert_eq!(table.peek(21), second.then_some([60, 21, 22]));
        assert_eq!(table.peek(11), first.then_some([50, 11, 12]));
        if first || second {
            assert!(table.take(if first { 11 } else { 21 }));
        }
        assert!(table.is_clean());
    });
}

/// The same, and the other deposit is shorter than what the stalled filler leaves, while a third looks for both until the
/// second is taken. What lies behind the words of the shorter one means nothing; those that are it are seen whole or not at all.
#[test]
fn a_reader_beside_a_stalled_filler_sees_no_half_of_a_shorter_deposit() {
    check(3, || {
        let table = Table::new();
        let stalled = Arc::clone(&table);
        let first = thread::spawn(move || stalled.fill([50, 11, 12]));
        let looking = Arc::clone(&table);
        let reader = thread::spawn(move || {
            if let Some(words) = looking.peek(11) {
                assert_eq!(words, [50, 11, 12]);
            }
            if let Some([expiry, tag, _]) = looking.peek(21) {
                assert_eq!([expiry, tag], [60, 21]);
            }
        });
        table.sweep(FILLER_SECONDS + 1, 0);
        let second = matches!(table.slots().fill(0, &[60, 21], 0), Fill::Done(_));
        assert_eq!(table.take(21), second);
        let first = first.join().unwrap();
        reader.join().unwrap();
        assert_eq!(table.peek(21), None);
        assert_eq!(table.peek(11), first.then_some([50, 11, 12]));
        assert_eq!(table.take(11), first);
        assert!(table.is_clean());
    });
}

/// Two wipe the same slot, and it is filled anew as soon as one of them is done: the other must not touch the new deposit.
#[test]
fn a_late_wiper_does_not_touch_the_next_deposit() {
    check(3, || {
        let table = Table::new();
        assert!(table.fill([50, 11, 12]));
        let other = Arc::clone(&table);
        let wiper = thread::spawn(move || other.sweep(0, 60));
        let helped = table.sweep(0, 60);
        let filled = table.fill([90, 11, 12]);
        let wiped = wiper.join().unwrap();
        assert!(helped ^ wiped);
        assert_eq!(table.peek(11), filled.then_some([90, 11, 12]));
        if !filled {
            table.sweep(0, 0);
            assert!(table.fill([90, 11, 12]));
        }
    });
}
