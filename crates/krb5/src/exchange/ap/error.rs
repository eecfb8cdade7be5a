//! The rules of the AP exchange, one variant each, and the KRB-ERROR code of each.

use std::time::Duration;

use krb5_crypto::{CryptoError, Enctype};
use wire::der::{DerError, application};
use wire::time::Timestamp;

use super::acceptable::Acceptable;
use crate::exchange::transited::TransitedError;
use crate::messages::error_code as code;
use crate::principal::Principal;

/// Why the AP exchange failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApError {
    /// The message, or a part of it that was decrypted, is not DER of its type.
    #[error("the message is malformed: {0}")]
    Malformed(DerError),
    /// `pvno`, `tkt-vno` or `authenticator-vno` is not 5.
    #[error("the message is of version {found}, not 5")]
    BadVersion {
        /// The version it has.
        found: i32,
    },
    /// The message is not of the type expected.
    #[error("the message is of another type")]
    MessageType,
    /// The request wants user-to-user authentication (RFC 4120 §3.7), which takes a TGT that an acceptor here has not.
    #[error("user-to-user authentication is not supported")]
    UserToUser,
    /// The keytab has no key of the ticket's server and enctype.
    #[error("no key for {server} {}", enctype(.etype))]
    NoKey {
        /// The ticket's server, or the one that was asked for.
        server: Principal,
        /// The ticket's enctype.
        etype: i32,
    },
    /// The keytab has keys of the server, but none of the ticket's version.
    #[error("no key for {server} kvno {kvno} {}; the newest here has kvno {newest}", enctype(.etype))]
    BadKeyVersion {
        /// The ticket's server, or the one that was asked for.
        server: Principal,
        /// The ticket's enctype.
        etype: i32,
        /// The ticket's key version.
        kvno: u32,
        /// The newest version in the keytab.
        newest: u32,
    },
    /// The ticket is for a service that this acceptor is not for.
    #[error("the ticket is for {server}, and only tickets for {acceptable} are accepted")]
    NotUs {
        /// The ticket's server.
        server: Principal,
        /// What is accepted.
        acceptable: Acceptable,
    },
    /// No key opens the ticket: it was altered, or is under another key.
    #[error("the ticket's integrity check failed: altered, or under another key")]
    TicketIntegrity,
    /// The session key, or a subkey, is of an enctype that is not supported.
    #[error("keys of enctype {0} are not supported")]
    KeyEnctype(i32),
    /// The session key, or a subkey, is of an enctype that the configuration does not permit.
    #[error("keys of {} are not permitted here", enctype(.0))]
    EnctypeNotPermitted(i32),
    /// The session key, or a subkey, is not a key of its enctype.
    #[error("the peer sent no key: {0}")]
    Key(CryptoError),
    /// The authenticator was altered, or is under another key.
    #[error("the authenticator's integrity check failed")]
    AuthenticatorIntegrity,
    /// The authenticator names another client than the ticket.
    #[error("the authenticator is of {authenticator}, the ticket of {ticket}")]
    ClientMismatch {
        /// The client that the authenticator names.
        authenticator: Principal,
        /// The client that the ticket names.
        ticket: Principal,
    },
    /// The authenticator's time is too far from ours.
    #[error("the clocks are {} seconds apart, {} allowed", .apart.as_secs(), .allowed.as_secs())]
    Skew {
        /// How far.
        apart: Duration,
        /// How far they may be.
        allowed: Duration,
    },
    /// The ticket's time has not come.
    #[error("the ticket is not yet valid")]
    NotYetValid {
        /// When it begins.
        starttime: Timestamp,
    },
    /// The ticket has its INVALID flag set.
    #[error("the ticket is postdated and has not been validated")]
    Invalid,
    /// The ticket's time is over.
    #[error("the ticket has expired")]
    Expired {
        /// When it ended.
        endtime: Timestamp,
    },
    /// The realms that the ticket came through are not acceptable (RFC 4120 §2.7).
    #[error(transparent)]
    Transited(#[from] TransitedError),
    /// The realms that the ticket came through are written in an encoding that cannot be read here.
    #[error("the transited realms are in encoding {0}")]
    TransitedEncoding(i32),
    /// The AP-REP was altered, or is under another key.
    #[error("the reply's integrity check failed")]
    ReplyIntegrity,
    /// The AP-REP answers another request (RFC 4120 §3.2.5).
    #[error("the reply answers another request")]
    ReplyMismatch,
}

fn enctype(number: &i32) -> String {
    match Enctype::from_number(*number) {
        Some(known) => known.name().to_owned(),
        None => format!("enctype {number}"),
    }
}

/// `KRB_AP_ERR_NO_TGT`.
const KRB_AP_ERR_NO_TGT: i32 = 67;

impl From<DerError> for ApError {
    /// A version or a type that is not ours has a code of its own (RFC 4120 §3.2.3); all else is a wrong encoding.
    fn from(error: DerError) -> Self {
        match error {
            DerError::Constant { expected: 5, found } => Self::BadVersion { found },
            DerError::Constant { .. } => Self::MessageType,
            DerError::Tag { expected, .. }
                if [application(14), application(15)].contains(&expected) =>
            {
                Self::MessageType
            }
            other => Self::Malformed(other),
        }
    }
}

impl ApError {
    /// The code of the KRB-ERROR that tells the peer (RFC 4120 §3.2.3, §7.5.9).
    pub const fn krb_error_code(&self) -> i32 {
        match self {
            Self::Malformed(_) | Self::Key(_) => code::KRB_ERR_GENERIC,
            Self::BadVersion { .. } => code::KRB_AP_ERR_BADVERSION,
            Self::MessageType => code::KRB_AP_ERR_MSG_TYPE,
            Self::UserToUser => KRB_AP_ERR_NO_TGT,
            Self::NoKey { .. } => code::KRB_AP_ERR_NOKEY,
            Self::NotUs { .. } => code::KRB_AP_ERR_NOT_US,
            Self::BadKeyVersion { .. } => code::KRB_AP_ERR_BADKEYVER,
            Self::TicketIntegrity | Self::AuthenticatorIntegrity | Self::ReplyIntegrity => {
                code::KRB_AP_ERR_BAD_INTEGRITY
            }
            Self::KeyEnctype(_) | Self::EnctypeNotPermitted(_) => code::KDC_ERR_ETYPE_NOSUPP,
            Self::ClientMismatch { .. } => code::KRB_AP_ERR_BADMATCH,
            Self::Skew { .. } => code::KRB_AP_ERR_SKEW,
            Self::NotYetValid { .. } | Self::Invalid => code::KRB_AP_ERR_TKT_NYV,
            Self::Expired { .. } => code::KRB_AP_ERR_TKT_EXPIRED,
            Self::Transited(_) | Self::TransitedEncoding(_) => code::KRB_AP_PATH_NOT_ACCEPTED,
            Self::ReplyMismatch => code::KRB_AP_ERR_MUT_FAIL,
        }
    }

    /// Whether the bytes, and not what they say, are wrong.
    pub const fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed(_))
    }
}
