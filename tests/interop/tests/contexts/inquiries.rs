//! What a context tells beside its messages, and that theirs tells the same.

use baton::{Flags, Major, Oid, PrfKey};
use interop::Vendor;
use interop::peer::{COMPLETE, DEFECTIVE_TOKEN};

use crate::parties::{ALL_FLAGS, Case, Pair, establish};

/// Both keys, several blocks and parts of one, in each enctype; without an acceptor's subkey too.
#[test]
fn pseudo_random_bytes_are_the_same_on_both_sides() {
    for case in Case::all() {
        for flags in [ALL_FLAGS, ALL_FLAGS.without(Flags::MUTUAL)] {
            let Pair { ours, mut theirs } = establish(Case { flags, ..case });
            // Heimdal's full key is an acceptor's subkey and nothing else.
            let none = case.vendor == Vendor::Heimdal && !flags.contains(Flags::MUTUAL);
            for (key, partial) in [(PrfKey::Full, false), (PrfKey::Partial, true)] {
                if none && !partial {
                    assert_ne!(theirs.prf(partial, 16, b"").0, COMPLETE, "{case:?}");
                    continue;
                }
                for (input, length) in [(&b"input"[..], 100), (b"", 16), (b"input", 1)] {
                    let here = ours.pseudo_random(key, input, length).unwrap();
                    let there = theirs.prf(partial, length, input);
                    assert_eq!(
                        (COMPLETE, here.to_vec()),
                        there,
                        "{case:?} {key:?} {length}"
                    );
                }
            }
        }
    }
}

/// 1.2.840.113554.1.2.2.5, and what follows.
fn oid(rest: &[u8]) -> Vec<u8> {
    [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 5], rest].concat()
}

/// MIT's library answers each OID in the form in which ours does; Heimdal's has the session key too.
#[test]
fn facts_by_oid_are_the_same_on_both_sides() {
    for case in Case::all() {
        let Pair { ours, mut theirs } = establish(case);
        let told = |rest: &[u8]| {
            let oid = Oid::from_bytes(&oid(rest)).unwrap();
            let found = ours.inquire_by_oid(&oid).unwrap();
            let found: Vec<_> = found.iter().map(|one| one.to_vec()).collect();
            (COMPLETE, found)
        };
        let (major, found) = theirs.inquire_by_oid(&oid(&[5]));
        let (_, expected) = told(&[5]);
        // Heimdal's older library does not tell the key's type.
        assert_eq!((major, &found[0]), (COMPLETE, &expected[0]), "{case:?}");
        if case.vendor == Vendor::Mit {
            assert_eq!(found, expected, "{case:?}");
        }
        let key = ours.session_key().unwrap();
        assert_eq!(key.enctype, case.enctype().number(), "{case:?}");
        if case.vendor == Vendor::Heimdal {
            continue;
        }
        for rest in [&[1][..], &[12]] {
            assert_eq!(
                theirs.inquire_by_oid(&oid(rest)),
                told(rest),
                "{case:?} {rest:?}"
            );
        }
        // Old libraries have no strength to tell.
        let (major, found) = theirs.inquire_by_oid(&oid(&[15]));
        if major == COMPLETE {
            assert_eq!((major, found), told(&[15]), "{case:?}");
        }
        assert_ne!(theirs.inquire_by_oid(&oid(&[127])).0, COMPLETE);
        let unknown = Oid::from_bytes(&oid(&[127])).unwrap();
        ours.inquire_by_oid(&unknown).unwrap_err();
    }
}

/// RFC 4121 has no token that ends a context: MIT's library refuses whatever comes, as ours does, and goes on.
#[test]
fn no_token_ends_a_context() {
    for case in Case::each_way() {
        let Pair { ours, mut theirs } = establish(case);
        let mic = ours.get_mic(b"").unwrap();
        let tokens = [mic.clone(), theirs.mic(b""), b"\x01\x02".to_vec()];
        for token in tokens {
            let error = ours.process_token(&token).unwrap_err();
            assert_eq!(error.major(), Major::DefectiveToken, "{case:?}");
            if case.vendor == Vendor::Mit {
                assert_eq!(theirs.process(&token), DEFECTIVE_TOKEN, "{case:?}");
            }
        }
        assert_eq!(theirs.verify(b"", &mic), COMPLETE, "{case:?}");
        let token = ours.wrap(true, b"message").unwrap();
        let (_, _, message) = theirs.unwrap(&token);
        assert_eq!(message, b"message", "{case:?}");
        ours.unwrap(&theirs.wrap(true, b"message")).unwrap();
    }
}
