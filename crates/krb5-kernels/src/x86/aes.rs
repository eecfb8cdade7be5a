//! AES in CBC mode with ciphertext stealing and an initial vector of zeros (RFC 3962 §5: CBC-CS3).

use core::arch::x86_64::*;

use zeroize::Zeroize;

use super::{BLOCK, before_last, load, store};

/// The round keys of both directions; wipes itself. `ROUNDS` is 10 with keys of 16 bytes and 14 with keys of 32.
pub(super) struct Schedule<const ROUNDS: usize> {
    pub(super) encrypt: [__m128i; 15],
    pub(super) decrypt: [__m128i; 15],
}

impl<const ROUNDS: usize> Schedule<ROUNDS> {
    /// Expands a key (FIPS 197 §5.2).
    ///
    /// # Panics
    /// If the key has not the length that goes with the rounds.
    #[target_feature(enable = "aes,sse4.1")]
    pub(super) fn new(key: &[u8]) -> Self {
        let zero = _mm_setzero_si128();
        let mut keys = Self {
            encrypt: [zero; 15],
            decrypt: [zero; 15],
        };
        let (given, rest) = key.as_chunks::<BLOCK>();
        assert!(
            rest.is_empty() && 4 * given.len() + 6 == ROUNDS,
            "a key's length"
        );
        for (round, bytes) in keys.encrypt.iter_mut().zip(given) {
            *round = load(bytes);
        }
        let mut constant = 1;
        for at in given.len()..=ROUNDS {
            let assisted = _mm_aeskeygenassist_si128::<0>(keys.encrypt[at - 1]);
            let mixed = if at % given.len() == 0 {
                let rotated = _mm_shuffle_epi32::<0xff>(assisted);
                let mixed = _mm_xor_si128(rotated, _mm_set1_epi32(constant));
                constant = constant << 1 ^ if constant & 0x80 == 0 { 0 } else { 0x11b };
                mixed
            } else {
                _mm_shuffle_epi32::<0xaa>(assisted)
            };
            keys.encrypt[at] = _mm_xor_si128(spread(keys.encrypt[at - given.len()]), mixed);
        }
        for round in 0..=ROUNDS {
            let key = keys.encrypt[ROUNDS - round];
            keys.decrypt[round] = match round {
                0 => key,
                _ if round == ROUNDS => key,
                _ => _mm_aesimc_si128(key),
            };
        }
        keys
    }

    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    pub(super) fn encrypt(&self, block: __m128i) -> __m128i {
        let mut state = _mm_xor_si128(block, self.encrypt[0]);
        for round in 1..ROUNDS {
            state = _mm_aesenc_si128(state, self.encrypt[round]);
        }
        _mm_aesenclast_si128(state, self.encrypt[ROUNDS])
    }

    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    pub(super) fn decrypt<const N: usize>(&self, blocks: [__m128i; N]) -> [__m128i; N] {
        let mut states = blocks;
        for state in &mut states {
            *state = _mm_xor_si128(*state, self.decrypt[0]);
        }
        for round in 1..ROUNDS {
            for state in &mut states {
                *state = _mm_aesdec_si128(*state, self.decrypt[round]);
            }
        }
        for state in &mut states {
            *state = _mm_aesdeclast_si128(*state, self.decrypt[ROUNDS]);
        }
        states
    }

    /// Encrypts what follows the first `done` bytes of a message, which are encrypted and end with the block `chain`.
    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    pub(super) fn encrypt_rest(&self, message: &mut [u8], done: usize, mut chain: __m128i) {
        let (front, last) = message.split_at_mut(before_last(message.len()));
        for block in front[done..].as_chunks_mut::<BLOCK>().0 {
            chain = self.encrypt(_mm_xor_si128(chain, load(block)));
            store(block, chain);
        }
        let mut padded = [0; BLOCK];
        padded[..last.len()].copy_from_slice(last);
        let stolen = self.encrypt(_mm_xor_si128(chain, load(&padded)));
        match front.last_chunk_mut::<BLOCK>() {
            Some(before) => {
                last.copy_from_slice(&before[..last.len()]);
                store(before, stolen);
            }
            None => {
                store(&mut padded, stolen);
                last.copy_from_slice(&padded);
            }
        }
        clear(&mut padded);
    }

    /// Puts the last block's plaintext into its place, and in front of it the ciphertext block that was cut, made whole again.
    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    pub(super) fn decrypt_last(&self, message: &mut [u8]) {
        let (front, last) = message.split_at_mut(before_last(message.len()));
        let mut mixed = [0; BLOCK];
        let Some(before) = front.last_chunk_mut::<BLOCK>() else {
            mixed[..last.len()].copy_from_slice(last);
            let [plain] = self.decrypt([load(&mixed)]);
            store(&mut mixed, plain);
            last.copy_from_slice(&mixed[..last.len()]);
            return clear(&mut mixed);
        };
        let [plain] = self.decrypt([load(before)]);
        store(&mut mixed, plain);
        before[..last.len()].copy_from_slice(last);
        before[last.len()..].copy_from_slice(&mixed[last.len()..]);
        for (byte, mixed) in last.iter_mut().zip(mixed) {
            *byte ^= mixed;
        }
        // With the ciphertext, which is no secret, it would give the last block's plaintext.
        clear(&mut mixed);
    }

    /// Decrypts what follows the first `done` bytes of a message, the last ciphertext block of which is `chain`. What stealing ties
    /// together is behind them.
    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    pub(super) fn decrypt_rest(&self, message: &mut [u8], done: usize, chain: __m128i) {
        let rest = &mut message[done..];
        self.decrypt_last(rest);
        let whole = before_last(rest.len());
        self.decrypt_blocks(&mut rest[..whole], chain);
    }

    /// Decrypts whole blocks that follow the ciphertext block `chain`; gives the last one of their ciphertext.
    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    pub(super) fn decrypt_blocks(&self, blocks: &mut [u8], mut chain: __m128i) -> __m128i {
        for block in blocks.as_chunks_mut::<BLOCK>().0 {
            let ciphertext = load(block);
            let [plain] = self.decrypt([ciphertext]);
            store(block, _mm_xor_si128(plain, chain));
            chain = ciphertext;
        }
        chain
    }
}

impl<const ROUNDS: usize> Drop for Schedule<ROUNDS> {
    fn drop(&mut self) {
        self.encrypt.zeroize();
        self.decrypt.zeroize();
    }
}

/// Each word with those before it added.
#[inline]
#[target_feature(enable = "sse4.1")]
fn spread(words: __m128i) -> __m128i {
    let two = _mm_xor_si128(words, _mm_slli_si128::<4>(words));
    _mm_xor_si128(two, _mm_slli_si128::<8>(two))
}

/// Overwrites a copy of plaintext, in a way the compiler keeps.
pub(super) fn clear<const N: usize>(bytes: &mut [u8; N]) {
    *bytes = [0; N];
    core::hint::black_box(bytes);
}
