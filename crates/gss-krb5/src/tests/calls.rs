//! Every state fed what it does not expect, and every handshake token altered on its way.

use gss_core::error::Major;
use gss_core::flags::Flags;
use gss_core::framing;
use gss_core::mechanism::{Facts, Handshake, Step};
use gss_core::oid::Oid;
use krb5::exchange::ap::ApError;
use krb5::messages::{
    ApRep, Const, EncApRepPart, EncryptedData, EncryptionKey, KrbError, Word, encrypt,
};
use krb5_crypto::KeyUsage;
use std::sync::Arc;
use std::time::Duration;
use wire::time::{Clock, Timestamp};

use super::realm::{
    ALL, TestRealm, continued, done, enctypes, failed, one_bit_flips, signed, wrapped,
};
use crate::{Error, InitOptions, Malformed, initiate};

fn realm() -> TestRealm {
    TestRealm::new(enctypes().next().unwrap())
}

/// The same initiator as often as it is needed: a step takes the state away.
fn initiators(realm: &TestRealm) -> (Vec<u8>, Box<dyn Handshake>) {
    continued(realm.initiate(&realm.init_options(ALL)))
}

/// One token of every kind that there is.
fn tokens(realm: &TestRealm) -> Vec<(&'static str, Vec<u8>)> {
    let (request, initiator) = initiators(realm);
    let host = realm.host_without_replay();
    let (reply, acceptor) = done(realm.acceptor().step(&request, &host));
    let reply = reply.unwrap();
    let (_, context) = done(initiator.step(&reply, &host));
    let mut stranger = request.clone();
    let last = stranger.len() - 1;
    stranger[last] ^= 1;
    let refusal = failed(realm.acceptor().step(&stranger, &host))
        .token
        .unwrap();
    vec![
        ("nothing", Vec::new()),
        ("garbage", b"\x60\x03\x02\x01\x05".to_vec()),
        (
            "a frame of another mechanism",
            framing::frame(Oid::NT_EXPORT_NAME, &request[13..]),
        ),
        ("an empty frame", framing::frame(Oid::KRB5, &[])),
        ("AP-REQ", request),
        ("AP-REP", reply),
        ("KRB-ERROR", refusal),
        ("a sealed message", wrapped(&*context, true, b"message")),
        ("a plain message", wrapped(&*acceptor, false, b"message")),
        ("a MIC", signed(&*context, b"message")),
    ]
}

#[test]
fn an_acceptor_takes_a_request_and_nothing_else() {
    let realm = realm();
    for (name, token) in tokens(&realm) {
        let step = realm.acceptor().step(&token, &realm.host());
        if name == "AP-REQ" {
            done(step);
        } else {
            let failure = failed(step);
            assert_ne!(failure.error.major(), Major::NoContext, "{name}");
        }
    }
}

/// What peers older than RFC 4121 call this mechanism. They are answered in kind, and an initiator of ours is not one of them.
#[test]
fn a_frame_under_an_older_oid_is_kerberoses() {
    let realm = realm();
    let host = realm.host_without_replay();
    let inner = |token: &[u8]| framing::unframe(Oid::KRB5, token).unwrap().to_vec();
    for oid in [Oid::KRB5_MICROSOFT, Oid::KRB5_DRAFT] {
        let (request, initiator) = initiators(&realm);
        let framed = framing::frame(oid, &inner(&request));
        let (reply, context) = done(realm.acceptor().step(&framed, &host));
        assert_eq!(context.facts().mechanism, Oid::KRB5);
        let reply = reply.unwrap();
        let answer = framing::unframe(oid, &reply).unwrap();
        let in_our_frame = framing::frame(Oid::KRB5, answer);
        done(initiator.step(&in_our_frame, &host));
        let (_, initiator) = initiators(&realm);
        let failure = failed(initiator.step(&reply, &host));
        let error = failure.error.cause::<Error>().unwrap();
        assert!(matches!(error, Error::Malformed(Malformed::Frame(_))));

        let mut stranger = framed;
        *stranger.last_mut().unwrap() ^= 1;
        let refusal = failed(realm.acceptor().step(&stranger, &host)).token;
        assert!(framing::unframe(oid, &refusal.unwrap()).is_ok());
    }
}

#[test]
fn an_initiator_takes_its_reply_and_nothing_else() {
    let realm = realm();
    let tokens = tokens(&realm);
    // Replies are told apart by the time of their request (RFC 4120 §3.2.5).
    realm.clock.advance(Duration::from_micros(1));
    for (name, token) in tokens {
        let (_, initiator) = initiators(&realm);
        let failure = failed(initiator.step(&token, &realm.host()));
        assert!(failure.token.is_none(), "{name}");
        let error = failure.error.cause::<Error>().unwrap();
        let as_expected = match name {
            "AP-REQ" => matches!(error, Error::Malformed(Malformed::TokenId)),
            "AP-REP" => matches!(error, Error::Exchange(ApError::ReplyMismatch)),
            "KRB-ERROR" => matches!(error, Error::PeerRefused { code: 31, .. }),
            "an empty frame" => matches!(error, Error::Malformed(Malformed::Short)),
            _ => matches!(error, Error::Malformed(Malformed::Frame(_))),
        };
        assert!(as_expected, "{name}: {error:?}");
    }
}

#[test]
fn an_established_context_takes_messages_of_its_peer_and_nothing_else() {
    let realm = realm();
    let pair = realm.pair(ALL);
    for (name, token) in tokens(&realm) {
        for context in [&pair.initiator, &pair.acceptor] {
            let mut out = Vec::new();
            let error = context.unwrap(&token, &mut out).unwrap_err();
            let expected = match name {
                "a sealed message" | "a plain message" => Major::BadMic,
                _ => Major::DefectiveToken,
            };
            assert_eq!(error.major(), expected, "{name}");
            let error = context.verify_mic(b"message", &token).unwrap_err();
            let expected = if name == "a MIC" {
                Major::BadMic
            } else {
                Major::DefectiveToken
            };
            assert_eq!(error.major(), expected, "{name}");
            // There are no tokens about a context (RFC 4121 §4), so none ends it.
            let error = context.process_token(&token).unwrap_err();
            assert_eq!(error.major(), Major::DefectiveToken, "{name}");
            assert!(out.is_empty());
        }
    }
}

/// What two contexts have to agree on, and what a stranger must not have changed.
fn same(one: &Facts, other: &Facts) -> bool {
    (&one.initiator, &one.acceptor, one.flags) == (&other.initiator, &other.acceptor, other.flags)
}

#[test]
fn an_altered_request_is_refused_or_says_the_same() {
    for enctype in enctypes() {
        let realm = TestRealm::new(enctype);
        let (token, _) = initiators(&realm);
        let host = realm.host_without_replay();
        let (_, context) = done(realm.acceptor().step(&token, &host));
        let mut passed = 0;
        for (bit, other) in one_bit_flips(&token) {
            // What is not sealed: options, the ticket's word on its server, key versions.
            if let Ok(step) = realm.acceptor().step(&other, &host) {
                let (reply, altered) = done(Ok(step));
                assert!(
                    same(altered.facts(), context.facts()),
                    "{} {bit}",
                    enctype.name()
                );
                assert!(
                    reply.is_some(),
                    "mutual authentication was asked for under seal"
                );
                passed += 1;
            }
        }
        assert!(
            passed < token.len(),
            "{passed} of {} changes passed",
            token.len() * 8
        );
        for cut in 0..token.len() {
            failed(realm.acceptor().step(&token[..cut], &host));
            // With the frame around it made to fit again.
            let inner = framing::unframe(Oid::KRB5, &token).unwrap();
            if let Some(inner) = inner.get(..cut).filter(|cut| cut.len() < inner.len()) {
                failed(
                    realm
                        .acceptor()
                        .step(&framing::frame(Oid::KRB5, inner), &host),
                );
            }
        }
        failed(realm.acceptor().step(&[&token[..], &[0]].concat(), &host));
    }
}

/// An altered request that passes must not pass beside the true one: they carry one mark.
#[test]
fn an_altered_request_is_the_same_request() {
    let realm = realm();
    let (token, _) = initiators(&realm);
    done(realm.acceptor().step(&token, &realm.host()));
    for (_, other) in one_bit_flips(&token) {
        failed(realm.acceptor().step(&other, &realm.host()));
    }
}

#[test]
fn an_altered_reply_is_refused() {
    for enctype in enctypes() {
        let realm = TestRealm::new(enctype);
        // Two initiators in the same state: the random source starts anew.
        let begin = || {
            let realm = TestRealm::new(enctype);
            let (request, initiator) = initiators(&realm);
            (realm, request, initiator)
        };
        let (_, request, initiator) = begin();
        let (reply, _) = done(realm.acceptor().step(&request, &realm.host()));
        let reply = reply.unwrap();
        for (bit, other) in one_bit_flips(&reply) {
            let (realm, _, initiator) = begin();
            failed_at(initiator.step(&other, &realm.host()), enctype.name(), bit);
        }
        for cut in 0..reply.len() {
            let (realm, _, initiator) = begin();
            failed_at(initiator.step(&reply[..cut], &realm.host()), "cut", cut);
        }
        let (_, context) = done(initiator.step(&reply, &realm.host()));
        assert!(context.facts().flags.contains(Flags::MUTUAL));
    }
}

fn failed_at(step: Result<Step, gss_core::mechanism::Failure>, name: &str, at: usize) {
    let failure = match step {
        Ok(_) => panic!("{name} {at}: it went on"),
        Err(failure) => failure,
    };
    let majors = [Major::Failure, Major::DefectiveToken];
    assert!(majors.contains(&failure.error.major()), "{name} {at}");
}

/// A reply of whoever holds the session key, made from its parts.
struct TestReply {
    ctime: Timestamp,
    cusec: Timestamp,
    subkey: Option<(i32, Vec<u8>)>,
    seq_number: Option<u32>,
}

impl TestReply {
    fn token(&self, realm: &TestRealm) -> Vec<u8> {
        let part = EncApRepPart {
            ctime: self.ctime.into(),
            cusec: self.cusec.into(),
            subkey: (self.subkey.as_ref()).map(|(keytype, keyvalue)| EncryptionKey {
                keytype: *keytype,
                keyvalue,
            }),
            seq_number: self.seq_number.map(Word::from),
        };
        let key = &realm.ticket.session_key;
        let cipher = encrypt(&part, key, &*realm.random);
        reply_token(EncryptedData::new(key, None, &cipher))
    }
}

fn reply_token(enc_part: EncryptedData<'_>) -> Vec<u8> {
    let reply = ApRep {
        pvno: Const,
        msg_type: Const,
        enc_part,
    };
    framing::frame(Oid::KRB5, &[&[2, 0], &reply.encode()[..]].concat())
}

/// RFC 4120 §3.2.5, each check where it alone fails.
#[test]
fn each_check_of_a_reply_alone_refuses() {
    let expect = |change: fn(&mut TestReply), expected: fn(&Error) -> bool, code| {
        let realm = realm();
        let (_, initiator) = initiators(&realm);
        let now = realm.clock.now();
        let mut reply = TestReply {
            ctime: now,
            cusec: now,
            subkey: None,
            seq_number: Some(1),
        };
        change(&mut reply);
        let failure = failed(initiator.step(&reply.token(&realm), &realm.host()));
        let error = failure.error.cause::<Error>().unwrap();
        assert!(expected(error), "{error:?}");
        assert_eq!(error.krb_error_code(), code);
        assert_eq!(failure.error.major(), Major::Failure);
    };
    let mismatch: fn(&Error) -> bool =
        |error| matches!(error, Error::Exchange(ApError::ReplyMismatch));
    expect(|r| r.ctime = r.ctime + Duration::from_secs(1), mismatch, 46);
    expect(
        |r| r.cusec = r.cusec + Duration::from_micros(1),
        mismatch,
        46,
    );
    let enctype = |error: &Error| matches!(error, Error::Exchange(ApError::KeyEnctype(3)));
    expect(|r| r.subkey = Some((3, vec![0; 8])), enctype, 14);
    let permitted =
        |error: &Error| matches!(error, Error::Exchange(ApError::EnctypeNotPermitted(23)));
    expect(|r| r.subkey = Some((23, vec![0; 16])), permitted, 14);
    let key = |error: &Error| matches!(error, Error::Exchange(ApError::Key(_)));
    expect(|r| r.subkey = Some((18, vec![0; 16])), key, 60);

    let integrity = |token: &dyn Fn(&TestRealm) -> Vec<u8>| {
        let realm = realm();
        let (_, initiator) = initiators(&realm);
        let failure = failed(initiator.step(&token(&realm), &realm.host()));
        let error = failure.error.cause::<Error>().unwrap();
        assert!(
            matches!(error, Error::Exchange(ApError::ReplyIntegrity)),
            "{error:?}"
        );
    };
    let plaintext = |realm: &TestRealm| {
        let now = realm.clock.now();
        let part = EncApRepPart {
            ctime: now.into(),
            cusec: now.into(),
            subkey: None,
            seq_number: None,
        };
        part.encode()
    };
    integrity(&|realm| {
        let other = realm
            .ticket
            .session_key
            .enctype()
            .random_key(&*realm.random);
        let usage = KeyUsage::AP_REP_ENC_PART;
        let cipher = other.encrypt(usage, &*realm.random, &plaintext(realm));
        reply_token(EncryptedData::new(&other, None, &cipher))
    });
    integrity(&|realm| {
        let key = &realm.ticket.session_key;
        let usage = KeyUsage::AP_REQ_AUTHENTICATOR;
        let cipher = key.encrypt(usage, &*realm.random, &plaintext(realm));
        reply_token(EncryptedData::new(key, None, &cipher))
    });
    integrity(&|realm| {
        let key = &realm.ticket.session_key;
        let usage = KeyUsage::AP_REP_ENC_PART;
        let cipher = key.encrypt(usage, &*realm.random, &plaintext(realm));
        let enc_part = EncryptedData {
            etype: 20,
            ..EncryptedData::new(key, None, &cipher)
        };
        reply_token(enc_part)
    });
}

#[test]
fn an_acceptor_need_not_assert_a_subkey_nor_a_number() {
    let realm = realm();
    let (request, initiator) = initiators(&realm);
    done(realm.acceptor().step(&request, &realm.host()));
    let now = realm.clock.now();
    let reply = TestReply {
        ctime: now,
        cusec: now,
        subkey: None,
        seq_number: None,
    };
    let (_, context) = done(initiator.step(&reply.token(&realm), &realm.host()));
    // Without a subkey of the acceptor, the flag that names one is not set.
    assert_eq!(wrapped(&*context, true, b"")[2], 2);
}

#[test]
fn a_refusal_tells_its_code_and_its_text() {
    let realm = realm();
    let (_, initiator) = initiators(&realm);
    let now = realm.clock.now();
    let server = &realm.ticket.server;
    let error = KrbError {
        pvno: Const,
        msg_type: Const,
        ctime: None,
        cusec: None,
        stime: now.into(),
        susec: now.into(),
        error_code: 37,
        crealm: None,
        cname: None,
        realm: krb5::messages::Realm(server.realm()),
        sname: server.into(),
        e_text: Some(krb5::messages::KerberosString(b"set your clock")),
        e_data: None,
    };
    let token = framing::frame(Oid::KRB5, &[&[3, 0], &error.encode()[..]].concat());
    let failure = failed(initiator.step(&token, &realm.host()));
    assert_eq!(failure.error.major(), Major::Failure);
    assert_eq!(failure.error.minor(), 0x96c7_3a00 + 37);
    assert!(failure.error.to_string().contains("set your clock"));
    // Nobody has authenticated the text.
    let hostile = [&b"\r\n\x1b[2J"[..], &[b'x'; 60_000]].concat();
    let mut other = error.clone();
    other.e_text = Some(krb5::messages::KerberosString(&hostile));
    let token = framing::frame(Oid::KRB5, &[&[3, 0], &other.encode()[..]].concat());
    let (_, initiator) = initiators(&realm);
    let text = failed(initiator.step(&token, &realm.host()))
        .error
        .to_string();
    assert!(
        text.contains(r"\x0d\x0a\x1b[2Jx") && text.len() < 400,
        "{text}"
    );
    // One that cannot be read is no better.
    for cut in 0..error.encode().len() {
        let token = framing::frame(Oid::KRB5, &[&[3, 0], &error.encode()[..cut]].concat());
        let (_, initiator) = initiators(&realm);
        failed(initiator.step(&token, &realm.host()));
    }
}

/// Nobody vouches for an error: whatever it is made to say ends the handshake.
#[test]
fn a_damaged_refusal_is_one() {
    let realm = realm();
    let server = &realm.ticket.server;
    let error = KrbError {
        pvno: Const,
        msg_type: Const,
        ctime: None,
        cusec: None,
        stime: realm.clock.now().into(),
        susec: realm.clock.now().into(),
        error_code: 41,
        crealm: None,
        cname: None,
        realm: krb5::messages::Realm(server.realm()),
        sname: server.into(),
        e_text: None,
        e_data: Some(b"data"),
    };
    let token = framing::frame(Oid::KRB5, &[&[3, 0], &error.encode()[..]].concat());
    for (bit, other) in one_bit_flips(&token) {
        let (_, initiator) = initiators(&realm);
        failed_at(initiator.step(&other, &realm.host()), "error", bit);
    }
}

#[test]
fn a_session_key_is_of_a_permitted_enctype() {
    let realm = realm();
    let own = realm.ticket.session_key.enctype().number();
    for (number, passes) in [(own, true), (37 - own, false)] {
        let options = InitOptions {
            permitted_enctypes: enctypes().filter(|one| one.number() == number).collect(),
            ..realm.init_options(ALL)
        };
        let (ticket, server) = (realm.service_ticket(), &realm.ticket.server);
        let error = initiate(&ticket, server, &options, &realm.host()).err();
        let error = error.map(|failure| failure.error.minor() - 0x96c7_3a00);
        assert_eq!(error, (!passes).then_some(14));
    }
}

/// Both under one ticket while the clock stands: only the requests' times tell their replies apart.
#[test]
fn an_initiator_does_not_take_the_reply_to_another() {
    let realm = realm();
    let ticket = realm.service_ticket();
    let [one, other] = [(), ()].map(|()| {
        let options = realm.init_options(ALL);
        let server = &realm.ticket.server;
        continued(initiate(&ticket, server, &options, &realm.host()).unwrap())
    });
    let (ones_reply, _) = done(realm.acceptor().step(&one.0, &realm.host()));
    let (others_reply, _) = done(realm.acceptor().step(&other.0, &realm.host()));
    let failure = failed(other.1.step(&ones_reply.unwrap(), &realm.host()));
    let error = failure.error.cause::<Error>();
    assert!(matches!(
        error,
        Some(Error::Exchange(ApError::ReplyMismatch))
    ));
    failed(one.1.step(&others_reply.unwrap(), &realm.host()));
}

/// Two threads that show one request at once: one of them gets a context.
#[test]
fn of_two_that_show_one_request_one_is_accepted() {
    let realm = Arc::new(realm());
    for _ in 0..50 {
        let (request, _) = initiators(&realm);
        let both = [(), ()].map(|()| {
            let (realm, request) = (Arc::clone(&realm), request.clone());
            std::thread::spawn(move || realm.acceptor().step(&request, &realm.host()).is_ok())
        });
        let accepted = both.map(|thread| thread.join().unwrap());
        assert_eq!(accepted.iter().filter(|accepted| **accepted).count(), 1);
    }
}
