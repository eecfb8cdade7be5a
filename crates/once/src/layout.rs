//! What the words of a store's file mean: one page of header, then the table.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wire::time::Timestamp;

use crate::error::OpenError;
use crate::options::Limits;
use crate::table::marks::RING;

/// "BATONONC" as a big-endian number: a store of the other byte order is none.
const MAGIC: u64 = 0x4241_544F_4E4F_4E43;
const VERSION: u64 = 1;

/// Words of the header: a page, so that the tables begin on one.
pub(crate) const HEADER_WORDS: usize = 512;
/// The words that are written when the store is made and never change; the last of them is a checksum over the others.
const FIXED_WORDS: usize = 16;

/// The highest bucket that is over, in the first segment of marks.
pub(crate) const RETIRED: usize = 64;
/// How many segments of marks there are, in the first of them.
pub(crate) const SEGMENTS: usize = 72;
/// Counts, each on a cache line of its own.
pub(crate) const COUNTS: [usize; 3] = [80, 88, 96];

/// Words of a deposit's slot without state and expiry: tag, length, check, value.
pub(crate) const BODY_WORDS: usize = 64;
pub(crate) const VALUE_WORDS: usize = BODY_WORDS - 4;

const MAX_MARKS: usize = 1 << 26;
const MAX_DEPOSITS: usize = 1 << 20;
/// Below this a bucket's number would outgrow its bits within a century.
const SHORTEST_BUCKET: u64 = 60;
/// A year. Far beyond it the ring would span more than all time, and every claim would be out of it.
const GREATEST_SKEW: Duration = Duration::from_secs(366 * 86_400);

/// Which table a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A segment of the marks, by number.
    Marks {
        segment: u64,
    },
    Deposits,
}

impl Kind {
    pub(crate) fn file_name(self) -> String {
        match self {
            Kind::Marks { segment: 0 } => "marks".into(),
            Kind::Marks { segment } => format!("marks.{segment}"),
            Kind::Deposits => "deposits".into(),
        }
    }

    fn words(self) -> [u64; 2] {
        match self {
            Kind::Marks { segment } => [1, segment],
            Kind::Deposits => [2, 0],
        }
    }
}

/// The facts of a store that all its processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Which store this is.
    pub(crate) id: [u64; 2],
    /// Places are found by a hash under this key.
    pub(crate) key: [u64; 4],
    pub(crate) birth: Timestamp,
    /// The greatest clock skew, microseconds.
    pub(crate) skew: u64,
    /// Seconds a bucket of marks covers.
    pub(crate) bucket: u64,
    /// A power of two: of a bucket of this segment, or of all deposits.
    pub(crate) slots: usize,
}

impl Header {
    /// The header of a table that is to be made now.
    pub(crate) fn propose(kind: Kind, limits: &Limits, now: Timestamp) -> Result<Self, OpenError> {
        let skew = limits.clock_skew.max(Duration::from_secs(1));
        if skew > GREATEST_SKEW {
            return Err(OpenError::SkewTooGreat {
                wanted: skew,
                greatest: GREATEST_SKEW,
            });
        }
        let (slots, least, most) = match kind {
            Kind::Marks { .. } => (limits.marks, 64, MAX_MARKS),
            Kind::Deposits => (limits.deposits, 16, MAX_DEPOSITS),
        };
        Ok(Self {
            kind,
            id: random_words().map_err(OpenError::Random)?,
            key: random_words().map_err(OpenError::Random)?,
            birth: now,
            skew: skew.as_secs() * 1_000_000 + u64::from(skew.subsec_micros()),
            bucket: ((skew.as_secs() + 1) * 2).max(SHORTEST_BUCKET),
            slots: slots.clamp(least, most).next_power_of_two(),
        })
    }

    /// The header of a later segment of the same marks: twice as large each.
    pub(crate) fn segment(&self, segment: u64) -> Option<Self> {
        let slots = self
            .slots
            .checked_shl(u32::try_from(segment).ok()?)
            .filter(|&slots| slots <= MAX_MARKS)?;
        Some(Self {
            kind: Kind::Marks { segment },
            slots,
            ..*self
        })
    }

    /// Words of the whole file.
    pub(crate) fn total_words(&self) -> usize {
        HEADER_WORDS
            + match self.kind {
                Kind::Marks { .. } => self.slots * RING as usize,
                Kind::Deposits => self.slots * (2 + BODY_WORDS),
            }
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.total_words() * size_of::<AtomicU64>()) as u64
    }

    pub(crate) fn encode(&self) -> [u64; FIXED_WORDS] {
        let [kind, segment] = self.kind.words();
        let [k0, k1, k2, k3] = self.key;
        let (birth, slots) = (self.birth.micros() as u64, self.slots as u64);
        let mut words = [
            MAGIC,
            VERSION,
            kind,
            segment,
            self.id[0],
            self.id[1],
            k0,
            k1,
            k2,
            k3,
            birth,
            self.skew,
            self.bucket,
            slots,
            0,
            0,
        ];
        words[FIXED_WORDS - 1] = checksum(&words[..FIXED_WORDS - 1]);
        words
    }

    /// The header that `words` hold, or which part of it is wrong.
    pub(crate) fn decode(words: &[u64; FIXED_WORDS], kind: Kind) -> Result<Self, &'static str> {
        let [
            magic,
            version,
            k,
            segment,
            id0,
            id1,
            k0,
            k1,
            k2,
            k3,
            birth,
            skew,
            bucket,
            slots,
            zero,
            check,
        ] = *words;
        let wanted = [
            (magic == MAGIC, "not a store"),
            (version == VERSION, "version"),
            (zero == 0, "reserved word"),
        ];
        if let Some((_, what)) = wanted.into_iter().find(|(right, _)| !right) {
            return Err(what);
        }
        if check != checksum(&words[..FIXED_WORDS - 1]) {
            return Err("checksum");
        }
        let most = if kind == Kind::Deposits {
            MAX_DEPOSITS
        } else {
            MAX_MARKS
        };
        let slots = usize::try_from(slots)
            .ok()
            .filter(|slots| slots.is_power_of_two() && *slots <= most);
        let header = Self {
            kind,
            id: [id0, id1],
            key: [k0, k1, k2, k3],
            birth: Timestamp::from_micros(birth as i64),
            skew,
            bucket,
            slots: slots.ok_or("number of slots")?,
        };
        if [k, segment] != kind.words() {
            return Err("kind of table");
        }
        if bucket < SHORTEST_BUCKET
            || bucket > u64::from(u32::MAX)
            || skew > bucket.saturating_mul(500_000)
        {
            return Err("times");
        }
        Ok(header)
    }

    pub(crate) const fn fixed_words() -> usize {
        FIXED_WORDS
    }

    /// The key as a block of the hash, which HMAC pads with zeros.
    pub(crate) fn key_block(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (out, word) in bytes.chunks_exact_mut(8).zip(self.key) {
            out.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

fn checksum(words: &[u64]) -> u64 {
    let mut digest = Sha256::new();
    for word in words {
        digest.update(word.to_ne_bytes());
    }
    first_word(&digest.finalize())
}

/// The first eight bytes as a word.
pub(crate) fn first_word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// From the kernel each time, never from a buffer that a `fork` would copy.
fn random_words<const N: usize>() -> Result<[u64; N], getrandom::Error> {
    let mut bytes = [[0; 8]; N];
    getrandom::fill(bytes.as_flattened_mut())?;
    Ok(bytes.map(u64::from_ne_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: Kind) -> Header {
        Header::propose(
            kind,
            &Limits::default(),
            Timestamp::from_seconds(1_800_000_000),
        )
        .unwrap()
    }

    #[test]
    fn a_header_reads_as_it_was_written() {
        for kind in [
            Kind::Marks { segment: 0 },
            Kind::Marks { segment: 3 },
            Kind::Deposits,
        ] {
            let header = header(kind);
            assert_eq!(Header::decode(&header.encode(), kind), Ok(header));
        }
    }

    #[test]
    fn each_flipped_bit_of_a_header_is_noticed() {
        let kind = Kind::Deposits;
        let words = header(kind).encode();
        for bit in 0..words.len() * 64 {
            let mut other = words;
            other[bit / 64] ^= 1 << (bit % 64);
            assert!(Header::decode(&other, kind).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_header_with_a_right_checksum_is_still_checked() {
        let good = header(Kind::Marks { segment: 0 });
        let decode = |header: Header| Header::decode(&header.encode(), Kind::Marks { segment: 0 });
        assert!(decode(good).is_ok());
        assert_eq!(
            decode(Header {
                kind: Kind::Deposits,
                ..good
            }),
            Err("kind of table")
        );
        assert_eq!(
            decode(Header {
                kind: Kind::Marks { segment: 1 },
                ..good
            }),
            Err("kind of table")
        );
        assert_eq!(decode(Header { slots: 0, ..good }), Err("number of slots"));
        assert_eq!(decode(Header { slots: 65, ..good }), Err("number of slots"));
        assert_eq!(
            decode(Header {
                slots: 2 * MAX_MARKS,
                ..good
            }),
            Err("number of slots")
        );
        assert_eq!(decode(Header { bucket: 0, ..good }), Err("times"));
        assert_eq!(
            decode(Header {
                bucket: u64::MAX,
                ..good
            }),
            Err("times")
        );
        assert_eq!(
            decode(Header {
                skew: u64::MAX,
                ..good
            }),
            Err("times")
        );
    }

    #[test]
    fn a_bucket_covers_twice_the_skew() {
        for seconds in [0, 1, 29, 300, 86_400, GREATEST_SKEW.as_secs()] {
            let limits = Limits {
                clock_skew: Duration::from_secs(seconds),
                ..Limits::default()
            };
            let header =
                Header::propose(Kind::Marks { segment: 0 }, &limits, Timestamp::default()).unwrap();
            assert!(header.bucket * 1_000_000 >= 2 * header.skew, "{seconds}");
            assert!(Header::decode(&header.encode(), header.kind).is_ok());
        }
    }
}
