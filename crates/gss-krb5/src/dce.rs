//! The acceptor's last state in DCE style: it has answered, and waits for the initiator's own AP-REP (MS-KILE §3.4.5.1).

use std::sync::Arc;

use gss_core::error::Error as GssError;
use gss_core::host::Host;
use gss_core::mechanism::{Failure, HalfOpen, Handshake, Step};
use krb5::exchange::ap::{ApError, ThirdLeg};
use krb5_crypto::Key;
use wire::random::Random;

use crate::context::Established;
use crate::error::Error;
use crate::frame::{HandshakeToken, Style};

/// An acceptor whose context is made and which gives it to nobody before the initiator has answered.
pub(crate) struct ExpectThirdLeg {
    pub(crate) established: Established,
    pub(crate) session_key: Arc<Key>,
    pub(crate) random: Arc<dyn Random>,
}

impl Handshake for ExpectThirdLeg {
    /// Nobody waits for an error: the initiator's context is established.
    fn step(self: Box<Self>, token: &[u8], _: &Host<'_>) -> Result<Step, Failure> {
        self.verify(token).map_err(GssError::from)?;
        Ok(Step::Done {
            token: None,
            context: Box::new(self.established.open(self.random)),
        })
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        Some(self)
    }
}

impl ExpectThirdLeg {
    fn verify(&self, token: &[u8]) -> Result<(), Error> {
        let reply = match HandshakeToken::parse(Style::Bare, token)? {
            HandshakeToken::ApRep(reply) => reply,
            HandshakeToken::ApReq(_) | HandshakeToken::KrbError(_) => {
                return Err(ApError::MessageType.into());
            }
        };
        let expected = ThirdLeg {
            session_key: &self.session_key,
            // No message was sent yet, so the next number is still the 32 bits of our AP-REP.
            seq_number: self.established.next as u32,
        };
        Ok(expected.verify(reply)?)
    }
}
