//! What the store is for: marks and deposits, and the evidence of them.

use std::sync::Arc;

use wire::time::{Clock, Timestamp};
use zeroize::Zeroizing;

use crate::error::{ClaimError, OpenError, StoreError, TakeError};
use crate::layout::VALUE_WORDS;
use crate::opened::{Opened, Tables};
use crate::options::{FileOptions, Limits};
use crate::tag::{MarkTag, Tag};

/// The longest value of a deposit, in bytes.
pub const MAX_VALUE: usize = 8 * VALUE_WORDS;

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
    backend: Backend,
}

enum Backend {
    Memory(Result<Tables, Arc<OpenError>>),
    File {
        options: FileOptions,
        opened: Opened,
    },
}

impl OnceStore {
    /// A store in this process's memory, for one process and for tests. In a child of the process it answers with an error.
    pub fn memory(clock: Arc<dyn Clock>) -> Self {
        Self::memory_with(&Limits::default(), clock)
    }

    /// A store in this process's memory, of explicit sizes. Where there is no memory for it, each use says so.
    pub fn memory_with(limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        let tables = Tables::in_memory(limits, clock.now()).map_err(Arc::new);
        Self {
            clock,
            backend: Backend::Memory(tables),
        }
    }

    /// The store of every process of this user on this host: found, or made.
    ///
    /// The user is the one that this process is when it opens the store; a process that changes its user afterwards keeps what it
    /// has open, and its children open their own.
    pub fn file(options: &FileOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let opened = Opened::new(options, clock.now())?;
        Ok(Self {
            clock,
            backend: Backend::File {
                options: options.clone(),
                opened,
            },
        })
    }

    /// Which store this is: 128 random bits from when it was made.
    pub fn id(&self) -> Result<[u8; 16], StoreError> {
        let [high, low] = self.tables()?.deposits.id();
        Ok((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }

    /// Puts a mark, in one atomic step: of all who race, in any process, one gets `Ok`. `at` is the time of the event itself (an
    /// authenticator's ctime with cusec), the same for all who claim `tag`; it decides where the mark lies.
    pub fn claim(&self, tag: &MarkTag, at: Timestamp) -> Result<Claimed, ClaimError> {
        self.tables()?.marks.claim(tag, at, &*self.clock)?;
        Ok(Claimed(()))
    }

    /// Makes a deposit: `value` is there for whoever knows `tag`, until it is taken or `expires`. A first one in a second
    /// sweeps what is expired.
    ///
    /// An error leaves nothing that could be taken. `tag` is to be fresh: that a deposit of its name is there is noticed, that one
    /// is made at the same moment is not.
    pub fn put(&self, tag: &Tag, value: &[u8], expires: Timestamp) -> Result<(), StoreError> {
        self.tables()?
            .deposits
            .put(tag, value, expires, self.clock.now())
    }

    /// Looks at a deposit without taking it. One that has [expired](Deposit::expires) can be seen until a put erases it, so that
    /// whoever looks can tell why it is not to be had; [`take`](Self::take) does not give it.
    pub fn peek(&self, tag: &Tag) -> Result<Option<Deposit>, StoreError> {
        self.tables()?.deposits.peek(tag)
    }

    /// Takes a deposit and erases it: of all who race, in any process, one gets `Ok`, after the value is erased.
    pub fn take(&self, tag: &Tag) -> Result<Taken, TakeError> {
        self.tables()?.deposits.take(tag, self.clock.now())?;
        Ok(Taken(()))
    }

    /// How often what happened.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let tables = self.tables()?;
        let [claimed, refused] = tables.marks.counts()?;
        let [put, taken, expired] = tables.deposits.counts()?;
        Ok(Counts {
            claimed,
            refused,
            put,
            taken,
            expired,
        })
    }

    fn tables(&self) -> Result<&Tables, StoreError> {
        match &self.backend {
            Backend::Memory(tables) => tables
                .as_ref()
                .map_err(|error| StoreError::Open(Arc::clone(error))),
            Backend::File { options, opened } => opened.tables(options, || self.clock.now()),
        }
    }
}
