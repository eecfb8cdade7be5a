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
    let enctype = key.enctype();
    let mut buffer = vec![9; enctype.header_length()];
    buffer.extend_from_slice(plaintext);
    buffer.resize(enctype.sealed_length(plaintext.len()), 0);
    buffer
}

/// What comes back of a plaintext.
fn padded(enctype: &Enctype, plaintext: &[u8]) -> Vec<u8> {
    let zeros = enctype.padded_length(plaintext.len()) - plaintext.len();
    [plaintext, &vec![0; zeros]].concat()
}

#[test]
fn every_length_comes_back() {
    for key in keys() {
        let cipher = key.cipher(USAGE);
        for length in (0..=200).chain([511, 512, 513, 1000, 4096, 16384, 65537]) {
            let (enctype, plaintext) = (key.enctype(), message(length));
            let ciphertext = key.encrypt(USAGE, &Counter::default(), &plaintext);
            assert_eq!(ciphertext.len(), enctype.sealed_length(length));
            let back = key.decrypt(USAGE, &ciphertext).expect("unaltered");
            assert_eq!(
                *back,
                padded(enctype, &plaintext),
                "{enctype}, {length} bytes"
            );

            let mut buffer = unsealed(&cipher, &plaintext);
            cipher.seal_in_place(&mut buffer);
            let back = cipher.open_in_place(&mut buffer).expect("unaltered");
            assert_eq!(
                *back,
                padded(enctype, &plaintext),
                "{enctype}, {length} bytes in place"
            );
        }
    }
}

#[test]
fn trap_11_an_altered_ciphertext_is_refused() {
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
                let (wanted, found) = (overhead, cut.len());
                let expected = match found.checked_sub(wanted) {
                    None => IntegrityError::TooShort { wanted, found },
                    Some(length) if key.enctype().padded_length(length) != length => {
                        IntegrityError::PartialBlock { found }
                    }
                    Some(_) => IntegrityError::Mismatch,
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
        // The lowest bit of each byte of a Triple DES key is its parity, which the cipher does not look at.
        let counts = |bit: &usize| key.enctype().number() != 16 || !bit.is_multiple_of(8);
        for bit in (0..bytes.len() * 8).filter(counts) {
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
fn a_buffer_of_no_ciphertexts_length_is_a_bug_of_the_caller() {
    for key in keys() {
        let (cipher, overhead) = (key.cipher(USAGE), key.enctype().overhead());
        let partial = (overhead..overhead + 20)
            .filter(|length| key.enctype().sealed_length(length - overhead) != *length);
        for wrong in (0..overhead).chain(partial) {
            let seal = || cipher.seal_in_place(&mut vec![0; wrong]);
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(seal));
            assert!(panic.is_err(), "{} in {wrong}", key.enctype());
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
        let (enctype, random) = (key.enctype(), Counter::default());
        if enctype.number() == 16 {
            assert_eq!(key.expose()[..8], [1, 1, 2, 2, 4, 4, 7, 0x54]);
        } else {
            let bytes: Vec<u8> = (0..enctype.key_length() as u8).collect();
            assert_eq!(*key.expose(), *bytes, "{enctype}");
        }
        let [first, second] = [(); 2].map(|()| key.encrypt(USAGE, &random, b"the same"));
        assert_ne!(first, second, "{enctype}");
        let given = random.0.load(Ordering::Relaxed);
        assert_eq!(
            usize::from(given),
            2 * enctype.confounder_length(),
            "{enctype}"
        );

        // Where the confounder stands, and nothing else in front of the plaintext: it is still there after decrypting.
        let mut buffer = first;
        let cipher = key.cipher(USAGE);
        cipher.open_in_place(&mut buffer).expect("unaltered");
        let header = enctype.header_length();
        let confounder = &buffer[header - enctype.confounder_length()..header];
        assert!(confounder.iter().copied().eq(0..given / 2), "{enctype}");
    }
}

/// RFC 4757 §3: the two usages of replies to clients are one.
#[test]
fn rc4_has_message_types_of_its_own() {
    let key = krb5_crypto::ARCFOUR_HMAC.random_key(&Counter::default());
    let sealed = key.encrypt(KeyUsage::AS_REP_ENC_PART, &Counter::default(), b"reply");
    let other = KeyUsage::TGS_REP_ENC_PART_SESSION_KEY;
    assert_eq!(*key.decrypt(other, &sealed).expect("the same"), *b"reply");
    assert!(
        key.decrypt(KeyUsage::TGS_REP_ENC_PART_SUBKEY, &sealed)
            .is_err()
    );
}

/// RFC 4757 §7.3, with the standard's primitives put together by hand.
#[test]
fn rc4s_tokens_have_streams_of_their_own() {
    use hmac::{Hmac, KeyInit, Mac};
    use rc4::{Rc4, StreamCipher};

    let hmac = |key: &[u8], data: &[u8]| {
        let mut mac = Hmac::<md5::Md5>::new_from_slice(key).expect("any length");
        mac.update(data);
        mac.finalize().into_bytes().to_vec()
    };
    let key = krb5_crypto::ARCFOUR_HMAC.random_key(&Counter::default());
    let tokens = key.arcfour_tokens().expect("a key of RC4");
    let local: Vec<u8> = key.expose().iter().map(|byte| byte ^ 0xf0).collect();

    let message = message(40);
    let mut expected = message.clone();
    let stream = hmac(&hmac(&local, &[0; 4]), &[1, 2, 3, 4]);
    Rc4::new_from_slice(&stream)
        .expect("16 bytes")
        .apply_keystream(&mut expected);
    let mut sealed = message.clone();
    let (front, back) = sealed.split_at_mut(13);
    tokens.message(0x0102_0304, [front, back]);
    assert_eq!(sealed, expected);
    tokens.message(0x0102_0304, [&mut sealed[..]]);
    assert_eq!(sealed, message);

    let mut expected = [5; 8];
    let stream = hmac(&hmac(key.expose(), &[0; 4]), &[9; 8]);
    Rc4::new_from_slice(&stream)
        .expect("16 bytes")
        .apply_keystream(&mut expected);
    let mut field = [5; 8];
    tokens.sequence_number([9; 8], &mut field);
    assert_eq!(field, expected);
}

#[test]
fn older_tokens_are_of_two_enctypes() {
    for key in keys() {
        let number = key.enctype().number();
        assert_eq!(key.triple_des_cbc().is_some(), number == 16);
        assert_eq!(key.arcfour_tokens().is_some(), number == 23);
    }
}
