//! Tokens of RFC 1964 and RFC 4757 §7; what they have in common with others is with those.

use gss_core::error::{Error as GssError, Major};
use gss_core::flags::Flags;
use gss_core::framing::{self, FrameError};
use gss_core::mechanism::SecurityContext;
use gss_core::message::{BufferError, BufferKind, IoVec, MessageBuffers};
use gss_core::oid::Oid;
use gss_core::sequence::{Order, SequenceWindow};
use krb5_crypto::{Enctype, Key, Piece};

use super::buffers::Both;
use super::realm::{protected_bit_flips, random, same_key, signed, wrapped};
use crate::context::Context;
use crate::error::{Error, Malformed, PeerMisbehaved};
use crate::keys::{Keys, Role};
use crate::older::{CONFOUNDER, Kind, Older};

fn cause(error: &GssError) -> String {
    let cause = error.cause::<Error>().expect("an error of this mechanism");
    cause.to_string()
}

fn unwrapped(context: &Context, token: &[u8]) -> Result<Vec<u8>, GssError> {
    let mut out = Vec::new();
    context.unwrap(token, &mut out).map(|_| out)
}

/// SGN_ALG, SEAL_ALG, the checksum's length and what data is padded to.
fn facts(enctype: &Enctype) -> ([u8; 2], [u8; 2], usize, usize) {
    match enctype.number() {
        16 => ([4, 0], [2, 0], 20, 8),
        _ => ([0x11, 0], [0x10, 0], 8, 1),
    }
}

#[test]
fn a_token_is_laid_out_as_the_standards_say() {
    for both in Both::older() {
        let (sgn_alg, seal_alg, checksum, block) = facts(both.enctype);
        for (number, confidential) in [(0, true), (1, false)] {
            let token = wrapped(&both.initiator, confidential, b"message");
            let inner = framing::unframe(Oid::KRB5, &token).unwrap();
            let seal_alg = if confidential { seal_alg } else { [0xff; 2] };
            let names = [[2, 1], sgn_alg, seal_alg, [0xff; 2]];
            assert_eq!(inner[..8], *names.as_flattened(), "{number}");
            let data = 16 + checksum + 8;
            let padding = block - 7 % block;
            assert_eq!(inner.len(), data + 7 + padding);
            if !confidential {
                let expected = [&b"message"[..], &vec![padding as u8; padding]].concat();
                assert_eq!(inner[data..], expected);
            }
        }
        let token = signed(&both.initiator, b"message");
        let inner = framing::unframe(Oid::KRB5, &token).unwrap();
        let names = [[1, 1], sgn_alg, [0xff; 2], [0xff; 2]];
        assert_eq!(inner[..8], *names.as_flattened());
        assert_eq!(inner.len(), 16 + checksum);
        assert_eq!(both.initiator.mic_length(), token.len());
    }
}

#[test]
fn an_own_token_sent_back_is_refused() {
    for both in Both::older() {
        for context in [&both.initiator, &both.acceptor] {
            for confidential in [true, false] {
                let token = wrapped(context, confidential, b"message");
                let error = unwrapped(context, &token).unwrap_err();
                assert_eq!(cause(&error), PeerMisbehaved::Reflected.to_string());
                assert_eq!(error.major(), Major::BadMic);
            }
            let token = signed(context, b"message");
            let error = context.verify_mic(b"message", &token).unwrap_err();
            assert_eq!(cause(&error), PeerMisbehaved::Reflected.to_string());
        }
    }
}

#[test]
fn a_token_of_the_other_form_is_refused() {
    let newer = Both::all().next().unwrap();
    for older in Both::older() {
        for (to, from) in [(&newer, &older), (&older, &newer)] {
            let token = wrapped(&from.initiator, true, b"message");
            let error = unwrapped(&to.acceptor, &token).unwrap_err();
            let expected = [
                Malformed::TokenId.to_string(),
                PeerMisbehaved::NoAcceptorSubkey.to_string(),
            ];
            assert!(expected.contains(&cause(&error)));
            let token = signed(&from.initiator, b"message");
            let error = to.acceptor.verify_mic(b"message", &token).unwrap_err();
            assert!(expected.contains(&cause(&error)));
        }
        // Of the two kinds, neither stands for the other.
        let token = wrapped(&older.initiator, false, b"");
        assert!(older.acceptor.verify_mic(b"", &token).is_err());
        let token = signed(&older.initiator, b"");
        assert!(unwrapped(&older.acceptor, &token).is_err());
    }
    // And of the two enctypes, neither reads what the other wrote.
    let [one, two] = [0, 1].map(|n| Both::older().nth(n).unwrap());
    for (to, from) in [(&one, &two), (&two, &one)] {
        let token = wrapped(&from.initiator, true, b"message");
        let error = unwrapped(&to.acceptor, &token).unwrap_err();
        assert!(error.cause::<Error>().is_some());
    }
}

/// Makes tokens as a sender does that does not keep to the rules.
struct Crafter {
    both: Both,
    older: Older,
}

impl Crafter {
    fn all() -> impl Iterator<Item = Self> {
        Both::older().map(|both| {
            // The first of the keys that the context was made with.
            let random = random();
            let key = both.enctype.random_key(&*random);
            Self {
                older: Older::new(&key).unwrap(),
                both,
            }
        })
    }

    /// A token whose data and padding are `body`.
    fn token(&self, sealed: bool, seq: u32, body: &[u8]) -> Vec<u8> {
        let front = self.older.front_length(Kind::Wrap, body.len());
        let mut token = vec![0; front];
        token.extend_from_slice(body);
        let (front, body) = token.split_at_mut(front);
        let (front, confounder) = self.older.begin(Kind::Wrap, sealed, body.len(), front);
        let mut pieces = [Piece::Seal(confounder), Piece::Seal(body)];
        self.older
            .seal(Role::Initiator, seq, sealed, front, &mut pieces);
        token
    }
}

/// CVE-2014-4341, CVE-2014-4342: tokens without room for what they should have, and padding that is not there.
#[test]
fn cve_2014_4341_and_4342_padding_beyond_the_data_is_refused() {
    for crafter in Crafter::all() {
        let (_, _, _, block) = facts(crafter.both.enctype);
        let acceptor = &crafter.both.acceptor;
        let good = [&[7; 7][..], &[1]].concat();
        assert_eq!(
            unwrapped(acceptor, &crafter.token(true, 0, &good)).unwrap(),
            [7; 7]
        );
        for sealed in [true, false] {
            for last in (0..=255).filter(|last| !(1..=8).contains(last)) {
                let body = [&[7; 7][..], &[last]].concat();
                let error = unwrapped(acceptor, &crafter.token(sealed, 1, &body)).unwrap_err();
                assert_eq!(cause(&error), Malformed::Padding.to_string(), "{last}");
                assert_eq!(error.major(), Major::DefectiveToken);
            }
            // As long as it says, but not all of it.
            for length in 2..=8 {
                let mut body = vec![length; 8];
                body[8 - usize::from(length)] ^= 1;
                let error = unwrapped(acceptor, &crafter.token(sealed, 1, &body)).unwrap_err();
                assert_eq!(cause(&error), Malformed::Padding.to_string(), "{length}");
            }
            let all = unwrapped(acceptor, &crafter.token(sealed, 1, &[8; 8])).unwrap();
            assert_eq!(all, b"", "nothing but padding");
            if block == 1 {
                for length in 1..8 {
                    let body = vec![length + 1; usize::from(length)];
                    let error = unwrapped(acceptor, &crafter.token(sealed, 1, &body)).unwrap_err();
                    assert_eq!(cause(&error), Malformed::Padding.to_string(), "{length}");
                }
            } else {
                for length in (1..24).filter(|length| length % 8 != 0) {
                    // The checksum is right, but nobody could have encrypted this.
                    let token = crafter.token(false, 1, &vec![1; length]);
                    let error = unwrapped(acceptor, &token).unwrap_err();
                    assert_eq!(cause(&error), Malformed::Padding.to_string(), "{length}");
                }
            }
            let error = unwrapped(acceptor, &crafter.token(sealed, 1, b"")).unwrap_err();
            assert_eq!(cause(&error), Malformed::Short.to_string());
        }
    }
}

#[test]
fn each_fault_of_a_front_has_its_name() {
    for both in Both::older() {
        let (_, _, checksum, _) = facts(both.enctype);
        let token = wrapped(&both.initiator, true, b"message");
        let frame = token.len() - framing::unframe(Oid::KRB5, &token).unwrap().len();
        let with = |token: &[u8], at: usize, value: u8| {
            let mut token = token.to_vec();
            token[at] = value;
            token
        };
        let named = |token: &[u8]| cause(&unwrapped(&both.acceptor, token).unwrap_err());
        let malformed = |fault: Malformed| fault.to_string();
        let broken = malformed(Malformed::Frame(FrameError::Malformed));
        for at in 0..frame {
            assert!(unwrapped(&both.acceptor, &with(&token, at, 0x55)).is_err());
        }
        assert_eq!(named(&with(&token, 1, token[1] - 1)), broken);
        let other = malformed(Malformed::Frame(FrameError::OtherMechanism));
        assert_eq!(named(&with(&token, 6, 1)), other);
        assert_eq!(
            named(&with(&token, frame, 5)),
            malformed(Malformed::TokenId)
        );
        for at in 2..6 {
            let fault = named(&with(&token, frame + at, 0x77));
            assert_eq!(fault, malformed(Malformed::Algorithm), "{at}");
        }
        assert_eq!(
            named(&with(&token, frame + 6, 0)),
            malformed(Malformed::Filler)
        );
        // A token that says it is not encrypted, and one that says it is.
        let mut other = with(&token, frame + 4, 0xff);
        other[frame + 5] = 0xff;
        assert_eq!(named(&other), PeerMisbehaved::Integrity.to_string());
        // A frame that ends before the front does.
        let short = framing::frame(Oid::KRB5, &token[frame..frame + 16 + checksum + 7]);
        assert_eq!(named(&short), malformed(Malformed::Short));
        let mic = signed(&both.initiator, b"message");
        let verified =
            |token: &[u8]| cause(&both.acceptor.verify_mic(b"message", token).unwrap_err());
        assert_eq!(verified(&mic[..mic.len() - 1]), malformed(Malformed::Short));
        assert_eq!(verified(&[&mic[..], &[0]].concat()), broken);
        assert_eq!(
            verified(&with(&mic, frame, 2)),
            malformed(Malformed::TokenId)
        );
        assert_eq!(
            verified(&with(&mic, frame + 2, 2)),
            malformed(Malformed::Algorithm)
        );
        assert_eq!(
            verified(&with(&mic, frame + 4, 2)),
            malformed(Malformed::Algorithm)
        );
        assert_eq!(
            verified(&with(&mic, frame + 6, 2)),
            malformed(Malformed::Filler)
        );
    }
}

/// Known of RC4's tokens: RFC 4757 §7.2 leaves the number to a stream cipher. Nothing but the place in the sequence is at
/// stake, and with confidentiality not that either, because the number is in the key.
#[test]
fn the_number_of_an_rc4_token_that_is_not_encrypted_can_be_changed_on_its_way() {
    let both = Both::older().nth(1).unwrap();
    let mut token = wrapped(&both.initiator, false, b"message");
    token[24] ^= 4;
    let mut out = Vec::new();
    let order = both.acceptor.unwrap(&token, &mut out).unwrap().order;
    assert_eq!((&out[..], order), (&b"message"[..], Order::Gap));
    let mut token = wrapped(&both.initiator, true, b"message");
    token[24] ^= 4;
    let error = unwrapped(&both.acceptor, &token).unwrap_err();
    assert_eq!(cause(&error), PeerMisbehaved::Integrity.to_string());
}

#[test]
fn heimdals_two_bytes_behind_a_triple_des_mic_are_taken() {
    for both in Both::older() {
        let mic = signed(&both.initiator, b"message");
        let inner = framing::unframe(Oid::KRB5, &mic).unwrap();
        for (rest, passes) in [
            (&[0, 0][..], both.enctype.number() == 16),
            (&[0], false),
            (&[0, 1], false),
            (&[0, 0, 0], false),
        ] {
            let longer = framing::frame(Oid::KRB5, &[inner, rest].concat());
            let verified = both.acceptor.verify_mic(b"message", &longer);
            assert_eq!(verified.is_ok(), passes, "{} {rest:?}", both.enctype);
        }
    }
}

#[test]
fn numbers_have_32_bits_and_go_around() {
    for both in Both::older() {
        let enctype = both.enctype;
        drop(both);
        let last = u64::from(u32::MAX);
        let both = Both::starting_at(enctype, Flags::NONE, last - 1);
        let orders: Vec<_> = (0..4)
            .map(|_| {
                let token = wrapped(&both.initiator, true, b"message");
                both.acceptor.unwrap(&token, &mut Vec::new()).unwrap().order
            })
            .collect();
        assert_eq!(orders, [Order::InOrder; 4], "{enctype}");
    }
}

fn pieces<'a>(
    header: &'a mut [u8],
    before: &'a [u8],
    data: &'a mut [u8],
    after: &'a [u8],
    padding: &'a mut [u8],
) -> [IoVec<'a>; 6] {
    [
        IoVec::Header(header),
        IoVec::SignOnly(before),
        IoVec::Data(data),
        IoVec::SignOnly(after),
        IoVec::Padding(padding),
        IoVec::Trailer(&mut []),
    ]
}

#[test]
fn tokens_in_parts_have_a_padding_of_their_own() {
    for both in Both::older() {
        let (_, _, _, block) = facts(both.enctype);
        for length in 0..40 {
            for confidential in [true, false] {
                let what = format!("{} {length} {confidential}", both.enctype);
                let message: Vec<u8> = (0..length).map(|at| at as u8).collect();
                let (mut header, mut data, mut padding) = ([0; 100], message.clone(), [0; 8]);
                let mut iov = pieces(&mut header, b"to bob", &mut data, b"now", &mut padding);
                let lengths = both.initiator.wrap_iov_lengths(confidential, &iov).unwrap();
                assert_eq!(lengths.padding, block - length % block, "{what}");
                assert_eq!((lengths.trailer, lengths.confidential), (0, confidential));
                assert_eq!(
                    both.initiator.wrap_iov(confidential, &mut iov).unwrap(),
                    confidential
                );
                assert_eq!(iov[0].bytes().len(), lengths.header, "{what}");
                assert_eq!(iov[4].bytes().len(), lengths.padding, "{what}");
                let sent = [0, 2, 4].map(|at| iov[at].bytes().to_vec());
                let unwrapped = both.acceptor.unwrap_iov(&mut iov).unwrap();
                assert_eq!(unwrapped.order, Order::InOrder, "{what}");
                assert_eq!(unwrapped.confidential, confidential);
                assert_eq!(iov[2].bytes(), message, "{what}");
                assert_eq!(iov[4].bytes(), b"", "the padding is gone");
                let mut stream = sent.concat();
                let mut iov = [
                    IoVec::Stream(&mut stream),
                    IoVec::SignOnly(b"to bob"),
                    IoVec::Data(&mut []),
                    IoVec::SignOnly(b"now"),
                ];
                let streamed = both.acceptor.unwrap_iov(&mut iov);
                assert!(
                    streamed.is_err(),
                    "what was signed between data and padding is not there"
                );
            }
        }
    }
}

#[test]
fn a_stream_and_parts_and_a_plain_token_are_the_same() {
    for both in Both::older() {
        for length in 0..40 {
            for confidential in [true, false] {
                let what = format!("{} {length} {confidential}", both.enctype);
                let message: Vec<u8> = (0..length).map(|at| at as u8).collect();
                let (mut header, mut data, mut padding) = ([0; 100], message.clone(), [0; 8]);
                let mut iov = [
                    IoVec::Header(&mut header),
                    IoVec::Data(&mut data),
                    IoVec::Padding(&mut padding),
                ];
                both.initiator.wrap_iov(confidential, &mut iov).unwrap();
                let token = [iov[0].bytes(), iov[1].bytes(), iov[2].bytes()].concat();
                assert_eq!(
                    unwrapped(&both.acceptor, &token).unwrap(),
                    message,
                    "{what}"
                );
                let token = wrapped(&both.initiator, confidential, &message);
                let mut stream = token.clone();
                let mut iov = [IoVec::Stream(&mut stream), IoVec::Data(&mut [])];
                both.acceptor.unwrap_iov(&mut iov).unwrap();
                assert_eq!(iov[1].bytes(), message, "{what}");
                // The padding wholly in its buffer, in part, and not in a buffer at all.
                let front = token.len() - message.len() - usize::from(pad(both.enctype, length));
                for place in [message.len(), token.len() - front - 1] {
                    let mut token = token.clone();
                    let (header, body) = token.split_at_mut(front);
                    let (data, padding) = body.split_at_mut(place);
                    let mut iov = [
                        IoVec::Header(header),
                        IoVec::Data(data),
                        IoVec::Padding(padding),
                    ];
                    let unwrapped = both.acceptor.unwrap_iov(&mut iov).unwrap();
                    assert_eq!(unwrapped.order, Order::Duplicate, "{what}");
                    assert_eq!(iov[1].bytes(), message, "{what} {place}");
                }
            }
        }
    }
}

fn pad(enctype: &Enctype, length: usize) -> u8 {
    let (_, _, _, block) = facts(enctype);
    (block - length % block) as u8
}

#[test]
fn each_bit_and_length_of_a_token_in_parts_counts() {
    for both in Both::older() {
        for confidential in [true, false] {
            let (mut header, mut data, mut padding) = ([0; 100], *b"attack at dawn", [0; 8]);
            let mut iov = pieces(&mut header, b"to bob", &mut data, b"", &mut padding);
            both.initiator.wrap_iov(confidential, &mut iov).unwrap();
            let sent: Vec<Vec<u8>> = iov.iter().map(|piece| piece.bytes().to_vec()).collect();
            let unwrap = |parts: &[Vec<u8>]| {
                let mut parts = parts.to_vec();
                let [header, before, data, after, padding, trailer] = &mut parts[..] else {
                    panic!("six of them");
                };
                let mut iov = [
                    IoVec::Header(header),
                    IoVec::SignOnly(before),
                    IoVec::Data(data),
                    IoVec::SignOnly(after),
                    IoVec::Padding(padding),
                    IoVec::Trailer(trailer),
                ];
                let unwrapped = both.acceptor.unwrap_iov(&mut iov);
                let left = iov[2].bytes().to_vec();
                if unwrapped.is_err() && confidential {
                    assert!(!left.windows(6).any(|part| part == b"attack"), "wiped");
                }
                unwrapped.map(|_| left)
            };
            for at in 0..sent.len() {
                let name = both.enctype.name();
                for (bit, other) in protected_bit_flips(name, confidential || at > 0, &sent[at]) {
                    let mut parts = sent.clone();
                    parts[at] = other;
                    assert!(unwrap(&parts).is_err(), "{} {at} bit {bit}", both.enctype);
                }
                for length in (0..sent[at].len()).chain([sent[at].len() + 1]) {
                    let mut parts = sent.clone();
                    parts[at].resize(length, 0);
                    let error = unwrap(&parts).map(|_| ()).unwrap_err();
                    let expected = [Major::DefectiveToken, Major::BadMic];
                    assert!(expected.contains(&error.major()), "{at} {length}");
                }
            }
            assert_eq!(unwrap(&sent).unwrap(), b"attack at dawn");
        }
    }
}

#[test]
fn buffers_that_are_missing_or_too_short_are_named() {
    for both in Both::older() {
        let (mut header, mut data) = ([0; 100], *b"attack at dawn");
        let mut iov = [IoVec::Header(&mut header), IoVec::Data(&mut data)];
        let error = both.initiator.wrap_iov(true, &mut iov).unwrap_err();
        let missing = BufferError::Missing(BufferKind::Padding);
        assert_eq!(cause(&error), missing.to_string());
        let needed = usize::from(pad(both.enctype, 14));
        for found in 0..needed {
            let mut padding = vec![0; found];
            let mut iov = pieces(&mut header, b"", &mut data, b"", &mut padding);
            let error = both.initiator.wrap_iov(true, &mut iov).unwrap_err();
            let buffer = BufferKind::Padding;
            let short = BufferError::TooShort {
                buffer,
                needed,
                found,
            };
            assert_eq!(cause(&error), short.to_string());
        }
        assert_eq!(data, *b"attack at dawn");
        let token = wrapped(&both.initiator, true, b"first");
        let order = both.acceptor.unwrap(&token, &mut Vec::new()).unwrap().order;
        assert_eq!(order, Order::InOrder, "no number was used");
    }
}

/// The frame ends in front of the data, which the caller has padded.
#[test]
fn dce_style_pads_nothing_and_frames_the_front() {
    for number in [16, 23] {
        let enctype = Enctype::from_number(number).unwrap();
        let both = Both::new(enctype, Flags::DCE_STYLE);
        let (_, _, checksum, block) = facts(enctype);
        for confidential in [true, false] {
            let (mut header, mut data) = ([0; 100], [7; 48]);
            let mut iov = [
                IoVec::Header(&mut header),
                IoVec::SignOnly(b"a PDU's header"),
                IoVec::Data(&mut data),
                IoVec::SignOnly(b"and its end"),
            ];
            both.initiator.wrap_iov(confidential, &mut iov).unwrap();
            let front = 13 + 16 + checksum + CONFOUNDER;
            assert_eq!(iov[0].bytes().len(), front);
            assert_eq!(usize::from(iov[0].bytes()[1]), front - 2, "itself alone");
            assert_eq!(iov[2].bytes() == [7; 48], !confidential);
            both.acceptor.unwrap_iov(&mut iov).unwrap();
            assert_eq!(iov[2].bytes(), [7; 48]);
            let (mut header, mut data) = ([0; 100], [7; 48]);
            let mut iov = [IoVec::Header(&mut header), IoVec::Data(&mut data)];
            both.initiator.wrap_iov(confidential, &mut iov).unwrap();
            let mut token = [iov[0].bytes(), iov[1].bytes()].concat();
            assert_eq!(unwrapped(&both.acceptor, &token).unwrap(), [7; 48]);
            let mut iov = [IoVec::Stream(&mut token), IoVec::Data(&mut [])];
            both.acceptor.unwrap_iov(&mut iov).unwrap();
            assert_eq!(iov[1].bytes(), [7; 48]);
            let token = wrapped(&both.initiator, confidential, b"message");
            assert_eq!(
                unwrapped(&both.acceptor, &token).unwrap(),
                b"message",
                "padded"
            );
        }
        for found in (0..20).filter(|found| found % block != 0) {
            let (mut header, mut data) = ([0; 100], vec![7; found]);
            let mut iov = [IoVec::Header(&mut header), IoVec::Data(&mut data)];
            let error = both.initiator.wrap_iov(true, &mut iov).unwrap_err();
            assert_eq!(
                cause(&error),
                BufferError::Unpadded { block, found }.to_string()
            );
        }
    }
}

/// WinRM sends RC4's tokens without padding; only one who has the parts apart can unwrap them.
#[test]
fn a_token_in_parts_may_be_without_padding() {
    for crafter in Crafter::all() {
        let mut token = crafter.token(true, 0, b"attack at dawn!!");
        let front = token.len() - 16;
        let (header, data) = token.split_at_mut(front);
        let mut iov = [IoVec::Header(header), IoVec::Data(data)];
        crafter.both.acceptor.unwrap_iov(&mut iov).unwrap();
        assert_eq!(iov[1].bytes(), b"attack at dawn!!");
    }
}

#[test]
fn an_acceptors_subkey_counts_where_a_token_tells_of_it() {
    let random = random();
    let key = |number| -> Key { Enctype::from_number(number).unwrap().random_key(&*random) };
    for (initiators, acceptors, dce, counts) in [
        (23, 23, false, false),
        (16, 16, false, false),
        (23, 18, false, true),
        (16, 23, false, true),
        (18, 18, false, true),
        (23, 23, true, true),
    ] {
        let keys = Keys::new(key(initiators).into(), Some(key(acceptors)), dce);
        assert_eq!(
            keys.acceptor_subkey.is_some(),
            counts,
            "{initiators} {acceptors} {dce}"
        );
    }
    let window = SequenceWindow::new(0, true, true);
    assert_ne!(window.clone().of_32_bits(), window);
    let key = key(23);
    assert!(Older::new(&same_key(&key)).is_some());
}
