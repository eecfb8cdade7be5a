//! What the sender does differently with the tokens of RFC 1964.

use gss_core::message::{
    BufferError, BufferKind, IoVec, IovLengths, Room, at_most_one, enough, the_one, with_list,
};
use krb5_crypto::Piece;

use crate::iov::{Ends, add_pieces, check_kinds, data_length, shorten};
use crate::older::{Kind, Older};
use crate::sender::Sender;

impl Sender {
    pub(crate) fn older_room(older: &Older, message: usize) -> Room {
        let padding = older.padding(message);
        Room {
            before: older.front_length(Kind::Wrap, message + padding),
            after: padding,
        }
    }

    /// The longest message whose token has at most `size` bytes.
    pub(crate) fn older_size_limit(older: &Older, size: usize) -> usize {
        let length = |message: usize| {
            let room = Self::older_room(older, message);
            room.before + message + room.after
        };
        // As if the frame were the shortest and the padding one byte: from there it is a few bytes down.
        let least = older.front_length(Kind::Wrap, 0) + 1;
        let mut limit = size.saturating_sub(least);
        while limit > 0 && length(limit) > size {
            limit -= 1;
        }
        limit
    }

    pub(crate) fn older_wrap(
        &self,
        older: &Older,
        sealed: bool,
        seq: u64,
        associated: &[u8],
        buffer: &mut [u8],
        room: Room,
    ) {
        let (front, body) = buffer.split_at_mut(room.before);
        let padding = body.len() - room.after;
        body[padding..].fill(room.after as u8);
        let (front, confounder) = older.begin(Kind::Wrap, sealed, body.len(), front);
        self.random.fill(confounder);
        let mut pieces = [
            Piece::Seal(confounder),
            Piece::Sign(associated),
            Piece::Seal(body),
        ];
        older.seal(self.direction.from, seq as u32, sealed, front, &mut pieces);
    }

    /// The padding is in a buffer of its own, which has to be there; the trailer is empty. In DCE style the caller pads.
    pub(crate) fn older_lengths(
        &self,
        older: &Older,
        confidential: bool,
        iov: &[IoVec<'_>],
    ) -> Result<(IovLengths, usize), BufferError> {
        check_kinds(iov, &[BufferKind::Stream, BufferKind::MicToken])?;
        the_one(iov, BufferKind::Header)?;
        at_most_one(iov, BufferKind::Trailer)?;
        let data = data_length(iov);
        let length = data.unwrap_or(0);
        let (padding, framed) = if self.dce {
            let (block, found) = (older.block(), length);
            if found % block != 0 {
                return Err(BufferError::Unpadded { block, found });
            }
            (0, 0)
        } else {
            the_one(iov, BufferKind::Padding)?;
            let padding = older.padding(length);
            (padding, length + padding)
        };
        let lengths = IovLengths {
            header: older.front_length(Kind::Wrap, framed),
            padding,
            trailer: 0,
            confidential: confidential && data.is_some(),
        };
        Ok((lengths, framed))
    }

    pub(crate) fn older_wrap_iov(
        &self,
        older: &Older,
        confidential: bool,
        iov: &mut [IoVec<'_>],
    ) -> Result<bool, BufferError> {
        let (lengths, framed) = self.older_lengths(older, confidential, iov)?;
        shorten(iov, &lengths)?;
        for piece in iov.iter_mut() {
            if let IoVec::Padding(bytes) = piece {
                bytes.fill(lengths.padding as u8);
            }
        }
        let ends = Ends::take(iov)?;
        let sealed = lengths.confidential;
        let (front, confounder) = older.begin(Kind::Wrap, sealed, framed, ends.header);
        self.random.fill(confounder);
        let seq = self.take(1) as u32;
        with_list(
            iov.len() + 1,
            || Piece::Sign(&[]),
            |list| {
                add_pieces(iov, &mut list[1..]);
                list[0] = Piece::Seal(confounder);
                older.seal(self.direction.from, seq, sealed, front, list);
            },
        );
        ends.put_back(iov);
        Ok(sealed)
    }

    pub(crate) fn older_mic(
        &self,
        older: &Older,
        parts: &[&[u8]],
        token: &mut [u8],
    ) -> Result<usize, BufferError> {
        let token = enough(BufferKind::MicToken, token, self.mic_length())?;
        let length = token.len();
        let (front, _) = older.begin(Kind::Mic, false, 0, token);
        older.sign(self.direction.from, self.take(1) as u32, front, parts);
        Ok(length)
    }
}
