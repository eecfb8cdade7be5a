//! Handshake tokens: the mechanism's frame, a token identifier and a Kerberos message (RFC 4121 §4.1); in DCE style the message
//! alone.

use gss_core::framing;
use gss_core::oid::Oid;

use crate::error::Malformed;

/// A token of the handshake, by its identifier.
pub(crate) enum HandshakeToken<'a> {
    ApReq(&'a [u8]),
    ApRep(&'a [u8]),
    KrbError(&'a [u8]),
}

/// How a handshake's tokens travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// In the mechanism's frame under this OID, after an identifier.
    Framed(Oid),
    /// As bare messages: DCE style.
    Bare,
}

impl Style {
    /// The frame of RFC 4121 §4.1.
    pub(crate) const FRAMED: Self = Self::Framed(Oid::KRB5);

    /// The style of a first token: a bare one begins with the tag of an AP-REQ, a framed one with that of a frame. Old peers frame
    /// under another OID, and are answered in kind, as MIT's acceptor does it.
    pub(crate) fn of(request: &[u8]) -> Self {
        if request.first() == Some(&BARE_AP_REQ) {
            return Self::Bare;
        }
        let framed = framing::open(request);
        let mut aliases = [Oid::KRB5_MICROSOFT, Oid::KRB5_DRAFT].into_iter();
        aliases
            .find(|alias| framed.is_some_and(|(oid, _)| alias.bytes() == oid))
            .map_or(Self::FRAMED, Self::Framed)
    }
}

/// The tags of bare messages (RFC 4120 §5.10).
const BARE_AP_REQ: u8 = 0x6e;
const BARE_AP_REP: u8 = 0x6f;
const BARE_KRB_ERROR: u8 = 0x7e;

const AP_REQ: [u8; 2] = [1, 0];
const AP_REP: [u8; 2] = [2, 0];
const KRB_ERROR: [u8; 2] = [3, 0];

impl<'a> HandshakeToken<'a> {
    pub(crate) fn parse(style: Style, token: &'a [u8]) -> Result<Self, Malformed> {
        match (style, token.first()) {
            (Style::Bare, Some(&BARE_AP_REQ)) => Ok(Self::ApReq(token)),
            (Style::Bare, Some(&BARE_AP_REP)) => Ok(Self::ApRep(token)),
            (Style::Bare, Some(&BARE_KRB_ERROR)) => Ok(Self::KrbError(token)),
            (Style::Bare, _) => match Self::framed(Oid::KRB5, token)? {
                // MIT's and Heimdal's acceptors frame their errors in this style too.
                error @ Self::KrbError(_) => Ok(error),
                Self::ApReq(_) | Self::ApRep(_) => Err(Malformed::TokenId),
            },
            (Style::Framed(oid), _) => Self::framed(oid, token),
        }
    }

    fn framed(oid: Oid, token: &'a [u8]) -> Result<Self, Malformed> {
        let inner = framing::unframe(oid, token)?;
        let (id, message) = inner.split_first_chunk().ok_or(Malformed::Short)?;
        match *id {
            AP_REQ => Ok(Self::ApReq(message)),
            AP_REP => Ok(Self::ApRep(message)),
            KRB_ERROR => Ok(Self::KrbError(message)),
            _ => Err(Malformed::TokenId),
        }
    }

    pub(crate) fn to_token(&self, style: Style) -> Vec<u8> {
        let (id, message) = match self {
            Self::ApReq(message) => (AP_REQ, *message),
            Self::ApRep(message) => (AP_REP, *message),
            Self::KrbError(message) => (KRB_ERROR, *message),
        };
        match style {
            Style::Framed(oid) => framing::frame_parts(oid, &[&id, message]),
            Style::Bare => message.to_vec(),
        }
    }
}
