//! Chooses between RustCrypto's primitives and the kernels that a processor has the instructions for.
//!
//! The one module here with `unsafe` code: calls into functions that need those instructions. A kernel's keys are only made
//! where [`Processor::detect`] found them, and hold for as long as they live what that showed.

use crate::cipher::Seal;

/// Prepares the keys Ke and Ki with RustCrypto's primitives.
pub(crate) type Portable = fn(&[u8], &[u8]) -> Box<dyn Seal>;

/// Prepares the keys Ke and Ki, with a kernel where there is one for this processor.
pub(crate) type Choose = fn(&[u8], &[u8], Portable) -> Box<dyn Seal>;

/// There is no kernel.
#[cfg(any(test, not(target_arch = "x86_64")))]
pub(crate) fn none(ke: &[u8], ki: &[u8], portable: Portable) -> Box<dyn Seal> {
    portable(ke, ki)
}

#[cfg(not(target_arch = "x86_64"))]
mod chosen {
    pub(crate) use super::none as sha256;
    pub(crate) use super::none as sha384;

    use super::{Portable, Seal};
    use crate::batch::Batched;

    /// A kernel that takes several messages side by side. There is none.
    pub(crate) enum Lanes<'a> {
        #[expect(dead_code, reason = "it has the lifetime that a kernel has")]
        None(core::convert::Infallible, &'a ()),
    }

    pub(crate) fn seal_lanes(_: &mut [Batched<'_>]) {}

    pub(crate) fn open_lanes(_: &mut [Batched<'_>]) {}

    pub(crate) fn sha1<const ROUNDS: usize>(
        ke: &[u8],
        ki: &[u8],
        portable: Portable,
    ) -> Box<dyn Seal> {
        portable(ke, ki)
    }
}

#[cfg(target_arch = "x86_64")]
mod chosen {
    use std::sync::OnceLock;

    use krb5_kernels::x86::{
        EncryptThenSign, EncryptThenSign384, Job, Processor, SignThenEncrypt, VectorProcessor,
        WideProcessor,
    };
    use zeroize::{ZeroizeOnDrop, Zeroizing};

    use super::Portable;
    use crate::IntegrityError;
    use crate::batch::Batched;
    use crate::cipher::Seal;
    use crate::mac::same;
    use crate::pieces::Piece;

    pub(crate) fn sha1<const ROUNDS: usize>(
        ke: &[u8],
        ki: &[u8],
        portable: Portable,
    ) -> Box<dyn Seal>
    where
        SignThenEncrypt<ROUNDS>: Kernel,
    {
        let Some(processor) = Processor::detect() else {
            return portable(ke, ki);
        };
        // SAFETY: `processor` shows that the instructions are there.
        let kernel = unsafe { SignThenEncrypt::<ROUNDS>::new(processor, ke, ki) };
        Box::new(Fast::new(kernel, ke, ki, portable))
    }

    pub(crate) fn sha256(ke: &[u8], ki: &[u8], portable: Portable) -> Box<dyn Seal> {
        let Some(processor) = Processor::detect() else {
            return portable(ke, ki);
        };
        // SAFETY: `processor` shows that the instructions are there.
        let kernel = unsafe { EncryptThenSign::<10>::new(processor, ke, ki) };
        Box::new(Fast::new(kernel, ke, ki, portable))
    }

    pub(crate) fn sha384(ke: &[u8], ki: &[u8], portable: Portable) -> Box<dyn Seal> {
        let Some(processor) = VectorProcessor::detect() else {
            return portable(ke, ki);
        };
        // SAFETY: `processor` shows that the instructions are there.
        let kernel = unsafe { EncryptThenSign384::new(processor, ke, ki) };
        Box::new(Fast::new(kernel, ke, ki, portable))
    }

    /// A kernel with its keys.
    pub(crate) trait Kernel: Send + Sync + ZeroizeOnDrop + Sized {
        /// The front of a code, at least as long as the checksum.
        type Code: AsRef<[u8]> + Clone + Default;

        /// Encrypts in place; gives the checksum.
        fn seal(&self, message: &mut [u8]) -> Self::Code;

        /// Decrypts in place; gives the checksum that there should be.
        fn open(&self, message: &mut [u8]) -> Self::Code;

        /// The same kernel, if it takes several messages side by side.
        fn lanes(&self) -> Option<Lanes<'_>> {
            None
        }
    }

    /// A kernel that takes several messages side by side.
    trait SideBySide: Kernel {
        /// The kernel in `lanes`, if it is this one.
        fn among(lanes: Lanes<'_>) -> Option<&Self>;

        /// A message for [`seal_many`](Self::seal_many) or [`open_many`](Self::open_many).
        fn job<'a>(
            &'a self,
            message: &'a mut [u8],
            code: &'a mut Self::Code,
        ) -> Job<'a, Self, Self::Code>;

        /// Does with each what [`seal`](Self::seal) does.
        fn seal_many(jobs: &mut [Job<'_, Self, Self::Code>]);

        /// Does with each what [`open`](Self::open) does.
        fn open_many(jobs: &mut [Job<'_, Self, Self::Code>]);
    }

    /// A kernel that takes several messages side by side, each of which may have keys of its own.
    #[derive(Clone, Copy)]
    pub(crate) enum Lanes<'a> {
        Aes128Sha1(&'a SignThenEncrypt<10>),
        Aes256Sha1(&'a SignThenEncrypt<14>),
        Aes128Sha256(&'a EncryptThenSign<10>),
    }

    /// Seals the messages that have a kernel in common with others.
    pub(crate) fn seal_lanes(batch: &mut [Batched<'_>]) {
        fn seal<K: SideBySide>(batch: &mut [Batched<'_>]) {
            beside::<K>(batch, K::seal_many, |_, checksum, computed| {
                checksum.copy_from_slice(computed);
                Ok(())
            });
        }
        seal::<SignThenEncrypt<10>>(batch);
        seal::<SignThenEncrypt<14>>(batch);
        seal::<EncryptThenSign<10>>(batch);
    }

    /// Opens the messages that have a kernel in common with others.
    pub(crate) fn open_lanes(batch: &mut [Batched<'_>]) {
        fn open<K: SideBySide>(batch: &mut [Batched<'_>]) {
            beside::<K>(batch, K::open_many, |message, checksum, computed| {
                let verdict = same(computed, checksum);
                if verdict.is_err() {
                    message.fill(0);
                }
                verdict
            });
        }
        open::<SignThenEncrypt<10>>(batch);
        open::<SignThenEncrypt<14>>(batch);
        open::<EncryptThenSign<10>>(batch);
    }

    /// Keeps what came of a message: its text, its checksum's place, and the checksum that was computed.
    type Keep = fn(&mut [u8], &mut [u8], &[u8]) -> Result<(), IntegrityError>;

    /// Lets `work` do all messages with kernel `K` that have no outcome, if there are several, and `keep` what came of each.
    fn beside<K: SideBySide>(
        batch: &mut [Batched<'_>],
        work: fn(&mut [Job<'_, K, K::Code>]),
        keep: Keep,
    ) {
        fn kernel<'a, K: SideBySide>(message: &Batched<'a>) -> Option<&'a K> {
            let lanes = message.outcome.is_none().then(|| message.key.lanes())?;
            lanes.and_then(K::among)
        }
        let count = batch.iter().filter_map(kernel::<K>).count();
        if count < 2 {
            return;
        }
        let mut codes = vec![K::Code::default(); count];
        let mut jobs = Vec::with_capacity(count);
        let mut places = codes.iter_mut();
        for message in &mut *batch {
            if let Some(kernel) = kernel::<K>(message) {
                let code = places.next().expect("as many as were counted");
                let enctype = message.key.enctype();
                let (text, _) = enctype.split_checksum_mut(message.buffer);
                jobs.push(kernel.job(text, code));
            }
        }
        work(&mut jobs);
        drop(jobs);
        let done = (batch.iter_mut()).filter(|message| kernel::<K>(message).is_some());
        for (message, code) in done.zip(codes) {
            let enctype = message.key.enctype();
            let (text, checksum) = enctype.split_checksum_mut(message.buffer);
            let computed = &code.as_ref()[..checksum.len()];
            message.outcome = Some(keep(text, checksum, computed));
        }
    }

    /// What is the same for every kernel: the calls that are not safe.
    macro_rules! side_by_side {
        ($kernel:ty, $variant:ident) => {
            impl Kernel for $kernel {
                type Code = [u8; 16];

                fn seal(&self, message: &mut [u8]) -> [u8; 16] {
                    // SAFETY: these keys were made by showing that the instructions are there.
                    unsafe { self.seal(message) }
                }

                fn open(&self, message: &mut [u8]) -> [u8; 16] {
                    // SAFETY: as above.
                    unsafe { self.open(message) }
                }

                fn lanes(&self) -> Option<Lanes<'_>> {
                    Some(Lanes::$variant(self))
                }
            }

            impl SideBySide for $kernel {
                fn among(lanes: Lanes<'_>) -> Option<&Self> {
                    match lanes {
                        Lanes::$variant(kernel) => Some(kernel),
                        _ => None,
                    }
                }

                fn job<'a>(
                    &'a self,
                    message: &'a mut [u8],
                    code: &'a mut Self::Code,
                ) -> Job<'a, Self, Self::Code> {
                    // SAFETY: as above.
                    unsafe { self.job(message, code) }
                }

                fn seal_many(jobs: &mut [Job<'_, Self, Self::Code>]) {
                    match WideProcessor::detect() {
                        // SAFETY: as above, and `wide` shows the wider ones.
                        Some(wide) => unsafe { Self::seal_many_wide(wide, jobs) },
                        // SAFETY: as above.
                        None => unsafe { Self::seal_many(jobs) },
                    }
                }

                fn open_many(jobs: &mut [Job<'_, Self, Self::Code>]) {
                    match WideProcessor::detect() {
                        // SAFETY: as above, and `wide` shows the wider ones.
                        Some(wide) => unsafe { Self::open_many_wide(wide, jobs) },
                        // SAFETY: as above.
                        None => unsafe { Self::open_many(jobs) },
                    }
                }
            }
        };
    }
    side_by_side!(SignThenEncrypt<10>, Aes128Sha1);
    side_by_side!(SignThenEncrypt<14>, Aes256Sha1);
    side_by_side!(EncryptThenSign<10>, Aes128Sha256);

    impl Kernel for EncryptThenSign384 {
        type Code = [u8; 24];

        fn seal(&self, message: &mut [u8]) -> [u8; 24] {
            // SAFETY: these keys were made by showing that the instructions are there.
            unsafe { self.seal(message) }
        }

        fn open(&self, message: &mut [u8]) -> [u8; 24] {
            // SAFETY: as above.
            unsafe { self.open(message) }
        }
    }

    /// The keys of one usage: a kernel's, and those that make RustCrypto's for messages in pieces, which no kernel takes.
    struct Fast<K> {
        kernel: K,
        keys: Zeroizing<[u8; 64]>,
        lengths: (usize, usize),
        portable: Portable,
        prepared: OnceLock<Box<dyn Seal>>,
    }

    impl<K: Kernel> Fast<K> {
        fn new(kernel: K, ke: &[u8], ki: &[u8], portable: Portable) -> Self {
            let mut keys = Zeroizing::new([0; 64]);
            keys[..ke.len()].copy_from_slice(ke);
            keys[ke.len()..][..ki.len()].copy_from_slice(ki);
            Self {
                kernel,
                keys,
                lengths: (ke.len(), ki.len()),
                portable,
                prepared: OnceLock::new(),
            }
        }

        fn portable(&self) -> &dyn Seal {
            let prepared = self.prepared.get_or_init(|| {
                let (ke, rest) = self.keys.split_at(self.lengths.0);
                let prepared = (self.portable)(ke, &rest[..self.lengths.1]);
                crate::stack::wipe();
                prepared
            });
            &**prepared
        }
    }

    impl<K: Kernel> Seal for Fast<K> {
        fn seal(&self, message: &mut [u8], checksum: &mut [u8]) {
            let computed = self.kernel.seal(message);
            checksum.copy_from_slice(&computed.as_ref()[..checksum.len()]);
        }

        fn open(&self, message: &mut [u8], checksum: &[u8]) -> Result<(), IntegrityError> {
            let computed = self.kernel.open(message);
            let verdict = same(&computed.as_ref()[..checksum.len()], checksum);
            if verdict.is_err() {
                message.fill(0);
            }
            verdict
        }

        fn seal_pieces(&self, pieces: &mut [Piece<'_>], checksum: &mut [u8]) {
            self.portable().seal_pieces(pieces, checksum);
        }

        fn open_pieces(
            &self,
            pieces: &mut [Piece<'_>],
            checksum: &[u8],
        ) -> Result<(), IntegrityError> {
            self.portable().open_pieces(pieces, checksum)
        }

        fn lanes(&self) -> Option<Lanes<'_>> {
            self.kernel.lanes()
        }
    }

    impl<K: Kernel> ZeroizeOnDrop for Fast<K> {}
}

/// The kernels' two widths, each by itself: [`seal_lanes`] takes the wider one where it can.
#[cfg(all(test, target_arch = "x86_64"))]
mod widths {
    use krb5_kernels::x86::{EncryptThenSign, Job, Processor, SignThenEncrypt, WideProcessor};

    /// What one kernel makes of messages side by side, and of each alone.
    pub(super) type Many = fn(bool, bool, &[(u8, Vec<u8>)]) -> (Outputs, Outputs);

    type Outputs = Vec<(Vec<u8>, [u8; 16])>;

    macro_rules! many {
        ($name:ident, $kernel:ty, $key:literal) => {
            /// `sealing` or opening messages, each under the key with its number, in wide lanes or not.
            pub(super) fn $name(
                sealing: bool,
                wide: bool,
                messages: &[(u8, Vec<u8>)],
            ) -> (Outputs, Outputs) {
                let processor = Processor::detect().expect("the test asked");
                // SAFETY: `processor` and `wide` show that the instructions are there, here and below.
                let key = |number: u8| unsafe {
                    <$kernel>::new(processor, &[number; $key], &[number + 100; $key])
                };
                let mut numbers: Vec<u8> = messages.iter().map(|(number, _)| *number).collect();
                numbers.dedup();
                let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
                let of = |number| &keys[numbers.iter().position(|n| *n == number).unwrap()];
                let mut beside: Outputs = messages
                    .iter()
                    .map(|(_, text)| (text.clone(), [0; 16]))
                    .collect();
                let mut alone = beside.clone();
                let jobs = beside.iter_mut().zip(messages);
                let mut jobs: Vec<Job<'_, $kernel, _>> = jobs
                    // SAFETY: as above.
                    .map(|((text, code), (number, _))| unsafe { of(*number).job(text, code) })
                    .collect();
                match (sealing, WideProcessor::detect().filter(|_| wide)) {
                    // SAFETY: as above.
                    (true, None) => unsafe { <$kernel>::seal_many(&mut jobs) },
                    // SAFETY: as above.
                    (true, Some(wide)) => unsafe { <$kernel>::seal_many_wide(wide, &mut jobs) },
                    // SAFETY: as above.
                    (false, None) => unsafe { <$kernel>::open_many(&mut jobs) },
                    // SAFETY: as above.
                    (false, Some(wide)) => unsafe { <$kernel>::open_many_wide(wide, &mut jobs) },
                }
                for ((text, code), (number, _)) in alone.iter_mut().zip(messages) {
                    // SAFETY: as above.
                    *code = unsafe {
                        if sealing {
                            of(*number).seal(text)
                        } else {
                            of(*number).open(text)
                        }
                    };
                }
                (beside, alone)
            }
        };
    }
    many!(aes128_sha1, SignThenEncrypt<10>, 16);
    many!(aes256_sha1, SignThenEncrypt<14>, 32);
    many!(aes128_sha256, EncryptThenSign<10>, 16);

    pub(super) const ALL: [Many; 3] = [aes128_sha1, aes256_sha1, aes128_sha256];

    pub(super) fn known() -> bool {
        Processor::detect().is_some()
    }
}

pub(crate) use chosen::{Lanes, open_lanes, seal_lanes, sha1, sha256, sha384};

#[cfg(test)]
mod tests {
    use aes::{Aes128, Aes256};
    use hmac::block_api::HmacCore;
    use sha1::Sha1;
    use sha2::{Sha256, Sha384};

    use super::*;
    use crate::IntegrityError;
    use crate::cipher::{EncryptThenSign, SignThenEncrypt};

    /// The two ways of each enctype that has a kernel.
    struct Ways {
        number: i32,
        portable: Box<dyn Seal>,
        chosen: Box<dyn Seal>,
        checksum: usize,
    }

    fn bytes(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    fn ways(seed: u64) -> [Ways; 4] {
        let way = |number, choose: Choose, portable: Portable, key, checksum| {
            let (ke, ki) = (bytes(key, seed), bytes(key, seed + 1));
            Ways {
                number,
                portable: portable(&ke, &ki),
                chosen: choose(&ke, &ki, portable),
                checksum,
            }
        };
        let aes128_sha1: Portable = SignThenEncrypt::<Aes128, HmacCore<Sha1>>::boxed;
        let aes256_sha1: Portable = SignThenEncrypt::<Aes256, HmacCore<Sha1>>::boxed;
        let aes256_sha2: Portable = EncryptThenSign::<Aes256, HmacCore<Sha384>>::boxed;
        let aes128_sha2: Portable = EncryptThenSign::<Aes128, HmacCore<Sha256>>::boxed;
        [
            way(17, super::sha1::<10>, aes128_sha1, 16, 12),
            way(18, super::sha1::<14>, aes256_sha1, 32, 12),
            way(19, super::sha256, aes128_sha2, 16, 16),
            way(20, super::sha384, aes256_sha2, 32, 24),
        ]
    }

    fn lengths() -> impl Iterator<Item = usize> {
        let random = bytes(60, 7);
        let random = random.as_chunks::<3>().0.iter();
        let random = random.map(|&[a, b, c]| usize::from_be_bytes([0, 0, 0, 0, 0, a & 1, b, c]));
        (16..=640)
            .chain([1024, 4096, 16384, 65536])
            .chain(random.map(|length| length + 16).collect::<Vec<_>>())
    }

    #[test]
    fn every_length_is_the_same_either_way() {
        for (length, seed) in lengths().zip(1..) {
            for way in ways(seed) {
                let what = format!("enctype {}, {length} bytes", way.number);
                let message = bytes(length, seed + 2);
                let sealed = |sealer: &dyn Seal| {
                    let (mut buffer, mut checksum) = (message.clone(), vec![0; way.checksum]);
                    sealer.seal(&mut buffer, &mut checksum);
                    (buffer, checksum)
                };
                let (ciphertext, checksum) = sealed(&*way.portable);
                assert_eq!(
                    sealed(&*way.chosen),
                    (ciphertext.clone(), checksum.clone()),
                    "{what}"
                );
                for sealer in [&way.portable, &way.chosen] {
                    let mut buffer = ciphertext.clone();
                    assert_eq!(sealer.open(&mut buffer, &checksum), Ok(()), "{what}");
                    assert_eq!(buffer, message, "{what}");
                }
            }
        }
    }

    #[test]
    fn what_was_altered_is_refused_either_way_and_leaves_nothing() {
        for way in ways(3) {
            for length in [
                16, 17, 31, 32, 48, 64, 79, 80, 81, 96, 127, 128, 129, 200, 272,
            ] {
                let message = bytes(length, 5);
                for sealer in [&way.portable, &way.chosen] {
                    let (mut ciphertext, mut checksum) = (message.clone(), vec![0; way.checksum]);
                    sealer.seal(&mut ciphertext, &mut checksum);
                    for bit in 0..(length + way.checksum) * 8 {
                        let (mut buffer, mut found) = (ciphertext.clone(), checksum.clone());
                        match buffer.get_mut(bit / 8) {
                            Some(byte) => *byte ^= 1 << (bit % 8),
                            None => found[bit / 8 - length] ^= 1 << (bit % 8),
                        }
                        let verdict = sealer.open(&mut buffer, &found);
                        let what = format!("enctype {}, {length} bytes, bit {bit}", way.number);
                        assert_eq!(verdict, Err(IntegrityError::Mismatch), "{what}");
                        let left = buffer
                            .windows(4)
                            .any(|left| message.windows(4).any(|was| was == left));
                        assert!(!left, "{what}");
                    }
                }
            }
        }
    }

    /// Keys of several usages are used side by side, so what one message leaves behind must not show in the next.
    #[test]
    fn pieces_and_wholes_go_together() {
        use crate::pieces::Piece;
        for way in ways(9) {
            let message = bytes(100, 11);
            let (mut whole, mut checksum) = (message.clone(), vec![0; way.checksum]);
            way.chosen.seal(&mut whole, &mut checksum);
            let mut parts = message.clone();
            let (front, back) = parts.split_at_mut(37);
            let mut pieces = [Piece::Seal(front), Piece::Seal(back)];
            let mut other = vec![0; way.checksum];
            way.chosen.seal_pieces(&mut pieces, &mut other);
            assert_eq!(way.chosen.open_pieces(&mut pieces, &checksum), Ok(()));
            assert_eq!(
                (parts, other),
                (message, checksum),
                "enctype {}",
                way.number
            );
        }
    }

    /// What is alone was compared with RustCrypto above.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn messages_side_by_side_are_as_each_alone_in_lanes_of_every_width() {
        if !widths::known() {
            return;
        }
        for count in (1..=20).chain([33]) {
            for seed in 0..6_u64 {
                let lengths = bytes(count * 2, 1000 * seed + count as u64);
                let messages = lengths.as_chunks::<2>().0.iter().enumerate();
                let messages: Vec<_> = messages
                    .map(|(at, &[a, b])| {
                        // All of a length, of lengths near each other, and of all lengths; one key and many.
                        let length = match seed {
                            0 | 3 => 1500 + usize::from(lengths[0]),
                            1 | 4 => 1200 + usize::from(a),
                            _ => 16 + usize::from(u16::from_be_bytes([a, b]) % 5000),
                        };
                        let key = if seed < 3 { 1 } else { at as u8 };
                        (key, bytes(length, seed + at as u64))
                    })
                    .collect();
                for many in widths::ALL {
                    for (sealing, wide) in
                        [(true, true), (true, false), (false, true), (false, false)]
                    {
                        let (beside, alone) = many(sealing, wide, &messages);
                        assert!(beside == alone, "{count} {seed} {sealing} {wide}");
                    }
                }
            }
        }
    }
}
