//! Messages in several buffers (IOV), with associated data (AEAD) and in place, both ways.

use baton::{Context, IoVec, Order};
use interop::Vendor;
use interop::peer::{BAD_SIG, COMPLETE, DEFECTIVE_TOKEN, Peer, UNAVAILABLE};

use crate::dce::{self, DCE};
use crate::parties::{Case, Pair, establish};

/// Buffers by the letters of `peers/messages_peer.c`.
pub(crate) type Buffers<'a> = &'a [(char, &'a [u8])];

/// Data and what is sign-only, as they lie between a header and a trailer.
pub(crate) const SHAPES: [Buffers<'_>; 6] = [
    &[('D', b"attack at dawn")],
    &[('D', b"one block, 16 by")],
    &[
        ('S', b"to bob"),
        ('D', b"attack at dawn, from the left side, and from behind"),
    ],
    &[
        ('D', b"attack at dawn"),
        ('S', b"this is signed and stays in sight"),
    ],
    &[
        ('S', b"a"),
        ('D', b"attack"),
        ('S', b"bc"),
        ('D', b" at dawn"),
        ('S', b"d"),
    ],
    &[('D', b"a"), ('D', b"bc"), ('D', &[7; 300]), ('D', b"d")],
];

/// The buffers of a token: header, `pieces`, and a trailer if it is to have one.
fn with_ends<'a>(
    header: &'a [u8],
    pieces: Buffers<'a>,
    trailer: Option<&'a [u8]>,
) -> Vec<(char, &'a [u8])> {
    let mut all = vec![('H', header)];
    all.extend_from_slice(pieces);
    all.extend(trailer.map(|trailer| ('T', trailer)));
    all
}

/// Our call on copies of `buffers`; what it left in them.
pub(crate) fn ours<R>(
    buffers: Buffers<'_>,
    call: impl FnOnce(&mut [IoVec<'_>]) -> R,
) -> (R, Vec<Vec<u8>>) {
    let mut copies: Vec<_> = (buffers.iter())
        .map(|(kind, bytes)| match kind {
            'H' | 'T' | 'M' | 'P' if bytes.is_empty() => vec![0; 200],
            _ => bytes.to_vec(),
        })
        .collect();
    let mut iov: Vec<_> = (buffers.iter().zip(&mut copies))
        .map(|((kind, _), bytes)| match kind {
            'H' => IoVec::Header(bytes),
            'T' => IoVec::Trailer(bytes),
            'P' => IoVec::Padding(bytes),
            'S' => IoVec::SignOnly(bytes),
            'X' => IoVec::Stream(bytes),
            'M' => IoVec::MicToken(bytes),
            _ => IoVec::Data(bytes),
        })
        .collect();
    let result = call(&mut iov);
    let left = iov.iter().map(|piece| piece.bytes().to_vec()).collect();
    (result, left)
}

fn we_wrap(context: &Context, confidential: bool, buffers: Buffers<'_>) -> Vec<Vec<u8>> {
    let (lengths, _) = ours(buffers, |iov| context.wrap_iov_lengths(confidential, iov));
    let (state, left) = ours(buffers, |iov| context.wrap_iov(confidential, iov));
    assert_eq!(state.unwrap(), confidential);
    let length = |kind| {
        let at = buffers.iter().position(|(found, _)| *found == kind);
        at.map_or(0, |at| left[at].len())
    };
    let lengths = lengths.unwrap();
    assert_eq!(
        [lengths.header, lengths.padding, lengths.trailer],
        ['H', 'P', 'T'].map(length)
    );
    left
}

pub(crate) fn kinds<'a>(buffers: Buffers<'_>, contents: &'a [Vec<u8>]) -> Vec<(char, &'a [u8])> {
    let kinds = buffers.iter().map(|(kind, _)| *kind);
    kinds.zip(contents.iter().map(Vec::as_slice)).collect()
}

fn data_of(buffers: Buffers<'_>) -> Vec<u8> {
    let data = buffers.iter().filter(|(kind, _)| *kind == 'D');
    data.flat_map(|(_, bytes)| bytes.to_vec()).collect()
}

/// Wraps `buffers` on each side, lets the other unwrap them, and has the two agree about every length.
pub(crate) fn exchange(
    context: &Context,
    theirs: &mut Peer,
    confidential: bool,
    buffers: Buffers<'_>,
    what: &str,
) {
    let left = we_wrap(context, confidential, buffers);
    let sent = kinds(buffers, &left);
    let (major, state, found) = theirs.buffers("unwrap-iov", &sent);
    assert_eq!((major, state), (COMPLETE, confidential), "{what}: by them");
    assert_eq!(
        data_of(&kinds(buffers, &found)),
        data_of(buffers),
        "{what}: by them"
    );

    let (major, state, found) =
        theirs.buffers(&format!("wrap-iov {}", u8::from(confidential)), buffers);
    assert_eq!((major, state), (COMPLETE, confidential), "{what}: theirs");
    let lengths = |buffers: &[Vec<u8>]| buffers.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(&found), lengths(&left), "{what}");
    let sent = kinds(buffers, &found);
    let (unwrapped, left) = ours(&sent, |iov| context.unwrap_iov(iov));
    let unwrapped = unwrapped.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(
        (unwrapped.order, unwrapped.confidential),
        (Order::InOrder, confidential),
        "{what}"
    );
    assert_eq!(data_of(&kinds(buffers, &left)), data_of(buffers), "{what}");
}

#[test]
fn tokens_in_parts_both_ways() {
    for case in Case::all() {
        let Pair { ours, mut theirs } = establish(case);
        for pieces in SHAPES {
            for confidential in [true, false] {
                for trailer in [Some(&b""[..]), None] {
                    let buffers = with_ends(b"", pieces, trailer);
                    let what = format!("{case:?} {confidential} {buffers:?}");
                    exchange(&ours, &mut theirs, confidential, &buffers, &what);
                }
            }
        }
    }
}

#[test]
fn dce_style_both_ways() {
    for case in Case::all() {
        let case = Case { flags: DCE, ..case };
        let Pair { ours, mut theirs } = dce::establish(case);
        for pieces in SHAPES {
            // Heimdal has no DCE style without confidentiality.
            let states = [true, false].into_iter().take(match case.vendor {
                Vendor::Mit => 2,
                Vendor::Heimdal => 1,
            });
            for confidential in states {
                let buffers = with_ends(b"", pieces, None);
                let what = format!("{case:?} {confidential} {buffers:?}");
                exchange(&ours, &mut theirs, confidential, &buffers, &what);
            }
        }
    }
}

/// Without anything sign-only a token in parts is a token, and a token can be taken apart.
#[test]
fn parts_streams_and_plain_tokens_are_the_same() {
    for case in Case::all() {
        let Pair {
            ours: context,
            mut theirs,
        } = establish(case);
        for confidential in [true, false] {
            for trailer in [Some(&b""[..]), None] {
                let what = format!("{case:?} {confidential} {}", trailer.is_some());
                let buffers = with_ends(b"", SHAPES[0], trailer);
                let token = we_wrap(&context, confidential, &buffers).concat();
                let expected = (COMPLETE, confidential, b"attack at dawn".to_vec());
                assert_eq!(theirs.unwrap(&token), expected, "{what}");
                if case.vendor == Vendor::Mit {
                    let token = we_wrap(&context, confidential, &buffers).concat();
                    let stream = [('X', &token[..]), ('D', b"")];
                    let (major, _, found) = theirs.buffers("unwrap-iov", &stream);
                    assert_eq!(major, COMPLETE, "{what}");
                    assert_eq!(found[1], b"attack at dawn", "{what}");
                }
                let command = format!("wrap-iov {}", u8::from(confidential));
                let (_, _, parts) = theirs.buffers(&command, &buffers);
                let stream = parts.concat();
                let (unwrapped, left) =
                    ours(&[('X', &stream), ('D', b"")], |iov| context.unwrap_iov(iov));
                assert_eq!(unwrapped.unwrap().order, Order::InOrder, "{what}");
                assert_eq!(left[1], b"attack at dawn", "{what}");
                let token = theirs.wrap(confidential, b"attack at dawn");
                let (unwrapped, left) =
                    ours(&[('X', &token), ('D', b"")], |iov| context.unwrap_iov(iov));
                assert_eq!(unwrapped.unwrap().order, Order::InOrder, "{what}");
                assert_eq!(left[1], b"attack at dawn", "{what}");
                let mut token = theirs.wrap(confidential, b"attack at dawn");
                let found = context.unwrap_in_place(&mut token).unwrap();
                assert_eq!(found.data, b"attack at dawn", "{what}");
                let room = context.room(confidential, 14).unwrap();
                let mut buffer = vec![0; room.before + 14 + room.after];
                buffer[room.before..][..14].copy_from_slice(b"attack at dawn");
                context
                    .wrap_in_place(confidential, &mut buffer, room)
                    .unwrap();
                let expected = (COMPLETE, confidential, b"attack at dawn".to_vec());
                assert_eq!(theirs.unwrap(&buffer), expected, "{what}");
            }
        }
    }
}

#[test]
fn associated_data_both_ways() {
    for case in Case::all() {
        let Pair { ours, mut theirs } = establish(case);
        for confidential in [true, false] {
            for (associated, message) in [
                (&b"to bob"[..], &b"attack at dawn"[..]),
                (&[1; 100], &[2; 1000]),
                (b"", b"attack at dawn"),
            ] {
                let what = format!("{case:?} {confidential} {}", associated.len());
                let token = ours.wrap_aead(confidential, associated, message).unwrap();
                let (major, token) = match theirs.unwrap_aead(associated, &token) {
                    (COMPLETE, found) => {
                        assert_eq!(found, message, "{what}");
                        theirs.wrap_aead(confidential, associated, message)
                    }
                    // Heimdal exports the calls and has no mechanism behind them; what is inside is its other forms'.
                    (other, _) => {
                        assert_eq!(case.vendor, Vendor::Heimdal, "{what}: {other:#x}");
                        let buffers =
                            with_ends(b"", &[('S', associated), ('D', message)], Some(b""))
                                .into_iter()
                                .map(|(kind, bytes)| (kind, bytes.to_vec()))
                                .collect::<Vec<_>>();
                        let buffers: Vec<_> = buffers
                            .iter()
                            .map(|(kind, bytes)| (*kind, &bytes[..]))
                            .collect();
                        let command = format!("wrap-iov {}", u8::from(confidential));
                        let (major, _, found) = theirs.buffers(&command, &buffers);
                        (major, [&found[0][..], &found[2], &found[3]].concat())
                    }
                };
                assert_eq!(major, COMPLETE, "{what}");
                assert!(ours.unwrap_aead(b"to eve", &token).is_err(), "{what}");
                let found = ours.unwrap_aead(associated, &token).unwrap();
                assert_eq!(found.data, message, "{what}");
            }
        }
    }
}

#[test]
fn mics_of_pieces_both_ways() {
    for case in Case::all() {
        let Pair {
            ours: context,
            mut theirs,
        } = establish(case);
        for pieces in SHAPES {
            let what = format!("{case:?} {pieces:?}");
            let whole: Vec<u8> = pieces
                .iter()
                .flat_map(|(_, bytes)| bytes.to_vec())
                .collect();
            let slices: Vec<_> = pieces.iter().map(|(_, bytes)| *bytes).collect();
            let mut buffers = pieces.to_vec();
            buffers.push(('M', b""));
            let (signed, left) = ours(&buffers, |iov| context.get_mic_iov(iov));
            signed.unwrap();
            let token = left.last().unwrap();
            assert_eq!(theirs.verify(&whole, token), COMPLETE, "{what}");
            let mut token = vec![0; context.mic_length().unwrap()];
            context.get_mic_slices(&slices, &mut token).unwrap();
            assert_eq!(theirs.verify(&whole, &token), COMPLETE, "{what}");
            let token = theirs.mic(&whole);
            context.verify_mic_slices(&slices, &token).unwrap();
            match theirs.buffers("mic-iov", &buffers) {
                (UNAVAILABLE, ..) => assert_eq!(case.vendor, Vendor::Heimdal),
                (major, _, found) => {
                    assert_eq!(major, COMPLETE, "{what}");
                    let sent = kinds(&buffers, &found);
                    let (order, _) = ours(&sent, |iov| context.verify_mic_iov(iov));
                    assert_eq!(order.unwrap(), Order::InOrder, "{what}");
                    let (_, left) = ours(&buffers, |iov| context.get_mic_iov(iov));
                    let sent = kinds(&buffers, &left);
                    assert_eq!(theirs.buffers("verify-iov", &sent).0, COMPLETE, "{what}");
                    let mut wrong = left.clone();
                    wrong[0][0] ^= 1;
                    let sent = kinds(&buffers, &wrong);
                    assert_eq!(theirs.buffers("verify-iov", &sent).0, BAD_SIG, "{what}");
                }
            }
        }
    }
}

/// What is sign-only counts on both sides, and so do the lengths of the buffers around the data.
#[test]
fn damage_is_refused_on_both_sides() {
    for case in Case::all() {
        let Pair {
            ours: context,
            mut theirs,
        } = establish(case);
        for confidential in [true, false] {
            let buffers = with_ends(b"", SHAPES[2], Some(b""));
            let left = we_wrap(&context, confidential, &buffers);
            let command = format!("wrap-iov {}", u8::from(confidential));
            let (_, _, found) = theirs.buffers(&command, &buffers);
            for at in 0..left.len() {
                let what = format!("{case:?} {confidential} {at}");
                for (damage, cut) in [(true, 0), (false, 1)] {
                    let damaged = |buffers: &[Vec<u8>]| {
                        let mut buffers = buffers.to_vec();
                        let (last, length) = (buffers[at].len() - 1, buffers[at].len() - cut);
                        buffers[at][last] ^= u8::from(damage);
                        buffers[at].truncate(length);
                        buffers
                    };
                    let sent = damaged(&left);
                    let (major, ..) = theirs.buffers("unwrap-iov", &kinds(&buffers, &sent));
                    assert_ne!(major, COMPLETE, "{what}: by them");
                    let sent = damaged(&found);
                    let sent = kinds(&buffers, &sent);
                    let (unwrapped, _) = ours(&sent, |iov| context.unwrap_iov(iov));
                    let major = unwrapped.unwrap_err().major().code();
                    assert!([BAD_SIG, DEFECTIVE_TOKEN].contains(&major), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_batch_is_what_single_messages_are() {
    for case in Case::each_way() {
        let Pair { ours, mut theirs } = establish(case);
        let messages: Vec<_> = (0..40_u8).map(|n| vec![n; usize::from(n)]).collect();
        let tokens = ours.wrap_many(true, &messages).unwrap();
        for (token, message) in tokens.iter().zip(&messages) {
            let expected = (COMPLETE, true, message.clone());
            assert_eq!(theirs.unwrap(token), expected, "{case:?}");
        }
        let tokens: Vec<_> = messages.iter().map(|m| theirs.wrap(true, m)).collect();
        let found = ours.unwrap_many(&tokens).unwrap();
        for (found, message) in found.into_iter().zip(&messages) {
            let found = found.unwrap();
            assert_eq!(
                (&found.data, found.order),
                (message, Order::InOrder),
                "{case:?}"
            );
        }
    }
}
