//! The exchanges of RFC 4120 §3 as machines without I/O.

pub mod ap;
pub mod as_exchange;
pub mod tgs;
pub mod transited;
