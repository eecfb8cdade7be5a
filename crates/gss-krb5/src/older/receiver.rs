//! What the receiver does differently with the tokens of RFC 1964.

use std::ops::Range;

use gss_core::framing::{self, FrameError};
use gss_core::mechanism::Unwrapped;
use gss_core::message::{BufferKind, IoVec, at_most_one, the_one, with_list};
use gss_core::sequence::Order;
use krb5_crypto::Piece;
use zeroize::Zeroize;

use crate::error::{Error, Malformed};
use crate::iov::{Ends, add_pieces, check_kinds, data_length, exactly, wipe_data};
use crate::older::{CONFOUNDER, Kind, Older};
use crate::receiver::Receiver;

/// The first byte of a frame; a token of RFC 4121 begins with another.
const FRAME: u8 = 0x60;

/// The most bytes that a padding has.
const LONGEST_PADDING: u8 = 8;

impl Receiver {
    /// What reads `token`, if that and the context's keys are of RFC 1964. Its tokens do not tell which key they are under: it
    /// is the acceptor's subkey where one is used.
    pub(crate) fn older(&self, token: &[u8]) -> Option<&Older> {
        let subkey = self.acceptor_subkey.as_ref();
        let direction = subkey.unwrap_or(&self.plain);
        (token.first() == Some(&FRAME))
            .then(|| direction.older())
            .flatten()
    }

    pub(crate) fn older_in_place(
        &self,
        older: &Older,
        associated: &[u8],
        token: &mut [u8],
    ) -> Result<(Range<usize>, Unwrapped), Error> {
        let (front, body, padded) = self.older_split(older, token)?;
        let start = front.len();
        let framed = if padded { body.len() } else { 0 };
        let (received, confounder) = older.parse(Kind::Wrap, framed, front)?;
        whole_blocks(older, body.len())?;
        let sealed = received.sealed;
        let mut pieces = [
            Piece::Seal(confounder),
            Piece::Sign(associated),
            Piece::Seal(&mut *body),
        ];
        let opened = older.open(self.peer, received, &mut pieces);
        let opened = opened.map_err(Error::from).and_then(|seq| {
            let padding = if padded { padding(body)? } else { 0 };
            Ok((seq, padding))
        });
        match opened {
            Ok((seq, padding)) => {
                let data = start..start + body.len() - padding;
                Ok((data, self.note(seq.into(), sealed)?))
            }
            Err(error) => {
                body.zeroize();
                Err(error)
            }
        }
    }

    /// The token's front and what follows it, and whether the frame counts that and it is padded: in DCE style it need not be.
    fn older_split<'t>(
        &self,
        older: &Older,
        token: &'t mut [u8],
    ) -> Result<(&'t mut [u8], &'t mut [u8], bool), Error> {
        let (front, padded) = self.older_front(older, token)?;
        let (front, body) = token.split_at_mut(front);
        Ok((front, body, padded))
    }

    /// The length of the front instead.
    fn older_front(&self, older: &Older, token: &[u8]) -> Result<(usize, bool), Malformed> {
        let header = framing::header(token).ok_or(Malformed::Frame(FrameError::Malformed))?;
        let between = older.between(Kind::Wrap);
        let padded = !(self.dce && header.inner == between);
        let front = header.start + between;
        let body = token.len().checked_sub(front).ok_or(Malformed::Short)?;
        if padded && body == 0 {
            return Err(Malformed::Short);
        }
        Ok((front, padded))
    }

    pub(crate) fn older_iov(
        &self,
        older: &Older,
        iov: &mut [IoVec<'_>],
    ) -> Result<Unwrapped, Error> {
        let data = data_length(iov).unwrap_or(0);
        let padding_at = at_most_one(iov, BufferKind::Padding)?;
        let padding = padding_at.map_or(0, |at| iov[at].bytes().len());
        let ends = Ends::take(iov)?;
        let opened = exactly(BufferKind::Trailer, ends.trailer.len(), 0)
            .map_err(Error::from)
            .and_then(|()| {
                whole_blocks(older, data + padding)?;
                let header = framing::header(ends.header);
                let header = header.ok_or(Malformed::Frame(FrameError::Malformed))?;
                let needed = header.start + older.between(Kind::Wrap);
                exactly(BufferKind::Header, ends.header.len(), needed)?;
                let framed = if self.dce { 0 } else { data + padding };
                let unwrapped = self.older_parts(older, ends.header, framed, iov)?;
                if let (Some(at), false) = (padding_at, self.dce) {
                    take_padding(iov, at)?;
                }
                Ok(unwrapped)
            });
        ends.put_back(iov);
        if opened.is_err() {
            wipe_data(iov);
        }
        opened.and_then(|(seq, sealed)| self.note(seq.into(), sealed))
    }

    /// The token is in one buffer: its data, still padded, becomes the data buffer, and then loses its padding.
    pub(crate) fn older_stream(
        &self,
        older: &Older,
        stream: usize,
        iov: &mut [IoVec<'_>],
    ) -> Result<Unwrapped, Error> {
        let unexpected = [BufferKind::Header, BufferKind::Padding, BufferKind::Trailer];
        check_kinds(iov, &unexpected)?;
        let at = the_one(iov, BufferKind::Data)?;
        let token = (iov[stream].buffer_mut()).map_or(&mut [][..], std::mem::take);
        let front = self.older_front(older, token).and_then(|(front, padded)| {
            whole_blocks(older, token.len() - front)?;
            Ok((front, padded))
        });
        let (front, padded) = match front {
            Ok(front) => front,
            Err(error) => {
                iov[stream] = IoVec::Stream(token);
                return Err(error.into());
            }
        };
        let (front, body) = token.split_at_mut(front);
        let length = body.len();
        iov[at] = IoVec::Data(body);
        let framed = if padded { length } else { 0 };
        let opened = self.older_parts(older, &mut *front, framed, iov);
        iov[stream] = IoVec::Stream(front);
        let opened = opened.and_then(|verified| {
            let padding = if padded { padding(iov[at].bytes())? } else { 0 };
            if let Some(data) = iov[at].buffer_mut() {
                *data = &mut std::mem::take(data)[..length - padding];
            }
            Ok(verified)
        });
        if opened.is_err() {
            wipe_data(iov);
        }
        opened.and_then(|(seq, sealed)| self.note(seq.into(), sealed))
    }

    fn older_parts(
        &self,
        older: &Older,
        front: &mut [u8],
        framed: usize,
        iov: &mut [IoVec<'_>],
    ) -> Result<(u32, bool), Error> {
        let (received, confounder) = older.parse(Kind::Wrap, framed, front)?;
        let sealed = received.sealed;
        let opened = with_list(
            iov.len() + 1,
            || Piece::Sign(&[]),
            |list| {
                add_pieces(iov, &mut list[1..]);
                list[0] = Piece::Seal(confounder);
                older.open(self.peer, received, list)
            },
        );
        Ok((opened?, sealed))
    }

    pub(crate) fn older_mic(
        &self,
        older: &Older,
        parts: &[&[u8]],
        token: &[u8],
    ) -> Result<Order, Error> {
        let length = older.front_length(Kind::Mic, 0);
        let mut copy = [0; 64];
        let copy = copy.get_mut(..length).ok_or(Malformed::Short)?;
        let (front, rest) = token.split_at_checked(length).ok_or(Malformed::Short)?;
        copy.copy_from_slice(front);
        let (received, _) = older.parse(Kind::Mic, heimdals_rest(older, rest)?, copy)?;
        let seq = older.verify(self.peer, received, parts)?;
        self.order(seq.into())
    }
}

/// Heimdal's MIC tokens with Triple DES are two bytes longer than what is in them, and these are zero.
fn heimdals_rest(older: &Older, rest: &[u8]) -> Result<usize, Malformed> {
    match rest {
        [] => Ok(0),
        [0, 0] if older.block() > 1 => Ok(rest.len()),
        _ => Err(Malformed::Frame(FrameError::Malformed)),
    }
}

/// What is encrypted is made of whole blocks, with the confounder, which is one.
fn whole_blocks(older: &Older, length: usize) -> Result<(), Malformed> {
    match (length + CONFOUNDER).is_multiple_of(older.block()) {
        true => Ok(()),
        false => Err(Malformed::Padding),
    }
}

/// How many bytes of padding `data` ends with: each of them tells (RFC 1964 §1.2.2.3).
fn padding(data: &[u8]) -> Result<usize, Malformed> {
    let last = data.last().ok_or(Malformed::Padding)?;
    let length = usize::from(*last);
    let padding = data.len().checked_sub(length).map(|at| &data[at..]);
    match padding {
        Some(padding)
            if (1..=LONGEST_PADDING).contains(last) && padding.iter().all(|byte| byte == last) =>
        {
            Ok(length)
        }
        _ => Err(Malformed::Padding),
    }
}

/// Empties the padding's buffer; where that has one byte of a longer padding, the rest of it is at the end of the data.
fn take_padding(iov: &mut [IoVec<'_>], at: usize) -> Result<(), Malformed> {
    let here = iov[at].bytes();
    // An empty buffer stands for a token without padding, as WinRM sends them.
    let Some(last) = here.last().copied() else {
        return Ok(());
    };
    let beyond = usize::from(last)
        .checked_sub(here.len())
        .ok_or(Malformed::Padding)?;
    if !(1..=LONGEST_PADDING).contains(&last) || here.iter().any(|byte| *byte != last) {
        return Err(Malformed::Padding);
    }
    if beyond > 0 {
        let data = the_one(iov, BufferKind::Data).map_err(|_| Malformed::Padding)?;
        let length = iov[data]
            .bytes()
            .len()
            .checked_sub(beyond)
            .ok_or(Malformed::Padding)?;
        if iov[data].bytes()[length..].iter().any(|byte| *byte != last) {
            return Err(Malformed::Padding);
        }
        if let Some(data) = iov[data].buffer_mut() {
            *data = &mut std::mem::take(data)[..length];
        }
    }
    iov[at] = IoVec::Padding(&mut []);
    Ok(())
}
