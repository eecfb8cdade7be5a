//! The half of a context that verifies what the peer sent.

use std::ops::Range;
use std::sync::Mutex;

use gss_core::mechanism::Unwrapped;
use gss_core::message::{Batched, BufferKind, IoVec, at_most_one, the_one, with_list};
use gss_core::sequence::{Order, SequenceWindow};
use krb5_crypto::Piece;
use zeroize::Zeroize;

use crate::error::{Error, Local, Malformed, PeerMisbehaved};
use crate::iov::{Ends, add_pieces, add_signed, check_kinds, exactly, wipe_data};
use crate::keys::{Direction, Role};
use crate::layout::Layout;
use crate::token::{HEADER, MicHeader, TokenFlags, WrapHeader};

/// A direction for each key that the peer may use, and the window of its sequence numbers, which is locked for as long as
/// a number of a verified token is noted and not while it is verified.
pub(crate) struct Receiver {
    pub(crate) plain: Direction,
    pub(crate) acceptor_subkey: Option<Direction>,
    pub(crate) peer: Role,
    pub(crate) dce: bool,
    pub(crate) window: Mutex<SequenceWindow>,
}

impl Receiver {
    /// Appends the message of a Wrap token to `out`, which is left as it was on an error.
    pub(crate) fn unwrap(&self, token: &[u8], out: &mut Vec<u8>) -> Result<Unwrapped, Error> {
        let start = out.len();
        if let Some(older) = self.older(token) {
            out.extend_from_slice(token);
            let opened = self.older_in_place(older, &[], &mut out[start..]);
            return self.keep(opened, start, out);
        }
        let (header, body) = WrapHeader::parse(token)?;
        let direction = self.direction(header.flags)?;
        let (moved, rest) = body.split_at(self.rotation(header, body.len()));
        out.reserve(body.len());
        out.extend_from_slice(rest);
        out.extend_from_slice(moved);
        let opened = open(direction, header, &[], &mut out[start..])
            .and_then(|data| Ok((data, self.note(header.seq, header.flags.is_sealed())?)));
        self.keep(opened, start, out)
    }

    /// The same for each token of a batch. The encrypted ones are opened together; their numbers are noted in the batch's order.
    pub(crate) fn unwrap_many(&self, batch: &mut [Batched<'_>]) -> Vec<Result<Unwrapped, Error>> {
        let starts: Vec<_> = batch.iter().map(|each| each.output.len()).collect();
        let mut headers = Vec::with_capacity(batch.len());
        let mut opening = Vec::with_capacity(batch.len());
        for Batched { input, output } in &mut *batch {
            let begun = self.begin(input, output);
            headers.push(
                begun
                    .as_ref()
                    .map(|(header, direction, _)| (*header, *direction)),
            );
            opening.extend(
                begun.map(|(_, direction, body)| krb5_crypto::Batched::new(direction.seal(), body)),
            );
        }
        krb5_crypto::open_many(&mut opening);
        let outcomes: Vec<_> = opening.iter().map(krb5_crypto::Batched::outcome).collect();
        let mut outcomes = outcomes.into_iter();
        let each = batch.iter_mut().zip(headers).zip(starts);
        each.map(|((Batched { input, output }, begun), start)| {
            let Some((header, direction)) = begun else {
                return self.unwrap(input, output);
            };
            let authentic = outcomes.next().is_some_and(|outcome| outcome.is_ok());
            let opened = authentic.then_some(()).ok_or(PeerMisbehaved::Integrity);
            let opened = opened.map_err(Error::from).and_then(|()| {
                let body = output.len() - start - direction.checksum;
                let data = opened_data(direction, header, &output[start..][..body])?;
                Ok((data, self.note(header.seq, true)?))
            });
            self.keep(opened, start, output)
        })
        .collect()
    }

    /// Appends the body of a sealed token to `out`, not rotated any more. `None` for a token that is not one.
    fn begin<'o>(
        &self,
        token: &[u8],
        out: &'o mut Vec<u8>,
    ) -> Option<(WrapHeader, &Direction, &'o mut [u8])> {
        if self.older(token).is_some() {
            return None;
        }
        let (header, body) = WrapHeader::parse(token).ok()?;
        let direction = self.direction(header.flags).ok()?;
        if !header.flags.is_sealed() || body.len() < direction.checksum {
            return None;
        }
        let (moved, rest) = body.split_at(self.rotation(header, body.len()));
        let start = out.len();
        out.reserve(body.len());
        out.extend_from_slice(rest);
        out.extend_from_slice(moved);
        Some((header, direction, &mut out[start..]))
    }

    /// Leaves of what is behind `start` the message, or nothing.
    fn keep(
        &self,
        opened: Result<(Range<usize>, Unwrapped), Error>,
        start: usize,
        out: &mut Vec<u8>,
    ) -> Result<Unwrapped, Error> {
        match opened {
            Ok((data, unwrapped)) => {
                let length = data.len();
                out[start..].copy_within(data, 0);
                out.truncate(start + length);
                Ok(unwrapped)
            }
            Err(error) => {
                out[start..].zeroize();
                out.truncate(start);
                Err(error)
            }
        }
    }

    /// Opens a Wrap token where it lies; the place of its message.
    pub(crate) fn unwrap_in_place(
        &self,
        associated: &[u8],
        token: &mut [u8],
    ) -> Result<(Range<usize>, Unwrapped), Error> {
        if let Some(older) = self.older(token) {
            return self.older_in_place(older, associated, token);
        }
        let (header, body) = WrapHeader::parse(token)?;
        let direction = self.direction(header.flags)?;
        let by = self.rotation(header, body.len());
        let body = &mut token[HEADER..];
        body.rotate_left(by);
        match open(direction, header, associated, body) {
            Ok(data) => {
                let data = HEADER + data.start..HEADER + data.end;
                Ok((data, self.note(header.seq, header.flags.is_sealed())?))
            }
            Err(error) => {
                body.zeroize();
                Err(error)
            }
        }
    }

    /// By how much a body is rotated to the right (RFC 4121 §4.2.5). RRC may be any number: Windows sends 28 whatever the
    /// length. With DCE style it rotates by EC and RRC together, and so does Heimdal.
    fn rotation(&self, header: WrapHeader, length: usize) -> usize {
        let more = if self.dce && header.flags.is_sealed() {
            header.ec
        } else {
            0
        };
        let by = usize::from(header.rrc) + usize::from(more);
        by.checked_rem(length).unwrap_or(0)
    }

    /// Opens a Wrap token whose parts have buffers of their own.
    pub(crate) fn unwrap_iov(&self, iov: &mut [IoVec<'_>]) -> Result<Unwrapped, Error> {
        check_kinds(iov, &[BufferKind::MicToken])?;
        if let Some(stream) = at_most_one(iov, BufferKind::Stream)? {
            return match self.older(iov[stream].bytes()) {
                Some(older) => self.older_stream(older, stream, iov),
                None => self.unwrap_stream(stream, iov),
            };
        }
        let header = the_one(iov, BufferKind::Header)?;
        if let Some(older) = self.older(iov[header].bytes()) {
            return self.older_iov(older, iov);
        }
        if let Some(at) = at_most_one(iov, BufferKind::Padding)? {
            exactly(BufferKind::Padding, iov[at].bytes().len(), 0)?;
        }
        let ends = Ends::take(iov)?;
        let header = WrapHeader::parse(ends.header).map(|(header, _)| header);
        let opened = header.map_err(Error::from).and_then(|header| {
            let trailer = ends.has_trailer();
            self.open_parts(header, ends.header, ends.trailer, trailer, iov)
        });
        ends.put_back(iov);
        opened
    }

    /// The same where all but what is sign-only is in one buffer. The message stays in it, and the data buffer becomes the
    /// part that it is.
    fn unwrap_stream(&self, stream: usize, iov: &mut [IoVec<'_>]) -> Result<Unwrapped, Error> {
        let unexpected = [BufferKind::Header, BufferKind::Padding, BufferKind::Trailer];
        check_kinds(iov, &unexpected)?;
        let at = the_one(iov, BufferKind::Data)?;
        let token = (iov[stream].buffer_mut()).map_or(&mut [][..], std::mem::take);
        let (header, before, end) = match self.stream_parts(token) {
            Ok(parts) => parts,
            Err(error) => {
                iov[stream] = IoVec::Stream(token);
                return Err(error);
            }
        };
        let (token, trailer) = token.split_at_mut(end);
        let (front, data) = token.split_at_mut(before);
        iov[at] = IoVec::Data(data);
        let opened = self.open_parts(header, front, trailer, true, iov);
        iov[stream] = IoVec::Stream(front);
        opened
    }

    /// Rotates a token back, unless it is refused; its header, and where its data begins and ends.
    fn stream_parts(&self, token: &mut [u8]) -> Result<(WrapHeader, usize, usize), Error> {
        let (header, body) = WrapHeader::parse(token)?;
        let direction = self.direction(header.flags)?;
        let by = self.rotation(header, body.len());
        let header = WrapHeader { rrc: 0, ..header };
        let layout = Layout::received(direction, header, true, self.dce);
        let end = (token.len().checked_sub(layout.after()))
            .filter(|end| *end >= layout.before())
            .ok_or(Malformed::Short)?;
        token[HEADER..].rotate_left(by);
        Ok((header, layout.before(), end))
    }

    fn open_parts(
        &self,
        header: WrapHeader,
        front: &mut [u8],
        trailer: &mut [u8],
        has_trailer: bool,
        iov: &mut [IoVec<'_>],
    ) -> Result<Unwrapped, Error> {
        let direction = self.direction(header.flags)?;
        let layout = Layout::received(direction, header, has_trailer, self.dce);
        exactly(BufferKind::Header, front.len(), layout.before())?;
        exactly(BufferKind::Trailer, trailer.len(), layout.after())?;
        if usize::from(header.rrc) != layout.rrc {
            return Err(Malformed::Rotation {
                needed: layout.rrc,
                found: header.rrc,
            }
            .into());
        }
        let around = layout.split(front, trailer);
        let opened = if layout.is_sealed() {
            with_list(
                iov.len() + 2,
                || Piece::Sign(&[]),
                |list| {
                    let last = list.len() - 1;
                    add_pieces(iov, &mut list[1..last]);
                    list[0] = Piece::Seal(around.confounder);
                    list[last] = Piece::Seal(around.tail);
                    direction.seal().open_pieces(list, around.checksum)
                },
            )
            .map_err(|_| PeerMisbehaved::Integrity)
            .and_then(|()| header_copy(header, &around.tail[layout.filler..]))
        } else {
            verify_ec(direction, header)?;
            let signed = header.signed();
            with_list(
                iov.len() + 1,
                || &[][..],
                |list| {
                    add_signed(iov, list);
                    list[iov.len()] = &signed;
                    direction.wrap_mac().verify(list, around.checksum)
                },
            )
            .map_err(|_| PeerMisbehaved::Integrity)
        };
        if let Err(error) = opened {
            wipe_data(iov);
            return Err(error.into());
        }
        self.note(header.seq, header.flags.is_sealed())
    }

    /// Verifies a MIC token for the message that is `parts` one after another.
    pub(crate) fn verify_mic(&self, parts: &[&[u8]], token: &[u8]) -> Result<Order, Error> {
        if let Some(older) = self.older(token) {
            return self.older_mic(older, parts, token);
        }
        let (header, checksum) = MicHeader::parse(token)?;
        let direction = self.direction(header.flags)?;
        let signed = header.to_bytes();
        with_list(
            parts.len() + 1,
            || &[][..],
            |list| {
                list[..parts.len()].copy_from_slice(parts);
                list[parts.len()] = &signed;
                direction.mic().verify(list, checksum)
            },
        )
        .map_err(|_| PeerMisbehaved::Integrity)?;
        self.order(header.seq)
    }

    /// The keys that the token's own flags name (RFC 4121 §4.2.2).
    fn direction(&self, flags: TokenFlags) -> Result<&Direction, Error> {
        if flags.sent_by() != self.peer {
            return Err(PeerMisbehaved::Reflected.into());
        }
        let direction = if flags.uses_acceptor_subkey() {
            let subkey = self.acceptor_subkey.as_ref();
            subkey.ok_or(PeerMisbehaved::NoAcceptorSubkey)?
        } else {
            &self.plain
        };
        match direction.has_older() {
            true => Err(Malformed::TokenId.into()),
            false => Ok(direction),
        }
    }

    pub(crate) fn note(&self, seq: u64, confidential: bool) -> Result<Unwrapped, Error> {
        Ok(Unwrapped {
            order: self.order(seq)?,
            confidential,
        })
    }

    pub(crate) fn order(&self, seq: u64) -> Result<Order, Error> {
        let window = self.window.lock();
        Ok(window.map_err(|_| Local::Poisoned)?.note(seq))
    }
}

/// Verifies `body`, which is not rotated any more, and decrypts it where it lies; the place of its message.
fn open(
    direction: &Direction,
    header: WrapHeader,
    associated: &[u8],
    body: &mut [u8],
) -> Result<Range<usize>, Error> {
    let sealed = header.flags.is_sealed();
    let end = body.len().checked_sub(direction.checksum);
    let end = end.ok_or_else(|| match sealed {
        true => Error::from(PeerMisbehaved::Integrity),
        false => Malformed::Short.into(),
    })?;
    let (body, checksum) = body.split_at_mut(end);
    if sealed {
        open_sealed(direction, header, associated, body, checksum)
    } else {
        verify_ec(direction, header)?;
        direction
            .wrap_mac()
            .verify(&[associated, body, &header.signed()], checksum)
            .map_err(|_| PeerMisbehaved::Integrity)?;
        Ok(0..end)
    }
}

fn open_sealed(
    direction: &Direction,
    header: WrapHeader,
    associated: &[u8],
    body: &mut [u8],
    checksum: &[u8],
) -> Result<Range<usize>, Error> {
    let start = direction.confounder.min(body.len());
    let seal = direction.seal();
    let opened = if associated.is_empty() {
        seal.open_pieces(&mut [Piece::Seal(body)], checksum)
    } else {
        let (confounder, rest) = body.split_at_mut(start);
        let mut pieces = [
            Piece::Seal(confounder),
            Piece::Sign(associated),
            Piece::Seal(rest),
        ];
        seal.open_pieces(&mut pieces, checksum)
    };
    opened.map_err(|_| PeerMisbehaved::Integrity)?;
    opened_data(direction, header, body)
}

/// The place of the message in a body that was opened.
fn opened_data(
    direction: &Direction,
    header: WrapHeader,
    body: &[u8],
) -> Result<Range<usize>, Error> {
    let start = direction.confounder.min(body.len());
    let plaintext = body.len() - start;
    let rest = (plaintext.checked_sub(HEADER)).ok_or(PeerMisbehaved::HeaderCopy)?;
    header_copy(header, &body[start + rest..])?;
    let length = (rest.checked_sub(usize::from(header.ec))).ok_or(Malformed::ExtraCount)?;
    Ok(start..start + length)
}

fn header_copy(header: WrapHeader, copy: &[u8]) -> Result<(), PeerMisbehaved> {
    if header.matches(copy) {
        Ok(())
    } else {
        Err(PeerMisbehaved::HeaderCopy)
    }
}

/// Without confidentiality EC is the checksum's length (RFC 4121 §4.2.3).
fn verify_ec(direction: &Direction, header: WrapHeader) -> Result<(), Malformed> {
    if usize::from(header.ec) == direction.checksum {
        Ok(())
    } else {
        Err(Malformed::ExtraCount)
    }
}
