//! Triple DES in CBC mode with HMAC-SHA1 (RFC 3961 §6.3), which RFC 8429 deprecates.

use aes::cipher::consts::U8;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt};
use des::TdesEde3;
use sha1::{Digest, Sha1};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::cipher::{Seal, expand};
use crate::fold::n_fold_any;
use crate::mac::{Hmac, Sign, same};
use crate::pieces::{self, Piece};
use crate::profile::{Derive, Profile, Wanted, sealing_keys, signing_key};
use crate::{CryptoError, IntegrityError, KeyUsage};

/// Bytes in a block, and in each of the three keys.
const BLOCK: usize = 8;

/// Bytes in a key.
const KEY: usize = 24;

/// Bytes that a key is made of: 56 bits for each of the three.
pub(crate) const SEED: usize = 21;

type Block = Array<u8, U8>;

/// des3-cbc-hmac-sha1-kd.
pub(crate) struct Des3CbcHmacSha1;

impl Derive for Des3CbcHmacSha1 {
    /// DK (RFC 3961 §5.1), whose keys all have the one length.
    fn derive(&self, key: &[u8], wanted: &mut [Wanted<'_>]) {
        let cipher: TdesEde3 = expand(key);
        for (constant, out) in wanted {
            let mut block = Block::default();
            n_fold_any(constant, &mut block);
            for piece in out[..SEED].chunks_mut(BLOCK) {
                cipher.encrypt_block(&mut block);
                piece.copy_from_slice(&block[..piece.len()]);
            }
            block.zeroize();
            self.random_to_key(out);
        }
    }
}

impl Profile for Des3CbcHmacSha1 {
    fn string_to_key(
        &self,
        password: &[u8],
        salt: &[u8],
        _iterations: u32,
        key: &mut [u8],
    ) -> Result<(), CryptoError> {
        let mut text = Zeroizing::new(Vec::with_capacity(password.len() + salt.len()));
        text.extend_from_slice(password);
        text.extend_from_slice(salt);
        let mut folded = Zeroizing::new([0; KEY]);
        n_fold_any(&text, &mut folded[..SEED]);
        self.random_to_key(&mut *folded);
        self.derive(&*folded, &mut [(b"kerberos", key)]);
        Ok(())
    }

    /// RFC 3961 §6.3.1.
    fn random_to_key(&self, key: &mut [u8]) {
        // From the end, where each key goes behind the seeds that are still to be read.
        for at in (0..3).rev() {
            let mut des = Zeroizing::new([0; BLOCK]);
            des[..7].copy_from_slice(&key[at * 7..][..7]);
            des[7] = (0..7).fold(0, |last, i| last | (des[i] & 1) << (i + 1));
            for byte in des.iter_mut() {
                *byte = with_parity(*byte);
            }
            if WEAK.contains(&u64::from_be_bytes(*des)) {
                des[7] ^= 0xf0;
            }
            key[at * BLOCK..][..BLOCK].copy_from_slice(&*des);
        }
    }

    /// The hash is cut to whole blocks (RFC 3961 §5.3).
    fn prf(&self, key: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut derived = Zeroizing::new([0; KEY]);
        self.derive(key, &mut [(b"prf", &mut *derived)]);
        let mut out = Zeroizing::new(Sha1::digest(input)[..2 * BLOCK].to_vec());
        encrypt(&expand(&*derived), [0; BLOCK], &mut out);
        out
    }

    fn sealer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Seal> {
        let (ke, ki) = sealing_keys(self, key, usage, KEY);
        Box::new(Sealer {
            cipher: expand(&ke[..KEY]),
            mac: Hmac::new(&ki[..KEY]),
        })
    }

    fn signer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Sign> {
        Box::new(Hmac::<Sha1>::new(
            &signing_key(self, key, usage, KEY)[..KEY],
        ))
    }
}

/// The weak keys and the semi-weak ones (FIPS 74 §3.6), to which RFC 3961 §6.2 gives other last bytes.
const WEAK: [u64; 16] = [
    0x0101_0101_0101_0101,
    0xfefe_fefe_fefe_fefe,
    0x1f1f_1f1f_0e0e_0e0e,
    0xe0e0_e0e0_f1f1_f1f1,
    0x01fe_01fe_01fe_01fe,
    0xfe01_fe01_fe01_fe01,
    0x1fe0_1fe0_0ef1_0ef1,
    0xe01f_e01f_f10e_f10e,
    0x01e0_01e0_01f1_01f1,
    0xe001_e001_f101_f101,
    0x1ffe_1ffe_0efe_0efe,
    0xfe1f_fe1f_fe0e_fe0e,
    0x011f_011f_010e_010e,
    0x1f01_1f01_0e01_0e01,
    0xe0fe_e0fe_f1fe_f1fe,
    0xfee0_fee0_fef1_fef1,
];

/// Makes the number of ones odd by the lowest bit.
const fn with_parity(byte: u8) -> u8 {
    let data = byte & 0xfe;
    data | (data.count_ones() as u8 & 1 ^ 1)
}

/// The keys of one usage; wipes itself.
struct Sealer {
    cipher: TdesEde3,
    mac: Hmac<Sha1>,
}

impl Seal for Sealer {
    fn seal(&self, message: &mut [u8], checksum: &mut [u8]) {
        checksum.copy_from_slice(&self.mac.of(&[message]));
        encrypt(&self.cipher, [0; BLOCK], message);
    }

    fn open(&self, message: &mut [u8], checksum: &[u8]) -> Result<(), IntegrityError> {
        decrypt(&self.cipher, [0; BLOCK], message);
        let verdict = same(&self.mac.of(&[message]), checksum);
        if verdict.is_err() {
            message.fill(0);
        }
        verdict
    }

    fn seal_pieces(&self, pieces: &mut [Piece<'_>], checksum: &mut [u8]) {
        checksum.copy_from_slice(&self.mac.over(pieces.iter().map(Piece::bytes)));
        pieces::by_copy(pieces, |message| encrypt(&self.cipher, [0; BLOCK], message));
    }

    fn open_pieces(&self, pieces: &mut [Piece<'_>], checksum: &[u8]) -> Result<(), IntegrityError> {
        pieces::by_copy(pieces, |message| decrypt(&self.cipher, [0; BLOCK], message));
        let verdict = same(&self.mac.over(pieces.iter().map(Piece::bytes)), checksum);
        if verdict.is_err() {
            pieces::wipe(pieces);
        }
        verdict
    }
}

impl ZeroizeOnDrop for Sealer {}

/// A key of enctype 16 as the tokens of RFC 1964 use it: as it is, nothing derived, and under an initial vector of theirs.
///
/// Wipes itself. What it decrypts is not authenticated: the token's own checksum is what does that.
pub struct TripleDesCbc(Box<TdesEde3>);

impl TripleDesCbc {
    pub(crate) fn new(key: &[u8]) -> Self {
        // Boxed, so that whoever moves it leaves no copy behind.
        Self(Box::new(expand(key)))
    }

    /// Encrypts whole blocks of 8 bytes in place.
    ///
    /// # Panics
    /// If the last block is not whole.
    pub fn encrypt(&self, initial_vector: [u8; 8], blocks: &mut [u8]) {
        encrypt(&self.0, initial_vector, blocks);
    }

    /// Decrypts whole blocks of 8 bytes in place.
    ///
    /// # Panics
    /// If the last block is not whole.
    pub fn decrypt(&self, initial_vector: [u8; 8], blocks: &mut [u8]) {
        decrypt(&self.0, initial_vector, blocks);
    }
}

impl ZeroizeOnDrop for TripleDesCbc {}

fn blocks(bytes: &mut [u8]) -> &mut [Block] {
    let (blocks, rest) = Block::slice_as_chunks_mut(bytes);
    assert!(rest.is_empty(), "whole blocks");
    blocks
}

fn encrypt(cipher: &TdesEde3, initial_vector: [u8; BLOCK], bytes: &mut [u8]) {
    let mut chain = Block::from(initial_vector);
    for block in blocks(bytes) {
        xor(block, &chain);
        cipher.encrypt_block(block);
        chain = *block;
    }
}

fn decrypt(cipher: &TdesEde3, initial_vector: [u8; BLOCK], bytes: &mut [u8]) {
    let mut chain = Block::from(initial_vector);
    for block in blocks(bytes) {
        let ciphertext = *block;
        cipher.decrypt_block(block);
        xor(block, &chain);
        chain = ciphertext;
    }
}

fn xor(block: &mut Block, other: &Block) {
    block.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::read;

    #[test]
    fn rfc3961_a3() {
        let cases = read("rfc3961_des3_dr_dk.txt");
        assert_eq!(cases.len(), 9);
        for case in cases {
            let mut made = [0; KEY];
            made[..SEED].copy_from_slice(&case.bytes("dr"));
            Des3CbcHmacSha1.random_to_key(&mut made);
            assert_eq!(made, *case.bytes("dk"), "{}", case.name());
            let mut derived = [0; KEY];
            let constant = case.bytes("constant");
            Des3CbcHmacSha1.derive(&case.bytes("key"), &mut [(&constant, &mut derived)]);
            assert_eq!(derived, *case.bytes("dk"), "{}", case.name());
        }
    }

    /// RFC 3961 §6.2: each weak key gets another last byte.
    #[test]
    fn weak_keys_are_corrected() {
        for weak in WEAK {
            let bytes = weak.to_be_bytes();
            assert!(
                bytes.iter().all(|byte| byte.count_ones() % 2 == 1),
                "{weak:x}"
            );
            let mut key = [0; KEY];
            for at in 0..3 {
                let seed = &mut key[at * 7..][..7];
                seed.copy_from_slice(&bytes[..7]);
                // The data bits of the last byte stand where the others have their parity.
                for (i, byte) in seed.iter_mut().enumerate() {
                    *byte = *byte & 0xfe | bytes[7] >> (i + 1) & 1;
                }
            }
            Des3CbcHmacSha1.random_to_key(&mut key);
            let corrected = (weak ^ 0xf0).to_be_bytes();
            assert_eq!(key, *[corrected; 3].concat(), "{weak:x}");
        }
    }

    #[test]
    fn whole_blocks_come_back_under_their_vector_alone() {
        let cipher = TripleDesCbc::new(&[0x5b; KEY]);
        for blocks in 0..5 {
            let plaintext: Vec<u8> = (0..blocks * 8).collect();
            let mut buffer = plaintext.clone();
            cipher.encrypt([1; 8], &mut buffer);
            assert_eq!(buffer == plaintext, blocks == 0);
            let mut other = buffer.clone();
            cipher.decrypt([1; 8], &mut buffer);
            assert_eq!(buffer, plaintext);
            cipher.decrypt([2; 8], &mut other);
            assert_eq!(other == plaintext, blocks == 0);
        }
    }
}
