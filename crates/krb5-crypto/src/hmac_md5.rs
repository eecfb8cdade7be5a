//! The checksum hmac-md5 (RFC 4757 §4), which Microsoft's extensions ask for under keys of whatever enctype.

use crate::arcfour::Signer;
use crate::mac::{Sign, same};
use crate::{IntegrityError, Key, KeyUsage};

/// Its length in bytes.
const LENGTH: usize = 16;

impl Key {
    /// The checksum of type -138 over the message that is `parts` one after another, whatever the key's own enctype.
    pub fn hmac_md5(&self, usage: KeyUsage, parts: &[&[u8]]) -> [u8; LENGTH] {
        let mut checksum = [0; LENGTH];
        Signer::new(self.expose(), usage).sign(parts, &mut checksum);
        checksum
    }

    /// Checks such a checksum, in constant time.
    pub fn verify_hmac_md5(
        &self,
        usage: KeyUsage,
        parts: &[&[u8]],
        checksum: &[u8],
    ) -> Result<(), IntegrityError> {
        if checksum.len() != LENGTH {
            return Err(IntegrityError::ChecksumLength {
                wanted: LENGTH,
                found: checksum.len(),
            });
        }
        same(&self.hmac_md5(usage, parts), checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AES128_CTS_HMAC_SHA1_96, AES256_CTS_HMAC_SHA1_96, ARCFOUR_HMAC};

    /// The values are what another implementation of HMAC and MD5 makes of RFC 4757 §4's formula.
    #[test]
    fn the_checksum_is_the_formulas_under_keys_of_any_length() {
        let usage = KeyUsage::PA_FOR_USER_CHECKSUM;
        let parts: &[&[u8]] = &[b"\x01\0\0\0", b"alice", b"EXAMPLE.ORG", b"Kerberos"];
        for (enctype, wanted) in [
            (AES128_CTS_HMAC_SHA1_96, VALUE_128),
            (AES256_CTS_HMAC_SHA1_96, VALUE_256),
        ] {
            let key = Key::new(enctype, &vec![7; enctype.key_length()]).unwrap();
            assert_eq!(key.hmac_md5(usage, parts), wanted);
            assert_eq!(key.verify_hmac_md5(usage, parts, &wanted), Ok(()));
            for bit in 0..wanted.len() * 8 {
                let mut other = wanted;
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(key.verify_hmac_md5(usage, parts, &other).is_err());
            }
            for cut in 0..wanted.len() {
                assert!(key.verify_hmac_md5(usage, parts, &wanted[..cut]).is_err());
            }
            let other = KeyUsage(usage.0 + 1);
            assert!(key.verify_hmac_md5(other, parts, &wanted).is_err());
            assert!(key.verify_hmac_md5(usage, &parts[1..], &wanted).is_err());
        }
    }

    /// Under a key of enctype 23 it is that enctype's own checksum.
    #[test]
    fn it_is_the_checksum_of_rc4s_own_enctype() {
        let key = Key::new(ARCFOUR_HMAC, &[7; 16]).unwrap();
        let usage = KeyUsage::PA_FOR_USER_CHECKSUM;
        let parts: &[&[u8]] = &[b"alice", b"EXAMPLE.ORG"];
        let own = key.checksum(usage, parts);
        assert_eq!(*own, key.hmac_md5(usage, parts)[..]);
    }

    const VALUE_128: [u8; LENGTH] = [
        0x27, 0xdc, 0xb3, 0x63, 0x29, 0xd4, 0x4b, 0xe9, 0xbf, 0xce, 0x82, 0xf6, 0x09, 0xf1, 0x1f,
        0x39,
    ];
    const VALUE_256: [u8; LENGTH] = [
        0xe4, 0x95, 0x56, 0x2a, 0x05, 0xeb, 0x9a, 0x66, 0xc5, 0xb0, 0x6e, 0x1d, 0xc0, 0xe4, 0x8f,
        0xd4,
    ];
}
