//! The authenticator's checksum of type 0x8003, which carries flags and channel bindings (RFC 4121 §4.1.1).

use gss_core::bindings::ChannelBindings;
use gss_core::flags::Flags;
use md5::{Digest, Md5};
use wire::read::Reader;

use crate::error::{Local, Malformed};

/// The checksum's type.
pub(crate) const GSS_CHECKSUM: i32 = 0x8003;

/// The length of `Bnd`.
const HASH: usize = 16;
/// `Lgth`, `Bnd` and `Flags`.
const FIXED: usize = 4 + HASH + 4;
/// The flags that RFC 4121 §4.1.1.1 defines, delegation aside (which stands and falls with its field), and of the vendors' those that an acceptor learns from the initiator alone.
const DEFINED: Flags = Flags::from_bits(
    Flags::MUTUAL.bits()
        | Flags::REPLAY.bits()
        | Flags::SEQUENCE.bits()
        | Flags::CONF.bits()
        | Flags::INTEG.bits()
        | Flags::DCE_STYLE.bits()
        | Flags::IDENTIFY.bits()
        | Flags::EXTENDED_ERROR.bits(),
);
/// `Bnd`: MD5 over the fields, integers and lengths in 32 little-endian bits, or zeroes without bindings
/// (RFC 4121 §4.1.1.2).
pub(crate) type BindingsHash = [u8; HASH];

/// `Bnd` of a side that gave no bindings.
pub(crate) const NO_BINDINGS: BindingsHash = [0; HASH];

pub(crate) fn hash(bindings: Option<&ChannelBindings>) -> Result<BindingsHash, Local> {
    let Some(bindings) = bindings else {
        return Ok(NO_BINDINGS);
    };
    let mut hash = Md5::new();
    hash.update(bindings.initiator_address_type.to_le_bytes());
    put(&mut hash, &bindings.initiator_address)?;
    hash.update(bindings.acceptor_address_type.to_le_bytes());
    put(&mut hash, &bindings.acceptor_address)?;
    put(&mut hash, &bindings.application_data)?;
    Ok(hash.finalize().into())
}

fn put(hash: &mut Md5, bytes: &[u8]) -> Result<(), Local> {
    let length = u32::try_from(bytes.len()).map_err(|_| Local::BindingsTooLong)?;
    hash.update(length.to_le_bytes());
    hash.update(bytes);
    Ok(())
}

/// What the checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GssChecksum<'a> {
    pub(crate) bindings: BindingsHash,
    /// Those of the flags that are known here; unknown ones are ignored (RFC 4121 §4.1.1.1).
    pub(crate) flags: Flags,
    /// `Deleg`, a KRB-CRED, with its length.
    delegated: Option<(u16, &'a [u8])>,
}

impl<'a> GssChecksum<'a> {
    pub(crate) fn new(bindings: BindingsHash, flags: Flags) -> Self {
        Self {
            bindings,
            flags: flags & DEFINED,
            delegated: None,
        }
    }

    /// The same with delegated credentials, and their flag.
    pub(crate) fn delegating(self, message: &'a [u8]) -> Result<Self, Local> {
        let length = u16::try_from(message.len()).map_err(|_| Local::DelegatedTooLong)?;
        Ok(Self {
            flags: self.flags | Flags::DELEG,
            delegated: Some((length, message)),
            ..self
        })
    }

    /// The KRB-CRED with delegated credentials.
    pub(crate) fn delegated(&self) -> Option<&'a [u8]> {
        self.delegated.map(|(_, message)| message)
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED);
        bytes.extend_from_slice(&(HASH as u32).to_le_bytes());
        bytes.extend_from_slice(&self.bindings);
        bytes.extend_from_slice(&self.flags.bits().to_le_bytes());
        if let Some((length, message)) = self.delegated {
            bytes.extend_from_slice(&FOR_CREDS.to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(message);
        }
        bytes
    }

    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() < FIXED {
            return Err(Malformed::ChecksumShort);
        }
        let mut reader = Reader::new(bytes);
        let length = reader.u32_le().map_err(|_| Malformed::ChecksumShort)?;
        if length as usize != HASH {
            return Err(Malformed::BindingsLength);
        }
        let bindings = reader.array().map_err(|_| Malformed::ChecksumShort)?;
        let flags = Flags::from_bits(reader.u32_le().map_err(|_| Malformed::ChecksumShort)?);
        let delegated = delegation(&mut reader, flags)?;
        skip_extensions(&mut reader)?;
        Ok(Self {
            bindings,
            flags: flags & DEFINED | Flags::DELEG.when(delegated.is_some()),
            delegated,
        })
    }
}

/// `DlgOpt`.
const FOR_CREDS: u16 = 1;

/// `DlgOpt`, `Dlgth` and `Deleg`. As with MIT's library, a flag without the field is no delegation.
fn delegation<'a>(
    reader: &mut Reader<'a>,
    flags: Flags,
) -> Result<Option<(u16, &'a [u8])>, Malformed> {
    if !flags.contains(Flags::DELEG) || reader.left() < 4 {
        return Ok(None);
    }
    let mut part = || {
        let option = reader.u16_le()?;
        let length = reader.u16_le()?;
        reader
            .take(usize::from(length))
            .map(|message| (option, length, message))
    };
    match part() {
        Ok((FOR_CREDS, length, message)) => Ok(Some((length, message))),
        _ => Err(Malformed::ChecksumPart),
    }
}

/// `Exts`: a type and a length of 32 big-endian bits each (RFC 6542 §3.1). None is known here, so all are ignored.
fn skip_extensions(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    while !reader.is_empty() {
        let mut extension = || {
            reader.u32_be()?;
            let length = reader.u32_be()?;
            reader.take(length as usize)
        };
        extension().map_err(|_| Malformed::ChecksumPart)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_hash_as_the_standard_writes_them() {
        // Each integer and length in four little-endian bytes, zero ones too.
        let bindings = ChannelBindings {
            initiator_address_type: 2,
            initiator_address: vec![127, 0, 0, 1],
            acceptor_address_type: 0x0102_0304,
            acceptor_address: Vec::new(),
            application_data: b"tls-unique:x".to_vec(),
        };
        let bytes = [
            &[2, 0, 0, 0, 4, 0, 0, 0, 127, 0, 0, 1][..],
            &[4, 3, 2, 1, 0, 0, 0, 0, 12, 0, 0, 0],
            b"tls-unique:x",
        ]
        .concat();
        assert_eq!(hash(Some(&bindings)).unwrap(), *Md5::digest(bytes));
        assert_eq!(hash(None).unwrap(), NO_BINDINGS);
        let empty = ChannelBindings::default();
        assert_eq!(hash(Some(&empty)).unwrap(), *Md5::digest([0; 20]));
    }

    fn whole(flags: u32, rest: &[u8]) -> Vec<u8> {
        let hash = GssChecksum::new([7; 16], Flags::NONE).to_bytes();
        [&hash[..20], &flags.to_le_bytes(), rest].concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let checksum = GssChecksum::new([7; 16], Flags::from_bits(u32::MAX));
        assert_eq!(
            checksum.flags.bits(),
            0x703e,
            "only what RFC 4121 and Windows define is sent"
        );
        assert_eq!(GssChecksum::parse(&checksum.to_bytes()), Ok(checksum));
    }

    #[test]
    fn trap_6_each_part_of_the_checksum_is_found_by_its_length() {
        let credentials = [&[1, 0, 3, 0][..], b"abc"].concat();
        let extension = [&[0, 0, 0, 9, 0, 0, 0, 2][..], b"xy"].concat();
        let both = [&credentials[..], &extension, &extension].concat();
        for (flags, rest, result) in [
            (1, &both[..], Ok(())),
            (1, &credentials, Ok(())),
            (1, &[], Ok(())),
            (0, &extension, Ok(())),
            (0, &credentials, Err(Malformed::ChecksumPart)),
            (1, &[2, 0, 0, 0], Err(Malformed::ChecksumPart)),
            (1, &[1, 0, 1, 0], Err(Malformed::ChecksumPart)),
            (1, &[1, 0, 255, 255], Err(Malformed::ChecksumPart)),
            (
                0,
                &[0, 0, 0, 9, 255, 255, 255, 255],
                Err(Malformed::ChecksumPart),
            ),
            (0, &[0], Err(Malformed::ChecksumPart)),
        ] {
            let bytes = whole(flags, rest);
            let parsed = GssChecksum::parse(&bytes);
            assert_eq!(parsed.map(|_| ()), result, "{flags} {rest:x?}");
        }
    }

    #[test]
    fn no_cut_and_no_other_length_passes() {
        let bytes = whole(2, &[]);
        for cut in 0..bytes.len() {
            assert_eq!(
                GssChecksum::parse(&bytes[..cut]),
                Err(Malformed::ChecksumShort)
            );
        }
        for length in [0, 15, 17, u32::MAX] {
            let other = [&length.to_le_bytes()[..], &bytes[4..]].concat();
            assert_eq!(GssChecksum::parse(&other), Err(Malformed::BindingsLength));
        }
    }

    /// With credentials and two extensions behind it: only a cut between two parts leaves a checksum, and a flipped bit one
    /// that says what it says now.
    #[test]
    fn damage_is_an_error_or_what_the_bytes_say() {
        let credentials = [&[1, 0, 3, 0][..], b"abc"].concat();
        let extension = [&[0, 0, 0, 9, 0, 0, 0, 2][..], b"xy"].concat();
        let bytes = whole(0x3f, &[&credentials[..], &extension, &extension].concat());
        assert!(GssChecksum::parse(&bytes).is_ok());
        let passing: Vec<_> = (0..bytes.len())
            .filter(|&cut| GssChecksum::parse(&bytes[..cut]).is_ok())
            .collect();
        assert_eq!(passing, [24, 24 + 7, 24 + 7 + 10]);
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            if let Ok(parsed) = GssChecksum::parse(&other) {
                assert_eq!(other[..4], bytes[..4], "bit {bit}");
                assert_eq!(parsed.bindings, other[4..20], "bit {bit}");
                let flags = u32::from_le_bytes([other[20], other[21], other[22], other[23]]);
                let defined = Flags::from_bits(flags) & (DEFINED | Flags::DELEG);
                assert_eq!(parsed.flags, defined, "bit {bit}");
                let length = usize::from(u16::from_le_bytes([other[26], other[27]]));
                let delegated = defined
                    .contains(Flags::DELEG)
                    .then(|| &other[28..28 + length]);
                assert_eq!(parsed.delegated(), delegated, "bit {bit}");
            }
        }
    }
}
