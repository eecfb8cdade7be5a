//! Camellia in CBC mode with ciphertext stealing, signed with CMAC (RFC 6803).

use core::marker::PhantomData;

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use cmac::block_api::CmacCore;
use hmac::digest::block_api::SmallBlockSizeUser;
use sha1::Sha1;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::cipher::{Seal, SignThenEncrypt};
use crate::cts::BLOCK;
use crate::mac::{Cmac, Sign};
use crate::profile::{Derive, Derived, Profile, Wanted, sealing_keys, signing_key, stretch};
use crate::{CryptoError, KeyUsage};

/// RFC 6803 with one of the cipher's two key sizes.
pub(crate) struct CtsCmac<A>(PhantomData<A>);

impl<A> CtsCmac<A> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<A> Derive for CtsCmac<A>
where
    A: BlockCipherEncrypt + SmallBlockSizeUser<_BlockSize = U16>,
    A: KeyInit + Clone + Send + Sync + ZeroizeOnDrop,
{
    /// KDF-FEEDBACK-CMAC (RFC 6803 §3).
    fn derive(&self, key: &[u8], wanted: &mut [Wanted<'_>]) {
        let key = Cmac::<A>::new(key);
        for (constant, out) in wanted {
            let bits = (out.len() as u32 * 8).to_be_bytes();
            let mut block = [0; BLOCK];
            for (piece, i) in out.chunks_mut(BLOCK).zip(1_u32..) {
                block = key
                    .of(&[&block, &i.to_be_bytes(), constant, &[0], &bits])
                    .into();
                piece.copy_from_slice(&block[..piece.len()]);
            }
            block.zeroize();
        }
    }
}

impl<A> Profile for CtsCmac<A>
where
    A: BlockCipherEncrypt + BlockCipherDecrypt + SmallBlockSizeUser<_BlockSize = U16>,
    A: KeyInit + Clone + Send + Sync + ZeroizeOnDrop + 'static,
{
    fn string_to_key(
        &self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        key: &mut [u8],
    ) -> Result<(), CryptoError> {
        stretch::<Sha1>(self, password, salt, iterations, key);
        Ok(())
    }

    fn prf(&self, key: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut derived = Derived::default();
        let derived = &mut derived[..key.len()];
        self.derive(key, &mut [(b"prf", derived)]);
        Zeroizing::new(Cmac::<A>::new(derived).of(&[input]).to_vec())
    }

    fn sealer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Seal> {
        let length = key.len();
        let (ke, ki) = sealing_keys(self, key, usage, length);
        SignThenEncrypt::<A, CmacCore<A>>::boxed(&ke[..length], &ki[..length])
    }

    fn signer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Sign> {
        let kc = signing_key(self, key, usage, key.len());
        Box::new(Cmac::<A>::new(&kc[..key.len()]))
    }
}
