//! Many messages side by side: while one waits for its last block, the others go on.
//!
//! The messages may differ in length and in their keys. In each turn those with the most left go on by a strip, as many as there are
//! lanes; so no long message is left alone at the end while that can be helped.

use core::arch::x86_64::*;
use core::cmp::Reverse;

use super::{BLOCK, before_last};

/// A message to seal or open beside others, and how far it has come. Its keys make it.
pub struct Job<'a, K, C> {
    pub(super) keys: &'a K,
    pub(super) message: &'a mut [u8],
    /// Where the front of its HMAC goes.
    pub(super) code: &'a mut C,
    /// The hash, whatever it is.
    pub(super) state: [__m128i; 4],
    /// The last block of ciphertext before `done`.
    pub(super) chain: __m128i,
    /// Bytes that are encrypted or decrypted: whole chunks of the hash.
    pub(super) done: usize,
    /// Chunks to come. What stealing ties together is behind them.
    left: usize,
}

impl<'a, K, C> Job<'a, K, C> {
    /// # Panics
    /// If the message is empty.
    #[target_feature(enable = "sse4.1")]
    pub(super) fn new(
        keys: &'a K,
        state: [__m128i; 4],
        chunk: usize,
        message: &'a mut [u8],
        code: &'a mut C,
    ) -> Self {
        Self {
            left: before_last(message.len()).saturating_sub(BLOCK) / chunk,
            chain: _mm_setzero_si128(),
            done: 0,
            keys,
            message,
            code,
            state,
        }
    }
}

/// Puts the jobs with the most left in front; tells how many have anything left.
pub(super) fn order<K, C>(jobs: &mut [Job<'_, K, C>]) -> usize {
    if !jobs.is_sorted_by_key(|job| Reverse(job.left)) {
        jobs.sort_unstable_by_key(|job| Reverse(job.left));
    }
    jobs.partition_point(|job| job.left > 0)
}

/// The next chunks of each of the first `L` jobs: the same number of each, and at most `most`.
#[inline]
pub(super) fn strips<'s, K, C, const L: usize, const N: usize>(
    jobs: &'s mut [Job<'_, K, C>; L],
    most: usize,
) -> [&'s mut [[u8; N]]; L] {
    let least = jobs.iter().map(|job| job.left).min();
    let count = least.unwrap_or(0).min(most);
    jobs.each_mut().map(|job| {
        let strip = &mut job.message[job.done..][..count * N];
        job.done += count * N;
        job.left -= count;
        strip.as_chunks_mut().0
    })
}
