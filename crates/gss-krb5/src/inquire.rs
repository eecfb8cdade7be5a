//! What a context tells of its key and its ticket, by name and by OID (MIT's `gssapi_krb5.h`).

use gss_core::error::{Error as GssError, Major};
use gss_core::inquire::{Inquire, Lucid, LucidProtocol, SessionKey};
use gss_core::mechanism::NotOffered;
use gss_core::oid::Oid;
use krb5::messages::{AD_IF_RELEVANT, AuthorizationData, Value, flatten};
use krb5_crypto::{Enctype, Key};
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::{Error, Malformed};

/// What a context keeps of its ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TicketFacts {
    pub(crate) flags: u32,
    /// In whole seconds, as tickets have it.
    pub(crate) authtime: Timestamp,
    /// The same, by the KDC's clock: how far clocks may be apart is not in it.
    pub(crate) endtime: Timestamp,
}

impl TicketFacts {
    pub(crate) fn new(flags: u32, authtime: Timestamp, endtime: Timestamp) -> Self {
        let whole = |time: Timestamp| Timestamp::from_seconds(time.seconds());
        Self {
            flags,
            authtime: whole(authtime),
            endtime: whole(endtime),
        }
    }
}

/// 1.2.840.113554.1.2.2.5, below which MIT's library counts what can be inquired.
const INQUIRIES: [u8; 10] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 5];
const GET_TKT_FLAGS: &[u8] = &[1];
const INQ_SSPI_SESSION_KEY: &[u8] = &[5];
/// Behind it comes the type.
const EXTRACT_AUTHZ_DATA: u8 = 10;
const EXTRACT_AUTHTIME: &[u8] = &[12];
const SASL_SSF: &[u8] = &[15];

/// 1.2.840.113554.1.2.2.4, behind which comes the enctype of a key.
const SESSION_KEY_ENCTYPE: [u8; 10] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 4];

impl Inquire for Context {
    fn session_key(&self) -> SessionKey {
        exposed(self.keys().sending())
    }

    fn strength(&self) -> u32 {
        strength(self.keys().sending().enctype())
    }

    fn ticket_flags(&self) -> u32 {
        self.ticket().flags
    }

    fn authtime(&self) -> Timestamp {
        self.ticket().authtime
    }

    /// What stands within AD-IF-RELEVANT counts, at any depth.
    fn authorization_data(&self, ad_type: i32) -> Result<Vec<Vec<u8>>, GssError> {
        let data = self.authorization_data();
        if data.is_empty() {
            return Ok(Vec::new());
        }
        let top = AuthorizationData::decode(data);
        let elements = match ad_type {
            AD_IF_RELEVANT => top,
            _ => top.and_then(|top| flatten(&top)),
        };
        let elements = elements.map_err(|_| Error::from(Malformed::AuthorizationData))?;
        let found = elements.iter().filter(|one| one.ad_type == ad_type);
        Ok(found.map(|one| one.ad_data.to_vec()).collect())
    }

    /// Numbers have the byte order that C programs of MIT's library expect: this machine's, but for the SSF.
    fn by_oid(&self, oid: &Oid) -> Result<Vec<Zeroizing<Vec<u8>>>, GssError> {
        let which = oid.bytes().strip_prefix(&INQUIRIES).unwrap_or_default();
        let one = |bytes: &[u8]| vec![Zeroizing::new(bytes.to_vec())];
        match which {
            GET_TKT_FLAGS => Ok(one(&self.ticket_flags().to_ne_bytes())),
            INQ_SSPI_SESSION_KEY => {
                let SessionKey { enctype, bytes } = self.session_key();
                let mut kind = SESSION_KEY_ENCTYPE.to_vec();
                kind.extend(arc(enctype.cast_unsigned()));
                Ok(vec![bytes, Zeroizing::new(kind)])
            }
            [EXTRACT_AUTHZ_DATA, ad_type @ ..] => {
                let ad_type = number(ad_type).filter(|number| *number != 0);
                let ad_type = ad_type.ok_or(NoType)?;
                let found = Inquire::authorization_data(self, ad_type)?;
                Ok(found.into_iter().map(Zeroizing::new).collect())
            }
            EXTRACT_AUTHTIME => {
                // 32 bits that MIT's library counts on without a sign, until 2106.
                let seconds = self.authtime().seconds() as u32;
                Ok(one(&seconds.to_ne_bytes()))
            }
            SASL_SSF => Ok(one(&self.strength().to_be_bytes())),
            _ => Err(NotOffered("fact of this OID").into()),
        }
    }

    fn lucid(&self) -> Result<Lucid, GssError> {
        let keys = self.keys();
        let enctype = keys.sending().enctype();
        let protocol = match older(enctype) {
            Some((sign_alg, seal_alg)) => LucidProtocol::Rfc1964 {
                sign_alg,
                seal_alg,
                ctx_key: raw(exposed(keys.sending())),
            },
            None => LucidProtocol::Cfx {
                ctx_key: exposed(&keys.initiators),
                acceptor_subkey: keys.acceptor_subkey.as_ref().map(exposed),
            },
        };
        let (send_seq, recv_seq) = self.numbers()?;
        let facts = gss_core::mechanism::SecurityContext::facts(self);
        Ok(Lucid {
            initiate: facts.locally_initiated,
            endtime: self.ticket().endtime,
            send_seq,
            recv_seq,
            protocol,
        })
    }
}

/// The type of authorization data is missing from the OID, or is none.
#[derive(Debug, thiserror::Error)]
#[error("the OID ends without a type of authorization data")]
struct NoType;

impl From<NoType> for GssError {
    fn from(cause: NoType) -> Self {
        /// `ENOENT`.
        const NO_ENTRY: u32 = 2;
        Self::new(Major::Failure, cause).with_minor(NO_ENTRY)
    }
}

/// A key in the open: whoever inquired for it needs it so.
fn exposed(key: &Key) -> SessionKey {
    SessionKey {
        enctype: key.enctype().number(),
        bytes: Zeroizing::new(key.expose().to_vec()),
    }
}

/// The key of RFC 1964's tokens under the enctype's number that kernels know, as MIT's library has it: for Triple DES that of
/// encryption alone, 6.
fn raw(key: SessionKey) -> SessionKey {
    let enctype = match key.enctype {
        16 => 6,
        other => other,
    };
    SessionKey { enctype, ..key }
}

/// The strength of an enctype's encryption in bits, as MIT's library has it.
fn strength(enctype: &Enctype) -> u32 {
    match enctype.number() {
        16 => 112,
        23 => 64,
        17 | 19 | 25 => 128,
        _ => 256,
    }
}

/// `SGN_ALG` and `SEAL_ALG` of the enctypes that have the tokens of RFC 1964 (RFC 1964 §1.2.1, RFC 4757 §7.2).
fn older(enctype: &Enctype) -> Option<(u32, u32)> {
    match enctype.number() {
        16 => Some((4, 2)),
        23 => Some((0x11, 0x10)),
        _ => None,
    }
}

/// A number as the last arc of an OID (X.690 §8.19.2).
fn arc(number: u32) -> impl Iterator<Item = u8> {
    let groups = (32 - number.leading_zeros()).div_ceil(7).max(1);
    let of = move |group: u32| (number >> (7 * group)) as u8 & 0x7f;
    (0..groups).rev().map(move |group| {
        if group > 0 {
            of(group) | 0x80
        } else {
            of(group)
        }
    })
}

/// The one arc in `octets`, if it has no more than 31 bits.
fn number(octets: &[u8]) -> Option<i32> {
    let (last, before) = octets.split_last()?;
    if last & 0x80 != 0 || before.iter().any(|octet| octet & 0x80 == 0) {
        return None;
    }
    octets.iter().try_fold(0_i32, |number, octet| {
        let group = i32::from(octet & 0x7f);
        number.checked_mul(128)?.checked_add(group)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arc_is_read_as_it_is_written() {
        for value in [0, 1, 18, 127, 128, 129, 16_383, 16_384, 0x7fff_ffff] {
            let octets: Vec<u8> = arc(value).collect();
            assert_eq!(number(&octets), Some(value as i32), "{octets:02x?}");
        }
        for octets in [&[][..], &[0x81], &[1, 2], &[0x88, 0x80, 0x80, 0x80, 0]] {
            assert_eq!(number(octets), None, "{octets:02x?}");
        }
    }
}
