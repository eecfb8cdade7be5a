//! KRB-ERROR (RFC 4120 §5.9).

use wire::der::{Const, GeneralString, GeneralizedTime, Microseconds};

use super::PrincipalName;

wire::sequence! {
    /// RFC 4120 §5.9.1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KrbError<'a> [APPLICATION 30] {
        [0] pvno: Const<5>,
        [1] msg_type: Const<30>,
        [2] ctime: Option<GeneralizedTime>,
        [3] cusec: Option<Microseconds>,
        [4] stime: GeneralizedTime,
        [5] susec: Microseconds,
        [6] error_code: i32,
        [7] crealm: Option<GeneralString<'a>>,
        [8] cname: Option<PrincipalName<'a>>,
        [9] realm: GeneralString<'a>,
        [10] sname: PrincipalName<'a>,
        [11] e_text: Option<GeneralString<'a>>,
        [12] e_data: Option<&'a [u8]>,
    }
}

/// Error codes (RFC 4120 §7.5.9).
pub mod error_code {
    /// The client is not known.
    pub const KDC_ERR_C_PRINCIPAL_UNKNOWN: i32 = 6;
    /// The server is not known.
    pub const KDC_ERR_S_PRINCIPAL_UNKNOWN: i32 = 7;
    /// A ticket that begins later is not to be had.
    pub const KDC_ERR_CANNOT_POSTDATE: i32 = 10;
    /// The ticket would begin after its end.
    pub const KDC_ERR_NEVER_VALID: i32 = 11;
    /// The KDC's policy refuses.
    pub const KDC_ERR_POLICY: i32 = 12;
    /// The KDC does not do what an option asks for.
    pub const KDC_ERR_BADOPTION: i32 = 13;
    /// The KDC has no enctype that was asked for.
    pub const KDC_ERR_ETYPE_NOSUPP: i32 = 14;
    /// The checksum's type is not known.
    pub const KDC_ERR_SUMTYPE_NOSUPP: i32 = 15;
    /// The pre-authentication's type is not known.
    pub const KDC_ERR_PADATA_TYPE_NOSUPP: i32 = 16;
    /// The encoding of the transited realms is not known.
    pub const KDC_ERR_TRTYPE_NOSUPP: i32 = 17;
    /// The client's key has expired.
    pub const KDC_ERR_KEY_EXPIRED: i32 = 23;
    /// The pre-authentication is wrong: most often the password or key that it was made with.
    pub const KDC_ERR_PREAUTH_FAILED: i32 = 24;
    /// Pre-authentication is needed.
    pub const KDC_ERR_PREAUTH_REQUIRED: i32 = 25;
    /// A decrypted part fails its integrity check.
    pub const KRB_AP_ERR_BAD_INTEGRITY: i32 = 31;
    /// The ticket has expired.
    pub const KRB_AP_ERR_TKT_EXPIRED: i32 = 32;
    /// The ticket is not valid yet.
    pub const KRB_AP_ERR_TKT_NYV: i32 = 33;
    /// The request is a replay.
    pub const KRB_AP_ERR_REPEAT: i32 = 34;
    /// The ticket is for another server.
    pub const KRB_AP_ERR_NOT_US: i32 = 35;
    /// Ticket and authenticator name different clients.
    pub const KRB_AP_ERR_BADMATCH: i32 = 36;
    /// The clocks are too far apart.
    pub const KRB_AP_ERR_SKEW: i32 = 37;
    /// The address is wrong.
    pub const KRB_AP_ERR_BADADDR: i32 = 38;
    /// The protocol's version is another.
    pub const KRB_AP_ERR_BADVERSION: i32 = 39;
    /// The message is of another type.
    pub const KRB_AP_ERR_MSG_TYPE: i32 = 40;
    /// The message was modified.
    pub const KRB_AP_ERR_MODIFIED: i32 = 41;
    /// The message is out of order.
    pub const KRB_AP_ERR_BADORDER: i32 = 42;
    /// The key's version is not there.
    pub const KRB_AP_ERR_BADKEYVER: i32 = 44;
    /// There is no key.
    pub const KRB_AP_ERR_NOKEY: i32 = 45;
    /// Mutual authentication failed.
    pub const KRB_AP_ERR_MUT_FAIL: i32 = 46;
    /// The checksum in the message is of a type that does not fit.
    pub const KRB_AP_ERR_INAPP_CKSUM: i32 = 50;
    /// The transited realms are not accepted.
    pub const KRB_AP_PATH_NOT_ACCEPTED: i32 = 51;
    /// The reply is too big for UDP.
    pub const KRB_ERR_RESPONSE_TOO_BIG: i32 = 52;
    /// What no other code says.
    pub const KRB_ERR_GENERIC: i32 = 60;
    /// A field is longer than this implementation takes.
    pub const KRB_ERR_FIELD_TOOLONG: i32 = 61;
    /// The realm is another.
    pub const KDC_ERR_WRONG_REALM: i32 = 68;
    /// Another step of pre-authentication follows (RFC 6113 §5.2).
    pub const KDC_ERR_MORE_PREAUTH_DATA_REQUIRED: i32 = 91;

    /// What the error says, for people.
    pub const fn text(code: i32) -> &'static str {
        match code {
            KDC_ERR_C_PRINCIPAL_UNKNOWN => "the client is not known",
            KDC_ERR_S_PRINCIPAL_UNKNOWN => "the server is not known",
            KDC_ERR_CANNOT_POSTDATE => "a ticket that begins later is not to be had",
            KDC_ERR_NEVER_VALID => "the ticket would begin after its end",
            KDC_ERR_POLICY => "the KDC's policy refuses",
            KDC_ERR_BADOPTION => "the KDC does not do what an option asks for",
            KDC_ERR_ETYPE_NOSUPP => "the KDC has no enctype that was asked for",
            KDC_ERR_SUMTYPE_NOSUPP => "the checksum's type is not known",
            KDC_ERR_PADATA_TYPE_NOSUPP => "the pre-authentication's type is not known",
            KDC_ERR_TRTYPE_NOSUPP => "the encoding of the transited realms is not known",
            KDC_ERR_KEY_EXPIRED => "the client's key has expired",
            KDC_ERR_PREAUTH_FAILED => "wrong password or key, the pre-authentication failed",
            KDC_ERR_PREAUTH_REQUIRED => "pre-authentication is needed",
            KRB_AP_ERR_BAD_INTEGRITY => "a decrypted part fails its integrity check",
            KRB_AP_ERR_TKT_EXPIRED => "the ticket has expired",
            KRB_AP_ERR_TKT_NYV => "the ticket is not valid yet",
            KRB_AP_ERR_REPEAT => "the request is a replay",
            KRB_AP_ERR_NOT_US => "the ticket is for another server",
            KRB_AP_ERR_BADMATCH => "ticket and authenticator name different clients",
            KRB_AP_ERR_SKEW => "the clocks are too far apart",
            KRB_AP_ERR_BADADDR => "the address is wrong",
            KRB_AP_ERR_BADVERSION => "the protocol's version is another",
            KRB_AP_ERR_MSG_TYPE => "the message is of another type",
            KRB_AP_ERR_MODIFIED => "the message was modified",
            KRB_AP_ERR_BADORDER => "the message is out of order",
            KRB_AP_ERR_BADKEYVER => "the key's version is not there",
            KRB_AP_ERR_NOKEY => "there is no key",
            KRB_AP_ERR_MUT_FAIL => "mutual authentication failed",
            KRB_AP_ERR_INAPP_CKSUM => "the checksum in the message is of a type that does not fit",
            KRB_AP_PATH_NOT_ACCEPTED => "the transited realms are not accepted",
            KRB_ERR_RESPONSE_TOO_BIG => "the reply is too big for UDP",
            KRB_ERR_GENERIC => "what no other code says",
            KRB_ERR_FIELD_TOOLONG => "a field is longer than this implementation takes",
            KDC_ERR_WRONG_REALM => "the realm is another",
            KDC_ERR_MORE_PREAUTH_DATA_REQUIRED => "another step of pre-authentication follows",
            _ => "an error without a text here",
        }
    }
}
