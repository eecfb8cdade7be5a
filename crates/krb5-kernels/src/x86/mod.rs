//! x86-64 with AES-NI and, for SHA-1 and SHA-256, SHA-NI; for SHA-384 with AVX2.

mod aes;
mod cbc;
mod lanes;
mod sha1;
mod sha256;
mod sha384;

use core::arch::x86_64::*;

use aes::Schedule;

pub use lanes::Job;
pub use sha1::SignThenEncrypt;
pub use sha256::EncryptThenSign;
pub use sha384::EncryptThenSign384;

/// Shows that this processor has the instructions of this module: AES-NI, SHA-NI, SSSE3 and SSE4.1.
#[derive(Clone, Copy)]
pub struct Processor(());

impl Processor {
    /// Asks the processor.
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        found.then_some(Self(()))
    }
}

/// Shows that this processor has what enctype 20 takes: AES-NI, AVX2, BMI1 and BMI2.
#[derive(Clone, Copy)]
pub struct VectorProcessor(());

impl VectorProcessor {
    /// Asks the processor.
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("sse4.1")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        found.then_some(Self(()))
    }
}

/// Shows that this processor has AVX2 and VAES, which is AES on two blocks in a vector.
#[derive(Clone, Copy)]
pub struct WideProcessor(());

impl WideProcessor {
    /// Asks the processor.
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("vaes");
        found.then_some(Self(()))
    }
}

/// Bytes in a block of the cipher.
const BLOCK: usize = 16;

/// Bytes in a block of the hash, which is what one turn of a kernel takes.
const CHUNK: usize = 64;

#[inline]
#[target_feature(enable = "sse4.1")]
fn load(bytes: &[u8; BLOCK]) -> __m128i {
    let bits = u128::from_le_bytes(*bytes);
    _mm_set_epi64x((bits >> 64) as i64, bits as i64)
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn store(bytes: &mut [u8; BLOCK], value: __m128i) {
    let (low, high) = (_mm_cvtsi128_si64(value), _mm_extract_epi64::<1>(value));
    *bytes = (u128::from(high as u64) << 64 | u128::from(low as u64)).to_le_bytes();
}

/// The four blocks of a chunk.
#[inline]
#[target_feature(enable = "sse4.1")]
fn load_chunk(chunk: &[u8; CHUNK]) -> [__m128i; 4] {
    let (blocks, _) = chunk.as_chunks::<BLOCK>();
    [
        load(&blocks[0]),
        load(&blocks[1]),
        load(&blocks[2]),
        load(&blocks[3]),
    ]
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn store_chunk(chunk: &mut [u8; CHUNK], values: [__m128i; 4]) {
    let (blocks, _) = chunk.as_chunks_mut::<BLOCK>();
    for (block, value) in blocks.iter_mut().zip(values) {
        store(block, value);
    }
}

/// A block of HMAC's key: with `pad` 0x36 the inner one, with 0x5c the outer (RFC 2104 §2). No key here is longer than a chunk.
fn keyed(key: &[u8], pad: u8) -> [u8; CHUNK] {
    let mut block = [pad; CHUNK];
    block.iter_mut().zip(key).for_each(|(a, b)| *a ^= b);
    block
}

/// What follows the whole chunks of a hash's input: the last bytes, the end's mark and the length of all, in one chunk or two.
///
/// `rest` has less than a chunk; `length` counts the bytes of all chunks. `last` is all zeros before; gives how much of it counts.
#[inline]
fn pad(last: &mut [u8; 2 * CHUNK], rest: &[u8], length: usize) -> usize {
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    let end = if rest.len() < CHUNK - 8 {
        CHUNK
    } else {
        2 * CHUNK
    };
    last[end - 8..end].copy_from_slice(&(length as u64 * 8).to_be_bytes());
    end
}

/// How many bytes stand before the last block, which has 1 to 16 of them.
const fn before_last(length: usize) -> usize {
    (length - 1) / BLOCK * BLOCK
}
