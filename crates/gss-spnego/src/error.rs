//! Why a negotiation failed. What the inner mechanism says of its own failures passes through as it is.

use gss_core::error::{Error as GssError, Major};
use gss_core::framing::FrameError;
use gss_core::mechanism::Failure;
use wire::der::DerError;
use wire::fields::FieldError;

/// Why a negotiation failed, sorted by whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not have the standard's shape.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Well formed, and forbidden here.
    #[error(transparent)]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// `reject` (RFC 4178 §4.2.2), without a reason of the mechanism's.
    #[error("the peer rejects the negotiation")]
    PeerRefused,
    /// None of the initiator's mechanisms is one of the acceptor's (RFC 4178 §3.2).
    #[error("the peer offers none of our mechanisms")]
    NoCommonMechanism,
    /// This side's own fault.
    #[error(transparent)]
    Local(#[from] Local),
}

/// Bytes that are no negotiation token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The first token is not in SPNEGO's frame (RFC 4178 §4.2).
    #[error(transparent)]
    Frame(FrameError),
    /// The token is not strict DER of the standard's type.
    #[error("the negotiation token is malformed")]
    Der(#[from] DerError),
    /// Neither of the choices of a NegotiationToken.
    #[error("a negotiation token of neither kind")]
    Kind,
    /// A saved state is not a table of fields.
    #[error("the saved negotiation is malformed")]
    State(#[from] FieldError),
    /// A field of a saved state holds no value of its kind, or of the other side.
    #[error("field {0} of the saved negotiation holds no value that this side goes on with")]
    StateValue(u8),
}

/// What a peer may not send at this point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// NegTokenInit is the first message, and only that (RFC 4178 Appendix C).
    #[error("a first message where an answer is expected")]
    InitNotExpected,
    /// NegTokenResp is never the first message.
    #[error("an answer where the first message is expected")]
    RespNotExpected,
    /// An initiator that offers nothing.
    #[error("an empty list of mechanisms")]
    NoMechTypes,
    /// negState is required in the acceptor's first answer (RFC 4178 §4.2.2).
    #[error("the first answer does not tell its state")]
    NoNegState,
    /// No mechanism was named, and there was no token that would name one.
    #[error("the first answer names no mechanism")]
    NoSupportedMech,
    /// supportedMech must be one that was offered (RFC 4178 §4.2.2).
    #[error("the peer chose a mechanism that was not offered")]
    MechNotOffered,
    /// The mechanism changes after it was chosen.
    #[error("the peer changes the mechanism after the choice")]
    MechChanged,
    /// request-mic in another message than the acceptor's first (RFC 4178 §4.2.2).
    #[error("MICs are requested too late")]
    RequestMicLate,
    /// The mechanism waits for a token and the message has none.
    #[error("no token for the mechanism, which waits for one")]
    NoMechToken,
    /// A token, and no mechanism that waits for one.
    #[error("a token for a mechanism that expects none")]
    MechTokenNotExpected,
    /// A MIC before the mechanism's context is established, or by a mechanism that has none.
    #[error("a MIC of the mechanism list where there can be none")]
    MicNotExpected,
    /// The MIC must be there (RFC 4178 §5): the mechanism is not the initiator's first, or one side requested it.
    #[error("the MIC of the mechanism list is missing")]
    MicMissing,
    /// The MIC is not one of this list under this context: the list was altered on its way, or the MIC.
    #[error("the MIC of the mechanism list is wrong")]
    MicWrong,
    /// accept-completed while more has to come.
    #[error("the peer is done before the mechanism is")]
    CompletedEarly,
    /// accept-incomplete, and there is nothing left to send.
    #[error("the peer waits for more than there is")]
    ExpectsMore,
}

/// What cannot be done here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Local {
    /// Nothing to negotiate (RFC 4178 §3.1).
    #[error("there is no mechanism to negotiate")]
    NoMechanism,
    /// SPNEGO does not negotiate itself.
    #[error("the list of mechanisms has SPNEGO itself")]
    Spnego,
    /// The mechanism cannot be finished by another process, or mechanisms were offered that have not begun.
    #[error("what was negotiated so far cannot be finished by another process")]
    NotTransferable,
}

macro_rules! through {
    ($($source:ty => $kind:ident),+) => {$(
        impl From<$source> for Error {
            fn from(source: $source) -> Self {
                Self::Malformed(Malformed::$kind(source))
            }
        }
    )+};
}

through!(DerError => Der, FrameError => Frame);

impl Error {
    /// The status: a failed negotiation is `GSS_S_BAD_MECH` (RFC 4178 §1), what cannot be read or verified
    /// `GSS_S_DEFECTIVE_TOKEN` (§5).
    pub const fn major(&self) -> Major {
        match self {
            Self::Malformed(Malformed::Frame(FrameError::OtherMechanism))
            | Self::PeerMisbehaved(PeerMisbehaved::MechNotOffered)
            | Self::PeerRefused
            | Self::NoCommonMechanism
            | Self::Local(Local::NoMechanism | Local::Spnego) => Major::BadMech,
            Self::Local(Local::NotTransferable) => Major::Unavailable,
            Self::Malformed(
                Malformed::Frame(FrameError::Malformed)
                | Malformed::Der(_)
                | Malformed::Kind
                | Malformed::State(_)
                | Malformed::StateValue(_),
            )
            | Self::PeerMisbehaved(
                PeerMisbehaved::InitNotExpected
                | PeerMisbehaved::RespNotExpected
                | PeerMisbehaved::NoMechTypes
                | PeerMisbehaved::NoNegState
                | PeerMisbehaved::NoSupportedMech
                | PeerMisbehaved::MechChanged
                | PeerMisbehaved::RequestMicLate
                | PeerMisbehaved::NoMechToken
                | PeerMisbehaved::MechTokenNotExpected
                | PeerMisbehaved::MicNotExpected
                | PeerMisbehaved::MicMissing
                | PeerMisbehaved::MicWrong
                | PeerMisbehaved::CompletedEarly
                | PeerMisbehaved::ExpectsMore,
            ) => Major::DefectiveToken,
        }
    }
}

impl From<Error> for GssError {
    fn from(error: Error) -> Self {
        Self::new(error.major(), error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        GssError::from(error).into()
    }
}

impl From<PeerMisbehaved> for Failure {
    fn from(error: PeerMisbehaved) -> Self {
        Error::from(error).into()
    }
}
