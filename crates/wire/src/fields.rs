//! Versioned field tables: what travels between two versions of this software.
//!
//! A table is one version byte and then fields in strictly ascending order of their numbers, each
//! `number: u8, length: varint, value`. There is one encoding for each value, so a reader that writes again gets
//! the same bytes. A field that a reader does not know is an error: state that one side would drop unseen is worse than
//! a refusal.

use core::fmt;

use crate::read::{ReadError, Reader};

/// Writes a table to the end of a vector.
///
/// A table that holds keys is written into a vector that wipes itself, with its capacity reserved beforehand, because
/// a vector that grows leaves its old bytes behind.
pub struct FieldWriter<'a> {
    out: &'a mut Vec<u8>,
    last: Option<u8>,
}

impl<'a> FieldWriter<'a> {
    /// Begins a table of `version`.
    pub fn new(out: &'a mut Vec<u8>, version: u8) -> Self {
        out.push(version);
        Self { out, last: None }
    }

    /// Adds the field `number`.
    ///
    /// # Panics
    /// If `number` is not above every number before it: the order is the program's, never the input's.
    pub fn bytes(&mut self, number: u8, value: &[u8]) -> &mut Self {
        assert!(
            self.last.is_none_or(|last| last < number),
            "field {number} out of order"
        );
        self.last = Some(number);
        self.out.push(number);
        let mut length = value.len();
        while length >= 0x80 {
            self.out.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.out.push(length as u8);
        self.out.extend_from_slice(value);
        self
    }

    /// Adds `value` in as few bytes as it needs, the least significant first; zero needs none.
    pub fn number(&mut self, number: u8, value: u64) -> &mut Self {
        let used = 8 - value.leading_zeros() as usize / 8;
        self.bytes(number, &value.to_le_bytes()[..used])
    }
}

/// Why a table could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// The table ends within a field.
    Read(ReadError),
    /// The table is of a version this reader does not know.
    Version(u8),
    /// A field's length or number is not in its one allowed encoding.
    NotCanonical(u8),
    /// The field has to be there and is not.
    Missing(u8),
    /// The field is not one this reader knows here.
    Unknown(u8),
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(cause) => write!(f, "the field table is cut: {cause}"),
            Self::Version(version) => write!(f, "version {version} of the field table is unknown"),
            Self::NotCanonical(number) => write!(f, "field {number} is not in its one encoding"),
            Self::Missing(number) => write!(f, "field {number} is missing"),
            Self::Unknown(number) => write!(f, "field {number} is unknown or out of order"),
        }
    }
}

impl core::error::Error for FieldError {}

impl From<ReadError> for FieldError {
    fn from(cause: ReadError) -> Self {
        Self::Read(cause)
    }
}

/// Reads a table's fields in their order; the caller asks for each it knows and then [finishes](Self::finish).
pub struct FieldReader<'a> {
    reader: Reader<'a>,
    next: Option<(u8, &'a [u8])>,
}

impl<'a> FieldReader<'a> {
    /// Begins to read a table, which must be of `version`.
    pub fn new(bytes: &'a [u8], version: u8) -> Result<Self, FieldError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            found if found == version => {}
            found => return Err(FieldError::Version(found)),
        }
        let mut fields = Self { reader, next: None };
        fields.advance(None)?;
        Ok(fields)
    }

    /// The field `number` if it is the next one.
    pub fn optional(&mut self, number: u8) -> Result<Option<&'a [u8]>, FieldError> {
        match self.next {
            Some((found, value)) if found == number => {
                self.advance(Some(found))?;
                Ok(Some(value))
            }
            _ => Ok(None),
        }
    }

    /// The field `number`, which must be the next one.
    pub fn bytes(&mut self, number: u8) -> Result<&'a [u8], FieldError> {
        self.optional(number)?.ok_or(FieldError::Missing(number))
    }

    /// The field `number`, of exactly `N` bytes.
    pub fn array<const N: usize>(&mut self, number: u8) -> Result<[u8; N], FieldError> {
        let value = self.bytes(number)?;
        value
            .try_into()
            .map_err(|_| FieldError::NotCanonical(number))
    }

    /// The field `number` as [`FieldWriter::number`] wrote it.
    pub fn number(&mut self, number: u8) -> Result<u64, FieldError> {
        self.optional_number(number)?
            .ok_or(FieldError::Missing(number))
    }

    /// The same, if it is the next one.
    pub fn optional_number(&mut self, number: u8) -> Result<Option<u64>, FieldError> {
        let Some(value) = self.optional(number)? else {
            return Ok(None);
        };
        if value.len() > 8 || value.last() == Some(&0) {
            return Err(FieldError::NotCanonical(number));
        }
        let mut bytes = [0; 8];
        bytes[..value.len()].copy_from_slice(value);
        Ok(Some(u64::from_le_bytes(bytes)))
    }

    /// Ends the reading: an error if a field is left.
    pub fn finish(self) -> Result<(), FieldError> {
        match self.next {
            None => Ok(()),
            Some((number, _)) => Err(FieldError::Unknown(number)),
        }
    }

    fn advance(&mut self, last: Option<u8>) -> Result<(), FieldError> {
        self.next = None;
        if self.reader.is_empty() {
            return Ok(());
        }
        let number = self.reader.u8()?;
        if last.is_some_and(|last| number <= last) {
            return Err(FieldError::Unknown(number));
        }
        let length = self.length(number)?;
        self.next = Some((number, self.reader.take(length)?));
        Ok(())
    }

    fn length(&mut self, number: u8) -> Result<usize, FieldError> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.reader.u8()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let shortest = shift == 0 || byte != 0;
                return if shortest {
                    Ok(length)
                } else {
                    Err(FieldError::NotCanonical(number))
                };
            }
        }
        Err(FieldError::NotCanonical(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<u8> {
        let mut out = Vec::new();
        FieldWriter::new(&mut out, 3)
            .bytes(1, b"name")
            .number(2, 0)
            .number(4, 0x1_0000)
            .bytes(9, &[7; 200]);
        out
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>, FieldError> {
        let mut fields = FieldReader::new(bytes, 3)?;
        let (name, zero, third) = (fields.bytes(1)?, fields.number(2)?, fields.optional(3)?);
        let (number, long) = (fields.number(4)?, fields.array::<200>(9)?);
        fields.finish()?;
        let mut out = Vec::new();
        let mut writer = FieldWriter::new(&mut out, 3);
        writer.bytes(1, name).number(2, zero);
        if let Some(third) = third {
            writer.bytes(3, third);
        }
        writer.number(4, number).bytes(9, &long);
        Ok(out)
    }

    #[test]
    fn a_table_has_one_encoding() {
        let bytes = table();
        assert_eq!(read(&bytes), Ok(bytes.clone()));
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut to {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            if let Ok(again) = read(&other) {
                assert_eq!(again, other, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_number_has_one_encoding_and_may_be_absent() {
        let read = |value: &[u8]| {
            let mut bytes = Vec::new();
            FieldWriter::new(&mut bytes, 3).bytes(2, value);
            let mut fields = FieldReader::new(&bytes, 3)?;
            assert_eq!(fields.optional_number(1), Ok(None));
            let number = fields.optional_number(2)?;
            assert_eq!(fields.optional_number(2), Ok(None));
            assert_eq!(fields.number(2), Err(FieldError::Missing(2)));
            Ok(number)
        };
        for number in [0, 1, 0xff, 0x100, 0x1_0000, u64::MAX] {
            let used = 8 - number.leading_zeros() as usize / 8;
            let bytes = number.to_le_bytes();
            assert_eq!(read(&bytes[..used]), Ok(Some(number)));
            if used < 8 {
                let longer = read(&bytes[..=used]);
                assert_eq!(longer, Err(FieldError::NotCanonical(2)));
            }
        }
        assert_eq!(read(&[1; 9]), Err(FieldError::NotCanonical(2)));
    }

    #[test]
    fn what_a_reader_does_not_know_is_refused() {
        let mut longer = table();
        longer.extend([10, 0]);
        assert_eq!(read(&longer), Err(FieldError::Unknown(10)));
        assert_eq!(read(&[4]), Err(FieldError::Version(4)));
        assert_eq!(read(&[3, 1, 0x80, 0]), Err(FieldError::NotCanonical(1)));
        assert_eq!(
            read(&[3, 1, 0xff, 0xff, 0xff, 0xff, 1]),
            Err(FieldError::NotCanonical(1))
        );
    }
}
