//! Messages in buffers of their caller's: in pieces, with associated data, and laid out for DCE.

use gss_core::error::{Error as GssError, Major};
use gss_core::flags::Flags;
use gss_core::mechanism::{Facts, SecurityContext};
use gss_core::message::{BufferError, BufferKind, FEW, IoVec, MessageBuffers};
use gss_core::name::Name;
use gss_core::oid::Oid;
use gss_core::sequence::{Order, SequenceWindow};
use krb5_crypto::Enctype;
use wire::time::Timestamp;

use super::realm::{
    enctypes, one_bit_flips, protected_bit_flips, random, same_key, signed, wrapped,
};
use crate::context::{Context, Established};
use crate::error::{Error, Malformed, PeerMisbehaved};
use crate::keys::Keys;
use crate::token::HEADER;

/// Both ends of a context, with an acceptor's subkey.
pub(super) struct Both {
    pub(super) enctype: &'static Enctype,
    pub(super) initiator: Context,
    pub(super) acceptor: Context,
}

impl Both {
    pub(super) fn new(enctype: &'static Enctype, flags: Flags) -> Self {
        Self::starting_at(enctype, flags, 0)
    }

    /// The same, where both sides' numbers start at `first`.
    pub(super) fn starting_at(enctype: &'static Enctype, flags: Flags, first: u64) -> Self {
        let random = random();
        let (key, subkey) = (enctype.random_key(&*random), enctype.random_key(&*random));
        let end = |locally_initiated| {
            let facts = Facts {
                mechanism: Oid::KRB5,
                initiator: Name::krb5_principal("alice@EXAMPLE.COM"),
                acceptor: Name::krb5_principal("host/www.example.com@EXAMPLE.COM"),
                flags,
                locally_initiated,
                expires: Timestamp::MAX,
            };
            Established {
                facts,
                keys: Keys::new(
                    same_key(&key).into(),
                    Some(same_key(&subkey)),
                    flags.contains(Flags::DCE_STYLE),
                ),
                next: first,
                window: SequenceWindow::new(first, true, true),
                authorization_data: Vec::new(),
                vouched: Default::default(),
                ticket: Default::default(),
                delegated: Vec::new(),
                evidence: None,
            }
            .open(random.clone())
        };
        Self {
            enctype,
            initiator: end(true),
            acceptor: end(false),
        }
    }

    /// Contexts whose tokens are those of RFC 1964.
    pub(super) fn older() -> impl Iterator<Item = Self> {
        [16, 23].into_iter().map(|number| {
            let enctype = Enctype::from_number(number).unwrap();
            Self::new(enctype, Flags::NONE)
        })
    }

    pub(super) fn of_both_forms() -> impl Iterator<Item = Self> {
        Self::all().chain(Self::older())
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        enctypes().map(|enctype| Self::new(enctype, Flags::NONE))
    }
}

pub(super) fn cause(error: &GssError) -> String {
    let cause = error.cause::<Error>().expect("an error of this mechanism");
    cause.to_string()
}

/// A token in parts, each in a vector of its own.
#[derive(Clone, Debug, PartialEq)]
struct Parts {
    header: Vec<u8>,
    trailer: Option<Vec<u8>>,
    /// Data, or with `true` what is sign-only.
    pieces: Vec<(bool, Vec<u8>)>,
}

impl Parts {
    fn new(trailer: bool, pieces: &[(bool, &[u8])]) -> Self {
        Self {
            header: vec![0xee; 200],
            trailer: trailer.then(|| vec![0xee; 200]),
            pieces: (pieces.iter())
                .map(|(sign_only, bytes)| (*sign_only, bytes.to_vec()))
                .collect(),
        }
    }

    /// Calls `f` with the buffers, and keeps them as it leaves them.
    fn with<R>(&mut self, f: impl FnOnce(&mut [IoVec<'_>]) -> R) -> R {
        let mut iov = vec![IoVec::Header(&mut self.header)];
        for (sign_only, bytes) in &mut self.pieces {
            iov.push(match sign_only {
                true => IoVec::SignOnly(bytes),
                false => IoVec::Data(bytes),
            });
        }
        if let Some(trailer) = &mut self.trailer {
            iov.push(IoVec::Trailer(trailer));
        }
        let result = f(&mut iov);
        let lengths: Vec<_> = iov.iter().map(|piece| piece.bytes().len()).collect();
        self.header.truncate(lengths[0]);
        if let Some(trailer) = &mut self.trailer {
            trailer.truncate(lengths[lengths.len() - 1]);
        }
        result
    }

    fn data(&self) -> Vec<u8> {
        let data = self.pieces.iter().filter(|(sign_only, _)| !sign_only);
        data.flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// What goes on its way.
    fn token(&self) -> Vec<u8> {
        let trailer = self.trailer.clone().unwrap_or_default();
        [self.header.clone(), self.data(), trailer].concat()
    }
}

fn wrap_parts(
    context: &Context,
    confidential: bool,
    trailer: bool,
    pieces: &[(bool, &[u8])],
) -> Parts {
    let mut parts = Parts::new(trailer, pieces);
    let lengths = parts.with(|iov| context.wrap_iov_lengths(confidential, iov).unwrap());
    let state = parts.with(|iov| context.wrap_iov(confidential, iov).unwrap());
    assert_eq!(lengths.confidential, state);
    assert_eq!(parts.header.len(), lengths.header);
    let found = parts.trailer.as_ref().map_or(0, Vec::len);
    assert_eq!((found, lengths.padding), (lengths.trailer, 0));
    parts
}

fn unwrap_parts(context: &Context, parts: &mut Parts) -> Result<(Order, bool), GssError> {
    let unwrapped = parts.with(|iov| context.unwrap_iov(iov))?;
    Ok((unwrapped.order, unwrapped.confidential))
}

/// Unwraps a stream with `associated` in front; the message.
fn unwrap_stream(context: &Context, associated: &[u8], token: &[u8]) -> Result<Vec<u8>, GssError> {
    let mut stream = token.to_vec();
    let mut iov = [
        IoVec::Stream(&mut stream),
        IoVec::SignOnly(associated),
        IoVec::Data(&mut []),
    ];
    context.unwrap_iov(&mut iov)?;
    Ok(iov[2].bytes().to_vec())
}

/// A stream that is too short is still its caller's, as it was; of one whose checksum is wrong the front is.
#[test]
fn a_stream_that_is_refused_stays_in_its_buffer() {
    for both in enctypes()
        .map(|enctype| Both::new(enctype, Flags::NONE))
        .chain(Both::older())
    {
        let token = wrapped(&both.initiator, true, b"attack at dawn");
        let cuts = (0..token.len()).map(|cut| token[..cut].to_vec());
        let bits = one_bit_flips(&token).map(|(_, other)| other);
        for other in cuts.chain(bits) {
            let mut stream = other.clone();
            let mut iov = [IoVec::Stream(&mut stream), IoVec::Data(&mut [])];
            let error = both.acceptor.unwrap_iov(&mut iov).unwrap_err();
            let kept = iov[0].bytes();
            if other.len() < HEADER {
                assert_eq!(kept, other, "{error}");
            }
            assert!(other.is_empty() || !kept.is_empty(), "{error}");
        }
    }
}

type Pieces<'a> = &'a [(bool, &'a [u8])];

/// In several places, so that blocks lie across them.
const SHAPES: [Pieces<'_>; 6] = [
    &[(false, b"attack at dawn")],
    &[(false, b"")],
    &[
        (true, b"to bob: "),
        (false, b"attack at dawn, from the left side"),
    ],
    &[
        (true, b"a"),
        (false, b"attack at"),
        (true, b"bc"),
        (false, b" dawn"),
        (true, b"d"),
    ],
    &[(false, b"a"), (false, b""), (false, &[7; 100])],
    &[(true, b"signed alone")],
];

#[test]
fn pieces_arrive_in_their_buffers() {
    for both in Both::all() {
        for (from, to) in [
            (&both.initiator, &both.acceptor),
            (&both.acceptor, &both.initiator),
        ] {
            for pieces in SHAPES {
                for (confidential, trailer) in
                    [(true, true), (true, false), (false, true), (false, false)]
                {
                    let what = format!("{} {pieces:?} {confidential} {trailer}", both.enctype);
                    let mut parts = wrap_parts(from, confidential, trailer, pieces);
                    let plain = Parts::new(trailer, pieces);
                    let encrypted = confidential && pieces.iter().any(|(signed, _)| !signed);
                    let changed = parts.data() != plain.data();
                    assert_eq!(changed, encrypted && !plain.data().is_empty(), "{what}");
                    let unwrapped = unwrap_parts(to, &mut parts).unwrap();
                    assert_eq!(unwrapped, (Order::InOrder, encrypted), "{what}");
                    assert_eq!(parts.pieces, plain.pieces, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_token_in_parts_is_a_token() {
    for both in Both::all() {
        for confidential in [true, false] {
            for trailer in [true, false] {
                let what = format!("{} {confidential} {trailer}", both.enctype);
                let pieces: Pieces<'_> = &[(false, b"attack at dawn"), (false, b", by land")];
                let message = b"attack at dawn, by land";
                let token = wrap_parts(&both.initiator, confidential, trailer, pieces).token();
                let plain = wrapped(&both.initiator, confidential, message);
                assert_eq!(token.len(), plain.len(), "{what}");
                let mut out = Vec::new();
                both.acceptor.unwrap(&token, &mut out).unwrap();
                assert_eq!(out, message, "{what}");
                both.acceptor.unwrap(&plain, &mut Vec::new()).unwrap();
                let token = wrapped(&both.initiator, confidential, message);
                let found = unwrap_stream(&both.acceptor, b"", &token).unwrap();
                assert_eq!(found, message, "{what}");
                // The same token, taken apart at the lengths that are known of it.
                let token = wrapped(&both.initiator, confidential, message);
                let room = both.initiator.room(confidential, message.len());
                let (header, rest) = token.split_at(room.before);
                let (data, trailer) = rest.split_at(message.len());
                let mut parts = Parts {
                    header: header.to_vec(),
                    trailer: Some(trailer.to_vec()),
                    pieces: vec![(false, data.to_vec())],
                };
                unwrap_parts(&both.acceptor, &mut parts).unwrap();
                assert_eq!(parts.data(), message, "{what}");
            }
        }
    }
}

#[test]
fn each_bit_of_a_token_in_parts_counts() {
    for both in Both::all() {
        for confidential in [true, false] {
            for trailer in [true, false] {
                let pieces: Pieces<'_> = &[
                    (true, b"to bob"),
                    (false, b"attack at dawn"),
                    (true, b"now"),
                    (false, b"!"),
                ];
                let parts = wrap_parts(&both.initiator, confidential, trailer, pieces);
                let what = format!("{} {confidential} {trailer}", both.enctype);
                let refused = |mut other: Parts, bit: usize| {
                    assert!(
                        unwrap_parts(&both.acceptor, &mut other).is_err(),
                        "{what} bit {bit}"
                    );
                    if confidential {
                        let plain = other.data();
                        assert!(!plain.windows(6).any(|p| p == b"attack"), "{what} {bit}");
                    }
                };
                for (bit, header) in one_bit_flips(&parts.header) {
                    refused(
                        Parts {
                            header,
                            ..parts.clone()
                        },
                        bit,
                    );
                }
                for (bit, trailer) in one_bit_flips(parts.trailer.as_deref().unwrap_or(&[])) {
                    let trailer = Some(trailer);
                    refused(
                        Parts {
                            trailer,
                            ..parts.clone()
                        },
                        bit,
                    );
                }
                for at in 0..parts.pieces.len() {
                    for (bit, piece) in one_bit_flips(&parts.pieces[at].1) {
                        let mut other = parts.clone();
                        other.pieces[at].1 = piece;
                        refused(other, bit);
                    }
                }
                // Nothing was noted, and the true token is still good.
                let mut parts = parts;
                let (order, _) = unwrap_parts(&both.acceptor, &mut parts).unwrap();
                assert_eq!(order, Order::InOrder, "{what}");
                assert_eq!(parts.data(), b"attack at dawn!", "{what}");
            }
        }
    }
}

/// CVE-2024-37371: lengths of a token in parts that do not fit each other.
#[test]
fn cve_2024_37371_each_length_of_a_token_in_parts_counts() {
    for both in Both::all() {
        for confidential in [true, false] {
            for trailer in [true, false] {
                let pieces: Pieces<'_> = &[(true, b"to bob"), (false, b"attack at dawn")];
                let parts = wrap_parts(&both.initiator, confidential, trailer, pieces);
                let what = format!("{} {confidential} {trailer}", both.enctype);
                let fault = |mut other: Parts| {
                    let error = unwrap_parts(&both.acceptor, &mut other).unwrap_err();
                    (error.major(), cause(&error))
                };
                let defective = |fault: Malformed| (Major::DefectiveToken, fault.to_string());
                let needed = parts.header.len();
                for found in (0..needed).chain([needed + 1, needed + 100]) {
                    let mut header = parts.header.clone();
                    header.resize(found, 0);
                    let expected = match found {
                        0..HEADER => Malformed::Short,
                        _ => Malformed::BufferLength {
                            buffer: BufferKind::Header,
                            needed,
                            found,
                        },
                    };
                    let found = fault(Parts {
                        header,
                        ..parts.clone()
                    });
                    assert_eq!(found, defective(expected), "{what}");
                }
                if let Some(trailer) = &parts.trailer {
                    let needed = trailer.len();
                    for found in (0..needed).chain([needed + 1, needed + 100]) {
                        let mut trailer = trailer.clone();
                        trailer.resize(found, 0);
                        let expected = Malformed::BufferLength {
                            buffer: BufferKind::Trailer,
                            needed,
                            found,
                        };
                        let trailer = Some(trailer);
                        let found = fault(Parts {
                            trailer,
                            ..parts.clone()
                        });
                        assert_eq!(found, defective(expected), "{what}");
                    }
                }
                for at in 0..parts.pieces.len() {
                    for length in (0..parts.pieces[at].1.len()).chain([20, 64]) {
                        let mut other = parts.clone();
                        other.pieces[at].1.resize(length, 0);
                        let (major, fault) = fault(other);
                        let integrity = PeerMisbehaved::Integrity.to_string();
                        assert_eq!(
                            (major, fault),
                            (Major::BadMic, integrity),
                            "{what} {length}"
                        );
                    }
                }
                let token = parts.token();
                for cut in 0..token.len() {
                    let error = unwrap_stream(&both.acceptor, b"to bob", &token[..cut]);
                    assert!(error.is_err(), "{what} cut to {cut}");
                }
                let found = unwrap_stream(&both.acceptor, b"to bob", &token).unwrap();
                assert_eq!(found, b"attack at dawn", "{what}");
            }
        }
    }
}

/// CVE-2024-37370: the clear Extra Count of a token, in each of the forms that tokens are unwrapped in.
#[test]
fn cve_2024_37370_no_other_extra_count_passes_in_any_form() {
    for both in Both::all() {
        for (confidential, trailer) in [(true, true), (true, false), (false, true), (false, false)]
        {
            let what = format!("{} {confidential} {trailer}", both.enctype);
            let pieces: Pieces<'_> = &[(false, b"attack at dawn, in numbers")];
            let parts = wrap_parts(&both.initiator, confidential, trailer, pieces);
            let truth = u16::from_be_bytes([parts.header[4], parts.header[5]]);
            for ec in (0..300)
                .chain([1 << 15, u16::MAX])
                .filter(|ec| *ec != truth)
            {
                let mut other = parts.clone();
                other.header[4..6].copy_from_slice(&ec.to_be_bytes());
                let mut token = other.token();
                assert!(
                    unwrap_stream(&both.acceptor, b"", &token).is_err(),
                    "{what} {ec}"
                );
                assert!(
                    both.acceptor.unwrap_in_place(&[], &mut token).is_err(),
                    "{what} {ec}"
                );
                // The bytes of a trailer or a header moved, so that the lengths are right.
                if confidential && trailer {
                    let end = other.trailer.as_mut().unwrap();
                    end.resize(end.len() + usize::from(ec), 0);
                }
                assert!(
                    unwrap_parts(&both.acceptor, &mut other).is_err(),
                    "{what} {ec}"
                );
            }
            unwrap_parts(&both.acceptor, &mut parts.clone()).unwrap();
        }
    }
}

#[test]
fn every_rotation_of_a_stream_is_undone_and_of_parts_the_right_one_is_wanted() {
    for both in Both::all() {
        for confidential in [true, false] {
            let token = wrapped(&both.initiator, confidential, b"a message of some length");
            let length = token.len() as u16;
            for rrc in (0..2 * length).chain([28, 44, u16::MAX]) {
                let mut rotated = token.clone();
                rotated[6..8].copy_from_slice(&rrc.to_be_bytes());
                let body = &mut rotated[HEADER..];
                body.rotate_right(usize::from(rrc) % body.len());
                let what = format!("{} {confidential} {rrc}", both.enctype);
                let found = unwrap_stream(&both.acceptor, b"", &rotated).unwrap();
                assert_eq!(found, b"a message of some length", "{what}");
                let (range, _) = both.acceptor.unwrap_in_place(&[], &mut rotated).unwrap();
                assert_eq!(&rotated[range], b"a message of some length", "{what}");
            }
            for trailer in [true, false] {
                let pieces: Pieces<'_> = &[(false, b"a message of some length")];
                let parts = wrap_parts(&both.initiator, confidential, trailer, pieces);
                let truth = u16::from_be_bytes([parts.header[6], parts.header[7]]);
                assert_eq!(truth == 0, trailer);
                for rrc in (0..2 * length)
                    .chain([u16::MAX])
                    .filter(|rrc| *rrc != truth)
                {
                    let mut other = parts.clone();
                    other.header[6..8].copy_from_slice(&rrc.to_be_bytes());
                    let error = unwrap_parts(&both.acceptor, &mut other).unwrap_err();
                    let fault = Malformed::Rotation {
                        needed: truth.into(),
                        found: rrc,
                    };
                    assert_eq!(cause(&error), fault.to_string());
                    assert_eq!(error.major(), Major::DefectiveToken);
                }
            }
        }
    }
}

#[test]
fn a_buffer_that_is_too_short_is_named_and_costs_no_number() {
    for both in Both::all() {
        for confidential in [true, false] {
            for trailer in [true, false] {
                let pieces: Pieces<'_> = &[(true, b"to bob"), (false, b"attack at dawn")];
                let full = wrap_parts(&both.initiator, confidential, trailer, pieces);
                let refused = |mut parts: Parts, buffer, needed, found| {
                    let before = parts.clone();
                    let wrapped = parts.with(|iov| both.initiator.wrap_iov(confidential, iov));
                    let error = wrapped.unwrap_err();
                    let fault = BufferError::TooShort {
                        buffer,
                        needed,
                        found,
                    };
                    assert_eq!(cause(&error), fault.to_string());
                    assert_eq!(
                        (error.major(), error.minor()),
                        (Major::Failure, 0x96c7_3abe)
                    );
                    assert_eq!(parts, before, "all is as it was");
                };
                let needed = full.header.len();
                for found in 0..needed {
                    let mut parts = Parts::new(trailer, pieces);
                    parts.header.truncate(found);
                    refused(parts, BufferKind::Header, needed, found);
                }
                let needed = full.trailer.as_ref().map_or(0, Vec::len);
                for found in 0..needed {
                    let mut parts = Parts::new(trailer, pieces);
                    parts.trailer.as_mut().unwrap().truncate(found);
                    refused(parts, BufferKind::Trailer, needed, found);
                }
            }
        }
        // Four tokens were made, and none of those that were refused took a number.
        let token = signed(&both.initiator, b"");
        assert_eq!(token[8..16], 4_u64.to_be_bytes(), "{}", both.enctype);
    }
}

#[test]
fn buffers_that_a_call_has_no_use_for_are_named() {
    let both = Both::all().next().unwrap();
    let fault = |iov: &mut [IoVec<'_>]| {
        let error = both.initiator.wrap_iov(true, iov).unwrap_err();
        assert_eq!((error.major(), error.minor()), (Major::Failure, 22));
        cause(&error)
    };
    use BufferKind as Kind;
    use IoVec::{Data, Header, MicToken, Padding, Stream, Trailer};
    let long = || Box::leak(vec![0; 200].into_boxed_slice());
    for (iov, expected) in [
        (&mut [Data(long())][..], BufferError::Missing(Kind::Header)),
        (
            &mut [Header(long()), Header(long())],
            BufferError::Several(Kind::Header),
        ),
        (
            &mut [Header(long()), Trailer(&mut []), Trailer(&mut [])],
            BufferError::Several(Kind::Trailer),
        ),
        (
            &mut [Header(long()), Padding(&mut []), Padding(&mut [])],
            BufferError::Several(Kind::Padding),
        ),
        (
            &mut [Header(long()), Stream(long())],
            BufferError::Unexpected(Kind::Stream),
        ),
        (
            &mut [Header(long()), MicToken(long())],
            BufferError::Unexpected(Kind::MicToken),
        ),
    ] {
        assert_eq!(fault(iov), expected.to_string());
    }
    let unwrapped = |iov: &mut [IoVec<'_>]| cause(&both.acceptor.unwrap_iov(iov).unwrap_err());
    for (iov, expected) in [
        (&mut [][..], BufferError::Missing(Kind::Header)),
        (
            &mut [Stream(long()), Stream(long())],
            BufferError::Several(Kind::Stream),
        ),
        (&mut [Stream(long())], BufferError::Missing(Kind::Data)),
        (
            &mut [Stream(long()), Data(&mut []), Data(long())],
            BufferError::Several(Kind::Data),
        ),
        (
            &mut [Stream(long()), Data(&mut []), Header(long())],
            BufferError::Unexpected(Kind::Header),
        ),
        (
            &mut [Stream(long()), Data(&mut []), Trailer(long())],
            BufferError::Unexpected(Kind::Trailer),
        ),
        (
            &mut [MicToken(long()), Data(&mut [])],
            BufferError::Unexpected(Kind::MicToken),
        ),
    ] {
        assert_eq!(unwrapped(iov), expected.to_string());
    }
    let mut iov = [Header(long()), Data(long()), Padding(long())];
    let error = unwrapped(&mut iov);
    let fault = Malformed::BufferLength {
        buffer: Kind::Padding,
        needed: 0,
        found: 200,
    };
    assert_eq!(error, fault.to_string());
}

#[test]
fn a_padding_buffer_is_emptied_where_there_is_no_padding() {
    for both in Both::all() {
        let (mut header, mut data, mut padding) = ([0; 200], *b"message", [0; 16]);
        let mut iov = [
            IoVec::Header(&mut header),
            IoVec::Data(&mut data),
            IoVec::Padding(&mut padding),
        ];
        both.initiator.wrap_iov(true, &mut iov).unwrap();
        assert_eq!(iov[2].bytes(), b"");
        both.acceptor.unwrap_iov(&mut iov).unwrap();
        assert_eq!(iov[1].bytes(), b"message", "{}", both.enctype);
    }
}

#[test]
fn more_pieces_than_a_few_arrive_too() {
    for both in Both::all() {
        for count in [FEW - 3, FEW - 2, FEW - 1, FEW, FEW + 1, 100] {
            let pieces: Vec<(bool, &[u8])> =
                (0..count).map(|n| (n % 3 == 0, &b"abcde"[..])).collect();
            for confidential in [true, false] {
                let mut parts = wrap_parts(&both.initiator, confidential, true, &pieces);
                unwrap_parts(&both.acceptor, &mut parts).unwrap();
                assert_eq!(parts.pieces, Parts::new(true, &pieces).pieces, "{count}");
            }
            let slices: Vec<_> = pieces.iter().map(|(_, bytes)| *bytes).collect();
            let mut token = vec![0; both.initiator.mic_length()];
            both.initiator.get_mic_of(&slices, &mut token).unwrap();
            both.acceptor.verify_mic(&slices.concat(), &token).unwrap();
        }
    }
}

#[test]
fn what_is_associated_is_protected_and_no_part_of_the_token() {
    for both in Both::of_both_forms() {
        for confidential in [true, false] {
            for associated in [&b""[..], b"to bob", &[9; 100]] {
                let what = format!("{} {confidential} {}", both.enctype, associated.len());
                let wrap = || {
                    let mut token = b"before".to_vec();
                    let state = (both.initiator)
                        .wrap_aead(confidential, associated, b"attack at dawn", &mut token)
                        .unwrap();
                    assert_eq!(state, confidential);
                    token.split_off(6)
                };
                let plain = wrapped(&both.initiator, confidential, b"attack at dawn");
                both.acceptor.unwrap(&plain, &mut Vec::new()).unwrap();
                let token = wrap();
                assert_eq!(token.len(), plain.len(), "{what}");
                let unwrap = |associated: &[u8], token: &[u8]| {
                    let mut out = b"before".to_vec();
                    let unwrapped = both.acceptor.unwrap_aead(associated, token, &mut out);
                    assert_eq!(&out[..6], b"before");
                    let message = out.split_off(6);
                    if unwrapped.is_err() {
                        assert_eq!(message, b"", "{what}");
                    }
                    unwrapped.map(|unwrapped| (message, unwrapped.order))
                };
                for (bit, other) in one_bit_flips(associated) {
                    let error = unwrap(&other, &token).unwrap_err();
                    assert_eq!(error.major(), Major::BadMic, "{what} bit {bit}");
                }
                for (bit, other) in protected_bit_flips(both.enctype.name(), confidential, &token) {
                    assert!(unwrap(associated, &other).is_err(), "{what} bit {bit}");
                }
                for cut in 0..token.len() {
                    assert!(unwrap(associated, &token[..cut]).is_err(), "{what} {cut}");
                }
                let longer = [associated, &[0]].concat();
                assert!(unwrap(&longer, &token).is_err(), "{what}");
                let expected = (b"attack at dawn".to_vec(), Order::InOrder);
                assert_eq!(unwrap(associated, &token).unwrap(), expected, "{what}");
                let found = unwrap_stream(&both.acceptor, associated, &wrap()).unwrap();
                assert_eq!(found, b"attack at dawn", "{what}");
            }
        }
    }
}

/// CVE-2025-57736: a wrong checksum over several slices, and over pieces, is refused; the right one is not.
#[test]
fn cve_2025_57736_a_mic_of_pieces_stands_for_them_alone() {
    for both in Both::of_both_forms() {
        let (header, data) = (b"to bob", *b"attack at dawn");
        let mut token = vec![0xee; both.initiator.mic_length() + 5];
        let mut kept = data;
        let mut iov = [
            IoVec::SignOnly(header),
            IoVec::Data(&mut kept),
            IoVec::MicToken(&mut token),
        ];
        both.initiator.get_mic_iov(&mut iov).unwrap();
        assert_eq!(iov[2].bytes().len(), both.initiator.mic_length());
        let token = iov[2].bytes().to_vec();
        let verify = |header: &[u8], data: &[u8], token: &[u8]| {
            let (mut data, mut token) = (data.to_vec(), token.to_vec());
            both.acceptor.verify_mic_iov(&[
                IoVec::SignOnly(header),
                IoVec::Data(&mut data),
                IoVec::MicToken(&mut token),
            ])
        };
        for (bit, other) in protected_bit_flips(both.enctype.name(), false, &token) {
            assert!(verify(header, &data, &other).is_err(), "{bit}");
            assert!(
                both.acceptor
                    .verify_mic_of(&[header, &data], &other)
                    .is_err()
            );
        }
        for (bit, other) in one_bit_flips(header) {
            let error = verify(&other, &data, &token).unwrap_err();
            assert_eq!(error.major(), Major::BadMic, "{bit}");
        }
        for (bit, other) in one_bit_flips(&data) {
            let error = verify(header, &other, &token).unwrap_err();
            assert_eq!(error.major(), Major::BadMic, "{bit}");
        }
        for cut in 0..token.len() {
            assert!(verify(header, &data, &token[..cut]).is_err(), "{cut}");
        }
        assert_eq!(verify(header, &data, &token).unwrap(), Order::InOrder);
        let order = both
            .acceptor
            .verify_mic_of(&[b"to ", b"bob", &data], &token);
        assert_eq!(order.unwrap(), Order::Duplicate, "the same message");
        let error = both.initiator.get_mic_iov(&mut []).unwrap_err();
        let missing = BufferError::Missing(BufferKind::MicToken);
        assert_eq!(*error.cause::<BufferError>().unwrap(), missing);
    }
}

#[test]
fn dce_style_is_laid_out_as_windows_wants_it() {
    for enctype in enctypes() {
        let both = Both::new(enctype, Flags::DCE_STYLE);
        let checksum = enctype.checksum_length();
        let pieces: Pieces<'_> = &[
            (true, b"a PDU's header. "),
            (false, &[7; 48]),
            (true, b"a trailer"),
        ];
        let mut parts = wrap_parts(&both.initiator, true, false, pieces);
        assert_eq!(parts.header.len(), HEADER + 16 + 16 + checksum + 16);
        assert_eq!(
            parts.header[4..8],
            [0, 16, 0, 16 + checksum as u8],
            "EC, RRC"
        );
        unwrap_parts(&both.acceptor, &mut parts).unwrap();
        assert_eq!(parts.pieces, Parts::new(false, pieces).pieces);
        let mut parts = wrap_parts(&both.initiator, false, false, pieces);
        assert_eq!(parts.header[4..8], [0, checksum as u8, 0, checksum as u8]);
        unwrap_parts(&both.acceptor, &mut parts).unwrap();
        // A token in one piece is rotated by EC and RRC together.
        let alone: Pieces<'_> = &[(false, &[7; 48])];
        let token = wrap_parts(&both.initiator, true, false, alone).token();
        let mut out = Vec::new();
        both.acceptor.unwrap(&token, &mut out).unwrap();
        assert_eq!(out, [7; 48]);
        let found = unwrap_stream(&both.acceptor, b"", &token).unwrap();
        assert_eq!(found, [7; 48]);
        let ours = wrapped(&both.initiator, true, b"message");
        assert_eq!(
            ours[4..8],
            [0; 4],
            "neither filler nor rotation in a plain token"
        );
        both.acceptor.unwrap(&ours, &mut out).unwrap();
    }
}
