//! Several messages side by side.
#![expect(
    clippy::needless_range_loop,
    reason = "lanes are numbers: each step goes through several arrays of them"
)]

use core::arch::x86_64::*;

use super::super::aes::Schedule;
use super::super::lanes::{Job, LONG, SHORT, first, order, side_by_side, strips};
use super::super::{BLOCK, CHUNK, WideProcessor, cbc, load_chunk, store};
use super::{EncryptThenSign, K, State, VECTOR, finish, group, words};

/// The most that is left to hash: the block in front, less than a chunk, and what stealing ties together.
const REST: usize = VECTOR + CHUNK + 2 * BLOCK;

type Code = [u8; BLOCK];
type Message<'a, const ROUNDS: usize> = Job<'a, EncryptThenSign<ROUNDS>, Code>;
type Messages<'a, const ROUNDS: usize> = [Message<'a, ROUNDS>];

side_by_side!(EncryptThenSign, 2);

#[target_feature(enable = "aes,sha,ssse3,sse4.1")]
fn seal_end<const ROUNDS: usize>(job: &mut Message<'_, ROUNDS>) {
    (job.keys.cipher).encrypt_rest(job.message, job.done, job.chain);
    *job.code = code(job);
}

#[target_feature(enable = "aes,sha,ssse3,sse4.1")]
fn open_end<const ROUNDS: usize>(job: &mut Message<'_, ROUNDS>) {
    *job.code = code(job);
    (job.keys.cipher).decrypt_rest(job.message, job.done, job.chain);
}

/// The HMAC of a message's ciphertext, the end of which is behind `chain` and not hashed.
#[target_feature(enable = "aes,sha,ssse3,sse4.1")]
fn code<const ROUNDS: usize>(job: &Message<'_, ROUNDS>) -> Code {
    let mut rest = [0; REST];
    let (front, back) = rest.split_first_chunk_mut().expect("longer than a block");
    store(front, job.chain);
    let left = &job.message[job.done..];
    back[..left.len()].copy_from_slice(left);
    let rest = &rest[..VECTOR + left.len()];
    let inner = finish(State::of(job.state), rest, VECTOR + job.message.len());
    job.keys.close(inner)
}

/// First the cipher of all `L` lanes, then the hash of `HASHED` at a time.
#[target_feature(enable = "aes,sha,ssse3,sse4.1")]
fn seal_lanes<const ROUNDS: usize, const L: usize, const HASHED: usize>(
    jobs: &mut Messages<'_, ROUNDS>,
) {
    const { assert!(L.is_multiple_of(HASHED)) };
    let jobs = first::<_, _, L>(jobs);
    let (keys, mut states, mut chains) = taken(jobs);
    let mut lanes = strips(jobs, SHORT);
    let before = chains;
    cbc::encrypt(&keys, &mut chains, &mut lanes);
    hash_all::<L, HASHED>(&mut states, before, &lanes);
    put_back(jobs, &states, &chains);
}

/// The same for `L` lanes in `PAIRS`.
#[target_feature(enable = "aes,sha,ssse3,sse4.1,avx2,vaes")]
fn seal_pairs<const ROUNDS: usize, const PAIRS: usize, const L: usize>(
    jobs: &mut Messages<'_, ROUNDS>,
) {
    const { assert!(2 * PAIRS == L && L.is_multiple_of(4)) };
    let jobs = first::<_, _, L>(jobs);
    let (keys, mut states, mut chains) = taken(jobs);
    let mut lanes = strips(jobs, SHORT);
    let before = chains;
    cbc::encrypt_lanes::<ROUNDS, PAIRS, L, CHUNK>(&keys, &mut chains, &mut lanes);
    hash_all::<L, 2>(&mut states, before, &lanes);
    put_back(jobs, &states, &chains);
}

#[target_feature(enable = "aes,sha,ssse3,sse4.1")]
fn open_lanes<const ROUNDS: usize, const L: usize>(jobs: &mut Messages<'_, ROUNDS>) {
    let jobs = first::<_, _, L>(jobs);
    let (keys, mut states, mut chains) = taken(jobs);
    let lanes = strips(jobs, SHORT);
    hash_all::<L, L>(&mut states, chains, &lanes);
    for lane in 0..L {
        let bytes = lanes[lane].as_flattened_mut();
        chains[lane] = cbc::decrypt(keys[lane], chains[lane], bytes);
    }
    put_back(jobs, &states, &chains);
}

#[target_feature(enable = "aes,sha,ssse3,sse4.1,avx2,vaes")]
fn open_lanes_wide<const ROUNDS: usize, const L: usize>(jobs: &mut Messages<'_, ROUNDS>) {
    let jobs = first::<_, _, L>(jobs);
    let (keys, mut states, mut chains) = taken(jobs);
    let lanes = strips(jobs, SHORT);
    hash_all::<L, L>(&mut states, chains, &lanes);
    for lane in 0..L {
        let bytes = lanes[lane].as_flattened_mut();
        chains[lane] = cbc::decrypt_wide(keys[lane], chains[lane], bytes);
    }
    put_back(jobs, &states, &chains);
}

/// The compression function over the chunks of each lane, `N` lanes at a time. The hash is a block behind the ciphertext, by the
/// initial vector: `before` is the block in front of each lane's chunks.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn hash_all<const L: usize, const N: usize>(
    states: &mut [State; L],
    before: [__m128i; L],
    lanes: &[&mut [[u8; CHUNK]]; L],
) {
    let befores = before.as_chunks::<N>().0;
    let lanes = lanes.as_chunks::<N>().0;
    for ((states, before), lanes) in (states.as_chunks_mut::<N>().0.iter_mut())
        .zip(befores)
        .zip(lanes)
    {
        hash(states, *before, &lanes.each_ref().map(|chunks| &**chunks));
    }
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn hash<const L: usize>(
    states: &mut [State; L],
    mut before: [__m128i; L],
    lanes: &[&[[u8; CHUNK]]; L],
) {
    let count = lanes.iter().map(|chunks| chunks.len()).min();
    for at in 0..count.unwrap_or(0) {
        let mut w = [[_mm_setzero_si128(); 4]; L];
        let (mut abef, mut cdgh) = ([_mm_setzero_si128(); L], [_mm_setzero_si128(); L]);
        for lane in 0..L {
            let [a, b, c, last] = load_chunk(&lanes[lane][at]);
            w[lane] = words([before[lane], a, b, c]);
            before[lane] = last;
            (abef[lane], cdgh[lane]) = (states[lane].abef, states[lane].cdgh);
        }
        macro_rules! groups {
            ($($i:literal)*) => {$(
                for lane in 0..L {
                    group!($i, w[lane], abef[lane], cdgh[lane]);
                }
            )*};
        }
        groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for lane in 0..L {
            states[lane] = states[lane].after(abef[lane], cdgh[lane]);
        }
    }
}
