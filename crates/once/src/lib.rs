//! The once-store: has this happened before, in any process?
//!
//! Two questions have this shape: *was this authenticator seen* (a [mark](OnceStore::claim)), and *was this context already taken
//! over* (a [deposit](OnceStore::put), [looked at](OnceStore::peek) and [taken](OnceStore::take)). The answers are exact between
//! threads and processes, whichever of them are killed or stopped and when, and a store that cannot answer says so: no
//! error is ever a yes. `docs/once-store.md` has the layout and the reasons.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use once::{ClaimError, MarkTag, OnceStore};
//! use std::sync::Arc;
//! use wire::time::Timestamp;
//!
//! let now = || Timestamp::from_seconds(1_800_000_000);
//! let store = OnceStore::memory(Arc::new(now));
//! let tag = MarkTag::of(&[b"all that makes", b"this authenticator this one"]);
//! let _claimed = store.claim(&tag, now())?;
//! assert!(matches!(store.claim(&tag, now()), Err(ClaimError::AlreadyClaimed)));
//! # Ok(())
//! # }
//! ```
//!
//! A third question is that of `fork`, which copies what should be there once: a [`ForkMark`] is shared by all copies, and tells
//! them that one of them has gone.
//!
//! In layers, of which each knows those before it: `table` (the atomic steps, as the model checker sees them), `map` (the shared
//! map, and all `unsafe`), `place` and `file` (where the files lie, their checks, their making), `memory`, then `marks` and
//! `deposits` (time and hashing), and here what they are for.
#![deny(unsafe_code)]

mod atomic;
#[cfg(loom)]
pub mod table;
#[cfg(not(loom))]
#[allow(unreachable_pub, reason = "public for the model checker")]
mod table;

#[cfg(not(loom))]
mod deposits;
#[cfg(not(loom))]
mod descriptor;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod file;
#[cfg(not(loom))]
mod fork_mark;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod map;
#[cfg(not(loom))]
mod marks;
#[cfg(not(loom))]
mod memory;
#[cfg(not(loom))]
mod opened;
#[cfg(not(loom))]
mod options;
#[cfg(not(loom))]
mod place;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod store;
#[cfg(not(loom))]
mod tag;

#[cfg(not(loom))]
pub use error::{ClaimError, OpenError, StoreError, TakeError};
#[cfg(not(loom))]
pub use fork_mark::{ForkMark, Gone, Leaving};
#[cfg(not(loom))]
pub use map::forks;
#[cfg(not(loom))]
pub use options::{FileOptions, Limits, ReplayAfterReset};
#[cfg(not(loom))]
pub use store::{Claimed, Counts, Deposit, MAX_VALUE, OnceStore, Taken};
#[cfg(not(loom))]
pub use tag::{MarkTag, Tag};
