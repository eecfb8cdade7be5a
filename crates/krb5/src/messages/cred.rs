//! KRB-CRED (RFC 4120 §5.8).

use wire::der::{Const, Flags, GeneralString, GeneralizedTime, Microseconds, Word};

use super::{EncryptedData, EncryptionKey, HostAddress, PrincipalName, Ticket};

wire::sequence! {
    /// RFC 4120 §5.8.1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KrbCred<'a> [APPLICATION 22] {
        [0] pvno: Const<5>,
        [1] msg_type: Const<22>,
        [2] tickets: Vec<Ticket<'a>>,
        [3] enc_part: EncryptedData<'a>,
    }

    /// RFC 4120 §5.8.1. It holds keys, so it cannot be printed.
    pub struct EncKrbCredPart<'a> [APPLICATION 29] {
        [0] ticket_info: Vec<KrbCredInfo<'a>>,
        [1] nonce: Option<Word>,
        [2] timestamp: Option<GeneralizedTime>,
        [3] usec: Option<Microseconds>,
        [4] s_address: Option<HostAddress<'a>>,
        [5] r_address: Option<HostAddress<'a>>,
    }

    /// RFC 4120 §5.8.1. It holds a key, so it cannot be printed.
    pub struct KrbCredInfo<'a> {
        [0] key: EncryptionKey<'a>,
        [1] prealm: Option<GeneralString<'a>>,
        [2] pname: Option<PrincipalName<'a>>,
        [3] flags: Option<Flags>,
        [4] authtime: Option<GeneralizedTime>,
        [5] starttime: Option<GeneralizedTime>,
        [6] endtime: Option<GeneralizedTime>,
        [7] renew_till: Option<GeneralizedTime>,
        [8] srealm: Option<GeneralString<'a>>,
        [9] sname: Option<PrincipalName<'a>>,
        [10] caddr: Option<Vec<HostAddress<'a>>>,
    }
}
