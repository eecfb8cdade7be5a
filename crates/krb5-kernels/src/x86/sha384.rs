//! Enctype 20: HMAC-SHA384 of the ciphertext beside the cipher.
//!
//! These processors have no instruction for the hash. The words of two of its blocks are made at once in vectors, its rounds are
//! ordinary arithmetic, and the cipher goes on beside them.

use core::arch::x86_64::*;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::aes::{Schedule, clear};
use super::{BLOCK, VectorProcessor, before_last, load, store};

/// Bytes in a block of the hash.
const CHUNK: usize = 128;

/// Bytes that one turn takes.
const TURN: usize = 2 * CHUNK;

/// What the hash's input has more than the ciphertext: the initial vector in front (RFC 8009 §5).
const VECTOR: usize = BLOCK;

/// The most that is left to hash behind whole turns: the last block of the last one, less than a turn, and the last block.
const REST: usize = VECTOR + TURN + BLOCK;

/// Bytes of the HMAC that are used.
const TAG: usize = 24;

type State = [u64; 8];

/// The keys of one usage (RFC 8009): AES-256 and HMAC-SHA384, whose two blocks of key are hashed already; wipes itself.
pub struct EncryptThenSign384 {
    cipher: Schedule<14>,
    inner: State,
    outer: State,
}

impl EncryptThenSign384 {
    /// Prepares the keys Ke and Ki.
    ///
    /// # Panics
    /// If Ke has not the cipher's length.
    ///
    /// # Safety
    /// The processor has the instructions, which a [`VectorProcessor`] shows.
    #[target_feature(enable = "aes,sse4.1,avx2,bmi1,bmi2")]
    pub fn new(_: VectorProcessor, ke: &[u8], ki: &[u8]) -> Self {
        let keyed = |pad: u8| {
            let mut blocks = [0; TURN];
            blocks[..CHUNK].fill(pad);
            blocks.iter_mut().zip(ki).for_each(|(a, b)| *a ^= b);
            let state = compress(FIRST, &blocks, 1);
            clear(&mut blocks);
            state
        };
        Self {
            cipher: Schedule::new(ke),
            inner: keyed(0x36),
            outer: keyed(0x5c),
        }
    }

    /// Encrypts `message`, of at least one block, in place; gives the front of the HMAC of its ciphertext.
    ///
    /// # Safety
    /// The processor has the instructions, as it had when the keys were made.
    #[target_feature(enable = "aes,sse4.1,avx2,bmi1,bmi2")]
    pub fn seal(&self, message: &mut [u8]) -> [u8; TAG] {
        let (length, whole) = (message.len(), before_last(message.len()));
        let done = whole / TURN * TURN;
        let (mut state, mut chain) = (self.inner, _mm_setzero_si128());
        // The hash is a block behind the ciphertext, by the initial vector, and a turn more behind the cipher.
        let (mut waiting, mut last) = ([0; TURN], [0; BLOCK]);
        for (number, turn) in message[..done]
            .as_chunks_mut::<TURN>()
            .0
            .iter_mut()
            .enumerate()
        {
            if number == 0 {
                chain = self.encrypt_turn(chain, turn);
            } else {
                (state, chain) = self.seal_turn(state, &waiting, chain, turn);
            }
            waiting[..BLOCK].copy_from_slice(&last);
            waiting[BLOCK..].copy_from_slice(&turn[..TURN - BLOCK]);
            last.copy_from_slice(&turn[TURN - BLOCK..]);
        }
        if done > 0 {
            state = compress(state, &waiting, 2);
        }
        self.cipher.encrypt_rest(message, done, chain);
        let (rest, end) = rest(message, done);
        self.close(finish(state, &rest[..end], VECTOR + length))
    }

    /// Decrypts `message`, of at least one block, in place; gives the front of the HMAC that its ciphertext should have.
    ///
    /// # Safety
    /// The processor has the instructions, as it had when the keys were made.
    #[target_feature(enable = "aes,sse4.1,avx2,bmi1,bmi2")]
    pub fn open(&self, message: &mut [u8]) -> [u8; TAG] {
        let (length, whole) = (message.len(), before_last(message.len()));
        let done = whole / TURN * TURN;
        let (rest, end) = rest(message, done);
        self.cipher.decrypt_last(message);
        let (mut state, mut last) = (self.inner, [0; BLOCK]);
        let mut hashed = [0; TURN];
        for turn in message[..done].as_chunks_mut::<TURN>().0 {
            let chain = load(&last);
            hashed[..BLOCK].copy_from_slice(&last);
            hashed[BLOCK..].copy_from_slice(&turn[..TURN - BLOCK]);
            last.copy_from_slice(&turn[TURN - BLOCK..]);
            state = compress(state, &hashed, 2);
            self.decrypt_turn(turn, chain);
        }
        self.cipher
            .decrypt_blocks(&mut message[done..whole], load(&last));
        self.close(finish(state, &rest[..end], VECTOR + length))
    }

    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    fn encrypt_turn(&self, mut chain: __m128i, turn: &mut [u8; TURN]) -> __m128i {
        for block in turn.as_chunks_mut::<BLOCK>().0 {
            chain = self.cipher.encrypt(_mm_xor_si128(chain, load(block)));
            store(block, chain);
        }
        chain
    }

    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    fn decrypt_turn(&self, turn: &mut [u8; TURN], mut chain: __m128i) {
        for half in turn.as_chunks_mut::<CHUNK>().0 {
            let blocks = half.as_chunks_mut::<BLOCK>().0;
            let mut sealed = [chain; 8];
            for (sealed, block) in sealed.iter_mut().zip(&*blocks) {
                *sealed = load(block);
            }
            let plain = self.cipher.decrypt(sealed);
            for ((block, plain), sealed) in blocks.iter_mut().zip(plain).zip(sealed) {
                store(block, _mm_xor_si128(plain, chain));
                chain = sealed;
            }
        }
    }

    /// Sixteen blocks of the cipher beside the hash of what `waiting` holds.
    #[inline]
    #[target_feature(enable = "aes,sse4.1,avx2,bmi1,bmi2")]
    fn seal_turn(
        &self,
        mut state: State,
        waiting: &[u8; TURN],
        chain: __m128i,
        turn: &mut [u8; TURN],
    ) -> (State, __m128i) {
        let keys = &self.cipher.encrypt;
        let blocks = turn.as_chunks_mut::<BLOCK>().0;
        let mut words = Words::of(waiting);
        let mut cipher = chain;
        // A block of the cipher takes eight rounds of the hash: an eighth of its own rounds goes with each.
        macro_rules! beside {
            ($t:literal, $block:expr) => {
                const EIGHTH: usize = $t % 8;
                let block = &mut blocks[$block + $t / 8];
                if EIGHTH == 0 {
                    cipher = _mm_xor_si128(cipher, _mm_xor_si128(load(block), keys[0]));
                }
                let mut round = EIGHTH * 14 / 8 + 1;
                while round <= (EIGHTH + 1) * 14 / 8 {
                    cipher = if round < 14 {
                        _mm_aesenc_si128(cipher, keys[round])
                    } else {
                        _mm_aesenclast_si128(cipher, keys[14])
                    };
                    round += 1;
                }
                if EIGHTH == 7 {
                    store(block, cipher);
                }
            };
        }
        let mut v = state;
        for group in 0..4 {
            macro_rules! one {
                ($($t:literal)*) => {$({
                    round!($t, v, words.first(16 * group + $t));
                    if $t % 2 == 1 {
                        words.next(group, $t / 2);
                    }
                    beside!($t, 2 * group);
                })*};
            }
            one!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
        for_sixteen!(v, words, first, 64);
        add(&mut state, &v);
        v = state;
        for group in 0..4 {
            macro_rules! one {
                ($($t:literal)*) => {$({
                    round!($t, v, words.second(16 * group + $t));
                    beside!($t, 8 + 2 * group);
                })*};
            }
            one!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
        for_sixteen!(v, words, second, 64);
        add(&mut state, &v);
        (state, cipher)
    }

    /// The outer hash of HMAC over the inner one.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn close(&self, inner: State) -> [u8; TAG] {
        let mut last = [0; TURN];
        for (bytes, word) in last.as_chunks_mut::<8>().0.iter_mut().zip(&inner[..6]) {
            *bytes = word.to_be_bytes();
        }
        last[48] = 0x80;
        last[CHUNK - 2..CHUNK].copy_from_slice(&((CHUNK as u16 + 48) * 8).to_be_bytes());
        let outer = compress(self.outer, &last, 1);
        let mut tag = [0; TAG];
        for (bytes, word) in tag.as_chunks_mut::<8>().0.iter_mut().zip(outer) {
            *bytes = word.to_be_bytes();
        }
        tag
    }
}

impl Drop for EncryptThenSign384 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

impl ZeroizeOnDrop for EncryptThenSign384 {}

/// SHA-384's initial value (FIPS 180-4 §5.3.4).
const FIRST: State = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];

/// The words of two blocks with their constants, two words of each a vector: the first block's in the low half.
struct Words {
    vectors: [__m256i; 8],
    first: [u128; 40],
    second: [u128; 40],
}

impl Words {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(blocks: &[u8; TURN]) -> Self {
        let order = _mm256_set_epi64x(
            0x0809_0a0b_0c0d_0e0f,
            0x0001_0203_0405_0607,
            0x0809_0a0b_0c0d_0e0f,
            0x0001_0203_0405_0607,
        );
        let pairs = blocks.as_chunks::<BLOCK>().0;
        let mut words = Self {
            vectors: [_mm256_setzero_si256(); 8],
            first: [0; 40],
            second: [0; 40],
        };
        for at in 0..8 {
            let both = _mm256_set_m128i(load(&pairs[8 + at]), load(&pairs[at]));
            words.vectors[at] = _mm256_shuffle_epi8(both, order);
            words.keep(at, at);
        }
        words
    }

    /// Keeps the vector `from` with its constants, as the words number `2 * to` and the next.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn keep(&mut self, from: usize, to: usize) {
        let constants = _mm_set_epi64x(K[2 * to + 1] as i64, K[2 * to] as i64);
        let constants = _mm256_broadcastsi128_si256(constants);
        let sum = _mm256_add_epi64(self.vectors[from], constants);
        self.first[to] = bits(_mm256_castsi256_si128(sum));
        self.second[to] = bits(_mm256_extracti128_si256::<1>(sum));
    }

    /// Makes the vector number `at` of the group that follows `group` (FIPS 180-4 §6.4.2).
    #[inline]
    #[target_feature(enable = "avx2")]
    fn next(&mut self, group: usize, at: usize) {
        let x = &self.vectors;
        let one = _mm256_alignr_epi8::<8>(x[(at + 1) % 8], x[at]);
        let nine = _mm256_alignr_epi8::<8>(x[(at + 5) % 8], x[(at + 4) % 8]);
        let fourteen = x[(at + 7) % 8];
        let small0 = _mm256_xor_si256(
            _mm256_xor_si256(rotated::<1, 63>(one), rotated::<8, 56>(one)),
            _mm256_srli_epi64::<7>(one),
        );
        let small1 = _mm256_xor_si256(
            _mm256_xor_si256(rotated::<19, 45>(fourteen), rotated::<61, 3>(fourteen)),
            _mm256_srli_epi64::<6>(fourteen),
        );
        let sum = _mm256_add_epi64(
            _mm256_add_epi64(x[at], small0),
            _mm256_add_epi64(nine, small1),
        );
        self.vectors[at] = sum;
        self.keep(at, 8 * (group + 1) + at);
    }

    #[inline]
    fn first(&self, at: usize) -> u64 {
        (self.first[at / 2] >> (64 * (at % 2))) as u64
    }

    #[inline]
    fn second(&self, at: usize) -> u64 {
        (self.second[at / 2] >> (64 * (at % 2))) as u64
    }
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn bits(value: __m128i) -> u128 {
    let (low, high) = (_mm_cvtsi128_si64(value), _mm_extract_epi64::<1>(value));
    u128::from(high as u64) << 64 | u128::from(low as u64)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotated<const RIGHT: i32, const LEFT: i32>(words: __m256i) -> __m256i {
    _mm256_or_si256(
        _mm256_srli_epi64::<RIGHT>(words),
        _mm256_slli_epi64::<LEFT>(words),
    )
}

/// Round `$t` of sixteen, with a word and its constant (FIPS 180-4 §6.4.2).
macro_rules! round {
    ($t:literal, $v:ident, $word:expr) => {{
        const fn at(name: usize) -> usize {
            (name + 16 - $t) % 8
        }
        let (a, b, c) = ($v[at(0)], $v[at(1)], $v[at(2)]);
        let (e, f, g) = ($v[at(4)], $v[at(5)], $v[at(6)]);
        let big1 = e.rotate_right(14) ^ e.rotate_right(18) ^ e.rotate_right(41);
        let choice = (e & f).wrapping_add(!e & g);
        let sum = ($v[at(7)].wrapping_add($word))
            .wrapping_add(choice)
            .wrapping_add(big1);
        let big0 = a.rotate_right(28) ^ a.rotate_right(34) ^ a.rotate_right(39);
        let majority = (a & b).wrapping_add(c & (a ^ b));
        $v[at(3)] = $v[at(3)].wrapping_add(sum);
        $v[at(7)] = sum.wrapping_add(big0).wrapping_add(majority);
    }};
}
use round;

/// Sixteen rounds and nothing beside them.
macro_rules! for_sixteen {
    ($v:ident, $words:ident, $which:ident, $from:expr) => {
        for_sixteen!(@ $v, $words, $which, $from, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $v:ident, $words:ident, $which:ident, $from:expr, $($t:literal)*) => {
        $( round!($t, $v, $words.$which($from + $t)); )*
    };
}
use for_sixteen;

/// The compression function over the first `count` blocks, one or two.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn compress(mut state: State, blocks: &[u8; TURN], count: usize) -> State {
    let mut words = Words::of(blocks);
    let mut v = state;
    for group in 0..4 {
        macro_rules! one {
            ($($t:literal)*) => {$({
                round!($t, v, words.first(16 * group + $t));
                if $t % 2 == 1 {
                    words.next(group, $t / 2);
                }
            })*};
        }
        one!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }
    for_sixteen!(v, words, first, 64);
    add(&mut state, &v);
    if count == 2 {
        v = state;
        for group in 0..5 {
            for_sixteen!(v, words, second, 16 * group);
        }
        add(&mut state, &v);
    }
    state
}

#[inline]
fn add(state: &mut State, v: &State) {
    for (word, v) in state.iter_mut().zip(v) {
        *word = word.wrapping_add(*v);
    }
}

/// What of the initial vector and `ciphertext` is not hashed with the whole turns before `done`: ciphertext, so it may stay.
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
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn finish(mut state: State, rest: &[u8], length: usize) -> State {
    let (turns, rest) = rest.as_chunks::<TURN>();
    for turn in turns {
        state = compress(state, turn, 2);
    }
    let bits = ((CHUNK + length) as u64 * 8).to_be_bytes();
    let mut last = [0; TURN];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    if rest.len() < CHUNK - 16 {
        last[CHUNK - 8..CHUNK].copy_from_slice(&bits);
        return compress(state, &last, 1);
    }
    if rest.len() < TURN - 16 {
        last[TURN - 8..].copy_from_slice(&bits);
        return compress(state, &last, 2);
    }
    state = compress(state, &last, 2);
    let mut more = [0; TURN];
    more[CHUNK - 8..CHUNK].copy_from_slice(&bits);
    compress(state, &more, 1)
}

/// FIPS 180-4 §4.2.3.
const K: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];
