//! The PAC ([MS-PAC]): what a KDC says of a client beside its name, as buffers under a table, signed for the service and for the KDC.
//!
//! A client can put into a ticket what it likes (RFC 4120 §5.2.6), so a PAC is no more than bytes until it is
//! [verified](Pac::verify) under the key that the ticket itself was under. What the buffers hold is not looked into, but for
//! the client's name and time, which tie the PAC to its ticket.

mod error;
#[cfg(test)]
mod tests;
mod write;

use krb5_crypto::{Key, KeyUsage};
use wire::read::Reader;
use wire::time::Timestamp;

pub use self::error::PacError;
pub use self::write::PacWriter;
use crate::principal::Principal;

/// KERB_VALIDATION_INFO: SIDs, groups, profile ([MS-PAC] §2.5).
pub const LOGON_INFO: u32 = 1;
/// Credentials for other protocols ([MS-PAC] §2.6.1).
pub const CREDENTIALS_INFO: u32 = 2;
/// The signature under the service's key ([MS-PAC] §2.8.1).
pub const SERVER_CHECKSUM: u32 = 6;
/// The KDC's signature of that signature ([MS-PAC] §2.8.2).
pub const PRIVSVR_CHECKSUM: u32 = 7;
/// The client's name and time ([MS-PAC] §2.7).
pub const CLIENT_INFO: u32 = 10;
/// By way of whom a ticket was delegated ([MS-PAC] §2.9).
pub const DELEGATION_INFO: u32 = 11;
/// The client's user principal name and domain ([MS-PAC] §2.10).
pub const UPN_DNS_INFO: u32 = 12;
/// The KDC's signature of the ticket ([MS-PAC] §2.8.3).
pub const TICKET_CHECKSUM: u32 = 16;
/// Whether the PAC was asked for ([MS-PAC] §2.14).
pub const ATTRIBUTES_INFO: u32 = 17;
/// The client's SID ([MS-PAC] §2.15).
pub const REQUESTOR: u32 = 18;
/// The KDC's signature of the whole PAC ([MS-PAC] §2.8.4).
pub const FULL_CHECKSUM: u32 = 19;

/// How many buffers a PAC may have; real ones have about ten.
pub const MAX_BUFFERS: usize = 64;

/// The count and the version.
const HEADER: usize = 8;
/// A row of the table: type, size, offset.
const ROW: usize = 16;
/// What buffers begin at a multiple of.
const ALIGNMENT: usize = 8;
/// A signature's type, before the signature.
const SIGNATURE_TYPE: usize = 4;
/// From 1601, where Windows' time begins, to 1970, in seconds.
const EPOCH: u64 = 11_644_473_600;
/// Windows counts in tenths of microseconds.
const TICKS: u64 = 10_000_000;

/// A PAC that was read, and is not to be believed yet.
#[derive(Clone, Debug)]
pub struct Pac<'a> {
    bytes: &'a [u8],
    buffers: Vec<Buffer>,
}

#[derive(Clone, Copy, Debug)]
struct Buffer {
    buffer_type: u32,
    start: usize,
    end: usize,
}

/// A buffer of [`CLIENT_INFO`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// The ticket's authtime, to the second.
    pub authtime: Timestamp,
    /// The client's name, its components between `/` as they are, without the realm.
    pub name: String,
}

impl<'a> Pac<'a> {
    /// Reads the table. Each buffer lies behind it and within `bytes`, apart from all others, and there is one of a type.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacError> {
        let mut reader = Reader::new(bytes);
        let mut number = || reader.u32_le().map_err(|_| PacError::Truncated);
        let (count, version) = (number()?, number()?);
        if version != 0 {
            return Err(PacError::Version(version));
        }
        let count = usize::try_from(count).ok();
        let count = count.filter(|count| (1..=MAX_BUFFERS).contains(count));
        let count = count.ok_or(PacError::Count)?;
        let table = HEADER + count * ROW;
        let buffers = (0..count).map(|_| Buffer::read(&mut reader, table, bytes.len()));
        let buffers = buffers.collect::<Result<Vec<_>, _>>()?;
        check_apart(&buffers)?;
        Ok(Self { bytes, buffers })
    }

    /// All of it.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The types of its buffers, in the table's order.
    pub fn types(&self) -> impl Iterator<Item = u32> {
        self.buffers.iter().map(|buffer| buffer.buffer_type)
    }

    /// The buffer of that type.
    pub fn buffer(&self, buffer_type: u32) -> Option<&'a [u8]> {
        let buffer = self.find(buffer_type)?;
        Some(&self.bytes[buffer.start..buffer.end])
    }

    fn find(&self, buffer_type: u32) -> Option<&Buffer> {
        let mut buffers = self.buffers.iter();
        buffers.find(|buffer| buffer.buffer_type == buffer_type)
    }

    /// Whom the PAC is of, as it says itself.
    pub fn client_info(&self) -> Result<ClientInfo, PacError> {
        let missing = PacError::Missing(CLIENT_INFO);
        ClientInfo::parse(self.buffer(CLIENT_INFO).ok_or(missing)?)
    }

    /// Whether the KDC made this PAC for the service whose ticket `key` opened, and for that ticket: the signature is one under
    /// `key`, and the PAC's client and time are the ticket's.
    pub fn verify(
        &self,
        key: &Key,
        client: &Principal,
        authtime: Timestamp,
    ) -> Result<(), PacError> {
        self.verify_signature(key)?;
        let info = self.client_info()?;
        if info.name.as_bytes() != plain_name(client) {
            return Err(PacError::OtherClient);
        }
        if info.authtime.seconds() != authtime.seconds() {
            return Err(PacError::OtherTime);
        }
        Ok(())
    }

    /// [MS-PAC] §2.8.1: over the PAC with both signatures zeroed. Only the checksum of the key's own enctype will do: an unkeyed one
    /// anybody can make.
    fn verify_signature(&self, key: &Key) -> Result<(), PacError> {
        let (signed, _) = self.signature(PRIVSVR_CHECKSUM)?;
        let (own, signature) = self.signature(SERVER_CHECKSUM)?;
        let (checksum_type, checksum) = signature.split_at(SIGNATURE_TYPE);
        let found = i32::from_le_bytes([0, 1, 2, 3].map(|at| checksum_type[at]));
        let wanted = key.enctype().checksum_type();
        if found != wanted {
            return Err(PacError::SignatureType { found, wanted });
        }
        // A read-only domain controller's number may follow ([MS-PAC] §2.8).
        let checksum = checksum.get(..key.enctype().checksum_length());
        let checksum = checksum.ok_or(PacError::ShortSignature(SERVER_CHECKSUM))?;
        let mut zeroed = self.bytes.to_vec();
        for buffer in [own, signed] {
            zeroed[buffer.start + SIGNATURE_TYPE..buffer.end].fill(0);
        }
        key.verify_checksum(KeyUsage::PAC_SIGNATURE, &[&zeroed], checksum)
            .map_err(|_| PacError::Signature)
    }

    fn signature(&self, buffer_type: u32) -> Result<(&Buffer, &'a [u8]), PacError> {
        let buffer = self.find(buffer_type);
        let buffer = buffer.ok_or(PacError::Missing(buffer_type))?;
        let bytes = &self.bytes[buffer.start..buffer.end];
        if bytes.len() < SIGNATURE_TYPE {
            return Err(PacError::ShortSignature(buffer_type));
        }
        Ok((buffer, bytes))
    }
}

impl Buffer {
    fn read(reader: &mut Reader<'_>, table: usize, length: usize) -> Result<Self, PacError> {
        let mut row = || Ok((reader.u32_le()?, reader.u32_le()?, reader.u64_le()?));
        let row: Result<_, wire::read::ReadError> = row();
        let (buffer_type, size, offset) = row.map_err(|_| PacError::Truncated)?;
        let out_of_bounds = PacError::Bounds(buffer_type);
        let start = usize::try_from(offset).map_err(|_| out_of_bounds)?;
        let size = usize::try_from(size).map_err(|_| out_of_bounds)?;
        let end = start.checked_add(size).ok_or(out_of_bounds)?;
        if start < table || end > length {
            return Err(out_of_bounds);
        }
        if !start.is_multiple_of(ALIGNMENT) {
            return Err(PacError::Alignment(buffer_type));
        }
        Ok(Self {
            buffer_type,
            start,
            end,
        })
    }
}

/// That no byte is in two buffers, and no type there twice: what is signed would not be what is read.
fn check_apart(buffers: &[Buffer]) -> Result<(), PacError> {
    for (at, buffer) in buffers.iter().enumerate() {
        for other in &buffers[..at] {
            if other.buffer_type == buffer.buffer_type {
                return Err(PacError::Twice(buffer.buffer_type));
            }
            if other.start < buffer.end && buffer.start < other.end {
                return Err(PacError::Overlap(buffer.buffer_type));
            }
        }
    }
    Ok(())
}

impl ClientInfo {
    /// Reads the buffer ([MS-PAC] §2.7): time, length in bytes, UTF-16.
    pub fn parse(buffer: &[u8]) -> Result<Self, PacError> {
        let mut reader = Reader::new(buffer);
        let head = || -> Result<_, wire::read::ReadError> {
            let (ticks, length) = (reader.u64_le()?, reader.u16_le()?);
            Ok((ticks, reader.take(usize::from(length))?))
        };
        let malformed = PacError::ClientInfo;
        let (ticks, name) = { head }().map_err(|_| malformed)?;
        let (pairs, odd) = name.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(malformed);
        }
        let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
        let name: Result<String, _> = char::decode_utf16(units).collect();
        let seconds = (ticks / TICKS).checked_sub(EPOCH);
        Ok(Self {
            authtime: Timestamp::from_seconds(seconds.ok_or(malformed)?.cast_signed()),
            name: name.map_err(|_| malformed)?,
        })
    }

    fn write(&self) -> Vec<u8> {
        let seconds = self.authtime.seconds().cast_unsigned();
        let ticks = seconds.wrapping_add(EPOCH).wrapping_mul(TICKS);
        let name: Vec<u8> = self
            .name
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let length = name.len() as u16;
        [&ticks.to_le_bytes()[..], &length.to_le_bytes(), &name].concat()
    }
}

/// A name as KDCs write it into a PAC: nothing is escaped, and no realm.
fn plain_name(client: &Principal) -> Vec<u8> {
    client.components().join(&b'/')
}
