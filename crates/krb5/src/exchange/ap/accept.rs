//! The service's side, in the order of RFC 4120 §3.2.3: each step gives the value that the next one needs.

use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use krb5_crypto::{Enctype, Key, KeyUsage};
use once::MarkTag;
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use super::acceptable::Acceptable;
use super::error::ApError;
use super::vouched::Vouched;
use super::{check_permitted, key};
use crate::exchange::transited::{self, DOMAIN_X500_COMPRESS};
use crate::formats::keytab::{Keytab, KeytabEntry};
use crate::formats::rcache2;
use crate::formats::settings::{Capaths, DEFAULT_ENCTYPES};
use crate::messages::{
    ApRep, ApReq, Authenticator, Const, EncApRepPart, EncTicketPart, EncryptedData, EncryptionKey,
    KerberosTime, Microseconds, Ticket, Value, Word, ap_options, encrypt, ticket_flags,
};
use crate::principal::Principal;

/// What a service accepts.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How far the client's clock may be from ours.
    pub clock_skew: Duration,
    /// By way of which realms clients may come, where the KDC has not looked at that.
    pub capaths: Arc<Capaths>,
    /// Of which enctypes the session key and the client's subkey may be.
    pub permitted_enctypes: Arc<[&'static Enctype]>,
}

/// Five minutes (RFC 4120 §8.2), the paths of the realms' hierarchy, and every enctype.
impl Default for Policy {
    fn default() -> Self {
        Self {
            clock_skew: Duration::from_secs(300),
            capaths: Arc::default(),
            permitted_enctypes: Arc::new(DEFAULT_ENCTYPES),
        }
    }
}

/// What ticket and authenticator say, both of them decrypted with the keys they have to be under.
pub struct Authenticated {
    /// The client, as the ticket names it.
    pub client: Principal,
    /// The service, as the keytab names it: the ticket's own word on that is not sealed.
    pub server: Principal,
    /// The ticket's flags (`messages::ticket_flags`).
    pub flags: u32,
    /// The ticket's session key.
    pub session_key: Key,
    /// When the client proved its own key to the KDC.
    pub authtime: Timestamp,
    /// When the ticket begins.
    pub starttime: Timestamp,
    /// When the ticket ends.
    pub endtime: Timestamp,
    /// The ticket's authorization data in DER, empty if it has none.
    pub authorization_data: Vec<u8>,
    /// What of it the KDC vouches for.
    pub vouched: Vouched,
    /// Whether the client asks for a reply.
    pub mutual: bool,
    /// The authenticator's time, with its microseconds.
    pub ctime: Timestamp,
    /// The type and value of the authenticator's checksum. A delegated session key may lie in it in the clear.
    pub cksum: Option<(i32, Zeroizing<Vec<u8>>)>,
    /// The client's subkey.
    pub subkey: Option<Key>,
    /// Where the client's sequence numbers start.
    pub seq_number: Option<u32>,
    /// The authenticator's authorization data in DER, empty if it has none.
    pub authenticator_data: Vec<u8>,
}

/// A request whose ticket and authenticator were opened, and nothing more.
pub struct Opened {
    request: Authenticated,
    ticket_enctype: &'static Enctype,
    authenticator_client: Principal,
    transited: (i32, Vec<u8>),
    mark: MarkTag,
    tag: rcache2::Tag,
}

/// A request that has passed every check of RFC 4120 §3.2.3 but the one against replays.
pub struct Checked {
    request: Authenticated,
    mark: MarkTag,
    tag: rcache2::Tag,
}

/// Reads an AP-REQ.
pub fn read(message: &[u8]) -> Result<ApReq<'_>, ApError> {
    Ok(ApReq::decode(message)?)
}

/// Opens the ticket with a key of `keytab`, and the authenticator with the session key in the ticket.
///
/// The key has to be one of `acceptable`, and then may open a ticket under another name: the keys of the ticket's own server
/// are tried first, then every other key of its enctype.
pub fn open(
    request: &ApReq<'_>,
    keytab: &Keytab,
    acceptable: &Acceptable,
) -> Result<Opened, ApError> {
    if request.ap_options.contains(ap_options::USE_SESSION_KEY) {
        return Err(ApError::UserToUser);
    }
    let (plaintext, entry) = open_ticket(&request.ticket, keytab, acceptable)?;
    let ticket = EncTicketPart::decode(&plaintext)?;
    let session_key = key(&ticket.key)?;
    let plaintext = (request.authenticator)
        .decrypt_as(&session_key, KeyUsage::AP_REQ_AUTHENTICATOR)
        .map_err(|_| ApError::AuthenticatorIntegrity)?;
    let authenticator = Authenticator::decode(&plaintext)?;
    let ctime = moment(authenticator.ctime, authenticator.cusec);
    let client = ticket.cname.in_realm(ticket.crealm);
    let authtime = ticket.authtime.into();
    let data = ticket.authorization_data.as_ref();
    let vouched = Vouched::by(&entry.key, data, &client, authtime);
    Ok(Opened {
        ticket_enctype: entry.key.enctype(),
        mark: replay_mark(
            &entry.key,
            &client,
            ctime,
            session_key
                .enctype()
                .checksum_of(request.authenticator.cipher),
        ),
        tag: rcache2_tag(&session_key, request.authenticator.cipher),
        authenticator_client: authenticator.cname.in_realm(authenticator.crealm),
        transited: (ticket.transited.tr_type, ticket.transited.contents.to_vec()),
        request: Authenticated {
            client,
            server: entry.principal.clone(),
            flags: ticket.flags.bits(),
            session_key,
            authtime,
            starttime: ticket.starttime.unwrap_or(ticket.authtime).into(),
            endtime: ticket.endtime.into(),
            authorization_data: der_or_nothing(ticket.authorization_data),
            vouched,
            mutual: request.ap_options.contains(ap_options::MUTUAL_REQUIRED),
            ctime,
            cksum: (authenticator.cksum)
                .map(|cksum| (cksum.cksumtype, cksum.checksum.to_vec().into())),
            subkey: authenticator.subkey.as_ref().map(key).transpose()?,
            seq_number: authenticator.seq_number.map(Word::bits),
            authenticator_data: der_or_nothing(authenticator.authorization_data),
        },
    })
}

impl Opened {
    /// The type and value of the authenticator's checksum: authentic, but not to be acted upon before the checks.
    pub fn cksum(&self) -> Option<(i32, &[u8])> {
        let (cksumtype, checksum) = self.request.cksum.as_ref()?;
        Some((*cksumtype, checksum))
    }

    /// The checks that follow decryption, in the standard's order. Addresses in the ticket are not looked at: a service
    /// behind GSS-API does not know its client's, and MIT's library passes them over then as well.
    pub fn check(self, policy: &Policy, now: Timestamp) -> Result<Checked, ApError> {
        let Self {
            request,
            ticket_enctype,
            authenticator_client,
            transited,
            mark,
            tag,
        } = self;
        if authenticator_client != request.client {
            return Err(ApError::ClientMismatch {
                authenticator: authenticator_client,
                ticket: request.client,
            });
        }
        check_skew(&request, policy, now)?;
        check_times(&request, policy, now)?;
        check_transited(&request, &transited, policy)?;
        check_enctypes(&request, ticket_enctype, policy)?;
        Ok(Checked { request, mark, tag })
    }
}

fn check_skew(request: &Authenticated, policy: &Policy, now: Timestamp) -> Result<(), ApError> {
    let apart = request.ctime.abs_diff(now);
    if apart > policy.clock_skew {
        return Err(ApError::Skew {
            apart,
            allowed: policy.clock_skew,
        });
    }
    Ok(())
}

fn check_times(request: &Authenticated, policy: &Policy, now: Timestamp) -> Result<(), ApError> {
    if request.starttime > now + policy.clock_skew {
        return Err(ApError::NotYetValid {
            starttime: request.starttime,
        });
    }
    if request.flags & ticket_flags::INVALID != 0 {
        return Err(ApError::Invalid);
    }
    if now > request.endtime + policy.clock_skew {
        return Err(ApError::Expired {
            endtime: request.endtime,
        });
    }
    Ok(())
}

fn check_transited(
    request: &Authenticated,
    (tr_type, contents): &(i32, Vec<u8>),
    policy: &Policy,
) -> Result<(), ApError> {
    if contents.is_empty() || request.flags & ticket_flags::TRANSITED_POLICY_CHECKED != 0 {
        return Ok(());
    }
    if *tr_type != DOMAIN_X500_COMPRESS {
        return Err(ApError::TransitedEncoding(*tr_type));
    }
    let (client, server) = (request.client.realm(), request.server.realm());
    Ok(transited::check(client, server, contents, &policy.capaths)?)
}

/// What protects messages is chosen by client and KDC. The ticket's own enctype is that of a key in our keytab, which speaks for
/// it, unless it is a deprecated one.
fn check_enctypes(
    request: &Authenticated,
    ticket_enctype: &'static Enctype,
    policy: &Policy,
) -> Result<(), ApError> {
    let permitted = |enctype| check_permitted(enctype, &policy.permitted_enctypes);
    if ticket_enctype.is_deprecated() {
        permitted(ticket_enctype)?;
    }
    permitted(request.session_key.enctype())?;
    match &request.subkey {
        Some(subkey) => permitted(subkey.enctype()),
        None => Ok(()),
    }
}

impl Checked {
    /// The mark by which this request is known again: server key, client, time, and the authenticator's ciphertext
    /// by its checksum, so that two requests which a client made in the same microsecond are not taken for one.
    pub const fn replay_mark(&self) -> &MarkTag {
        &self.mark
    }

    /// The tag by which MIT's acceptors know this request again.
    pub const fn rcache2_tag(&self) -> &rcache2::Tag {
        &self.tag
    }

    /// What the request says.
    pub const fn request(&self) -> &Authenticated {
        &self.request
    }

    /// What the request says, to be taken apart.
    pub fn into_request(self) -> Authenticated {
        self.request
    }

    /// The AP-REP (RFC 4120 §3.2.4).
    pub fn reply(
        &self,
        subkey: Option<&Key>,
        seq_number: Option<u32>,
        random: &dyn Random,
    ) -> Vec<u8> {
        let part = EncApRepPart {
            ctime: self.request.ctime.into(),
            cusec: self.request.ctime.into(),
            subkey: subkey.map(EncryptionKey::from),
            seq_number: seq_number.map(Word::from),
        };
        let cipher = encrypt(&part, &self.request.session_key, random);
        ApRep {
            pvno: Const,
            msg_type: Const,
            enc_part: EncryptedData::new(&self.request.session_key, None, &cipher),
        }
        .encode()
    }
}

/// The ticket's plaintext and the entry whose key it was under.
fn open_ticket<'k>(
    ticket: &Ticket<'_>,
    keytab: &'k Keytab,
    acceptable: &Acceptable,
) -> Result<(Zeroizing<Vec<u8>>, &'k KeytabEntry), ApError> {
    let named = ticket.sname.in_realm(ticket.realm);
    let (etype, kvno) = (ticket.enc_part.etype, ticket.enc_part.kvno.map(Word::bits));
    for entry in keys_to_try(keytab, &named, acceptable, etype, kvno) {
        if let Ok(plaintext) = ticket.enc_part.decrypt::<EncTicketPart<'_>>(&entry.key) {
            return Ok((plaintext, entry));
        }
    }
    let wanted = match acceptable {
        Acceptable::Principal(principal) => principal,
        Acceptable::Any => &named,
        Acceptable::Service { .. } if acceptable.includes(&named) => &named,
        Acceptable::Service { .. } => {
            return Err(ApError::NotUs {
                server: named,
                acceptable: acceptable.clone(),
            });
        }
    };
    Err(why_closed(keytab, wanted, etype, kvno))
}

/// The keys of the server that the ticket names, or of the one that is meant instead, then, if others will do too, those of
/// the enctype: each of them once.
fn keys_to_try<'k>(
    keytab: &'k Keytab,
    named: &Principal,
    acceptable: &Acceptable,
    etype: i32,
    kvno: Option<u32>,
) -> Vec<&'k KeytabEntry> {
    let (first, others) = match acceptable {
        Acceptable::Principal(principal) => (principal, false),
        Acceptable::Any | Acceptable::Service { .. } => (named, true),
    };
    let includes = |entry: &&KeytabEntry| acceptable.includes(&entry.principal);
    let mut keys: Vec<_> = keytab
        .candidates(first, etype, kvno)
        .filter(includes)
        .collect();
    let own = keys.len();
    for entry in keytab.entries.iter().filter(|_| others).filter(includes) {
        let tried = keys[..own].iter().any(|tried| ptr::eq(*tried, entry));
        if entry.key.enctype().number() == etype && !tried {
            keys.push(entry);
        }
    }
    keys
}

/// Why no key opened a ticket: there is none, none of its version, or the ticket is at fault.
fn why_closed(keytab: &Keytab, server: &Principal, etype: i32, kvno: Option<u32>) -> ApError {
    let server = server.clone();
    if keytab.candidates(&server, etype, kvno).next().is_some() {
        return ApError::TicketIntegrity;
    }
    let versions = keytab
        .candidates(&server, etype, None)
        .map(|entry| entry.kvno);
    match (kvno, versions.max()) {
        (Some(kvno), Some(newest)) => ApError::BadKeyVersion {
            server,
            etype,
            kvno,
            newest,
        },
        _ => ApError::NoKey { server, etype },
    }
}

fn replay_mark(server: &Key, client: &Principal, ctime: Timestamp, checksum: &[u8]) -> MarkTag {
    // The key itself never reaches the store, not even through a hash that could be guessed at.
    let server = server.prf(b"replay mark");
    MarkTag::of(&[
        &server,
        client.realm(),
        &client.name_to_bytes(),
        &ctime.seconds().to_be_bytes(),
        &ctime.subsec_micros().to_be_bytes(),
        checksum,
    ])
}

/// MIT's tag begins where the checksum does, which has another length in each enctype. It takes RC4's for the end of the
/// ciphertext too, and so do we.
fn rcache2_tag(session_key: &Key, cipher: &[u8]) -> rcache2::Tag {
    let length = session_key.enctype().checksum_length();
    rcache2::Tag::of(&cipher[cipher.len().saturating_sub(length)..])
}

fn moment(seconds: KerberosTime, micros: Microseconds) -> Timestamp {
    Timestamp::from(seconds) + Duration::from_micros(micros.get().into())
}

fn der_or_nothing<'a, T: Value<'a>>(value: Option<T>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| value.encode())
}

#[cfg(test)]
mod tests {
    use krb5_crypto::Enctype;

    use super::*;

    /// Otherwise a forged ticket costs twice what it has to.
    #[test]
    fn no_key_is_tried_twice() {
        let (own, other) = (
            Principal::service("HTTP", "web", "R"),
            Principal::user("x", "R"),
        );
        let entry = |principal: &Principal, kvno, number| {
            let enctype = Enctype::from_number(number).unwrap();
            KeytabEntry {
                principal: principal.clone(),
                timestamp: Timestamp::default(),
                kvno,
                key: Arc::new(Key::new(enctype, &vec![1; enctype.key_length()]).unwrap()),
            }
        };
        let keytab = Keytab {
            entries: vec![
                entry(&other, 9, 17),
                entry(&own, 1, 17),
                entry(&own, 2, 17),
                entry(&own, 2, 18),
            ],
            others: Vec::new(),
        };
        let versions = |acceptable: &Acceptable, kvno| -> Vec<u32> {
            let keys = keys_to_try(&keytab, &own, acceptable, 17, kvno);
            keys.iter().map(|entry| entry.kvno).collect()
        };
        let http = |host: &[u8]| Acceptable::Service {
            service: b"HTTP".as_slice().into(),
            host: Some(host.into()),
        };
        assert_eq!(versions(&Acceptable::Any, Some(2)), [2, 9, 1]);
        assert_eq!(versions(&Acceptable::Any, None), [1, 2, 9]);
        let one = Acceptable::Principal(own.clone());
        assert_eq!(versions(&one, Some(2)), [2]);
        assert_eq!(versions(&http(b"web"), Some(2)), [2, 1]);
        assert_eq!(versions(&http(b"other"), Some(2)), [0; 0]);
    }

    /// The first twelve bytes of the checksum, wherever that begins.
    #[test]
    fn mits_tag_begins_where_the_checksum_does() {
        let cipher: [u8; 60] = std::array::from_fn(|at| at as u8);
        for (number, start) in [
            (16, 40),
            (17, 48),
            (18, 48),
            (19, 44),
            (20, 36),
            (23, 44),
            (25, 44),
            (26, 44),
        ] {
            let enctype = Enctype::from_number(number).unwrap();
            let key = Key::new(enctype, &vec![1; enctype.key_length()]).unwrap();
            let tag = rcache2_tag(&key, &cipher);
            assert_eq!(tag.bytes()[..], cipher[start..start + 12], "{number}");
        }
    }

    /// Everything that a mark is of makes another one when it alone changes.
    #[test]
    fn a_mark_is_of_all_its_parts() {
        let key = |byte| Key::new(Enctype::from_number(17).unwrap(), &[byte; 16]).unwrap();
        let alice = Principal::user("alice", "EXAMPLE.COM");
        let time = Timestamp::from_micros(1_800_000_000_123_456);
        let cipher = [7; 60];
        let first = replay_mark(&key(1), &alice, time, &cipher);
        assert!(first == replay_mark(&key(1), &alice, time, &cipher));
        let bob = Principal::user("bob", "EXAMPLE.COM");
        let elsewhere = alice.clone().with_realm("OTHER.COM");
        let mut checksum = cipher;
        checksum[59] = 8;
        for (index, other) in [
            replay_mark(&key(2), &alice, time, &cipher),
            replay_mark(&key(1), &bob, time, &cipher),
            replay_mark(&key(1), &elsewhere, time, &cipher),
            replay_mark(&key(1), &alice, time + Duration::from_secs(1), &cipher),
            replay_mark(&key(1), &alice, time + Duration::from_micros(1), &cipher),
            replay_mark(&key(1), &alice, time, &checksum),
        ]
        .into_iter()
        .enumerate()
        {
            assert!(first != other, "{index}");
        }
    }
}
