//! Handshake tokens: the mechanism's frame, a token identifier and a Kerberos message (RFC 4121 §4.1).

use gss_core::framing;
use gss_core::oid::Oid;

use crate::error::Malformed;

/// A token of the handshake, by its identifier.
pub(crate) enum HandshakeToken<'a> {
    ApReq(&'a [u8]),
    ApRep(&'a [u8]),
    KrbError(&'a [u8]),
}

const AP_REQ: [u8; 2] = [1, 0];
const AP_REP: [u8; 2] = [2, 0];
const KRB_ERROR: [u8; 2] = [3, 0];

impl<'a> HandshakeToken<'a> {
    pub(crate) fn parse(token: &'a [u8]) -> Result<Self, Malformed> {
        let inner = framing::unframe(Oid::KRB5, token)?;
        let (id, message) = inner.split_first_chunk().ok_or(Malformed::Short)?;
        match *id {
            AP_REQ => Ok(Self::ApReq(message)),
            AP_REP => Ok(Self::ApRep(message)),
            KRB_ERROR => Ok(Self::KrbError(message)),
            _ => Err(Malformed::TokenId),
        }
    }

    pub(crate) fn to_token(&self) -> Vec<u8> {
        let (id, message) = match self {
            Self::ApReq(message) => (AP_REQ, *message),
            Self::ApRep(message) => (AP_REP, *message),
            Self::KrbError(message) => (KRB_ERROR, *message),
        };
        framing::frame(Oid::KRB5, &[&id, message].concat())
    }
}
