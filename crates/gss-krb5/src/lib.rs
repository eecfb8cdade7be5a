//! The Kerberos 5 mechanism of GSS-API (RFC 4121, OID 1.2.840.113554.1.2.2).
//!
//! [`initiate`] and [`Acceptor`] run the handshake and end with a [`Context`], which wraps, unwraps, signs and verifies.
//! A context's state can be [saved](gss_core::mechanism::SecurityContext::save) and read again by [`Krb5`], whose
//! `Dormant` becomes a context for whoever took its one deposit. A handshake that waits can be
//! [saved](gss_core::mechanism::HalfOpen) too: an [`Acceptor`] goes on with what another began, and an [`InitiatorResume`].
//!
//! The exchange itself (RFC 4120 §3.2) is `krb5::exchange::ap`; what is here is what RFC 4121 adds: flags and channel
//! bindings in the authenticator's checksum, what a ticket says of its client ([attributes](composite)), the choice of keys and
//! the tokens of each message, which under keys of Triple DES and RC4 are the older ones of RFC 1964 and RFC 4757.
#![forbid(unsafe_code)]

mod accept;
mod attributes;
mod authenticator_data;
mod checksum;
mod context;
mod ctime;
mod dce;
mod error;
mod frame;
mod half_open;
mod initiate;
mod inquire;
mod iov;
mod keys;
mod layout;
pub mod minor;
mod names;
mod older;
mod prf;
mod receiver;
mod sender;
mod state;
mod token;

pub use accept::{AcceptOptions, Acceptor, AcceptorCred};
pub use attributes::composite;
pub use context::Context;
pub use ctime::AuthenticatorTimes;
pub use error::{Error, Local, Malformed, PeerMisbehaved};
pub use gss_core::mechanism::PrfKey;
pub use half_open::InitiatorResume;
pub use initiate::{InitOptions, ServiceTicket, initiate};
pub use names::{NAME_TYPES, display, mech_name};
pub use prf::MAX_PSEUDO_RANDOM;
pub use state::Krb5;

#[cfg(test)]
mod tests;
