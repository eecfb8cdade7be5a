//! Each check of a reply, where it alone fails.

use krb5_crypto::{AES128_CTS_HMAC_SHA1_96, AES256_CTS_HMAC_SHA1_96, Key, KeyUsage};
use wire::der::{self, Value};
use wire::random::Random;
use zeroize::Zeroizing;

use super::*;
use crate::exchange::as_exchange::{AsExchange, AsOptions, Secret};
use crate::exchange::tgs::{TgsExchange, TgsOptions};
use crate::messages::{
    ApReq, AsReq, Authenticator, Const, EncryptionKey, Flags, LastReqEntry, TgsReq, Word,
};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const REALM: &str = "R";

struct Fixed;

impl Random for Fixed {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0x5a);
    }
}

fn key(fill: u8) -> Arc<Key> {
    Arc::new(Key::new(AES256_CTS_HMAC_SHA1_96, &[fill; 32]).unwrap())
}

fn after(seconds: i64) -> KerberosTime {
    Timestamp::from_seconds(NOW.seconds() + seconds).into()
}

/// A reply whose every part a test can change.
struct Forged {
    client: Principal,
    server: Principal,
    ticket_server: Principal,
    nonce: u32,
    etype: Option<i32>,
    session: (i32, Vec<u8>),
    flags: u32,
    authtime: KerberosTime,
    starttime: Option<KerberosTime>,
    endtime: KerberosTime,
    renew_till: Option<KerberosTime>,
    caddr: Option<Vec<u8>>,
    usage: KeyUsage,
    tags: (u8, u8),
    message: i32,
    trailing: bool,
}

impl Forged {
    fn encode(&self, key: &Key) -> Vec<u8> {
        let part = EncKdcRepPart {
            key: EncryptionKey {
                keytype: self.session.0,
                keyvalue: &self.session.1,
            },
            last_req: vec![LastReqEntry {
                lr_type: 0,
                lr_value: self.authtime,
            }],
            nonce: Word::from(self.nonce),
            key_expiration: None,
            flags: Flags::from_bits(self.flags),
            authtime: self.authtime,
            starttime: self.starttime,
            endtime: self.endtime,
            renew_till: self.renew_till,
            srealm: GeneralString(self.server.realm()),
            sname: PrincipalName::from(&self.server),
            caddr: self.caddr.as_deref().map(|address| {
                vec![HostAddress {
                    addr_type: 2,
                    address,
                }]
            }),
            encrypted_pa_data: None,
        };
        let mut plain = tagged(self.tags.1, &part.encode());
        if self.trailing {
            plain.push(0);
        }
        let cipher = key.encrypt(self.usage, &Fixed, &plain);
        let enc_part = EncryptedData {
            etype: self.etype.unwrap_or(key.enctype().number()),
            kvno: Some(Word::from(1)),
            cipher: &cipher,
        };
        let ticket = Ticket {
            tkt_vno: Const,
            realm: GeneralString(self.ticket_server.realm()),
            sname: PrincipalName::from(&self.ticket_server),
            enc_part: EncryptedData {
                etype: 18,
                kvno: Some(Word::from(1)),
                cipher: b"opaque",
            },
        };
        let fields: [(u8, Vec<u8>); 6] = [
            (0, 5.encode()),
            (1, self.message.encode()),
            (3, GeneralString(self.client.realm()).encode()),
            (4, PrincipalName::from(&self.client).encode()),
            (5, ticket.encode()),
            (6, enc_part.encode()),
        ];
        let fields = fields
            .iter()
            .flat_map(|(tag, value)| tagged(der::context(*tag), value));
        tagged(
            self.tags.0,
            &tagged(der::SEQUENCE, &fields.collect::<Vec<_>>()),
        )
    }
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    der::header(tag, content.len(), &mut out);
    out.extend_from_slice(content);
    out
}

fn alice() -> Principal {
    Principal::user("alice", REALM)
}

fn web() -> Principal {
    Principal::service("HTTP", "web", REALM)
}

fn as_options() -> AsOptions {
    AsOptions {
        flags: kdc_options::RENEWABLE,
        lifetime: Duration::from_secs(3600),
        renew_lifetime: Some(Duration::from_secs(7200)),
        etypes: vec![AES256_CTS_HMAC_SHA1_96],
        kdc_timesync: false,
        ..AsOptions::new(alice())
    }
}

/// The reply that an AS with nothing to hide would give.
fn good_as(nonce: u32) -> Forged {
    Forged {
        client: alice(),
        server: Principal::krbtgt(REALM),
        ticket_server: Principal::krbtgt(REALM),
        nonce,
        etype: None,
        session: (18, vec![7; 32]),
        flags: ticket_flags::INITIAL | ticket_flags::RENEWABLE,
        authtime: after(0),
        starttime: None,
        endtime: after(3600),
        renew_till: Some(after(7200)),
        caddr: None,
        usage: KeyUsage::AS_REP_ENC_PART,
        tags: (0x6b, 0x79),
        message: 11,
        trailing: false,
    }
}

fn as_exchange(
    options: AsOptions,
    change: impl Fn(&mut Forged),
) -> Result<Obtained, ExchangeError> {
    as_exchange_bytes(options, |nonce, key| {
        let mut forged = good_as(nonce);
        change(&mut forged);
        forged.encode(key)
    })
}

fn as_exchange_bytes(
    options: AsOptions,
    reply: impl Fn(u32, &Key) -> Vec<u8>,
) -> Result<Obtained, ExchangeError> {
    let secret = Secret::Keys(vec![(1, key(1))]);
    let Progress::Send { bytes, next, .. } = AsExchange::start(options, secret, NOW, &Fixed)?
    else {
        panic!("an exchange begins with a request");
    };
    let nonce = AsReq::decode(&bytes).unwrap().req_body.nonce.bits();
    match next.next(&reply(nonce, &key(1)), NOW, &Fixed)? {
        Progress::Done(obtained) => Ok(*obtained),
        Progress::Send { .. } => panic!("a reply ends the exchange"),
    }
}

fn tgt() -> Credential {
    Credential {
        client: alice(),
        server: Principal::krbtgt(REALM),
        key: CachedKey::Key(key(2)),
        authtime: NOW,
        starttime: NOW,
        endtime: NOW + Duration::from_secs(3600),
        renew_till: NOW + Duration::from_secs(7200),
        is_skey: false,
        flags: ticket_flags::INITIAL | ticket_flags::RENEWABLE | ticket_flags::FORWARDED,
        addresses: vec![Typed {
            kind: 2,
            data: vec![10, 0, 0, 1],
        }],
        authdata: Vec::new(),
        ticket: Ticket {
            tkt_vno: Const,
            realm: GeneralString(b"R"),
            sname: PrincipalName::from(&Principal::krbtgt(REALM)),
            enc_part: EncryptedData {
                etype: 18,
                kvno: None,
                cipher: b"opaque",
            },
        }
        .encode(),
        second_ticket: Vec::new(),
    }
}

fn good_tgs(nonce: u32) -> Forged {
    Forged {
        server: web(),
        ticket_server: web(),
        flags: ticket_flags::RENEWABLE | ticket_flags::FORWARDED,
        starttime: Some(after(0)),
        authtime: after(-1000),
        usage: KeyUsage::TGS_REP_ENC_PART_SUBKEY,
        tags: (0x6d, 0x7a),
        message: 13,
        ..good_as(nonce)
    }
}

fn tgs_exchange(change: impl Fn(&mut Forged)) -> Result<Obtained, ExchangeError> {
    tgs_exchange_damaged(change, |_| {})
}

fn tgs_exchange_damaged(
    change: impl Fn(&mut Forged),
    damage: impl Fn(&mut Vec<u8>),
) -> Result<Obtained, ExchangeError> {
    let options = TgsOptions {
        etypes: vec![AES256_CTS_HMAC_SHA1_96],
        ..TgsOptions::new(tgt(), web())
    };
    let Progress::Send { bytes, next, .. } = TgsExchange::start(options, NOW, &Fixed)? else {
        panic!("an exchange begins with a request");
    };
    let request = TgsReq::decode(&bytes).unwrap();
    let header = ApReq::decode(request.padata.as_ref().unwrap()[0].padata_value).unwrap();
    let plain = header
        .authenticator
        .decrypt_as(&key(2), KeyUsage::TGS_REQ_AUTHENTICATOR)
        .unwrap();
    let subkey = Authenticator::decode(&plain)
        .unwrap()
        .subkey
        .unwrap()
        .to_key()
        .unwrap();
    let mut forged = good_tgs(request.req_body.nonce.bits());
    change(&mut forged);
    let mut reply = forged.encode(&subkey);
    damage(&mut reply);
    match next.next(&reply, NOW)? {
        Progress::Done(reply) => Ok(Obtained {
            credential: reply.credential,
            time_offset: None,
        }),
        Progress::Send { .. } => panic!("a reply ends the exchange"),
    }
}

#[test]
fn good_replies_become_credentials() {
    let tgt = as_exchange(as_options(), |_| {}).unwrap();
    assert_eq!(tgt.credential.server, Principal::krbtgt(REALM));
    assert_eq!(tgt.credential.renew_till, NOW + Duration::from_secs(7200));
    assert_eq!(tgt.time_offset, None);
    let service = tgs_exchange(|_| {}).unwrap();
    assert_eq!(service.credential.server, web());
    assert_eq!(service.credential.authtime, NOW - Duration::from_secs(1000));
}

type Change = fn(&mut Forged);

/// What either exchange refuses.
const REFUSED: [(&str, Change, ReplyError); 21] = [
    (
        "client",
        |f| f.client = Principal::user("mallory", REALM),
        ReplyError::Client,
    ),
    (
        "client's realm",
        |f| f.client = Principal::user("alice", "S"),
        ReplyError::Client,
    ),
    (
        "client of more components",
        |f| f.client = Principal::new(1, ["alice", ""], REALM),
        ReplyError::Client,
    ),
    ("another request's", |f| f.nonce ^= 1, ReplyError::Nonce),
    (
        "server",
        |f| f.server = Principal::user("x", REALM),
        ReplyError::Server,
    ),
    (
        "server's realm",
        |f| f.server = f.server.clone().with_realm("S"),
        ReplyError::Server,
    ),
    // CVE-2017-11103: the ticket's clear name is nobody's word.
    (
        "ticket",
        |f| f.ticket_server = Principal::user("x", REALM),
        ReplyError::TicketServer,
    ),
    (
        "ticket's realm",
        |f| f.ticket_server = f.ticket_server.clone().with_realm("S"),
        ReplyError::TicketServer,
    ),
    (
        "both names",
        |f| (f.server, f.ticket_server) = (alice(), alice()),
        ReplyError::Server,
    ),
    ("etype", |f| f.etype = Some(17), ReplyError::Etype(17)),
    (
        "begins late",
        |f| f.starttime = Some(after(301)),
        ReplyError::Starttime,
    ),
    (
        "begins early",
        |f| f.starttime = Some(after(-301)),
        ReplyError::Starttime,
    ),
    ("no life", |f| f.endtime = after(0), ReplyError::NeverValid),
    (
        "long life",
        |f| f.endtime = after(3601),
        ReplyError::Endtime,
    ),
    (
        "renewable too long",
        |f| f.renew_till = Some(after(7201)),
        ReplyError::RenewTill,
    ),
    (
        "renewable without end",
        |f| f.renew_till = None,
        ReplyError::RenewTill,
    ),
    (
        "invalid",
        |f| f.flags |= ticket_flags::INVALID,
        ReplyError::Flags(ticket_flags::INVALID),
    ),
    (
        "postdated",
        |f| f.flags |= ticket_flags::POSTDATED,
        ReplyError::Flags(ticket_flags::POSTDATED),
    ),
    (
        "anonymous",
        |f| f.flags |= ticket_flags::ANONYMOUS,
        ReplyError::Flags(ticket_flags::ANONYMOUS),
    ),
    (
        "address",
        |f| f.caddr = Some(vec![10, 0, 0, 2]),
        ReplyError::Addresses,
    ),
    (
        "session etype",
        |f| f.session = (17, vec![7; 16]),
        ReplyError::SessionEtype(17),
    ),
];

#[test]
fn trap_9_each_check_of_a_reply_fails_alone() {
    for (name, change, error) in REFUSED {
        let refused = |result: Result<Obtained, _>| result.err();
        let expected = || Some(ExchangeError::Reply(error));
        assert_eq!(
            refused(as_exchange(as_options(), change)),
            expected(),
            "AS: {name}"
        );
        assert_eq!(refused(tgs_exchange(change)), expected(), "TGS: {name}");
    }
}

#[test]
fn checks_of_one_exchange() {
    let refused = |result: Result<Obtained, ExchangeError>| match result.err() {
        Some(ExchangeError::Reply(error)) => error,
        other => panic!("{other:?}"),
    };
    let as_refused = |change: Change| refused(as_exchange(as_options(), change));
    let tgs_refused = |change: Change| refused(tgs_exchange(change));
    assert_eq!(
        as_refused(|f| f.flags &= !ticket_flags::INITIAL),
        ReplyError::NotInitial
    );
    assert_eq!(
        as_refused(|f| f.flags |= ticket_flags::FORWARDED),
        ReplyError::Flags(ticket_flags::FORWARDED)
    );
    assert_eq!(
        tgs_refused(|f| f.flags |= ticket_flags::PROXY),
        ReplyError::Flags(ticket_flags::PROXY)
    );
    assert_eq!(
        as_refused(|f| f.usage = KeyUsage::TGS_REP_ENC_PART_SUBKEY),
        ReplyError::Secret(IntegrityError::Mismatch)
    );
    assert_eq!(
        tgs_refused(|f| f.usage = KeyUsage::TGS_REP_ENC_PART_SESSION_KEY),
        ReplyError::Integrity(IntegrityError::Mismatch)
    );
    let malformed = ReplyError::EncPartMalformed(DerError::Trailing);
    assert_eq!(
        (
            as_refused(|f| f.trailing = true),
            tgs_refused(|f| f.trailing = true)
        ),
        (malformed, malformed)
    );
    let tag = DerError::Tag {
        expected: 0x7a,
        found: 0x79,
    };
    assert_eq!(
        tgs_refused(|f| f.tags.1 = 0x79),
        ReplyError::EncPartMalformed(tag)
    );
    assert_eq!(as_refused(|f| f.tags.0 = 0x6d), ReplyError::MessageType);
    assert_eq!(tgs_refused(|f| f.tags.0 = 0x6b), ReplyError::MessageType);
    let constant = DerError::Constant {
        expected: 11,
        found: 13,
    };
    assert_eq!(
        as_refused(|f| f.message = 13),
        ReplyError::Malformed(constant)
    );
    assert!(matches!(
        as_refused(|f| f.session.1.truncate(31)),
        ReplyError::SessionKey(_)
    ));
}

/// A KDC that wants no pre-authentication cannot say that the password is wrong: its reply just does not decrypt.
#[test]
fn a_wrong_password_is_called_one_also_where_no_kdc_says_so() {
    let other = as_exchange_bytes(as_options(), |nonce, _| good_as(nonce).encode(&key(9)));
    let error = other.err().expect("an error");
    assert_eq!(error, ReplyError::Secret(IntegrityError::Mismatch).into());
    assert!(error.to_string().contains("wrong password or key"));
}

#[test]
fn what_was_asked_for_is_taken() {
    // MIT's KDC puts the TGS's tag on the AS's reply.
    assert!(as_exchange(as_options(), |f| f.tags.1 = 0x7a).is_ok());
    // The addresses of the ticket that it comes from.
    assert!(tgs_exchange(|f| f.caddr = Some(vec![10, 0, 0, 1])).is_ok());
    // A renewable ticket in place of a long one, until the end that was asked for.
    let options = || AsOptions {
        flags: kdc_options::RENEWABLE_OK,
        renew_lifetime: None,
        ..as_options()
    };
    let renewable = |until| move |f: &mut Forged| f.renew_till = Some(after(until));
    assert!(as_exchange(options(), renewable(3600)).is_ok());
    let refused = as_exchange(options(), renewable(3601)).err();
    assert_eq!(refused, Some(ReplyError::RenewTill.into()));
}

#[test]
fn a_kdc_whose_clock_is_believed_tells_the_distance() {
    let options = || AsOptions {
        kdc_timesync: true,
        ..as_options()
    };
    let later =
        |by: i64| move |f: &mut Forged| (f.authtime, f.endtime) = (after(by), after(by + 1800));
    let told = |by| as_exchange(options(), later(by)).unwrap().time_offset;
    assert_eq!(
        told(1500),
        Some(TimeOffset {
            seconds: 1500,
            micros: 0
        })
    );
    assert_eq!(
        told(-9000),
        Some(TimeOffset {
            seconds: -9000,
            micros: 0
        })
    );
    assert_eq!(told(1), None);
    let refused = as_exchange(as_options(), later(1500)).err();
    assert_eq!(refused, Some(ReplyError::Starttime.into()));
}

/// Some fields have nobody's word: what the ticket holds, versions of keys, types of names. No flipped bit changes what is
/// believed.
#[test]
fn a_flipped_bit_is_an_error_or_nothing() {
    let good = |nonce| good_as(nonce).encode(&key(1));
    let reference = as_exchange(as_options(), |_| {}).unwrap().credential;
    for bit in 0..good(0).len() * 8 {
        let flipped = as_exchange_bytes(as_options(), |nonce, _| {
            let mut bytes = good(nonce);
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        });
        if let Ok(Obtained { credential, .. }) = flipped {
            assert_same(&credential, &reference, bit);
        }
    }
    for cut in 0..good(0).len() {
        let cut = as_exchange_bytes(as_options(), |nonce, _| good(nonce)[..cut].to_vec());
        assert!(matches!(cut.err(), Some(ExchangeError::Reply(_))));
    }
}

#[test]
fn a_flipped_bit_of_the_tgss_reply_is_an_error_or_nothing() {
    let reference = tgs_exchange(|_| {}).unwrap().credential;
    let length = good_tgs(0).encode(&key(1)).len();
    for bit in 0..length * 8 {
        let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(Obtained { credential, .. }) = tgs_exchange_damaged(|_| {}, flip) {
            assert_same(&credential, &reference, bit);
        }
    }
    for cut in 0..length {
        let cut = tgs_exchange_damaged(|_| {}, |bytes| bytes.truncate(cut));
        assert!(matches!(cut.err(), Some(ExchangeError::Reply(_))));
    }
}

/// What is believed is the same. The ticket is not compared: it is for its server to read.
fn assert_same(credential: &Credential, reference: &Credential, bit: usize) {
    let (CachedKey::Key(key), CachedKey::Key(session)) = (&credential.key, &reference.key) else {
        panic!("a key")
    };
    assert_eq!(
        (&credential.client, &credential.server),
        (&reference.client, &reference.server)
    );
    assert_eq!(
        (credential.endtime, credential.flags),
        (reference.endtime, reference.flags)
    );
    assert!(key.expose() == session.expose(), "bit {bit}");
}

#[test]
fn an_unknown_session_enctype_is_no_key() {
    let options = || AsOptions {
        etypes: vec![AES256_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA1_96],
        ..as_options()
    };
    assert!(as_exchange(options(), |f| f.session = (23, vec![7; 16])).is_err());
    let secret = Secret::Password(Zeroizing::new(b"x".to_vec()));
    let none = AsOptions {
        etypes: Vec::new(),
        ..as_options()
    };
    let refused = AsExchange::start(none, secret, NOW, &Fixed).err();
    assert_eq!(refused, Some(ExchangeError::NoUsableKey));
}
