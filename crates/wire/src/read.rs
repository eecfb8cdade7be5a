//! A reader that cannot run past its end.

use core::fmt;

/// Reads from the front of a slice; every method either gives what was asked for or consumes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Fewer bytes are left than the value needs.
    Short {
        /// Bytes the value needs.
        wanted: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// Bytes are left where the value must have ended.
    Trailing {
        /// Bytes that are left.
        left: usize,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { wanted, left } => write!(f, "{wanted} bytes wanted, {left} left"),
            Self::Trailing { left } => write!(f, "{left} bytes too many"),
        }
    }
}

impl core::error::Error for ReadError {}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read, without reading it.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have not been read.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(ReadError::Short {
            wanted: count,
            left: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(ReadError::Short {
            wanted: N,
            left: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, ReadError> {
        self.array().map(u8::from_be_bytes)
    }

    /// Two bytes, the most significant first.
    pub fn u16_be(&mut self) -> Result<u16, ReadError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes, the most significant first.
    pub fn u32_be(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, the most significant first.
    pub fn u64_be(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Two bytes, the least significant first.
    pub fn u16_le(&mut self) -> Result<u16, ReadError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, the least significant first.
    pub fn u32_le(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, the least significant first.
    pub fn u64_le(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Ends the reading: an error if anything is left.
    pub fn finish(self) -> Result<(), ReadError> {
        match self.left() {
            0 => Ok(()),
            left => Err(ReadError::Trailing { left }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_read_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(
            reader.u32_be(),
            Err(ReadError::Short { wanted: 4, left: 3 })
        );
        assert_eq!(
            reader.take(usize::MAX),
            Err(ReadError::Short {
                wanted: usize::MAX,
                left: 3
            })
        );
        assert_eq!(reader.u16_le(), Ok(0x0201));
        assert_eq!(reader.finish(), Err(ReadError::Trailing { left: 1 }));
        assert_eq!(reader.u8(), Ok(3));
        assert_eq!(reader.finish(), Ok(()));
    }
}
