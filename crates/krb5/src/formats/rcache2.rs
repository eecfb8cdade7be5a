//! MIT's replay cache (`file2`) as a search through its tables: offsets and records out, the bytes that were read in.
//!
//! A file is a seed of 16 bytes and then tables of records, the first one of 1023, the next of 2048, each later one twice as long.
//! A record is a [`Tag`] and the time at which it was noted, zero meaning that none ever was. In each table a tag has two
//! places beside each other, where SipHash-2-4 under the seed puts it; the seed's first byte counts the tables. A tag goes into
//! the first of its places that is free, and it is not in a table after one where a place was never used.

use siphasher::sip::SipHasher24;

/// How long the seed is, with which a file begins.
pub const SEED_LENGTH: usize = 16;
/// How long a record is.
pub const RECORD_LENGTH: usize = 16;
/// How many bytes a look into a table needs: a tag's two places in it. Fewer at the end of the file.
pub const LOOK_LENGTH: usize = 2 * RECORD_LENGTH;

const TAG_LENGTH: usize = 12;
const FIRST_TABLE: u64 = 1023;
const SECOND_TABLE: u64 = 2048;
/// MIT's code goes no further into a file.
const MAX_SIZE: u64 = i32::MAX as u64;

/// What an authenticator is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag([u8; TAG_LENGTH]);

impl Tag {
    /// The tag of an authenticator whose ciphertext has this checksum: its beginning, or it and zeros.
    pub fn of(checksum: &[u8]) -> Self {
        let mut tag = [0; TAG_LENGTH];
        for (to, from) in tag.iter_mut().zip(checksum) {
            *to = *from;
        }
        Self(tag)
    }

    /// A tag's bytes.
    pub const fn from_bytes(bytes: [u8; TAG_LENGTH]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; TAG_LENGTH] {
        &self.0
    }

    /// Its record, noted at `time`.
    pub fn record(&self, time: u32) -> [u8; RECORD_LENGTH] {
        let mut record = [0; RECORD_LENGTH];
        record[..TAG_LENGTH].copy_from_slice(&self.0);
        // A record of the time zero would be none.
        record[TAG_LENGTH..].copy_from_slice(&time.max(1).to_be_bytes());
        record
    }
}

/// Every table that there may be is full where this tag would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the replay cache is full: a file of two gigabytes holds no more")]
pub struct Full;

/// What a look into a table showed.
#[derive(Debug)]
pub enum Looked {
    /// The tag is there.
    Seen,
    /// It is nowhere, and its record goes to this offset.
    New(u64),
    /// The next table has to be looked at too.
    Further(Search),
}

/// A search for a tag, before its look into one of the tables.
#[derive(Debug)]
pub struct Search {
    seed: [u8; SEED_LENGTH],
    tag: Tag,
    now: u32,
    skew: u32,
    table: Table,
    /// The first place on the way that a record may be written to.
    free: Option<u64>,
}

#[derive(Debug)]
struct Table {
    offset: u64,
    records: u64,
}

impl Table {
    fn next(&self) -> Result<Self, Full> {
        let offset = self.offset + self.records * RECORD_LENGTH as u64;
        let records = match self.records {
            FIRST_TABLE => SECOND_TABLE,
            records => records * 2,
        };
        if offset + records * RECORD_LENGTH as u64 > MAX_SIZE {
            return Err(Full);
        }
        Ok(Self { offset, records })
    }
}

impl Search {
    /// Looks for `tag` in a file of this `seed`. A record of another tag may be overwritten when it is older than `skew` seconds.
    pub const fn new(seed: [u8; SEED_LENGTH], tag: Tag, now: u32, skew: u32) -> Self {
        Self {
            seed,
            tag,
            now,
            skew,
            table: Table {
                offset: SEED_LENGTH as u64,
                records: FIRST_TABLE,
            },
            free: None,
        }
    }

    /// Where [`LOOK_LENGTH`] bytes are to be read.
    pub fn offset(&self) -> u64 {
        let index = SipHasher24::new_with_key(&self.seed).hash(&self.tag.0) % self.table.records;
        self.table.offset + index * RECORD_LENGTH as u64
    }

    /// Looks at `found`, which was read at [`offset`](Self::offset).
    pub fn look(mut self, found: &[u8]) -> Result<Looked, Full> {
        let offset = self.offset();
        let mut was_unused = false;
        for place in 0..2 {
            let start = place * RECORD_LENGTH;
            let record = found.get(start..start + RECORD_LENGTH);
            let time = record.map_or(0, time);
            if time != 0 && record.is_some_and(|record| record.starts_with(&self.tag.0)) {
                return Ok(Looked::Seen);
            }
            was_unused |= time == 0;
            if time == 0 || self.has_expired(time) {
                self.free.get_or_insert(offset + start as u64);
            }
        }
        match self.free {
            Some(free) if was_unused => Ok(Looked::New(free)),
            _ => Ok(Looked::Further(self.further()?)),
        }
    }

    fn further(self) -> Result<Self, Full> {
        let mut seed = self.seed;
        seed[0] = seed[0].wrapping_add(1);
        let table = self.table.next()?;
        Ok(Self {
            seed,
            table,
            ..self
        })
    }

    fn has_expired(&self, time: u32) -> bool {
        self.now > time.saturating_add(self.skew)
    }
}

fn time(record: &[u8]) -> u32 {
    record
        .last_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u32 = 1_800_000_000;
    const SKEW: u32 = 300;

    /// A file in memory.
    struct Cache(Vec<u8>);

    impl Cache {
        fn new() -> Self {
            Self((0..16).collect())
        }

        fn at(&self, offset: u64) -> &[u8] {
            let rest = self.0.get(offset as usize..).unwrap_or_default();
            &rest[..rest.len().min(LOOK_LENGTH)]
        }

        /// Whether the tag is new, and how many tables were looked at.
        fn store(&mut self, tag: Tag, now: u32) -> Result<(bool, usize), Full> {
            let mut search = Search::new(*self.0.first_chunk().unwrap(), tag, now, SKEW);
            let mut looks = 1;
            loop {
                let found = self.at(search.offset()).to_vec();
                match search.look(&found)? {
                    Looked::Seen => return Ok((false, looks)),
                    Looked::New(offset) => {
                        let end = offset as usize + RECORD_LENGTH;
                        self.0.resize(self.0.len().max(end), 0);
                        self.0[offset as usize..end].copy_from_slice(&tag.record(now));
                        return Ok((true, looks));
                    }
                    Looked::Further(next) => search = next,
                }
                looks += 1;
            }
        }
    }

    fn tag(number: u32) -> Tag {
        Tag::of(&number.to_be_bytes())
    }

    #[test]
    fn a_tag_is_twelve_bytes_of_a_checksum() {
        let checksum: Vec<u8> = (1..=24).collect();
        assert_eq!(Tag::of(&checksum).bytes()[..], checksum[..12]);
        assert_eq!(Tag::of(&[7; 4]).bytes()[3..6], [7, 0, 0]);
        assert_eq!(tag(5).record(0x0102_0304)[12..], [1, 2, 3, 4]);
        assert_eq!(tag(5).record(0)[12..], [0, 0, 0, 1]);
    }

    /// The vector of SipHash's own paper: key 00..0f, message 00..0e.
    #[test]
    fn the_hash_is_siphash_2_4() {
        let key: [u8; 16] = std::array::from_fn(|at| at as u8);
        let message: [u8; 15] = std::array::from_fn(|at| at as u8);
        let hash = SipHasher24::new_with_key(&key).hash(&message);
        assert_eq!(hash, 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn tables_lie_where_mits_page_says() {
        let mut table = Search::new([0; 16], tag(0), NOW, SKEW).table;
        let mut seen = Vec::new();
        while let Ok(next) = table.next() {
            seen.push((table.offset, table.records));
            table = next;
        }
        seen.push((table.offset, table.records));
        assert_eq!(seen[..3], [(16, 1023), (16384, 2048), (49152, 4096)]);
        let (offset, records) = seen.last().unwrap();
        let end = offset + records * 16;
        assert!(end <= MAX_SIZE && end + records * 32 > MAX_SIZE);
    }

    #[test]
    fn each_tag_is_new_once_in_however_many_tables() {
        let mut cache = Cache::new();
        let mut deepest = 0;
        for number in 0..5000 {
            let (new, looks) = cache.store(tag(number), NOW).unwrap();
            assert!(new, "{number}");
            deepest = deepest.max(looks);
        }
        assert!(deepest >= 4, "{deepest} tables");
        for number in 0..5000 {
            assert!(!cache.store(tag(number), NOW).unwrap().0, "{number}");
        }
    }

    #[test]
    fn one_bit_makes_another_tag() {
        let mut cache = Cache::new();
        cache.store(tag(1), NOW).unwrap();
        for bit in 0..96 {
            let mut other = *tag(1).bytes();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(cache.store(Tag(other), NOW).unwrap().0, "bit {bit}");
        }
    }

    /// What has expired gives its place to others and is known until then; what has not does neither.
    #[test]
    fn places_are_used_again_when_their_time_is_over() {
        let search = || Search::new([3; 16], tag(1), NOW, SKEW);
        let at = search().offset();
        let two = |first, second| [tag(8).record(first), tag(9).record(second)].concat();
        let cases = [
            (two(NOW, NOW), None),
            (two(NOW - SKEW, NOW - SKEW), None),
            (two(NOW - SKEW - 1, NOW), Some(at)),
            (two(NOW, NOW - SKEW - 1), Some(at + 16)),
            (two(NOW - 1000, NOW - 1000), Some(at)),
            (two(u32::MAX, NOW), None),
        ];
        for (found, free) in cases {
            let Looked::Further(next) = search().look(&found).unwrap() else {
                panic!("both places were used: {found:?}");
            };
            assert_eq!(next.free, free, "{found:?}");
            // The tag's own place is known again however old it is, also in the second table.
            let own = [tag(9).record(NOW), tag(1).record(1)].concat();
            assert!(matches!(next.look(&own), Ok(Looked::Seen)));
        }
    }

    #[test]
    fn a_place_that_was_never_used_ends_the_search() {
        let search = || Search::new([3; 16], tag(1), NOW, SKEW);
        let at = search().offset();
        let used = tag(8).record(NOW).to_vec();
        let expired = tag(8).record(1).to_vec();
        let unused = [tag(1).bytes().as_slice(), &[0; 4]].concat();
        let cases = [
            (vec![], at),
            (vec![1; 15], at),
            (unused.clone(), at),
            (used.clone(), at + 16),
            ([used.clone(), vec![1; 15]].concat(), at + 16),
            ([used.clone(), unused.clone()].concat(), at + 16),
            ([expired, unused.clone()].concat(), at),
            ([unused, used].concat(), at),
        ];
        for (found, place) in cases {
            let looked = search().look(&found).unwrap();
            assert!(
                matches!(looked, Looked::New(offset) if offset == place),
                "{found:?}: {looked:?}"
            );
        }
    }

    #[test]
    fn a_full_file_is_an_error() {
        let full = [tag(8).record(NOW), tag(9).record(NOW)].concat();
        let mut search = Search::new([3; 16], tag(1), NOW, SKEW);
        for _ in 0..64 {
            assert!(search.offset() < MAX_SIZE);
            match search.look(&full) {
                Ok(Looked::Further(next)) => search = next,
                other => {
                    assert!(matches!(other, Err(Full)));
                    return;
                }
            }
        }
        panic!("the search goes on");
    }
}
