//! What the rows of the table have in common, and the two profiles of AES: RFC 3961's simplified one and RFC 8009's.

use core::marker::PhantomData;

use aes::cipher::consts::U16;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use hmac::block_api::HmacCore;
use hmac::digest::Digest;
use hmac::digest::block_api::EagerHash;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::cipher::{EncryptThenSign, Seal, SignThenEncrypt, expand};
use crate::cts::BLOCK;
use crate::fast::Choose;
use crate::fold::n_fold;
use crate::mac::{Hmac, Sign};
use crate::{CryptoError, KeyUsage};

/// What the rows of one profile do differently from those of another.
pub(crate) trait Profile: Send + Sync {
    /// The key of a password. `salt` has the row's prefix; profiles without iterations pass over their number.
    fn string_to_key(
        &self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        key: &mut [u8],
    ) -> Result<(), CryptoError>;

    /// Makes a key of the seed that `key` begins with: the identity, but for Triple DES.
    fn random_to_key(&self, _key: &mut [u8]) {}

    /// The pseudo-random function.
    fn prf(&self, key: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>>;

    /// Prepares the keys that encrypt under `usage`.
    fn sealer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Seal>;

    /// Prepares the key that signs under `usage`.
    fn signer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Sign>;
}

/// A key to derive: the constant or label that names it, and where it goes.
pub(crate) type Wanted<'a> = (&'a [u8], &'a mut [u8]);

/// Key derivation by constants (RFC 3961 §5.1, RFC 6803 §3, RFC 8009 §3).
pub(crate) trait Derive {
    /// Derives several keys from one, which so is expanded once.
    fn derive(&self, key: &[u8], wanted: &mut [Wanted<'_>]);
}

/// What a derived key is for (RFC 3961 §5.3): the last octet of its constant.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Checksum = 0x99,
    Encryption = 0xaa,
    Integrity = 0x55,
}

/// The constant of a usage and a purpose.
pub(crate) fn constant(usage: KeyUsage, purpose: Purpose) -> [u8; 5] {
    let [a, b, c, d] = usage.0.to_be_bytes();
    [a, b, c, d, purpose as u8]
}

/// Derived keys, none of which is longer; wipe themselves.
pub(crate) type Derived = Zeroizing<[u8; 32]>;

/// Ke and Ki, which may have another length.
pub(crate) fn sealing_keys(
    profile: &impl Derive,
    key: &[u8],
    usage: KeyUsage,
    integrity: usize,
) -> (Derived, Derived) {
    let (mut ke, mut ki) = (Derived::default(), Derived::default());
    profile.derive(
        key,
        &mut [
            (&constant(usage, Purpose::Encryption), &mut ke[..key.len()]),
            (&constant(usage, Purpose::Integrity), &mut ki[..integrity]),
        ],
    );
    (ke, ki)
}

/// Kc.
pub(crate) fn signing_key(
    profile: &impl Derive,
    key: &[u8],
    usage: KeyUsage,
    integrity: usize,
) -> Derived {
    let mut kc = Derived::default();
    profile.derive(
        key,
        &mut [(&constant(usage, Purpose::Checksum), &mut kc[..integrity])],
    );
    kc
}

/// PBKDF2 with HMAC of `H`, and a key derived from what comes out (RFC 3962 §4, RFC 6803 §4, RFC 8009 §4).
pub(crate) fn stretch<H>(
    profile: &impl Derive,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    key: &mut [u8],
) where
    H: EagerHash,
    H::Core: Sync,
{
    let mut stretched = Derived::default();
    let stretched = &mut stretched[..key.len()];
    pbkdf2::pbkdf2_hmac::<H>(password, salt, iterations, stretched);
    profile.derive(stretched, &mut [(b"kerberos", key)]);
}

/// RFC 3961 §5.3, with the cipher's full form, its form that only encrypts, and the hash.
pub(crate) struct Simplified<A, E, H> {
    choose: Choose,
    algorithms: PhantomData<(A, E, H)>,
}

impl<A, E, H> Simplified<A, E, H> {
    pub(crate) const fn new(choose: Choose) -> Self {
        Self {
            choose,
            algorithms: PhantomData,
        }
    }
}

impl<A, E, H> Derive for Simplified<A, E, H>
where
    E: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    /// DK, which is DR here, since random-to-key is the identity (RFC 3961 §5.1, RFC 3962 §6).
    fn derive(&self, key: &[u8], wanted: &mut [Wanted<'_>]) {
        let cipher: E = expand(key);
        for (constant, out) in wanted {
            let mut block = Array::from(n_fold(constant));
            for piece in out.chunks_mut(BLOCK) {
                cipher.encrypt_block(&mut block);
                piece.copy_from_slice(&block[..piece.len()]);
            }
            block.zeroize();
        }
    }
}

impl<A, E, H> Profile for Simplified<A, E, H>
where
    A: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    A: KeyInit + Send + Sync + ZeroizeOnDrop + 'static,
    E: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit + Send + Sync,
    H: EagerHash + Digest + Send + Sync + 'static,
    H::Core: Send + Sync + ZeroizeOnDrop,
{
    fn string_to_key(
        &self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        key: &mut [u8],
    ) -> Result<(), CryptoError> {
        stretch::<H>(self, password, salt, iterations, key);
        Ok(())
    }

    /// The hash is cut to a multiple of the *cipher* block, 16 bytes. RFC 3962 §6 would leave all 20 (its message block
    /// is one octet), but MIT and Heimdal cut, and RFC 6113 appendix A's vectors do.
    fn prf(&self, key: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut derived = Derived::default();
        let derived = &mut derived[..key.len()];
        self.derive(key, &mut [(b"prf", derived)]);
        let cipher: E = expand(derived);
        let mut out = Zeroizing::new(H::digest(input)[..BLOCK].to_vec());
        let (blocks, _) = Array::slice_as_chunks_mut(&mut out);
        cipher.encrypt_blocks(blocks);
        out
    }

    fn sealer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Seal> {
        let length = key.len();
        let (ke, ki) = sealing_keys(self, key, usage, length);
        let portable = SignThenEncrypt::<A, HmacCore<H>>::boxed;
        (self.choose)(&ke[..length], &ki[..length], portable)
    }

    fn signer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Sign> {
        let kc = signing_key(self, key, usage, key.len());
        Box::new(Hmac::<H>::new(&kc[..key.len()]))
    }
}

/// RFC 8009, with the cipher and the hash, and the length of the keys that checksums are made with.
pub(crate) struct HmacSha2<A, H> {
    integrity: usize,
    choose: Choose,
    algorithms: PhantomData<(A, H)>,
}

impl<A, H> HmacSha2<A, H> {
    pub(crate) const fn new(integrity: usize, choose: Choose) -> Self {
        Self {
            integrity,
            choose,
            algorithms: PhantomData,
        }
    }
}

impl<A, H: EagerHash> Derive for HmacSha2<A, H>
where
    H::Core: Send + Sync + ZeroizeOnDrop,
{
    fn derive(&self, key: &[u8], wanted: &mut [Wanted<'_>]) {
        let key = Hmac::<H>::new(key);
        for (label, out) in wanted {
            kdf_hmac_sha2(&key, label, &[], out);
        }
    }
}

impl<A, H> Profile for HmacSha2<A, H>
where
    A: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    A: KeyInit + Send + Sync + ZeroizeOnDrop + 'static,
    H: EagerHash + Send + Sync + 'static,
    H::Core: Send + Sync + ZeroizeOnDrop,
{
    fn string_to_key(
        &self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        key: &mut [u8],
    ) -> Result<(), CryptoError> {
        stretch::<H>(self, password, salt, iterations, key);
        Ok(())
    }

    fn prf(&self, key: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(vec![0; <H as Digest>::output_size()]);
        kdf_hmac_sha2(&Hmac::<H>::new(key), b"prf", input, &mut out);
        out
    }

    fn sealer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Seal> {
        let (ke, ki) = sealing_keys(self, key, usage, self.integrity);
        let portable = EncryptThenSign::<A, HmacCore<H>>::boxed;
        (self.choose)(&ke[..key.len()], &ki[..self.integrity], portable)
    }

    fn signer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Sign> {
        let kc = signing_key(self, key, usage, self.integrity);
        Box::new(Hmac::<H>::new(&kc[..self.integrity]))
    }
}

/// RFC 8009 §3: fills `out`, at most one hash long. A context that is absent and one that is empty are the same bytes.
fn kdf_hmac_sha2<H: EagerHash>(key: &Hmac<H>, label: &[u8], context: &[u8], out: &mut [u8])
where
    H::Core: Send + Sync + ZeroizeOnDrop,
{
    let bits = out.len() as u32 * 8;
    let mut k1 = key.of(&[
        &1_u32.to_be_bytes(),
        label,
        &[0],
        context,
        &bits.to_be_bytes(),
    ]);
    out.copy_from_slice(&k1[..out.len()]);
    k1.zeroize();
}

#[cfg(test)]
mod tests {
    use aes::{Aes128, Aes256};
    use camellia::{Camellia128, Camellia256};
    use sha2::{Sha256, Sha384};

    use super::*;
    use crate::camellia::CtsCmac;
    use crate::fast;
    use crate::vectors::{Case, read};

    /// Kc, Ke and Ki as the case has them, from keys of these lengths.
    fn check(profile: &impl Derive, case: &Case, integrity: usize) {
        let (key, usage) = (case.bytes("base_key"), KeyUsage(case.number("usage")));
        let kc = signing_key(profile, &key, usage, integrity);
        let (ke, ki) = sealing_keys(profile, &key, usage, integrity);
        for (field, derived) in [
            ("kc", &kc[..integrity]),
            ("ke", &ke[..key.len()]),
            ("ki", &ki[..integrity]),
        ] {
            assert_eq!(derived, case.bytes(field), "{} {field}", case.name());
        }
    }

    #[test]
    fn rfc8009_key_derivation() {
        let cases = read("rfc8009_key_derivation.txt");
        assert_eq!(cases.len(), 2);
        check(
            &HmacSha2::<Aes128, Sha256>::new(16, fast::none),
            &cases[0],
            16,
        );
        check(
            &HmacSha2::<Aes256, Sha384>::new(24, fast::none),
            &cases[1],
            24,
        );
    }

    #[test]
    fn rfc6803_key_derivation() {
        let cases = read("rfc6803_key_derivation.txt");
        assert_eq!(cases.len(), 2);
        check(&CtsCmac::<Camellia128>::new(), &cases[0], 16);
        check(&CtsCmac::<Camellia256>::new(), &cases[1], 32);
    }
}
