//! The half of a context that verifies what the peer sent.

use gss_core::mechanism::Unwrapped;
use gss_core::sequence::{Order, SequenceWindow};
use zeroize::Zeroize;

use crate::error::{Error, Malformed, PeerMisbehaved};
use crate::keys::{Direction, Role};
use crate::token::{HEADER, MicHeader, TokenFlags, WrapHeader};

/// A direction for each key that the peer may use, and the window of its sequence numbers.
pub(crate) struct Receiver {
    pub(crate) plain: Direction,
    pub(crate) acceptor_subkey: Option<Direction>,
    pub(crate) peer: Role,
    pub(crate) window: SequenceWindow,
    /// In DCE style Windows, and after it Heimdal, rotate sealed tokens by EC + RRC, and say RRC.
    pub(crate) dce_style: bool,
}

impl Receiver {
    /// Appends the message of a Wrap token to `out`, which is left as it was on an error.
    pub(crate) fn unwrap(&mut self, token: &[u8], out: &mut Vec<u8>) -> Result<Unwrapped, Error> {
        let (header, body) = WrapHeader::parse(token)?;
        let direction = self.direction(header.flags)?;
        let start = out.len();
        put_unrotated(body, self.rotation(header), out);
        let opened = if header.flags.is_sealed() {
            open(direction, header, &mut out[start..])
        } else {
            verify(direction, header, &out[start..])
        };
        match opened {
            Ok(length) => out.truncate(start + length),
            Err(error) => {
                out[start..].zeroize();
                out.truncate(start);
                return Err(error);
            }
        }
        Ok(Unwrapped {
            order: self.window.note(header.seq),
            confidential: header.flags.is_sealed(),
        })
    }

    fn rotation(&self, header: WrapHeader) -> usize {
        let extra = match self.dce_style && header.flags.is_sealed() {
            true => header.ec,
            false => 0,
        };
        usize::from(header.rrc) + usize::from(extra)
    }

    /// Verifies a MIC token for `message`.
    pub(crate) fn verify_mic(&mut self, message: &[u8], token: &[u8]) -> Result<Order, Error> {
        let (header, checksum) = MicHeader::parse(token)?;
        let direction = self.direction(header.flags)?;
        direction
            .mic()
            .verify(&[message, &header.to_bytes()], checksum)
            .map_err(|_| PeerMisbehaved::Integrity)?;
        Ok(self.window.note(header.seq))
    }

    /// The keys that the token's own flags name (RFC 4121 §4.2.2).
    fn direction(&self, flags: TokenFlags) -> Result<&Direction, PeerMisbehaved> {
        if flags.sent_by() != self.peer {
            return Err(PeerMisbehaved::Reflected);
        }
        if !flags.uses_acceptor_subkey() {
            return Ok(&self.plain);
        }
        let subkey = self.acceptor_subkey.as_ref();
        subkey.ok_or(PeerMisbehaved::NoAcceptorSubkey)
    }
}

/// Appends `body` rotated back to the left (RFC 4121 §4.2.5). RRC may be any number: Windows sends 28 whatever the length.
fn put_unrotated(body: &[u8], rotation: usize, out: &mut Vec<u8>) {
    let (moved, rest) = body.split_at(rotation.checked_rem(body.len()).unwrap_or(0));
    out.reserve(body.len());
    out.extend_from_slice(rest);
    out.extend_from_slice(moved);
}

/// Decrypts `body`, moves the message to its front and gives the message's length.
fn open(direction: &Direction, header: WrapHeader, body: &mut [u8]) -> Result<usize, Error> {
    let plaintext =
        (direction.seal().open_in_place(body)).map_err(|_| PeerMisbehaved::Integrity)?;
    let (rest, copy) = (plaintext.len().checked_sub(HEADER))
        .map(|length| plaintext.split_at(length))
        .ok_or(PeerMisbehaved::HeaderCopy)?;
    if !header.matches(copy) {
        return Err(PeerMisbehaved::HeaderCopy.into());
    }
    let length = (rest.len().checked_sub(usize::from(header.ec))).ok_or(Malformed::ExtraCount)?;
    let confounder = direction.confounder;
    body.copy_within(confounder..confounder + length, 0);
    Ok(length)
}

/// Verifies `message | checksum` and gives the message's length.
fn verify(direction: &Direction, header: WrapHeader, body: &[u8]) -> Result<usize, Error> {
    if usize::from(header.ec) != direction.checksum {
        return Err(Malformed::ExtraCount.into());
    }
    let length = (body.len().checked_sub(direction.checksum)).ok_or(Malformed::Short)?;
    let (message, checksum) = body.split_at(length);
    direction
        .wrap_mac()
        .verify(&[message, &header.signed()], checksum)
        .map_err(|_| PeerMisbehaved::Integrity)?;
    Ok(length)
}
