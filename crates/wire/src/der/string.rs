//! OCTET STRING and GeneralString.

use core::fmt;

use super::{DerError, GENERAL_STRING, OCTET_STRING, Value};

/// An OCTET STRING.
impl<'a> Value<'a> for &'a [u8] {
    const TAG: u8 = OCTET_STRING;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        Ok(content)
    }

    fn content_len(&self) -> usize {
        self.len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// A GeneralString, of whatever bytes: peers write names in UTF-8 and in older 8-bit encodings.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GeneralString<'a>(pub &'a [u8]);

impl fmt::Debug for GeneralString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.0), f)
    }
}

impl<'a> Value<'a> for GeneralString<'a> {
    const TAG: u8 = GENERAL_STRING;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        Ok(Self(content))
    }

    fn content_len(&self) -> usize {
        self.0.len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}
