//! Per-message tokens (RFC 4121 §4.2).

use gss_core::error::{Error as GssError, Major};
use gss_core::flags::Flags;
use gss_core::mechanism::SecurityContext;
use gss_core::sequence::Order;

use super::buffers::Both;
use super::realm::{
    ALL, Pair, TestRealm, enctypes, one_bit_flips, protected_bit_flips, signed, wrapped,
};
use crate::error::{Error, Malformed, PeerMisbehaved};
use crate::token::HEADER;

fn unwrapped(
    context: &dyn SecurityContext,
    token: &[u8],
) -> Result<(Vec<u8>, Order, bool), GssError> {
    let mut message = b"before ".to_vec();
    match context.unwrap(token, &mut message) {
        Ok(unwrapped) => {
            assert!(message.starts_with(b"before "));
            Ok((
                message[7..].to_vec(),
                unwrapped.order,
                unwrapped.confidential,
            ))
        }
        Err(error) => {
            assert_eq!(message, b"before ", "an error leaves the output as it was");
            Err(error)
        }
    }
}

fn cause(error: GssError) -> Error {
    let major = error.major();
    match error.cause::<Error>() {
        Some(Error::Malformed(found)) => {
            assert_eq!(major, Major::DefectiveToken);
            (*found).into()
        }
        Some(Error::PeerMisbehaved(found)) => {
            let expected = match found {
                PeerMisbehaved::HeaderCopy => Major::DefectiveToken,
                _ => Major::BadMic,
            };
            assert_eq!(major, expected);
            (*found).into()
        }
        other => panic!("{other:?}"),
    }
}

fn directions(pair: &Pair) -> [(&dyn SecurityContext, &dyn SecurityContext); 2] {
    [
        (&*pair.initiator, &*pair.acceptor),
        (&*pair.acceptor, &*pair.initiator),
    ]
}

fn pairs() -> impl Iterator<Item = (String, Pair)> {
    enctypes().flat_map(|enctype| {
        [Flags::MUTUAL, Flags::NONE].map(|mutual| {
            let realm = TestRealm::new(enctype);
            let flags = Flags::REPLAY | Flags::SEQUENCE | mutual;
            (format!("{} {mutual:?}", enctype.name()), realm.pair(flags))
        })
    })
}

/// These, and contexts whose tokens are those of RFC 1964.
fn pairs_of_both_forms() -> impl Iterator<Item = (String, Pair)> {
    pairs().chain(Both::older().map(|both| {
        let pair = Pair {
            initiator: Box::new(both.initiator),
            acceptor: Box::new(both.acceptor),
        };
        (both.enctype.name().to_owned(), pair)
    }))
}

#[test]
fn messages_of_any_length_arrive_both_ways() {
    for (name, pair) in pairs_of_both_forms() {
        for (from, to) in directions(&pair) {
            for length in (0..66).chain([1000, 16 * 1024, 100_000]) {
                let message = vec![0x5a; length];
                for confidential in [true, false] {
                    let token = wrapped(from, confidential, &message);
                    let expected = (message.clone(), Order::InOrder, confidential);
                    assert_eq!(unwrapped(to, &token).unwrap(), expected, "{name} {length}");
                    let visible = token.windows(length.max(8)).any(|part| part == message);
                    assert_eq!(visible, !confidential && length >= 8, "{name} {length}");
                }
                let token = signed(from, &message);
                assert_eq!(to.verify_mic(&message, &token).unwrap(), Order::InOrder);
            }
        }
    }
}

#[test]
fn a_token_is_laid_out_as_the_standard_says() {
    for (name, pair) in pairs() {
        let mutual = pair.initiator.facts().flags.contains(Flags::MUTUAL);
        let subkey = if mutual { 4 } else { 0 };
        for (from, by_acceptor) in [(&pair.initiator, 0), (&pair.acceptor, 1)] {
            let flags = by_acceptor | subkey;
            let sealed = wrapped(&**from, true, b"message");
            assert_eq!(sealed[..8], [5, 4, flags | 2, 0xff, 0, 0, 0, 0], "{name}");
            let plain = wrapped(&**from, false, b"message");
            let ec = (plain.len() - HEADER - 7) as u8;
            assert_eq!(plain[..8], [5, 4, flags, 0xff, 0, ec, 0, 0], "{name}");
            assert_eq!(&plain[HEADER..HEADER + 7], b"message", "{name}");
            let mic = signed(&**from, b"message");
            assert_eq!(
                mic[..8],
                [4, 4, flags, 0xff, 0xff, 0xff, 0xff, 0xff],
                "{name}"
            );
            assert_eq!(mic.len(), HEADER + usize::from(ec), "{name}");
            let numbers = [&sealed, &plain, &mic]
                .map(|token| u64::from_be_bytes(token[8..16].try_into().unwrap()));
            assert_eq!(numbers, [0, 1, 2].map(|n| numbers[0] + n), "{name}");
            assert!(numbers[0] < 1 << 30, "a first number has 30 bits");
        }
    }
}

#[test]
fn wrapping_allocates_once() {
    let pair = TestRealm::new(enctypes().next().unwrap()).pair(ALL);
    for confidential in [true, false] {
        let token = wrapped(&*pair.initiator, confidential, &[7; 5000]);
        let mut out = Vec::with_capacity(3 + token.len());
        out.extend_from_slice(b"abc");
        let place = out.as_ptr();
        pair.initiator
            .wrap(confidential, &[7; 5000], &mut out)
            .unwrap();
        assert_eq!((out.as_ptr(), out.len()), (place, 3 + token.len()));
        assert_eq!(&out[..3], b"abc");
    }
}

#[test]
fn the_size_limit_is_exact() {
    for (name, pair) in pairs_of_both_forms() {
        for confidential in [true, false] {
            let empty = wrapped(&*pair.initiator, confidential, b"").len() as u32;
            for size in (0..=empty + 70).chain([4096, 65536]) {
                let limit = pair.initiator.wrap_size_limit(confidential, size);
                if size < empty {
                    assert_eq!(limit, 0, "{name} {size}");
                    continue;
                }
                let fits = wrapped(&*pair.initiator, confidential, &vec![0; limit as usize]);
                let more = wrapped(&*pair.initiator, confidential, &vec![0; limit as usize + 1]);
                assert!(fits.len() as u32 <= size, "{name} {size}");
                assert!(more.len() as u32 > size, "{name} {size}");
            }
        }
        assert_eq!(pair.initiator.wrap_size_limit(true, 0), 0);
        assert!(pair.initiator.wrap_size_limit(true, u32::MAX) > u32::MAX - 100);
    }
}

/// Rotates what follows the header to the right, as a sender does (RFC 4121 §4.2.5).
fn rotated(token: &[u8], rrc: u16) -> Vec<u8> {
    let mut token = token.to_vec();
    token[6..8].copy_from_slice(&rrc.to_be_bytes());
    let body = &mut token[HEADER..];
    body.rotate_right(usize::from(rrc) % body.len());
    token
}

#[test]
fn every_rotation_is_undone() {
    for (name, pair) in pairs() {
        for confidential in [true, false] {
            for message in [&b""[..], b"m", b"a message of some length"] {
                let length = wrapped(&*pair.acceptor, confidential, message).len() as u16;
                let windows_and_dce = [28, 12 + 16, 16 + 12, 44];
                let rotations = (0..2 * length).chain(windows_and_dce).chain([u16::MAX]);
                for rrc in rotations {
                    let token = rotated(&wrapped(&*pair.acceptor, confidential, message), rrc);
                    let found = unwrapped(&*pair.initiator, &token).unwrap().0;
                    assert_eq!(found, message, "{name} {confidential} RRC {rrc}");
                }
            }
        }
    }
}

#[test]
fn a_sealed_token_stands_for_itself_alone() {
    altered(true, |context, message| wrapped(context, true, message));
}

#[test]
fn a_plain_token_stands_for_itself_alone() {
    altered(false, |context, message| wrapped(context, false, message));
}

/// Each bit flipped, each length cut and a byte added: an error, the window as it was, and the true token still good.
fn altered(encrypted: bool, make: fn(&dyn SecurityContext, &[u8]) -> Vec<u8>) {
    for (name, pair) in pairs_of_both_forms() {
        for (from, to) in directions(&pair) {
            let token = make(from, b"attack at dawn");
            for (bit, other) in protected_bit_flips(&name, encrypted, &token) {
                // RRC is not authenticated (RFC 4121 §4.2.5), but a wrong one scrambles the rest.
                assert!(unwrapped(to, &other).is_err(), "{name} bit {bit}");
                assert!(
                    to.verify_mic(b"attack at dawn", &other).is_err(),
                    "{name} bit {bit}"
                );
            }
            for cut in 0..token.len() {
                assert!(unwrapped(to, &token[..cut]).is_err(), "{name} cut to {cut}");
            }
            let longer = [&token[..], &[0]].concat();
            assert!(unwrapped(to, &longer).is_err(), "{name}");
            let (message, order, _) = unwrapped(to, &token).unwrap();
            assert_eq!(
                (&message[..], order),
                (&b"attack at dawn"[..], Order::InOrder)
            );
        }
    }
}

#[test]
fn a_mic_stands_for_its_message_alone() {
    for (name, pair) in pairs_of_both_forms() {
        for (from, to) in directions(&pair) {
            let token = signed(from, b"attack at dawn");
            for (bit, other) in protected_bit_flips(&name, false, &token) {
                assert!(
                    to.verify_mic(b"attack at dawn", &other).is_err(),
                    "{name} bit {bit}"
                );
            }
            for cut in 0..token.len() {
                assert!(
                    to.verify_mic(b"attack at dawn", &token[..cut]).is_err(),
                    "{name} {cut}"
                );
            }
            for (bit, message) in one_bit_flips(b"attack at dawn") {
                let error = to.verify_mic(&message, &token).unwrap_err();
                assert!(
                    matches!(
                        cause(error),
                        Error::PeerMisbehaved(PeerMisbehaved::Integrity)
                    ),
                    "{name} bit {bit}"
                );
            }
            assert!(unwrapped(to, &token).is_err(), "{name}");
            assert_eq!(
                to.verify_mic(b"attack at dawn", &token).unwrap(),
                Order::InOrder
            );
        }
    }
}

#[test]
fn each_fault_of_a_header_has_its_name() {
    let pair = TestRealm::new(enctypes().next().unwrap()).pair(ALL);
    let sealed = wrapped(&*pair.initiator, true, b"message");
    let plain = wrapped(&*pair.initiator, false, b"message");
    let mic = signed(&*pair.initiator, b"message");
    let with = |token: &[u8], at: usize, value: u8| {
        let mut token = token.to_vec();
        token[at] = value;
        token
    };
    let named = |token: &[u8]| cause(unwrapped(&*pair.acceptor, token).unwrap_err()).to_string();
    let misbehaved = |fault: PeerMisbehaved| fault.to_string();
    let malformed = |fault: Malformed| fault.to_string();
    assert_eq!(named(&[]), malformed(Malformed::Short));
    assert_eq!(named(&sealed[..15]), malformed(Malformed::Short));
    assert_eq!(named(&plain[..20]), malformed(Malformed::Short));
    assert_eq!(named(&mic), malformed(Malformed::TokenId));
    assert_eq!(named(&with(&sealed, 3, 0)), malformed(Malformed::Filler));
    assert_eq!(
        named(&with(&plain, 5, 11)),
        malformed(Malformed::ExtraCount)
    );
    assert_eq!(named(&with(&plain, 5, 0)), malformed(Malformed::ExtraCount));
    assert_eq!(
        named(&with(&sealed, 2, 7)),
        misbehaved(PeerMisbehaved::Reflected)
    );
    assert_eq!(
        named(&with(&sealed, 20, 7)),
        misbehaved(PeerMisbehaved::Integrity)
    );
    assert_eq!(
        named(&with(&sealed, 15, 0)),
        misbehaved(PeerMisbehaved::HeaderCopy)
    );
    let verified =
        |token: &[u8]| cause(pair.acceptor.verify_mic(b"message", token).unwrap_err()).to_string();
    assert_eq!(verified(&mic[..15]), malformed(Malformed::Short));
    assert_eq!(verified(&sealed), malformed(Malformed::TokenId));
    assert_eq!(verified(&with(&mic, 7, 0)), malformed(Malformed::Filler));
    assert_eq!(verified(&with(&mic, 2, 6)), malformed(Malformed::SealedMic));
    assert_eq!(
        verified(&with(&mic, 2, 5)),
        misbehaved(PeerMisbehaved::Reflected)
    );
    assert_eq!(verified(&mic[..20]), misbehaved(PeerMisbehaved::Integrity));
    let alone = TestRealm::new(enctypes().next().unwrap()).pair(Flags::NONE);
    let error = unwrapped(&*alone.acceptor, &sealed).unwrap_err();
    assert!(matches!(
        cause(error),
        Error::PeerMisbehaved(PeerMisbehaved::NoAcceptorSubkey)
    ));
}

#[test]
fn an_own_token_sent_back_is_refused() {
    for (name, pair) in pairs() {
        for (from, _) in directions(&pair) {
            for confidential in [true, false] {
                let token = wrapped(from, confidential, b"message");
                let error = cause(unwrapped(from, &token).unwrap_err());
                assert_eq!(
                    error.to_string(),
                    PeerMisbehaved::Reflected.to_string(),
                    "{name}"
                );
                // Nor does it pass with the direction's bit turned: the keys differ too.
                let mut turned = token;
                turned[2] ^= 1;
                assert!(unwrapped(from, &turned).is_err(), "{name}");
            }
        }
    }
}

#[test]
fn trap_5_order_is_information_and_the_message_arrives() {
    for (name, pair) in pairs_of_both_forms() {
        for (from, to) in directions(&pair) {
            let tokens: Vec<_> = (0..100_u8)
                .map(|n| wrapped(from, n % 2 == 0, &[n]))
                .collect();
            for (number, order) in [
                (0, Order::InOrder),
                (0, Order::Duplicate),
                (2, Order::Gap),
                (1, Order::Unsequenced),
                (1, Order::Duplicate),
                (2, Order::Duplicate),
                (3, Order::InOrder),
                (99, Order::Gap),
                (98, Order::Unsequenced),
                (5, Order::Unsequenced),
            ] {
                let (message, found, _) = unwrapped(to, &tokens[number]).unwrap();
                assert_eq!(
                    (message, found),
                    (vec![number as u8], order),
                    "{name} {number}"
                );
            }
        }
    }
}

/// Whoever makes up a token with a number from afar makes no true one late.
#[test]
fn trap_5_the_window_moves_after_integrity_alone() {
    for (name, pair) in pairs_of_both_forms() {
        for (from, to) in directions(&pair) {
            let mut sealed: Vec<_> = (0..100_u8)
                .map(|n| wrapped(from, n % 2 == 0, &[n]))
                .collect();
            for forged in &mut sealed[98..] {
                *forged.last_mut().unwrap() ^= 1;
                assert!(unwrapped(to, forged).is_err(), "{name}");
            }
            let mic = signed(from, b"another");
            assert!(to.verify_mic(b"message", &mic).is_err(), "{name}");
            for token in &sealed[..3] {
                let (_, order, _) = unwrapped(to, token).unwrap();
                assert_eq!(order, Order::InOrder, "{name}");
            }
        }
    }
}

#[test]
fn what_was_not_asked_for_is_not_noticed() {
    let realm = TestRealm::new(enctypes().next().unwrap());
    for (flags, again, late) in [
        (Flags::NONE, Order::InOrder, Order::InOrder),
        (Flags::REPLAY, Order::Duplicate, Order::InOrder),
        (Flags::SEQUENCE, Order::Unsequenced, Order::Unsequenced),
    ] {
        let pair = realm.pair(flags | Flags::MUTUAL);
        let tokens = [1, 2, 3].map(|n| signed(&*pair.initiator, &[n]));
        let note = |n: usize| {
            pair.acceptor
                .verify_mic(&[n as u8], &tokens[n - 1])
                .unwrap()
        };
        assert_eq!(note(1), Order::InOrder, "{flags:?}");
        assert_eq!(note(1), again, "{flags:?}");
        let _ = note(3);
        assert_eq!(note(2), late, "{flags:?}");
    }
}

#[test]
fn messages_go_on_after_the_context_expired() {
    let realm = TestRealm::new(enctypes().next().unwrap());
    let pair = realm.pair(ALL);
    realm.clock.advance(std::time::Duration::from_secs(1 << 30));
    let token = wrapped(&*pair.initiator, true, b"still here");
    assert_eq!(unwrapped(&*pair.acceptor, &token).unwrap().0, b"still here");
}
