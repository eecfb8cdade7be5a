//! Several messages at a time: where the processor's kernels have lanes, they go through side by side.

use crate::fast;
use crate::{CipherKey, IntegrityError};

/// How many messages are considered together. More would not be faster.
const TOGETHER: usize = 64;

/// A message of a batch, under a key that may be its own or all messages'.
pub struct Batched<'a> {
    pub(crate) key: &'a CipherKey,
    pub(crate) buffer: &'a mut [u8],
    /// What came of it, once it is known.
    pub(crate) outcome: Option<Result<(), IntegrityError>>,
}

impl<'a> Batched<'a> {
    /// The message in `buffer`, which is as [`CipherKey::seal_in_place`] or [`CipherKey::open_in_place`] takes it.
    pub fn new(key: &'a CipherKey, buffer: &'a mut [u8]) -> Self {
        Self {
            key,
            buffer,
            outcome: None,
        }
    }

    /// What [`open_many`] found. After an error the buffer holds nothing of the plaintext.
    pub fn outcome(&self) -> Result<(), IntegrityError> {
        self.outcome.unwrap_or(Err(IntegrityError::Mismatch))
    }
}

/// Does with each message what [`CipherKey::seal_in_place`] does.
///
/// # Panics
/// If no message has a ciphertext of one of the buffers' lengths, as there.
pub fn seal_many(batch: &mut [Batched<'_>]) {
    for message in &mut *batch {
        message.key.assert_length(message.buffer.len());
        message.outcome = None;
    }
    for together in batch.chunks_mut(TOGETHER) {
        fast::seal_lanes(together);
        for message in together {
            if message.outcome.is_none() {
                message.key.seal_in_place(message.buffer);
                message.outcome = Some(Ok(()));
            }
        }
    }
}

/// Does with each message what [`CipherKey::open_in_place`] does. Each has its own [outcome](Batched::outcome).
pub fn open_many(batch: &mut [Batched<'_>]) {
    for message in &mut *batch {
        let checked = message.key.check_length(message.buffer.len());
        message.outcome = checked.err().map(Err);
    }
    for together in batch.chunks_mut(TOGETHER) {
        fast::open_lanes(together);
        for message in together {
            if message.outcome.is_none() {
                message.outcome = Some(message.key.open_in_place(message.buffer).map(|_| ()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Enctype, KeyUsage};

    /// Two keys of each enctype, in turns.
    fn keys() -> Vec<CipherKey> {
        let key = |enctype: &'static Enctype, password: &[u8]| {
            let key = enctype.string_to_key(password, b"salt", None).unwrap();
            key.cipher(KeyUsage::KG_USAGE_ACCEPTOR_SEAL)
        };
        let both = |enctype| [key(enctype, b"one"), key(enctype, b"other")];
        Enctype::all().iter().flat_map(both).collect()
    }

    fn text(key: &CipherKey, number: usize, length: usize) -> Vec<u8> {
        let mut buffer = vec![number as u8; key.enctype().sealed_length(length)];
        key.enctype().split_checksum_mut(&mut buffer).1.fill(0);
        buffer
    }

    #[test]
    fn a_batch_of_all_enctypes_is_sealed_and_opened_as_each_message_is() {
        let keys = keys();
        let lengths = [0, 1, 15, 16, 17, 31, 64, 80, 100, 200, 1000, 5000, 16384];
        for seed in 0..20 {
            let each = keys.iter().cycle().take(70).enumerate();
            let mut texts: Vec<_> = each
                .map(|(at, key)| (key, text(key, at, lengths[(at * 7 + seed) % lengths.len()])))
                .collect();
            let plain = texts.clone();
            let mut alone = texts.clone();
            alone
                .iter_mut()
                .for_each(|(key, text)| key.seal_in_place(text));
            let mut batch: Vec<_> = texts
                .iter_mut()
                .map(|(key, text)| Batched::new(key, text))
                .collect();
            seal_many(&mut batch);
            for ((at, (key, sealed)), (_, alone)) in texts.iter().enumerate().zip(&alone) {
                assert!(sealed == alone, "{} {at}", key.enctype());
            }
            // Every third is altered, and every seventh of these is cut to nothing.
            for (at, (_, text)) in texts.iter_mut().enumerate().filter(|(at, _)| at % 3 == 0) {
                let bit = (at * 31 + seed * 77) % (text.len() * 8);
                text[bit / 8] ^= 1 << (bit % 8);
                text.truncate(if at % 7 == 0 { at / 7 } else { text.len() });
            }
            let mut batch: Vec<_> = texts
                .iter_mut()
                .map(|(key, text)| Batched::new(key, text))
                .collect();
            open_many(&mut batch);
            let outcomes: Vec<_> = batch.iter().map(Batched::outcome).collect();
            for (at, outcome) in outcomes.into_iter().enumerate() {
                let (key, opened) = &mut texts[at];
                let enctype = key.enctype();
                let (opened, _) = match outcome {
                    Err(IntegrityError::Mismatch) if at % 3 == 0 => {
                        let confounder = [at as u8; 8];
                        assert!(
                            !opened.windows(8).any(|part| part == confounder),
                            "{enctype}"
                        );
                        continue;
                    }
                    Err(IntegrityError::TooShort { .. }) if at % 21 == 0 => continue,
                    outcome => {
                        assert_eq!((outcome, at % 3 == 0), (Ok(()), false), "{enctype} {at}");
                        enctype.split_checksum_mut(opened)
                    }
                };
                let mut plain = plain[at].1.clone();
                assert!(
                    *opened == *enctype.split_checksum_mut(&mut plain).0,
                    "{enctype} {at}"
                );
            }
        }
    }

    /// In lanes, beside messages that are good and stay so.
    #[test]
    fn each_bit_of_a_message_in_a_batch_counts() {
        for key in keys() {
            let mut sealed = text(&key, 5, 180);
            key.seal_in_place(&mut sealed);
            for bit in 0..sealed.len() * 8 {
                let mut texts = vec![sealed.clone(); 5];
                texts[2][bit / 8] ^= 1 << (bit % 8);
                let mut batch: Vec<_> = texts
                    .iter_mut()
                    .map(|text| Batched::new(&key, text))
                    .collect();
                open_many(&mut batch);
                for (at, message) in batch.iter().enumerate() {
                    let wanted = if at == 2 {
                        Err(IntegrityError::Mismatch)
                    } else {
                        Ok(())
                    };
                    assert_eq!(message.outcome(), wanted, "{} {bit}", key.enctype());
                }
            }
        }
    }

    #[test]
    fn a_batch_can_be_sealed_again() {
        let key = &keys()[0];
        let mut texts = [text(key, 1, 40), text(key, 2, 40)];
        let mut alone = texts.clone();
        let mut batch: Vec<_> = texts
            .iter_mut()
            .map(|text| Batched::new(key, text))
            .collect();
        for _ in 0..2 {
            seal_many(&mut batch);
            alone.iter_mut().for_each(|text| key.seal_in_place(text));
        }
        drop(batch);
        assert!(texts == alone);
    }

    #[test]
    fn what_was_not_opened_has_no_good_outcome() {
        let key = &keys()[0];
        let mut buffer = [0; 60];
        assert!(Batched::new(key, &mut buffer).outcome().is_err());
    }
}
