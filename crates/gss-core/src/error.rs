//! Status (RFC 2743 §1.2.1.1, RFC 2744 §3.9.1) and the error that carries it, with its cause.

use std::error::Error as StdError;
use std::fmt;

/// A major status that is an error: the routine errors and calling errors of RFC 2744 §3.9.1 that this software gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Major {
    /// `GSS_S_BAD_MECH`: the mechanism is not one of ours.
    BadMech = 1 << 16,
    /// `GSS_S_BAD_NAME`: the name is invalid.
    BadName = 2 << 16,
    /// `GSS_S_BAD_NAMETYPE`: names of this type are not supported.
    BadNameType = 3 << 16,
    /// `GSS_S_BAD_BINDINGS`: the channel bindings differ.
    BadBindings = 4 << 16,
    /// `GSS_S_BAD_STATUS`: the status code is invalid.
    BadStatus = 5 << 16,
    /// `GSS_S_BAD_MIC`: the integrity check failed.
    BadMic = 6 << 16,
    /// `GSS_S_NO_CRED`: no credentials, or not accessible.
    NoCred = 7 << 16,
    /// `GSS_S_NO_CONTEXT`: no such context, or not established, or no longer here.
    NoContext = 8 << 16,
    /// `GSS_S_DEFECTIVE_TOKEN`: the token is not well formed.
    DefectiveToken = 9 << 16,
    /// `GSS_S_DEFECTIVE_CREDENTIAL`: the credential is not well formed.
    DefectiveCredential = 10 << 16,
    /// `GSS_S_CREDENTIALS_EXPIRED`: the credentials have expired.
    CredentialsExpired = 11 << 16,
    /// `GSS_S_CONTEXT_EXPIRED`: the context has expired.
    ContextExpired = 12 << 16,
    /// `GSS_S_FAILURE`: see the cause.
    Failure = 13 << 16,
    /// `GSS_S_BAD_QOP`: the quality of protection is not supported.
    BadQop = 14 << 16,
    /// `GSS_S_UNAUTHORIZED`: local policy forbids it.
    Unauthorized = 15 << 16,
    /// `GSS_S_UNAVAILABLE`: not available here.
    Unavailable = 16 << 16,
    /// `GSS_S_DUPLICATE_ELEMENT`: the credential, or the place to store it, has such an element already.
    DuplicateElement = 17 << 16,
    /// `GSS_S_NAME_NOT_MN`: the name is no mechanism's name.
    NameNotMn = 18 << 16,
}

impl Major {
    /// The number in C (RFC 2744 §3.9.1).
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// What RFC 2744 §3.9.1 says of it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::BadMech => "an unsupported mechanism was requested",
            Self::BadName => "an invalid name was supplied",
            Self::BadNameType => "a supplied name was of an unsupported type",
            Self::BadBindings => "incorrect channel bindings were supplied",
            Self::BadStatus => "an invalid status code was supplied",
            Self::BadMic => "a token had an invalid integrity check",
            Self::NoCred => {
                "no credentials were supplied, or the credentials were unavailable or inaccessible"
            }
            Self::NoContext => "no context has been established, or it is no longer here",
            Self::DefectiveToken => "a token was invalid",
            Self::DefectiveCredential => "a credential was invalid",
            Self::CredentialsExpired => "the referenced credentials have expired",
            Self::ContextExpired => "the context has expired",
            Self::Failure => "failure",
            Self::BadQop => "the quality of protection could not be provided",
            Self::Unauthorized => "the operation is forbidden by local security policy",
            Self::Unavailable => "the operation or option is not available",
            Self::DuplicateElement => "the requested credential element already exists",
            Self::NameNotMn => "the provided name was not a mechanism name",
        }
    }
}

/// A bit of information beside a routine error or beside success (RFC 2743 §1.2.1.1). An error that stems from a replay carries
/// one, and always has a routine part too, because alone such a bit does not trip C's `GSS_ERROR` (RFC 2744 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Supplementary {
    /// `GSS_S_DUPLICATE_TOKEN`: the token was seen before.
    DuplicateToken = 1 << 1,
    /// `GSS_S_OLD_TOKEN`: the token is too old to tell whether it was seen before.
    OldToken = 1 << 2,
    /// `GSS_S_UNSEQ_TOKEN`: a later token has been processed already.
    UnseqToken = 1 << 3,
    /// `GSS_S_GAP_TOKEN`: an expected token was not received.
    GapToken = 1 << 4,
}

/// Why a GSS-API call failed: the status that a program acts on, and the cause that a person reads.
#[derive(Debug)]
pub struct Error {
    major: Major,
    supplementary: Option<Supplementary>,
    minor: u32,
    cause: Box<dyn StdError + Send + Sync>,
}

impl Error {
    /// An error of status `major` because of `cause`; the minor code is 0 until [set](Self::with_minor).
    pub fn new(major: Major, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            major,
            supplementary: None,
            minor: 0,
            cause: cause.into(),
        }
    }

    /// The same error with the mechanism's own code (RFC 2744 §3.9.2).
    #[must_use]
    pub fn with_minor(mut self, minor: u32) -> Self {
        self.minor = minor;
        self
    }

    /// The same error with a bit beside its routine part.
    #[must_use]
    pub fn with_supplementary(mut self, bit: Supplementary) -> Self {
        self.supplementary = Some(bit);
        self
    }

    /// The routine error.
    pub const fn major(&self) -> Major {
        self.major
    }

    /// The bit beside it, if any.
    pub const fn supplementary(&self) -> Option<Supplementary> {
        self.supplementary
    }

    /// The mechanism's own code.
    pub const fn minor(&self) -> u32 {
        self.minor
    }

    /// The mechanism's own error, if it is a `T`.
    pub fn cause<T: StdError + 'static>(&self) -> Option<&T> {
        self.cause.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.major.text())?;
        let mut cause: Option<&dyn StdError> = Some(&*self.cause);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {}
