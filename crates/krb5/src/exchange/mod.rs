//! The exchanges of RFC 4120 §3 as machines without I/O.

pub mod ap;
pub mod as_exchange;
mod kdc_reply;
pub mod tgs;
pub mod transited;
