//! The AP exchange's messages (RFC 4120 §5.5).

use wire::der::{Const, Flags, GeneralString, GeneralizedTime, Microseconds, Word};

use super::{AuthorizationData, Checksum, EncryptedData, EncryptionKey, PrincipalName, Ticket};

wire::sequence! {
    /// RFC 4120 §5.5.1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ApReq<'a> [APPLICATION 14] {
        [0] pvno: Const<5>,
        [1] msg_type: Const<14>,
        [2] ap_options: Flags,
        [3] ticket: Ticket<'a>,
        [4] authenticator: EncryptedData<'a>,
    }

    /// RFC 4120 §5.5.1. It may hold a key, so it cannot be printed.
    pub struct Authenticator<'a> [APPLICATION 2] {
        [0] authenticator_vno: Const<5>,
        [1] crealm: GeneralString<'a>,
        [2] cname: PrincipalName<'a>,
        [3] cksum: Option<Checksum<'a>>,
        [4] cusec: Microseconds,
        [5] ctime: GeneralizedTime,
        [6] subkey: Option<EncryptionKey<'a>>,
        [7] seq_number: Option<Word>,
        [8] authorization_data: Option<AuthorizationData<'a>>,
    }

    /// RFC 4120 §5.5.2.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ApRep<'a> [APPLICATION 15] {
        [0] pvno: Const<5>,
        [1] msg_type: Const<15>,
        [2] enc_part: EncryptedData<'a>,
    }

    /// RFC 4120 §5.5.2. It may hold a key, so it cannot be printed.
    pub struct EncApRepPart<'a> [APPLICATION 27] {
        [0] ctime: GeneralizedTime,
        [1] cusec: Microseconds,
        [2] subkey: Option<EncryptionKey<'a>>,
        [3] seq_number: Option<Word>,
    }
}

/// The bits of APOptions (RFC 4120 §5.5.1), as they stand in the most significant 32 bits.
pub mod ap_options {
    /// The ticket is under the session key of another one.
    pub const USE_SESSION_KEY: u32 = 1 << 30;
    /// The client asks for an AP-REP.
    pub const MUTUAL_REQUIRED: u32 = 1 << 29;
}
