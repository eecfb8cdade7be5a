//! Whole messages through the public interface: what was not altered comes back, and nothing else does.

use std::sync::atomic::{AtomicU8, Ordering};

use krb5_crypto::{CipherKey, Enctype, IntegrityError, Key, KeyUsage};
use wire::random::Random;

/// Not random: every byte is one more than the last, so that a test repeats.
#[derive(Default)]
struct Counter(AtomicU8);

impl Random for Counter {
    fn fill(&self, out: &mut [u8]) {
        for byte in out {
            *byte = self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

const USAGE: KeyUsage = KeyUsage::KG_USAGE_INITIATOR_SEAL;

fn keys() -> impl Iterator<Item = Key> {
    let enctypes = Enctype::all().iter();
    enctypes.map(|enctype| enctype.random_key(&Counter::default()))
}

fn message(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + 5) as u8).collect()
}

/// The buffer that [`CipherKey::seal_in_place`] wants.
fn unsealed(key: &CipherKey, plaintext: &[u8]) -> Vec<u8> {
    let room = vec![0; key.enctype().checksum_length()];
    [&[9; 16][..], plaintext, &room].concat()
}

#[test]
fn every_length_comes_back() {
    for key in keys() {
        let cipher = key.cipher(USAGE);
        for length in (0..=200).chain([511, 512, 513, 1000, 4096, 16384, 65537]) {
            let (enctype, plaintext) = (key.enctype(), message(length));
            let ciphertext = key.encrypt(USAGE, &Counter::default(), &plaintext);
            assert_eq!(ciphertext.len(), length + enctype.overhead());
            let back = key.decrypt(USAGE, &ciphertext).expect("unaltered");
            assert_eq!(*back, plaintext, "{enctype}, {length} bytes");

            let mut buffer = unsealed(&cipher, &plaintext);
            cipher.seal_in_place(&mut buffer);
            let back = cipher.open_in_place(&mut buffer).expect("unaltered");
            assert_eq!(*back, plaintext, "{enctype}, {length} bytes in place");
        }
    }
}

#[test]
fn an_altered_ciphertext_is_refused() {
    for key in keys() {
        for length in [0, 1, 15, 16, 17, 33, 100] {
            let ciphertext = key.encrypt(USAGE, &Counter::default(), &message(length));
            for bit in 0..ciphertext.len() * 8 {
                let mut altered = ciphertext.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                let verdict = key.decrypt(USAGE, &altered).err();
                let at = format!("{}, {length} bytes, bit {bit}", key.enctype());
                assert_eq!(verdict, Some(IntegrityError::Mismatch), "{at}");
            }
            let longer = [&ciphertext[..], &[0]].concat();
            assert!(key.decrypt(USAGE, &longer).is_err(), "{}", key.enctype());
        }
    }
}

#[test]
fn a_cut_ciphertext_is_refused() {
    for key in keys() {
        let overhead = key.enctype().overhead();
        let ciphertext = key.encrypt(USAGE, &Counter::default(), &message(100));
        for cut in 0..ciphertext.len() {
            for cut in [&ciphertext[..cut], &ciphertext[ciphertext.len() - cut..]] {
                let verdict = key.decrypt(USAGE, cut).err();
                let expected = if cut.len() < overhead {
                    IntegrityError::TooShort {
                        wanted: overhead,
                        found: cut.len(),
                    }
                } else {
                    IntegrityError::Mismatch
                };
                assert_eq!(verdict, Some(expected), "{}", key.enctype());
            }
        }
    }
}

#[test]
fn another_key_usage_or_enctype_is_refused() {
    let others = [0, 1, 22, 25, 24 << 8, u32::MAX].map(KeyUsage);
    for key in keys() {
        let ciphertext = key.encrypt(USAGE, &Counter::default(), b"message");
        let checksum = key.checksum(USAGE, &[b"message"]);
        for usage in others {
            assert!(key.decrypt(usage, &ciphertext).is_err(), "{usage:?}");
            let verdict = key.verify_checksum(usage, &[b"message"], &checksum);
            assert_eq!(verdict, Err(IntegrityError::Mismatch), "{usage:?}");
        }
        let mut bytes = key.expose().to_vec();
        for other in keys().filter(|other| other.enctype() != key.enctype()) {
            assert!(other.decrypt(USAGE, &ciphertext).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let other = Key::new(key.enctype(), &bytes).expect("of that length");
            assert!(other.decrypt(USAGE, &ciphertext).is_err(), "bit {bit}");
            let verdict = other.verify_checksum(USAGE, &[b"message"], &checksum);
            assert_eq!(verdict, Err(IntegrityError::Mismatch), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_refused_buffer_holds_no_plaintext() {
    for key in keys() {
        let cipher = key.cipher(USAGE);
        let plaintext = message(1000);
        let mut buffer = unsealed(&cipher, &plaintext);
        cipher.seal_in_place(&mut buffer);
        *buffer.last_mut().expect("not empty") ^= 1;
        assert!(cipher.open_in_place(&mut buffer).is_err());
        let left = buffer
            .windows(4)
            .any(|left| plaintext.windows(4).any(|p| p == left));
        assert!(!left, "{}", key.enctype());
    }
}

#[test]
fn a_buffer_too_short_to_open_is_refused() {
    for key in keys() {
        let wanted = key.enctype().overhead();
        for found in 0..wanted {
            let mut buffer = vec![0; found];
            let verdict = key.cipher(USAGE).open_in_place(&mut buffer).err();
            assert_eq!(verdict, Some(IntegrityError::TooShort { wanted, found }));
        }
    }
}

#[test]
fn a_buffer_too_short_to_seal_is_a_bug_of_the_caller() {
    for key in keys() {
        let cipher = key.cipher(USAGE);
        for short in 0..key.enctype().overhead() {
            let seal = || cipher.seal_in_place(&mut vec![0; short]);
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(seal));
            assert!(panic.is_err(), "{} in {short}", key.enctype());
        }
    }
}

#[test]
fn every_checksum_verifies_and_no_other() {
    for key in keys() {
        let mac = key.mac(KeyUsage::KG_USAGE_INITIATOR_SIGN);
        for length in 0..=100 {
            let text = message(length);
            let checksum = mac.sign(&[&text]);
            assert_eq!(checksum.len(), key.enctype().checksum_length());
            for split in 0..=length {
                let (head, tail) = text.split_at(split);
                assert_eq!(mac.verify(&[head, &[], tail], &checksum), Ok(()));
            }
        }
        let text = message(100);
        let checksum = mac.sign(&[&text]).to_vec();
        for bit in 0..checksum.len() * 8 {
            let mut altered = checksum.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let verdict = mac.verify(&[&text], &altered);
            assert_eq!(verdict, Err(IntegrityError::Mismatch), "bit {bit}");
        }
        for bit in 0..text.len() * 8 {
            let mut altered = text.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let verdict = mac.verify(&[&altered], &checksum);
            assert_eq!(verdict, Err(IntegrityError::Mismatch), "bit {bit}");
        }
        let longer = [&checksum[..], &[0]].concat();
        for other in (0..checksum.len())
            .map(|cut| &checksum[..cut])
            .chain([&longer[..]])
        {
            let (wanted, found) = (checksum.len(), other.len());
            let verdict = mac.verify(&[&text], other);
            assert_eq!(
                verdict,
                Err(IntegrityError::ChecksumLength { wanted, found })
            );
        }
    }
}

#[test]
fn confounders_and_keys_are_what_the_source_gave() {
    for key in keys() {
        let bytes: Vec<u8> = (0..key.enctype().key_length() as u8).collect();
        assert_eq!(*key.expose(), *bytes, "{}", key.enctype());
        let random = Counter::default();
        let [first, second] = [(); 2].map(|()| key.encrypt(USAGE, &random, b"the same"));
        assert_ne!(first, second, "{}", key.enctype());
        assert_eq!(random.0.load(Ordering::Relaxed), 32, "16 bytes each");
    }
}
