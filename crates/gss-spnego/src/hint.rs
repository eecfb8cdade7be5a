//! What an acceptor that speaks first says it has (NegTokenInit2, MS-SPNG §2.2.1).

use gss_core::framing;
use gss_core::oid::Oid;

use crate::error::{Error, PeerMisbehaved};
use crate::list::MechList;
use crate::messages::NegotiationToken;

/// The list of an acceptor that speaks first.
///
/// Nothing protects it: the MICs are of the initiator's list. So it changes neither what is offered nor the order, or whoever alters it
/// could choose the mechanism; an initiator only leaves its favourite's token out where the acceptor does not have that.
#[derive(Debug)]
pub struct Hint(MechList);

impl Hint {
    /// Reads the acceptor's first message. A hint at its name says nothing (MS-SPNG §2.2.1), and a token for nobody is not looked
    /// at.
    pub fn read(token: &[u8]) -> Result<Self, Error> {
        let inner = framing::unframe(Oid::SPNEGO, token)?;
        let list = match NegotiationToken::decode(inner)? {
            NegotiationToken::Init(init) => init.mech_types,
            NegotiationToken::Init2(init) => init.mech_types.ok_or(PeerMisbehaved::NoMechTypes)?,
            NegotiationToken::Resp(_) => return Err(PeerMisbehaved::RespNotExpected.into()),
        };
        Ok(Self(MechList::received(list)))
    }

    /// Whether the acceptor says that it has `mechanism`.
    pub fn has(&self, mechanism: Oid) -> bool {
        self.0.as_types().iter().any(|mech| mech.means(mechanism))
    }
}
