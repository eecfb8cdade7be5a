//! Checksums: HMAC truncated to the length its type says (RFC 3961 §5.4, RFC 8009 §6).

use core::ops::Deref;

use cmac::block_api::{CmacCipher, CmacCore};
use hmac::block_api::HmacCore;
use hmac::digest::block_api::{Buffer, EagerHash, FixedOutputCore, UpdateCore};
use hmac::digest::{KeyInit, Output};
use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

use crate::{Enctype, IntegrityError};

/// The longest checksum any enctype has.
const LONGEST: usize = 24;

/// The key of one checksum usage, its HMAC state computed; wipes itself.
pub struct MacKey {
    enctype: &'static Enctype,
    signer: Box<dyn Sign>,
}

impl MacKey {
    pub(crate) fn new(enctype: &'static Enctype, signer: Box<dyn Sign>) -> Self {
        Self { enctype, signer }
    }

    /// The enctype whose checksum type this is.
    pub fn enctype(&self) -> &'static Enctype {
        self.enctype
    }

    /// The checksum of the message that is `parts` one after another.
    pub fn sign(&self, parts: &[&[u8]]) -> Checksum {
        let mut checksum = Checksum {
            bytes: [0; LONGEST],
            length: self.enctype.checksum_length(),
        };
        self.signer
            .sign(parts, &mut checksum.bytes[..checksum.length]);
        checksum
    }

    /// Checks `checksum` over the message that is `parts` one after another, in constant time.
    pub fn verify(&self, parts: &[&[u8]], checksum: &[u8]) -> Result<(), IntegrityError> {
        if checksum.len() != self.enctype.checksum_length() {
            return Err(IntegrityError::ChecksumLength {
                wanted: self.enctype.checksum_length(),
                found: checksum.len(),
            });
        }
        same(&self.sign(parts), checksum)
    }
}

impl ZeroizeOnDrop for MacKey {}

/// A checksum; reads as its bytes.
///
/// It cannot be compared: [`MacKey::verify`] does that in constant time.
#[derive(Clone, Copy)]
pub struct Checksum {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Deref for Checksum {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl AsRef<[u8]> for Checksum {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Compares two checksums of one length in constant time.
pub(crate) fn same(computed: &[u8], received: &[u8]) -> Result<(), IntegrityError> {
    if bool::from(computed.ct_eq(received)) {
        Ok(())
    } else {
        Err(IntegrityError::Mismatch)
    }
}

/// What a [`MacKey`] holds, whatever its hash.
pub(crate) trait Sign: Send + Sync + ZeroizeOnDrop {
    /// Fills `out` with the leading bytes of the code.
    fn sign(&self, parts: &[&[u8]], out: &mut [u8]);
}

/// HMAC with the key's two blocks already hashed.
pub(crate) type Hmac<H> = Keyed<HmacCore<H>>;

/// CMAC with the key's schedule already expanded.
pub(crate) type Cmac<A> = Keyed<CmacCore<A>>;

/// A message authentication code, which wipes its state.
pub(crate) trait Code: UpdateCore + FixedOutputCore + KeyInit + Clone + Send + Sync {}

impl<H: EagerHash> Code for HmacCore<H> where H::Core: Send + Sync + ZeroizeOnDrop {}

impl<A: CmacCipher + KeyInit + Clone + Send + Sync + ZeroizeOnDrop> Code for CmacCore<A> {}

/// A message authentication code with its key; wipes itself, as its state does.
pub(crate) struct Keyed<C>(C);

impl<C: Code> Keyed<C> {
    /// # Panics
    /// If the code does not take keys of this length: HMAC takes all, and CMAC its cipher's, which the row gave.
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(C::new_from_slice(key).expect("a key of the code's length"))
    }

    /// Begins a message.
    #[inline]
    pub(crate) fn start(&self) -> Running<C> {
        Running {
            core: self.0.clone(),
            rest: Buffer::<C>::default(),
        }
    }

    /// The whole code of the message that is `parts` one after another.
    pub(crate) fn over<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> Output<C> {
        let mut running = self.start();
        parts.for_each(|part| running.update(part));
        running.finish()
    }

    /// The same for a few parts.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> Output<C> {
        self.over(parts.iter().copied())
    }
}

impl<C: Code> ZeroizeOnDrop for Keyed<C> {}

impl<C: Code> Sign for Keyed<C> {
    fn sign(&self, parts: &[&[u8]], out: &mut [u8]) {
        out.copy_from_slice(&self.of(parts)[..out.len()]);
    }
}

/// The code of a message that is not at its end.
pub(crate) struct Running<C: Code> {
    core: C,
    rest: Buffer<C>,
}

impl<C: Code> Running<C> {
    /// Adds bytes; whole blocks are hashed where they lie.
    #[inline(always)]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let Self { core, rest } = self;
        rest.digest_blocks(bytes, |blocks| core.update_blocks(blocks));
    }

    /// The whole code; whoever truncates or keeps it says so.
    #[inline]
    pub(crate) fn finish(mut self) -> Output<C> {
        let mut out = Output::<C>::default();
        self.core.finalize_fixed_core(&mut self.rest, &mut out);
        out
    }
}
