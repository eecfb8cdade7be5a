//! RFC 4178 (SPNEGO): agrees on one mechanism among those it is handed, and protects that choice.
//!
//! It holds no key and reads no credential: the inner [`Handshake`](gss_core::mechanism::Handshake) does the work, and its
//! context is what the caller gets, with SPNEGO out of the way. An [`Initiator`] is handed [`Offer`]s, an [`Acceptor`]
//! [`Choice`]s; both are told which mechanism by its OID alone.
//!
//! The list of mechanisms is protected by MICs (RFC 4178 §5) wherever somebody on the way could have changed the outcome. They may
//! only be missing where the initiator's first mechanism was chosen and neither side asked for them, which is what Windows does.
//! A handshake is not a context, so nobody can use a half-negotiated one.
//!
//! A negotiation that waits can be saved where its mechanism can: an [`AcceptorResume`] goes on with what another acceptor began, an
//! [`InitiatorResume`] with what an initiator did.
//!
//! Left out: RFC 2478's unprotected choice, because an attacker could then pick the mechanism; fragments (MS-SPNG §3.1.5.6); NegoEx.
#![forbid(unsafe_code)]

mod accept;
mod error;
mod half_open;
mod hint;
mod initiate;
mod list;
pub mod messages;

pub use accept::{Acceptor, Choice};
pub use error::{Error, Local, Malformed, PeerMisbehaved};
pub use half_open::{AcceptorResume, InitiatorResume, Reader};
pub use hint::Hint;
pub use initiate::{Initiator, Offer};

#[cfg(test)]
mod tests;
