//! How near sealing and opening come to the processor's limit: a message can be no faster than the longer of the two chains it
//! consists of, each block of which waits for the one before. The chains run bare here, in turns with the real thing, and the shortest
//! turn of each counts: a limit is about what the processor can do, and turns of a tenth of a millisecond are short enough to have it
//! to themselves now and then.
//!
//! `cargo run --release -p bench --bin limits` prints the table for `docs/performance.md`. A floor that is missed fails the run.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_arch = "x86_64")]
    return x86_64::run();
    #[cfg(not(target_arch = "x86_64"))]
    {
        eprintln!("there are no kernels for this processor, and no limits to compare with");
        ExitCode::SUCCESS
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::x86_64::*;
    use std::hint::black_box;
    use std::process::ExitCode;
    use std::time::Instant;

    use krb5_crypto::{CipherKey, Enctype, KeyUsage};
    use wire::random::Random;

    const MESSAGE: usize = 16 * 1024;

    /// Turns, and operations in each.
    const TURNS: usize = 3000;
    const A_TURN: u32 = 6;

    struct Fixed;

    impl Random for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(7);
        }
    }

    /// A chain that nothing can be faster than.
    #[derive(Clone, Copy)]
    enum Limit {
        /// AES with so many rounds in CBC mode.
        Cbc(usize),
        Sha1,
        Sha256,
    }

    pub(super) fn run() -> ExitCode {
        let known = is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse4.1");
        if !known {
            eprintln!("this processor lacks the kernels' instructions");
            return ExitCode::SUCCESS;
        }
        let mut kept = true;
        println!(
            "| 16 KiB, enctype | seal | of its limit | open | of its limit |\n|---|---|---|---|---|"
        );
        for (number, seal, open, floors) in [
            (17, Limit::Cbc(10), Limit::Sha1, (0.93, 0.93)),
            (18, Limit::Cbc(14), Limit::Sha1, (0.95, 0.93)),
            (19, Limit::Cbc(10), Limit::Sha256, (0.93, 0.93)),
        ] {
            let enctype = Enctype::from_number(number).expect("known");
            let cipher = enctype
                .random_key(&Fixed)
                .cipher(KeyUsage::KG_USAGE_INITIATOR_SEAL);
            // As in a wrap token, with the header's copy behind the message.
            let mut sealed = vec![1; enctype.sealed_length(MESSAGE + 16)];
            cipher.seal_in_place(&mut sealed);
            let (sealing, seal_share) =
                share(seal, &mut |buffer| cipher.seal_in_place(buffer), &sealed);
            let (opening, open_share) = share(
                open,
                &mut |buffer| opened(&cipher, buffer, &sealed),
                &sealed,
            );
            println!(
                "| {number} | {sealing:.1} µs | {:.0} % | {opening:.1} µs | {:.0} % |",
                seal_share * 100.0,
                open_share * 100.0
            );
            kept &= seal_share >= floors.0 && open_share >= floors.1;
        }
        if kept {
            return ExitCode::SUCCESS;
        }
        eprintln!("further from the limit than it has to be");
        ExitCode::FAILURE
    }

    /// With the copy, which is in the limit's time too.
    fn opened(cipher: &CipherKey, buffer: &mut [u8], sealed: &[u8]) {
        buffer.copy_from_slice(sealed);
        cipher.open_in_place(buffer).expect("unaltered");
    }

    /// Microseconds that `operation` takes, and what part of them the limit would.
    fn share(limit: Limit, operation: &mut dyn FnMut(&mut [u8]), sealed: &[u8]) -> (f64, f64) {
        let (mut ours, mut bare) = (sealed.to_vec(), sealed.to_vec());
        let (mut least, mut limits) = (f64::MAX, f64::MAX);
        for _ in 0..TURNS {
            least = least.min(turn(|| operation(black_box(&mut ours))));
            limits = limits.min(turn(|| {
                if !matches!(limit, Limit::Cbc(_)) {
                    bare.copy_from_slice(black_box(sealed));
                }
                chain(limit, black_box(&mut bare));
            }));
        }
        (least, limits / least)
    }

    /// Microseconds of one operation.
    fn turn(mut operation: impl FnMut()) -> f64 {
        let start = Instant::now();
        for _ in 0..A_TURN {
            operation();
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(A_TURN)
    }

    fn chain(limit: Limit, bytes: &mut [u8]) {
        // SAFETY: `run` has asked for these instructions.
        unsafe {
            match limit {
                Limit::Cbc(10) => cbc::<10>(bytes),
                Limit::Cbc(_) => cbc::<14>(bytes),
                Limit::Sha1 => sha1(bytes),
                Limit::Sha256 => sha256(bytes),
            }
        }
    }

    #[target_feature(enable = "aes,sse4.1")]
    fn cbc<const ROUNDS: usize>(bytes: &mut [u8]) {
        let keys: [__m128i; 15] = black_box(core::array::from_fn(|i| _mm_set1_epi8(i as i8)));
        let mut state = _mm_setzero_si128();
        for block in bytes.as_chunks_mut::<16>().0 {
            let bits = u128::from_le_bytes(*block);
            let plain = _mm_set_epi64x((bits >> 64) as i64, bits as i64);
            // The plaintext comes in with the last round key of the block before: it is no link of the chain.
            for key in &keys[1..ROUNDS] {
                state = _mm_aesenc_si128(state, *key);
            }
            state = _mm_aesenclast_si128(state, _mm_xor_si128(keys[ROUNDS], plain));
            let (low, high) = (_mm_cvtsi128_si64(state), _mm_extract_epi64::<1>(state));
            *block = (u128::from(high as u64) << 64 | u128::from(low as u64)).to_le_bytes();
        }
    }

    /// The rounds alone, without what makes their words.
    #[target_feature(enable = "sha,sse4.1")]
    fn sha1(bytes: &mut [u8]) {
        let (mut state, word) = (_mm_set1_epi32(1), black_box(_mm_set1_epi32(2)));
        for _ in bytes.as_chunks::<64>().0 {
            for _ in 0..20 {
                state = _mm_sha1rnds4_epu32::<0>(state, word);
            }
        }
        black_box(state);
    }

    /// As above.
    #[target_feature(enable = "sha,sse4.1")]
    fn sha256(bytes: &mut [u8]) {
        let (mut one, mut other) = (_mm_set1_epi32(1), _mm_set1_epi32(3));
        let word = black_box(_mm_set1_epi32(2));
        for _ in bytes.as_chunks::<64>().0 {
            for _ in 0..16 {
                other = _mm_sha256rnds2_epu32(other, one, word);
                one = _mm_sha256rnds2_epu32(one, other, word);
            }
        }
        black_box((one, other));
    }
}
