//! Enctype 19: HMAC-SHA256 of the ciphertext beside the cipher.

mod lanes;

use core::arch::x86_64::*;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::aes::clear;
use super::{
    BLOCK, CHUNK, Processor, Schedule, before_last, keyed, load_chunk, pad, store, store_chunk,
};

/// The keys of one usage (RFC 8009): cipher and HMAC-SHA256, whose two blocks of key are hashed already; wipes itself.
pub struct EncryptThenSign<const ROUNDS: usize> {
    cipher: Schedule<ROUNDS>,
    inner: State,
    outer: State,
}

/// SHA-256 between two chunks, as the instructions want it: `a`, `b`, `e`, `f` and `c`, `d`, `g`, `h` from the high element down.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

/// What the hash's input has more than the ciphertext: the initial vector in front (RFC 8009 §5).
const VECTOR: usize = BLOCK;

/// The most that is left to hash behind whole chunks: the last block of the last one, less than a chunk, and the last block.
const REST: usize = VECTOR + CHUNK + BLOCK;

impl<const ROUNDS: usize> EncryptThenSign<ROUNDS> {
    /// Prepares the keys Ke and Ki.
    ///
    /// # Panics
    /// If Ke has not the length that goes with the rounds.
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

    /// Encrypts `message`, of at least one block, in place; gives the front of the HMAC of its ciphertext.
    ///
    /// # Safety
    /// The processor has the instructions, as it had when the keys were made.
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    pub fn seal(&self, message: &mut [u8]) -> [u8; BLOCK] {
        let (length, whole) = (message.len(), before_last(message.len()));
        let done = whole / CHUNK * CHUNK;
        let chunks = message[..done].as_chunks_mut::<CHUNK>().0;
        let (state, chain) = self.seal_chunks(self.inner, _mm_setzero_si128(), chunks);
        self.cipher.encrypt_rest(message, done, chain);
        let (rest, end) = rest(message, done);
        self.close(finish(state, &rest[..end], VECTOR + length))
    }

    /// Decrypts `message`, of at least one block, in place; gives the front of the HMAC that its ciphertext should have.
    ///
    /// # Safety
    /// The processor has the instructions, as it had when the keys were made.
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    pub fn open(&self, message: &mut [u8]) -> [u8; BLOCK] {
        let (length, whole) = (message.len(), before_last(message.len()));
        let done = whole / CHUNK * CHUNK;
        let (rest, end) = rest(message, done);
        self.cipher.decrypt_last(message);
        let chunks = message[..done].as_chunks_mut::<CHUNK>().0;
        let (state, chain) = self.open_chunks(self.inner, _mm_setzero_si128(), chunks);
        self.cipher.decrypt_blocks(&mut message[done..whole], chain);
        self.close(finish(state, &rest[..end], VECTOR + length))
    }

    /// Whole chunks behind the ciphertext block `chain`, which is hashed with them in the last one's stead.
    #[inline]
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    fn seal_chunks(
        &self,
        mut state: State,
        mut chain: __m128i,
        chunks: &mut [[u8; CHUNK]],
    ) -> (State, __m128i) {
        // The hash is a block behind the ciphertext, by the initial vector, and a chunk more behind the cipher.
        let mut waiting = None;
        for chunk in chunks {
            let before = chain;
            (state, chain) = match waiting {
                Some(words) => self.seal_chunk(state, words, chain, chunk),
                None => (state, self.encrypt_chunk(chain, chunk)),
            };
            let [a, b, c, _] = load_chunk(chunk);
            waiting = Some(words([before, a, b, c]));
        }
        if let Some(words) = waiting {
            state = compress(state, words);
        }
        (state, chain)
    }

    /// As above.
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
            let hashed = words([chain, blocks[0], blocks[1], blocks[2]]);
            let plain = [
                _mm_xor_si128(a, chain),
                _mm_xor_si128(b, blocks[0]),
                _mm_xor_si128(c, blocks[1]),
                _mm_xor_si128(d, blocks[2]),
            ];
            chain = blocks[3];
            store_chunk(chunk, plain);
            state = compress(state, hashed);
        }
        (state, chain)
    }

    #[inline]
    #[target_feature(enable = "aes,ssse3,sse4.1")]
    fn encrypt_chunk(&self, mut chain: __m128i, chunk: &mut [u8; CHUNK]) -> __m128i {
        let sealed = load_chunk(chunk).map(|block| {
            chain = self.cipher.encrypt(_mm_xor_si128(chain, block));
            chain
        });
        store_chunk(chunk, sealed);
        chain
    }

    /// Four blocks of the cipher beside the hash of one chunk: a quarter of a block's rounds goes with each four of the hash's.
    #[inline]
    #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
    fn seal_chunk(
        &self,
        state: State,
        mut w: [__m128i; 4],
        chain: __m128i,
        chunk: &mut [u8; CHUNK],
    ) -> (State, __m128i) {
        let keys = &self.cipher.encrypt;
        let (mut abef, mut cdgh) = (state.abef, state.cdgh);
        let plain = load_chunk(chunk).map(|block| _mm_xor_si128(block, keys[0]));
        let mut cipher = _mm_xor_si128(chain, plain[0]);
        let mut sealed = [_mm_setzero_si128(); 4];
        macro_rules! groups {
            ($($i:literal)*) => {$(
                group!($i, w, abef, cdgh);
                let (block, quarter) = ($i / 4, $i % 4);
                let mut round = quarter * ROUNDS / 4 + 1;
                while round <= (quarter + 1) * ROUNDS / 4 {
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
        groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        store_chunk(chunk, sealed);
        (state.after(abef, cdgh), cipher)
    }

    /// The outer hash of HMAC over the inner one.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn close(&self, inner: State) -> [u8; BLOCK] {
        let [first, second] = inner.digest_words();
        let mark = _mm_set_epi32(0, 0, 0, i32::MIN);
        let length = _mm_set_epi32((CHUNK as i32 + 32) * 8, 0, 0, 0);
        let outer = compress(self.outer, [first, second, mark, length]);
        let [first, _] = outer.digest_words();
        let mut tag = [0; BLOCK];
        store(&mut tag, swapped(first));
        tag
    }
}

impl<const ROUNDS: usize> Drop for EncryptThenSign<ROUNDS> {
    fn drop(&mut self) {
        for state in [&mut self.inner, &mut self.outer] {
            state.abef.zeroize();
            state.cdgh.zeroize();
        }
    }
}

impl<const ROUNDS: usize> ZeroizeOnDrop for EncryptThenSign<ROUNDS> {}

impl State {
    /// FIPS 180-4 §5.3.3.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn first() -> Self {
        let [a, b, c, d, e, f, g, h] = [
            0x6a09_e667_u32,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ]
        .map(|word| word as i32);
        Self {
            abef: _mm_set_epi32(a, b, e, f),
            cdgh: _mm_set_epi32(c, d, g, h),
        }
    }

    /// As a [`Job`](super::Job) holds it.
    fn saved(self) -> [__m128i; 4] {
        [self.abef, self.cdgh, self.cdgh, self.cdgh]
    }

    fn of([abef, cdgh, ..]: [__m128i; 4]) -> Self {
        Self { abef, cdgh }
    }

    /// This state with a chunk's rounds added.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn after(self, abef: __m128i, cdgh: __m128i) -> Self {
        Self {
            abef: _mm_add_epi32(abef, self.abef),
            cdgh: _mm_add_epi32(cdgh, self.cdgh),
        }
    }

    /// The words of the digest, the first one in the low element.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn digest_words(self) -> [__m128i; 2] {
        let abcd = _mm_unpackhi_epi64(self.cdgh, self.abef);
        let efgh = _mm_unpacklo_epi64(self.cdgh, self.abef);
        [
            _mm_shuffle_epi32::<0b00_01_10_11>(abcd),
            _mm_shuffle_epi32::<0b00_01_10_11>(efgh),
        ]
    }
}

/// Four rounds: the `$i`th group of sixteen.
macro_rules! group {
    ($i:literal, $w:expr, $abef:expr, $cdgh:expr) => {
        if $i >= 4 {
            let mixed = _mm_sha256msg1_epu32($w[$i % 4], $w[($i + 1) % 4]);
            let shifted = _mm_alignr_epi8::<4>($w[($i + 3) % 4], $w[($i + 2) % 4]);
            let mixed = _mm_add_epi32(mixed, shifted);
            $w[$i % 4] = _mm_sha256msg2_epu32(mixed, $w[($i + 3) % 4]);
        }
        let [k0, k1, k2, k3] = K[$i];
        let wk = _mm_add_epi32(
            $w[$i % 4],
            _mm_set_epi32(k3 as i32, k2 as i32, k1 as i32, k0 as i32),
        );
        $cdgh = _mm_sha256rnds2_epu32($cdgh, $abef, wk);
        $abef = _mm_sha256rnds2_epu32($abef, $cdgh, _mm_shuffle_epi32::<0b00_00_11_10>(wk));
    };
}
use group;

/// FIPS 180-4 §4.2.2.
const K: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// The compression function.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress(state: State, mut w: [__m128i; 4]) -> State {
    let (mut abef, mut cdgh) = (state.abef, state.cdgh);
    macro_rules! groups {
        ($($i:literal)*) => {$( group!($i, w, abef, cdgh); )*};
    }
    groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    state.after(abef, cdgh)
}

/// What of the initial vector and `ciphertext` is not hashed with the whole chunks before `done`: ciphertext, so it may stay.
fn rest(ciphertext: &[u8], done: usize) -> ([u8; REST], usize) {
    let mut rest = [0; REST];
    let (from, to) = match done {
        0 => (0, VECTOR),
        _ => (done - VECTOR, 0),
    };
    let left = &ciphertext[from..];
    rest[to..][..left.len()].copy_from_slice(left);
    (rest, to + left.len())
}

/// The end of the inner hash: `rest` is what of an input of `length` bytes is not hashed yet.
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
    state
}

/// A chunk as the big-endian words of the hash, the first one in the low element.
#[inline]
#[target_feature(enable = "ssse3,sse4.1")]
fn words(chunk: [__m128i; 4]) -> [__m128i; 4] {
    let [a, b, c, d] = chunk;
    [swapped(a), swapped(b), swapped(c), swapped(d)]
}

/// The bytes of each word in the other order.
#[inline]
#[target_feature(enable = "ssse3,sse4.1")]
fn swapped(value: __m128i) -> __m128i {
    let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm_shuffle_epi8(value, order)
}
