//! Handshakes that succeed, and what both sides then know of the context.

use std::time::Duration;

use baton::Flags;
use baton::kerberos::Enctype;
use interop::Vendor;
use interop::peer::{COMPLETE, GAP_TOKEN};
use interop::realm::{CLIENT, REALM, SERVICES};

use crate::parties::{ALL_FLAGS, Case, Pair, We, environment_with, establish, establish_in, realm};

/// What both libraries must see alike.
const COMPARED: Flags = ALL_FLAGS;

fn assert_same_facts(case: Case, Pair { ours, theirs }: &mut Pair) {
    let (facts, inquired) = (ours.facts(), theirs.inquire());
    let client = format!("{CLIENT}@{REALM}");
    let server = format!("{}/localhost@{REALM}", case.service);
    assert_eq!(facts.initiator.to_string(), client, "{case:?}");
    assert_eq!(facts.acceptor.to_string(), server, "{case:?}");
    assert_eq!(inquired.source, client, "{case:?}");
    assert_eq!(inquired.target, server, "{case:?}");
    assert_eq!(facts.locally_initiated, case.we == We::Initiate);
    let theirs = Flags::from_bits(inquired.flags);
    assert_eq!(facts.flags & COMPARED, theirs & COMPARED, "{case:?}");
    assert_eq!(facts.flags & COMPARED, case.flags, "{case:?}");
    assert!(facts.flags.contains(Flags::TRANS | Flags::PROT_READY));
}

#[test]
fn each_side_of_each_enctype_with_and_without_mutual_authentication() {
    for case in Case::all() {
        for flags in [ALL_FLAGS, ALL_FLAGS.without(Flags::MUTUAL)] {
            let case = Case { flags, ..case };
            let mut pair = establish(case);
            assert_same_facts(case, &mut pair);
            assert_they_talk(case, &mut pair);
        }
    }
}

fn assert_they_talk(case: Case, Pair { ours, theirs }: &mut Pair) {
    let token = ours.wrap(true, b"from ours").unwrap();
    let (major, _, message) = theirs.unwrap(&token);
    if case.vendor == Vendor::Heimdal
        && case.we == We::Accept
        && !case.flags.contains(Flags::MUTUAL)
    {
        // Heimdal's initiator expects an acceptor's numbers to begin at 0 then; its acceptor begins at the initiator's.
        assert_eq!(major, GAP_TOKEN, "{case:?}");
    } else {
        assert_eq!(
            (major, message),
            (COMPLETE, b"from ours".to_vec()),
            "{case:?}"
        );
    }
    let message = ours.unwrap(&theirs.wrap(true, b"from theirs")).unwrap();
    assert_eq!(message.data, b"from theirs", "{case:?}");
}

/// Replay and sequence detection can each be left out. (Both libraries always grant confidentiality and integrity.)
#[test]
fn each_combination_of_detections_is_agreed_on() {
    for case in Case::each_way() {
        for detections in [
            Flags::NONE,
            Flags::REPLAY,
            Flags::SEQUENCE,
            Flags::REPLAY | Flags::SEQUENCE,
        ] {
            for mutual in [Flags::NONE, Flags::MUTUAL] {
                let flags = detections | mutual | Flags::CONF | Flags::INTEG;
                let case = Case { flags, ..case };
                assert_same_facts(case, &mut establish(case));
            }
        }
    }
}

/// Both count from the same ticket; an acceptor's context outlives it by the clock skew.
#[test]
fn lifetimes_agree() {
    let skew = Duration::from_secs(300);
    for case in Case::each_way() {
        let mut pair = establish(case);
        let ours = pair.ours.lifetime().unwrap();
        let theirs = Duration::from_secs(pair.theirs.inquire().lifetime.into());
        let expected = match case.we {
            We::Initiate => ours,
            We::Accept => ours - skew,
        };
        let day = Duration::from_secs(86_400);
        assert!(
            expected <= day && expected > day - Duration::from_secs(600),
            "{case:?}: {ours:?}"
        );
        // MIT's acceptor adds the skew as ours does, Heimdal's does not.
        let distance = theirs.abs_diff(expected);
        let few = Duration::from_secs(5);
        assert!(
            distance < few || distance.abs_diff(skew) < few,
            "{case:?}: {ours:?} {theirs:?}"
        );
    }
}

/// RFC 4537. MIT's prefers 17 before 18, 19 and 20.
#[test]
fn the_enctype_of_the_acceptors_subkey_is_agreed_on() {
    let names = SERVICES.map(|(_, _, name)| name);
    for case in Case::each_way() {
        let case = Case {
            service: "e20",
            ..case
        };
        for (ours, if_we_initiate, if_we_accept) in [
            (&[20][..], 20, 20),
            (&[19, 20], 19, 19),
            (&[19, 18, 20], 18, 19),
            (&[20, 19], 20, 20),
        ] {
            let favourite = ours[0] as i32;
            let named: Vec<_> = ours.iter().map(|number| names[number - 17]).collect();
            let env = environment_with(realm(case.vendor), &named);
            let Pair { ours, mut theirs } = establish_in(&env, case);
            let chosen = match (case.we, case.vendor) {
                (We::Accept, _) => if_we_accept,
                (We::Initiate, Vendor::Mit) => if_we_initiate,
                // Heimdal's takes the initiator's favourite.
                (We::Initiate, Vendor::Heimdal) => favourite,
            };
            let length = 16 + Enctype::from_number(chosen).unwrap().checksum_length();
            assert_eq!(ours.session_key().unwrap().enctype, chosen, "{case:?}");
            let token = theirs.mic(b"message");
            assert_eq!(token.len(), length, "{case:?} {named:?}");
            ours.verify_mic(b"message", &token).unwrap();
            let token = ours.get_mic(b"message").unwrap();
            assert_eq!(token.len(), length, "{case:?} {named:?}");
            assert_eq!(theirs.verify(b"message", &token), COMPLETE);
        }
    }
}
