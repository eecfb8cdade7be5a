//! The exchanges of RFC 4120 §3 as machines without I/O.

pub mod ap;
pub mod as_exchange;
pub mod cred;
pub mod impersonation;
pub(crate) mod kdc_reply;
#[cfg(test)]
mod realms_for_tests;
pub mod service_ticket;
pub mod tgs;
pub mod transited;
