//! Several messages side by side.
#![expect(
    clippy::needless_range_loop,
    reason = "lanes are numbers: each step goes through several arrays of them"
)]

use core::arch::x86_64::*;

use super::super::aes::Schedule;
use super::super::lanes::{Job, LONG, SHORT, first, order, side_by_side, strips};
use super::super::{BLOCK, CHUNK, WideProcessor, cbc, load_chunk};
use super::{SignThenEncrypt, State, finish, group, words};

type Code = [u8; BLOCK];
type Message<'a, const ROUNDS: usize> = Job<'a, SignThenEncrypt<ROUNDS>, Code>;
type Messages<'a, const ROUNDS: usize> = [Message<'a, ROUNDS>];

side_by_side!(SignThenEncrypt, 4);

#[target_feature(enable = "aes,sha,ssse3,sse4.1")]
fn seal_end<const ROUNDS: usize>(job: &mut Message<'_, ROUNDS>) {
    let inner = finish(
        State::of(job.state),
        &job.message[job.done..],
        job.message.len(),
    );
    (job.keys.cipher).encrypt_rest(job.message, job.done, job.chain);
    *job.code = job.keys.close(inner);
}

#[target_feature(enable = "aes,sha,ssse3,sse4.1")]
fn open_end<const ROUNDS: usize>(job: &mut Message<'_, ROUNDS>) {
    (job.keys.cipher).decrypt_rest(job.message, job.done, job.chain);
    let inner = finish(
        State::of(job.state),
        &job.message[job.done..],
        job.message.len(),
    );
    *job.code = job.keys.close(inner);
}

/// First the hash of `HASHED` lanes at a time, then the cipher of all `L`.
#[target_feature(enable = "aes,sha,ssse3,sse4.1")]
fn seal_lanes<const ROUNDS: usize, const L: usize, const HASHED: usize>(
    jobs: &mut Messages<'_, ROUNDS>,
) {
    const { assert!(L.is_multiple_of(HASHED)) };
    let jobs = first::<_, _, L>(jobs);
    let (keys, mut states, mut chains) = taken(jobs);
    let mut lanes = strips(jobs, SHORT);
    for (states, lanes) in
        (states.as_chunks_mut::<HASHED>().0.iter_mut()).zip(lanes.as_chunks::<HASHED>().0)
    {
        hash(states, &lanes.each_ref().map(|chunks| &**chunks));
    }
    cbc::encrypt(&keys, &mut chains, &mut lanes);
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
    for (states, lanes) in (states.as_chunks_mut::<4>().0.iter_mut()).zip(lanes.as_chunks::<4>().0)
    {
        hash(states, &lanes.each_ref().map(|chunks| &**chunks));
    }
    cbc::encrypt_lanes::<ROUNDS, PAIRS, L, CHUNK>(&keys, &mut chains, &mut lanes);
    put_back(jobs, &states, &chains);
}

#[target_feature(enable = "aes,sha,ssse3,sse4.1")]
fn open_lanes<const ROUNDS: usize, const L: usize>(jobs: &mut Messages<'_, ROUNDS>) {
    let jobs = first::<_, _, L>(jobs);
    let (keys, mut states, mut chains) = taken(jobs);
    let lanes = strips(jobs, SHORT);
    for lane in 0..L {
        let bytes = lanes[lane].as_flattened_mut();
        chains[lane] = cbc::decrypt(keys[lane], chains[lane], bytes);
    }
    hash(&mut states, &lanes.each_ref().map(|chunks| &**chunks));
    put_back(jobs, &states, &chains);
}

#[target_feature(enable = "aes,sha,ssse3,sse4.1,avx2,vaes")]
fn open_lanes_wide<const ROUNDS: usize, const L: usize>(jobs: &mut Messages<'_, ROUNDS>) {
    let jobs = first::<_, _, L>(jobs);
    let (keys, mut states, mut chains) = taken(jobs);
    let lanes = strips(jobs, SHORT);
    for lane in 0..L {
        let bytes = lanes[lane].as_flattened_mut();
        chains[lane] = cbc::decrypt_wide(keys[lane], chains[lane], bytes);
    }
    hash(&mut states, &lanes.each_ref().map(|chunks| &**chunks));
    put_back(jobs, &states, &chains);
}

/// The compression function over the chunks of each lane.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn hash<const L: usize>(states: &mut [State; L], lanes: &[&[[u8; CHUNK]]; L]) {
    let count = lanes.iter().map(|chunks| chunks.len()).min();
    for at in 0..count.unwrap_or(0) {
        let mut w = [[_mm_setzero_si128(); 4]; L];
        let (mut abcd, mut before) = ([_mm_setzero_si128(); L], [_mm_setzero_si128(); L]);
        for lane in 0..L {
            w[lane] = words(load_chunk(&lanes[lane][at]));
            (abcd[lane], before[lane]) = (states[lane].abcd, states[lane].e);
        }
        macro_rules! groups {
            ($($i:literal)*) => {$(
                for lane in 0..L {
                    group!($i, w[lane], abcd[lane], before[lane]);
                }
            )*};
        }
        groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        for lane in 0..L {
            states[lane] = states[lane].after(abcd[lane], before[lane]);
        }
    }
}
