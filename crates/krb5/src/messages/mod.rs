//! The messages of RFC 4120 §5 as tables: each type reads strict DER, borrows from it, and writes the same bytes again.
//!
//! Field names are the standard's. Plaintexts that hold keys have no `Debug`; each names the key usage that it travels
//! under with [`Protected`], where there is just one.

mod ap;
mod authorization_data;
mod cammac;
mod cred;
mod error;
mod kdc;
mod padata;
mod priv_safe;
mod protected;
mod s4u;
#[cfg(test)]
mod tests;
mod ticket;
mod types;

pub use ap::{ApRep, ApReq, Authenticator, EncApRepPart, ap_options};
pub use authorization_data::{
    AD_ETYPE_NEGOTIATION, AD_IF_RELEVANT, AD_WIN2K_PAC, AuthorizationData,
    AuthorizationDataElement, EtypeList, KERB_AP_OPTIONS, MAX_DEPTH, flatten,
};
pub use cammac::{
    AD_AUTHENTICATION_INDICATOR, AD_CAMMAC, AdCammac, AuthenticationIndicators, Indicator,
    VerifierMac, Verifiers,
};
pub use cred::{EncKrbCredPart, KrbCred, KrbCredInfo};
pub use error::{KrbError, error_code};
pub use kdc::{
    AsRep, AsReq, EncAsRepPart, EncKdcRepPart, EncTgsRepPart, KdcReqBody, LastReqEntry, TgsRep,
    TgsReq, kdc_options,
};
pub use padata::{EtypeInfo2Entry, EtypeInfoEntry, MethodData, PaData, PaEncTsEnc, pa_type};
pub use priv_safe::{EncKrbPrivPart, KrbPriv, KrbSafe, KrbSafeBody};
pub use protected::{Protected, encrypt, encrypt_as};
pub use s4u::{
    AUTH_PACKAGE, HMAC_MD5, PaForUser, PaPacOptions, PaS4uX509User, RESOURCE_BASED, S4uUserId,
    USE_REPLY_KEY_USAGE,
};
pub use ticket::{EncTicketPart, Ticket, TransitedEncoding, ticket_flags};
pub use types::{Checksum, EncryptedData, EncryptionKey, HostAddress, KeyError, PrincipalName};
pub use wire::der::{
    Const, DerError, Flags, GeneralString as KerberosString, GeneralString as Realm,
    GeneralizedTime as KerberosTime, Microseconds, Value, Word,
};
