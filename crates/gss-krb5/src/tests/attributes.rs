//! What a ticket says of its client, and whom one can believe for it.

use std::time::Duration;

use gss_core::flags::Flags;
use gss_core::mechanism::{Restore, SecurityContext};
use gss_core::name::MechName;
use gss_core::name::exported::Exported;
use krb5::messages::{
    AD_CAMMAC, AD_WIN2K_PAC, AdCammac, AuthenticationIndicators, AuthorizationData,
    AuthorizationDataElement, Checksum, Indicator, Value, VerifierMac,
};
use krb5::pac::{CLIENT_INFO, LOGON_INFO, PacWriter, REQUESTOR};
use krb5::principal::Principal;
use krb5_crypto::{Key, KeyUsage};
use once::Tag;
use wire::time::Timestamp;

use super::realm::{TestRealm, enctypes, random};
use crate::{Krb5, composite};

const SIDS: &[u8] = b"SIDs and groups";
const DATA: &str = "urn:ietf:kerberos:nameattr-ticket-authz-data";

fn element(ad_type: i32, ad_data: &[u8]) -> AuthorizationDataElement<'_> {
    AuthorizationDataElement { ad_type, ad_data }
}

/// A realm whose ticket has these elements, which a closure makes of the realm's key.
fn realm(elements: impl Fn(&TestRealm) -> Vec<(i32, Vec<u8>)>) -> TestRealm {
    let mut realm = TestRealm::new(enctypes().next().unwrap());
    let owned = elements(&realm);
    let elements = owned.iter().map(|(ad_type, data)| element(*ad_type, data));
    let data: AuthorizationData<'_> = elements.collect();
    realm.ticket.authorization_data = Some(data.encode());
    realm
}

fn pac(client: &Principal, authtime: Timestamp, key: &Key) -> Vec<u8> {
    let writer = PacWriter::new(client, authtime)
        .buffer(LOGON_INFO, SIDS)
        .buffer(REQUESTOR, *b"SID");
    writer.sign(key, key)
}

/// The key of another service.
fn foreign_key() -> Key {
    let enctype = enctypes().next().unwrap();
    Key::new(enctype, &vec![9; enctype.key_length()]).unwrap()
}

/// The PAC that the ticket's KDC made for it.
fn own(realm: &TestRealm) -> (i32, Vec<u8>) {
    let ticket = &realm.ticket;
    let pac = pac(&ticket.client, ticket.authtime, &ticket.key);
    (AD_WIN2K_PAC, pac)
}

/// An indicator that is signed for whoever has `key`.
fn indicator(text: &str, key: &Key) -> (i32, Vec<u8>) {
    let list: AuthenticationIndicators<'_> = vec![Indicator(text)];
    let list = list.encode();
    let elements = vec![element(97, &list)];
    let mac = key.checksum(KeyUsage::CAMMAC, &[&elements.encode()]);
    let container = AdCammac {
        elements,
        kdc_verifier: None,
        svc_verifier: Some(VerifierMac {
            identifier: None,
            kvno: None,
            enctype: None,
            mac: Checksum {
                cksumtype: key.enctype().checksum_type(),
                checksum: &mac,
            },
        }),
        other_verifiers: None,
    };
    (AD_CAMMAC, container.encode())
}

/// The acceptor's context, and the same after it changed hands.
fn acceptors(realm: &TestRealm) -> [Box<dyn SecurityContext>; 2] {
    let context = realm.pair(Flags::MUTUAL).acceptor;
    let dormant = Krb5::new(random()).restore(&context.save().unwrap());
    let tag = Tag::from_bytes([1; 16]);
    realm.store.put(&tag, b"", Timestamp::MAX).unwrap();
    let moved = dormant
        .unwrap()
        .wake(realm.store.take(&tag).unwrap().into());
    assert_eq!(*moved.save().unwrap(), *context.save().unwrap());
    [context, moved]
}

/// The name, and the same exported with its attributes and imported again.
fn names(context: &dyn SecurityContext, realm: &TestRealm) -> [MechName; 2] {
    let name = context.initiator_name();
    let token = name.export_composite();
    let read = Exported::parse_composite(&token).unwrap();
    let client = realm.ticket.client.clone();
    let again = composite(client, read.attributes).unwrap();
    assert!(again.is_same_as(&name));
    assert_eq!(again.export_composite(), token);
    [name, again]
}

#[test]
fn a_signed_pac_is_believed_before_and_after_a_transfer() {
    let realm = realm(|realm| vec![own(realm)]);
    for context in acceptors(&realm) {
        for name in names(&*context, &realm) {
            assert_eq!(
                name.attribute_names(),
                [
                    "urn:mspac:",
                    "urn:mspac:client-info",
                    "urn:mspac:logon-info",
                    "urn:mspac:18",
                    "urn:mspac:server-checksum",
                    "urn:mspac:privsvr-checksum",
                    "urn:ietf:kerberos:nameattr-realm",
                    "urn:ietf:kerberos:nameattr-name-ncomp",
                    "urn:ietf:kerberos:nameattr-name-ncomp#0",
                    DATA,
                    "urn:ietf:kerberos:nameattr-authz-data#128",
                ]
            );
            for listed in name.attribute_names() {
                let attribute = name.attribute(&listed).unwrap();
                assert!(attribute.complete && attribute.values.len() == 1);
                let of_the_data = listed.contains("authz-data");
                assert_eq!(attribute.authenticated, !of_the_data, "{listed}");
            }
            let value = |name_of: &str| name.attribute(name_of).unwrap().values.remove(0).value;
            for same in [
                "urn:mspac:logon-info",
                "URN:MSPAC:Logon-Info",
                "urn:mspac:1",
            ] {
                assert_eq!(value(same), SIDS);
            }
            assert_eq!(value("urn:mspac:requestor-sid"), b"SID");
            assert_eq!(value("urn:mspac:"), own(&realm).1);
            let pac = "urn:ietf:kerberos:nameattr-ticket-authz-data#pac";
            assert_eq!(value(pac), own(&realm).1);
            assert_eq!(value("urn:ietf:kerberos:nameattr-realm"), b"EXAMPLE.COM");
            assert_eq!(value("urn:ietf:kerberos:nameattr-name-ncomp"), b"1");
        }
    }
}

#[test]
fn names_of_attributes_have_one_spelling_but_for_the_pacs() {
    let realm = realm(|realm| vec![own(realm)]);
    let name = realm.pair(Flags::NONE).acceptor.initiator_name();
    for unknown in [
        "",
        "urn:mspac",
        "urn:mspac:01",
        "urn:mspac:+1",
        "urn:mspac:2",
        "urn:mspac:logon-info ",
        "urn:mspac:4294967297",
        "urn:ietf:kerberos:nameattr-",
        "urn:ietf:kerberos:nameattr-Realm",
        "urn:ietf:kerberos:nameattr-name-ncomp#1",
        "urn:ietf:kerberos:nameattr-authz-data#1",
        "urn:ietf:kerberos:nameattr-authz-data",
        "auth-indicators",
        "urn:msp\u{e4}c:",
    ] {
        assert!(name.attribute(unknown).is_err(), "{unknown}");
    }
}

/// A client can put authorization data into its ticket. What does not verify is there, is not authenticated, and no reason to
/// refuse.
#[test]
fn trap_1_attributes_are_authenticated_by_the_signature_alone() {
    let bob = Principal::user("bob", "EXAMPLE.COM");
    let foreign = foreign_key();
    type Make<'m> = &'m dyn Fn(&TestRealm) -> Vec<u8>;
    let second = Duration::from_secs(1);
    let cases: [(&str, Make<'_>); 4] = [
        ("another key", &|realm| {
            pac(&realm.ticket.client, realm.ticket.authtime, &foreign)
        }),
        ("another client", &|realm| {
            pac(&bob, realm.ticket.authtime, &realm.ticket.key)
        }),
        ("another time", &|realm| {
            let earlier = realm.ticket.authtime - second;
            pac(&realm.ticket.client, earlier, &realm.ticket.key)
        }),
        ("an altered buffer", &|realm| {
            let mut pac = own(realm).1;
            let at = pac.windows(SIDS.len()).position(|window| window == SIDS);
            pac[at.unwrap()] ^= 1;
            pac
        }),
    ];
    for (case, make) in cases {
        let realm = realm(|realm| vec![(AD_WIN2K_PAC, make(realm))]);
        for context in acceptors(&realm) {
            for name in names(&*context, &realm) {
                for attribute in ["urn:mspac:", "urn:mspac:logon-info", DATA] {
                    let found = name.attribute(attribute).unwrap();
                    assert!(!found.authenticated, "{case}: {attribute}");
                }
                let own = name.attribute("urn:ietf:kerberos:nameattr-realm");
                assert!(own.unwrap().authenticated, "the name was proved");
            }
        }
    }
}

/// Counts and lengths that do not fit leave the context as it would be without a PAC.
#[test]
fn cve_2022_42898_a_malformed_pac_is_none_and_refuses_nothing() {
    type Damage<'d> = &'d dyn Fn(&mut Vec<u8>);
    let crafted: [Damage<'_>; 6] = [
        &|pac| pac[..4].copy_from_slice(&0x1000_0001_u32.to_le_bytes()),
        &|pac| pac[..4].copy_from_slice(&0_u32.to_le_bytes()),
        &|pac| pac[12..16].copy_from_slice(&u32::MAX.to_le_bytes()),
        &|pac| pac[16..24].copy_from_slice(&(u64::MAX - 7).to_le_bytes()),
        &|pac| pac.truncate(20),
        &Vec::clear,
    ];
    for damage in crafted {
        let realm = realm(|realm| {
            let mut pac = own(realm).1;
            damage(&mut pac);
            vec![(AD_WIN2K_PAC, pac)]
        });
        for context in acceptors(&realm) {
            for name in names(&*context, &realm) {
                assert!(name.attribute("urn:mspac:").is_err());
                assert!(name.attribute(DATA).is_ok_and(|found| !found.authenticated));
            }
        }
    }
}

#[test]
fn indicators_travel_with_their_context() {
    let realm = realm(|realm| {
        let foreign = foreign_key();
        vec![
            indicator("otp", &realm.ticket.key),
            indicator("forged", &foreign),
            own(realm),
            indicator("pkinit", &realm.ticket.key),
        ]
    });
    for context in acceptors(&realm) {
        for name in names(&*context, &realm) {
            let found = name.attribute("auth-indicators").unwrap();
            let values = found.values.iter().map(|value| value.display.as_deref());
            assert!(values.eq([Some("otp"), Some("pkinit")]));
            assert!(found.authenticated && found.complete);
            assert!(name.attribute("urn:mspac:").unwrap().authenticated);
        }
    }
}

#[test]
fn only_the_initiator_has_a_ticket() {
    let realm = realm(|realm| vec![own(realm)]);
    let pair = realm.pair(Flags::MUTUAL);
    for name in [
        pair.initiator.initiator_name(),
        pair.initiator.acceptor_name(),
        pair.acceptor.acceptor_name(),
    ] {
        assert!(name.attribute_names().is_empty(), "{name}");
    }
    assert_eq!(pair.acceptor.initiator_name().text(), b"alice@EXAMPLE.COM");
}

/// A count, `mspac`, the PAC, whether it was verified: numbers and lengths in four octets.
#[test]
fn mits_form_of_attributes_is_read() {
    let realm = realm(|realm| vec![own(realm)]);
    let client = || realm.ticket.client.clone();
    let pac = own(&realm).1;
    let number = |number: usize| (number as u32).to_be_bytes();
    let form = |verified| {
        let head = [&number(1)[..], &number(5), b"mspac", &number(pac.len())];
        [&head.concat()[..], &pac, &number(verified)].concat()
    };
    for verified in [0, 1] {
        let name = composite(client(), &form(verified)).unwrap();
        let found = name.attribute("urn:mspac:").unwrap();
        assert_eq!(found.values[0].value, pac);
        assert_eq!(found.authenticated, verified == 1);
        let realm = name.attribute("urn:ietf:kerberos:nameattr-realm");
        assert!(!realm.unwrap().authenticated, "nobody proved anything");
    }
    let bare = composite(client(), &number(0)).unwrap();
    assert!(bare.attribute("urn:mspac:").is_err());
    let none = composite(client(), &[]).unwrap();
    assert!(none.attribute_names().is_empty());
    let indicators = |names: &[&str]| {
        let mut bytes = [&number(1)[..], &number(25), b"authentication-indicators"].concat();
        bytes.extend(number(names.len()));
        for name in names {
            bytes.extend(number(name.len()));
            bytes.extend(name.as_bytes());
        }
        bytes
    };
    let otp = composite(client(), &indicators(&["otp", "pkinit"])).unwrap();
    let found = otp.attribute("auth-indicators").unwrap();
    assert_eq!((found.values.len(), found.authenticated), (2, true));
    let no_indicators = composite(client(), &indicators(&[])).unwrap();
    assert!(no_indicators.attribute("auth-indicators").is_err());
    let many = indicators(&["x"; 65]);
    assert!(composite(client(), &many).is_err());
    let whole = form(1);
    for cut in 1..whole.len() {
        assert!(composite(client(), &whole[..cut]).is_err(), "cut to {cut}");
    }
    for other in [
        [&number(17)[..], &whole[4..]].concat(),
        [&number(2)[..], &whole[4..]].concat(),
        [&whole[..], b"x"].concat(),
        [&number(1)[..], &number(5), b"other", &whole[13..]].concat(),
    ] {
        assert!(composite(client(), &other).is_err());
    }
}

#[test]
fn other_bytes_of_ours_are_refused_or_mean_what_they_say() {
    let realm = realm(|realm| vec![own(realm), indicator("otp", &realm.ticket.key)]);
    let context = realm.pair(Flags::NONE).acceptor;
    let token = context.initiator_name().export_composite();
    let attributes = Exported::parse_composite(&token).unwrap().attributes;
    let read = |bytes: &[u8]| composite(realm.ticket.client.clone(), bytes);
    for cut in 1..attributes.len() {
        let Ok(name) = read(&attributes[..cut]) else {
            continue;
        };
        // MIT's part is whole in itself, and so is our table without the fields that may be missing.
        let whole = read(attributes).unwrap().attribute("auth-indicators");
        let found = name.attribute("auth-indicators");
        assert!(found.is_err() || found == whole, "cut to {cut}");
    }
    for bit in 0..attributes.len() * 8 {
        let mut other = attributes.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        if let Ok(name) = read(&other) {
            for listed in &name.attribute_names() {
                let found = name.attribute(listed).map(|found| found.values);
                assert!(
                    found.is_ok_and(|values| !values.is_empty()),
                    "{listed}, bit {bit}"
                );
            }
            let _ = name.export_composite();
        }
    }
    assert!(read(&[attributes, &[0]].concat()).is_err());
    let client_info = read(attributes).unwrap();
    let found = client_info.attribute(&format!("urn:mspac:{CLIENT_INFO}"));
    assert!(found.unwrap().authenticated);
}
