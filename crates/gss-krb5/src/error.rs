//! Why a call of this mechanism failed, and the status and minor code that it becomes.

use gss_core::error::{Error as GssError, Major, Supplementary};
use gss_core::framing::FrameError;
use gss_core::host::ReplayCacheError;
use gss_core::message::{BufferError, BufferKind};
use krb5::exchange::ap::ApError;
use krb5::exchange::cred::CredError;
use krb5::formats::ccache::CcacheError;
use krb5_crypto::CryptoError;
use once::ClaimError;
use wire::fields::FieldError;

/// An error of this mechanism, sorted by whose fault it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A token or a saved state does not have its standard's shape.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Well formed, and forbidden here.
    #[error(transparent)]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// A check of the AP exchange failed (RFC 4120 §3.2.3, §3.2.5).
    #[error(transparent)]
    Exchange(#[from] ApError),
    /// The peer answered KRB-ERROR.
    #[error("the peer refused with KRB-ERROR {code}: {text}")]
    PeerRefused {
        /// RFC 4120 §7.5.9.
        code: i32,
        /// What the peer says of it; nobody has authenticated it.
        text: String,
    },
    /// The delegated credentials cannot be had, or cannot be sent.
    #[error("delegation: {0}")]
    Delegation(#[from] CredError),
    /// This host lacks something.
    #[error(transparent)]
    Local(#[from] Local),
    /// The caller's buffers are not those that the call needs.
    #[error(transparent)]
    Buffers(#[from] BufferError),
}

/// What is wrong with the shape of a token or of a saved state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The frame of a handshake's token (RFC 2743 §3.1).
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A token identifier that is not expected here.
    #[error("the token is not of the kind expected here")]
    TokenId,
    /// The token ends too early.
    #[error("the token is too short")]
    Short,
    /// The header's filler is not FF (RFC 4121 §4.2.6).
    #[error("the token's filler is wrong")]
    Filler,
    /// EC exceeds the plaintext or is not the checksum's length (RFC 4121 §4.2.3).
    #[error("the token's extra count does not fit")]
    ExtraCount,
    /// A token of RFC 1964 names algorithms that do not go with its key (RFC 1964 §1.2.1, RFC 4757 §7).
    #[error("the token's algorithms are not those of its key")]
    Algorithm,
    /// The padding of a token of RFC 1964 is not what it says of itself (§1.2.2.3), or the data is not made of whole blocks.
    #[error("the token's padding does not fit its data")]
    Padding,
    /// A MIC token says that it is sealed (RFC 4121 §4.2.2).
    #[error("a MIC token cannot be sealed")]
    SealedMic,
    /// A buffer of a token in parts does not have the length that the token's header tells.
    #[error("the {buffer} buffer of the token has {found} bytes, where its header tells {needed}")]
    BufferLength {
        /// Which one.
        buffer: BufferKind,
        /// Bytes it should have.
        needed: usize,
        /// Bytes it has.
        found: usize,
    },
    /// A token in parts is rotated by another count than its parts are (RFC 4121 §4.2.5).
    #[error("the token is rotated by {found} bytes, and its parts by {needed}")]
    Rotation {
        /// What the parts tell.
        needed: usize,
        /// What the token says.
        found: u16,
    },
    /// The authenticator's checksum has fewer than 24 octets (RFC 4121 §4.1.1).
    #[error("the authenticator's checksum is too short")]
    ChecksumShort,
    /// The channel bindings in the authenticator's checksum do not have 16 octets.
    #[error("the channel bindings in the authenticator's checksum have a wrong length")]
    BindingsLength,
    /// The delegation or an extension in the authenticator's checksum does not fit its length.
    #[error("a part of the authenticator's checksum exceeds it")]
    ChecksumPart,
    /// KERB_AP_OPTIONS is not one number of 32 bits.
    #[error("the authenticator's AP options are malformed")]
    ApOptions,
    /// The ticket's authorization data cannot be read.
    #[error("the ticket's authorization data is malformed")]
    AuthorizationData,
    /// The enctypes offered for a subkey are not a list (RFC 4537 §3).
    #[error("the authenticator's list of enctypes is malformed")]
    EtypeList,
    /// The attributes of a composite exported name do not have their form.
    #[error("the attributes of the exported name are malformed")]
    Attributes,
    /// A saved state is not a table of fields.
    #[error("the saved state is malformed")]
    State(#[from] FieldError),
    /// A field of a saved state holds no value of its kind.
    #[error("field {0} of the saved state holds no value of its kind")]
    StateValue(u8),
    /// A key of a saved state is no key.
    #[error("a key of the saved state is not one")]
    StateKey(#[from] CryptoError),
}

/// What the peer, or somebody on the way, must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// The integrity check failed.
    #[error("the token's integrity check failed")]
    Integrity,
    /// The decrypted copy of the header is not the header (RFC 4121 §4.2.4).
    #[error("the token's header is not the one that was sealed")]
    HeaderCopy,
    /// The token is one that our own side sent.
    #[error("the token was sent by this side")]
    Reflected,
    /// The token says that it is under an acceptor's subkey, and there is none.
    #[error("the token names an acceptor's subkey, and none was asserted")]
    NoAcceptorSubkey,
    /// The channel bindings differ (RFC 4121 §4.1.1.2).
    #[error("the channel bindings differ")]
    BindingsDiffer,
    /// The peer binds contexts to channels and did not bind this one.
    #[error("the peer knows of channel bindings and sent none")]
    BindingsMissing,
    /// A checksum of another type than 0x8003 that is not one over empty data.
    #[error("the authenticator's checksum is wrong")]
    Checksum,
    /// The request is bare and does not ask for DCE style, or asks for it in a frame.
    #[error("tokens without a frame go with DCE style, and with nothing else")]
    DceStyle,
}

/// What is amiss on this host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Local {
    /// The ticket has expired.
    #[error("the ticket for {server} has expired")]
    TicketExpired {
        /// The ticket's server.
        server: String,
    },
    /// The once-store would not take the authenticator's mark.
    #[error("the replay check failed")]
    Replay(#[source] ClaimError),
    /// The replay cache that is shared with other programs would not take it.
    #[error("the replay check failed")]
    SharedReplay(#[source] ReplayCacheError),
    /// Channel bindings of more than 2^32 - 1 bytes (RFC 4121 §4.1.1.2).
    #[error("the channel bindings are too long")]
    BindingsTooLong,
    /// Anonymity was asked for, and the ticket names its client. The first token would tell, and cannot be undone (RFC 8062 §6).
    #[error(
        "anonymity was asked for, and the ticket is of {client}: get an anonymous one (kinit -n)"
    )]
    NotAnonymous {
        /// The ticket's client.
        client: String,
    },
    /// A KRB-CRED of more than 2^16 - 1 bytes (RFC 4121 §4.1.1).
    #[error("the credentials to delegate are too long")]
    DelegatedTooLong,
    /// More pseudo-random bytes than [`MAX_PSEUDO_RANDOM`](crate::MAX_PSEUDO_RANDOM).
    #[error(
        "{0} pseudo-random bytes are more than {max} at once: derive a key, and more from that",
        max = crate::MAX_PSEUDO_RANDOM
    )]
    PseudoRandomTooLong(usize),
    /// No credential cache can hold what was delegated.
    #[error("the delegated credentials cannot be kept")]
    DelegatedCache(#[source] CcacheError),
    /// A call panicked while it held this context.
    #[error("an earlier call on this context did not end in order")]
    Poisoned,
}

/// MIT's tables of minor codes: their com_err bases.
mod minor {
    /// `krb5`: RFC 4120 §7.5.9 counts from here.
    pub(super) const KRB5: u32 = 0x96c7_3a00;
    pub(super) const KRB5_BAD_MSIZE: u32 = KRB5 + 190;
    pub(super) const ASN1_PARSE_ERROR: u32 = 1_859_794_441;
    pub(super) const EINVAL: u32 = 22;
    const GGSS: u32 = 0x861b_6d00;
    pub(super) const G_WRONG_MECH: u32 = GGSS + 11;
    pub(super) const G_BAD_TOK_HEADER: u32 = GGSS + 12;
    pub(super) const G_BAD_DIRECTION: u32 = GGSS + 13;
    pub(super) const G_TOK_TRUNC: u32 = GGSS + 14;
    pub(super) const G_WRONG_TOKID: u32 = GGSS + 16;
    const K5G: u32 = 39_756_032;
    pub(super) const KG_BAD_LENGTH: u32 = K5G + 6;
    pub(super) const KG_CONTEXT: u32 = K5G + 8;
}

/// RFC 4120 §7.5.9.
const KRB_ERR_GENERIC: i32 = 60;
const KRB_ERR_FIELD_TOOLONG: i32 = 61;
const KRB_AP_ERR_BAD_INTEGRITY: i32 = 31;
const KRB_AP_ERR_TKT_EXPIRED: i32 = 32;
const KRB_AP_ERR_REPEAT: i32 = 34;
const KRB_AP_ERR_SKEW: i32 = 37;
const KRB_AP_ERR_MSG_TYPE: i32 = 40;
const KRB_AP_ERR_MODIFIED: i32 = 41;
const KRB_AP_ERR_INAPP_CKSUM: i32 = 50;

impl Error {
    /// The code of the KRB-ERROR that tells the peer (RFC 4120 §7.5.9).
    pub fn krb_error_code(&self) -> i32 {
        match self {
            Self::Exchange(error) => error.krb_error_code(),
            Self::PeerRefused { code, .. } => *code,
            Self::Delegation(CredError::Integrity) => KRB_AP_ERR_BAD_INTEGRITY,
            Self::Delegation(CredError::Malformed(_) | CredError::KeyEnctype(_)) => KRB_ERR_GENERIC,
            Self::Delegation(_) => KRB_AP_ERR_MODIFIED,
            Self::Malformed(Malformed::TokenId | Malformed::ApOptions) => KRB_AP_ERR_MSG_TYPE,
            Self::PeerMisbehaved(PeerMisbehaved::Checksum) => KRB_AP_ERR_INAPP_CKSUM,
            Self::Local(
                Local::Replay(ClaimError::AlreadyClaimed)
                | Local::SharedReplay(ReplayCacheError::Seen),
            ) => KRB_AP_ERR_REPEAT,
            Self::Local(Local::Replay(ClaimError::TooOld)) => KRB_AP_ERR_SKEW,
            Self::Local(Local::TicketExpired { .. }) => KRB_AP_ERR_TKT_EXPIRED,
            Self::Malformed(_) | Self::PeerMisbehaved(_) | Self::Local(_) | Self::Buffers(_) => {
                KRB_ERR_GENERIC
            }
        }
    }

    fn major(&self) -> Major {
        match self {
            Self::Malformed(Malformed::ChecksumShort) => Major::BadBindings,
            Self::Malformed(
                Malformed::BindingsLength
                | Malformed::ChecksumPart
                | Malformed::ApOptions
                | Malformed::EtypeList
                | Malformed::AuthorizationData,
            ) => Major::Failure,
            Self::Malformed(_) => Major::DefectiveToken,
            Self::PeerMisbehaved(
                PeerMisbehaved::BindingsDiffer | PeerMisbehaved::BindingsMissing,
            )
            | Self::Local(Local::BindingsTooLong) => Major::BadBindings,
            Self::PeerMisbehaved(PeerMisbehaved::DceStyle | PeerMisbehaved::HeaderCopy) => {
                Major::DefectiveToken
            }
            Self::PeerMisbehaved(
                PeerMisbehaved::Integrity
                | PeerMisbehaved::Reflected
                | PeerMisbehaved::NoAcceptorSubkey
                | PeerMisbehaved::Checksum,
            ) => Major::BadMic,
            Self::Local(Local::TicketExpired { .. }) => Major::CredentialsExpired,
            Self::Local(Local::NotAnonymous { .. }) => Major::Unavailable,
            Self::Exchange(_)
            | Self::PeerRefused { .. }
            | Self::Delegation(_)
            | Self::Buffers(_) => Major::Failure,
            Self::Local(
                Local::Replay(_)
                | Local::SharedReplay(_)
                | Local::DelegatedTooLong
                | Local::PseudoRandomTooLong(_)
                | Local::DelegatedCache(_)
                | Local::Poisoned,
            ) => Major::Failure,
        }
    }

    fn minor(&self) -> u32 {
        match self {
            Self::Exchange(error) if error.is_malformed() => minor::ASN1_PARSE_ERROR,
            Self::Delegation(CredError::Malformed(_)) => minor::ASN1_PARSE_ERROR,
            Self::Local(Local::DelegatedTooLong | Local::PseudoRandomTooLong(_)) => {
                minor::KRB5.wrapping_add_signed(KRB_ERR_FIELD_TOOLONG)
            }
            Self::Exchange(_) | Self::PeerRefused { .. } | Self::Delegation(_) | Self::Local(_) => {
                minor::KRB5.wrapping_add_signed(self.krb_error_code())
            }
            Self::Malformed(malformed) => match malformed {
                Malformed::Frame(FrameError::Malformed) => minor::G_BAD_TOK_HEADER,
                Malformed::Frame(FrameError::OtherMechanism) => minor::G_WRONG_MECH,
                Malformed::TokenId => minor::G_WRONG_TOKID,
                Malformed::Short => minor::G_TOK_TRUNC,
                Malformed::Filler | Malformed::SealedMic => minor::G_BAD_TOK_HEADER,
                Malformed::Algorithm => minor::G_BAD_TOK_HEADER,
                Malformed::ExtraCount
                | Malformed::Padding
                | Malformed::ChecksumShort
                | Malformed::BindingsLength
                | Malformed::ChecksumPart => minor::KG_BAD_LENGTH,
                Malformed::BufferLength { .. } | Malformed::Rotation { .. } => {
                    minor::KRB5_BAD_MSIZE
                }
                Malformed::EtypeList | Malformed::AuthorizationData => minor::ASN1_PARSE_ERROR,
                Malformed::ApOptions => minor::KRB5.wrapping_add_signed(KRB_AP_ERR_MSG_TYPE),
                Malformed::State(_)
                | Malformed::StateValue(_)
                | Malformed::StateKey(_)
                | Malformed::Attributes => minor::KG_CONTEXT,
            },
            Self::PeerMisbehaved(PeerMisbehaved::Reflected) => minor::G_BAD_DIRECTION,
            Self::PeerMisbehaved(PeerMisbehaved::Checksum) => {
                minor::KRB5.wrapping_add_signed(KRB_AP_ERR_INAPP_CKSUM)
            }
            Self::PeerMisbehaved(_) => 0,
            Self::Buffers(
                BufferError::TooShort { .. }
                | BufferError::Room { .. }
                | BufferError::Unpadded { .. },
            ) => minor::KRB5_BAD_MSIZE,
            Self::Buffers(_) => minor::EINVAL,
        }
    }

    /// A replayed handshake is an error and has its bit beside it (RFC 2744 §5.1).
    fn supplementary(&self) -> Option<Supplementary> {
        match self {
            Self::Local(
                Local::Replay(ClaimError::AlreadyClaimed)
                | Local::SharedReplay(ReplayCacheError::Seen),
            ) => Some(Supplementary::DuplicateToken),
            Self::Local(Local::Replay(ClaimError::TooOld)) => Some(Supplementary::OldToken),
            _ => None,
        }
    }
}

impl From<Error> for GssError {
    fn from(error: Error) -> Self {
        let (major, minor, bit) = (error.major(), error.minor(), error.supplementary());
        let error = Self::new(major, error).with_minor(minor);
        match bit {
            Some(bit) => error.with_supplementary(bit),
            None => error,
        }
    }
}
