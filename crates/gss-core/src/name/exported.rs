//! Exported names (RFC 2743 §3.2): a mechanism's OID and its flat form of a name; and composite ones (RFC 6680 §7.8), which have the
//! name's attributes behind that.

use crate::oid::Oid;

const TOKEN: [u8; 2] = [0x04, 0x01];
const COMPOSITE_TOKEN: [u8; 2] = [0x04, 0x02];
const OBJECT_IDENTIFIER: u8 = 0x06;

/// Why a token is no exported name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportedError {
    /// It does not begin with 04 01, or 04 02 where it may be composite.
    #[error("the token does not begin as an exported name does")]
    TokenId,
    /// The mechanism's OID is not as RFC 2743 §3.2 has it.
    #[error("the exported name's mechanism is malformed")]
    Mechanism,
    /// The name, or what comes with it, does not end where the token does.
    #[error("a length in the exported name does not fit the token")]
    Length,
}

/// The parts of an exported name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported<'a> {
    /// Whose name it is.
    pub mechanism: Oid,
    /// The name in its mechanism's form.
    pub name: &'a [u8],
    /// The attributes of a composite name in its mechanism's form; empty if there are none.
    pub attributes: &'a [u8],
}

/// The token of a name: `GSS_Export_name`.
pub fn export(mechanism: &Oid, name: &[u8]) -> Vec<u8> {
    write(TOKEN, mechanism, &[name])
}

/// The token of a name with its attributes: `GSS_Export_name_composite`, laid out as MIT's library does it.
pub fn export_composite(mechanism: &Oid, name: &[u8], attributes: &[u8]) -> Vec<u8> {
    write(COMPOSITE_TOKEN, mechanism, &[name, attributes])
}

fn write(token_id: [u8; 2], mechanism: &Oid, parts: &[&[u8]]) -> Vec<u8> {
    let oid = mechanism.bytes();
    let length: usize = parts.iter().map(|part| 4 + part.len()).sum();
    let mut out = Vec::with_capacity(6 + oid.len() + length);
    out.extend_from_slice(&token_id);
    out.extend_from_slice(&(oid.len() as u16 + 2).to_be_bytes());
    // An OID has fewer octets here than a long length needs.
    out.extend_from_slice(&[OBJECT_IDENTIFIER, oid.len() as u8]);
    out.extend_from_slice(oid);
    for part in parts {
        out.extend_from_slice(&(part.len() as u32).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

impl<'a> Exported<'a> {
    /// Reads a token of [`export`].
    pub fn parse(token: &'a [u8]) -> Result<Self, ExportedError> {
        let rest = token.strip_prefix(&TOKEN).ok_or(ExportedError::TokenId)?;
        let (mechanism, rest) = mechanism(rest)?;
        let (name, rest) = part(rest)?;
        Self::of(mechanism, name, &[], rest)
    }

    /// Reads a token of [`export_composite`], or one of [`export`], which has no attributes.
    pub fn parse_composite(token: &'a [u8]) -> Result<Self, ExportedError> {
        let Some(rest) = token.strip_prefix(&COMPOSITE_TOKEN) else {
            return Self::parse(token);
        };
        let (mechanism, rest) = mechanism(rest)?;
        let (name, rest) = part(rest)?;
        let (attributes, rest) = part(rest)?;
        Self::of(mechanism, name, attributes, rest)
    }

    fn of(
        mechanism: Oid,
        name: &'a [u8],
        attributes: &'a [u8],
        rest: &[u8],
    ) -> Result<Self, ExportedError> {
        if name.is_empty() || !rest.is_empty() {
            return Err(ExportedError::Length);
        }
        Ok(Self {
            mechanism,
            name,
            attributes,
        })
    }
}

fn mechanism(token: &[u8]) -> Result<(Oid, &[u8]), ExportedError> {
    let read = || {
        let (length, rest) = token.split_first_chunk::<2>()?;
        let (oid, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let (head, contents) = oid.split_first_chunk::<2>()?;
        let whole = *head == [OBJECT_IDENTIFIER, u8::try_from(contents.len()).ok()?];
        let oid = Oid::from_bytes(contents).ok()?;
        whole.then_some((oid, rest))
    };
    read().ok_or(ExportedError::Mechanism)
}

fn part(token: &[u8]) -> Result<(&[u8], &[u8]), ExportedError> {
    let read = || {
        let (length, rest) = token.split_first_chunk::<4>()?;
        rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
    };
    read().ok_or(ExportedError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_laid_out_as_the_standard_says() {
        let token = export(&Oid::KRB5, b"alice@R");
        let mut expected = b"\x04\x01\x00\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02".to_vec();
        expected.extend_from_slice(b"\x00\x00\x00\x07alice@R");
        assert_eq!(token, expected);
        let composite = export_composite(&Oid::KRB5, b"alice@R", b"");
        assert_eq!(composite[..2], [0x04, 0x02]);
        assert_eq!(composite[2..token.len()], token[2..]);
        assert_eq!(composite[token.len()..], [0; 4]);
    }

    #[test]
    fn a_token_comes_back_and_no_other() {
        let plain = export(&Oid::KRB5, b"alice@R");
        let composite = export_composite(&Oid::SPNEGO, b"alice@R", b"more");
        for token in [&plain, &composite] {
            let read = Exported::parse_composite(token).unwrap();
            let again = match read.attributes {
                [] => export(&read.mechanism, read.name),
                _ => export_composite(&read.mechanism, read.name, read.attributes),
            };
            assert_eq!(again, *token);
            for cut in 0..token.len() {
                assert!(
                    Exported::parse_composite(&token[..cut]).is_err(),
                    "cut to {cut}"
                );
            }
            let longer = [&token[..], b"x"].concat();
            assert_eq!(
                Exported::parse_composite(&longer),
                Err(ExportedError::Length)
            );
            for bit in 0..token.len() * 8 {
                let mut other = token.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                if let Ok(other) = Exported::parse_composite(&other) {
                    assert_ne!(other, read, "bit {bit}");
                }
            }
        }
        assert_eq!(Exported::parse(&composite), Err(ExportedError::TokenId));
    }

    #[test]
    fn a_name_has_letters_and_its_mechanism_one_encoding() {
        let empty = export(&Oid::KRB5, b"");
        assert_eq!(Exported::parse(&empty), Err(ExportedError::Length));
        let other = b"\x04\x01\x00\x04\x06\x81\x01\x2a\x00\x00\x00\x01x";
        assert_eq!(Exported::parse(other), Err(ExportedError::Mechanism));
        let padded = b"\x04\x01\x00\x04\x06\x02\x80\x01\x00\x00\x00\x01x";
        assert_eq!(Exported::parse(padded), Err(ExportedError::Mechanism));
    }
}
