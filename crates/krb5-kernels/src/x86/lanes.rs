//! Many messages side by side: while one waits for its last block, the others go on.
//!
//! The messages may differ in length and in their keys. In each turn those with the most left go on by a strip, as many as there are
//! lanes; so no long message is left alone at the end while that can be helped.

use core::arch::x86_64::*;
use core::cmp::Reverse;

use super::{BLOCK, before_last};

/// Chunks of a strip that is gone over once: so many that what is between strips does not count.
pub(super) const LONG: usize = 256;

/// Chunks of a strip that is gone over twice, by the cipher and by the hash: so few that all lanes' fit into the nearest cache.
pub(super) const SHORT: usize = 16;

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

/// The first jobs.
pub(super) fn first<'j, 'a, K, C, const L: usize>(
    jobs: &'j mut [Job<'a, K, C>],
) -> &'j mut [Job<'a, K, C>; L] {
    jobs.first_chunk_mut().expect("as many jobs as lanes")
}

/// What kernels of several messages have in common, whatever their hash, of which `$hashed` lanes go at a time. Beside it stand
/// `seal_lanes`, `seal_pairs`, `open_lanes` and `open_lanes_wide`, which do a strip of each lane, and `seal_end` and `open_end`.
/// A macro, because functions with instructions of their own are no trait's.
macro_rules! side_by_side {
    ($kernel:ident, $hashed:literal) => {
        impl<const ROUNDS: usize> $kernel<ROUNDS> {
            /// For [`seal_many`](Self::seal_many) and [`open_many`](Self::open_many): `message`, of at least one block, whose HMAC's front
            /// goes to `code`.
            ///
            /// # Panics
            /// If the message is empty.
            ///
            /// # Safety
            /// The processor has the instructions, as it had when the keys were made.
            #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
            pub fn job<'a>(
                &'a self,
                message: &'a mut [u8],
                code: &'a mut Code,
            ) -> Job<'a, Self, Code> {
                Job::new(self, self.inner.saved(), CHUNK, message, code)
            }

            /// Does with each message what [`seal`](Self::seal) does, in up to eight lanes. Their order is lost.
            ///
            /// # Safety
            /// The processor has the instructions, as it had when the keys were made.
            #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
            pub fn seal_many(jobs: &mut Messages<'_, ROUNDS>) {
                loop {
                    match order(jobs) {
                        0 => break,
                        1 => seal_one(jobs),
                        2 => seal_lanes::<ROUNDS, 2, 2>(jobs),
                        3 => seal_lanes::<ROUNDS, 3, 3>(jobs),
                        4..8 => seal_lanes::<ROUNDS, 4, $hashed>(jobs),
                        _ => seal_lanes::<ROUNDS, 8, $hashed>(jobs),
                    }
                }
                jobs.iter_mut().for_each(|job| seal_end(job));
            }

            /// The same, and where there are messages enough in sixteen lanes, with two blocks in a vector.
            ///
            /// # Safety
            /// The processor has the instructions, as it had when the keys were made.
            #[target_feature(enable = "aes,sha,ssse3,sse4.1,avx2,vaes")]
            pub fn seal_many_wide(_: WideProcessor, jobs: &mut Messages<'_, ROUNDS>) {
                loop {
                    match order(jobs) {
                        0 => break,
                        1 => seal_one(jobs),
                        2 => seal_lanes::<ROUNDS, 2, 2>(jobs),
                        3 => seal_lanes::<ROUNDS, 3, 3>(jobs),
                        4..8 => seal_lanes::<ROUNDS, 4, $hashed>(jobs),
                        8..16 => seal_pairs::<ROUNDS, 4, 8>(jobs),
                        _ => seal_pairs::<ROUNDS, 8, 16>(jobs),
                    }
                }
                jobs.iter_mut().for_each(|job| seal_end(job));
            }

            /// Does with each message what [`open`](Self::open) does, in up to four lanes. Their order is lost.
            ///
            /// # Safety
            /// The processor has the instructions, as it had when the keys were made.
            #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
            pub fn open_many(jobs: &mut Messages<'_, ROUNDS>) {
                loop {
                    match order(jobs) {
                        0 => break,
                        1 => open_one(jobs),
                        2 => open_lanes::<ROUNDS, 2>(jobs),
                        3 => open_lanes::<ROUNDS, 3>(jobs),
                        _ => open_lanes::<ROUNDS, 4>(jobs),
                    }
                }
                jobs.iter_mut().for_each(|job| open_end(job));
            }

            /// The same, with two blocks of ciphertext in a vector.
            ///
            /// # Safety
            /// The processor has the instructions, as it had when the keys were made.
            #[target_feature(enable = "aes,sha,ssse3,sse4.1,avx2,vaes")]
            pub fn open_many_wide(_: WideProcessor, jobs: &mut Messages<'_, ROUNDS>) {
                loop {
                    match order(jobs) {
                        0 => break,
                        1 => open_one(jobs),
                        2 => open_lanes_wide::<ROUNDS, 2>(jobs),
                        3 => open_lanes_wide::<ROUNDS, 3>(jobs),
                        _ => open_lanes_wide::<ROUNDS, 4>(jobs),
                    }
                }
                jobs.iter_mut().for_each(|job| open_end(job));
            }
        }

        #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
        fn seal_one<const ROUNDS: usize>(jobs: &mut Messages<'_, ROUNDS>) {
            let [job] = first(jobs);
            let (keys, state, chain) = (job.keys, State::of(job.state), job.chain);
            let [chunks] = strips(core::array::from_mut(job), LONG);
            let (state, chain) = keys.seal_chunks(state, chain, chunks);
            (job.state, job.chain) = (state.saved(), chain);
        }

        #[target_feature(enable = "aes,sha,ssse3,sse4.1")]
        fn open_one<const ROUNDS: usize>(jobs: &mut Messages<'_, ROUNDS>) {
            let [job] = first(jobs);
            let (keys, state, chain) = (job.keys, State::of(job.state), job.chain);
            let [chunks] = strips(core::array::from_mut(job), LONG);
            let (state, chain) = keys.open_chunks(state, chain, chunks);
            (job.state, job.chain) = (state.saved(), chain);
        }

        /// What the lanes keep from one chunk to the next.
        #[target_feature(enable = "sse4.1")]
        fn taken<'a, const ROUNDS: usize, const L: usize>(
            jobs: &[Message<'a, ROUNDS>; L],
        ) -> ([&'a Schedule<ROUNDS>; L], [State; L], [__m128i; L]) {
            let mut states = [State::first(); L];
            let mut chains = [_mm_setzero_si128(); L];
            for lane in 0..L {
                states[lane] = State::of(jobs[lane].state);
                chains[lane] = jobs[lane].chain;
            }
            (jobs.each_ref().map(|job| &job.keys.cipher), states, chains)
        }

        fn put_back<const ROUNDS: usize>(
            jobs: &mut Messages<'_, ROUNDS>,
            states: &[State],
            chains: &[__m128i],
        ) {
            for ((job, state), chain) in jobs.iter_mut().zip(states).zip(chains) {
                (job.state, job.chain) = (state.saved(), *chain);
            }
        }
    };
}
pub(super) use side_by_side;
