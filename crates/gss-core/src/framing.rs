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
    let oid = mechanism.bytes();
    let length = 2 + oid.len() + inner.len();
    let mut out = Vec::with_capacity(length + 8);
    out.push(0x60);
    put_length(&mut out, length);
    out.push(0x06);
    put_length(&mut out, oid.len());
    out.extend_from_slice(oid);
    out.extend_from_slice(inner);
    out
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

fn put_length(out: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        out.push(length as u8);
        return;
    }
    let bytes = length.to_be_bytes();
    let skip = length.leading_zeros() as usize / 8;
    out.push(0x80 | (bytes.len() - skip) as u8);
    out.extend_from_slice(&bytes[skip..]);
}

/// The contents of the element that `bytes` begin with and what follows it; lengths in their shortest form only.
fn tagged(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [found, first, rest @ ..] = bytes else {
        return None;
    };
    if *found != tag {
        return None;
    }
    if *first < 0x80 {
        return rest.split_at_checked(usize::from(*first));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if digits.is_empty() || digits.len() > 4 || digits[0] == 0 {
        return None;
    }
    let length = digits
        .iter()
        .fold(0usize, |length, digit| length << 8 | usize::from(*digit));
    if length < 0x80 {
        return None;
    }
    rest.split_at_checked(length)
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
