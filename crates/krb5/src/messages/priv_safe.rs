//! KRB-SAFE and KRB-PRIV (RFC 4120 §5.6, §5.7).

use wire::der::{Const, GeneralizedTime, Microseconds, Word};

use super::{Checksum, EncryptedData, HostAddress};

wire::sequence! {
    /// RFC 4120 §5.6.1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KrbSafe<'a> [APPLICATION 20] {
        [0] pvno: Const<5>,
        [1] msg_type: Const<20>,
        [2] safe_body: KrbSafeBody<'a>,
        [3] cksum: Checksum<'a>,
    }

    /// RFC 4120 §5.6.1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KrbSafeBody<'a> {
        [0] user_data: &'a [u8],
        [1] timestamp: Option<GeneralizedTime>,
        [2] usec: Option<Microseconds>,
        [3] seq_number: Option<Word>,
        [4] s_address: HostAddress<'a>,
        [5] r_address: Option<HostAddress<'a>>,
    }

    /// RFC 4120 §5.7.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KrbPriv<'a> [APPLICATION 21] {
        [0] pvno: Const<5>,
        [1] msg_type: Const<21>,
        [3] enc_part: EncryptedData<'a>,
    }

    /// RFC 4120 §5.7.1. It holds what is private (a new password, say), so it cannot be printed.
    pub struct EncKrbPrivPart<'a> [APPLICATION 28] {
        [0] user_data: &'a [u8],
        [1] timestamp: Option<GeneralizedTime>,
        [2] usec: Option<Microseconds>,
        [3] seq_number: Option<Word>,
        [4] s_address: HostAddress<'a>,
        [5] r_address: Option<HostAddress<'a>>,
    }
}
