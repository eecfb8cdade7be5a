//! Lists of buffers: the two at a token's ends, and what lies between them.

use gss_core::message::{BufferError, BufferKind, IoVec, IovLengths, at_most_one, the_one};
use krb5_crypto::Piece;
use zeroize::Zeroize;

use crate::error::Malformed;

/// The buffers at a token's ends, taken out of their list for as long as the pieces between them are worked on.
pub(crate) struct Ends<'a> {
    pub(crate) header: &'a mut [u8],
    /// Empty if there is none.
    pub(crate) trailer: &'a mut [u8],
    header_at: usize,
    trailer_at: Option<usize>,
}

impl<'a> Ends<'a> {
    pub(crate) fn take(iov: &mut [IoVec<'a>]) -> Result<Self, BufferError> {
        let header_at = the_one(iov, BufferKind::Header)?;
        let trailer_at = at_most_one(iov, BufferKind::Trailer)?;
        let mut taken = |at: usize| iov[at].buffer_mut().map(std::mem::take);
        Ok(Self {
            header: taken(header_at).unwrap_or_default(),
            trailer: trailer_at.and_then(&mut taken).unwrap_or_default(),
            header_at,
            trailer_at,
        })
    }

    pub(crate) fn has_trailer(&self) -> bool {
        self.trailer_at.is_some()
    }

    pub(crate) fn put_back(self, iov: &mut [IoVec<'a>]) {
        iov[self.header_at] = IoVec::Header(self.header);
        if let Some(at) = self.trailer_at {
            iov[at] = IoVec::Trailer(self.trailer);
        }
    }
}

/// Refuses buffers that a call has no use for, and several where one is wanted.
pub(crate) fn check_kinds(iov: &[IoVec<'_>], unexpected: &[BufferKind]) -> Result<(), BufferError> {
    let mut kinds = iov.iter().map(IoVec::kind);
    if let Some(kind) = kinds.find(|kind| unexpected.contains(kind)) {
        return Err(BufferError::Unexpected(kind));
    }
    at_most_one(iov, BufferKind::Padding).map(|_| ())
}

/// How many bytes of data there are; `None` if there is no data buffer at all.
pub(crate) fn data_length(iov: &[IoVec<'_>]) -> Option<usize> {
    let data = iov.iter().filter(|piece| piece.kind() == BufferKind::Data);
    data.map(|piece| piece.bytes().len())
        .fold(None, |sum, length| Some(sum.unwrap_or(0) + length))
}

/// Lists what is protected, as it is encrypted or decrypted.
pub(crate) fn add_pieces<'p>(iov: &'p mut [IoVec<'_>], list: &mut [Piece<'p>]) {
    for (entry, piece) in list.iter_mut().zip(iov) {
        match piece {
            IoVec::Data(bytes) | IoVec::Padding(bytes) => *entry = Piece::Seal(bytes),
            IoVec::SignOnly(bytes) => *entry = Piece::Sign(bytes),
            IoVec::Header(_) | IoVec::Trailer(_) | IoVec::Stream(_) | IoVec::MicToken(_) => {}
        }
    }
}

/// Lists what is protected, as it is signed.
pub(crate) fn add_signed<'p>(iov: &'p [IoVec<'_>], list: &mut [&'p [u8]]) {
    for (entry, piece) in list.iter_mut().zip(iov) {
        match piece {
            IoVec::Data(bytes) | IoVec::Padding(bytes) => *entry = bytes,
            IoVec::SignOnly(bytes) => *entry = bytes,
            IoVec::Header(_) | IoVec::Trailer(_) | IoVec::Stream(_) | IoVec::MicToken(_) => {}
        }
    }
}

/// Cuts the buffers around the data to these lengths, if each is long enough.
pub(crate) fn shorten(iov: &mut [IoVec<'_>], lengths: &IovLengths) -> Result<(), BufferError> {
    let length = |piece: &IoVec<'_>| match piece {
        IoVec::Header(_) => Some(lengths.header),
        IoVec::Padding(_) => Some(lengths.padding),
        IoVec::Trailer(_) => Some(lengths.trailer),
        IoVec::Data(_) | IoVec::SignOnly(_) | IoVec::Stream(_) | IoVec::MicToken(_) => None,
    };
    for piece in iov.iter() {
        let (buffer, found) = (piece.kind(), piece.bytes().len());
        if let Some(needed) = length(piece).filter(|needed| *needed > found) {
            return Err(BufferError::TooShort {
                buffer,
                needed,
                found,
            });
        }
    }
    for piece in iov {
        if let (Some(length), Some(buffer)) = (length(piece), piece.buffer_mut()) {
            *buffer = &mut std::mem::take(buffer)[..length];
        }
    }
    Ok(())
}

/// The parts of a received token have just the lengths that its header tells.
pub(crate) fn exactly(buffer: BufferKind, found: usize, needed: usize) -> Result<(), Malformed> {
    if found == needed {
        Ok(())
    } else {
        Err(Malformed::BufferLength {
            buffer,
            needed,
            found,
        })
    }
}

pub(crate) fn wipe_data(iov: &mut [IoVec<'_>]) {
    for piece in iov {
        if let IoVec::Data(bytes) = piece {
            bytes.zeroize();
        }
    }
}
