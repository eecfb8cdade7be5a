//! Chooses between RustCrypto's primitives and the kernels that a processor has the instructions for.
//!
//! The one module here with `unsafe` code: calls into functions that need those instructions. A kernel's keys are only made
//! where [`Processor::detect`] found them, and hold for as long as they live what that showed.

use crate::cipher::Seal;

/// Prepares the keys Ke and Ki with RustCrypto's primitives.
pub(crate) type Portable = fn(&[u8], &[u8]) -> Box<dyn Seal>;

/// Prepares the keys Ke and Ki, with a kernel where there is one for this processor.
pub(crate) type Choose = fn(&[u8], &[u8], Portable) -> Box<dyn Seal>;

/// There is no kernel.
#[cfg(any(test, not(target_arch = "x86_64")))]
pub(crate) fn none(ke: &[u8], ki: &[u8], portable: Portable) -> Box<dyn Seal> {
    portable(ke, ki)
}

#[cfg(not(target_arch = "x86_64"))]
mod chosen {
    pub(crate) use super::none as sha256;
    pub(crate) use super::none as sha384;

    use super::{Portable, Seal};

    pub(crate) fn sha1<const ROUNDS: usize>(
        ke: &[u8],
        ki: &[u8],
        portable: Portable,
    ) -> Box<dyn Seal> {
        portable(ke, ki)
    }
}

#[cfg(target_arch = "x86_64")]
mod chosen {
    use std::sync::OnceLock;

    use krb5_kernels::x86::{
        EncryptThenSign, EncryptThenSign384, Processor, SignThenEncrypt, VectorProcessor,
    };
    use zeroize::{ZeroizeOnDrop, Zeroizing};

    use super::Portable;
    use crate::IntegrityError;
    use crate::cipher::Seal;
    use crate::mac::same;
    use crate::pieces::Piece;

    pub(crate) fn sha1<const ROUNDS: usize>(
        ke: &[u8],
        ki: &[u8],
        portable: Portable,
    ) -> Box<dyn Seal> {
        let Some(processor) = Processor::detect() else {
            return portable(ke, ki);
        };
        // SAFETY: `processor` shows that the instructions are there.
        let kernel = unsafe { SignThenEncrypt::<ROUNDS>::new(processor, ke, ki) };
        Box::new(Fast::new(kernel, ke, ki, portable))
    }

    pub(crate) fn sha256(ke: &[u8], ki: &[u8], portable: Portable) -> Box<dyn Seal> {
        let Some(processor) = Processor::detect() else {
            return portable(ke, ki);
        };
        // SAFETY: `processor` shows that the instructions are there.
        let kernel = unsafe { EncryptThenSign::<10>::new(processor, ke, ki) };
        Box::new(Fast::new(kernel, ke, ki, portable))
    }

    pub(crate) fn sha384(ke: &[u8], ki: &[u8], portable: Portable) -> Box<dyn Seal> {
        let Some(processor) = VectorProcessor::detect() else {
            return portable(ke, ki);
        };
        // SAFETY: `processor` shows that the instructions are there.
        let kernel = unsafe { EncryptThenSign384::new(processor, ke, ki) };
        Box::new(Fast::new(kernel, ke, ki, portable))
    }

    /// A kernel with its keys.
    trait Kernel: Send + Sync + ZeroizeOnDrop {
        /// The front of a code, at least as long as the checksum.
        type Code: AsRef<[u8]>;

        /// Encrypts in place; gives the checksum.
        fn seal(&self, message: &mut [u8]) -> Self::Code;

        /// Decrypts in place; gives the checksum that there should be.
        fn open(&self, message: &mut [u8]) -> Self::Code;
    }

    impl<const ROUNDS: usize> Kernel for SignThenEncrypt<ROUNDS> {
        type Code = [u8; 16];

        fn seal(&self, message: &mut [u8]) -> [u8; 16] {
            // SAFETY: these keys were made by showing that the instructions are there.
            unsafe { self.seal(message) }
        }

        fn open(&self, message: &mut [u8]) -> [u8; 16] {
            // SAFETY: as above.
            unsafe { self.open(message) }
        }
    }

    impl<const ROUNDS: usize> Kernel for EncryptThenSign<ROUNDS> {
        type Code = [u8; 16];

        fn seal(&self, message: &mut [u8]) -> [u8; 16] {
            // SAFETY: these keys were made by showing that the instructions are there.
            unsafe { self.seal(message) }
        }

        fn open(&self, message: &mut [u8]) -> [u8; 16] {
            // SAFETY: as above.
            unsafe { self.open(message) }
        }
    }

    impl Kernel for EncryptThenSign384 {
        type Code = [u8; 24];

        fn seal(&self, message: &mut [u8]) -> [u8; 24] {
            // SAFETY: these keys were made by showing that the instructions are there.
            unsafe { self.seal(message) }
        }

        fn open(&self, message: &mut [u8]) -> [u8; 24] {
            // SAFETY: as above.
            unsafe { self.open(message) }
        }
    }

    /// The keys of one usage: a kernel's, and those that make RustCrypto's for messages in pieces, which no kernel takes.
    struct Fast<K> {
        kernel: K,
        keys: Zeroizing<[u8; 64]>,
        lengths: (usize, usize),
        portable: Portable,
        prepared: OnceLock<Box<dyn Seal>>,
    }

    impl<K: Kernel> Fast<K> {
        fn new(kernel: K, ke: &[u8], ki: &[u8], portable: Portable) -> Self {
            let mut keys = Zeroizing::new([0; 64]);
            keys[..ke.len()].copy_from_slice(ke);
            keys[ke.len()..][..ki.len()].copy_from_slice(ki);
            Self {
                kernel,
                keys,
                lengths: (ke.len(), ki.len()),
                portable,
                prepared: OnceLock::new(),
            }
        }

        fn portable(&self) -> &dyn Seal {
            let prepared = self.prepared.get_or_init(|| {
                let (ke, rest) = self.keys.split_at(self.lengths.0);
                let prepared = (self.portable)(ke, &rest[..self.lengths.1]);
                crate::stack::wipe();
                prepared
            });
            &**prepared
        }
    }

    impl<K: Kernel> Seal for Fast<K> {
        fn seal(&self, message: &mut [u8], checksum: &mut [u8]) {
            let computed = self.kernel.seal(message);
            checksum.copy_from_slice(&computed.as_ref()[..checksum.len()]);
        }

        fn open(&self, message: &mut [u8], checksum: &[u8]) -> Result<(), IntegrityError> {
            let computed = self.kernel.open(message);
            let verdict = same(&computed.as_ref()[..checksum.len()], checksum);
            if verdict.is_err() {
                message.fill(0);
            }
            verdict
        }

        fn seal_pieces(&self, pieces: &mut [Piece<'_>], checksum: &mut [u8]) {
            self.portable().seal_pieces(pieces, checksum);
        }

        fn open_pieces(
            &self,
            pieces: &mut [Piece<'_>],
            checksum: &[u8],
        ) -> Result<(), IntegrityError> {
            self.portable().open_pieces(pieces, checksum)
        }
    }

    impl<K: Kernel> ZeroizeOnDrop for Fast<K> {}
}

pub(crate) use chosen::{sha1, sha256, sha384};

#[cfg(test)]
mod tests {
    use aes::{Aes128, Aes256};
    use hmac::block_api::HmacCore;
    use sha1::Sha1;
    use sha2::{Sha256, Sha384};

    use super::*;
    use crate::IntegrityError;
    use crate::cipher::{EncryptThenSign, SignThenEncrypt};

    /// The two ways of each enctype that has a kernel.
    struct Ways {
        number: i32,
        portable: Box<dyn Seal>,
        chosen: Box<dyn Seal>,
        checksum: usize,
    }

    fn bytes(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    fn ways(seed: u64) -> [Ways; 4] {
        let way = |number, choose: Choose, portable: Portable, key, checksum| {
            let (ke, ki) = (bytes(key, seed), bytes(key, seed + 1));
            Ways {
                number,
                portable: portable(&ke, &ki),
                chosen: choose(&ke, &ki, portable),
                checksum,
            }
        };
        let aes128_sha1: Portable = SignThenEncrypt::<Aes128, HmacCore<Sha1>>::boxed;
        let aes256_sha1: Portable = SignThenEncrypt::<Aes256, HmacCore<Sha1>>::boxed;
        let aes256_sha2: Portable = EncryptThenSign::<Aes256, HmacCore<Sha384>>::boxed;
        let aes128_sha2: Portable = EncryptThenSign::<Aes128, HmacCore<Sha256>>::boxed;
        [
            way(17, super::sha1::<10>, aes128_sha1, 16, 12),
            way(18, super::sha1::<14>, aes256_sha1, 32, 12),
            way(19, super::sha256, aes128_sha2, 16, 16),
            way(20, super::sha384, aes256_sha2, 32, 24),
        ]
    }

    fn lengths() -> impl Iterator<Item = usize> {
        let random = bytes(60, 7);
        let random = random.as_chunks::<3>().0.iter();
        let random = random.map(|&[a, b, c]| usize::from_be_bytes([0, 0, 0, 0, 0, a & 1, b, c]));
        (16..=640)
            .chain([1024, 4096, 16384, 65536])
            .chain(random.map(|length| length + 16).collect::<Vec<_>>())
    }

    #[test]
    fn every_length_is_the_same_either_way() {
        for (length, seed) in lengths().zip(1..) {
            for way in ways(seed) {
                let what = format!("enctype {}, {length} bytes", way.number);
                let message = bytes(length, seed + 2);
                let sealed = |sealer: &dyn Seal| {
                    let (mut buffer, mut checksum) = (message.clone(), vec![0; way.checksum]);
                    sealer.seal(&mut buffer, &mut checksum);
                    (buffer, checksum)
                };
                let (ciphertext, checksum) = sealed(&*way.portable);
                assert_eq!(
                    sealed(&*way.chosen),
                    (ciphertext.clone(), checksum.clone()),
                    "{what}"
                );
                for sealer in [&way.portable, &way.chosen] {
                    let mut buffer = ciphertext.clone();
                    assert_eq!(sealer.open(&mut buffer, &checksum), Ok(()), "{what}");
                    assert_eq!(buffer, message, "{what}");
                }
            }
        }
    }

    #[test]
    fn what_was_altered_is_refused_either_way_and_leaves_nothing() {
        for way in ways(3) {
            for length in [
                16, 17, 31, 32, 48, 64, 79, 80, 81, 96, 127, 128, 129, 200, 272,
            ] {
                let message = bytes(length, 5);
                for sealer in [&way.portable, &way.chosen] {
                    let (mut ciphertext, mut checksum) = (message.clone(), vec![0; way.checksum]);
                    sealer.seal(&mut ciphertext, &mut checksum);
                    for bit in 0..(length + way.checksum) * 8 {
                        let (mut buffer, mut found) = (ciphertext.clone(), checksum.clone());
                        match buffer.get_mut(bit / 8) {
                            Some(byte) => *byte ^= 1 << (bit % 8),
                            None => found[bit / 8 - length] ^= 1 << (bit % 8),
                        }
                        let verdict = sealer.open(&mut buffer, &found);
                        let what = format!("enctype {}, {length} bytes, bit {bit}", way.number);
                        assert_eq!(verdict, Err(IntegrityError::Mismatch), "{what}");
                        let left = buffer
                            .windows(4)
                            .any(|left| message.windows(4).any(|was| was == left));
                        assert!(!left, "{what}");
                    }
                }
            }
        }
    }

    /// Keys of several usages are used side by side, so what one message leaves behind must not show in the next.
    #[test]
    fn pieces_and_wholes_go_together() {
        use crate::pieces::Piece;
        for way in ways(9) {
            let message = bytes(100, 11);
            let (mut whole, mut checksum) = (message.clone(), vec![0; way.checksum]);
            way.chosen.seal(&mut whole, &mut checksum);
            let mut parts = message.clone();
            let (front, back) = parts.split_at_mut(37);
            let mut pieces = [Piece::Seal(front), Piece::Seal(back)];
            let mut other = vec![0; way.checksum];
            way.chosen.seal_pieces(&mut pieces, &mut other);
            assert_eq!(way.chosen.open_pieces(&mut pieces, &checksum), Ok(()));
            assert_eq!(
                (parts, other),
                (message, checksum),
                "enctype {}",
                way.number
            );
        }
    }
}
