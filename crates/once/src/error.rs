//! Why the store could not answer: one variant a rule, with the path and what to do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A directory or file belongs to someone else.
    #[error(
        "{path}: belongs to uid {owner}, not to uid {user}: have its owner or root remove it, or configure another directory"
    )]
    Owner {
        /// What was looked at.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Others than the owner may get in.
    #[error(
        "{path}: mode is {mode:04o}, must be {wanted:04o}: it may have been read or written by others; remove it"
    )]
    Mode {
        /// What was looked at.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they must be.
        wanted: u32,
    },
    /// The file has a second name, or none.
    #[error("{path}: has {links} names instead of one: find out who linked it, then remove it")]
    Links {
        /// The file.
        path: PathBuf,
        /// Its link count.
        links: u64,
    },
    /// A symbolic link, or another kind of object than a directory or file.
    #[error(
        "{path}: is not a {wanted} itself (links are not followed): remove it, or configure another directory"
    )]
    Kind {
        /// What was looked at.
        path: PathBuf,
        /// "directory" or "regular file".
        wanted: &'static str,
    },
    /// A network or FUSE file system, whose maps are not shared by all who open them.
    #[error(
        "{path}: lies on {name}, where a shared map cannot be relied on: configure a directory on a local file system"
    )]
    FileSystem {
        /// The directory.
        path: PathBuf,
        /// The file system.
        name: &'static str,
    },
    /// Deposits hold one-time keys, which a disk would keep after they are erased.
    #[error(
        "{path}: lies on a disk, which would keep erased keys: configure a directory on tmpfs, or allow deposits on disk"
    )]
    OnDisk {
        /// The directory.
        path: PathBuf,
    },
    /// Creating the file would be answered by a deadly signal.
    #[error(
        "{path}: needs {needed} bytes, and RLIMIT_FSIZE allows {limit}: raise the limit, or create the store as a process without it"
    )]
    FileSizeLimit {
        /// The file.
        path: PathBuf,
        /// Its size.
        needed: u64,
        /// The process's limit.
        limit: u64,
    },
    /// The file system has no room for the store.
    #[error(
        "{path}: no room for {needed} bytes: free space there, or configure another directory or a smaller store"
    )]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// Its size.
        needed: u64,
    },
    /// The file is shorter or longer than its header says.
    #[error("{path}: has {found} bytes instead of {wanted}: stop its users and remove it")]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// What it must be.
        wanted: u64,
    },
    /// The header is not one of ours, or damaged.
    #[error(
        "{path}: its header is damaged or of another version ({what}): stop its users and remove it"
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// Which part of the header.
        what: &'static str,
    },
    /// The store was made for a smaller clock skew than this process allows.
    #[error(
        "{path}: made for a clock skew of {made_for:?}, and this process allows {wanted:?}: stop its users and remove it, or lower the skew"
    )]
    Skew {
        /// The file.
        path: PathBuf,
        /// The header's greatest skew.
        made_for: Duration,
        /// This process's.
        wanted: Duration,
    },
    /// No store remembers for so long.
    #[error("a clock skew of {wanted:?} is more than a store is made for, {greatest:?}: lower it")]
    SkewTooGreat {
        /// This process's.
        wanted: Duration,
        /// The most.
        greatest: Duration,
    },
    /// A segment of the marks is gone though the first one says it was made.
    #[error(
        "{path}: is missing, and with it marks: stop the store's users and remove its directory"
    )]
    SegmentMissing {
        /// The file.
        path: PathBuf,
    },
    /// The kernel's random number source did not answer.
    #[error("no randomness from the kernel: {0}")]
    Random(getrandom::Error),
    /// Anything else that the system said.
    #[error("{path}: cannot {doing}: {source}: put that right, or configure another directory")]
    System {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Every place where the entry may lie is taken by a live one.
    #[error("{place}: the table is full: let entries expire, or configure a larger store")]
    Full {
        /// Which table.
        place: String,
    },
    /// A value longer than [`MAX_VALUE`](crate::MAX_VALUE).
    #[error("a value of {len} bytes is longer than a slot")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// A deposit that is past its time already.
    #[error("the deposit expires before it is made")]
    Expired,
    /// A deposit of this tag is there. Tags are random: this one was used twice.
    #[error("a deposit of this tag is there already")]
    AlreadyThere,
    /// This process was stopped for so long that others took its slots away, more often than it tries.
    #[error("{place}: stalled while filling, several times over: try again")]
    Stalled {
        /// Which table.
        place: String,
    },
    /// The map's name is gone or is another file's now: others no longer see what this process would write.
    #[error(
        "{path}: was removed or replaced while in use: restart the processes of this user that use it"
    )]
    Unlinked {
        /// The file.
        path: PathBuf,
    },
    /// A slot holds what no process of ours writes.
    #[error("{place}: a slot is damaged ({what}): stop its users and remove it")]
    Corrupt {
        /// Which table.
        place: String,
        /// What was wrong.
        what: &'static str,
    },
    /// A store in memory, used in a child of the process that made it: the two would not see each other's entries.
    #[error(
        "the store in memory belongs to the parent process: open a store of your own, or one in a file"
    )]
    Forked,
    /// The store had to be opened anew (after `fork`, or to grow), and was not.
    #[error(transparent)]
    Open(#[from] Arc<OpenError>),
}

/// No [`Claimed`](crate::Claimed): the request must be refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Somebody was first.
    #[error("seen before")]
    AlreadyClaimed,
    /// Its bucket is retired: whether it was seen is not known any more.
    #[error("too old for the store to tell whether it was seen before")]
    TooOld,
    /// Further ahead than the greatest clock skew.
    #[error("from too far in the future")]
    TooNew,
    /// Older than the store, which is strict about that.
    #[error("older than the store, which was made after the last boot and is strict")]
    BeforeStore,
    /// Timely by the clock of now, but the clock was further ahead when these marks were retired.
    #[error(
        "{place}: the clock was set back by more than the store can bridge: wait until it has caught up, or stop the store's users and remove it"
    )]
    ClockSetBack {
        /// Which table.
        place: String,
    },
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// No [`Taken`](crate::Taken): the deposit must not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// It was there, and its time is over. It has been erased.
    #[error("expired")]
    Expired,
    /// Never there, taken by another, or expired and erased since.
    #[error("not there: taken, expired, or never made")]
    NotThere,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
