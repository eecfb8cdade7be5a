//! The enctypes: one row each.

use core::fmt;

use aes::{Aes128, Aes128Enc, Aes256, Aes256Enc};
use sha1::Sha1;
use sha2::{Sha256, Sha384};
use wire::random::Random;
use zeroize::Zeroizing;

use crate::cts::BLOCK;
use crate::profile::{HmacSha2, Profile, Simplified};
use crate::{CryptoError, Key, stack};

/// The most PBKDF2 iterations that string-to-key parameters may ask for: a few seconds of one core.
///
/// RFC 3962 §4 wants no limit below 50,000.
pub const MAX_ITERATIONS: u32 = 1 << 22;

/// RFC 3962.
pub const AES128_CTS_HMAC_SHA1_96: &Enctype = &ROWS[0];
/// RFC 3962.
pub const AES256_CTS_HMAC_SHA1_96: &Enctype = &ROWS[1];
/// RFC 8009.
pub const AES128_CTS_HMAC_SHA256_128: &Enctype = &ROWS[2];
/// RFC 8009.
pub const AES256_CTS_HMAC_SHA384_192: &Enctype = &ROWS[3];

/// An encryption type: a row of the table of those that are implemented.
pub struct Enctype {
    number: i32,
    name: &'static str,
    aliases: &'static [&'static str],
    key_length: usize,
    integrity_key_length: usize,
    checksum_type: i32,
    checksum_length: usize,
    default_iterations: u32,
    salt_prefix: &'static [u8],
    pub(crate) profile: &'static dyn Profile,
}

static ROWS: [Enctype; 4] = [
    Enctype {
        number: 17,
        name: "aes128-cts-hmac-sha1-96",
        aliases: &["aes128-cts", "aes128-sha1"],
        key_length: 16,
        integrity_key_length: 16,
        checksum_type: 15,
        checksum_length: 12,
        default_iterations: 4096,
        salt_prefix: b"",
        profile: &Simplified::<Aes128, Aes128Enc, Sha1>::new(),
    },
    Enctype {
        number: 18,
        name: "aes256-cts-hmac-sha1-96",
        aliases: &["aes256-cts", "aes256-sha1"],
        key_length: 32,
        integrity_key_length: 32,
        checksum_type: 16,
        checksum_length: 12,
        default_iterations: 4096,
        salt_prefix: b"",
        profile: &Simplified::<Aes256, Aes256Enc, Sha1>::new(),
    },
    Enctype {
        number: 19,
        name: "aes128-cts-hmac-sha256-128",
        aliases: &["aes128-sha2"],
        key_length: 16,
        integrity_key_length: 16,
        checksum_type: 19,
        checksum_length: 16,
        default_iterations: 32768,
        salt_prefix: b"aes128-cts-hmac-sha256-128\0",
        profile: &HmacSha2::<Aes128, Sha256>::new(),
    },
    Enctype {
        number: 20,
        name: "aes256-cts-hmac-sha384-192",
        aliases: &["aes256-sha2"],
        key_length: 32,
        integrity_key_length: 24,
        checksum_type: 20,
        checksum_length: 24,
        default_iterations: 32768,
        salt_prefix: b"aes256-cts-hmac-sha384-192\0",
        profile: &HmacSha2::<Aes256, Sha384>::new(),
    },
];

impl Enctype {
    /// Every enctype there is here, by number.
    pub fn all() -> &'static [Self] {
        &ROWS
    }

    /// The enctype of a number as messages, keytabs and caches carry it.
    pub fn from_number(number: i32) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.number == number)
    }

    /// The enctype of a name as `krb5.conf` has it: the assigned one or one of MIT's short ones, in any case.
    pub fn from_name(name: &str) -> Option<&'static Self> {
        let fits = |known: &&str| known.eq_ignore_ascii_case(name);
        ROWS.iter()
            .find(|row| fits(&row.name) || row.aliases.iter().any(|alias| fits(alias)))
    }

    /// The assigned number.
    pub const fn number(&self) -> i32 {
        self.number
    }

    /// The assigned name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Bytes in a key.
    pub const fn key_length(&self) -> usize {
        self.key_length
    }

    /// The number of the checksum type that goes with it.
    pub const fn checksum_type(&self) -> i32 {
        self.checksum_type
    }

    /// Bytes in a checksum, both in one alone and in the one at a ciphertext's end.
    pub const fn checksum_length(&self) -> usize {
        self.checksum_length
    }

    /// Bytes in a confounder.
    pub const fn confounder_length(&self) -> usize {
        BLOCK
    }

    /// How many bytes a ciphertext is longer than its plaintext.
    pub const fn overhead(&self) -> usize {
        BLOCK + self.checksum_length
    }

    /// Bytes in the keys that checksums are made with.
    pub(crate) const fn integrity_key_length(&self) -> usize {
        self.integrity_key_length
    }

    /// The key of a password (RFC 3962 §4, RFC 8009 §4).
    ///
    /// `params` are the string-to-key parameters as the KDC sent them: four octets with the iteration count, or `None` for
    /// the enctype's default. A count above [`MAX_ITERATIONS`] is refused. A low one is not (the RFC's vectors have 1); whoever
    /// takes parameters from an answer that nothing authenticates decides that.
    pub fn string_to_key(
        &'static self,
        password: &[u8],
        salt: &[u8],
        params: Option<&[u8]>,
    ) -> Result<Key, CryptoError> {
        let iterations = self.iterations(params)?;
        let salt = [self.salt_prefix, salt].concat();
        let mut stretched = Zeroizing::new([0; 32]);
        let stretched = &mut stretched[..self.key_length];
        self.profile.pbkdf2(password, &salt, iterations, stretched);
        let mut key = self.blank_key();
        self.profile
            .derive(stretched, &mut [(b"kerberos", &mut key)]);
        stack::wipe();
        Ok(Key::of(self, key))
    }

    /// A new random key.
    pub fn random_key(&'static self, random: &dyn Random) -> Key {
        let mut key = self.blank_key();
        random.fill(&mut key);
        Key::of(self, key)
    }

    /// Room for a key's bytes that no later growth copies.
    pub(crate) fn blank_key(&self) -> Zeroizing<Box<[u8]>> {
        Zeroizing::new(vec![0; self.key_length].into_boxed_slice())
    }

    fn iterations(&self, params: Option<&[u8]>) -> Result<u32, CryptoError> {
        let Some(params) = params else {
            return Ok(self.default_iterations);
        };
        let octets = params
            .try_into()
            .map_err(|_| CryptoError::ParametersLength(params.len()))?;
        match u32::from_be_bytes(octets) {
            0 => Err(CryptoError::TooManyIterations(1 << 32)),
            count if count > MAX_ITERATIONS => Err(CryptoError::TooManyIterations(count.into())),
            count => Ok(count),
        }
    }
}

impl PartialEq for Enctype {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Enctype {}

impl fmt::Debug for Enctype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Enctype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
