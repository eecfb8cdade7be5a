//! The headers of per-message tokens (RFC 4121 §4.2.6).

use crate::error::Malformed;
use crate::keys::Role;

/// A header's length.
pub(crate) const HEADER: usize = 16;

/// The flags octet (RFC 4121 §4.2.2). Bits that nobody defined are kept, because the checksum covers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenFlags(pub(crate) u8);

impl TokenFlags {
    pub(crate) const SENT_BY_ACCEPTOR: u8 = 1;
    pub(crate) const SEALED: u8 = 2;
    pub(crate) const ACCEPTOR_SUBKEY: u8 = 4;

    pub(crate) const fn sealed(self) -> Self {
        Self(self.0 | Self::SEALED)
    }

    pub(crate) const fn is_sealed(self) -> bool {
        self.0 & Self::SEALED != 0
    }

    pub(crate) const fn uses_acceptor_subkey(self) -> bool {
        self.0 & Self::ACCEPTOR_SUBKEY != 0
    }

    pub(crate) const fn sent_by(self) -> Role {
        if self.0 & Self::SENT_BY_ACCEPTOR != 0 {
            Role::Acceptor
        } else {
            Role::Initiator
        }
    }
}

/// The header of a Wrap token (RFC 4121 §4.2.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrapHeader {
    pub(crate) flags: TokenFlags,
    pub(crate) ec: u16,
    pub(crate) rrc: u16,
    pub(crate) seq: u64,
}

impl WrapHeader {
    const TOK_ID: [u8; 2] = [5, 4];
    const FILLER: u8 = 0xff;

    pub(crate) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..2].copy_from_slice(&Self::TOK_ID);
        bytes[2] = self.flags.0;
        bytes[3] = Self::FILLER;
        bytes[4..6].copy_from_slice(&self.ec.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.rrc.to_be_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    /// The header of `token` and what follows it.
    pub(crate) fn parse(token: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (header, body) = split(token, Self::TOK_ID)?;
        let [_, _, flags, filler, ec0, ec1, rrc0, rrc1, seq @ ..] = *header;
        if filler != Self::FILLER {
            return Err(Malformed::Filler);
        }
        let header = Self {
            flags: TokenFlags(flags),
            ec: u16::from_be_bytes([ec0, ec1]),
            rrc: u16::from_be_bytes([rrc0, rrc1]),
            seq: u64::from_be_bytes(seq),
        };
        Ok((header, body))
    }

    /// The header that a checksum covers (RFC 4121 §4.2.4): EC and RRC are zero in it.
    pub(crate) fn signed(self) -> [u8; HEADER] {
        Self {
            ec: 0,
            rrc: 0,
            ..self
        }
        .to_bytes()
    }

    /// Whether `copy`, which was decrypted, is this header, RRC aside: that may change on the way (RFC 4121 §4.2.5).
    pub(crate) fn matches(self, copy: &[u8]) -> bool {
        match Self::parse(copy) {
            Ok((copy, [])) => Self { rrc: 0, ..copy } == Self { rrc: 0, ..self },
            _ => false,
        }
    }
}

/// The header of a MIC token (RFC 4121 §4.2.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MicHeader {
    pub(crate) flags: TokenFlags,
    pub(crate) seq: u64,
}

impl MicHeader {
    const TOK_ID: [u8; 2] = [4, 4];
    const FILLER: [u8; 5] = [0xff; 5];

    pub(crate) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..2].copy_from_slice(&Self::TOK_ID);
        bytes[2] = self.flags.0;
        bytes[3..8].copy_from_slice(&Self::FILLER);
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    /// The header of `token` and the checksum that follows it.
    pub(crate) fn parse(token: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (header, checksum) = split(token, Self::TOK_ID)?;
        let [_, _, flags, f0, f1, f2, f3, f4, seq @ ..] = *header;
        if [f0, f1, f2, f3, f4] != Self::FILLER {
            return Err(Malformed::Filler);
        }
        let header = Self {
            flags: TokenFlags(flags),
            seq: u64::from_be_bytes(seq),
        };
        if header.flags.is_sealed() {
            return Err(Malformed::SealedMic);
        }
        Ok((header, checksum))
    }
}

fn split(token: &[u8], tok_id: [u8; 2]) -> Result<(&[u8; HEADER], &[u8]), Malformed> {
    let (header, body) = token.split_first_chunk().ok_or(Malformed::Short)?;
    if header[..2] != tok_id {
        return Err(Malformed::TokenId);
    }
    Ok((header, body))
}
