//! The once-store: has this happened before, in any process?
//!
//! Two questions have this shape: *was this authenticator seen* (a [mark](OnceStore::claim)), and *was this context already taken
//! over* (a [deposit](OnceStore::put), [looked at](OnceStore::peek) and [taken](OnceStore::take)).

mod error;
mod options;
mod tag;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::time::{Clock, Timestamp};
use zeroize::Zeroizing;

pub use error::{ClaimError, OpenError, StoreError, TakeError};
pub use options::{FileOptions, Limits, ReplayAfterReset};
pub use tag::{MarkTag, Tag};

/// The longest value of a deposit, in bytes.
pub const MAX_VALUE: usize = 448;

/// Evidence that a mark was put and that nobody had put it before. Made by [`OnceStore::claim`] alone.
#[derive(Debug)]
#[must_use]
pub struct Claimed(());

/// Evidence that a deposit was taken, by this caller and no other. Made by [`OnceStore::take`] alone.
#[derive(Debug)]
#[must_use]
pub struct Taken(());

/// What [`OnceStore::peek`] sees.
pub struct Deposit {
    /// The value as it was put.
    pub value: Zeroizing<Vec<u8>>,
    /// When it stops being there.
    pub expires: Timestamp,
}

/// How often what happened, since the store was made, in all processes that share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Marks put.
    pub claimed: u64,
    /// Marks refused, for whatever reason.
    pub refused: u64,
    /// Deposits made.
    pub put: u64,
    /// Deposits taken.
    pub taken: u64,
    /// Deposits that nobody took in time.
    pub expired: u64,
}

/// A store of marks and deposits.
pub struct OnceStore {
    clock: Arc<dyn Clock>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    marks: HashMap<MarkTag, Timestamp>,
    deposits: HashMap<Tag, (Zeroizing<Vec<u8>>, Timestamp)>,
    counts: Counts,
}

impl OnceStore {
    /// A store in this process's memory, for one process and for tests.
    pub fn memory(clock: Arc<dyn Clock>) -> Self {
        Self::memory_with(&Limits::default(), clock)
    }

    /// A store in this process's memory, of explicit sizes.
    pub fn memory_with(_limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            entries: Mutex::default(),
        }
    }

    /// The store of every process of this user on this host.
    pub fn file(options: &FileOptions, _clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let path = options
            .directory
            .clone()
            .unwrap_or_else(|| PathBuf::from("/dev/shm"));
        Err(OpenError::Header {
            path,
            what: "files are not supported yet",
        })
    }

    /// Which store this is: 128 random bits from when it was made.
    pub fn id(&self) -> Result<[u8; 16], StoreError> {
        Ok([0; 16])
    }

    /// Puts a mark, in one atomic step: of all who race, in any process, one gets `Ok`. `at` is the time of the
    /// event itself (an authenticator's ctime with cusec).
    pub fn claim(&self, tag: &MarkTag, at: Timestamp) -> Result<Claimed, ClaimError> {
        if at + 2 * Limits::default().clock_skew < self.clock.now() {
            return Err(ClaimError::TooOld);
        }
        let mut entries = self.lock();
        if entries.marks.insert(*tag, at).is_some() {
            entries.counts.refused += 1;
            return Err(ClaimError::AlreadyClaimed);
        }
        entries.counts.claimed += 1;
        Ok(Claimed(()))
    }

    /// Makes a deposit: `value` is there for whoever knows `tag`, until it is taken or `expires`.
    pub fn put(&self, tag: &Tag, value: &[u8], expires: Timestamp) -> Result<(), StoreError> {
        if value.len() > MAX_VALUE {
            return Err(StoreError::TooLong { len: value.len() });
        }
        let now = self.clock.now();
        if expires <= now {
            return Err(StoreError::Expired);
        }
        let mut entries = self.lock();
        entries.deposits.retain(|_, (_, expires)| *expires > now);
        if entries.deposits.contains_key(tag) {
            return Err(StoreError::AlreadyThere);
        }
        entries
            .deposits
            .insert(*tag, (Zeroizing::new(value.to_vec()), expires));
        entries.counts.put += 1;
        Ok(())
    }

    /// Looks at a deposit without taking it. Expired ones are not there.
    pub fn peek(&self, tag: &Tag) -> Result<Option<Deposit>, StoreError> {
        let now = self.clock.now();
        let entries = self.lock();
        let found = entries
            .deposits
            .get(tag)
            .filter(|(_, expires)| *expires > now);
        Ok(found.map(|(value, expires)| Deposit {
            value: value.clone(),
            expires: *expires,
        }))
    }

    /// Takes a deposit and erases it: of all who race, in any process, one gets `Ok`.
    pub fn take(&self, tag: &Tag) -> Result<Taken, TakeError> {
        let now = self.clock.now();
        let mut entries = self.lock();
        match entries.deposits.remove(tag) {
            Some((_, expires)) if expires > now => {
                entries.counts.taken += 1;
                Ok(Taken(()))
            }
            _ => Err(TakeError::NotThere),
        }
    }

    /// How often what happened.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        Ok(self.lock().counts)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
