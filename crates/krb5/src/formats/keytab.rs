//! The keytab format: a service's long-term keys.
//!
//! Version 2 (0x0502) is read and written, version 1 (0x0501) read. Both are MIT's; no RFC has them. A file begins with
//! two bytes of version, then come records: a signed 32-bit length and so many bytes; a record whose length is negative
//! is a hole that a deleted entry left. Version 1 counts the realm as a component, has no name type, and its integers
//! are in the byte order of the machine that wrote it, which is taken to be this one.

use std::sync::Arc;

use krb5_crypto::{Enctype, Key};
use wire::read::{ReadError, Reader};
use wire::time::Timestamp;
use zeroize::Zeroizing;

use super::exact::written_exactly;
use crate::principal::{NT_PRINCIPAL, Principal};

const VERSION_1: [u8; 2] = [5, 1];
const VERSION_2: [u8; 2] = [5, 2];

/// A keytab's entries.
#[derive(Default)]
pub struct Keytab {
    /// The entries whose keys can be used, in the file's order.
    pub entries: Vec<KeytabEntry>,
    /// The entries whose keys cannot, so that writing the keytab again loses nothing.
    pub others: Vec<OtherEntry>,
}

/// One key of one principal.
pub struct KeytabEntry {
    /// Whose key it is.
    pub principal: Principal,
    /// When it was written.
    pub timestamp: Timestamp,
    /// The key's version number, with its 32-bit extension if the file has that.
    pub kvno: u32,
    /// The key.
    pub key: Arc<Key>,
}

/// An entry whose enctype is unknown here, or whose key has not its enctype's length.
pub struct OtherEntry {
    /// Whose key it is.
    pub principal: Principal,
    /// When it was written.
    pub timestamp: Timestamp,
    /// The key's version number.
    pub kvno: u32,
    /// The enctype's number.
    pub enctype: i32,
    /// The key's bytes.
    pub key: Zeroizing<Vec<u8>>,
}

/// Why bytes are not a keytab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeytabError {
    /// The first two bytes are neither 05 02 nor 05 01.
    #[error("this is not a keytab: it does not begin with the bytes 05 02 or 05 01")]
    NotAKeytab,
    /// A record ends after the file does.
    #[error("the keytab ends within the record at byte {at}: it is cut, or being written")]
    Cut {
        /// Where the record begins.
        at: usize,
    },
    /// A record's fields do not fit into its length.
    #[error("the keytab's record at byte {at} is malformed: {cause}")]
    Record {
        /// Where the record begins.
        at: usize,
        /// What is wrong in it.
        cause: ReadError,
    },
    /// A record names no principal.
    #[error("the keytab's record at byte {at} has no principal")]
    NoPrincipal {
        /// Where the record begins.
        at: usize,
    },
    /// A principal has more, or longer, components than the format can hold.
    #[error("a principal is too long for a keytab")]
    TooLong,
    /// An enctype's number does not fit the format's 16 bits.
    #[error("enctype {0} does not fit into a keytab")]
    Enctype(i32),
}

impl Keytab {
    /// Reads a whole keytab of version 2 or 1.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeytabError> {
        let order = match bytes.first_chunk() {
            Some(&VERSION_2) => ByteOrder::Big,
            Some(&VERSION_1) => ByteOrder::Native,
            _ => return Err(KeytabError::NotAKeytab),
        };
        let mut keytab = Self::default();
        let mut rest = Reader::new(&bytes[2..]);
        while !rest.is_empty() {
            let at = bytes.len() - rest.left();
            let cut = |_| KeytabError::Cut { at };
            let length = order.u32(&mut rest).map_err(cut)?.cast_signed();
            let size = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
            match length {
                // MIT's code ends its reading at a record of no length, and writes one before it appends.
                0 => break,
                ..0 => _ = rest.take(size).map_err(cut)?,
                1.. => {
                    let raw = RawEntry::parse(order, rest.take(size).map_err(cut)?)
                        .map_err(|cause| KeytabError::Record { at, cause })?;
                    keytab.add(raw.ok_or(KeytabError::NoPrincipal { at })?);
                }
            }
        }
        Ok(keytab)
    }

    /// The keytab in version 2, the usable entries first.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, KeytabError> {
        let raws: Vec<RawEntry<'_>> = self.raw_entries().collect();
        let lengths = raws
            .iter()
            .map(RawEntry::length)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(written_exactly(|put| {
            put(&VERSION_2);
            for (raw, length) in raws.iter().zip(&lengths) {
                put(&length.to_be_bytes());
                raw.write(put);
            }
        }))
    }

    /// The entries that may hold the key of a ticket for `server` under `etype`, those of just the version `kvno`
    /// first. Keytabs and protocols that kept 8 bits of a version are matched by those bits, and an entry of
    /// version 0 fits every version, as with MIT's code. Without `kvno` every version comes.
    pub fn candidates<'k>(
        &'k self,
        server: &Principal,
        etype: i32,
        kvno: Option<u32>,
    ) -> impl Iterator<Item = &'k KeytabEntry> {
        let of_server = move |entry: &&KeytabEntry| {
            entry.key.enctype().number() == etype && entry.principal == *server
        };
        let exact = move |entry: &&KeytabEntry| kvno.is_none_or(|kvno| entry.kvno == kvno);
        let loose = move |entry: &&KeytabEntry| {
            kvno.is_some_and(|kvno| {
                entry.kvno != kvno && (entry.kvno == kvno & 0xff || entry.kvno == 0)
            })
        };
        let entries = move || self.entries.iter().filter(of_server);
        entries().filter(exact).chain(entries().filter(loose))
    }

    /// The newest key version of `principal`.
    pub fn newest_kvno(&self, principal: &Principal) -> Option<u32> {
        self.entries
            .iter()
            .filter(|entry| entry.principal == *principal)
            .reduce(|one, other| if other.is_newer_than(one) { other } else { one })
            .map(|entry| entry.kvno)
    }

    fn add(&mut self, raw: RawEntry<'_>) {
        let (timestamp, kvno) = (timestamp_of(raw.timestamp), raw.kvno);
        let principal = Principal::new(raw.name_type, raw.components, raw.realm);
        let key = Enctype::from_number(raw.enctype).and_then(|known| Key::new(known, raw.key).ok());
        match key {
            Some(key) => self.entries.push(KeytabEntry {
                principal,
                timestamp,
                kvno,
                key: Arc::new(key),
            }),
            None => self.others.push(OtherEntry {
                principal,
                timestamp,
                kvno,
                enctype: raw.enctype,
                key: Zeroizing::new(raw.key.to_vec()),
            }),
        }
    }

    fn raw_entries(&self) -> impl Iterator<Item = RawEntry<'_>> {
        let usable = self.entries.iter().map(|entry| {
            let enctype = entry.key.enctype().number();
            // The keytab is where keys are kept: writing them is its purpose.
            RawEntry::of(
                &entry.principal,
                entry.timestamp,
                entry.kvno,
                enctype,
                entry.key.expose(),
            )
        });
        let others = self.others.iter().map(|entry| {
            RawEntry::of(
                &entry.principal,
                entry.timestamp,
                entry.kvno,
                entry.enctype,
                &entry.key,
            )
        });
        usable.chain(others)
    }
}

impl KeytabEntry {
    /// Whether this entry's version came after `other`'s. Versions that were kept in fewer bits go round: as with MIT's
    /// code, one under 128 comes after one over 240 if it was not written earlier.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let went_round = |high: &Self, low: &Self| {
            high.kvno > 240 && low.kvno < 128 && low.timestamp >= high.timestamp
        };
        went_round(other, self) || (!went_round(self, other) && self.kvno > other.kvno)
    }
}

/// Keytabs have 32 bits for a time; MIT reads them unsigned, good until 2106.
fn timestamp_of(seconds: u32) -> Timestamp {
    Timestamp::from_seconds(i64::from(seconds))
}

#[derive(Clone, Copy)]
enum ByteOrder {
    Big,
    Native,
}

impl ByteOrder {
    fn u16(self, reader: &mut Reader<'_>) -> Result<u16, ReadError> {
        let bytes = reader.array()?;
        Ok(match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Native => u16::from_ne_bytes(bytes),
        })
    }

    fn u32(self, reader: &mut Reader<'_>) -> Result<u32, ReadError> {
        let bytes = reader.array()?;
        Ok(match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Native => u32::from_ne_bytes(bytes),
        })
    }

    fn counted<'a>(self, reader: &mut Reader<'a>) -> Result<&'a [u8], ReadError> {
        let length = self.u16(reader)?;
        reader.take(usize::from(length))
    }
}

/// An entry's fields as they stand in the file.
struct RawEntry<'a> {
    realm: &'a [u8],
    components: Vec<&'a [u8]>,
    name_type: i32,
    timestamp: u32,
    kvno: u32,
    enctype: i32,
    key: &'a [u8],
}

impl<'a> RawEntry<'a> {
    fn parse(order: ByteOrder, record: &'a [u8]) -> Result<Option<Self>, ReadError> {
        let mut reader = Reader::new(record);
        let counted = order.u16(&mut reader)?;
        let components = match order {
            ByteOrder::Big => counted,
            ByteOrder::Native => counted.saturating_sub(1),
        };
        if components == 0 {
            return Ok(None);
        }
        let realm = order.counted(&mut reader)?;
        let components = (0..components)
            .map(|_| order.counted(&mut reader))
            .collect::<Result<_, _>>()?;
        let name_type = match order {
            ByteOrder::Big => order.u32(&mut reader)?.cast_signed(),
            ByteOrder::Native => NT_PRINCIPAL,
        };
        let timestamp = order.u32(&mut reader)?;
        let short_kvno = u32::from(reader.u8()?);
        let enctype = i32::from(order.u16(&mut reader)?.cast_signed());
        let key = order.counted(&mut reader)?;
        // What is left may be the 32-bit version, or zeros: the remains of a longer entry that was here before.
        let kvno = match order.u32(&mut reader) {
            Ok(long) if long != 0 => long,
            _ => short_kvno,
        };
        Ok(Some(Self {
            realm,
            components,
            name_type,
            timestamp,
            kvno,
            enctype,
            key,
        }))
    }

    fn of(
        principal: &'a Principal,
        timestamp: Timestamp,
        kvno: u32,
        enctype: i32,
        key: &'a [u8],
    ) -> Self {
        Self {
            realm: principal.realm(),
            components: principal.components().iter().map(|c| &**c).collect(),
            name_type: principal.name_type(),
            timestamp: u32::try_from(timestamp.seconds().max(0)).unwrap_or(u32::MAX),
            kvno,
            enctype,
            key,
        }
    }

    /// The record's length, if every field fits the 15 bits that MIT's code reads.
    fn length(&self) -> Result<i32, KeytabError> {
        let parts = self.components.iter().chain([&self.realm, &self.key]);
        let fits = |length: usize| i16::try_from(length).map_err(|_| KeytabError::TooLong);
        fits(self.components.len())?;
        i16::try_from(self.enctype).map_err(|_| KeytabError::Enctype(self.enctype))?;
        // Count, name type, time, short version, enctype, long version.
        let mut length = 2 + 4 + 4 + 1 + 2 + 4;
        for part in parts {
            length += 2 + i32::from(fits(part.len())?);
        }
        Ok(length)
    }

    fn write(&self, put: &mut dyn FnMut(&[u8])) {
        let counted = |part: &[u8], put: &mut dyn FnMut(&[u8])| {
            put(&(part.len() as u16).to_be_bytes());
            put(part);
        };
        put(&(self.components.len() as u16).to_be_bytes());
        counted(self.realm, put);
        for component in &self.components {
            counted(component, put);
        }
        put(&self.name_type.to_be_bytes());
        put(&self.timestamp.to_be_bytes());
        put(&[self.kvno as u8]);
        put(&(self.enctype as i16).to_be_bytes());
        counted(self.key, put);
        put(&self.kvno.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;

    fn web() -> Principal {
        Principal::service("HTTP", "web.vector.test", "VECTOR.TEST")
    }

    fn keytab(name: &str) -> Keytab {
        Keytab::parse(&vectors::case("keytab.txt", name)).unwrap()
    }

    fn kvnos<'k>(found: impl Iterator<Item = &'k KeytabEntry>) -> Vec<u32> {
        found.map(|entry| entry.kvno).collect()
    }

    fn error(bytes: &[u8]) -> KeytabError {
        Keytab::parse(bytes).err().expect("an error")
    }

    #[test]
    fn what_mit_wrote_is_read() {
        let keytab = keytab("five entries");
        let (rc4, of_web) = keytab.entries.split_last().unwrap();
        let entries = of_web.iter().map(|entry| {
            assert_eq!(entry.principal, web());
            assert_eq!(entry.timestamp.seconds(), 1_795_561_395);
            (entry.kvno, entry.key.enctype().number())
        });
        assert_eq!(
            entries.collect::<Vec<_>>(),
            [(1, 17), (300, 18), (3, 19), (4, 20)]
        );
        let salt = web().salt();
        for entry in of_web {
            let key = entry
                .key
                .enctype()
                .string_to_key(b"secret", &salt, None)
                .unwrap();
            assert!(key.expose() == entry.key.expose(), "kvno {}", entry.kvno);
        }
        assert_eq!(rc4.principal.to_string(), "alice@VECTOR.TEST");
        assert_eq!((rc4.kvno, rc4.key.enctype().number()), (2, 23));
        assert!(keytab.others.is_empty());
    }

    /// The same with the last key said to be one of single DES.
    fn with_another() -> Keytab {
        let mut bytes = vectors::case("keytab.txt", "five entries");
        let rc4 = [0, 23, 0, 16];
        let at = bytes.windows(4).position(|bytes| bytes == rc4).unwrap();
        bytes[at + 1] = 3;
        Keytab::parse(&bytes).unwrap()
    }

    #[test]
    fn keys_of_other_enctypes_are_kept() {
        let keytab = with_another();
        assert_eq!(keytab.entries.len(), 4);
        let [other] = &keytab.others[..] else {
            panic!("one entry of another enctype")
        };
        assert_eq!(other.principal.to_string(), "alice@VECTOR.TEST");
        assert_eq!((other.kvno, other.enctype, other.key.len()), (2, 3, 16));
    }

    #[test]
    fn writing_gives_the_bytes_that_mit_wrote() {
        let bytes = vectors::case("keytab.txt", "five entries");
        assert!(*Keytab::parse(&bytes).unwrap().encode().unwrap() == bytes);
    }

    #[test]
    fn a_hole_is_passed_over_and_gone_after_a_rewrite() {
        let with_hole = keytab("a hole");
        assert_eq!(kvnos(with_hole.entries.iter()), [1, 300, 4, 2]);
        let again = Keytab::parse(&with_hole.encode().unwrap()).unwrap();
        assert_eq!(kvnos(again.entries.iter()), [1, 300, 4, 2]);
    }

    #[test]
    fn damage_is_an_error_or_another_keytab_that_can_be_written() {
        for (name, bytes) in vectors::read("keytab.txt") {
            for other in vectors::damaged(&bytes) {
                let Ok(keytab) = Keytab::parse(&other) else {
                    continue;
                };
                let written = keytab.encode().unwrap();
                let again = Keytab::parse(&written).unwrap();
                assert!(again.encode().unwrap() == written, "{name}");
            }
        }
    }

    #[test]
    fn a_keytab_that_is_still_being_written_is_an_error() {
        let bytes = vectors::case("keytab.txt", "five entries");
        let mut ends = vec![2];
        while let Some(&end) = ends.last().filter(|end| **end < bytes.len()) {
            let length = u32::from_be_bytes(bytes[end..end + 4].try_into().unwrap());
            ends.push(end + 4 + length as usize);
        }
        for length in 0..bytes.len() {
            let whole = Keytab::parse(&bytes[..length]).is_ok();
            assert_eq!(whole, ends.contains(&length), "cut to {length}");
        }
    }

    #[test]
    fn lengths_are_believed_only_as_far_as_bytes_arrived() {
        assert_eq!(error(b""), KeytabError::NotAKeytab);
        assert_eq!(error(b"\x05\x03"), KeytabError::NotAKeytab);
        assert_eq!(
            error(b"\x05\x02\x7f\xff\xff\xff\0\x01"),
            KeytabError::Cut { at: 2 }
        );
        assert_eq!(error(b"\x05\x02\x80\0\0\0\0\0"), KeytabError::Cut { at: 2 });
        assert_eq!(
            error(b"\x05\x02\0\0\0\x02\0\0"),
            KeytabError::NoPrincipal { at: 2 }
        );
        // 65535 components in six bytes.
        assert_eq!(
            error(b"\x05\x02\0\0\0\x06\xff\xff\0\0\0\0"),
            KeytabError::Record {
                at: 2,
                cause: ReadError::Short { wanted: 2, left: 0 }
            }
        );
        // A record of no length is the end, whatever follows.
        let end = Keytab::parse(b"\x05\x02\0\0\0\0rubbish").unwrap();
        assert!(end.entries.is_empty());
    }

    /// MIT krb5 has not written this version since 1.0; its reader is the standard.
    #[test]
    fn version_1_is_read_in_this_machines_byte_order() {
        let counted = |part: &[u8]| [&(part.len() as u16).to_ne_bytes()[..], part].concat();
        let record = [
            &3_u16.to_ne_bytes()[..], // The realm is counted.
            &counted(b"VECTOR.TEST"),
            &counted(b"HTTP"),
            &counted(b"web.vector.test"),
            &1_000_000_u32.to_ne_bytes(),
            &[9],
            &17_u16.to_ne_bytes(),
            &counted(&[7; 16]),
        ]
        .concat();
        let bytes = [
            &VERSION_1[..],
            &(record.len() as u32).to_ne_bytes(),
            &record,
        ]
        .concat();
        let keytab = Keytab::parse(&bytes).unwrap();
        let [entry] = &keytab.entries[..] else {
            panic!("one entry")
        };
        assert_eq!((&entry.principal, entry.kvno), (&web(), 9));
        assert_eq!(entry.principal.name_type(), NT_PRINCIPAL);
        assert_eq!(entry.timestamp.seconds(), 1_000_000);
        for other in vectors::damaged(&bytes) {
            _ = Keytab::parse(&other);
        }
        // Written again it is of version 2.
        let again = Keytab::parse(&keytab.encode().unwrap()).unwrap();
        assert_eq!(kvnos(again.entries.iter()), [9]);
    }

    #[test]
    fn zeros_that_an_older_entry_left_are_no_version() {
        let mut keytab = keytab("five entries");
        keytab.entries.truncate(1);
        let mut bytes = keytab.encode().unwrap().to_vec();
        let end = bytes.len() - 4;
        bytes[end..].fill(0);
        bytes[end - 16 - 2 - 2 - 1] = 77;
        bytes.extend([0; 9]);
        bytes[5] += 9;
        assert_eq!(kvnos(Keytab::parse(&bytes).unwrap().entries.iter()), [77]);
    }

    #[test]
    fn candidates_are_those_of_the_name_enctype_and_version() {
        let keytab = keytab("five entries");
        let of = |etype, kvno| kvnos(keytab.candidates(&web(), etype, kvno));
        assert_eq!(of(18, Some(300)), [300]);
        assert_eq!(of(18, None), [300]);
        assert_eq!(of(18, Some(4)), [0; 0]);
        assert_eq!(of(17, Some(1)), [1]);
        // The ticket's version 257 was kept as 1 by a keytab of 8 bits.
        assert_eq!(of(17, Some(257)), [1]);
        // But the ticket's 8 bits do not stand for the keytab's 300.
        assert_eq!(of(18, Some(300 & 0xff)), [0; 0]);
        let other = web().with_realm("OTHER.TEST");
        assert_eq!(kvnos(keytab.candidates(&other, 18, None)), [0; 0]);
    }

    #[test]
    fn the_exact_version_comes_before_one_that_may_be_cut() {
        let mut keytab = keytab("five entries");
        for (entry, kvno) in keytab.entries.iter_mut().zip([1, 257, 0, 2]) {
            entry.kvno = kvno;
            entry.key = Arc::new(Key::new(krb5_crypto::AES128_CTS_HMAC_SHA1_96, &[1; 16]).unwrap());
        }
        let of = |kvno| kvnos(keytab.candidates(&web(), 17, kvno));
        assert_eq!(of(Some(257)), [257, 1, 0]);
        assert_eq!(of(Some(2)), [2, 0]);
        assert_eq!(of(Some(3)), [0]);
    }

    #[test]
    fn versions_that_went_round_are_newer() {
        let mut keytab = keytab("five entries");
        keytab.entries.truncate(2);
        let newest = |kvnos: [u32; 2], written: [i64; 2], keytab: &mut Keytab| {
            for (index, entry) in keytab.entries.iter_mut().enumerate() {
                entry.kvno = kvnos[index];
                entry.timestamp = Timestamp::from_seconds(written[index]);
            }
            keytab.newest_kvno(&web())
        };
        assert_eq!(newest([3, 4], [9, 1], &mut keytab), Some(4));
        assert_eq!(newest([255, 1], [5, 5], &mut keytab), Some(1));
        assert_eq!(newest([255, 1], [5, 4], &mut keytab), Some(255));
        assert_eq!(newest([1, 255], [5, 4], &mut keytab), Some(1));
        assert_eq!(newest([1, 200], [5, 4], &mut keytab), Some(200));
        assert_eq!(keytab.newest_kvno(&Principal::user("nobody", "R")), None);
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut keytab = with_another();
        keytab.others[0].enctype = 40_000;
        assert_eq!(keytab.encode().err(), Some(KeytabError::Enctype(40_000)));
        keytab.others[0].enctype = -133;
        let again = Keytab::parse(&keytab.encode().unwrap()).unwrap();
        assert_eq!(again.others[0].enctype, -133);
        keytab.others[0].principal = Principal::user(vec![b'a'; 40_000], "R");
        assert_eq!(keytab.encode().err(), Some(KeytabError::TooLong));
    }
}
