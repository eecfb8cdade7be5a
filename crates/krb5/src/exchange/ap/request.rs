//! The client's side: the request that it sends and the reply that it awaits.

use std::sync::Arc;

use krb5_crypto::{Enctype, Key, KeyUsage};
use wire::random::Random;
use wire::time::Timestamp;

use super::error::ApError;
use super::{check_permitted, key};
use crate::messages::{
    ApRep, ApReq, Authenticator, AuthorizationData, Checksum, Const, EncApRepPart, EncryptedData,
    EncryptionKey, Flags, KerberosTime, Microseconds, Realm, Ticket, Word, ap_options, encrypt_as,
};
use crate::principal::Principal;

/// What an AP-REQ says (RFC 4120 §3.2.2).
pub struct Request<'a> {
    /// The client, as the ticket names it.
    pub client: &'a Principal,
    /// The ticket in DER.
    pub ticket: &'a [u8],
    /// The ticket's session key.
    pub session_key: &'a Key,
    /// Whether the service has to answer.
    pub mutual: bool,
    /// The time by the KDC's clock. No two requests of a client may have the same one.
    pub ctime: Timestamp,
    /// The authenticator's checksum.
    pub cksum: Option<Checksum<'a>>,
    /// The client's subkey.
    pub subkey: Option<&'a Key>,
    /// Where the client's sequence numbers start.
    pub seq_number: Option<u32>,
    /// The authenticator's own authorization data.
    pub authorization_data: Option<AuthorizationData<'a>>,
}

impl Request<'_> {
    /// The AP-REQ.
    pub fn encode(self, random: &dyn Random) -> Result<Vec<u8>, ApError> {
        let ap_options = if self.mutual {
            Flags::from_bits(ap_options::MUTUAL_REQUIRED)
        } else {
            Flags::NONE
        };
        let authenticator = Authenticator {
            authenticator_vno: Const,
            crealm: Realm(self.client.realm()),
            cname: self.client.into(),
            cksum: self.cksum,
            cusec: self.ctime.into(),
            ctime: self.ctime.into(),
            subkey: self.subkey.map(EncryptionKey::from),
            seq_number: self.seq_number.map(Word::from),
            authorization_data: self.authorization_data,
        };
        let usage = KeyUsage::AP_REQ_AUTHENTICATOR;
        let cipher = encrypt_as(&authenticator, self.session_key, usage, random);
        let request = ApReq {
            pvno: Const,
            msg_type: Const,
            ap_options,
            ticket: Ticket::decode(self.ticket)?,
            authenticator: EncryptedData::new(self.session_key, None, &cipher),
        };
        Ok(request.encode())
    }
}

/// The reply that a client waits for: one that answers the request it made at `ctime`.
pub struct Awaited {
    /// The ticket's session key.
    pub session_key: Arc<Key>,
    /// The request's time.
    pub ctime: Timestamp,
    /// Of which enctypes the service's subkey may be.
    pub permitted_enctypes: Arc<[&'static Enctype]>,
}

/// What the service's reply says.
pub struct Reply {
    /// The service's subkey, if it asserts one.
    pub subkey: Option<Key>,
    /// Where the service's sequence numbers start, if it says so.
    pub seq_number: Option<u32>,
}

impl Awaited {
    /// Verifies that `reply`, an AP-REP, answers the request (RFC 4120 §3.2.5).
    pub fn verify(&self, reply: &[u8]) -> Result<Reply, ApError> {
        let reply = ApRep::decode(reply)?;
        let plaintext = (reply
            .enc_part
            .decrypt::<EncApRepPart<'_>>(&self.session_key))
        .map_err(|_| ApError::ReplyIntegrity)?;
        let part = EncApRepPart::decode(&plaintext)?;
        let same_second = part.ctime == KerberosTime::from(self.ctime);
        if !same_second || part.cusec != Microseconds::from(self.ctime) {
            return Err(ApError::ReplyMismatch);
        }
        let subkey = part.subkey.as_ref().map(key).transpose()?;
        if let Some(subkey) = &subkey {
            check_permitted(subkey.enctype(), &self.permitted_enctypes)?;
        }
        Ok(Reply {
            subkey,
            seq_number: part.seq_number.map(Word::bits),
        })
    }
}
