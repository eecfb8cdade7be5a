//! The two ways in which an enctype is made of a cipher and a hash: RFC 3961's simplified profile and RFC 8009's.

use core::marker::PhantomData;

use aes::cipher::consts::U16;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use hmac::digest::Digest;
use hmac::digest::block_api::EagerHash;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::cipher::{EncryptThenSign, Seal, SignThenEncrypt, expand};
use crate::cts::BLOCK;
use crate::fold::n_fold;
use crate::mac::{Hmac, Sign};

/// A key to derive: the constant or label that names it, and where it goes.
pub(crate) type Wanted<'a> = (&'a [u8], &'a mut [u8]);

/// What the rows of one profile do differently from those of another.
pub(crate) trait Profile: Send + Sync {
    /// PBKDF2 with HMAC of the profile's hash.
    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]);

    /// Derives several keys from one, which so is expanded once.
    fn derive(&self, key: &[u8], wanted: &mut [Wanted<'_>]);

    /// The pseudo-random function.
    fn prf(&self, key: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>>;

    /// Expands the keys of one encryption usage.
    fn sealer(&self, ke: &[u8], ki: &[u8]) -> Box<dyn Seal>;

    /// Prepares the key of one checksum usage.
    fn signer(&self, kc: &[u8]) -> Box<dyn Sign>;
}

/// RFC 3961 §5.3, with the cipher's full form, its form that only encrypts, and the hash.
pub(crate) struct Simplified<A, E, H>(PhantomData<(A, E, H)>);

impl<A, E, H> Simplified<A, E, H> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
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
    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
        pbkdf2::pbkdf2_hmac::<H>(password, salt, iterations, out);
    }

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

    /// The hash is cut to a multiple of the *cipher* block, 16 bytes. RFC 3962 §6 would leave all 20 (its message block
    /// is one octet), but MIT and Heimdal cut, and RFC 6113 appendix A's vectors do.
    fn prf(&self, key: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut derived = Zeroizing::new([0; 32]);
        let derived = &mut derived[..key.len()];
        self.derive(key, &mut [(b"prf", derived)]);
        let cipher: E = expand(derived);
        let mut out = Zeroizing::new(H::digest(input)[..BLOCK].to_vec());
        let (blocks, _) = Array::slice_as_chunks_mut(&mut out);
        cipher.encrypt_blocks(blocks);
        out
    }

    fn sealer(&self, ke: &[u8], ki: &[u8]) -> Box<dyn Seal> {
        Box::new(SignThenEncrypt::<A, H>::new(ke, ki))
    }

    fn signer(&self, kc: &[u8]) -> Box<dyn Sign> {
        Box::new(Hmac::<H>::new(kc))
    }
}

/// RFC 8009, with the cipher and the hash.
pub(crate) struct HmacSha2<A, H>(PhantomData<(A, H)>);

impl<A, H> HmacSha2<A, H> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<A, H> Profile for HmacSha2<A, H>
where
    A: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    A: KeyInit + Send + Sync + ZeroizeOnDrop + 'static,
    H: EagerHash + Send + Sync + 'static,
    H::Core: Send + Sync + ZeroizeOnDrop,
{
    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
        pbkdf2::pbkdf2_hmac::<H>(password, salt, iterations, out);
    }

    fn derive(&self, key: &[u8], wanted: &mut [Wanted<'_>]) {
        let key = Hmac::<H>::new(key);
        for (label, out) in wanted {
            kdf_hmac_sha2(&key, label, &[], out);
        }
    }

    fn prf(&self, key: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(vec![0; <H as Digest>::output_size()]);
        kdf_hmac_sha2(&Hmac::<H>::new(key), b"prf", input, &mut out);
        out
    }

    fn sealer(&self, ke: &[u8], ki: &[u8]) -> Box<dyn Seal> {
        Box::new(EncryptThenSign::<A, H>::new(ke, ki))
    }

    fn signer(&self, kc: &[u8]) -> Box<dyn Sign> {
        Box::new(Hmac::<H>::new(kc))
    }
}

/// RFC 8009 §3: fills `out`, at most one hash long. A context that is absent and one that is empty are the same bytes.
fn kdf_hmac_sha2<H: EagerHash>(key: &Hmac<H>, label: &[u8], context: &[u8], out: &mut [u8]) {
    let bits = out.len() as u32 * 8;
    let mut mac = key.start();
    for part in [
        &1_u32.to_be_bytes()[..],
        label,
        &[0],
        context,
        &bits.to_be_bytes(),
    ] {
        mac.update(part);
    }
    let mut k1 = mac.finish();
    out.copy_from_slice(&k1[..out.len()]);
    k1.zeroize();
}
