//! Where the parts of a Wrap token lie (RFC 4121 §4.2.4, §4.2.5).

use gss_core::message::IovLengths;

use crate::keys::Direction;
use crate::token::{HEADER, TokenFlags, WrapHeader};

/// A Wrap token around its data: with confidentiality `header | confounder | data | filler | header's copy | checksum`, without
/// it `header | data | checksum`.
///
/// Where the token's end has no buffer of its own it stands in front of the data, right behind the header, which is what RRC
/// tells. With DCE style there is a block of filler, and RRC is less by it: Windows rotates by EC and RRC together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes in front of the data that are encrypted with it; none without confidentiality.
    pub(crate) confounder: usize,
    /// Bytes behind it that are: filler and the header's copy.
    pub(crate) tail: usize,
    /// The filler of these.
    pub(crate) filler: usize,
    pub(crate) checksum: usize,
    /// Whether the token's end stands in front of the data.
    pub(crate) rotated: bool,
    pub(crate) rrc: usize,
}

impl Layout {
    /// A token in one buffer, as we write it.
    pub(crate) fn whole(direction: &Direction, sealed: bool) -> Self {
        Self::new(direction, sealed, 0)
    }

    /// A token whose parts have buffers of their own, as we write it: with a trailer, or without.
    pub(crate) fn parts(direction: &Direction, sealed: bool, trailer: bool, dce: bool) -> Self {
        // AES needs no filler. Windows takes DCE's messages with a block of it only.
        let filler = if sealed && dce {
            direction.confounder
        } else {
            0
        };
        Self::new(direction, sealed, filler).with_trailer(trailer, dce)
    }

    /// The same for a token with this header, as another wrote it.
    pub(crate) fn received(
        direction: &Direction,
        header: WrapHeader,
        trailer: bool,
        dce: bool,
    ) -> Self {
        let sealed = header.flags.is_sealed();
        let filler = if sealed { usize::from(header.ec) } else { 0 };
        Self::new(direction, sealed, filler).with_trailer(trailer, dce)
    }

    fn new(direction: &Direction, sealed: bool, filler: usize) -> Self {
        Self {
            confounder: if sealed { direction.confounder } else { 0 },
            tail: if sealed { filler + HEADER } else { 0 },
            filler,
            checksum: direction.checksum,
            rotated: false,
            rrc: 0,
        }
    }

    fn with_trailer(self, trailer: bool, dce: bool) -> Self {
        if trailer {
            return self;
        }
        let added = if dce { self.filler } else { 0 };
        Self {
            rotated: true,
            rrc: self.end() - added,
            ..self
        }
    }

    /// Whether the data is encrypted.
    pub(crate) fn is_sealed(&self) -> bool {
        self.tail > 0
    }

    fn end(&self) -> usize {
        self.tail + self.checksum
    }

    /// What is in front of the data.
    pub(crate) fn before(&self) -> usize {
        HEADER + self.confounder + if self.rotated { self.end() } else { 0 }
    }

    /// What is behind it.
    pub(crate) fn after(&self) -> usize {
        if self.rotated { 0 } else { self.end() }
    }

    /// How long the buffers around the data are.
    pub(crate) fn lengths(&self) -> IovLengths {
        IovLengths {
            header: self.before(),
            padding: 0,
            trailer: self.after(),
            confidential: self.is_sealed(),
        }
    }

    /// The header of such a token: its EC is the filler's length, or without confidentiality the checksum's
    /// (RFC 4121 §4.2.3).
    pub(crate) fn header(&self, flags: TokenFlags, seq: u64) -> WrapHeader {
        let sealed = self.is_sealed();
        WrapHeader {
            flags: if sealed { flags.sealed() } else { flags },
            ec: if sealed { self.filler } else { self.checksum } as u16,
            rrc: self.rrc as u16,
            seq,
        }
    }

    /// The parts of the header's and the trailer's buffers, which have this layout's lengths.
    pub(crate) fn split<'a>(&self, header: &'a mut [u8], trailer: &'a mut [u8]) -> Around<'a> {
        let (header, rest) = header.split_at_mut(HEADER);
        let (end, confounder) = if self.rotated {
            rest.split_at_mut(self.end())
        } else {
            (trailer, rest)
        };
        let (tail, checksum) = end.split_at_mut(self.tail);
        Around {
            header,
            confounder,
            tail,
            checksum,
        }
    }
}

/// What is around the data.
pub(crate) struct Around<'a> {
    pub(crate) header: &'a mut [u8],
    pub(crate) confounder: &'a mut [u8],
    pub(crate) tail: &'a mut [u8],
    pub(crate) checksum: &'a mut [u8],
}
