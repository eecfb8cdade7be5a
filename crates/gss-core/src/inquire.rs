//! What an established context tells beside its [facts](crate::mechanism::Facts): its key, its strength, and what the ticket behind
//! it says (`gss_inquire_sec_context_by_oid` of MIT krb5 and Heimdal).

use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::oid::Oid;

/// A key with its type. Whoever has it can read and forge the context's messages, so it cannot be printed.
pub struct SessionKey {
    /// The enctype's number (RFC 3961 §8).
    pub enctype: i32,
    /// The key.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// A mechanism whose contexts can be asked more.
pub trait Inquire {
    /// `GSS_C_INQ_SSPI_SESSION_KEY`: the key that protects what this side sends, which protocols such as SMB derive theirs from.
    fn session_key(&self) -> SessionKey;

    /// `GSS_C_SEC_CONTEXT_SASL_SSF`: how strong that key's encryption is, in bits.
    fn strength(&self) -> u32;

    /// `gss_krb5_get_tkt_flags`: the flags of the ticket (RFC 4120 §5.3), the first of them the most significant bit.
    fn ticket_flags(&self) -> u32;

    /// `gsskrb5_extract_authtime_from_sec_context`: when the client proved its own key to its KDC.
    fn authtime(&self) -> Timestamp;

    /// `gsskrb5_extract_authz_data_from_sec_context`: the ticket's authorization data of this type, in its order. A client may
    /// have put it there (RFC 4120 §5.4.1): a reader has to verify what is in it.
    fn authorization_data(&self, ad_type: i32) -> Result<Vec<Vec<u8>>, Error>;

    /// One of these by its OID, as the buffers that C programs get. `GSS_S_UNAVAILABLE` for any other OID.
    fn by_oid(&self, oid: &Oid) -> Result<Vec<Zeroizing<Vec<u8>>>, Error>;

    /// The lucid form, version 1.
    fn lucid(&self) -> Result<Lucid, Error>;
}

/// `gss_krb5_lucid_context_v1_t`: a context as another implementation of its messages takes it over, such as a kernel's.
/// It holds keys, so it cannot be printed.
pub struct Lucid {
    /// Whether this side initiated the context.
    pub initiate: bool,
    /// When the ticket ends, by the KDC's clock. An acceptor goes on for as long as clocks may be apart.
    pub endtime: Timestamp,
    /// The next number to send.
    pub send_seq: u64,
    /// The next number to be received.
    pub recv_seq: u64,
    /// The kind of its messages, and the keys.
    pub protocol: LucidProtocol,
}

/// The kinds of a lucid context's messages.
pub enum LucidProtocol {
    /// Protocol 0: the tokens of RFC 1964 and RFC 4757.
    Rfc1964 {
        /// `SGN_ALG`.
        sign_alg: u32,
        /// `SEAL_ALG`.
        seal_alg: u32,
        /// The context's one key; that of Triple DES is under the number of its encryption alone (`des3-cbc-raw`, 6).
        ctx_key: SessionKey,
    },
    /// Protocol 1: the tokens of RFC 4121.
    Cfx {
        /// The initiator's subkey or, where it sent none, the ticket's session key.
        ctx_key: SessionKey,
        /// The acceptor's, if it asserted one.
        acceptor_subkey: Option<SessionKey>,
    },
}
