//! Bytes in, types out: what every layer above reads and writes with.
//!
//! A bounded [reader](read), strict [DER](der), versioned [field tables](fields), and the two facts of the outside world that
//! protocol code is handed instead of asking for them: the [time] and [randomness](random). Text of a peer's is [shown]
//! so that it can do no harm. No dependencies, no I/O.
#![forbid(unsafe_code)]

pub mod der;
pub mod fields;
pub mod random;
pub mod read;
pub mod shown;
pub mod time;
