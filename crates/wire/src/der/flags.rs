//! BIT STRING, as flags.

use core::fmt;

use super::{BIT_STRING, DerError, Value};

/// A BIT STRING of flags: at least 32 bits are sent, more only up to the last that is set (RFC 4120 §5.2.8).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u64);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Bits 0 to 31, bit 0 being the most significant one.
    pub const fn from_bits(bits: u32) -> Self {
        Self((bits as u64) << 32)
    }

    /// Bits 0 to 31, bit 0 being the most significant one.
    pub const fn bits(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether all of `bits` are set.
    pub const fn contains(self, bits: u32) -> bool {
        self.bits() & bits == bits
    }

    /// These flags and `bits`.
    pub const fn with(self, bits: u32) -> Self {
        Self(self.0 | (bits as u64) << 32)
    }

    /// These flags but `bits`.
    pub const fn without(self, bits: u32) -> Self {
        Self(self.0 & !((bits as u64) << 32))
    }

    fn bit_len(self) -> usize {
        32.max(64 - self.0.trailing_zeros() as usize)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.bits())
    }
}

impl Value<'_> for Flags {
    const TAG: u8 = BIT_STRING;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        let bits = bit_string(content)?;
        if bits.len() > 8 {
            return Err(DerError::FlagsLength);
        }
        let mut bytes = [0; 8];
        bytes[..bits.len()].copy_from_slice(bits);
        let flags = Self(u64::from_be_bytes(bytes));
        let sent = bits.len() * 8 - usize::from(content[0]);
        if sent == flags.bit_len() {
            Ok(flags)
        } else {
            Err(DerError::FlagsLength)
        }
    }

    fn content_len(&self) -> usize {
        1 + self.bit_len().div_ceil(8)
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        let bytes = self.bit_len().div_ceil(8);
        out.push((bytes * 8 - self.bit_len()) as u8);
        out.extend_from_slice(&self.0.to_be_bytes()[..bytes]);
    }
}

fn bit_string(content: &[u8]) -> Result<&[u8], DerError> {
    let (&unused, bits) = content.split_first().ok_or(DerError::UnusedBits)?;
    match bits.last() {
        _ if unused > 7 => Err(DerError::UnusedBits),
        None if unused > 0 => Err(DerError::UnusedBits),
        Some(last) if last.trailing_zeros() < u32::from(unused) => Err(DerError::UnusedBitSet),
        _ => Ok(bits),
    }
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
    fn flags_are_32_bits_or_what_they_need() {
        let flags = Flags::from_bits(0x4000_0010);
        assert_eq!(round(&flags), [3, 5, 0, 0x40, 0, 0, 0x10]);
        assert_eq!(Flags::decode(&[3, 5, 0, 0x40, 0, 0, 0x10]), Ok(flags));
        assert_eq!(round(&Flags::NONE), [3, 5, 0, 0, 0, 0, 0]);
        assert!(flags.contains(0x10) && !flags.contains(0x30));
        assert_eq!(flags.with(0x20).without(0x4000_0010).bits(), 0x20);
        let longer = [3, 6, 6, 0, 0, 0, 1, 0x40];
        assert_eq!(
            Flags::decode(&longer).map(|flags| round(&flags)),
            Ok(longer.to_vec())
        );
        let refused: [(&[u8], DerError); 7] = [
            (&[3, 0], DerError::UnusedBits),
            (&[3, 1, 1], DerError::UnusedBits),
            (&[3, 1, 0], DerError::FlagsLength),
            (&[3, 5, 8, 0, 0, 0, 0], DerError::UnusedBits),
            (&[3, 5, 1, 0, 0, 0, 1], DerError::UnusedBitSet),
            (&[3, 6, 0, 0, 0, 0, 1, 0x40], DerError::FlagsLength),
            (
                &[3, 10, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
                DerError::FlagsLength,
            ),
        ];
        for (bytes, error) in refused {
            assert_eq!(Flags::decode(bytes), Err(error), "{bytes:x?}");
        }
    }
}
