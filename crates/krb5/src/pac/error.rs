//! Why a PAC is none, or not one to be believed.

use thiserror::Error;

/// What is wrong with a PAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacError {
    /// It ends within its table.
    #[error("the PAC ends within its table")]
    Truncated,
    /// A version other than 0.
    #[error("version {0} of the PAC is not known")]
    Version(u32),
    /// No buffers, or more than [`MAX_BUFFERS`](super::MAX_BUFFERS).
    #[error("the PAC says that it has no buffers, or too many")]
    Count,
    /// A buffer lies within the table or beyond the end.
    #[error("the PAC's buffer of type {0} does not lie within it")]
    Bounds(u32),
    /// A buffer does not begin at a multiple of 8.
    #[error("the PAC's buffer of type {0} is not aligned")]
    Alignment(u32),
    /// A buffer lies across another.
    #[error("the PAC's buffer of type {0} overlaps another")]
    Overlap(u32),
    /// Two buffers of one type.
    #[error("the PAC has two buffers of type {0}")]
    Twice(u32),
    /// A buffer that has to be there is not.
    #[error("the PAC has no buffer of type {0}")]
    Missing(u32),
    /// The client's name and time do not have their form.
    #[error("the PAC's client information is malformed")]
    ClientInfo,
    /// A signature without a type, or shorter than its type says.
    #[error("the PAC's signature of type {0} is too short")]
    ShortSignature(u32),
    /// A signature of another type than the key's.
    #[error(
        "the PAC's signature is of type {found}, that of the ticket's key would be of type {wanted}"
    )]
    SignatureType {
        /// The type that it says.
        found: i32,
        /// The type that the key's enctype has.
        wanted: i32,
    },
    /// The signature is not one of this PAC under this key.
    #[error("the PAC's signature is not one under the ticket's key")]
    Signature,
    /// It is another client's.
    #[error("the PAC is of another client than the ticket")]
    OtherClient,
    /// It is of another time.
    #[error("the PAC is of another time than the ticket")]
    OtherTime,
}
