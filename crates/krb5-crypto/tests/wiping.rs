//! What is left of a key in the process's memory after everything that held it is gone.
#![cfg(target_os = "linux")]

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use krb5_crypto::{Enctype, Key, KeyUsage};
use wire::random::Random;

struct Confounder;

impl Random for Confounder {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0x11);
    }
}

/// The needle is kept under this mask, so that looking for it does not put it into memory.
const MASK: u8 = 0x5a;

/// Half a key is enough to find it: 16 bytes are the whole of the short ones, and the first round key of all.
const NEEDLE: usize = 16;

/// Held while memory is read: what is read passes through a window, where another test's search would find it again.
static SEARCH: Mutex<()> = Mutex::new(());

/// Counts the places in this process's writable memory that hold the needle.
fn places_with(masked: &[u8; NEEDLE]) -> usize {
    let _alone = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = File::open("/proc/self/mem").expect("own memory");
    let maps = read_to_string("/proc/self/maps").expect("own maps");
    let mut window = vec![0_u8; 1 << 16];
    let own = window.as_ptr() as u64;
    let own = own..own + window.len() as u64;
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').expect("a range");
        let (start, end) = range.split_once('-').expect("a range");
        let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).expect("hex"));
        let mut at = start;
        while at < end {
            let wanted = window.len().min((end - at) as usize);
            let Ok(got) = memory.read_at(&mut window[..wanted], at) else {
                break;
            };
            found += (0..got.saturating_sub(NEEDLE - 1))
                .filter(|offset| !own.contains(&(at + *offset as u64)))
                .filter(|offset| (0..NEEDLE).all(|i| window[offset + i] ^ MASK == masked[i]))
                .count();
            window.fill(0);
            std::hint::black_box(&mut window);
            if got <= NEEDLE {
                break;
            }
            // Overlapping, so that a needle across two windows is seen.
            at += (got - (NEEDLE - 1)) as u64;
        }
    }
    found
}

/// A key whose bytes were never anywhere but in it, and the front of it, masked. Tests run side by side in one process,
/// so each has a `seed` of its own.
fn secret(enctype: &'static Enctype, seed: u8) -> (Key, [u8; NEEDLE]) {
    struct Secret(u8);
    impl Random for Secret {
        fn fill(&self, out: &mut [u8]) {
            for (i, byte) in out.iter_mut().enumerate() {
                *byte = (i as u8).wrapping_mul(29).wrapping_add(self.0) ^ 0xc3;
            }
        }
    }
    let key = enctype.random_key(&Secret(enctype.number() as u8 + seed));
    let mut masked = [0; NEEDLE];
    for (masked, byte) in masked.iter_mut().zip(key.expose()) {
        *masked = byte ^ MASK;
    }
    (key, masked)
}

#[test]
fn nothing_is_left_of_a_key() {
    for enctype in Enctype::all() {
        let (key, masked) = secret(enctype, 0);
        let usage = KeyUsage::KG_USAGE_ACCEPTOR_SEAL;
        let ciphertext = key.encrypt(usage, &Confounder, b"a message");
        key.decrypt(usage, &ciphertext).expect("unaltered");
        let checksum = key.checksum(usage, &[b"a message"]);
        key.verify_checksum(usage, &[b"a message"], &checksum)
            .expect("unaltered");
        key.prf(b"input");
        assert_ne!(places_with(&masked), 0, "{enctype}: the search finds a key");
        drop(key);
        assert_eq!(places_with(&masked), 0, "{enctype}: and then none is left");
    }
}

#[test]
fn nothing_is_left_of_a_plaintext_that_held_a_key() {
    for enctype in Enctype::all() {
        let (inner, masked) = secret(enctype, 100);
        let outer = enctype.random_key(&Confounder);
        let ciphertext = outer.encrypt(KeyUsage::TICKET, &Confounder, inner.expose());
        drop(inner);
        let plaintext = outer
            .decrypt(KeyUsage::TICKET, &ciphertext)
            .expect("unaltered");
        let before = places_with(&masked);
        assert_ne!(before, 0, "{enctype}: the search finds a key");
        drop(plaintext);
        assert_eq!(places_with(&masked), 0, "{enctype}: and then none is left");
    }
}

/// RFC 8009 appendix A's base key of enctype 20, masked.
const BASE_KEY: [u8; 32] = [
    0x37, 0x1a, 0x17, 0x6d, 0xa0, 0xad, 0xc5, 0xc7, 0xaa, 0x89, 0x6f, 0x32, 0x89, 0x7a, 0x3c, 0xc2,
    0x5a, 0xb1, 0x12, 0x6c, 0x1d, 0x74, 0xf2, 0xfa, 0x7c, 0x8b, 0x31, 0x2b, 0xd8, 0x1c, 0x56, 0x08,
];

/// Of the same sample, the first half of Ke and the front of Ki for key usage 2, masked.
const KE: [u8; NEEDLE] = [
    0x0c, 0xf1, 0x78, 0xe4, 0xbc, 0x67, 0xd8, 0x8d, 0xe6, 0x08, 0x7d, 0xac, 0x2d, 0x65, 0xd4, 0xfd,
];
const KI: [u8; NEEDLE] = [
    0x33, 0xeb, 0x3f, 0x4e, 0xb9, 0x97, 0xd4, 0x0c, 0xe2, 0x7a, 0x4a, 0x8f, 0x9d, 0x6a, 0x48, 0xec,
];

#[test]
fn nothing_is_left_of_derived_keys() {
    struct Unmasked;
    impl Random for Unmasked {
        fn fill(&self, out: &mut [u8]) {
            for (byte, masked) in out.iter_mut().zip(BASE_KEY) {
                *byte = masked ^ MASK;
            }
        }
    }
    let key = krb5_crypto::AES256_CTS_HMAC_SHA384_192.random_key(&Unmasked);
    let cipher = key.cipher(KeyUsage(2));
    let mut buffer = [0; 100];
    cipher.seal_in_place(&mut buffer);
    cipher.open_in_place(&mut buffer).expect("unaltered");
    assert_ne!(places_with(&KE), 0, "the search finds a schedule");
    drop((key, cipher));
    assert_eq!(places_with(&KE), 0, "and then none is left");
    assert_eq!(places_with(&KI), 0, "nor of the key that signs");
}
