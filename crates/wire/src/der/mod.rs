//! Strict DER (ITU-T X.690), as far as Kerberos and GSS-API need it.
//!
//! What is read borrows from the input, and a value has exactly one encoding: long lengths, padded integers, bits set in
//! the unused part of a BIT STRING, trailing bytes and unknown fields are errors. Types do not nest into themselves, so
//! the input cannot choose how deep a reader goes. Tag numbers stay below 31, which one identifier byte holds.
//!
//! [`sequence!`](crate::sequence) turns a table of fields into a type that reads and writes itself.

mod error;
mod flags;
mod integer;
mod sequence;
mod string;
mod time;

pub use error::DerError;
pub use flags::Flags;
pub use integer::{Const, Microseconds, Word};
pub use sequence::{Application, Extensions, Field, Fields};
pub use string::GeneralString;
pub use time::GeneralizedTime;

/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub const OBJECT_IDENTIFIER: u8 = 0x06;
/// GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;
/// GeneralString.
pub const GENERAL_STRING: u8 = 0x1b;
/// SEQUENCE and SEQUENCE OF.
pub const SEQUENCE: u8 = 0x30;

/// How many elements a SEQUENCE OF may have. No real message comes near it, and elements are larger in memory than in the
/// two bytes that some of them need on the wire: without a limit a message of 64 KiB would become one of megabytes.
pub const MAX_ELEMENTS: usize = 64;

/// The identifier byte of the constructed context-specific tag `number`, below 31.
pub const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The identifier byte of the constructed application tag `number`, below 31.
pub const fn application(number: u8) -> u8 {
    0x60 | number
}
/// A type with one tag and one encoding for each value.
pub trait Value<'a>: Sized {
    /// The identifier byte.
    const TAG: u8;

    /// Reads the value from the content of its encoding, all of it.
    fn decode_content(content: &'a [u8]) -> Result<Self, DerError>;

    /// How many bytes [`Self::encode_content`] writes.
    fn content_len(&self) -> usize;

    /// Writes the content to the end of `out`.
    fn encode_content(&self, out: &mut Vec<u8>);

    /// Reads the value from its encoding, with nothing behind it.
    fn decode(bytes: &'a [u8]) -> Result<Self, DerError> {
        Self::decode_content(only(Self::TAG, bytes)?)
    }

    /// How many bytes the encoding has.
    fn encoded_len(&self) -> usize {
        element_len(self.content_len())
    }

    /// Writes the encoding to the end of `out`.
    fn encode_to(&self, out: &mut Vec<u8>) {
        header(Self::TAG, self.content_len(), out);
        self.encode_content(out);
    }

    /// The encoding, in a vector that was never moved: no copy of a key is left behind.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_to(&mut out);
        out
    }
}

/// The tag and content of the first element of `bytes`, and what follows it.
pub fn element(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), DerError> {
    let (&tag, rest) = bytes.split_first().ok_or(DerError::Truncated)?;
    let (length, rest) = length(rest)?;
    let (content, rest) = rest.split_at_checked(length).ok_or(DerError::Truncated)?;
    Ok((tag, content, rest))
}

/// The content of the one element that `bytes` are, which must have this tag.
pub fn only(expected: u8, bytes: &[u8]) -> Result<&[u8], DerError> {
    match bytes.first() {
        Some(&found) if found != expected => return Err(DerError::Tag { expected, found }),
        _ => {}
    }
    let (_, content, rest) = element(bytes)?;
    if rest.is_empty() {
        Ok(content)
    } else {
        Err(DerError::Trailing)
    }
}

/// Writes the tag and length before a content of `length` bytes.
pub fn header(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
        return;
    }
    let bytes = length.to_be_bytes();
    let used = &bytes[length.leading_zeros() as usize / 8..];
    out.push(0x80 | used.len() as u8);
    out.extend_from_slice(used);
}

/// How many bytes an element with a content of `length` bytes has.
pub const fn element_len(length: usize) -> usize {
    let length_bytes = match length {
        0..0x80 => 1,
        _ => 1 + size_of::<usize>() - length.leading_zeros() as usize / 8,
    };
    1 + length_bytes + length
}

fn length(bytes: &[u8]) -> Result<(usize, &[u8]), DerError> {
    let (&first, rest) = bytes.split_first().ok_or(DerError::Truncated)?;
    let count = match first {
        0..0x80 => return Ok((usize::from(first), rest)),
        0x80 => return Err(DerError::IndefiniteLength),
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Err(DerError::HugeLength),
    };
    let (digits, rest) = rest.split_at_checked(count).ok_or(DerError::Truncated)?;
    let length = digits
        .iter()
        .fold(0, |length, &digit| length << 8 | u64::from(digit));
    if digits[0] == 0 || length < 0x80 {
        return Err(DerError::LongLength);
    }
    Ok((
        usize::try_from(length).map_err(|_| DerError::HugeLength)?,
        rest,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_form() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x100_0000] {
            let mut bytes = Vec::new();
            header(OCTET_STRING, length, &mut bytes);
            assert_eq!(bytes.len() + length, element_len(length), "{length}");
            assert_eq!(
                element(&bytes).err(),
                (length > 0).then_some(DerError::Truncated)
            );
            bytes.resize(bytes.len() + length, 7);
            assert_eq!(<&[u8]>::decode(&bytes).map(<[u8]>::len), Ok(length));
        }
        let cases: [(&[u8], DerError); 7] = [
            (&[4, 0x80, 0, 0], DerError::IndefiniteLength),
            (&[4, 0x81, 1, 9], DerError::LongLength),
            (&[4, 0x82, 0, 0x80], DerError::LongLength),
            (&[4, 0x84, 0xff, 0xff, 0xff, 0xff], DerError::Truncated),
            (&[4, 0x85, 1, 0, 0, 0, 0], DerError::HugeLength),
            (&[4, 0xff], DerError::HugeLength),
            (&[4], DerError::Truncated),
        ];
        for (bytes, error) in cases {
            assert_eq!(<&[u8]>::decode(bytes), Err(error), "{bytes:x?}");
        }
        assert_eq!(<&[u8]>::decode(&[]), Err(DerError::Truncated));
        assert_eq!(<&[u8]>::decode(&[4, 0, 0]), Err(DerError::Trailing));
    }
}
