//! Marks: one word each, put by one compare-and-swap, never cleared.
//!
//! A word is the number of its bucket and a fingerprint. Buckets share the slots of their ring position: the next bucket
//! there is four later, and overwrites. A slot's bucket number therefore never falls, and that alone makes a claim exact:
//! whoever claims a mark walks the same chain of slots, and every slot before the first claimer's, as well as that one, holds
//! the same bucket for as long as it does not hold a later one. The walk ends at the mark, or at a later bucket, which says
//! that this one is over; it cannot end at an empty slot before them.

use crate::atomic::{AtomicU64, Ordering};

/// Buckets in the ring.
pub const RING: u64 = 4;

/// Bits of a fingerprint; the rest of a word is the number of its bucket, without the two bits that its ring position says.
pub const FINGERPRINT_BITS: u32 = 40;

/// Buckets are numbered below this.
pub const BUCKETS: u64 = RING << (u64::BITS - FINGERPRINT_BITS);

/// Where a mark may lie, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// Where its chain begins.
    pub home: u64,
    /// How far apart its chains in successive segments begin.
    pub stride: u64,
    /// The slot's word.
    pub word: u64,
}

impl Mark {
    /// A mark of `bucket`. The first ring of buckets has none, because its words could not be told from empty slots.
    pub fn new(bucket: u64, fingerprint: u64, home: u64, stride: u64) -> Option<Self> {
        let lap = bucket / RING;
        let word = lap << FINGERPRINT_BITS | fingerprint & ((1 << FINGERPRINT_BITS) - 1);
        (RING..BUCKETS)
            .contains(&bucket)
            .then_some(Self { home, stride, word })
    }
}

/// What became of a mark in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there, and is now.
    Put,
    /// It was there.
    Seen,
    /// A later bucket lies in its chain: its own is over.
    Over,
    /// All slots of the window hold other marks of the bucket: it belongs into the next segment.
    NextSegment,
}

/// Puts `mark` into the `segment`-th segment, of which `slots` is the part for the ring position of its bucket. Their number is a
/// power of two.
pub fn put(slots: &[AtomicU64], segment: u64, window: usize, mark: &Mark) -> Outcome {
    let start = mark.home.wrapping_add(segment.wrapping_mul(mark.stride)) as usize;
    for step in 0..window.min(slots.len()) {
        let slot = &slots[start.wrapping_add(step) & (slots.len() - 1)];
        if let Some(outcome) = put_at(slot, mark.word) {
            return outcome;
        }
    }
    Outcome::NextSegment
}

/// `None`: the slot holds another mark of the same bucket.
fn put_at(slot: &AtomicU64, word: u64) -> Option<Outcome> {
    let mut found = slot.load(Ordering::Acquire);
    while lap(found) < lap(word) {
        match slot.compare_exchange(found, word, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(Outcome::Put),
            Err(other) => found = other,
        }
    }
    if found == word {
        Some(Outcome::Seen)
    } else if lap(found) > lap(word) {
        Some(Outcome::Over)
    } else {
        None
    }
}

fn lap(word: u64) -> u64 {
    word >> FINGERPRINT_BITS
}

/// Notes that buckets up to `bucket` are over, and gives back the highest that is, whatever the clock says by now.
pub fn retire(retired: &AtomicU64, bucket: u64) -> u64 {
    let highest = retired.load(Ordering::Acquire);
    if highest >= bucket {
        highest
    } else {
        retired.fetch_max(bucket, Ordering::AcqRel).max(bucket)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn slots<const N: usize>() -> [AtomicU64; N] {
        [const { AtomicU64::new(0) }; N]
    }

    fn mark(bucket: u64, fingerprint: u64) -> Mark {
        Mark::new(bucket, fingerprint, 7, 1).unwrap()
    }

    #[test]
    fn a_mark_is_put_once() {
        let slots = slots::<8>();
        assert_eq!(put(&slots, 0, 4, &mark(8, 1)), Outcome::Put);
        assert_eq!(put(&slots, 0, 4, &mark(8, 1)), Outcome::Seen);
        assert_eq!(put(&slots, 0, 4, &mark(8, 2)), Outcome::Put);
        assert_eq!(put(&slots, 0, 4, &mark(8, 1)), Outcome::Seen);
    }

    #[test]
    fn a_full_window_goes_on_in_the_next_segment() {
        let slots = slots::<8>();
        for fingerprint in 1..=4 {
            assert_eq!(put(&slots, 0, 4, &mark(8, fingerprint)), Outcome::Put);
        }
        assert_eq!(put(&slots, 0, 4, &mark(8, 5)), Outcome::NextSegment);
        assert_eq!(put(&slots, 0, 4, &mark(8, 4)), Outcome::Seen);
    }

    #[test]
    fn a_later_bucket_overwrites_and_an_earlier_one_never_does() {
        let slots = slots::<8>();
        assert_eq!(put(&slots, 0, 4, &mark(8, 1)), Outcome::Put);
        assert_eq!(put(&slots, 0, 4, &mark(12, 1)), Outcome::Put);
        assert_eq!(put(&slots, 0, 4, &mark(8, 1)), Outcome::Over);
        assert_eq!(put(&slots, 0, 4, &mark(12, 1)), Outcome::Seen);
    }

    #[test]
    fn a_bucket_outside_of_the_numbers_has_no_mark() {
        assert!(Mark::new(RING - 1, 1, 0, 0).is_none());
        assert!(Mark::new(RING, 0, 0, 0).is_some_and(|mark| mark.word != 0));
        assert!(Mark::new(BUCKETS - 1, 1, 0, 0).is_some());
        assert!(Mark::new(BUCKETS, 1, 0, 0).is_none());
    }

    #[test]
    fn what_is_retired_stays_retired() {
        let retired = AtomicU64::new(0);
        assert_eq!(retire(&retired, 5), 5);
        assert_eq!(retire(&retired, 3), 5);
        assert_eq!(retire(&retired, 6), 6);
    }
}
