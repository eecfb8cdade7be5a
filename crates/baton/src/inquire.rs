//! What a context tells beside its facts.

use gss_core::inquire::{Inquire, SessionKey};
use gss_core::mechanism::NotOffered;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::{Error, Oid};

/// What a context tells of its key and of its ticket, where its mechanism knows: all of Kerberos's do. It travels with the
/// context.
impl Context {
    /// `GSS_C_INQ_SSPI_SESSION_KEY`: the key that protects what this side sends, with its enctype. Protocols such as SMB derive
    /// their own keys from it; for anything new [`pseudo_random`](Self::pseudo_random) is the better source, because it does not
    /// give away what protects this context's messages.
    pub fn session_key(&self) -> Result<SessionKey, Error> {
        self.here()?;
        Ok(self.more()?.session_key())
    }

    /// `GSS_C_SEC_CONTEXT_SASL_SSF`: how strong the context's encryption is, in bits, as SASL counts.
    pub fn strength(&self) -> Result<u32, Error> {
        Ok(self.more()?.strength())
    }

    /// `gss_krb5_get_tkt_flags`: the [flags](crate::tickets::ticket_flags) of the ticket.
    pub fn ticket_flags(&self) -> Result<u32, Error> {
        Ok(self.more()?.ticket_flags())
    }

    /// `gsskrb5_extract_authtime_from_sec_context`: when the client proved its own key to its KDC.
    pub fn authtime(&self) -> Result<Timestamp, Error> {
        Ok(self.more()?.authtime())
    }

    /// `gsskrb5_extract_authz_data_from_sec_context`: the ticket's authorization data of type `ad_type` (RFC 4120 §5.2.6), also
    /// that within AD-IF-RELEVANT; none on the initiator's side.
    ///
    /// A client may have put it there: a reader has to verify what is in it.
    pub fn authorization_data(&self, ad_type: i32) -> Result<Vec<Vec<u8>>, Error> {
        self.more()?.authorization_data(ad_type)
    }

    /// `GSS_Inquire_sec_context_by_oid`: one of these by the OID that MIT krb5 gives it, in the form that C programs get.
    pub fn inquire_by_oid(&self, oid: &Oid) -> Result<Vec<Zeroizing<Vec<u8>>>, Error> {
        // One of them is the session key.
        self.here()?;
        self.more()?.by_oid(oid)
    }

    fn more(&self) -> Result<&dyn Inquire, Error> {
        let inquire = self.looked_at()?.inquire();
        inquire.ok_or_else(|| NotOffered("such fact").into())
    }
}
