//! The frame of an initial context token (RFC 2743 §3.1): `[APPLICATION 0] { mechanism OID, inner token }`.

use crate::oid::Oid;

/// Why a frame is not one for the mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The bytes do not have the frame's shape.
    Malformed,
    /// The frame is whole, but of another mechanism.
    OtherMechanism,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token has no whole mechanism frame",
            Self::OtherMechanism => "the token is of another mechanism",
        })
    }
}

impl std::error::Error for FrameError {}

/// Frames `inner` as a token of `mechanism`.
pub fn frame(mechanism: Oid, inner: &[u8]) -> Vec<u8> {
    frame_parts(mechanism, &[inner])
}

/// The same, of an inner token that is `parts` one after another.
pub fn frame_parts(mechanism: Oid, parts: &[&[u8]]) -> Vec<u8> {
    let inner = parts.iter().map(|part| part.len()).sum();
    let header = header_length(mechanism, inner);
    let mut out = Vec::with_capacity(header + inner);
    out.resize(header, 0);
    put_header(mechanism, inner, &mut out);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// How many bytes a frame has in front of an inner token of `inner` bytes.
pub fn header_length(mechanism: Oid, inner: usize) -> usize {
    let oid = element_length(mechanism.bytes().len());
    element_length(oid + inner) - inner
}

/// Writes what a frame has in front of an inner token of `inner` bytes.
///
/// # Panics
/// If `out` does not have the [length](header_length) of it.
pub fn put_header(mechanism: Oid, inner: usize, out: &mut [u8]) {
    let oid = mechanism.bytes();
    let rest = put_tag(0x60, element_length(oid.len()) + inner, out);
    put_tag(0x06, oid.len(), rest).copy_from_slice(oid);
}

/// What a frame says of itself, whether all of it is there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader<'a> {
    /// The mechanism OID's contents octets.
    pub oid: &'a [u8],
    /// Where the inner token begins.
    pub start: usize,
    /// How many bytes it has.
    pub inner: usize,
}

/// Reads what `bytes` begin with, where the inner token lies somewhere else in part or in whole.
pub fn header(bytes: &[u8]) -> Option<FrameHeader<'_>> {
    let (length, body) = tag_and_length(0x60, bytes)?;
    let (oid, rest) = tagged(0x06, body)?;
    let start = bytes.len() - rest.len();
    let inner = length.checked_sub(body.len() - rest.len())?;
    (!oid.is_empty()).then_some(FrameHeader { oid, start, inner })
}

/// The inner token of `token`, which must be framed for `mechanism` and end where its frame does.
pub fn unframe(mechanism: Oid, token: &[u8]) -> Result<&[u8], FrameError> {
    let (oid, inner) = open(token).ok_or(FrameError::Malformed)?;
    if oid == mechanism.bytes() {
        Ok(inner)
    } else {
        Err(FrameError::OtherMechanism)
    }
}

/// The mechanism OID's contents octets and the inner token.
pub fn open(token: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, rest) = tagged(0x60, token)?;
    let (oid, inner) = tagged(0x06, body)?;
    (rest.is_empty() && !oid.is_empty()).then_some((oid, inner))
}

/// How many bytes an element has whose contents have `length`.
const fn element_length(length: usize) -> usize {
    2 + length_octets(length) + length
}

/// How many octets a length has beyond its first one.
const fn length_octets(length: usize) -> usize {
    if length < 0x80 {
        0
    } else {
        size_of::<usize>() - length.leading_zeros() as usize / 8
    }
}

/// Writes tag and length, and gives what follows them.
fn put_tag(tag: u8, length: usize, out: &mut [u8]) -> &mut [u8] {
    let octets = length_octets(length);
    let (place, rest) = out.split_at_mut(2 + octets);
    place[0] = tag;
    if octets == 0 {
        place[1] = length as u8;
    } else {
        let bytes = length.to_be_bytes();
        place[1] = 0x80 | octets as u8;
        place[2..].copy_from_slice(&bytes[bytes.len() - octets..]);
    }
    rest
}

/// The contents of the element that `bytes` begin with and what follows it.
fn tagged(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = tag_and_length(tag, bytes)?;
    rest.split_at_checked(length)
}

/// The length of the element that `bytes` begin with, in its shortest form only, and what follows that.
fn tag_and_length(tag: u8, bytes: &[u8]) -> Option<(usize, &[u8])> {
    let [found, first, rest @ ..] = bytes else {
        return None;
    };
    if *found != tag {
        return None;
    }
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if digits.is_empty() || digits.len() > 4 || digits[0] == 0 {
        return None;
    }
    let length = digits
        .iter()
        .fold(0usize, |length, digit| length << 8 | usize::from(*digit));
    (length >= 0x80).then_some((length, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_one_form() {
        for size in [0, 1, 0x70, 0x80, 0x100, 0x10000] {
            let inner = vec![0x55; size];
            let token = frame(Oid::KRB5, &inner);
            assert_eq!(unframe(Oid::KRB5, &token), Ok(&inner[..]), "{size}");
            for cut in 0..token.len().min(20) {
                assert!(
                    unframe(Oid::KRB5, &token[..cut]).is_err(),
                    "{size} cut to {cut}"
                );
            }
            let longer = [&token[..], &[0]].concat();
            assert_eq!(unframe(Oid::KRB5, &longer), Err(FrameError::Malformed));
            let head = token.len() - size;
            assert_eq!(header_length(Oid::KRB5, size), head);
            let found = header(&token[..head]).expect("all of it");
            let expected = FrameHeader {
                oid: Oid::KRB5.bytes(),
                start: head,
                inner: size,
            };
            assert_eq!(found, expected, "{size}");
            for cut in 0..head {
                assert_eq!(header(&token[..cut]), None, "{size} cut to {cut}");
            }
            for bit in 0..head * 8 {
                let mut other = token.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(unframe(Oid::KRB5, &other).is_err(), "{size} bit {bit}");
            }
        }
    }

    #[test]
    fn another_mechanism_is_told_apart() {
        let token = frame(Oid::NT_EXPORT_NAME, b"inner");
        assert_eq!(unframe(Oid::KRB5, &token), Err(FrameError::OtherMechanism));
    }

    #[test]
    fn hostile_lengths_are_refused() {
        for token in [
            &[0x60, 0x80][..],
            &[0x60, 0x84, 0xff, 0xff, 0xff, 0xff, 6],
            &[0x60, 0x88, 0, 0, 0, 0, 0, 0, 0, 1, 6],
            &[0x60, 0x81, 0x05, 6, 1, 1, 0, 0],
        ] {
            assert!(open(token).is_none(), "{token:x?}");
        }
    }
}
