//! Messages that come out of order, again, or altered.

use baton::{Flags, Order};
use interop::Vendor;
use interop::peer::{COMPLETE, DUPLICATE_TOKEN, GAP_TOKEN, OLD_TOKEN, Peer, UNSEQ_TOKEN};

use crate::parties::{ALL_FLAGS, Case, Pair, establish, establish_theirs};

/// The supplementary status that stands for an order (RFC 2743 §1.2.3).
fn bit(order: Order) -> u32 {
    match order {
        Order::InOrder => COMPLETE,
        Order::Duplicate => DUPLICATE_TOKEN,
        Order::Old => OLD_TOKEN,
        Order::Unsequenced => UNSEQ_TOKEN,
        Order::Gap => GAP_TOKEN,
    }
}

/// Which message arrives, and what must be said of it, under which detections.
type Arrivals = (Flags, &'static [(usize, Order)]);

const ARRIVALS: [Arrivals; 4] = [
    (
        ALL_FLAGS,
        &[
            (0, Order::InOrder),
            (0, Order::Duplicate),
            (2, Order::Gap),
            (1, Order::Unsequenced),
            (1, Order::Duplicate),
            (2, Order::Duplicate),
            (3, Order::InOrder),
        ],
    ),
    (
        Flags::from_bits(2 | 4 | 16 | 32),
        &[
            (0, Order::InOrder),
            (0, Order::Duplicate),
            (2, Order::InOrder),
            (1, Order::InOrder),
            (1, Order::Duplicate),
            (3, Order::InOrder),
        ],
    ),
    (
        Flags::from_bits(2 | 8 | 16 | 32),
        &[
            (0, Order::InOrder),
            (2, Order::Gap),
            (1, Order::Unsequenced),
            (3, Order::InOrder),
        ],
    ),
    (
        Flags::from_bits(2 | 16 | 32),
        &[
            (0, Order::InOrder),
            (0, Order::InOrder),
            (2, Order::InOrder),
            (1, Order::InOrder),
        ],
    ),
];

#[test]
fn ours_tells_the_order_of_their_messages() {
    for case in Case::all() {
        for (flags, arrivals) in ARRIVALS {
            let case = Case { flags, ..case };
            let Pair { ours, mut theirs } = establish(case);
            let tokens: Vec<_> = (0..4).map(|at| theirs.wrap(true, &[at])).collect();
            for (at, order) in arrivals {
                let message = ours.unwrap(&tokens[*at]).unwrap();
                assert_eq!(message.data, [*at as u8], "{case:?}");
                assert_eq!(
                    message.order, *order,
                    "{case:?}: message {at} of {arrivals:?}"
                );
            }
        }
    }
}

/// The statuses that a peer gives as the tokens arrive.
fn told(receiver: &mut Peer, tokens: &[Vec<u8>], arrivals: &[(usize, Order)]) -> Vec<u32> {
    let arrive = |(at, _): &(usize, Order)| receiver.unwrap(&tokens[*at]).0;
    arrivals.iter().map(arrive).collect()
}

/// Theirs cannot tell our messages from its own library's: the same comes, goes missing and comes again. And what MIT's
/// library tells, whose window is deeper than Heimdal's, is what ours tells.
#[test]
fn theirs_tells_the_same_of_ours() {
    for case in Case::all() {
        for (flags, arrivals) in ARRIVALS {
            let case = Case { flags, ..case };
            let Pair { ours, mut theirs } = establish(case);
            let tokens: Vec<_> = (0..4).map(|at| ours.wrap(true, &[at]).unwrap()).collect();
            let of_ours = told(&mut theirs, &tokens, arrivals);
            let (mut sender, mut receiver) = establish_theirs(case);
            let tokens: Vec<_> = (0..4).map(|at| sender.wrap(true, &[at])).collect();
            let of_theirs = told(&mut receiver, &tokens, arrivals);
            assert_eq!(of_ours, of_theirs, "{case:?}: {arrivals:?}");
            if case.vendor == Vendor::Mit {
                let of_ours_by_ours: Vec<_> =
                    arrivals.iter().map(|(_, order)| bit(*order)).collect();
                assert_eq!(of_ours, of_ours_by_ours, "{case:?}: {arrivals:?}");
            }
        }
    }
}

/// Signatures count in the same sequence as wrapped messages.
#[test]
fn signatures_have_an_order_too() {
    for case in Case::all() {
        let Pair { ours, mut theirs } = establish(case);
        let (first, second, third) = (theirs.mic(b"1"), theirs.wrap(false, b"2"), theirs.mic(b"3"));
        assert_eq!(ours.verify_mic(b"1", &first).unwrap(), Order::InOrder);
        assert_eq!(ours.verify_mic(b"3", &third).unwrap(), Order::Gap);
        assert_eq!(ours.unwrap(&second).unwrap().order, Order::Unsequenced);
        assert_eq!(ours.verify_mic(b"1", &first).unwrap(), Order::Duplicate);

        let (first, second, third) = (
            ours.get_mic(b"1").unwrap(),
            ours.wrap(false, b"2").unwrap(),
            ours.get_mic(b"3").unwrap(),
        );
        assert_eq!(theirs.verify(b"1", &first), COMPLETE);
        assert_eq!(theirs.verify(b"3", &third), GAP_TOKEN);
        if case.vendor == Vendor::Mit {
            assert_eq!(theirs.unwrap(&second).0, UNSEQ_TOKEN);
            assert_eq!(theirs.verify(b"1", &first), DUPLICATE_TOKEN);
        }
    }
}

/// `token` with one bit of each byte flipped, a copy a byte, and cut at some lengths.
fn alterations(token: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..token.len()).map(|at| {
        let mut other = token.to_vec();
        other[at] ^= 1 << (at % 8);
        other
    });
    let lengths = [0, 1, 15, 16, 17, 28, 32, token.len() - 1];
    let shorter = lengths.into_iter().filter(|length| *length < token.len());
    flipped.chain(shorter.map(|length| token[..length].to_vec()))
}

/// Nothing altered is believed by either, and none of it disturbs the context: the true message still arrives in order.
#[test]
fn altered_messages_are_refused_and_disturb_nothing() {
    for case in Case::all() {
        let Pair { ours, mut theirs } = establish(case);
        for confidential in [true, false] {
            let token = theirs.wrap(confidential, b"to ours");
            for (at, other) in alterations(&token).enumerate() {
                assert!(
                    ours.unwrap(&other).is_err(),
                    "{case:?}: alteration {at} of theirs"
                );
            }
            let message = ours.unwrap(&token).unwrap();
            assert_eq!(
                (message.data.as_slice(), message.order),
                (&b"to ours"[..], Order::InOrder)
            );

            let token = ours.wrap(confidential, b"to theirs").unwrap();
            for (at, other) in alterations(&token).enumerate() {
                let (major, _, message) = theirs.unwrap(&other);
                assert_ne!(major, COMPLETE, "{case:?}: alteration {at} of ours");
                assert_eq!(message, b"", "{case:?}: alteration {at} of ours");
            }
            // Heimdal's window moves before it verifies, so there the true message comes too late.
            if case.vendor == Vendor::Mit {
                let received = theirs.unwrap(&token);
                assert_eq!(
                    received,
                    (COMPLETE, confidential, b"to theirs".to_vec()),
                    "{case:?}"
                );
            }
        }
        let token = theirs.mic(b"signed");
        for (at, other) in alterations(&token).enumerate() {
            assert!(
                ours.verify_mic(b"signed", &other).is_err(),
                "{case:?}: alteration {at}"
            );
        }
        assert_eq!(ours.verify_mic(b"signed", &token).unwrap(), Order::InOrder);
    }
}
