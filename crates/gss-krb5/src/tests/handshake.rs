//! Handshakes that succeed: every enctype and every combination of flags, and what each side then knows.

use std::sync::Arc;
use std::time::Duration;

use gss_core::bindings::ChannelBindings;
use gss_core::error::Major;
use gss_core::flags::Flags;
use gss_core::mechanism::{Handshake, Step};
use gss_core::name::Name;
use gss_core::oid::Oid;
use krb5::exchange::ap::Acceptable;
use krb5::formats::ccache::TimeOffset;
use krb5::formats::keytab::{Keytab, KeytabEntry};
use krb5::messages::ticket_flags;
use krb5::principal::Principal;
use wire::time::{Clock, Timestamp};

use krb5_crypto::Enctype;

use super::realm::{ALL, TestRealm, continued, done, enctypes, failed, signed, wrapped};
use crate::{AcceptOptions, Acceptor, AuthenticatorTimes, Error, InitOptions, Local, initiate};

const ALWAYS: Flags = Flags::from_bits(16 | 32 | 128 | 256);

#[test]
fn every_combination_of_flags_is_granted_alike() {
    for enctype in enctypes() {
        let realm = TestRealm::new(enctype);
        let windows = [0, 0x2000, 0x4000, 0x6000];
        let all = (0..1 << 8).flat_map(|low| windows.map(|high| low | high));
        for asked in all.filter(|asked| asked & Flags::ANON.bits() == 0) {
            let pair = realm.pair(Flags::from_bits(asked));
            let (initiator, acceptor) = (pair.initiator.facts(), pair.acceptor.facts());
            let optional = ALL | Flags::IDENTIFY | Flags::EXTENDED_ERROR;
            let granted = Flags::from_bits(asked) & optional | ALWAYS;
            assert_eq!(initiator.flags, granted, "{} {asked}", enctype.name());
            assert_eq!(acceptor.flags, granted, "{} {asked}", enctype.name());
            let token = wrapped(&*pair.initiator, true, b"there");
            let mut out = Vec::new();
            assert!(pair.acceptor.unwrap(&token, &mut out).unwrap().confidential);
            let token = wrapped(&*pair.acceptor, false, b"back");
            assert!(
                !pair
                    .initiator
                    .unwrap(&token, &mut out)
                    .unwrap()
                    .confidential
            );
            assert_eq!(out, b"thereback");
        }
    }
}

#[test]
fn each_side_knows_both_names_and_the_end() {
    let realm = TestRealm::new(enctypes().next().unwrap());
    let pair = realm.pair(ALL);
    let (initiator, acceptor) = (pair.initiator.facts(), pair.acceptor.facts());
    for facts in [initiator, acceptor] {
        assert_eq!(facts.mechanism, Oid::KRB5);
        assert_eq!(facts.initiator, Name::krb5_principal("alice@EXAMPLE.COM"));
        let server = Name::krb5_principal("host/www.example.com@EXAMPLE.COM");
        assert_eq!(facts.acceptor, server);
    }
    assert!(initiator.locally_initiated && !acceptor.locally_initiated);
    let end = Timestamp::from_seconds(realm.ticket.endtime.seconds());
    assert_eq!(initiator.expires, realm.ticket.endtime);
    assert_eq!(acceptor.expires, end + Duration::from_secs(300));
}

#[test]
fn trap_4_without_mutual_authentication_both_directions_start_at_one_number() {
    let number = |token: &[u8]| u64::from_be_bytes(token[8..16].try_into().unwrap());
    let realm = TestRealm::new(enctypes().next().unwrap());
    for (flags, same) in [(ALL.without(Flags::MUTUAL), true), (ALL, false)] {
        let pair = realm.pair(flags);
        let numbers = [&pair.initiator, &pair.acceptor].map(|side| number(&signed(&**side, b"")));
        assert_eq!(numbers[0] == numbers[1], same, "{flags:?}");
    }
}

#[test]
fn contexts_have_keys_of_their_own() {
    let realm = TestRealm::new(enctypes().next().unwrap());
    for flags in [Flags::NONE, Flags::MUTUAL] {
        let (one, other) = (realm.pair(flags), realm.pair(flags));
        let token = signed(&*one.initiator, b"message");
        assert!(other.acceptor.verify_mic(b"message", &token).is_err());
        assert!(one.acceptor.verify_mic(b"message", &token).is_ok());
    }
}

#[test]
fn the_ticket_tells_its_authorization_data() {
    let mut realm = TestRealm::new(enctypes().next().unwrap());
    let state = |realm: &TestRealm| realm.pair(ALL).acceptor.save().unwrap();
    assert!(!state(&realm).windows(3).any(|part| part == b"PAC"));
    realm.ticket.authorization_data = Some(b"PAC".to_vec());
    assert!(state(&realm).windows(3).any(|part| part == b"PAC"));
}

#[test]
fn addresses_in_the_ticket_are_passed_over() {
    let mut realm = TestRealm::new(enctypes().next().unwrap());
    realm.ticket.addresses = true;
    realm.pair(ALL);
}

#[test]
fn an_expired_ticket_begins_nothing() {
    let mut realm = TestRealm::new(enctypes().next().unwrap());
    realm.ticket.endtime = realm.clock.now() - Duration::from_secs(1);
    let (ticket, options) = (realm.service_ticket(), realm.init_options(ALL));
    let failure = failed(initiate(
        &ticket,
        &realm.ticket.server,
        &options,
        &realm.host(),
    ));
    assert_eq!(failure.error.major(), Major::CredentialsExpired);
    let cause = failure.error.cause::<Error>();
    assert!(matches!(
        cause,
        Some(Error::Local(Local::TicketExpired { .. }))
    ));
    assert!(failure.token.is_none());
}

#[test]
fn the_kdcs_clock_is_what_counts_for_the_initiator() {
    for seconds in [-4000, 4000] {
        let mut realm = TestRealm::new(enctypes().next().unwrap());
        realm.ticket.authtime = realm.clock.now() - Duration::from_secs(5000);
        let mut ticket = realm.service_ticket();
        ticket.time_offset = TimeOffset { seconds, micros: 0 };
        ticket.endtime = realm.clock.now() + Duration::from_secs(5000);
        let options = realm.init_options(Flags::MUTUAL);
        let step = initiate(&ticket, &realm.ticket.server, &options, &realm.host()).unwrap();
        let (token, next) = continued(step);
        // The acceptor's clock is the KDC's.
        let kdc =
            Timestamp::from_micros(realm.clock.now().micros() + i64::from(seconds) * 1_000_000);
        let clock = move || kdc;
        let mut host = realm.host_without_replay();
        host.clock = &clock;
        let (reply, _) = done(realm.acceptor().step(&token, &host));
        let (_, context) = done(next.step(&reply.unwrap(), &realm.host()));
        let local = ticket.endtime.micros() - i64::from(seconds) * 1_000_000;
        assert_eq!(context.facts().expires, Timestamp::from_micros(local));
    }
}

#[test]
fn a_keytab_may_rotate_while_tickets_live() {
    for enctype in enctypes() {
        let mut realm = TestRealm::new(enctype);
        let old_ticket = realm.service_ticket();
        realm.pair(ALL);
        // A new version comes: the old ticket still works, and so do new ones.
        let new_key = Arc::new(enctype.random_key(&*realm.random));
        let new_entry = KeytabEntry {
            principal: realm.ticket.server.clone(),
            timestamp: realm.clock.now(),
            kvno: 4,
            key: Arc::clone(&new_key),
        };
        realm.keytab.entries.push(new_entry);
        let accept = |realm: &TestRealm, ticket| {
            let options = realm.init_options(Flags::NONE);
            let server = &realm.ticket.server;
            let step = initiate(&ticket, server, &options, &realm.host()).unwrap();
            let Step::Done { token, .. } = step else {
                panic!("mutual authentication was not asked for");
            };
            realm.acceptor().step(&token.unwrap(), &realm.host())
        };
        done(accept(&realm, old_ticket.clone()));
        (realm.ticket.key, realm.ticket.kvno) = (new_key, Some(4));
        let new_ticket = realm.service_ticket();
        done(accept(&realm, new_ticket.clone()));
        // The old version goes: its tickets are refused by name, new ones work.
        realm.keytab.entries.remove(0);
        let failure = failed(accept(&realm, old_ticket));
        let text = failure.error.to_string();
        assert!(text.contains("kvno 3") && text.contains("kvno 4"), "{text}");
        done(accept(&realm, new_ticket));
    }
}

#[test]
fn an_acceptor_keeps_the_keytab_it_was_given() {
    let mut realm = TestRealm::new(enctypes().next().unwrap());
    let acceptor = realm.acceptor();
    let token = realm.token(ALL);
    realm.keytab = Keytab::default();
    done(acceptor.step(&token, &realm.host()));
}

#[test]
fn a_service_may_be_known_by_other_names() {
    let mut realm = TestRealm::new(enctypes().next().unwrap());
    let alias = Principal::service("host", "alias.example.com", "EXAMPLE.COM");
    realm.keytab.entries[0].principal = alias.clone();
    for acceptable in [Acceptable::Any, Acceptable::Principal(alias)] {
        let mut cred = realm.cred();
        cred.acceptable = acceptable;
        let acceptor = Box::new(Acceptor::new(cred, realm.accept_options()));
        let (_, context) = done(acceptor.step(&realm.token(ALL), &realm.host()));
        // What is displayed is the keytab's word: that in the ticket is not sealed.
        let name = Name::krb5_principal("host/alias.example.com@EXAMPLE.COM");
        assert_eq!(context.facts().acceptor, name);
    }
}

#[test]
fn bindings_are_verified_and_their_flag_says_so() {
    let (channel, other) = (bindings(b"channel"), bindings(b"other"));
    for (initiators, insist, acceptors, outcome) in [
        (None, false, None, Ok(false)),
        (Some(&channel), false, None, Ok(false)),
        (Some(&channel), true, None, Ok(false)),
        (None, false, Some(&channel), Ok(false)),
        (None, true, None, Ok(false)),
        (Some(&channel), false, Some(&channel), Ok(true)),
        (Some(&channel), true, Some(&channel), Ok(true)),
        (Some(&other), false, Some(&channel), Err(Major::BadBindings)),
        (Some(&other), true, Some(&channel), Err(Major::BadBindings)),
        (None, true, Some(&channel), Err(Major::BadBindings)),
    ] {
        let realm = TestRealm::new(enctypes().next().unwrap());
        let flags = ALL | Flags::CHANNEL_BOUND.when(insist);
        let options = InitOptions {
            bindings: initiators.cloned(),
            ..realm.init_options(flags)
        };
        let (token, _) = continued(realm.initiate(&options));
        let options = AcceptOptions {
            bindings: acceptors.cloned(),
            ..realm.accept_options()
        };
        let acceptor = Box::new(Acceptor::new(realm.cred(), options));
        let step = acceptor.step(&token, &realm.host());
        let found = match step {
            Ok(step) => {
                let (_, context) = done(Ok(step));
                Ok(context.facts().flags.contains(Flags::CHANNEL_BOUND))
            }
            Err(failure) => Err(failure.error.major()),
        };
        assert_eq!(found, outcome, "{initiators:?} {insist} {acceptors:?}");
    }
}

fn bindings(data: &[u8]) -> ChannelBindings {
    ChannelBindings::application(data)
}

#[test]
fn replay_detection_can_be_switched_off_by_the_host_alone() {
    let realm = TestRealm::new(enctypes().next().unwrap());
    let token = realm.token(ALL);
    for _ in 0..3 {
        done(realm.acceptor().step(&token, &realm.host_without_replay()));
    }
    done(realm.acceptor().step(&token, &realm.host()));
    failed(realm.acceptor().step(&token, &realm.host()));
}

#[test]
fn two_requests_of_one_microsecond_are_not_taken_for_one() {
    // As of processes that share a ticket.
    let mut realm = TestRealm::new(enctypes().next().unwrap());
    for _ in 0..10 {
        realm.times = AuthenticatorTimes::of_another_clock();
        realm.pair(ALL);
    }
}

#[test]
fn one_service_key_is_one_replay_cache_under_all_its_names() {
    let mut realm = TestRealm::new(enctypes().next().unwrap());
    let token = realm.token(ALL);
    done(realm.acceptor().step(&token, &realm.host()));
    let alias = Principal::service("HTTP", "www.example.com", "EXAMPLE.COM");
    realm.keytab.entries[0].principal = alias;
    let failure = failed(realm.acceptor().step(&token, &realm.host()));
    assert_eq!(failure.error.cause::<Error>().unwrap().krb_error_code(), 34);
}

/// RFC 4537: the acceptor's order among what both permit, and the initiator's own enctype where nothing else was offered.
#[test]
fn an_enctype_of_the_acceptors_subkey_is_agreed_on() {
    let list = |numbers: &[i32]| -> Arc<[&'static Enctype]> {
        let known = numbers
            .iter()
            .map(|one| Enctype::from_number(*one).unwrap());
        known.collect()
    };
    for (session, initiators, acceptors, chosen) in [
        (17, &[20, 17][..], &[20, 17][..], 20),
        (17, &[20, 18, 17], &[18, 20, 17], 18),
        (17, &[20, 17], &[17, 20], 17),
        (17, &[17, 20], &[20, 17], 17),
        (17, &[20, 17], &[18, 17], 17),
        (20, &[17, 20], &[19, 17, 20], 17),
    ] {
        for dce in [Flags::NONE, Flags::DCE_STYLE] {
            let realm = TestRealm::new(Enctype::from_number(session).unwrap());
            let options = InitOptions {
                permitted_enctypes: list(initiators),
                ..realm.init_options(ALL | dce)
            };
            let (request, next) = continued(realm.initiate(&options));
            let mut options = realm.accept_options();
            options.policy.permitted_enctypes = list(acceptors);
            let acceptor = Box::new(Acceptor::new(realm.cred(), options));
            let (reply, acceptor) = match acceptor.step(&request, &realm.host()).unwrap() {
                Step::Done { token, context } => (token.unwrap(), Ok(context)),
                Step::Continue { token, next } => (token, Err(next)),
            };
            let (leg, initiator) = done(next.step(&reply, &realm.host()));
            let acceptor = match acceptor {
                Ok(context) => context,
                Err(next) => done(next.step(&leg.unwrap(), &realm.host())).1,
            };
            let expected = Enctype::from_number(chosen).unwrap().checksum_length();
            for (from, to) in [(&initiator, &acceptor), (&acceptor, &initiator)] {
                let token = signed(&**from, b"message");
                assert_eq!(token.len(), 16 + expected, "{initiators:?} {acceptors:?}");
                to.verify_mic(b"message", &token).unwrap();
            }
        }
    }
}

/// RFC 8062 §6: the initiator stays anonymous, or its token is never made.
#[test]
fn anonymity_is_given_or_nothing_is_begun() {
    for enctype in enctypes() {
        let mut realm = TestRealm::new(enctype);
        let options = realm.init_options(ALL | Flags::ANON);
        let (ticket, server) = (realm.service_ticket(), &realm.ticket.server);
        let error = failed(initiate(&ticket, server, &options, &realm.host())).error;
        assert_eq!(error.major(), Major::Unavailable);
        assert!(error.to_string().contains("alice@EXAMPLE.COM"), "{error}");
        realm.ticket.client = Principal::anonymous();
        realm.ticket.flags |= ticket_flags::ANONYMOUS;
        for asked in [Flags::ANON, Flags::NONE] {
            let pair = realm.pair(ALL | asked);
            for side in [&pair.initiator, &pair.acceptor] {
                let facts = side.facts();
                assert!(facts.flags.contains(Flags::ANON));
                assert_eq!(facts.initiator.name_type(), Oid::NT_ANONYMOUS);
            }
        }
    }
}
