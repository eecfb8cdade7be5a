//! What is just good enough, and what a context has of the request it came from.

use std::sync::Arc;
use std::time::Duration;

use gss_core::flags::Flags;
use gss_core::framing;
use gss_core::mechanism::{Facts, Handshake, SecurityContext};
use gss_core::oid::Oid;
use gss_core::sequence::{Order, SequenceWindow};
use krb5::exchange::ap::{self, Acceptable, Authenticated};
use krb5::messages::ticket_flags;
use krb5_crypto::{Enctype, Key, KeyUsage};
use zeroize::Zeroizing;

use super::{Attempt, CBT, Change, ap_option, bindings, from_afar, gss_checksum, minute, service};
use crate::checksum::{NO_BINDINGS, hash};
use crate::context::Established;
use crate::keys::Keys;
use crate::tests::delegation::delegation;
use crate::tests::realm::{done, enctypes, same_key, signed, wrapped};
use crate::{Acceptor, state};

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
            a.acceptable = Acceptable::Principal(a.realm.ticket.server.clone());
        }),
        ("the service on any host", |a| {
            a.acceptable = service(b"host", None);
        }),
        ("the service on its host, in whatever realm", |a| {
            a.acceptable = service(b"host", Some(b"www.example.com"));
        }),
        ("delegation under the session key", |a| {
            let key = Arc::clone(&a.realm.ticket.session_key);
            let part = delegation(&a.realm, Some(&key));
            a.cksum = Some(gss_checksum(NO_BINDINGS, 3, &part));
        }),
        ("delegation under the subkey", |a| {
            let (number, subkey) = a.subkey.as_ref().unwrap();
            let key = Key::new(Enctype::from_number(*number).unwrap(), subkey).unwrap();
            let part = delegation(&a.realm, Some(&key));
            a.cksum = Some(gss_checksum(NO_BINDINGS, 3, &part));
        }),
        ("delegation that is not encrypted again", |a| {
            let part = delegation(&a.realm, None);
            a.cksum = Some(gss_checksum(NO_BINDINGS, 3, &part));
        }),
        ("delegation without its flag, which is an extension", |a| {
            a.cksum = Some(gss_checksum(NO_BINDINGS, 2, &[1, 0, 0, 0, 0, 0, 0, 0]));
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
                initiators: Key::new(enctype, &subkey).unwrap().into(),
                acceptor_subkey: None,
            },
            next: 7,
            window: SequenceWindow::new(7, true, true),
            authorization_data: Vec::new(),
            vouched: Default::default(),
            ticket: Default::default(),
            delegated: Vec::new(),
            evidence: None,
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

/// Whoever has a ticket chooses its subkey. Tokens of RFC 1964 go with the keys of two enctypes, whatever the ticket is under.
#[test]
fn a_subkey_of_any_other_enctype_makes_a_context_that_works() {
    let all = [16, 17, 18, 19, 20, 23, 25, 26].map(|number| Enctype::from_number(number).unwrap());
    let mixed = |one: &Enctype, other: &Enctype| {
        one.number() != other.number()
            && [one, other]
                .iter()
                .any(|key| [16, 23].contains(&key.number()))
    };
    for (session, subkey) in all
        .iter()
        .flat_map(|session| all.iter().map(move |subkey| (session, subkey)))
        .filter(|(session, subkey)| mixed(session, subkey))
    {
        for mutual in [true, false] {
            let mut attempt = Attempt::of(session);
            let key = subkey.random_key(&*attempt.realm.random);
            attempt.subkey = Some((subkey.number(), key.expose().to_vec()));
            if !mutual {
                attempt.ap_options = 0;
                attempt.cksum = Some(gss_checksum(NO_BINDINGS, 4 | 8, &[]));
            }
            let mut options = attempt.realm.accept_options();
            options.policy.permitted_enctypes = Arc::new(all);
            let acceptor = Box::new(Acceptor::new(attempt.realm.cred(), options));
            let step = acceptor.step(&attempt.token(), &attempt.realm.host());
            let acceptor = done(step).1;
            let mut peer = state::read(&acceptor.save().unwrap()).unwrap();
            peer.facts.locally_initiated = true;
            (peer.window, peer.next) = (SequenceWindow::new(peer.next, true, true), 7);
            let initiator = peer.open(Arc::clone(&attempt.realm.random));
            let what = format!("{} {} {mutual}", session.name(), subkey.name());
            for length in 0..=64 {
                let message = vec![7; length];
                for (from, to) in [
                    (&*acceptor, &initiator as &dyn SecurityContext),
                    (&initiator, &*acceptor),
                ] {
                    for confidential in [true, false] {
                        let token = wrapped(from, confidential, &message);
                        let mut out = Vec::new();
                        to.unwrap(&token, &mut out).unwrap();
                        assert_eq!(out, message, "{what}");
                    }
                    let order = to.verify_mic(&message, &signed(from, &message));
                    assert_eq!(order.unwrap(), Order::InOrder, "{what}");
                }
            }
        }
    }
}

/// A delegated session key may lie in the checksum in the clear (an etype of 0 in the KRB-CRED).
#[test]
fn an_authenticators_checksum_is_wiped() {
    fn wiped(request: &Authenticated) -> Option<&Zeroizing<Vec<u8>>> {
        request.cksum.as_ref().map(|(_, checksum)| checksum)
    }
    let attempt = Attempt::new();
    let cred = attempt.realm.cred();
    let token = attempt.token();
    let inner = framing::unframe(Oid::KRB5, &token).unwrap();
    let request = ap::read(&inner[2..]).unwrap();
    let opened = ap::open(&request, &cred.keytab, &cred.acceptable).unwrap();
    let options = attempt.realm.accept_options();
    let checked = opened
        .check(&options.policy, attempt.realm.host().now())
        .unwrap();
    assert!(wiped(checked.request()).is_some());
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
