//! Each check of RFC 4120 §3.2.3 and RFC 4121 §4.1.1 where it alone fails, with the KRB-ERROR that the peer gets and our own
//! error; and beside it what is just good enough.

use std::sync::Arc;
use std::time::Duration;

use gss_core::bindings::ChannelBindings;
use gss_core::error::{Major, Supplementary};
use gss_core::flags::Flags;
use gss_core::framing;
use gss_core::mechanism::{Facts, Failure, Handshake, SecurityContext, Step};
use gss_core::oid::Oid;
use gss_core::sequence::SequenceWindow;
use krb5::exchange::ap::ApError;
use krb5::formats::keytab::Keytab;
use krb5::formats::settings::Capaths;
use krb5::messages::{
    ApReq, Authenticator, AuthorizationDataElement, Checksum, Const, EncryptedData, EncryptionKey,
    KrbError, MAX_DEPTH, PrincipalName, Realm, Ticket, Value, Word, ap_options, ticket_flags,
};
use krb5::principal::Principal;
use krb5_crypto::{Enctype, Key, KeyUsage};
use once::ClaimError;
use wire::der::Flags as Bits;
use wire::time::{Clock, Timestamp};

use super::realm::{TestRealm, done, enctypes, failed, one_bit_flips, same_key, signed, wrapped};
use crate::checksum::{GSS_CHECKSUM, GssChecksum, NO_BINDINGS, hash};
use crate::context::Established;
use crate::keys::Keys;
use crate::{Acceptor, Error, Local, Malformed, PeerMisbehaved};

/// A request and an acceptor between whom all is well, until a test changes one thing.
struct Attempt {
    realm: TestRealm,
    principal: Option<Principal>,
    bindings: Option<ChannelBindings>,
    capaths: Capaths,
    permitted: Vec<i32>,
    client: Principal,
    ctime: Timestamp,
    cksum: Option<(i32, Vec<u8>)>,
    ap_options: u32,
    subkey: Option<(i32, Vec<u8>)>,
    seq_number: Option<u32>,
    authorization_data: Option<Vec<(i32, Vec<u8>)>>,
    authenticator_key: Arc<Key>,
    authenticator_usage: KeyUsage,
    /// Instead of an authenticator.
    authenticator: Option<Vec<u8>>,
    change_authenticator: fn(&mut Vec<u8>),
    change_ticket: fn(&mut Vec<u8>),
    change_request: fn(&mut Vec<u8>),
    change_token: fn(&mut Vec<u8>),
}

fn nothing(_: &mut Vec<u8>) {}

const ASKED: Flags = Flags::from_bits(2 | 4 | 8 | 16 | 32);

impl Attempt {
    fn new() -> Self {
        Self::of(enctypes().nth(1).unwrap())
    }

    fn of(enctype: &'static Enctype) -> Self {
        let realm = TestRealm::new(enctype);
        let subkey = realm
            .ticket
            .session_key
            .enctype()
            .random_key(&*realm.random);
        Self {
            principal: None,
            bindings: None,
            capaths: Capaths::default(),
            permitted: vec![17, 18, 19, 20],
            client: realm.ticket.client.clone(),
            ctime: realm.clock.now(),
            cksum: Some(gss_checksum(NO_BINDINGS, ASKED.bits(), &[])),
            ap_options: ap_options::MUTUAL_REQUIRED,
            subkey: Some((subkey.enctype().number(), subkey.expose().to_vec())),
            seq_number: Some(7),
            authorization_data: None,
            authenticator_key: Arc::clone(&realm.ticket.session_key),
            authenticator_usage: KeyUsage::AP_REQ_AUTHENTICATOR,
            authenticator: None,
            change_authenticator: nothing,
            change_ticket: nothing,
            change_request: nothing,
            change_token: nothing,
            realm,
        }
    }

    fn authenticator(&self) -> Vec<u8> {
        let data = self.authorization_data.as_ref().map(|elements| {
            let elements = elements
                .iter()
                .map(|(ad_type, ad_data)| AuthorizationDataElement {
                    ad_type: *ad_type,
                    ad_data,
                });
            elements.collect()
        });
        let mut bytes = Authenticator {
            authenticator_vno: Const,
            crealm: Realm(self.client.realm()),
            cname: PrincipalName::from(&self.client),
            cksum: (self.cksum.as_ref()).map(|(cksumtype, checksum)| Checksum {
                cksumtype: *cksumtype,
                checksum,
            }),
            cusec: self.ctime.into(),
            ctime: self.ctime.into(),
            subkey: (self.subkey.as_ref()).map(|(keytype, keyvalue)| EncryptionKey {
                keytype: *keytype,
                keyvalue,
            }),
            seq_number: self.seq_number.map(Word::from),
            authorization_data: data,
        }
        .encode();
        (self.change_authenticator)(&mut bytes);
        bytes
    }

    fn token(&self) -> Vec<u8> {
        let plaintext = (self.authenticator.clone()).unwrap_or_else(|| self.authenticator());
        let (key, random) = (&self.authenticator_key, &*self.realm.random);
        let cipher = key.encrypt(self.authenticator_usage, random, &plaintext);
        let mut ticket = self.realm.ticket.encode(random);
        (self.change_ticket)(&mut ticket);
        let mut request = ApReq {
            pvno: Const,
            msg_type: Const,
            ap_options: Bits::from_bits(self.ap_options),
            ticket: Ticket::decode(&ticket).unwrap(),
            authenticator: EncryptedData::new(key, None, &cipher),
        }
        .encode();
        (self.change_request)(&mut request);
        let mut inner = [&[1, 0], &request[..]].concat();
        (self.change_token)(&mut inner);
        framing::frame(Oid::KRB5, &inner)
    }

    fn accept(&self, token: &[u8]) -> Result<Step, Failure> {
        let mut cred = self.realm.cred();
        cred.principal = self.principal.clone();
        let mut options = self.realm.accept_options();
        options.bindings = self.bindings.clone();
        options.policy.capaths = Arc::new(self.capaths.clone());
        options.policy.permitted_enctypes = enctypes()
            .filter(|enctype| self.permitted.contains(&enctype.number()))
            .collect();
        Box::new(Acceptor::new(cred, options)).step(token, &self.realm.host())
    }

    fn context(&self) -> Box<dyn SecurityContext> {
        done(self.accept(&self.token())).1
    }
}

fn gss_checksum(bindings: [u8; 16], flags: u32, rest: &[u8]) -> (i32, Vec<u8>) {
    let head = GssChecksum::new(bindings, Flags::NONE).to_bytes();
    let value = [&head[..20], &flags.to_le_bytes(), rest].concat();
    (GSS_CHECKSUM, value)
}

/// Puts `new` where `old` stands first.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = bytes
        .windows(old.len())
        .position(|part| part == old)
        .unwrap();
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn minute(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn bindings() -> ChannelBindings {
    ChannelBindings::application(*b"channel")
}

/// AD-IF-RELEVANT { KERB_AP_OPTIONS }.
fn ap_option(values: &[&[u8]]) -> Vec<(i32, Vec<u8>)> {
    let options: Vec<_> = (values.iter())
        .map(|value| AuthorizationDataElement {
            ad_type: 143,
            ad_data: value,
        })
        .collect();
    vec![(1, options.encode())]
}

const CBT: [u8; 4] = [0, 0x40, 0, 0];

type Change = fn(&mut Attempt);
type Row = (&'static str, Change, i32, Major, fn(&Error) -> bool);

const MALFORMED: Major = Major::DefectiveToken;
const FAILURE: Major = Major::Failure;

macro_rules! is {
    ($pattern:pat) => {
        |error| matches!(error, $pattern)
    };
}

/// In the order in which an acceptor looks.
const ROWS: &[Row] = &[
    (
        "unknown token identifier",
        |a| a.change_token = |token| token[0] = 9,
        40,
        MALFORMED,
        is!(Error::Malformed(Malformed::TokenId)),
    ),
    (
        "an acceptor's token",
        |a| a.change_token = |token| token[0] = 2,
        40,
        FAILURE,
        is!(Error::Exchange(ApError::MessageType)),
    ),
    (
        "a KRB-ERROR",
        |a| a.change_token = |token| token[0] = 3,
        40,
        FAILURE,
        is!(Error::Exchange(ApError::MessageType)),
    ),
    (
        "no token identifier",
        |a| a.change_token = |token| token.truncate(1),
        60,
        MALFORMED,
        is!(Error::Malformed(Malformed::Short)),
    ),
    (
        "not DER",
        |a| a.change_request = |request| request.truncate(100),
        60,
        FAILURE,
        is!(Error::Exchange(ApError::Malformed(_))),
    ),
    (
        "another message",
        |a| a.change_request = |request| request[0] = 0x6f,
        40,
        FAILURE,
        is!(Error::Exchange(ApError::MessageType)),
    ),
    (
        "pvno",
        |a| a.change_request = |request| replace(request, &[0xa0, 3, 2, 1, 5], &[0xa0, 3, 2, 1, 4]),
        39,
        FAILURE,
        is!(Error::Exchange(ApError::BadVersion { found: 4 })),
    ),
    (
        "msg-type",
        |a| {
            a.change_request =
                |request| replace(request, &[0xa1, 3, 2, 1, 14], &[0xa1, 3, 2, 1, 12])
        },
        40,
        FAILURE,
        is!(Error::Exchange(ApError::MessageType)),
    ),
    (
        "tkt-vno",
        |a| {
            a.change_request = |request| {
                let ticket = request.iter().position(|byte| *byte == 0x61).unwrap();
                replace(
                    &mut request[ticket..],
                    &[0xa0, 3, 2, 1, 5],
                    &[0xa0, 3, 2, 1, 4],
                );
            }
        },
        39,
        FAILURE,
        is!(Error::Exchange(ApError::BadVersion { found: 4 })),
    ),
    (
        "user to user",
        |a| a.ap_options |= ap_options::USE_SESSION_KEY,
        67,
        FAILURE,
        is!(Error::Exchange(ApError::UserToUser)),
    ),
    (
        "no keys at all",
        |a| a.realm.keytab = Keytab::default(),
        45,
        FAILURE,
        is!(Error::Exchange(ApError::NoKey { etype: 18, .. })),
    ),
    (
        "no key of the one service wanted",
        |a| a.principal = Some(Principal::service("HTTP", "www.example.com", "EXAMPLE.COM")),
        45,
        FAILURE,
        is!(Error::Exchange(ApError::NoKey { etype: 18, .. })),
    ),
    (
        "no key of the service's realm",
        |a| a.principal = Some(a.realm.ticket.server.clone().with_realm("OTHER.COM")),
        45,
        FAILURE,
        is!(Error::Exchange(ApError::NoKey { etype: 18, .. })),
    ),
    (
        "no key of the ticket's enctype",
        |a| {
            let other = enctypes().next().unwrap().random_key(&*a.realm.random);
            a.realm.keytab.entries[0].key = Arc::new(other);
        },
        45,
        FAILURE,
        is!(Error::Exchange(ApError::NoKey { etype: 18, .. })),
    ),
    (
        "no key of the ticket's version",
        |a| {
            let other = a.realm.ticket.key.enctype().random_key(&*a.realm.random);
            a.realm.ticket.key = Arc::new(other);
            a.realm.ticket.kvno = Some(4);
        },
        44,
        FAILURE,
        is!(Error::Exchange(ApError::BadKeyVersion {
            kvno: 4,
            newest: 3,
            ..
        })),
    ),
    (
        "a ticket that was altered",
        |a| {
            a.change_ticket = |ticket| {
                let last = ticket.len() - 1;
                ticket[last] ^= 1;
            }
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::TicketIntegrity)),
    ),
    (
        "a ticket under another key",
        |a| {
            let other = a.realm.ticket.key.enctype().random_key(&*a.realm.random);
            a.realm.ticket.key = Arc::new(other);
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::TicketIntegrity)),
    ),
    (
        "an authenticator that was altered",
        |a| {
            a.change_request = |request| {
                let last = request.len() - 1;
                request[last] ^= 1;
            }
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::AuthenticatorIntegrity)),
    ),
    (
        "an authenticator under another key",
        |a| {
            let other = a.authenticator_key.enctype().random_key(&*a.realm.random);
            a.authenticator_key = Arc::new(other);
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::AuthenticatorIntegrity)),
    ),
    (
        "an authenticator that says it is of another enctype",
        |a| {
            a.change_request = |request| {
                let at = request
                    .windows(5)
                    .rposition(|part| part == [0xa0, 3, 2, 1, 18]);
                request[at.unwrap() + 4] = 17;
            }
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::AuthenticatorIntegrity)),
    ),
    (
        "an authenticator for the KDC",
        |a| a.authenticator_usage = KeyUsage::TGS_REQ_AUTHENTICATOR,
        31,
        FAILURE,
        is!(Error::Exchange(ApError::AuthenticatorIntegrity)),
    ),
    (
        "an authenticator that is none",
        |a| a.authenticator = Some(b"authenticator".to_vec()),
        60,
        FAILURE,
        is!(Error::Exchange(ApError::Malformed(_))),
    ),
    (
        "authenticator-vno",
        |a| {
            a.change_authenticator =
                |bytes| replace(bytes, &[0xa0, 3, 2, 1, 5], &[0xa0, 3, 2, 1, 4])
        },
        39,
        FAILURE,
        is!(Error::Exchange(ApError::BadVersion { found: 4 })),
    ),
    (
        "microseconds beyond a second",
        |a| {
            a.change_authenticator = |bytes| {
                replace(
                    bytes,
                    &[0xa4, 5, 2, 3, 1, 0xe2, 0x40],
                    &[0xa4, 5, 2, 3, 15, 0x42, 0x40],
                )
            }
        },
        60,
        FAILURE,
        is!(Error::Exchange(ApError::Malformed(_))),
    ),
    (
        "a subkey of an unknown enctype",
        |a| a.subkey = Some((23, vec![1; 16])),
        14,
        FAILURE,
        is!(Error::Exchange(ApError::KeyEnctype(23))),
    ),
    (
        "a subkey that is none",
        |a| a.subkey = Some((18, vec![1; 16])),
        60,
        FAILURE,
        is!(Error::Exchange(ApError::Key(_))),
    ),
    (
        "another client's authenticator",
        |a| a.client = Principal::user("mallory", "EXAMPLE.COM"),
        36,
        FAILURE,
        is!(Error::Exchange(ApError::ClientMismatch { .. })),
    ),
    (
        "another realm's authenticator",
        |a| a.client = Principal::user("alice", "OTHER.COM"),
        36,
        FAILURE,
        is!(Error::Exchange(ApError::ClientMismatch { .. })),
    ),
    (
        "a client with the same text and other components",
        |a| {
            a.realm.ticket.client = Principal::new(1, ["al/ice"], "EXAMPLE.COM");
            a.client = Principal::new(1, ["al", "ice"], "EXAMPLE.COM");
        },
        36,
        FAILURE,
        is!(Error::Exchange(ApError::ClientMismatch { .. })),
    ),
    (
        "a clock that is behind",
        |a| a.ctime = a.ctime - minute(5) - Duration::from_micros(1),
        37,
        FAILURE,
        is!(Error::Exchange(ApError::Skew { .. })),
    ),
    (
        "a clock that is ahead",
        |a| a.ctime = a.ctime + minute(5) + Duration::from_micros(1),
        37,
        FAILURE,
        is!(Error::Exchange(ApError::Skew { .. })),
    ),
    (
        "a start in the future",
        |a| a.realm.ticket.starttime = Some(a.ctime + minute(5) + Duration::from_secs(1)),
        33,
        FAILURE,
        is!(Error::Exchange(ApError::NotYetValid { .. })),
    ),
    (
        "authentication in the future, where nothing else says when the ticket starts",
        |a| a.realm.ticket.authtime = a.ctime + minute(5) + Duration::from_secs(1),
        33,
        FAILURE,
        is!(Error::Exchange(ApError::NotYetValid { .. })),
    ),
    (
        "a ticket that was not validated",
        |a| a.realm.ticket.flags |= ticket_flags::INVALID,
        33,
        FAILURE,
        is!(Error::Exchange(ApError::Invalid)),
    ),
    (
        "a ticket that has expired",
        |a| a.realm.ticket.endtime = a.ctime - minute(5) - Duration::from_secs(1),
        32,
        FAILURE,
        is!(Error::Exchange(ApError::Expired { .. })),
    ),
    (
        "a realm on the way that has no business there",
        |a| from_afar(a, 1, b"EVIL.ORG"),
        51,
        FAILURE,
        is!(Error::Exchange(ApError::Transited(_))),
    ),
    (
        "realms on the way in an unknown encoding",
        |a| from_afar(a, 2, b"EXAMPLE.COM"),
        51,
        FAILURE,
        is!(Error::Exchange(ApError::TransitedEncoding(2))),
    ),
    (
        "a session key of an enctype that is not permitted",
        |a| {
            a.permitted = vec![20];
            a.subkey = Some((20, vec![1; 32]));
        },
        14,
        FAILURE,
        is!(Error::Exchange(ApError::EnctypeNotPermitted(18))),
    ),
    (
        "a subkey of an enctype that is not permitted",
        |a| {
            a.permitted = vec![18];
            a.subkey = Some((17, vec![1; 16]));
        },
        14,
        FAILURE,
        is!(Error::Exchange(ApError::EnctypeNotPermitted(17))),
    ),
    (
        "a checksum of the session key's type over something",
        |a| a.cksum = Some(plain_checksum(a, &[b"something"])),
        50,
        Major::BadMic,
        is!(Error::PeerMisbehaved(PeerMisbehaved::Checksum)),
    ),
    (
        "a checksum of another type",
        |a| a.cksum = Some((1, plain_checksum(a, &[]).1)),
        50,
        Major::BadMic,
        is!(Error::PeerMisbehaved(PeerMisbehaved::Checksum)),
    ),
    (
        "a checksum that is too short",
        |a| a.cksum.as_mut().unwrap().1.truncate(23),
        60,
        Major::BadBindings,
        is!(Error::Malformed(Malformed::ChecksumShort)),
    ),
    (
        "bindings of another length",
        |a| a.cksum.as_mut().unwrap().1[0] = 15,
        60,
        FAILURE,
        is!(Error::Malformed(Malformed::BindingsLength)),
    ),
    (
        "delegation beyond the checksum",
        |a| a.cksum = Some(gss_checksum(NO_BINDINGS, 3, &[1, 0, 9, 0, 1, 2, 3])),
        60,
        FAILURE,
        is!(Error::Malformed(Malformed::ChecksumPart)),
    ),
    (
        "an extension beyond the checksum",
        |a| a.cksum = Some(gss_checksum(NO_BINDINGS, 2, &[0, 0, 0, 1, 0, 0, 0, 9, 1])),
        60,
        FAILURE,
        is!(Error::Malformed(Malformed::ChecksumPart)),
    ),
    (
        "DCE style",
        |a| a.cksum = Some(gss_checksum(NO_BINDINGS, 0x1002, &[])),
        60,
        MALFORMED,
        is!(Error::PeerMisbehaved(PeerMisbehaved::DceStyle)),
    ),
    (
        "other bindings",
        |a| {
            a.bindings = Some(bindings());
            a.cksum = Some(gss_checksum([1; 16], 2, &[]));
        },
        60,
        Major::BadBindings,
        is!(Error::PeerMisbehaved(PeerMisbehaved::BindingsDiffer)),
    ),
    (
        "no bindings from a peer that knows of them",
        |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(ap_option(&[&CBT]));
        },
        60,
        Major::BadBindings,
        is!(Error::PeerMisbehaved(PeerMisbehaved::BindingsMissing)),
    ),
    (
        "no checksum from a peer that knows of bindings",
        |a| {
            a.bindings = Some(bindings());
            a.cksum = None;
            a.authorization_data = Some(ap_option(&[&CBT]));
        },
        60,
        Major::BadBindings,
        is!(Error::PeerMisbehaved(PeerMisbehaved::BindingsMissing)),
    ),
    (
        "options of another length",
        |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(ap_option(&[&CBT[..3]]));
        },
        40,
        FAILURE,
        is!(Error::Malformed(Malformed::ApOptions)),
    ),
    (
        "options twice",
        |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(ap_option(&[&[0; 4], &[0; 4]]));
        },
        40,
        FAILURE,
        is!(Error::Malformed(Malformed::ApOptions)),
    ),
    (
        "containers within containers",
        |a| {
            a.bindings = Some(bindings());
            let mut data = ap_option(&[&CBT]);
            for _ in 0..MAX_DEPTH {
                let element = AuthorizationDataElement {
                    ad_type: 1,
                    ad_data: &data[0].1,
                };
                data = vec![(1, vec![element].encode())];
            }
            a.authorization_data = Some(data);
        },
        40,
        FAILURE,
        is!(Error::Malformed(Malformed::ApOptions)),
    ),
    (
        "options that are not DER",
        |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(vec![(1, vec![0x30, 1])]);
        },
        40,
        FAILURE,
        is!(Error::Malformed(Malformed::ApOptions)),
    ),
];

/// A client of another realm, by way of `realms`.
fn from_afar(attempt: &mut Attempt, tr_type: i32, realms: &[u8]) {
    let client = Principal::user("bob", "OTHER.COM");
    attempt.client = client.clone();
    attempt.realm.ticket.client = client;
    attempt.realm.ticket.transited = (tr_type, realms.to_vec());
}

fn plain_checksum(attempt: &Attempt, over: &[&[u8]]) -> (i32, Vec<u8>) {
    let key = &attempt.realm.ticket.session_key;
    let usage = KeyUsage::AP_REQ_AUTHENTICATOR_CHECKSUM;
    (key.enctype().checksum_type(), key.checksum(usage, over))
}

/// The code of the KRB-ERROR in an error token.
fn krb_error(token: &[u8]) -> (i32, Vec<u8>) {
    let inner = framing::unframe(Oid::KRB5, token).unwrap();
    assert_eq!(inner[..2], [3, 0]);
    let error = KrbError::decode(&inner[2..]).unwrap();
    (error.error_code, error.realm.0.to_vec())
}

#[test]
fn all_is_well_as_long_as_nothing_is_changed() {
    let attempt = Attempt::new();
    assert_eq!(
        attempt.context().facts().flags.bits(),
        ASKED.bits() | 128 | 256
    );
    assert_eq!(attempt.realm.store.counts().unwrap().claimed, 1);
}

#[test]
fn each_check_alone_refuses() {
    for (name, change, code, major, expected) in ROWS {
        let mut attempt = Attempt::new();
        change(&mut attempt);
        let failure = failed(attempt.accept(&attempt.token()));
        let error = failure.error.cause::<Error>().unwrap();
        assert!(expected(error), "{name}: {error:?}");
        assert_eq!(error.krb_error_code(), *code, "{name}");
        assert_eq!(failure.error.major(), *major, "{name}");
        assert_eq!(failure.error.supplementary(), None, "{name}");
        let (told, _) = krb_error(&failure.token.expect(name));
        assert_eq!(told, *code, "{name}");
        // The mark is put last: a request that is refused can still be made good.
        assert_eq!(attempt.realm.store.counts().unwrap().claimed, 0, "{name}");
    }
}

/// Nobody has authenticated the name of a ticket that no key opens.
#[test]
fn a_tickets_own_name_is_shown_in_one_line_that_ends() {
    let mut attempt = Attempt::new();
    attempt.realm.keytab = Keytab::default();
    let host = [&b"\r\n\x1b[2J"[..], &[b'x'; 60_000]].concat();
    attempt.realm.ticket.server = Principal::service("host", &host, "EXAMPLE.COM");
    let text = failed(attempt.accept(&attempt.token())).error.to_string();
    assert!(
        text.contains(r"host/\x0d\n\x1b[2Jx") && text.len() < 400,
        "{text}"
    );
}

#[test]
fn a_peer_that_waits_for_nothing_is_told_nothing() {
    for (name, change, code, ..) in ROWS {
        let mut attempt = Attempt::new();
        attempt.ap_options = 0;
        change(&mut attempt);
        if let Some((GSS_CHECKSUM, value)) = &mut attempt.cksum
            && let Some(flags) = value.get_mut(20)
        {
            *flags &= !2;
        }
        let failure = failed(attempt.accept(&attempt.token()));
        let unreadable = read_alone(&attempt.token()).is_none();
        assert_eq!(failure.token.is_some(), unreadable, "{name}");
        assert_eq!(
            failure.error.cause::<Error>().unwrap().krb_error_code(),
            *code,
            "{name}"
        );
    }
}

/// Once the ticket was opened, the flag in the checksum says it as well as the AP option does.
#[test]
fn a_peer_that_asks_in_its_checksum_alone_is_told() {
    let told = |keys: bool, flags: u32| {
        let mut attempt = Attempt::new();
        attempt.ap_options = 0;
        attempt.cksum = Some(gss_checksum(NO_BINDINGS, flags, &[]));
        attempt.ctime = attempt.ctime - minute(6);
        if !keys {
            attempt.realm.keytab = Keytab::default();
        }
        let failure = failed(attempt.accept(&attempt.token()));
        failure.token.map(|token| krb_error(&token).0)
    };
    assert_eq!(told(true, 2), Some(37));
    assert_eq!(told(true, 4), None);
    assert_eq!(told(false, 2), None, "nobody knows what it asks for");
}

fn read_alone(token: &[u8]) -> Option<()> {
    let inner = framing::unframe(Oid::KRB5, token).ok()?;
    (inner.get(..2)? == [1, 0]).then_some(())?;
    ApReq::decode(&inner[2..]).ok().map(|_| ())
}

#[test]
fn what_is_in_no_frame_of_ours_gets_no_answer() {
    let attempt = Attempt::new();
    let token = attempt.token();
    let inner = framing::unframe(Oid::KRB5, &token).unwrap();
    let other = framing::frame(Oid::NT_EXPORT_NAME, inner);
    for token in [&b""[..], b"\x60", &token[..token.len() - 1], &other] {
        let failure = failed(attempt.accept(token));
        assert_eq!(failure.error.major(), Major::DefectiveToken);
        assert!(failure.token.is_none());
        let error = failure.error.cause::<Error>();
        assert!(matches!(error, Some(Error::Malformed(Malformed::Frame(_)))));
    }
}

#[test]
fn a_ticket_that_says_nothing_sensible_is_refused() {
    let attempt = Attempt::new();
    let (random, ticket_key) = (&*attempt.realm.random, &attempt.realm.ticket.key);
    let cipher = ticket_key.encrypt(KeyUsage::TICKET, random, b"ticket");
    let ticket = Ticket {
        tkt_vno: Const,
        realm: Realm(b"EXAMPLE.COM"),
        sname: PrincipalName::from(&attempt.realm.ticket.server),
        enc_part: EncryptedData::new(ticket_key, Some(3), &cipher),
    };
    let authenticator = attempt.authenticator_key.encrypt(
        KeyUsage::AP_REQ_AUTHENTICATOR,
        random,
        &attempt.authenticator(),
    );
    let request = ApReq {
        pvno: Const,
        msg_type: Const,
        ap_options: Bits::from_bits(ap_options::MUTUAL_REQUIRED),
        ticket,
        authenticator: EncryptedData::new(&attempt.authenticator_key, None, &authenticator),
    };
    let token = framing::frame(Oid::KRB5, &[&[1, 0], &request.encode()[..]].concat());
    let failure = failed(attempt.accept(&token));
    let error = failure.error.cause::<Error>();
    assert!(matches!(
        error,
        Some(Error::Exchange(ApError::Malformed(_)))
    ));
    assert_eq!(krb_error(&failure.token.unwrap()).0, 60);
}

#[test]
fn a_replay_is_an_error_with_its_bit_beside_it() {
    let attempt = Attempt::new();
    let token = attempt.token();
    done(attempt.accept(&token));
    let failure = failed(attempt.accept(&token));
    assert_eq!(failure.error.major(), Major::Failure);
    assert_eq!(
        failure.error.supplementary(),
        Some(Supplementary::DuplicateToken)
    );
    assert_eq!(failure.error.minor(), 0x96c7_3a00 + 34);
    let error = failure.error.cause::<Error>();
    let claimed = Error::Local(Local::Replay(ClaimError::AlreadyClaimed));
    assert_eq!(error.unwrap().to_string(), claimed.to_string());
    assert_eq!(
        krb_error(&failure.token.unwrap()),
        (34, b"EXAMPLE.COM".to_vec())
    );
}

#[test]
fn requests_that_differ_in_one_thing_are_different_requests() {
    // One thing changed at a time, on one store: each is another request, and none is taken for the first.
    let attempt = Attempt::new();
    let store = attempt.realm.store;
    let changes: [Change; 7] = [
        |_| {},
        |a| a.ctime = a.ctime + Duration::from_micros(1),
        |a| a.ctime = a.ctime + Duration::from_secs(1),
        |a| from_afar(a, 1, b""),
        |a| {
            let client = Principal::user("carol", "EXAMPLE.COM");
            a.client = client.clone();
            a.realm.ticket.client = client;
        },
        |a| {
            let key = a.realm.ticket.key.enctype().random_key(&*a.realm.random);
            a.realm.ticket.key = Arc::new(key);
            a.realm.keytab.entries[0].key = Arc::clone(&a.realm.ticket.key);
        },
        |a| a.seq_number = Some(8),
    ];
    let mut tokens = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let mut attempt = Attempt::new();
        change(&mut attempt);
        let token = attempt.token();
        let accept = |attempt: &Attempt| {
            let mut host = attempt.realm.host();
            host.replay = Some(&store);
            let acceptor = Acceptor::new(attempt.realm.cred(), attempt.realm.accept_options());
            Box::new(acceptor).step(&token, &host)
        };
        done(accept(&attempt));
        failed(accept(&attempt));
        assert!(!tokens.contains(&token), "{index}");
        tokens.push(token);
    }
}

#[test]
fn just_good_enough_is_good_enough() {
    let passes: &[(&str, Change)] = &[
        ("a clock five minutes behind", |a| {
            a.ctime = a.ctime - minute(5)
        }),
        ("a clock five minutes ahead", |a| {
            a.ctime = a.ctime + minute(5)
        }),
        ("a start in five minutes", |a| {
            a.realm.ticket.starttime = Some(a.ctime + minute(5));
        }),
        ("an end five minutes ago", |a| {
            a.realm.ticket.endtime = a.ctime - minute(5) + Duration::from_secs(1);
        }),
        (
            "authentication in the future, of a ticket that starts now",
            |a| {
                a.realm.ticket.authtime = a.ctime + minute(60);
                a.realm.ticket.starttime = Some(a.ctime);
            },
        ),
        ("a neighbouring realm", |a| from_afar(a, 1, b"")),
        ("no realms in an unknown encoding", |a| from_afar(a, 0, b"")),
        ("realms that the KDC has checked", |a| {
            from_afar(a, 1, b"EVIL.ORG");
            a.realm.ticket.flags |= ticket_flags::TRANSITED_POLICY_CHECKED;
        }),
        ("realms that we were told of", |a| {
            from_afar(a, 1, b"VIA.ORG");
            a.capaths.push("OTHER.COM", "EXAMPLE.COM", "VIA.ORG");
        }),
        ("the one enctype permitted", |a| a.permitted = vec![18]),
        ("a ticket under a key of an enctype that is not", |a| {
            let other = enctypes().next().unwrap().random_key(&*a.realm.random);
            a.realm.ticket.key = Arc::new(other);
            a.realm.keytab.entries[0].key = Arc::clone(&a.realm.ticket.key);
            a.permitted = vec![18];
        }),
        ("no key version", |a| a.realm.ticket.kvno = None),
        ("a key version of more than 8 bits", |a| {
            a.realm.ticket.kvno = Some(0x103)
        }),
        ("the one service wanted", |a| {
            a.principal = Some(a.realm.ticket.server.clone());
        }),
        ("delegation", |a| {
            a.cksum = Some(gss_checksum(NO_BINDINGS, 3, &[1, 0, 3, 0, 1, 2, 3]));
        }),
        ("an unknown extension", |a| {
            a.cksum = Some(gss_checksum(NO_BINDINGS, 2, &[0, 0, 0, 1, 0, 0, 0, 1, 1]));
        }),
        ("unknown flags", |a| {
            a.cksum = Some(gss_checksum(NO_BINDINGS, 0xffff_0002, &[]));
        }),
        ("bindings that nobody looks at", |a| {
            a.cksum = Some(gss_checksum([1; 16], 2, &[]));
        }),
        ("options without the one that counts", |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(ap_option(&[&[0xff, 0xbf, 0xff, 0xff]]));
        }),
        ("options and the bindings they insist on", |a| {
            a.bindings = Some(bindings());
            let hash = hash(Some(&bindings())).unwrap();
            a.cksum = Some(gss_checksum(hash, 2, &[]));
            a.authorization_data = Some(ap_option(&[&CBT]));
        }),
        ("other authorization data", |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(vec![(4711, vec![1])]);
        }),
        ("no subkey", |a| a.subkey = None),
        ("no sequence number", |a| a.seq_number = None),
        ("a sequence number of 32 bits", |a| {
            a.seq_number = Some(u32::MAX)
        }),
    ];
    for (name, change) in passes {
        let mut attempt = Attempt::new();
        change(&mut attempt);
        if let Err(failure) = attempt.accept(&attempt.token()) {
            panic!("{name}: {}", failure.error);
        }
    }
}

#[test]
fn without_a_checksum_there_are_no_flags() {
    let mut attempt = Attempt::new();
    attempt.cksum = None;
    let (reply, context) = done(attempt.accept(&attempt.token()));
    assert_eq!(context.facts().flags.bits(), 128 | 256);
    assert!(reply.is_none());
}

/// The initiator left the flag out, and both sides seal and open what they are asked to.
#[test]
fn confidentiality_is_given_though_no_flag_says_so() {
    for cksum in [None, Some(gss_checksum(NO_BINDINGS, 4 | 8, &[]))] {
        let mut attempt = Attempt::new();
        attempt.cksum = cksum;
        let acceptor = attempt.context();
        assert!(!acceptor.facts().flags.contains(Flags::CONF));
        let (number, subkey) = attempt.subkey.unwrap();
        let enctype = Enctype::from_number(number).unwrap();
        let initiator = Established {
            facts: Facts {
                locally_initiated: true,
                ..acceptor.facts().clone()
            },
            keys: Keys {
                initiators: Key::new(enctype, &subkey).unwrap(),
                acceptor_subkey: None,
            },
            next: 7,
            window: SequenceWindow::new(7, true, true),
            authorization_data: Vec::new(),
        }
        .open(Arc::clone(&attempt.realm.random));
        for (from, to) in [
            (&*acceptor, &initiator as &dyn SecurityContext),
            (&initiator, &*acceptor),
        ] {
            let token = wrapped(from, true, b"secret");
            let mut out = Vec::new();
            assert!(to.unwrap(&token, &mut out).unwrap().confidential);
            assert_eq!(out, b"secret");
        }
    }
}

/// RFC 2743 §2.2.2, RFC 8062 §4.
#[test]
fn an_anonymous_client_is_one_to_the_acceptor() {
    for anonymous in [true, false] {
        let mut attempt = Attempt::new();
        if anonymous {
            attempt.realm.ticket.flags |= ticket_flags::ANONYMOUS;
        }
        let flags = attempt.context().facts().flags;
        assert_eq!(flags.contains(Flags::ANON), anonymous);
    }
}

#[test]
fn an_ordinary_checksum_over_nothing_is_taken() {
    for (options, flags) in [(ap_options::MUTUAL_REQUIRED, 2 | 4 | 8), (0, 4 | 8)] {
        let mut attempt = Attempt::new();
        attempt.ap_options = options;
        attempt.cksum = Some(plain_checksum(&attempt, &[]));
        let (reply, context) = done(attempt.accept(&attempt.token()));
        assert_eq!(context.facts().flags.bits(), flags | 128 | 256);
        assert_eq!(reply.is_some(), flags & 2 != 0);
    }
}

#[test]
fn an_altered_ordinary_checksum_is_refused_in_each_enctype() {
    for enctype in enctypes() {
        let mut attempt = Attempt::of(enctype);
        let (cksumtype, good) = plain_checksum(&attempt, &[]);
        attempt.cksum = Some((cksumtype, good.clone()));
        done(attempt.accept(&attempt.token()));
        let cuts = (0..good.len()).map(|cut| good[..cut].to_vec());
        let flips = one_bit_flips(&good).map(|(_, other)| other);
        for other in cuts.chain(flips) {
            attempt.cksum = Some((cksumtype, other));
            let failure = failed(attempt.accept(&attempt.token()));
            assert_eq!(failure.error.major(), Major::BadMic, "{}", enctype.name());
        }
    }
}

#[test]
fn without_a_number_the_initiator_starts_at_0_and_without_a_subkey_the_session_key_protects() {
    let mut attempt = Attempt::new();
    attempt.cksum = Some(gss_checksum(NO_BINDINGS, 4 | 8, &[]));
    (attempt.seq_number, attempt.subkey) = (None, None);
    let mic = signed(&*attempt.context(), b"message");
    assert_eq!(mic[8..16], [0; 8]);
    let session_key = same_key(&attempt.realm.ticket.session_key);
    session_key
        .verify_checksum(
            KeyUsage::KG_USAGE_ACCEPTOR_SIGN,
            &[b"message", &mic[..16]],
            &mic[16..],
        )
        .unwrap();
}

/// Old peers write sequence numbers with a sign (RFC 4120 §5.5.1).
#[test]
fn a_signed_number_is_the_same_number() {
    let mut attempt = Attempt::new();
    attempt.cksum = Some(gss_checksum(NO_BINDINGS, 4 | 8, &[]));
    attempt.seq_number = Some(0x8000_0000);
    attempt.change_authenticator = |bytes| {
        // INTEGER 00 80 00 00 00 becomes 80 00 00 00: one byte less, and the lengths around it.
        let number = [0xa7, 7, 2, 5, 0, 0x80, 0, 0, 0];
        let at = bytes
            .windows(number.len())
            .position(|part| part == number)
            .unwrap();
        bytes.splice(at..at + 9, [0xa7, 6, 2, 4, 0x80, 0, 0, 0]);
        // APPLICATION 2 { SEQUENCE {..} }, both with one or two bytes of length.
        shorten(bytes, 0);
        let inner = if bytes[1] == 0x81 { 3 } else { 2 };
        shorten(bytes, inner);
    };
    let mic = signed(&*attempt.context(), b"message");
    assert_eq!(mic[8..16], 0x8000_0000_u64.to_be_bytes());
}

fn shorten(bytes: &mut [u8], at: usize) {
    let length = if bytes[at + 1] == 0x81 {
        at + 2
    } else {
        at + 1
    };
    bytes[length] -= 1;
}
