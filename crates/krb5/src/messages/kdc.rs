//! The AS and TGS exchanges' messages (RFC 4120 §5.4).

use wire::der::{Const, DerError, Flags, GeneralString, GeneralizedTime, Value, Word, application};

use super::{EncryptedData, EncryptionKey, HostAddress, PaData, PrincipalName, Ticket};

wire::sequence! {
    /// RFC 4120 §5.4.1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AsReq<'a> [APPLICATION 10] {
        [1] pvno: Const<5>,
        [2] msg_type: Const<10>,
        [3] padata: Option<Vec<PaData<'a>>>,
        [4] req_body: KdcReqBody<'a>,
    }

    /// RFC 4120 §5.4.1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TgsReq<'a> [APPLICATION 12] {
        [1] pvno: Const<5>,
        [2] msg_type: Const<12>,
        [3] padata: Option<Vec<PaData<'a>>>,
        [4] req_body: KdcReqBody<'a>,
    }

    /// RFC 4120 §5.4.1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KdcReqBody<'a> {
        [0] kdc_options: Flags,
        [1] cname: Option<PrincipalName<'a>>,
        [2] realm: GeneralString<'a>,
        [3] sname: Option<PrincipalName<'a>>,
        [4] from: Option<GeneralizedTime>,
        [5] till: GeneralizedTime,
        [6] rtime: Option<GeneralizedTime>,
        [7] nonce: Word,
        [8] etype: Vec<i32>,
        [9] addresses: Option<Vec<HostAddress<'a>>>,
        [10] enc_authorization_data: Option<EncryptedData<'a>>,
        [11] additional_tickets: Option<Vec<Ticket<'a>>>,
    }

    /// RFC 4120 §5.4.2.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AsRep<'a> [APPLICATION 11] {
        [0] pvno: Const<5>,
        [1] msg_type: Const<11>,
        [2] padata: Option<Vec<PaData<'a>>>,
        [3] crealm: GeneralString<'a>,
        [4] cname: PrincipalName<'a>,
        [5] ticket: Ticket<'a>,
        [6] enc_part: EncryptedData<'a>,
    }

    /// RFC 4120 §5.4.2.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TgsRep<'a> [APPLICATION 13] {
        [0] pvno: Const<5>,
        [1] msg_type: Const<13>,
        [2] padata: Option<Vec<PaData<'a>>>,
        [3] crealm: GeneralString<'a>,
        [4] cname: PrincipalName<'a>,
        [5] ticket: Ticket<'a>,
        [6] enc_part: EncryptedData<'a>,
    }

    /// RFC 4120 §5.4.2, with the field that RFC 6806 §11 adds. It holds the session key, so it cannot be printed.
    pub struct EncKdcRepPart<'a> {
        [0] key: EncryptionKey<'a>,
        [1] last_req: Vec<LastReqEntry>,
        [2] nonce: Word,
        [3] key_expiration: Option<GeneralizedTime>,
        [4] flags: Flags,
        [5] authtime: GeneralizedTime,
        [6] starttime: Option<GeneralizedTime>,
        [7] endtime: GeneralizedTime,
        [8] renew_till: Option<GeneralizedTime>,
        [9] srealm: GeneralString<'a>,
        [10] sname: PrincipalName<'a>,
        [11] caddr: Option<Vec<HostAddress<'a>>>,
        [12] encrypted_pa_data: Option<Vec<PaData<'a>>>,
    }

    /// RFC 4120 §5.4.2.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LastReqEntry {
        [0] lr_type: i32,
        [1] lr_value: GeneralizedTime,
    }
}

/// The plaintext of an AS-REP.
pub type EncAsRepPart<'a> = wire::der::Application<25, EncKdcRepPart<'a>>;
/// The plaintext of a TGS-REP.
pub type EncTgsRepPart<'a> = wire::der::Application<26, EncKdcRepPart<'a>>;

impl<'a> EncKdcRepPart<'a> {
    /// The plaintext of an AS-REP under either tag: MIT's KDC puts the one of a TGS-REP on both (RFC 4120 §5.4.2).
    pub fn decode_as_rep(bytes: &'a [u8]) -> Result<Self, DerError> {
        match bytes.first() {
            Some(&tag) if tag == application(26) => Ok(EncTgsRepPart::decode(bytes)?.0),
            _ => Ok(EncAsRepPart::decode(bytes)?.0),
        }
    }
}

/// The bits of KDCOptions (RFC 4120 §5.4.1), as they stand in the most significant 32 bits.
pub mod kdc_options {
    /// The ticket is to be forwardable.
    pub const FORWARDABLE: u32 = 1 << 30;
    /// Forward the ticket.
    pub const FORWARDED: u32 = 1 << 29;
    /// The ticket is to be proxiable.
    pub const PROXIABLE: u32 = 1 << 28;
    /// Make a proxy.
    pub const PROXY: u32 = 1 << 27;
    /// The ticket may be used to ask for postdated ones.
    pub const ALLOW_POSTDATE: u32 = 1 << 26;
    /// The ticket is to begin later.
    pub const POSTDATED: u32 = 1 << 25;
    /// The ticket is to be renewable.
    pub const RENEWABLE: u32 = 1 << 23;
    /// The client is that of the additional ticket (MS-SFU §2.2.3).
    pub const CNAME_IN_ADDL_TKT: u32 = 1 << 17;
    /// The name may be another form of the true one (RFC 6806 §6).
    pub const CANONICALIZE: u32 = 1 << 16;
    /// The ticket is to be anonymous (RFC 8062 §3).
    pub const REQUEST_ANONYMOUS: u32 = 1 << 15;
    /// Do not check the transited realms.
    pub const DISABLE_TRANSITED_CHECK: u32 = 1 << 5;
    /// A renewable ticket will do where the lifetime asked for is too long.
    pub const RENEWABLE_OK: u32 = 1 << 4;
    /// The ticket is to be under the session key of the additional one.
    pub const ENC_TKT_IN_SKEY: u32 = 1 << 3;
    /// Renew the ticket.
    pub const RENEW: u32 = 1 << 1;
    /// Validate a postdated ticket.
    pub const VALIDATE: u32 = 1;
}
