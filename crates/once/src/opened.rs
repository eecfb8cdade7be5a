//! A store as one process has it open, and anew in a child.

use std::sync::{Arc, OnceLock};

use wire::time::Timestamp;

use crate::deposits::Deposits;
use crate::error::{OpenError, StoreError};
use crate::marks::Marks;
use crate::options::{FileOptions, Limits};
use crate::place::Directory;
use crate::region::Ground;

/// Both tables.
pub(crate) struct Tables {
    pub(crate) marks: Marks,
    pub(crate) deposits: Deposits,
}

impl Tables {
    pub(crate) fn in_memory(limits: &Limits, now: Timestamp) -> Result<Self, OpenError> {
        Self::open(&Ground::Memory, limits, false, now)
    }

    fn in_directory(options: &FileOptions, now: Timestamp) -> Result<Self, OpenError> {
        let ground = Ground::Directory(Arc::new(Directory::open(options)?));
        Self::open(&ground, &options.limits, options.deposits_on_disk, now)
    }

    fn open(
        ground: &Ground,
        limits: &Limits,
        on_disk: bool,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let deposits = Deposits::open(ground, limits, on_disk, now)?;
        Ok(Self {
            marks: Marks::open(ground, limits, now)?,
            deposits,
        })
    }

    fn forked(&self) -> bool {
        self.marks.forked() || self.deposits.forked()
    }
}

/// The tables of a directory, opened by this process, or by the one that it is a child of and then by itself, and so on.
///
/// A chain without a lock: one that another thread holds at the moment of a `fork` would stay locked in the child.
pub(crate) struct Opened {
    tables: Tables,
    in_child: OnceLock<Box<Opened>>,
}

impl Opened {
    pub(crate) fn new(options: &FileOptions, now: Timestamp) -> Result<Self, OpenError> {
        Ok(Self {
            tables: Tables::in_directory(options, now)?,
            in_child: OnceLock::new(),
        })
    }

    /// This process's own, opened as the user that it is now if it has none yet.
    pub(crate) fn tables(
        &self,
        options: &FileOptions,
        now: impl Fn() -> Timestamp,
    ) -> Result<&Tables, StoreError> {
        let mut opened = self;
        while opened.tables.forked() {
            match opened.in_child.get() {
                Some(next) => opened = next,
                None => {
                    let own = Self::new(options, now()).map_err(Arc::new)?;
                    let _ = opened.in_child.set(Box::new(own));
                }
            }
        }
        Ok(&opened.tables)
    }
}
