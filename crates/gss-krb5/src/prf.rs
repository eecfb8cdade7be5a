//! Keys for applications, derived from a context's own (RFC 4401, RFC 7802).

use gss_core::mechanism::PrfKey;
use krb5_crypto::Key;
use zeroize::Zeroizing;

use crate::error::Local;
use crate::keys::Keys;

/// The most bytes that are derived at once, a thousand times what every mechanism has to give (RFC 4401 §2).
pub const MAX_PSEUDO_RANDOM: usize = 1 << 24;

impl Keys {
    /// The full key is the acceptor's subkey, where it asserted one (RFC 7802 §3). A length above [`MAX_PSEUDO_RANDOM`] is refused.
    pub(crate) fn pseudo_random(
        &self,
        which: PrfKey,
        input: &[u8],
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Local> {
        if length > MAX_PSEUDO_RANDOM {
            return Err(Local::PseudoRandomTooLong(length));
        }
        let full = self.acceptor_subkey.as_ref();
        Ok(match which {
            PrfKey::Full => prf_plus(full.unwrap_or(&self.initiators), input, length),
            PrfKey::Partial => prf_plus(&self.initiators, input, length),
        })
    }
}

/// PRF+ (RFC 7802 §3). Its counter starts at 0, as implementations had it before RFC 4402 said 1.
fn prf_plus(key: &Key, input: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    let mut counted = [&[0; 4], input].concat();
    for counter in 0_u32.. {
        counted[..4].copy_from_slice(&counter.to_be_bytes());
        let left = length - out.len();
        if left == 0 {
            break;
        }
        let block = key.prf(&counted);
        out.extend_from_slice(&block[..block.len().min(left)]);
    }
    out
}

#[cfg(test)]
mod tests {
    use krb5_crypto::Enctype;

    use super::*;
    use crate::tests::vectors::read;

    #[test]
    fn the_standards_vectors_come_out() {
        let cases = read("prf.txt");
        assert_eq!(cases.len(), 8);
        for case in cases {
            let enctype = Enctype::from_number(case.number("enctype")).unwrap();
            let right = Key::new(enctype, &case.bytes("key")).unwrap();
            let wrong = Key::new(enctype, &vec![0; enctype.key_length()]).unwrap();
            let (input, output) = (case.bytes("input"), case.bytes("output"));
            // The empty inputs are of the initiator's key, the others of the acceptor's.
            let (which, keys) = if input.is_empty() {
                let acceptor_subkey = Some(wrong);
                let initiators = right;
                (
                    PrfKey::Partial,
                    Keys {
                        initiators: initiators.into(),
                        acceptor_subkey,
                    },
                )
            } else {
                let (initiators, acceptor_subkey) = (wrong, Some(right));
                (
                    PrfKey::Full,
                    Keys {
                        initiators: initiators.into(),
                        acceptor_subkey,
                    },
                )
            };
            for length in [0, 1, 16, 43, 44] {
                let out = keys.pseudo_random(which, &input, length).unwrap();
                assert_eq!(*out, output[..length]);
            }
        }
    }

    #[test]
    fn without_an_acceptors_subkey_both_are_one() {
        let enctype = Enctype::from_number(18).unwrap();
        let keys = Keys {
            initiators: Key::new(enctype, &[7; 32]).unwrap().into(),
            acceptor_subkey: None,
        };
        let of = |which| keys.pseudo_random(which, b"input", 100).unwrap();
        assert_eq!(of(PrfKey::Full), of(PrfKey::Partial));
    }

    #[test]
    fn a_length_that_nobody_needs_is_refused() {
        let keys = Keys {
            initiators: Key::new(Enctype::from_number(18).unwrap(), &[7; 32])
                .unwrap()
                .into(),
            acceptor_subkey: None,
        };
        for length in [MAX_PSEUDO_RANDOM + 1, isize::MAX as usize, usize::MAX] {
            for which in [PrfKey::Full, PrfKey::Partial] {
                let error = keys.pseudo_random(which, b"input", length).unwrap_err();
                assert!(matches!(error, Local::PseudoRandomTooLong(one) if one == length));
                let error = gss_core::error::Error::from(crate::Error::from(error));
                assert_eq!(error.major(), gss_core::error::Major::Failure);
            }
        }
        let enough = keys.pseudo_random(PrfKey::Full, b"input", 1 << 14).unwrap();
        assert_eq!(enough.len(), 1 << 14, "RFC 4401 §2");
    }
}
