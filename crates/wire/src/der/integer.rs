//! INTEGER, and the types that Kerberos makes of it.

use core::fmt;

use super::{DerError, INTEGER, Value};
use crate::time::Timestamp;

/// An INTEGER of 32 bits with a sign.
impl Value<'_> for i32 {
    const TAG: u8 = INTEGER;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        Self::try_from(integer(content)?).map_err(|_| DerError::IntegerRange)
    }

    fn content_len(&self) -> usize {
        integer_len(i64::from(*self))
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        write_integer(i64::from(*self), out);
    }
}

/// An INTEGER that stands for 32 bits: a version number of a key, a sequence number, a nonce.
///
/// The standard writes them without sign, some peers with one (RFC 4120 §5.5.1 warns of it); both are read, and a value
/// that came with a sign is written with it, so that what was signed stays what it was. Comparison is by the bits.
#[derive(Clone, Copy)]
pub struct Word(i64);

impl Word {
    /// The 32 bits.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

impl From<u32> for Word {
    fn from(bits: u32) -> Self {
        Self(i64::from(bits))
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Word {}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bits().fmt(f)
    }
}

impl Value<'_> for Word {
    const TAG: u8 = INTEGER;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        let value = integer(content)?;
        if (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&value) {
            Ok(Self(value))
        } else {
            Err(DerError::IntegerRange)
        }
    }

    fn content_len(&self) -> usize {
        integer_len(self.0)
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        write_integer(self.0, out);
    }
}

/// Microseconds of a second: an INTEGER from 0 to 999,999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Microseconds(u32);

impl Microseconds {
    /// The microseconds.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The part of a moment below its second.
impl From<Timestamp> for Microseconds {
    fn from(time: Timestamp) -> Self {
        Self(time.subsec_micros())
    }
}

impl Value<'_> for Microseconds {
    const TAG: u8 = INTEGER;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        match integer(content)? {
            value @ 0..=999_999 => Ok(Self(value as u32)),
            _ => Err(DerError::IntegerRange),
        }
    }

    fn content_len(&self) -> usize {
        integer_len(i64::from(self.0))
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        write_integer(i64::from(self.0), out);
    }
}

/// An INTEGER whose one value is `N`, such as a protocol's version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Const<const N: i32>;

impl<const N: i32> Value<'_> for Const<N> {
    const TAG: u8 = INTEGER;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        match i32::decode_content(content)? {
            found if found == N => Ok(Self),
            found => Err(DerError::Constant { expected: N, found }),
        }
    }

    fn content_len(&self) -> usize {
        N.content_len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        N.encode_content(out);
    }
}

fn integer(content: &[u8]) -> Result<i64, DerError> {
    match content {
        [] => return Err(DerError::EmptyInteger),
        [0x00, second, ..] if second & 0x80 == 0 => return Err(DerError::LongInteger),
        [0xff, second, ..] if second & 0x80 != 0 => return Err(DerError::LongInteger),
        _ if content.len() > 8 => return Err(DerError::IntegerRange),
        _ => {}
    }
    let sign = if content[0] & 0x80 == 0 { 0 } else { -1 };
    Ok(content
        .iter()
        .fold(sign, |value, &byte| value << 8 | i64::from(byte)))
}

fn integer_len(value: i64) -> usize {
    let magnitude = if value < 0 { !value } else { value };
    (64 - magnitude.leading_zeros() as usize) / 8 + 1
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes()[8 - integer_len(value)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round<'a, T: Value<'a>>(value: &T) -> Vec<u8> {
        let bytes = value.encode();
        assert_eq!(bytes.len(), value.encoded_len());
        bytes
    }

    #[test]
    fn integers_have_one_form() {
        let values = [0, 1, 127, 128, 255, 256, 32_767, 32_768, i32::MAX];
        for value in values.into_iter().flat_map(|value| [value, -value, !value]) {
            let bytes = round(&value);
            assert_eq!(i32::decode(&bytes), Ok(value), "{bytes:x?}");
        }
        assert_eq!(128.encode(), [2, 2, 0, 128]);
        assert_eq!((-128).encode(), [2, 1, 128]);
        let cases: [(&[u8], DerError); 6] = [
            (&[2, 0], DerError::EmptyInteger),
            (&[2, 2, 0, 1], DerError::LongInteger),
            (&[2, 2, 0xff, 0x80], DerError::LongInteger),
            (&[2, 5, 0, 0x80, 0, 0, 0], DerError::IntegerRange),
            (
                &[2, 5, 0xff, 0x7f, 0xff, 0xff, 0xff],
                DerError::IntegerRange,
            ),
            (&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0], DerError::IntegerRange),
        ];
        for (bytes, error) in cases {
            assert_eq!(i32::decode(bytes), Err(error), "{bytes:x?}");
        }
    }

    #[test]
    fn a_word_is_read_with_and_without_sign() {
        let unsigned = [2, 5, 0, 0xff, 0, 0, 0];
        let signed = [2, 4, 0xff, 0, 0, 0];
        let (a, b) = (
            Word::decode(&unsigned).unwrap(),
            Word::decode(&signed).unwrap(),
        );
        assert_eq!((a.bits(), b.bits(), a), (0xff00_0000, 0xff00_0000, b));
        assert_eq!((round(&a), round(&b)), (unsigned.to_vec(), signed.to_vec()));
        assert_eq!(round(&Word::from(0xff00_0000)), unsigned);
        assert_eq!(
            Word::decode(&[2, 5, 1, 0, 0, 0, 0]),
            Err(DerError::IntegerRange)
        );
        assert_eq!(
            Word::decode(&[2, 5, 0xff, 0x7f, 0xff, 0xff, 0xff]),
            Err(DerError::IntegerRange)
        );
    }

    #[test]
    fn microseconds_stay_below_a_second() {
        assert_eq!(
            Microseconds::decode(&[2, 3, 0x0f, 0x42, 0x3f]).map(|m| m.get()),
            Ok(999_999)
        );
        assert_eq!(
            Microseconds::decode(&[2, 3, 0x0f, 0x42, 0x40]),
            Err(DerError::IntegerRange)
        );
        assert_eq!(
            Microseconds::decode(&[2, 1, 0xff]),
            Err(DerError::IntegerRange)
        );
    }
}
