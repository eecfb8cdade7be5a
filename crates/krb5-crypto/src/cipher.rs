//! Encryption of whole messages, in place.

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use hmac::digest::block_api::BlockSizeUser;
use hmac::digest::typenum::Unsigned;
use zeroize::ZeroizeOnDrop;

use crate::cts::{self, BLOCK};
use crate::fast::Lanes;
use crate::mac::{Code, Keyed, same};
use crate::pieces::{self, Piece};
use crate::{Enctype, IntegrityError};

/// The keys of one encryption usage, their schedules expanded; wipes itself.
pub struct CipherKey {
    enctype: &'static Enctype,
    sealer: Box<dyn Seal>,
}

impl CipherKey {
    pub(crate) fn new(enctype: &'static Enctype, sealer: Box<dyn Seal>) -> Self {
        Self { enctype, sealer }
    }

    /// The enctype of the messages.
    pub fn enctype(&self) -> &'static Enctype {
        self.enctype
    }

    /// Makes `buffer` the ciphertext of RFC 3961 §5.3, RFC 8009 §5 or RFC 4757 §5.
    ///
    /// The buffer has [`Enctype::sealed_length`] bytes: [`Enctype::header_length`], of which the last
    /// [`Enctype::confounder_length`] are random (the caller has put them there), the plaintext, zeros up to
    /// [`Enctype::padded_length`], and [`Enctype::trailer_length`] of room.
    ///
    /// # Panics
    /// If no message has a ciphertext of the buffer's length, which is the caller's, never a peer's.
    pub fn seal_in_place(&self, buffer: &mut [u8]) {
        self.assert_length(buffer.len());
        let (message, checksum) = self.enctype.split_checksum_mut(buffer);
        self.sealer.seal(message, checksum);
    }

    pub(crate) fn assert_length(&self, length: usize) {
        assert!(
            self.check_length(length).is_ok(),
            "a buffer without room for confounder, padding and checksum"
        );
    }

    /// Checks the ciphertext in `buffer` and decrypts it there; gives the plaintext without its confounder.
    ///
    /// Zeros may follow the plaintext, see [`Enctype::padded_length`]. After an error the buffer holds nothing of the
    /// plaintext.
    pub fn open_in_place<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a mut [u8], IntegrityError> {
        self.check_length(buffer.len())?;
        let (message, checksum) = self.enctype.split_checksum_mut(buffer);
        self.sealer.open(message, checksum)?;
        Ok(&mut message[self.enctype.confounder_length()..])
    }

    /// What takes several messages side by side, if anything does.
    pub(crate) fn lanes(&self) -> Option<Lanes<'_>> {
        self.sealer.lanes()
    }

    pub(crate) fn check_length(&self, found: usize) -> Result<(), IntegrityError> {
        let wanted = self.enctype.overhead();
        let Some(plaintext) = found.checked_sub(wanted) else {
            return Err(IntegrityError::TooShort { wanted, found });
        };
        if self.enctype.padded_length(plaintext) != plaintext {
            return Err(IntegrityError::PartialBlock { found });
        }
        Ok(())
    }

    /// The same as [`seal_in_place`](Self::seal_in_place) where the message lies in several places, among which parts may
    /// be that are signed and not encrypted. The first bytes to encrypt are the confounder.
    ///
    /// # Panics
    /// If `checksum` does not have a checksum's length, or no message has a ciphertext of the length of both.
    pub fn seal_pieces(&self, pieces: &mut [Piece<'_>], checksum: &mut [u8]) {
        let length = pieces::sealed_length(pieces) + checksum.len();
        assert!(
            self.check_length(length).is_ok() && checksum.len() == self.enctype.checksum_length(),
            "pieces without room for confounder, padding and checksum"
        );
        if let [Piece::Seal(message)] = pieces {
            self.sealer.seal(message, checksum);
        } else {
            self.sealer.seal_pieces(pieces, checksum);
        }
    }

    /// Checks and decrypts what [`seal_pieces`](Self::seal_pieces) made, where it lies. The confounder stays in front.
    ///
    /// After an error the pieces hold nothing of the plaintext.
    pub fn open_pieces(
        &self,
        pieces: &mut [Piece<'_>],
        checksum: &[u8],
    ) -> Result<(), IntegrityError> {
        let (wanted, found) = (self.enctype.checksum_length(), checksum.len());
        if found != wanted {
            return Err(IntegrityError::ChecksumLength { wanted, found });
        }
        self.check_length(pieces::sealed_length(pieces) + found)?;
        if let [Piece::Seal(message)] = pieces {
            self.sealer.open(message, checksum)
        } else {
            self.sealer.open_pieces(pieces, checksum)
        }
    }
}

impl ZeroizeOnDrop for CipherKey {}

/// What a [`CipherKey`] holds, whatever its algorithms. `message` begins with its confounder, and has whole blocks where the
/// cipher needs them.
pub(crate) trait Seal: Send + Sync + ZeroizeOnDrop {
    fn seal(&self, message: &mut [u8], checksum: &mut [u8]);

    /// On an error `message` holds nothing of the plaintext.
    fn open(&self, message: &mut [u8], checksum: &[u8]) -> Result<(), IntegrityError>;

    /// The same as `seal`, over pieces.
    fn seal_pieces(&self, pieces: &mut [Piece<'_>], checksum: &mut [u8]);

    /// The same as `open`, over pieces.
    fn open_pieces(&self, pieces: &mut [Piece<'_>], checksum: &[u8]) -> Result<(), IntegrityError>;

    /// What takes several messages side by side, if anything does.
    fn lanes(&self) -> Option<Lanes<'_>> {
        None
    }
}

/// RFC 3961 §5.3, RFC 6803 §6: the checksum is over the plaintext.
pub(crate) struct SignThenEncrypt<A, C> {
    cipher: A,
    mac: Keyed<C>,
}

/// RFC 8009 §5: the checksum is over the initial vector and the ciphertext.
pub(crate) struct EncryptThenSign<A, C> {
    cipher: A,
    mac: Keyed<C>,
}

/// The initial vector of every message here.
const INITIAL_VECTOR: [u8; BLOCK] = [0; BLOCK];

impl<A, C> SignThenEncrypt<A, C>
where
    Self: Seal + 'static,
    A: KeyInit,
    C: Code,
{
    /// The same, as a key holds it.
    pub(crate) fn boxed(ke: &[u8], ki: &[u8]) -> Box<dyn Seal> {
        Box::new(Self::new(ke, ki))
    }

    fn new(ke: &[u8], ki: &[u8]) -> Self {
        Self {
            cipher: expand(ke),
            mac: Keyed::new(ki),
        }
    }
}

impl<A, C> EncryptThenSign<A, C>
where
    Self: Seal + 'static,
    A: KeyInit,
    C: Code,
{
    /// The same, as a key holds it.
    pub(crate) fn boxed(ke: &[u8], ki: &[u8]) -> Box<dyn Seal> {
        Box::new(Self::new(ke, ki))
    }

    fn new(ke: &[u8], ki: &[u8]) -> Self {
        Self {
            cipher: expand(ke),
            mac: Keyed::new(ki),
        }
    }
}

/// Expands a key whose length the enctype's row gave.
pub(crate) fn expand<A: KeyInit>(key: &[u8]) -> A {
    A::new_from_slice(key).expect("the row has the cipher's key length")
}

impl<A, C> Seal for SignThenEncrypt<A, C>
where
    A: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    A: Send + Sync + ZeroizeOnDrop,
    C: Code,
{
    fn seal(&self, message: &mut [u8], checksum: &mut [u8]) {
        let mut mac = self.mac.start();
        cts::encrypt(
            &self.cipher,
            message,
            C::BlockSize::USIZE,
            |message, next| {
                mac.update(&message[next]);
            },
        );
        checksum.copy_from_slice(&mac.finish()[..checksum.len()]);
    }

    fn open(&self, message: &mut [u8], checksum: &[u8]) -> Result<(), IntegrityError> {
        let mut mac = self.mac.start();
        cts::decrypt(&self.cipher, message, |plaintext| mac.update(plaintext));
        let verdict = same(&mac.finish()[..checksum.len()], checksum);
        if verdict.is_err() {
            message.fill(0);
        }
        verdict
    }

    fn seal_pieces(&self, pieces: &mut [Piece<'_>], checksum: &mut [u8]) {
        let mac = self.mac.over(pieces.iter().map(Piece::bytes));
        checksum.copy_from_slice(&mac[..checksum.len()]);
        pieces::encrypt(&self.cipher, pieces);
    }

    fn open_pieces(&self, pieces: &mut [Piece<'_>], checksum: &[u8]) -> Result<(), IntegrityError> {
        pieces::decrypt(&self.cipher, pieces);
        let mac = self.mac.over(pieces.iter().map(Piece::bytes));
        let verdict = same(&mac[..checksum.len()], checksum);
        if verdict.is_err() {
            pieces::wipe(pieces);
        }
        verdict
    }
}

impl<A, C> Seal for EncryptThenSign<A, C>
where
    A: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    A: Send + Sync + ZeroizeOnDrop,
    C: Code,
{
    fn seal(&self, message: &mut [u8], checksum: &mut [u8]) {
        let mut mac = self.mac.start();
        mac.update(&INITIAL_VECTOR);
        let mut signed = 0;
        cts::encrypt(
            &self.cipher,
            message,
            C::BlockSize::USIZE,
            |message, next| {
                // A block behind the cipher: what stealing may still change is left out, and with the initial vector
                // in front the hash gets its own blocks whole.
                let end = next.start.saturating_sub(BLOCK);
                mac.update(&message[signed..end]);
                signed = end;
            },
        );
        mac.update(&message[signed..]);
        checksum.copy_from_slice(&mac.finish()[..checksum.len()]);
    }

    fn open(&self, message: &mut [u8], checksum: &[u8]) -> Result<(), IntegrityError> {
        let mut mac = self.mac.start();
        mac.update(&INITIAL_VECTOR);
        mac.update(message);
        same(&mac.finish()[..checksum.len()], checksum)?;
        cts::decrypt(&self.cipher, message, |_| {});
        Ok(())
    }

    fn seal_pieces(&self, pieces: &mut [Piece<'_>], checksum: &mut [u8]) {
        pieces::encrypt(&self.cipher, pieces);
        let mac = self.mac.over(after_vector(pieces));
        checksum.copy_from_slice(&mac[..checksum.len()]);
    }

    fn open_pieces(&self, pieces: &mut [Piece<'_>], checksum: &[u8]) -> Result<(), IntegrityError> {
        let mac = self.mac.over(after_vector(pieces));
        same(&mac[..checksum.len()], checksum)?;
        pieces::decrypt(&self.cipher, pieces);
        Ok(())
    }
}

/// What the checksum of RFC 8009 covers.
fn after_vector<'a>(pieces: &'a [Piece<'_>]) -> impl Iterator<Item = &'a [u8]> {
    core::iter::once(&INITIAL_VECTOR[..]).chain(pieces.iter().map(Piece::bytes))
}

impl<A: ZeroizeOnDrop, C: Code> ZeroizeOnDrop for SignThenEncrypt<A, C> {}

impl<A: ZeroizeOnDrop, C: Code> ZeroizeOnDrop for EncryptThenSign<A, C> {}
