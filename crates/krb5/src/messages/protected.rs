//! Plaintexts and the key usages that they travel under (RFC 4120 §7.5.1).

use krb5_crypto::{IntegrityError, Key, KeyUsage};
use wire::der::{self, Value, Word};
use wire::random::Random;
use zeroize::Zeroizing;

use super::{
    EncApRepPart, EncAsRepPart, EncKrbCredPart, EncKrbPrivPart, EncTicketPart, EncryptedData,
    PaEncTsEnc,
};

/// A plaintext that travels under one key usage only.
pub trait Protected {
    /// That usage.
    const USAGE: KeyUsage;
}

impl Protected for PaEncTsEnc {
    const USAGE: KeyUsage = KeyUsage::AS_REQ_PA_ENC_TIMESTAMP;
}
impl Protected for EncTicketPart<'_> {
    const USAGE: KeyUsage = KeyUsage::TICKET;
}
impl Protected for EncAsRepPart<'_> {
    const USAGE: KeyUsage = KeyUsage::AS_REP_ENC_PART;
}
impl Protected for EncApRepPart<'_> {
    const USAGE: KeyUsage = KeyUsage::AP_REP_ENC_PART;
}
impl Protected for EncKrbPrivPart<'_> {
    const USAGE: KeyUsage = KeyUsage::KRB_PRIV_ENC_PART;
}
impl Protected for EncKrbCredPart<'_> {
    const USAGE: KeyUsage = KeyUsage::KRB_CRED_ENC_PART;
}

impl EncryptedData<'_> {
    /// The plaintext, of a type with one usage: `data.decrypt::<EncTicketPart>(key)`, then `EncTicketPart::decode`.
    pub fn decrypt<T: Protected>(&self, key: &Key) -> Result<Zeroizing<Vec<u8>>, IntegrityError> {
        self.decrypt_as(key, T::USAGE)
    }

    /// The plaintext, where its type alone does not tell the usage. Data of another enctype than the key's match no key.
    pub fn decrypt_as(
        &self,
        key: &Key,
        usage: KeyUsage,
    ) -> Result<Zeroizing<Vec<u8>>, IntegrityError> {
        if self.etype != key.enctype().number() {
            return Err(IntegrityError::Mismatch);
        }
        let mut plaintext = key.decrypt(usage, self.cipher)?;
        // RFC 3961 §6.3: a plaintext is filled up to whole blocks, and where it ends it says itself.
        if let Ok((_, _, behind)) = der::element(&plaintext) {
            let end = plaintext.len() - behind.len();
            if key.enctype().padded_length(end) == plaintext.len() {
                plaintext.truncate(end);
            }
        }
        Ok(plaintext)
    }
}

impl<'a> EncryptedData<'a> {
    /// The ciphertext `cipher` that [`encrypt`] gave under `key`, as a message holds it.
    pub fn new(key: &Key, kvno: Option<u32>, cipher: &'a [u8]) -> Self {
        Self {
            etype: key.enctype().number(),
            kvno: kvno.map(Word::from),
            cipher,
        }
    }
}

/// The ciphertext of `plain` under `key` and its one usage.
pub fn encrypt<'a, T: Protected + Value<'a>>(plain: &T, key: &Key, random: &dyn Random) -> Vec<u8> {
    encrypt_as(plain, key, T::USAGE, random)
}

/// The ciphertext of `plain` under `key` and `usage`.
pub fn encrypt_as<'a, T: Value<'a>>(
    plain: &T,
    key: &Key,
    usage: KeyUsage,
    random: &dyn Random,
) -> Vec<u8> {
    let plain = Zeroizing::new(plain.encode());
    key.encrypt(usage, random, &plain)
}

#[cfg(test)]
mod tests {
    use krb5_crypto::Enctype;

    use super::*;

    struct Fixed;

    impl Random for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(5);
        }
    }

    /// Up to whole blocks and no further: what else follows a message is for its decoder to refuse.
    #[test]
    fn padding_is_no_part_of_a_message() {
        let usage = KeyUsage::AP_REP_ENC_PART;
        for enctype in Enctype::all() {
            let key = enctype.random_key(&Fixed);
            for length in 0..40 {
                let mut message = Vec::new();
                der::header(4, length, &mut message);
                message.resize(message.len() + length, 7);
                let decrypted = |plaintext: &[u8]| {
                    let cipher = key.encrypt(usage, &Fixed, plaintext);
                    let data = EncryptedData::new(&key, None, &cipher);
                    data.decrypt_as(&key, usage).unwrap().to_vec()
                };
                assert_eq!(decrypted(&message), message, "{enctype} {length}");
                let longer = [&message[..], &[0; 8]].concat();
                assert!(
                    decrypted(&longer).starts_with(&longer),
                    "{enctype} {length}"
                );
            }
        }
    }
}
