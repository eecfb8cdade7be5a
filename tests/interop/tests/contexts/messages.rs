//! Wrapped and signed messages both ways, and the limits of their size.

use baton::Order;
use baton::kerberos::Enctype;
use interop::peer::{BAD_SIG, COMPLETE};

use crate::parties::{Case, Pair, establish};

const SIZES: [usize; 7] = [0, 1, 15, 16, 17, 100, 65_536];

fn message(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 % 251) as u8).collect()
}

/// RFC 4121 §4.2.4: without confidentiality the header, the message and a checksum; with it the header, and
/// encrypted (with confounder and checksum) the message and the header's copy.
fn token_length(enctype: &Enctype, confidential: bool, size: usize) -> usize {
    if confidential {
        16 + enctype.overhead() + size + 16
    } else {
        16 + size + enctype.checksum_length()
    }
}

/// The lengths of the tokens show that all of this happens under the enctype in question.
#[test]
fn wrapped_both_ways() {
    for case in Case::all() {
        let Pair { ours, mut theirs } = establish(case);
        for size in SIZES {
            for confidential in [true, false] {
                let what = format!("{case:?}: {size} bytes, {confidential}");
                let (sent, length) = (
                    message(size),
                    token_length(case.enctype(), confidential, size),
                );
                let token = ours.wrap(confidential, &sent).unwrap();
                assert_eq!(token.len(), length, "{what}: ours");
                assert_eq!(
                    theirs.unwrap(&token),
                    (COMPLETE, confidential, sent.clone()),
                    "{what}"
                );

                let token = theirs.wrap(confidential, &sent);
                assert_eq!(token.len(), length, "{what}: theirs");
                let received = ours
                    .unwrap(&token)
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(received.data, sent, "{what}");
                assert_eq!(
                    (received.confidential, received.order),
                    (confidential, Order::InOrder),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn signed_both_ways() {
    for case in Case::all() {
        let Pair { ours, mut theirs } = establish(case);
        for size in SIZES {
            let (what, sent) = (format!("{case:?}: {size} bytes"), message(size));
            let mut other = sent.clone();
            other.push(0);
            let token = ours.get_mic(&sent).unwrap();
            assert_eq!(token.len(), 16 + case.enctype().checksum_length(), "{what}");
            assert_eq!(theirs.verify(&sent, &token), COMPLETE, "{what}");
            let token = theirs.mic(&sent);
            assert!(ours.verify_mic(&other, &token).is_err(), "{what}");
            assert_eq!(
                ours.verify_mic(&sent, &token).unwrap(),
                Order::InOrder,
                "{what}"
            );
        }
        let token = ours.get_mic(b"one").unwrap();
        assert_eq!(theirs.verify(b"other", &token), BAD_SIG, "{case:?}");
    }
}

/// The two say the same limit, and it is one: the longest message fits, one byte more does not.
#[test]
fn size_limits_agree() {
    let sizes = [
        0,
        1,
        40,
        59,
        60,
        61,
        62,
        76,
        77,
        84,
        85,
        86,
        100,
        1024,
        65_536,
        1 << 20,
        u32::MAX,
    ];
    for case in Case::all() {
        let Pair { ours, mut theirs } = establish(case);
        for confidential in [true, false] {
            for size in sizes {
                let limit = ours.wrap_size_limit(confidential, size).unwrap();
                let what = format!("{case:?}: {size}, {confidential}");
                assert_eq!(limit, theirs.limit(confidential, size), "{what}");
                if limit > 0 && size < 100_000 {
                    let fits = |limit: u32| {
                        let token = ours.wrap(confidential, &message(limit as usize)).unwrap();
                        token.len() <= size as usize
                    };
                    assert!(fits(limit) && !fits(limit + 1), "{what}");
                }
            }
        }
    }
}
