//! What can go wrong.

use crate::MAX_ITERATIONS;

/// Why a key could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The bytes are not as many as a key of this enctype has.
    #[error("a key of this enctype has {wanted} bytes, not {found}")]
    KeyLength {
        /// Bytes a key of the enctype has.
        wanted: usize,
        /// Bytes there were.
        found: usize,
    },
    /// String-to-key parameters are four octets (RFC 3962 §4, RFC 8009 §4).
    #[error("string-to-key parameters are 4 octets, not {0}")]
    ParametersLength(usize),
    /// String-to-key parameters for an enctype that has none (RFC 3961 §6.3.1, RFC 4757 §2).
    #[error("this enctype has no string-to-key parameters, and there are {0} octets of them")]
    ParametersUnknown(usize),
    /// The password is not UTF-8, so there is no UTF-16 of it to hash (RFC 4757 §2).
    #[error("a password is UTF-8 text, and this one is not")]
    PasswordNotText,
    /// The iteration count is above [`MAX_ITERATIONS`]: whoever spoofs a KDC's answer could make the client compute for hours
    /// (RFC 3962 §8). A count of zero in the parameters means 2^32.
    #[error("{0} iterations asked for, at most {MAX_ITERATIONS} allowed")]
    TooManyIterations(u64),
    /// The iteration count is below the enctype's default: whoever spoofs a KDC's answer and reads what the client then
    /// encrypts could guess the password cheaply (RFC 3962 §8). MIT refuses the same.
    #[error("{found} iterations asked for, at least {least} wanted")]
    TooFewIterations {
        /// The enctype's default.
        least: u32,
        /// The count asked for.
        found: u32,
    },
}

/// Why a ciphertext or a checksum is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The ciphertext is shorter than its confounder and checksum.
    #[error("a ciphertext of this enctype has at least {wanted} bytes, not {found}")]
    TooShort {
        /// Bytes the shortest ciphertext has.
        wanted: usize,
        /// Bytes there were.
        found: usize,
    },
    /// The ciphertext is not made of the cipher's blocks.
    #[error("a ciphertext of this enctype is made of whole blocks, and {found} bytes are not")]
    PartialBlock {
        /// Bytes there were.
        found: usize,
    },
    /// The checksum is not as long as checksums of this type are.
    #[error("a checksum of this type has {wanted} bytes, not {found}")]
    ChecksumLength {
        /// Bytes a checksum of the type has.
        wanted: usize,
        /// Bytes there were.
        found: usize,
    },
    /// The checksum does not match: altered, made with another key, or for another key usage.
    #[error("integrity check failed")]
    Mismatch,
}
