//! What a context tells of its key and its ticket, by name and by OID, before it travels and afterwards.

use std::sync::Arc;

use gss_core::error::Major;
use gss_core::flags::Flags;
use gss_core::inquire::{Inquire, LucidProtocol};
use gss_core::mechanism::{Restore, SecurityContext};
use gss_core::oid::Oid;
use krb5::messages::{AuthorizationDataElement, Value, ticket_flags};
use once::Tag;
use wire::time::Timestamp;

use super::realm::{ALL, TestRealm, enctypes, signed};
use crate::Krb5;

fn inquire(context: &dyn SecurityContext) -> &dyn Inquire {
    context.inquire().unwrap()
}

/// 1.2.840.113554.1.2.2.5, and what follows.
fn oid(rest: &[u8]) -> Oid {
    let below = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 5];
    Oid::from_bytes(&[&below, rest].concat()).unwrap()
}

fn by_oid(context: &dyn SecurityContext, rest: &[u8]) -> Vec<Vec<u8>> {
    let found = inquire(context).by_oid(&oid(rest)).unwrap();
    found.into_iter().map(|one| one.to_vec()).collect()
}

/// The context in other hands.
fn moved(realm: &TestRealm, context: &dyn SecurityContext) -> Box<dyn SecurityContext> {
    let dormant = Krb5::new(Arc::clone(&realm.random)).restore(&context.save().unwrap());
    let tag = Tag::from_bytes([7; 16]);
    realm.store.put(&tag, b"", Timestamp::MAX).unwrap();
    let taken = realm.store.take(&tag).unwrap();
    dormant.unwrap().wake(taken.into())
}

#[test]
fn both_sides_tell_the_same_of_key_and_ticket_and_it_travels() {
    for enctype in enctypes() {
        for flags in [ALL, Flags::NONE] {
            let realm = TestRealm::new(enctype);
            let pair = realm.pair(flags);
            let expected = Timestamp::from_seconds(realm.ticket.authtime.seconds());
            let sides = [pair.initiator, pair.acceptor];
            let travelled = [moved(&realm, &*sides[0]), moved(&realm, &*sides[1])];
            let key = inquire(&*sides[0]).session_key();
            for side in sides.iter().chain(&travelled) {
                let told = inquire(&**side);
                assert_eq!(*told.session_key().bytes, *key.bytes);
                assert_eq!(told.session_key().enctype, enctype.number());
                assert_eq!(told.ticket_flags(), ticket_flags::INITIAL);
                assert_eq!(told.authtime(), expected);
                let [bytes, kind] = &by_oid(&**side, &[5])[..] else {
                    panic!("a key and its type");
                };
                assert_eq!(**bytes, **key.bytes);
                let number = enctype.number() as u8;
                assert_eq!(
                    **kind,
                    [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 4, number]
                );
                assert_eq!(by_oid(&**side, &[1]), [ticket_flags::INITIAL.to_ne_bytes()]);
                let seconds = (expected.seconds() as u32).to_ne_bytes();
                assert_eq!(by_oid(&**side, &[12]), [seconds]);
                let strength = told.strength();
                assert_eq!(by_oid(&**side, &[15]), [strength.to_be_bytes()]);
                let strong = [18, 20, 26].contains(&enctype.number());
                assert_eq!(strength, if strong { 256 } else { 128 });
            }
        }
    }
}

fn element(ad_type: i32, ad_data: &[u8]) -> AuthorizationDataElement<'_> {
    AuthorizationDataElement { ad_type, ad_data }
}

#[test]
fn authorization_data_is_found_at_any_depth() {
    let mut realm = TestRealm::new(enctypes().next().unwrap());
    let inner = vec![element(128, b"PAC"), element(99, b"other")].encode();
    let within = vec![element(1, &inner), element(128, b"second")].encode();
    realm.ticket.authorization_data = Some(within.clone());
    let pair = realm.pair(ALL);
    let here = &*pair.acceptor;
    let there = moved(&realm, here);
    for side in [here, &*there] {
        let of = |ad_type| inquire(side).authorization_data(ad_type).unwrap();
        assert_eq!(of(128), [&b"PAC"[..], b"second"]);
        assert_eq!(of(99), [b"other"]);
        assert_eq!(of(1), [&within[..]], "a container is one too");
        assert!(of(4711).is_empty());
        assert_eq!(by_oid(side, &[10, 0x81, 0]), [&b"PAC"[..], b"second"]);
        assert_eq!(by_oid(side, &[10, 99]), [b"other"]);
        assert!(by_oid(side, &[10, 98]).is_empty());
    }
    let none = inquire(&*pair.initiator).authorization_data(128).unwrap();
    assert!(
        none.is_empty(),
        "the initiator does not see into the ticket"
    );
    realm.ticket.authorization_data = Some(b"\x30\x05".to_vec());
    let pair = realm.pair(ALL);
    let error = inquire(&*pair.acceptor)
        .authorization_data(128)
        .unwrap_err();
    assert_eq!(error.major(), Major::Failure);
}

#[test]
fn what_has_another_oid_is_not_available() {
    let realm = TestRealm::new(enctypes().next().unwrap());
    let pair = realm.pair(ALL);
    let told = inquire(&*pair.acceptor);
    for rest in [
        &[2][..],
        &[6, 1],
        &[5, 1],
        &[1, 0],
        &[12, 1],
        &[15, 1],
        &[127],
    ] {
        let error = told.by_oid(&oid(rest)).unwrap_err();
        assert_eq!(error.major(), Major::Unavailable, "{rest:?}");
    }
    for known in [Oid::KRB5, Oid::SPNEGO, Oid::NT_EXPORT_NAME] {
        let error = told.by_oid(&known).unwrap_err();
        assert_eq!(error.major(), Major::Unavailable);
    }
    // Authorization data of no type.
    for rest in [
        &[10][..],
        &[10, 0],
        &[10, 1, 2],
        &[10, 0x88, 0x80, 0x80, 0x80, 0],
    ] {
        let error = told.by_oid(&oid(rest)).unwrap_err();
        assert_eq!(
            (error.major(), error.minor()),
            (Major::Failure, 2),
            "{rest:?}"
        );
    }
}

/// The keys and numbers of the one side are those of the other, crosswise.
#[test]
fn the_lucid_form_has_keys_and_numbers() {
    for enctype in enctypes() {
        for (flags, subkeys) in [(ALL, true), (ALL.without(Flags::MUTUAL), false)] {
            let realm = TestRealm::new(enctype);
            let pair = realm.pair(flags);
            let token = signed(&*pair.initiator, b"message");
            pair.acceptor.verify_mic(b"message", &token).unwrap();
            let sides =
                [&pair.initiator, &pair.acceptor].map(|side| inquire(&**side).lucid().unwrap());
            let [ours, theirs] = &sides;
            assert!(ours.initiate && !theirs.initiate);
            assert_eq!(
                ours.send_seq, theirs.recv_seq,
                "one message was sent and received"
            );
            assert_eq!(ours.recv_seq, theirs.send_seq);
            let end = Timestamp::from_seconds(realm.ticket.endtime.seconds());
            assert_eq!([ours.endtime, theirs.endtime], [end; 2]);
            let keys = sides.map(|side| match side.protocol {
                LucidProtocol::Cfx {
                    ctx_key,
                    acceptor_subkey,
                } => (ctx_key, acceptor_subkey),
                LucidProtocol::Rfc1964 { .. } => panic!("an older kind"),
            });
            let [(ours, our_subkey), (theirs, their_subkey)] = &keys;
            assert_eq!(*ours.bytes, *theirs.bytes);
            assert_eq!(ours.enctype, enctype.number());
            assert_eq!(our_subkey.is_some(), subkeys);
            let bytes = |key: &Option<gss_core::inquire::SessionKey>| {
                key.as_ref().map(|key| key.bytes.to_vec())
            };
            assert_eq!(bytes(our_subkey), bytes(their_subkey));
            if let Some(subkey) = our_subkey {
                let key = inquire(&*pair.initiator).session_key();
                assert_eq!(*subkey.bytes, *key.bytes);
            }
        }
    }
}
