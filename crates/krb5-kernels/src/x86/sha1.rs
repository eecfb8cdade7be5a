//! Enctypes 17 and 18: HMAC-SHA1 of the plaintext beside the cipher.

mod lanes;

use core::arch::x86_64::*;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::aes::clear;
use super::{
    BLOCK, CHUNK, Processor, Schedule, before_last, keyed, load_chunk, pad, store, store_chunk,
};

/// The keys of one usage (RFC 3962): cipher and HMAC-SHA1, whose two blocks of key are hashed already; wipes itself.
pub struct SignThenEncrypt<const ROUNDS: usize> {
    cipher: Schedule<ROUNDS>,
    inner: State,
    outer: State,
}

/// SHA-1 between two chunks: `a` to `d` from the high element down, and `e` in the high element.
#[derive(Clone, Copy)]
struct State {
    abcd: __m128i,
    e: __m128i,
}

impl<const ROUNDS: usize> SignThenEncrypt<ROUNDS> {
    /// Prepares the keys Ke and Ki.
    ///
    /// # Panics
    /// If a key has not the length that goes with the rounds.
    ///
    /// # Safety
    /// The processor has the instructions, which a [`Processor`] shows.
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    pub fn new(_: Processor, ke: &[u8], ki: &[u8]) -> Self {
        let (mut inner, mut outer) = (keyed(ki, 0x36), keyed(ki, 0x5c));
        let keys = Self {
            cipher: Schedule::new(ke),
            inner: compress(State::first(), words(load_chunk(&inner))),
            outer: compress(State::first(), words(load_chunk(&outer))),
        };
        clear(&mut inner);
        clear(&mut outer);
        keys
    }

    /// Encrypts `message`, of at least one block, in place; gives the front of its HMAC.
    ///
    /// # Safety
    /// The processor has the instructions, as it had when the keys were made.
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    pub fn seal(&self, message: &mut [u8]) -> [u8; BLOCK] {
        let (length, whole) = (message.len(), before_last(message.len()));
        let done = whole / CHUNK * CHUNK;
        let chunks = message[..done].as_chunks_mut::<CHUNK>().0;
        let (state, chain) = self.seal_chunks(self.inner, _mm_setzero_si128(), chunks);
        let inner = finish(state, &message[done..], length);
        self.cipher.encrypt_rest(message, done, chain);
        self.close(inner)
    }

    /// Decrypts `message`, of at least one block, in place; gives the front of the HMAC that it should have.
    ///
    /// # Safety
    /// The processor has the instructions, as it had when the keys were made.
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    pub fn open(&self, message: &mut [u8]) -> [u8; BLOCK] {
        let (length, whole) = (message.len(), before_last(message.len()));
        // Behind it is what stealing ties together.
        let done = whole.saturating_sub(BLOCK) / CHUNK * CHUNK;
        let chunks = message[..done].as_chunks_mut::<CHUNK>().0;
        let (state, chain) = self.open_chunks(self.inner, _mm_setzero_si128(), chunks);
        self.cipher.decrypt_rest(message, done, chain);
        self.close(finish(state, &message[done..], length))
    }

    #[inline]
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    fn seal_chunks(
        &self,
        mut state: State,
        mut chain: __m128i,
        chunks: &mut [[u8; CHUNK]],
    ) -> (State, __m128i) {
        for chunk in chunks {
            (state, chain) = self.seal_chunk(state, chain, chunk);
        }
        (state, chain)
    }

    #[inline]
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    fn open_chunks(
        &self,
        mut state: State,
        mut chain: __m128i,
        chunks: &mut [[u8; CHUNK]],
    ) -> (State, __m128i) {
        for chunk in chunks {
            let blocks = load_chunk(chunk);
            let [a, b, c, d] = self.cipher.decrypt(blocks);
            let plain = [
                _mm_xor_si128(a, chain),
                _mm_xor_si128(b, blocks[0]),
                _mm_xor_si128(c, blocks[1]),
                _mm_xor_si128(d, blocks[2]),
            ];
            chain = blocks[3];
            store_chunk(chunk, plain);
            state = compress(state, words(plain));
        }
        (state, chain)
    }

    /// Four blocks of the cipher beside one of the hash: a fifth of a block's rounds goes with each four of the hash's.
    #[inline]
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    fn seal_chunk(
        &self,
        state: State,
        chain: __m128i,
        chunk: &mut [u8; CHUNK],
    ) -> (State, __m128i) {
        let keys = &self.cipher.encrypt;
        let plain = load_chunk(chunk);
        let mut w = words(plain);
        let (mut abcd, mut before) = (state.abcd, state.e);
        // Each plaintext block enters with the last round key of the block before it, so that nothing is added to the chain.
        let plain = plain.map(|block| _mm_xor_si128(block, keys[0]));
        let mut cipher = _mm_xor_si128(chain, plain[0]);
        let mut sealed = [_mm_setzero_si128(); 4];
        macro_rules! groups {
            ($($i:literal)*) => {$(
                group!($i, w, abcd, before);
                const { assert!(ROUNDS == 10 || ROUNDS == 14) };
                let (block, fifth) = ($i / 5, $i % 5);
                let mut round = fifth * ROUNDS / 5 + 1;
                while round <= (fifth + 1) * ROUNDS / 5 {
                    if round < ROUNDS {
                        cipher = _mm_aesenc_si128(cipher, keys[round]);
                    } else if block < 3 {
                        let next = plain[block + 1];
                        cipher = _mm_aesenclast_si128(cipher, _mm_xor_si128(keys[ROUNDS], next));
                        sealed[block] = _mm_xor_si128(cipher, next);
                    } else {
                        cipher = _mm_aesenclast_si128(cipher, keys[ROUNDS]);
                        sealed[block] = cipher;
                    }
                    round += 1;
                }
            )*};
        }
        groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        store_chunk(chunk, sealed);
        (state.after(abcd, before), cipher)
    }

    /// The outer hash of HMAC over the inner one.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn close(&self, inner: State) -> [u8; BLOCK] {
        let mark = _mm_set_epi32(0, i32::MIN, 0, 0);
        let length = _mm_set_epi32(0, 0, 0, (CHUNK as i32 + 20) * 8);
        let zero = _mm_setzero_si128();
        let words = [inner.abcd, _mm_or_si128(inner.e, mark), zero, length];
        let mut tag = [0; BLOCK];
        store(&mut tag, swapped(compress(self.outer, words).abcd));
        tag
    }
}

impl<const ROUNDS: usize> Drop for SignThenEncrypt<ROUNDS> {
    fn drop(&mut self) {
        for state in [&mut self.inner, &mut self.outer] {
            state.abcd.zeroize();
            state.e.zeroize();
        }
    }
}

impl<const ROUNDS: usize> ZeroizeOnDrop for SignThenEncrypt<ROUNDS> {}

impl State {
    /// FIPS 180-4 §5.3.1.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn first() -> Self {
        let [a, b, c, d, e] = [
            0x6745_2301_u32,
            0xefcd_ab89,
            0x98ba_dcfe,
            0x1032_5476,
            0xc3d2_e1f0,
        ]
        .map(|word| word as i32);
        Self {
            abcd: _mm_set_epi32(a, b, c, d),
            e: _mm_set_epi32(e, 0, 0, 0),
        }
    }

    /// As a [`Job`](super::Job) holds it.
    fn saved(self) -> [__m128i; 4] {
        [self.abcd, self.e, self.e, self.e]
    }

    fn of([abcd, e, ..]: [__m128i; 4]) -> Self {
        Self { abcd, e }
    }

    /// This state with a chunk's rounds, which left `abcd`, and `before` four rounds earlier, added.
    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn after(self, abcd: __m128i, before: __m128i) -> Self {
        Self {
            abcd: _mm_add_epi32(abcd, self.abcd),
            e: _mm_sha1nexte_epu32(before, self.e),
        }
    }
}

/// Four rounds: the `$i`th group of twenty.
macro_rules! group {
    ($i:literal, $w:expr, $abcd:expr, $before:expr) => {
        if $i >= 4 {
            let mixed = _mm_sha1msg1_epu32($w[$i % 4], $w[($i + 1) % 4]);
            let mixed = _mm_xor_si128(mixed, $w[($i + 2) % 4]);
            $w[$i % 4] = _mm_sha1msg2_epu32(mixed, $w[($i + 3) % 4]);
        }
        let e = if $i == 0 {
            _mm_add_epi32($before, $w[0])
        } else {
            _mm_sha1nexte_epu32($before, $w[$i % 4])
        };
        $before = $abcd;
        $abcd = _mm_sha1rnds4_epu32::<{ $i / 5 }>($abcd, e);
    };
}
use group;

/// The compression function.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn compress(state: State, mut w: [__m128i; 4]) -> State {
    let (mut abcd, mut before) = (state.abcd, state.e);
    macro_rules! groups {
        ($($i:literal)*) => {$( group!($i, w, abcd, before); )*};
    }
    groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
    state.after(abcd, before)
}

/// The end of the inner hash: `rest` is what of a message of `length` bytes is not hashed yet.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn finish(mut state: State, rest: &[u8], length: usize) -> State {
    let (chunks, rest) = rest.as_chunks::<CHUNK>();
    for chunk in chunks {
        state = compress(state, words(load_chunk(chunk)));
    }
    let mut last = [0; 2 * CHUNK];
    let end = pad(&mut last, rest, CHUNK + length);
    for chunk in last[..end].as_chunks::<CHUNK>().0 {
        state = compress(state, words(load_chunk(chunk)));
    }
    clear(&mut last);
    state
}

/// A chunk as the big-endian words of the hash, the first one in the high element.
#[inline]
#[target_feature(enable = "ssse3,sse4.1")]
fn words(chunk: [__m128i; 4]) -> [__m128i; 4] {
    let [a, b, c, d] = chunk;
    [swapped(a), swapped(b), swapped(c), swapped(d)]
}

/// The bytes in the other order.
#[inline]
#[target_feature(enable = "ssse3,sse4.1")]
fn swapped(value: __m128i) -> __m128i {
    let order = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    _mm_shuffle_epi8(value, order)
}
