//! What the tests share: a clock that is set by hand, a directory on tmpfs, and names for entries.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use once::{FileOptions, Limits, MarkTag, OnceStore, OpenError, Tag};
use tempfile::TempDir;
use wire::time::{Clock, Timestamp};

/// Seconds: the begin of a bucket of any length up to an hour.
pub(crate) const START: i64 = 1_800_000_000;

#[derive(Clone)]
pub(crate) struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    pub(crate) fn new(seconds: i64) -> Self {
        Self(Arc::new(AtomicI64::new(seconds)))
    }

    pub(crate) fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        seconds(self.0.load(Ordering::SeqCst))
    }
}

/// A store's directory on tmpfs, gone when dropped.
pub(crate) struct Home {
    parent: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            parent: tempfile::tempdir_in("/dev/shm").unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.parent.path().join("store")
    }

    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.parent.path().join(name)
    }

    pub(crate) fn options(&self) -> FileOptions {
        options(
            &self.path(),
            &Limits {
                marks: 256,
                deposits: 64,
                ..Limits::default()
            },
        )
    }

    pub(crate) fn open(&self, clock: &ManualClock) -> Result<OnceStore, OpenError> {
        OnceStore::file(&self.options(), Arc::new(clock.clone()))
    }

    pub(crate) fn open_with(
        &self,
        limits: &Limits,
        clock: &ManualClock,
    ) -> Result<OnceStore, OpenError> {
        OnceStore::file(&options(&self.path(), limits), Arc::new(clock.clone()))
    }
}

pub(crate) fn options(directory: &Path, limits: &Limits) -> FileOptions {
    FileOptions {
        directory: Some(directory.into()),
        limits: *limits,
        ..FileOptions::default()
    }
}

pub(crate) fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn mark(number: u64) -> MarkTag {
    MarkTag::of(&[&number.to_be_bytes()])
}

pub(crate) fn tag(number: u64) -> Tag {
    Tag::from_bytes((u128::from(number) << 64 | 1).to_be_bytes())
}
