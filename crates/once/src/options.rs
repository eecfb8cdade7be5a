//! How large a store is, how long it remembers, and where it lies.

use std::path::PathBuf;
use std::time::Duration;

/// What `replay_after_reset` says: whether a store that starts empty, after a boot, trusts what is older than itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplayAfterReset {
    /// Marks from before the reset are gone, and an authenticator of that time is accepted once more.
    #[default]
    Allow,
    /// An authenticator that is older than the store is refused.
    Strict,
}

/// Sizes and times of a store. All processes that share a file take sizes and skew from whoever made it; how far the marks may grow
/// and whether the store is strict are each process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The greatest clock skew that any user of the store allows; a mark is kept for at least twice as long.
    pub clock_skew: Duration,
    /// Places for marks in each of the four buckets of the first segment; rounded up to a power of two.
    pub marks: usize,
    /// How many segments the marks may grow to, each twice as large as the one before.
    pub mark_segments: usize,
    /// Places for deposits; rounded up to a power of two.
    pub deposits: usize,
    /// Whether authenticators older than the store are refused.
    pub replay_after_reset: ReplayAfterReset,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clock_skew: Duration::from_secs(300),
            marks: 1 << 16,
            mark_segments: 8,
            deposits: 1 << 12,
            replay_after_reset: ReplayAfterReset::Allow,
        }
    }
}

/// Where the store's files lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// The directory; `None` is `/run/baton/UID` where it exists, else `/dev/shm/baton-UID`, by effective uid.
    pub directory: Option<PathBuf>,
    /// Sizes and times.
    pub limits: Limits,
    /// Allows deposits outside tmpfs, where erased one-time keys may stay on a disk.
    pub deposits_on_disk: bool,
}
