//! Marks: time, hashing and growth around the atomic steps of [`table::marks`](crate::table::marks).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wire::time::{Clock, Timestamp};

use crate::error::{ClaimError, OpenError, StoreError};
use crate::layout::{COUNTS, HEADER_WORDS, Header, Kind, RETIRED, SEGMENTS, first_word};
use crate::options::{Limits, ReplayAfterReset};
use crate::region::{Ground, Region, count};
use crate::table::marks::{BUCKETS, Mark, Outcome, RING, put, retire};
use crate::tag::MarkTag;

const CLAIMED: usize = COUNTS[0];
const REFUSED: usize = COUNTS[1];

/// Slots that are looked at in one segment.
const WINDOW: usize = 32;
const MAX_SEGMENTS: usize = 16;

/// The marks of a store.
pub(crate) struct Marks {
    ground: Ground,
    first: Region,
    later: Vec<OnceLock<Region>>,
    hash: Hmac<Sha256>,
    replay_after_reset: ReplayAfterReset,
}

impl Marks {
    pub(crate) fn open(
        ground: &Ground,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let proposed = Header::propose(Kind::Marks { segment: 0 }, limits, now)?;
        let first = ground.region(&proposed)?;
        let header = first.header();
        if proposed.skew > header.skew {
            let made_for = Duration::from_micros(header.skew);
            return Err(OpenError::Skew {
                path: first.place().into(),
                made_for,
                wanted: limits.clock_skew,
            });
        }
        let hash = keyed(header);
        let later = (1..limits.mark_segments.clamp(1, MAX_SEGMENTS))
            .map(|_| OnceLock::new())
            .collect();
        Ok(Self {
            ground: ground.clone(),
            first,
            later,
            hash,
            replay_after_reset: limits.replay_after_reset,
        })
    }

    pub(crate) fn forked(&self) -> bool {
        self.first.forked()
    }

    /// Marks claimed and refused.
    pub(crate) fn counts(&self) -> Result<[u64; 2], StoreError> {
        let words = self.first.words()?;
        Ok([CLAIMED, REFUSED].map(|index| words[index].load(Ordering::Relaxed)))
    }

    pub(crate) fn claim(
        &self,
        tag: &MarkTag,
        at: Timestamp,
        clock: &dyn Clock,
    ) -> Result<(), ClaimError> {
        let words = self.first.words()?;
        let claimed = self.claim_in(words, tag, at, clock);
        count(words, if claimed.is_ok() { CLAIMED } else { REFUSED });
        claimed
    }

    fn claim_in(
        &self,
        words: &[AtomicU64],
        tag: &MarkTag,
        at: Timestamp,
        clock: &dyn Clock,
    ) -> Result<(), ClaimError> {
        let bucket = self
            .bucket(at)
            .filter(|&bucket| bucket >= RING)
            .ok_or(ClaimError::TooOld)?;
        if self.replay_after_reset == ReplayAfterReset::Strict && at < self.first.header().birth {
            return Err(ClaimError::BeforeStore);
        }
        let mark = self.mark(tag, bucket).ok_or(ClaimError::TooNew)?;
        self.check_bucket(words, bucket, clock.now())?;
        self.put(words, bucket, &mark, clock)?;
        // It may have taken for ever to get here.
        self.check_bucket(words, bucket, clock.now())
    }

    fn put(
        &self,
        words: &[AtomicU64],
        bucket: u64,
        mark: &Mark,
        clock: &dyn Clock,
    ) -> Result<(), ClaimError> {
        for segment in 0..=self.later.len() {
            let Some(region) = self.segment(words, segment)? else {
                break;
            };
            match put(ring(region, bucket)?, segment as u64, WINDOW, mark) {
                Outcome::Put => return Ok(self.confirm(segment)?),
                Outcome::Seen => return Err(ClaimError::AlreadyClaimed),
                Outcome::Over => return Err(self.over(words, bucket, clock.now())),
                Outcome::NextSegment => {}
            }
        }
        Err(StoreError::Full {
            place: self.first.place(),
        }
        .into())
    }

    /// A bucket is alive if it is that of now or a neighbour, and none after it was ever taken for over.
    fn check_bucket(
        &self,
        words: &[AtomicU64],
        bucket: u64,
        now: Timestamp,
    ) -> Result<(), ClaimError> {
        let now = self.bucket(now).unwrap_or(0);
        if bucket > now + 1 {
            return Err(ClaimError::TooNew);
        }
        if bucket + 1 < now {
            return Err(ClaimError::TooOld);
        }
        if retire(&words[RETIRED], now.saturating_sub(2)) >= bucket {
            return Err(self.clock_set_back());
        }
        Ok(())
    }

    /// A later bucket was met in the mark's chain. Whoever wrote it has retired this one before, or never was one of us.
    fn over(&self, words: &[AtomicU64], bucket: u64, now: Timestamp) -> ClaimError {
        if words[RETIRED].load(Ordering::Acquire) < bucket {
            let place = self.first.place();
            return StoreError::Corrupt {
                place,
                what: "a mark from the future",
            }
            .into();
        }
        match self.check_bucket(words, bucket, now) {
            Err(error) => error,
            Ok(()) => ClaimError::TooOld,
        }
    }

    fn clock_set_back(&self) -> ClaimError {
        ClaimError::ClockSetBack {
            place: self.first.place(),
        }
    }

    /// The number of the bucket that covers `at`, if there is one.
    fn bucket(&self, at: Timestamp) -> Option<u64> {
        u64::try_from(at.seconds())
            .ok()
            .map(|seconds| (seconds / self.first.header().bucket).min(BUCKETS))
    }

    fn mark(&self, tag: &MarkTag, bucket: u64) -> Option<Mark> {
        let hash = self
            .hash
            .clone()
            .chain_update(tag.bytes())
            .finalize()
            .into_bytes();
        Mark::new(
            bucket,
            first_word(&hash[..8]),
            first_word(&hash[8..16]),
            first_word(&hash[16..24]),
        )
    }

    /// `None`: the marks may not grow so far.
    fn segment(&self, words: &[AtomicU64], segment: usize) -> Result<Option<&Region>, StoreError> {
        let Some(later) = segment.checked_sub(1) else {
            return Ok(Some(&self.first));
        };
        let Some(cell) = self.later.get(later) else {
            return Ok(None);
        };
        if cell.get().is_none() {
            let Some(region) = self.grow(words, segment as u64).map_err(Arc::new)? else {
                return Ok(None);
            };
            let _ = cell.set(region);
        }
        Ok(cell.get())
    }

    /// The first segment remembers how many there are, so that one that is gone is missed.
    fn grow(&self, words: &[AtomicU64], segment: u64) -> Result<Option<Region>, OpenError> {
        let Some(wanted) = self.first.header().segment(segment) else {
            return Ok(None);
        };
        let made = words[SEGMENTS].load(Ordering::Acquire) >= segment;
        let region = if made {
            self.ground.existing(&wanted)?
        } else {
            self.ground.region(&wanted)?
        };
        if *region.header() != wanted {
            return Err(OpenError::Header {
                path: region.place().into(),
                what: "a segment of another store",
            });
        }
        words[SEGMENTS].fetch_max(segment, Ordering::AcqRel);
        Ok(Some(region))
    }

    /// All segments that the mark's chain went through are still what others see.
    fn confirm(&self, last: usize) -> Result<(), StoreError> {
        self.first.confirm_linked()?;
        self.later[..last]
            .iter()
            .filter_map(OnceLock::get)
            .try_for_each(Region::confirm_linked)
    }
}

/// The slots of a bucket's ring position.
fn ring(region: &Region, bucket: u64) -> Result<&[AtomicU64], StoreError> {
    let slots = region.header().slots;
    let start = HEADER_WORDS + (bucket % RING) as usize * slots;
    Ok(&region.words()?[start..start + slots])
}

/// Without the key nobody can aim at one chain.
pub(crate) fn keyed(header: &Header) -> Hmac<Sha256> {
    Hmac::new(&header.key_block().into())
}
