//! Protocol keys.

use wire::random::Random;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::cts::BLOCK;
use crate::{CipherKey, CryptoError, Enctype, IntegrityError, KeyUsage, MacKey, stack};

/// A protocol key of one enctype (RFC 3961 §3).
///
/// It wipes itself, and it has no `Debug`, `Clone` or `PartialEq`: code that prints, copies or compares a key does not
/// compile. Moving it moves a pointer and copies no key byte.
pub struct Key {
    enctype: &'static Enctype,
    bytes: Zeroizing<Box<[u8]>>,
}

/// What a derived key is for (RFC 3961 §5.3, RFC 8009 §5): the last octet of its constant.
#[derive(Clone, Copy)]
enum Purpose {
    Checksum = 0x99,
    Encryption = 0xaa,
    Integrity = 0x55,
}

impl Key {
    /// A key of `enctype` with these bytes.
    pub fn new(enctype: &'static Enctype, bytes: &[u8]) -> Result<Self, CryptoError> {
        if bytes.len() != enctype.key_length() {
            return Err(CryptoError::KeyLength {
                wanted: enctype.key_length(),
                found: bytes.len(),
            });
        }
        let mut key = enctype.blank_key();
        key.copy_from_slice(bytes);
        Ok(Self::of(enctype, key))
    }

    pub(crate) fn of(enctype: &'static Enctype, bytes: Zeroizing<Box<[u8]>>) -> Self {
        Self { enctype, bytes }
    }

    /// The key's enctype.
    pub fn enctype(&self) -> &'static Enctype {
        self.enctype
    }

    /// The key's bytes in clear.
    ///
    /// For what has to carry the key itself: the encrypted part of a ticket or of a reply, a keytab, a credential cache,
    /// a sealed context. Whoever copies them owes a copy that wipes itself.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Encrypts one message under a fresh confounder.
    pub fn encrypt(&self, usage: KeyUsage, random: &dyn Random, plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; plaintext.len() + self.enctype.overhead()];
        random.fill(&mut buffer[..BLOCK]);
        buffer[BLOCK..][..plaintext.len()].copy_from_slice(plaintext);
        self.cipher(usage).seal_in_place(&mut buffer);
        buffer
    }

    /// Checks and decrypts one message.
    pub fn decrypt(
        &self,
        usage: KeyUsage,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, IntegrityError> {
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self.cipher(usage).open_in_place(&mut buffer)?.len();
        buffer.copy_within(BLOCK..BLOCK + length, 0);
        buffer.truncate(length);
        Ok(buffer)
    }

    /// The checksum of the message that is `parts` one after another.
    pub fn checksum(&self, usage: KeyUsage, parts: &[&[u8]]) -> Vec<u8> {
        self.mac(usage).sign(parts).to_vec()
    }

    /// Checks a checksum over the message that is `parts` one after another, in constant time.
    pub fn verify_checksum(
        &self,
        usage: KeyUsage,
        parts: &[&[u8]],
        checksum: &[u8],
    ) -> Result<(), IntegrityError> {
        self.mac(usage).verify(parts, checksum)
    }

    /// The enctype's pseudo-random function.
    pub fn prf(&self, input: &[u8]) -> Zeroizing<Vec<u8>> {
        let out = self.enctype.profile.prf(&self.bytes, input);
        stack::wipe();
        out
    }

    /// The keys to encrypt and decrypt many messages under `usage`.
    pub fn cipher(&self, usage: KeyUsage) -> CipherKey {
        let (mut ke, mut ki) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        let ke = &mut ke[..self.enctype.key_length()];
        let ki = &mut ki[..self.enctype.integrity_key_length()];
        self.enctype.profile.derive(
            &self.bytes,
            &mut [
                (&constant(usage, Purpose::Encryption), ke),
                (&constant(usage, Purpose::Integrity), ki),
            ],
        );
        let sealer = self.enctype.profile.sealer(ke, ki);
        stack::wipe();
        CipherKey::new(self.enctype, sealer)
    }

    /// The key to sign and verify many messages under `usage`.
    pub fn mac(&self, usage: KeyUsage) -> MacKey {
        let mut kc = Zeroizing::new([0; 32]);
        let kc = &mut kc[..self.enctype.integrity_key_length()];
        let constant = constant(usage, Purpose::Checksum);
        self.enctype
            .profile
            .derive(&self.bytes, &mut [(&constant, kc)]);
        let signer = self.enctype.profile.signer(kc);
        stack::wipe();
        MacKey::new(self.enctype, signer)
    }
}

impl ZeroizeOnDrop for Key {}

fn constant(usage: KeyUsage, purpose: Purpose) -> [u8; 5] {
    let [a, b, c, d] = usage.0.to_be_bytes();
    [a, b, c, d, purpose as u8]
}
