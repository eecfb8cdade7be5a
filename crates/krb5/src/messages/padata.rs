//! Pre-authentication data (RFC 4120 §5.2.7).

use wire::der::{GeneralString, GeneralizedTime, Microseconds};

wire::sequence! {
    /// RFC 4120 §5.2.7.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PaData<'a> {
        [1] padata_type: i32,
        [2] padata_value: &'a [u8],
    }

    /// RFC 4120 §5.2.7.2.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PaEncTsEnc {
        [0] patimestamp: GeneralizedTime,
        [1] pausec: Option<Microseconds>,
    }

    /// RFC 4120 §5.2.7.4: the same as the next, for enctypes of before.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EtypeInfoEntry<'a> {
        [0] etype: i32,
        [1] salt: Option<&'a [u8]>,
    }

    /// RFC 4120 §5.2.7.5: one of the ways to make a key from a password.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EtypeInfo2Entry<'a> {
        [0] etype: i32,
        [1] salt: Option<GeneralString<'a>>,
        [2] s2kparams: Option<&'a [u8]>,
    }
}

impl<'a> PaData<'a> {
    /// The value of the first of `all` that has this type.
    pub fn value_of(all: &[Self], padata_type: i32) -> Option<&'a [u8]> {
        let found = all.iter().find(|pa| pa.padata_type == padata_type)?;
        Some(found.padata_value)
    }
}

/// METHOD-DATA (RFC 4120 §5.9.1): what a KDC_ERR_PREAUTH_REQUIRED offers.
pub type MethodData<'a> = Vec<PaData<'a>>;

/// Types of pre-authentication data (RFC 4120 §7.5.2).
pub mod pa_type {
    /// An AP-REQ for the ticket-granting service.
    pub const PA_TGS_REQ: i32 = 1;
    /// The client's time under its key.
    pub const PA_ENC_TIMESTAMP: i32 = 2;
    /// A salt alone.
    pub const PA_PW_SALT: i32 = 3;
    /// ETYPE-INFO: how to make keys from the password, superseded by the next.
    pub const PA_ETYPE_INFO: i32 = 11;
    /// How to make keys from the password.
    pub const PA_ETYPE_INFO2: i32 = 19;
    /// For whom a service asks (S4U2Self), in Microsoft's first form.
    pub const PA_FOR_USER: i32 = 129;
    /// For whom a service asks (S4U2Self), in the form whose checksum the request's subkey makes.
    pub const PA_S4U_X509_USER: i32 = 130;
    /// What the KDC wants to see again (RFC 6113 §5.2).
    pub const PA_FX_COOKIE: i32 = 133;
    /// FAST (RFC 6113 §5.4).
    pub const PA_FX_FAST: i32 = 136;
    /// The client asks that the reply protect the request (RFC 6806 §11).
    pub const PA_REQ_ENC_PA_REP: i32 = 149;
    /// What the client, or the KDC, can do with delegation and PACs.
    pub const PA_PAC_OPTIONS: i32 = 167;
}
