//! Why a transfer failed, one variant a rule, and the status each has.

use gss_core::error::Major;

use crate::deposit::DepositError;
use crate::envelope::{Malformed, TooLong};
use crate::policy::{PolicyError, Refusal};

/// Why a context could not be exported or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Transfer is switched off by configuration.
    #[error("transfer of contexts is switched off by configuration")]
    SwitchedOff,
    /// The context does not have the flag `GSS_C_TRANS_FLAG`.
    #[error("the context's mechanism cannot transfer it")]
    NotTransferable,
    /// The context has expired and is not exported any more.
    #[error("the context has expired, and an expired context is not exported")]
    ContextExpired,
    /// The token would be dead before anybody could import it.
    #[error("the token would expire at once: it needs a lifetime")]
    NoLifetime,
    /// The policy cannot be carried out.
    #[error("the policy cannot be carried out")]
    Policy(#[source] PolicyError),
    /// The mechanism could not write its state down.
    #[error("the context's state could not be saved")]
    Save(#[source] gss_core::error::Error),
    /// The state is longer than a token can hold.
    #[error("the context's state could not be sealed")]
    TooLong(#[source] TooLong),
    /// The once-store does not answer, or is full.
    #[error("the once-store does not answer")]
    Store(#[source] once::StoreError),
    /// The bytes are not a token, or not any more.
    #[error("this is not the token that was exported")]
    Malformed(#[source] Malformed),
    /// There is no deposit for the token: it was imported already, has expired, or was never exported to this store.
    #[error(
        "the token's deposit is not in this once-store: imported already, expired, or exported elsewhere"
    )]
    NotThere,
    /// The token's own time is over.
    #[error("the token has expired")]
    TokenExpired,
    /// Another importer was faster.
    #[error("another importer took the context over first")]
    TakenFirst,
    /// The deposit cannot be read.
    #[error("the deposit in the once-store is damaged")]
    Deposit(#[source] DepositError),
    /// The exporter's policy does not admit this process.
    #[error("the exporter's policy does not admit this process")]
    Refused(#[source] Refusal),
    /// The mechanism cannot read the state, or its credential is not one that goes on with it.
    #[error("the mechanism does not take the context's state")]
    Restore(#[source] gss_core::error::Error),
    /// The context is a copy that `fork` made, and another process has exported it.
    #[error("the context is no longer here")]
    HandedOn(#[source] once::Gone),
    /// The context is not established, and nobody asked for a half-open transfer.
    #[error("the context is not established yet, and the export does not ask for a half-open one")]
    HalfOpen,
    /// Half-open tokens are sealed under a key of the service, and there is none.
    #[error("no key for half-open tokens is configured (`half_open_keys`)")]
    NoServiceKey,
    /// The service's keys cannot be read.
    #[error("the keys for half-open tokens in {path} cannot be used")]
    ServiceKeys {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The half-open token names a key that the service does not have, or not any more.
    #[error("the half-open token is sealed under a key that this service does not have")]
    UnknownKey,
    /// What was sealed is not the table of a half-open token.
    #[error("the half-open token is malformed")]
    HalfOpenTable(#[source] wire::fields::FieldError),
    /// An acceptor's handshake for an initiator, or the other way round.
    #[error("the half-open token is of the other side of a handshake")]
    OtherSide,
    /// The half-open token is bound to another channel than the importer's.
    #[error("the half-open token is bound to another channel")]
    OtherChannel,
    /// Somebody went on with the handshake already.
    #[error("the half-open token was redeemed before")]
    Redeemed,
    /// Whether it was is not known.
    #[error("whether the half-open token was redeemed before is not known")]
    NotRedeemable(#[source] once::ClaimError),
    /// The system has no memory for what the copies of a context share.
    #[error("no memory that a child of fork shares")]
    Mark(#[source] std::io::Error),
}

/// What the minor codes of transfers begin with: `BT`, and then the number of the rule.
const MINOR_BASE: u32 = 0x4254_0000;

impl Error {
    /// The status (design of the transfer: T2, T5, T6, T13).
    pub fn major(&self) -> Major {
        match self {
            Self::SwitchedOff | Self::NotTransferable | Self::NoServiceKey => Major::Unavailable,
            Self::ContextExpired => Major::ContextExpired,
            Self::NoLifetime
            | Self::TooLong(_)
            | Self::Policy(_)
            | Self::Store(_)
            | Self::Mark(_)
            | Self::ServiceKeys { .. }
            | Self::Deposit(_) => Major::Failure,
            Self::Save(cause) => cause.major(),
            Self::Malformed(_)
            | Self::Restore(_)
            | Self::UnknownKey
            | Self::HalfOpenTable(_)
            | Self::OtherSide => Major::DefectiveToken,
            Self::NotThere
            | Self::TokenExpired
            | Self::TakenFirst
            | Self::HandedOn(_)
            | Self::HalfOpen
            | Self::Redeemed
            | Self::NotRedeemable(_) => Major::NoContext,
            Self::OtherChannel => Major::BadBindings,
            Self::Refused(_) => Major::Unauthorized,
        }
    }

    /// The minor code.
    pub fn minor(&self) -> u32 {
        MINOR_BASE
            + match self {
                Self::SwitchedOff => 1,
                Self::NotTransferable => 2,
                Self::ContextExpired => 3,
                Self::Policy(_) => 4,
                Self::Save(_) => 5,
                Self::Store(_) => 6,
                Self::Malformed(_) => 7,
                Self::NotThere => 8,
                Self::TokenExpired => 9,
                Self::TakenFirst => 10,
                Self::Deposit(_) => 11,
                Self::Refused(_) => 12,
                Self::Restore(_) => 13,
                Self::NoLifetime => 14,
                Self::TooLong(_) => 15,
                Self::HandedOn(_) => 16,
                Self::Mark(_) => 17,
                Self::HalfOpen => 18,
                Self::NoServiceKey => 19,
                Self::ServiceKeys { .. } => 20,
                Self::UnknownKey => 21,
                Self::HalfOpenTable(_) => 22,
                Self::OtherSide => 23,
                Self::OtherChannel => 24,
                Self::Redeemed => 25,
                Self::NotRedeemable(_) => 26,
            }
    }
}

impl From<Error> for gss_core::error::Error {
    fn from(error: Error) -> Self {
        let (major, minor) = (error.major(), error.minor());
        Self::new(major, error).with_minor(minor)
    }
}
