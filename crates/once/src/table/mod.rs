//! The atomic steps, over words wherever they lie: no time, no files, no hashing.
//!
//! Both tables must stay right when any process is stopped at any instruction, for any time, or for ever.

pub mod deposits;
pub mod marks;
