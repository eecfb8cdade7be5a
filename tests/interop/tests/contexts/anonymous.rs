//! Initiators of nobody's name (RFC 8062): MIT's KDC gives the tickets, both libraries take them and use them.

use baton::{Acceptor, Flags, Initiator, Name, Oid, Step};
use interop::Vendor;
use interop::peer::{Peer, Stepped};
use interop::realm::{Realm, SERVICES};

use crate::parties::{ALL_FLAGS, TICKETS, environment, keys, tickets};

/// RFC 8062 §3.
const NOBODY: &str = "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS";

fn realm() -> Realm {
    let realm = Realm::start_anonymous(&SERVICES);
    realm.run("/usr/bin/kinit", TICKETS, &["-n"]);
    realm.run("/usr/bin/kvno", TICKETS, &["-q", "e18/localhost"]);
    realm
}

#[test]
fn acceptors_know_that_ours_is_nobody() {
    let realm = realm();
    let env = environment(&realm);
    let (cred, target) = (tickets(&realm), Name::hostbased_service("e18@localhost"));
    for vendor in Vendor::ALL {
        for asked in [Flags::ANON, Flags::NONE] {
            let begun = Initiator::new(&env, &cred, &target).flags(ALL_FLAGS | asked);
            let Step::Continue { token, next } = begun.start().unwrap() else {
                panic!("mutual authentication takes an answer");
            };
            let mut theirs = Peer::start(vendor, &realm, TICKETS);
            theirs.accept(None);
            let Stepped::Done(answer) = theirs.step(&token) else {
                panic!("{vendor:?} refuses a ticket of nobody's name");
            };
            let Step::Done { context: ours, .. } = next.step(&answer).unwrap() else {
                panic!("the answer is the last token");
            };
            assert!(ours.facts().flags.contains(Flags::ANON));
            assert_eq!(ours.initiator_name().name().name_type(), Oid::NT_ANONYMOUS);
            assert_eq!(theirs.inquire().source, NOBODY, "{vendor:?}");
            let (_, _, message) = theirs.unwrap(&ours.wrap(true, b"who is this").unwrap());
            assert_eq!(message, b"who is this");
        }
    }
}

#[test]
fn ours_knows_that_an_initiator_is_nobody() {
    let realm = realm();
    let env = environment(&realm);
    for vendor in Vendor::ALL {
        let mut theirs = Peer::start(vendor, &realm, TICKETS);
        theirs.initiate("e18@localhost", (ALL_FLAGS | Flags::ANON).bits(), None);
        let token = theirs.step(&[]).token();
        let service = keys(&realm);
        let Step::Done { token, context, .. } = Acceptor::new(&env, &service).step(&token).unwrap()
        else {
            panic!("one token is enough");
        };
        theirs.step(&token.unwrap()).token();
        assert!(context.facts().flags.contains(Flags::ANON), "{vendor:?}");
        let name = context.initiator_name();
        assert_eq!(name.name().name_type(), Oid::NT_ANONYMOUS, "{vendor:?}");
        assert_eq!(name.to_string(), NOBODY, "{vendor:?}");
    }
}
