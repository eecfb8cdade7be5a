//! CBC in lanes: several messages at once, each of which waits for its own last block only; and decryption, which waits for nothing.
#![expect(
    clippy::needless_range_loop,
    reason = "lanes are numbers: each step goes through several arrays of them"
)]

use core::arch::x86_64::*;

use super::aes::Schedule;
use super::{BLOCK, load, store};

/// Encrypts `N` bytes of each of `L` messages, chunk by chunk.
#[inline]
#[target_feature(enable = "aes,sse4.1")]
pub(super) fn encrypt<const ROUNDS: usize, const L: usize, const N: usize>(
    keys: &[&Schedule<ROUNDS>; L],
    chains: &mut [__m128i; L],
    strips: &mut [&mut [[u8; N]]; L],
) {
    let count = strips.iter().map(|strip| strip.len()).min().unwrap_or(0);
    for chunk in 0..count {
        for block in 0..N / BLOCK {
            let mut states = *chains;
            for lane in 0..L {
                let plain = load(&strips[lane][chunk].as_chunks::<BLOCK>().0[block]);
                states[lane] = _mm_xor_si128(states[lane], plain);
                states[lane] = _mm_xor_si128(states[lane], keys[lane].encrypt[0]);
            }
            for round in 1..ROUNDS {
                for lane in 0..L {
                    states[lane] = _mm_aesenc_si128(states[lane], keys[lane].encrypt[round]);
                }
            }
            for lane in 0..L {
                let sealed = _mm_aesenclast_si128(states[lane], keys[lane].encrypt[ROUNDS]);
                chains[lane] = sealed;
                store(
                    &mut strips[lane][chunk].as_chunks_mut::<BLOCK>().0[block],
                    sealed,
                );
            }
        }
    }
}

/// The same for `PAIRS` pairs of messages, a pair in a vector of two blocks.
///
/// With `SHARED` all of them are under the first key.
#[inline]
#[target_feature(enable = "aes,sse4.1,avx2,vaes")]
fn encrypt_pairs<const ROUNDS: usize, const PAIRS: usize, const N: usize, const SHARED: bool>(
    keys: &[[&Schedule<ROUNDS>; 2]; PAIRS],
    chains: &mut [[__m128i; 2]; PAIRS],
    strips: &mut [[&mut [[u8; N]]; 2]; PAIRS],
) {
    let count = strips.as_flattened().iter().map(|strip| strip.len()).min();
    let mut vectors = [_mm256_setzero_si256(); PAIRS];
    for pair in 0..PAIRS {
        vectors[pair] = joined(chains[pair]);
    }
    for chunk in 0..count.unwrap_or(0) {
        for block in 0..N / BLOCK {
            for pair in 0..PAIRS {
                let [one, other] = &strips[pair];
                let plain = joined([
                    load(&one[chunk].as_chunks::<BLOCK>().0[block]),
                    load(&other[chunk].as_chunks::<BLOCK>().0[block]),
                ]);
                let key = round_key::<ROUNDS, PAIRS, SHARED>(keys, pair, 0);
                vectors[pair] = _mm256_xor_si256(vectors[pair], _mm256_xor_si256(plain, key));
            }
            for round in 1..ROUNDS {
                for pair in 0..PAIRS {
                    let key = round_key::<ROUNDS, PAIRS, SHARED>(keys, pair, round);
                    vectors[pair] = _mm256_aesenc_epi128(vectors[pair], key);
                }
            }
            for pair in 0..PAIRS {
                let key = round_key::<ROUNDS, PAIRS, SHARED>(keys, pair, ROUNDS);
                vectors[pair] = _mm256_aesenclast_epi128(vectors[pair], key);
                let [one, other] = &mut strips[pair];
                store(
                    &mut one[chunk].as_chunks_mut::<BLOCK>().0[block],
                    _mm256_castsi256_si128(vectors[pair]),
                );
                store(
                    &mut other[chunk].as_chunks_mut::<BLOCK>().0[block],
                    _mm256_extracti128_si256::<1>(vectors[pair]),
                );
            }
        }
    }
    for pair in 0..PAIRS {
        chains[pair] = [
            _mm256_castsi256_si128(vectors[pair]),
            _mm256_extracti128_si256::<1>(vectors[pair]),
        ];
    }
}

/// The same for `L` messages, which are `PAIRS` pairs.
#[inline]
#[target_feature(enable = "aes,sse4.1,avx2,vaes")]
pub(super) fn encrypt_lanes<
    const ROUNDS: usize,
    const PAIRS: usize,
    const L: usize,
    const N: usize,
>(
    keys: &[&Schedule<ROUNDS>; L],
    chains: &mut [__m128i; L],
    strips: &mut [&mut [[u8; N]]; L],
) {
    let shared = keys.iter().all(|key| core::ptr::eq(*key, keys[0]));
    let keys = keys.as_chunks().0.first_chunk().expect("pairs");
    let chains = (chains.as_chunks_mut().0.first_chunk_mut()).expect("pairs");
    let strips = (strips.as_chunks_mut().0.first_chunk_mut()).expect("pairs");
    if shared {
        encrypt_pairs::<ROUNDS, PAIRS, N, true>(keys, chains, strips);
    } else {
        encrypt_pairs::<ROUNDS, PAIRS, N, false>(keys, chains, strips);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn round_key<const ROUNDS: usize, const PAIRS: usize, const SHARED: bool>(
    keys: &[[&Schedule<ROUNDS>; 2]; PAIRS],
    pair: usize,
    round: usize,
) -> __m256i {
    if SHARED {
        _mm256_broadcastsi128_si256(keys[0][0].encrypt[round])
    } else {
        joined(keys[pair].map(|key| key.encrypt[round]))
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn joined([low, high]: [__m128i; 2]) -> __m256i {
    _mm256_set_m128i(high, low)
}

/// Blocks that are decrypted at once.
const WIDE: usize = 16;

/// Decrypts whole blocks that follow the ciphertext block `chain`; the last one of theirs.
#[inline]
#[target_feature(enable = "aes,sse4.1")]
pub(super) fn decrypt<const ROUNDS: usize>(
    keys: &Schedule<ROUNDS>,
    mut chain: __m128i,
    bytes: &mut [u8],
) -> __m128i {
    const AT_ONCE: usize = 8;
    let (turns, rest) = bytes.as_chunks_mut::<{ AT_ONCE * BLOCK }>();
    for turn in turns {
        let blocks = turn.as_chunks_mut::<BLOCK>().0;
        let mut sealed = [chain; AT_ONCE];
        for (sealed, block) in sealed.iter_mut().zip(&*blocks) {
            *sealed = load(block);
        }
        let plain = keys.decrypt(sealed);
        for ((block, plain), sealed) in blocks.iter_mut().zip(plain).zip(sealed) {
            store(block, _mm_xor_si128(plain, chain));
            chain = sealed;
        }
    }
    keys.decrypt_blocks(rest, chain)
}

/// The same, two blocks in a vector.
#[inline]
#[target_feature(enable = "aes,sse4.1,avx2,vaes")]
pub(super) fn decrypt_wide<const ROUNDS: usize>(
    keys: &Schedule<ROUNDS>,
    mut chain: __m128i,
    bytes: &mut [u8],
) -> __m128i {
    const VECTORS: usize = WIDE / 2;
    let (turns, rest) = bytes.as_chunks_mut::<{ WIDE * BLOCK }>();
    for turn in turns {
        let blocks = turn.as_chunks_mut::<BLOCK>().0;
        let first = _mm256_broadcastsi128_si256(keys.decrypt[0]);
        let mut states = [first; VECTORS];
        let mut before = [first; VECTORS];
        let mut last = chain;
        for at in 0..VECTORS {
            let (low, high) = (load(&blocks[2 * at]), load(&blocks[2 * at + 1]));
            states[at] = _mm256_xor_si256(joined([low, high]), first);
            before[at] = joined([last, low]);
            last = high;
        }
        for round in 1..ROUNDS {
            let key = _mm256_broadcastsi128_si256(keys.decrypt[round]);
            for state in &mut states {
                *state = _mm256_aesdec_epi128(*state, key);
            }
        }
        let key = _mm256_broadcastsi128_si256(keys.decrypt[ROUNDS]);
        for at in 0..VECTORS {
            let plain = _mm256_aesdeclast_epi128(states[at], _mm256_xor_si256(key, before[at]));
            store(&mut blocks[2 * at], _mm256_castsi256_si128(plain));
            store(
                &mut blocks[2 * at + 1],
                _mm256_extracti128_si256::<1>(plain),
            );
        }
        chain = last;
    }
    decrypt(keys, chain, rest)
}
