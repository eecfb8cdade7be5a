//! Deposits: time and hashing around the atomic steps of [`table::deposits`](crate::table::deposits).

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use wire::time::Timestamp;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{OpenError, StoreError, TakeError};
use crate::layout::{BODY_WORDS, COUNTS, HEADER_WORDS, Header, Kind, VALUE_WORDS, first_word};
use crate::marks::keyed;
use crate::options::Limits;
use crate::region::{Ground, Region, count};
use crate::table::deposits::{Fill, Slots, State};
use crate::tag::Tag;
use crate::{Deposit, MAX_VALUE};

const PUT: usize = COUNTS[0];
const TAKEN: usize = COUNTS[1];
const EXPIRED: usize = COUNTS[2];

/// Slots in which a deposit may lie.
const WINDOW: usize = 32;
/// Rounds over its window that a put makes when others take its slots away.
const ROUNDS: usize = 4;

/// Word 0 is the expiry; then the tag, the length, a check over all of them and the value, and the value.
const TAG: usize = 1;
const LENGTH: usize = 3;
const CHECK: usize = 4;
const VALUE: usize = 5;

/// The deposits of a store.
pub(crate) struct Deposits {
    region: Region,
    hash: Hmac<Sha256>,
    /// The second in which this process swept last: once in each is enough, for a sweep reads a word of every slot.
    swept: AtomicU64,
}

impl Deposits {
    pub(crate) fn open(
        ground: &Ground,
        limits: &Limits,
        on_disk: bool,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let proposed = Header::propose(Kind::Deposits, limits, now)?;
        if let Ground::Directory(directory) = ground
            && directory.keeps_what_is_erased()
            && !on_disk
        {
            return Err(OpenError::OnDisk {
                path: directory.path().into(),
            });
        }
        let region = ground.region(&proposed)?;
        region.lock();
        let hash = keyed(region.header());
        Ok(Self {
            region,
            hash,
            swept: AtomicU64::new(u64::MAX),
        })
    }

    pub(crate) fn id(&self) -> [u64; 2] {
        self.region.header().id
    }

    pub(crate) fn forked(&self) -> bool {
        self.region.forked()
    }

    /// Deposits made, taken and expired.
    pub(crate) fn counts(&self) -> Result<[u64; 3], StoreError> {
        let words = self.region.words()?;
        Ok(COUNTS.map(|index| words[index].load(Ordering::Relaxed)))
    }

    pub(crate) fn put(
        &self,
        tag: &Tag,
        value: &[u8],
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if value.len() > MAX_VALUE {
            return Err(StoreError::TooLong { len: value.len() });
        }
        if expires <= now {
            return Err(StoreError::Expired);
        }
        let words = self.region.words()?;
        let slots = self.slots(words);
        let seconds = now.seconds() as u64;
        if self.swept.swap(seconds, Ordering::Relaxed) != seconds {
            self.sweep(words, now);
        }
        let window = self.window(tag);
        if find(&slots, window.clone(), tag).next().is_some() {
            return Err(StoreError::AlreadyThere);
        }
        let entry = Entry::new(tag, value, expires, &self.hash);
        let fill = || self.fill(&slots, window.clone(), entry.words(), now);
        match fill() {
            Err(StoreError::Full { .. }) => {
                // What expired since is in the way.
                self.sweep(words, now);
                fill()?;
            }
            filled => filled?,
        }
        count(words, PUT);
        Ok(())
    }

    fn fill(
        &self,
        slots: &Slots<'_>,
        window: impl Iterator<Item = usize> + Clone,
        words: &[u64],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for _ in 0..ROUNDS {
            let mut again = false;
            for slot in window.clone() {
                match slots.fill(slot, words, now.seconds() as u64) {
                    Fill::Done(full) => {
                        // Where nobody would find it, it is not to stay.
                        return self
                            .region
                            .confirm()
                            .inspect_err(|_| _ = slots.take(slot, full));
                    }
                    Fill::NotFree => {}
                    Fill::Unclean | Fill::Lost => again = true,
                }
            }
            if !again {
                return Err(StoreError::Full {
                    place: self.region.place(),
                });
            }
        }
        Err(StoreError::Stalled {
            place: self.region.place(),
        })
    }

    pub(crate) fn peek(&self, tag: &Tag) -> Result<Option<Deposit>, StoreError> {
        self.region.confirm_linked()?;
        let slots = self.slots(self.region.words()?);
        let mut entry = Entry::empty();
        for (slot, full) in find(&slots, self.window(tag), tag) {
            if slots.read(slot, full, &mut entry.0) {
                let what = |what| StoreError::Corrupt {
                    place: self.region.place(),
                    what,
                };
                return entry.deposit(&self.hash).map_err(what).map(Some);
            }
        }
        Ok(None)
    }

    pub(crate) fn take(&self, tag: &Tag, now: Timestamp) -> Result<(), TakeError> {
        self.region.confirm()?;
        let words = self.region.words()?;
        let slots = self.slots(words);
        for (slot, full) in find(&slots, self.window(tag), tag) {
            let Some(expiry) = slots.expiry(slot, full) else {
                continue;
            };
            let alive = expiry as i64 > now.micros();
            if slots.take(slot, full) {
                count(words, if alive { TAKEN } else { EXPIRED });
                return if alive {
                    Ok(())
                } else {
                    Err(TakeError::Expired)
                };
            }
        }
        Err(TakeError::NotThere)
    }

    fn sweep(&self, words: &[AtomicU64], now: Timestamp) {
        let expired = |expiry| expiry as i64 <= now.micros();
        let found = self.slots(words).sweep_all(now.seconds() as u64, expired);
        if found > 0 {
            words[EXPIRED].fetch_add(found, Ordering::Relaxed);
        }
    }

    fn slots<'a>(&self, words: &'a [AtomicU64]) -> Slots<'a> {
        let header = self.region.header();
        let (states, rest) = words[HEADER_WORDS..].split_at(header.slots);
        let (expiries, bodies) = rest.split_at(header.slots);
        Slots {
            states,
            expiries,
            bodies,
            seed: header.key[0],
        }
    }

    /// The slots in which `tag` may lie.
    fn window(&self, tag: &Tag) -> impl Iterator<Item = usize> + Clone + use<> {
        let hash = self
            .hash
            .clone()
            .chain_update(tag.bytes())
            .finalize()
            .into_bytes();
        let (home, slots) = (first_word(&hash) as usize, self.region.header().slots);
        (0..WINDOW.min(slots)).map(move |step| home.wrapping_add(step) & (slots - 1))
    }
}

/// The slots of `window` that hold `tag`, with their states: one, unless somebody used a tag twice at the same moment.
fn find<'a>(
    slots: &'a Slots<'a>,
    window: impl Iterator<Item = usize> + 'a,
    tag: &Tag,
) -> impl Iterator<Item = (usize, State)> + 'a {
    let words = tag_words(tag);
    window.filter_map(move |slot| slots.holds(slot, TAG, &words).map(|full| (slot, full)))
}

/// A deposit as words. It holds a key, and wipes itself.
struct Entry([u64; 1 + BODY_WORDS]);

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Entry {
    fn empty() -> Self {
        Self([0; 1 + BODY_WORDS])
    }

    fn new(tag: &Tag, value: &[u8], expires: Timestamp, hash: &Hmac<Sha256>) -> Self {
        let mut entry = Self::empty();
        entry.0[0] = expires.micros() as u64;
        entry.0[TAG..LENGTH].copy_from_slice(&tag_words(tag));
        entry.0[LENGTH] = value.len() as u64;
        for (word, chunk) in entry.0[VALUE..].iter_mut().zip(value.chunks(8)) {
            let mut bytes = Zeroizing::new([0; 8]);
            bytes[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(*bytes);
        }
        entry.0[CHECK] = entry.check(hash);
        entry
    }

    /// The words that mean something.
    fn words(&self) -> &[u64] {
        let len = usize::try_from(self.0[LENGTH])
            .unwrap_or(MAX_VALUE)
            .min(MAX_VALUE);
        &self.0[..VALUE + len.div_ceil(8)]
    }

    fn deposit(&self, hash: &Hmac<Sha256>) -> Result<Deposit, &'static str> {
        let len = usize::try_from(self.0[LENGTH])
            .ok()
            .filter(|&len| len <= MAX_VALUE)
            .ok_or("a length")?;
        if self.0[CHECK] != self.check(hash) {
            return Err("a check");
        }
        let mut value = Zeroizing::new(Vec::with_capacity(8 * VALUE_WORDS));
        for word in &self.words()[VALUE..] {
            value.extend_from_slice(&*Zeroizing::new(word.to_ne_bytes()));
        }
        value.truncate(len);
        Ok(Deposit {
            value,
            expires: Timestamp::from_micros(self.0[0] as i64),
        })
    }

    /// Against words that no process of ours put there. Nobody can aim at it without reading the map, and who can do that
    /// can write it: what must not be forged is sealed by the layer above.
    fn check(&self, hash: &Hmac<Sha256>) -> u64 {
        let mut hash = hash.clone();
        for word in self.0[..CHECK].iter().chain(&self.words()[VALUE..]) {
            hash.update(&*Zeroizing::new(word.to_ne_bytes()));
        }
        first_word(&hash.finalize().into_bytes())
    }
}

fn tag_words(tag: &Tag) -> [u64; 2] {
    [first_word(&tag.bytes()[..8]), first_word(&tag.bytes()[8..])]
}
