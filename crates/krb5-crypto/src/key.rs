//! Protocol keys.

use wire::random::Random;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    ArcfourTokens, CipherKey, CryptoError, Enctype, IntegrityError, KeyUsage, MacKey, TripleDesCbc,
    stack,
};

/// A protocol key of one enctype (RFC 3961 §3).
///
/// It wipes itself, and it has no `Debug`, `Clone` or `PartialEq`: code that prints, copies or compares a key does not
/// compile. Moving it moves a pointer and copies no key byte.
///
/// ```compile_fail,E0277
/// fn print<T: core::fmt::Debug>() {}
/// print::<krb5_crypto::Key>();
/// ```
/// ```compile_fail,E0277
/// fn copy<T: Clone>() {}
/// copy::<krb5_crypto::Key>();
/// ```
/// ```compile_fail,E0277
/// fn compare<T: PartialEq>() {}
/// compare::<krb5_crypto::Key>();
/// ```
pub struct Key {
    enctype: &'static Enctype,
    bytes: Zeroizing<Box<[u8]>>,
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
        let header = self.enctype.header_length();
        let mut buffer = vec![0; self.enctype.sealed_length(plaintext.len())];
        random.fill(&mut buffer[header - self.enctype.confounder_length()..header]);
        buffer[header..][..plaintext.len()].copy_from_slice(plaintext);
        self.cipher(usage).seal_in_place(&mut buffer);
        buffer
    }

    /// Checks and decrypts one message; zeros may follow it, see [`Enctype::padded_length`].
    pub fn decrypt(
        &self,
        usage: KeyUsage,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, IntegrityError> {
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self.cipher(usage).open_in_place(&mut buffer)?.len();
        let header = self.enctype.header_length();
        buffer.copy_within(header..header + length, 0);
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

    /// KRB-FX-CF2 (RFC 6113 §5.1): a key of this enctype made of two, each with its pepper, which must differ.
    pub fn combine(&self, pepper: &[u8], other: &Self, other_pepper: &[u8]) -> Self {
        self.enctype.key_of_seed(|seed| {
            self.mix_prf_plus(pepper, seed);
            other.mix_prf_plus(other_pepper, seed);
        })
    }

    /// PRF+ (RFC 6113 §5.1), exclusive-ORed into `out`.
    fn mix_prf_plus(&self, shared_info: &[u8], out: &mut [u8]) {
        let mut input = [&[0], shared_info].concat();
        let mut left = out.iter_mut();
        while left.len() > 0 {
            input[0] += 1;
            let block = self.prf(&input);
            for (mixed, byte) in block.iter().zip(left.by_ref()) {
                *byte ^= mixed;
            }
        }
    }

    /// The keys to encrypt and decrypt many messages under `usage`.
    pub fn cipher(&self, usage: KeyUsage) -> CipherKey {
        let sealer = self.enctype.profile.sealer(&self.bytes, usage);
        stack::wipe();
        CipherKey::new(self.enctype, sealer)
    }

    /// The key to sign and verify many messages under `usage`.
    pub fn mac(&self, usage: KeyUsage) -> MacKey {
        let signer = self.enctype.profile.signer(&self.bytes, usage);
        stack::wipe();
        MacKey::new(self.enctype, signer)
    }

    /// The cipher of RFC 1964's tokens, if this is a key of enctype 16.
    pub fn triple_des_cbc(&self) -> Option<TripleDesCbc> {
        let fits = self.enctype.number() == 16;
        let cipher = fits.then(|| TripleDesCbc::new(&self.bytes));
        stack::wipe();
        cipher
    }

    /// The cipher of RFC 4757's tokens, if this is a key of enctype 23.
    pub fn arcfour_tokens(&self) -> Option<ArcfourTokens> {
        let fits = self.enctype.number() == 23;
        let cipher = fits.then(|| ArcfourTokens::new(&self.bytes));
        stack::wipe();
        cipher
    }
}

impl ZeroizeOnDrop for Key {}

#[cfg(test)]
mod tests {
    use sha2::{Sha256, Sha384};

    use super::*;
    use crate::mac::Hmac;
    use crate::vectors::{Case, read};

    fn key(case: &Case, field: &str) -> Key {
        let enctype = Enctype::from_number(case.number("enctype") as i32).expect("known");
        Key::new(enctype, &case.bytes(field)).expect("of that length")
    }

    #[test]
    fn rfc8009_encryption() {
        let cases = read("rfc8009_encryption.txt");
        assert_eq!(cases.len(), 8);
        for case in cases {
            let key = key(&case, "base_key");
            let cipher = key.cipher(KeyUsage(case.number("usage")));
            let parts = [case.bytes("confounder"), case.bytes("plaintext")].concat();
            let mut buffer = [parts, vec![0; key.enctype.checksum_length()]].concat();
            cipher.seal_in_place(&mut buffer);
            assert_eq!(buffer, case.bytes("ciphertext"), "{}", case.name());
            let (output, hmac) = (case.bytes("aes_output"), case.bytes("hmac_output"));
            assert_eq!(buffer, [output, hmac].concat(), "{}", case.name());
            let plaintext = cipher.open_in_place(&mut buffer).expect("authentic");
            assert_eq!(*plaintext, case.bytes("plaintext"), "{}", case.name());
        }
    }

    #[test]
    fn rfc8009_checksum() {
        let cases = read("rfc8009_checksum.txt");
        assert_eq!(cases.len(), 2);
        for case in cases {
            let mac = key(&case, "base_key").mac(KeyUsage(case.number("usage")));
            let (message, checksum) = (case.bytes("plaintext"), case.bytes("checksum"));
            assert_eq!(*mac.sign(&[&message]), *checksum, "{}", case.name());
            assert_eq!(mac.verify(&[&message], &checksum), Ok(()));
        }
    }

    #[test]
    fn rfc8009_prf() {
        let cases = read("rfc8009_prf.txt");
        assert_eq!(cases.len(), 2);
        for case in cases {
            let output = key(&case, "key").prf(&case.bytes("input"));
            assert_eq!(*output, case.bytes("output"), "{}", case.name());
            let (key, message) = (case.bytes("key"), case.bytes("message"));
            let hmac = match case.number("enctype") {
                19 => Hmac::<Sha256>::new(&key).of(&[&message]).to_vec(),
                _ => Hmac::<Sha384>::new(&key).of(&[&message]).to_vec(),
            };
            assert_eq!(hmac, *output, "{}: the HMAC's message", case.name());
        }
    }

    #[test]
    fn rfc6113_krb_fx_cf2() {
        let cases = read("rfc6113_krb_fx_cf2.txt");
        assert_eq!(cases.len(), 2);
        for case in cases {
            let enctype = Enctype::from_number(case.number("enctype") as i32).expect("known");
            let [k1, k2] = [b"key1", b"key2"].map(|text| {
                let key = enctype.string_to_key(text, text, None);
                key.expect("default parameters")
            });
            let combined = k1.combine(b"a", &k2, b"b");
            assert_eq!(*combined.expose(), *case.bytes("output"), "{}", case.name());
        }
    }

    #[test]
    fn rfc6803_encryption() {
        let cases = read("rfc6803_encryption.txt");
        assert_eq!(cases.len(), 10);
        for case in cases {
            let key = key(&case, "key");
            let cipher = key.cipher(KeyUsage(case.number("usage")));
            let parts = [case.bytes("confounder"), case.bytes("plaintext")].concat();
            let mut buffer = [parts, vec![0; key.enctype.checksum_length()]].concat();
            cipher.seal_in_place(&mut buffer);
            assert_eq!(buffer, case.bytes("ciphertext"), "{}", case.name());
            let plaintext = cipher.open_in_place(&mut buffer).expect("authentic");
            assert_eq!(*plaintext, case.bytes("plaintext"), "{}", case.name());
        }
    }

    #[test]
    fn rfc6803_checksum() {
        let cases = read("rfc6803_checksum.txt");
        assert_eq!(cases.len(), 4);
        for case in cases {
            let mac = key(&case, "key").mac(KeyUsage(case.number("usage")));
            let (message, checksum) = (case.bytes("message"), case.bytes("checksum"));
            assert_eq!(*mac.sign(&[&message]), *checksum, "{}", case.name());
            assert_eq!(mac.verify(&[&message], &checksum), Ok(()));
        }
    }

    #[test]
    fn mit_encryption() {
        let cases = read("mit_encryption.txt");
        assert_eq!(cases.len(), 64);
        for case in cases {
            let cipher = key(&case, "key").cipher(KeyUsage(case.number("usage")));
            let mut buffer = case.bytes("ciphertext");
            let plaintext = cipher.open_in_place(&mut buffer).expect("authentic");
            let mut expected = case.bytes("plaintext");
            expected.resize(cipher.enctype().padded_length(expected.len()), 0);
            assert_eq!(*plaintext, expected, "{}", case.name());
            // The confounder is MIT's, still in front of the plaintext.
            cipher.seal_in_place(&mut buffer);
            assert_eq!(buffer, case.bytes("ciphertext"), "{}", case.name());
        }
    }

    #[test]
    fn mit_checksum() {
        let cases = read("mit_checksum.txt");
        assert_eq!(cases.len(), 32);
        for case in cases {
            let (key, usage) = (key(&case, "key"), KeyUsage(case.number("usage")));
            let checksum = key.checksum(usage, &[&case.bytes("message")]);
            assert_eq!(checksum, case.bytes("checksum"), "{}", case.name());
        }
    }

    #[test]
    fn mit_prf() {
        let cases = read("mit_prf.txt");
        assert_eq!(cases.len(), 24);
        for case in cases {
            let output = key(&case, "key").prf(&case.bytes("input"));
            assert_eq!(*output, case.bytes("output"), "{}", case.name());
        }
    }

    #[test]
    fn a_key_has_its_enctypes_length() {
        for enctype in Enctype::all() {
            let wanted = enctype.key_length();
            for found in (0..=64).filter(|found| *found != wanted) {
                let refused = Key::new(enctype, &vec![1; found]).err();
                assert_eq!(refused, Some(CryptoError::KeyLength { wanted, found }));
            }
            assert!(Key::new(enctype, &vec![1; wanted]).is_ok());
        }
    }

    #[test]
    fn what_holds_a_key_wipes_itself() {
        fn wipes<T: ZeroizeOnDrop>() {}
        wipes::<Key>();
        wipes::<CipherKey>();
        wipes::<MacKey>();
    }
}
