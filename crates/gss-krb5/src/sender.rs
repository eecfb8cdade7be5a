//! The half of a context that protects what we send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gss_core::message::{
    Batched, BufferError, BufferKind, IoVec, IovLengths, Room, at_most_one, enough, the_one,
    with_list,
};
use krb5_crypto::Piece;
use wire::random::Random;

use crate::iov::{Ends, add_pieces, add_signed, check_kinds, data_length, shorten};
use crate::keys::Direction;
use crate::layout::{Around, Layout};
use crate::older::Kind;
use crate::token::{HEADER, MicHeader, TokenFlags, WrapHeader};

/// One key, one direction, and the next sequence number.
///
/// A number is taken when nothing can fail any more, and its token made afterwards: so each is used once, a call that fails
/// uses none, and threads that send at the same time do not wait for each other's cryptography.
pub(crate) struct Sender {
    pub(crate) direction: Direction,
    pub(crate) flags: TokenFlags,
    pub(crate) next: AtomicU64,
    pub(crate) dce: bool,
    pub(crate) random: Arc<dyn Random>,
}

impl Sender {
    /// The first of `count` numbers, which are the caller's from now on.
    pub(crate) fn take(&self, count: usize) -> u64 {
        // Nothing else is read or written because of a number, so no order is needed but its own.
        self.next.fetch_add(count as u64, Ordering::Relaxed)
    }

    /// What a token in one buffer adds to a message of `message` bytes.
    pub(crate) fn room(&self, sealed: bool, message: usize) -> Room {
        if let Some(older) = self.direction.older() {
            return Self::older_room(older, message);
        }
        let layout = Layout::whole(&self.direction, sealed);
        Room {
            before: layout.before(),
            after: layout.after(),
        }
    }

    /// The longest message whose token has at most `size` bytes; 0 if none has.
    pub(crate) fn size_limit(&self, sealed: bool, size: usize) -> usize {
        if let Some(older) = self.direction.older() {
            return Self::older_size_limit(older, size);
        }
        let room = self.room(sealed, 0);
        size.saturating_sub(room.before + room.after)
    }

    /// Appends the token of `message` with the number `seq` to `out`.
    pub(crate) fn wrap_into(&self, sealed: bool, seq: u64, message: &[u8], out: &mut Vec<u8>) {
        let room = self.room(sealed, message.len());
        self.wrap(sealed, seq, &[], with_room(room, message, out), room);
    }

    /// The same for each message of a batch, whose numbers follow `seq`.
    pub(crate) fn wrap_many(&self, sealed: bool, seq: u64, batch: &mut [Batched<'_>]) {
        let numbers = (0..).map(|at| seq.wrapping_add(at));
        if !sealed || self.direction.has_older() {
            for (seq, Batched { input, output }) in numbers.zip(batch) {
                self.wrap_into(sealed, seq, input, output);
            }
            return;
        }
        let layout = Layout::whole(&self.direction, sealed);
        let seal = self.direction.seal();
        let begun = numbers.zip(batch).map(|(seq, Batched { input, output })| {
            let room = self.room(sealed, input.len());
            let token = with_room(room, input, output);
            let (place, body) = token.split_at_mut(HEADER);
            let (confounder, rest) = body.split_at_mut(layout.confounder);
            let tail = &mut rest[input.len()..][..layout.tail];
            let header = self.begin(&layout, seq, confounder, tail);
            place.copy_from_slice(&header.to_bytes());
            krb5_crypto::Batched::new(seal, body)
        });
        krb5_crypto::seal_many(&mut begun.collect::<Vec<_>>());
    }

    /// Makes a token of `buffer`, which has room around its message.
    pub(crate) fn wrap_in_place(
        &self,
        sealed: bool,
        associated: &[u8],
        buffer: &mut [u8],
        found: Room,
    ) -> Result<(), BufferError> {
        let room = found.before.saturating_add(found.after);
        let message = (buffer.len().checked_sub(room)).ok_or(BufferError::TooShort {
            buffer: BufferKind::Token,
            needed: room,
            found: buffer.len(),
        })?;
        let needed = self.room(sealed, message);
        if found != needed {
            return Err(BufferError::Room {
                message,
                needed,
                found,
            });
        }
        self.wrap(sealed, self.take(1), associated, buffer, needed);
        Ok(())
    }

    /// A token in one buffer: confounder, message and header's copy are one piece of it, which is the fastest to encrypt.
    fn wrap(&self, sealed: bool, seq: u64, associated: &[u8], buffer: &mut [u8], room: Room) {
        if let Some(older) = self.direction.older() {
            return self.older_wrap(older, sealed, seq, associated, buffer, room);
        }
        let layout = Layout::whole(&self.direction, sealed);
        let (token, checksum) = buffer.split_at_mut(buffer.len() - layout.checksum);
        let (place, body) = token.split_at_mut(HEADER);
        let header = if sealed {
            let (confounder, rest) = body.split_at_mut(layout.confounder);
            let data = rest.len() - layout.tail;
            let header = self.begin(&layout, seq, confounder, &mut rest[data..]);
            let seal = self.direction.seal();
            if associated.is_empty() {
                seal.seal_pieces(&mut [Piece::Seal(body)], checksum);
            } else {
                let mut pieces = [
                    Piece::Seal(confounder),
                    Piece::Sign(associated),
                    Piece::Seal(rest),
                ];
                seal.seal_pieces(&mut pieces, checksum);
            }
            header
        } else {
            let header = layout.header(self.flags, seq);
            self.sign(&[associated, body, &header.signed()], checksum);
            header
        };
        place.copy_from_slice(&header.to_bytes());
    }

    /// How long the buffers of `iov` have to be.
    pub(crate) fn wrap_iov_lengths(
        &self,
        confidential: bool,
        iov: &[IoVec<'_>],
    ) -> Result<IovLengths, BufferError> {
        match self.direction.older() {
            Some(older) => Ok(self.older_lengths(older, confidential, iov)?.0),
            None => Ok(self.layout(confidential, iov)?.lengths()),
        }
    }

    /// Protects what is in `iov` where it lies; tells whether it is encrypted.
    pub(crate) fn wrap_iov(
        &self,
        confidential: bool,
        iov: &mut [IoVec<'_>],
    ) -> Result<bool, BufferError> {
        if let Some(older) = self.direction.older() {
            return self.older_wrap_iov(older, confidential, iov);
        }
        let layout = self.layout(confidential, iov)?;
        shorten(iov, &layout.lengths())?;
        let ends = Ends::take(iov)?;
        self.wrap_parts(&layout, layout.split(ends.header, ends.trailer), iov);
        ends.put_back(iov);
        Ok(layout.is_sealed())
    }

    fn layout(&self, confidential: bool, iov: &[IoVec<'_>]) -> Result<Layout, BufferError> {
        check_kinds(iov, &[BufferKind::Stream, BufferKind::MicToken])?;
        the_one(iov, BufferKind::Header)?;
        let trailer = at_most_one(iov, BufferKind::Trailer)?.is_some();
        let sealed = confidential && data_length(iov).is_some();
        Ok(Layout::parts(&self.direction, sealed, trailer, self.dce))
    }

    fn wrap_parts(&self, layout: &Layout, around: Around<'_>, iov: &mut [IoVec<'_>]) {
        let seq = self.take(1);
        let header = if layout.is_sealed() {
            let header = self.begin(layout, seq, around.confounder, around.tail);
            with_list(
                iov.len() + 2,
                || Piece::Sign(&[]),
                |list| {
                    let last = list.len() - 1;
                    add_pieces(iov, &mut list[1..last]);
                    list[0] = Piece::Seal(around.confounder);
                    list[last] = Piece::Seal(around.tail);
                    self.direction.seal().seal_pieces(list, around.checksum);
                },
            );
            header
        } else {
            let header = layout.header(self.flags, seq);
            let signed = header.signed();
            with_list(
                iov.len() + 1,
                || &[][..],
                |list| {
                    add_signed(iov, list);
                    list[iov.len()] = &signed;
                    self.sign(list, around.checksum);
                },
            );
            header
        };
        around.header.copy_from_slice(&header.to_bytes());
    }

    /// Fills what is encrypted beside the data; the token's header, whose copy has no RRC (RFC 4121 §4.2.4).
    fn begin(
        &self,
        layout: &Layout,
        seq: u64,
        confounder: &mut [u8],
        tail: &mut [u8],
    ) -> WrapHeader {
        let header = layout.header(self.flags, seq);
        self.random.fill(confounder);
        let (filler, copy) = tail.split_at_mut(layout.filler);
        filler.fill(0xff);
        copy.copy_from_slice(&WrapHeader { rrc: 0, ..header }.to_bytes());
        header
    }

    fn sign(&self, parts: &[&[u8]], checksum: &mut [u8]) {
        checksum.copy_from_slice(&self.direction.wrap_mac().sign(parts));
    }

    pub(crate) fn mic_length(&self) -> usize {
        if let Some(older) = self.direction.older() {
            return older.front_length(Kind::Mic, 0);
        }
        HEADER + self.direction.checksum
    }

    /// Makes a MIC token of `token`'s first bytes.
    pub(crate) fn get_mic(&self, parts: &[&[u8]], token: &mut [u8]) -> Result<usize, BufferError> {
        if let Some(older) = self.direction.older() {
            return self.older_mic(older, parts, token);
        }
        let token = enough(BufferKind::MicToken, token, self.mic_length())?;
        let header = MicHeader {
            flags: self.flags,
            seq: self.take(1),
        }
        .to_bytes();
        let (place, checksum) = token.split_at_mut(HEADER);
        let sum = with_list(
            parts.len() + 1,
            || &[][..],
            |list| {
                list[..parts.len()].copy_from_slice(parts);
                list[parts.len()] = &header;
                self.direction.mic().sign(list)
            },
        );
        checksum.copy_from_slice(&sum);
        place.copy_from_slice(&header);
        Ok(token.len())
    }
}

/// Appends `message` to `out` with room around it: what was appended.
fn with_room<'o>(room: Room, message: &[u8], out: &'o mut Vec<u8>) -> &'o mut [u8] {
    let start = out.len();
    out.reserve(room.before + message.len() + room.after);
    out.resize(start + room.before, 0);
    out.extend_from_slice(message);
    out.resize(out.len() + room.after, 0);
    &mut out[start..]
}
