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
        let fits = |known: &&'static str| known.eq_ignore_ascii_case(name);
        ROWS.iter()
            .find(|row| fits(&row.name) || row.aliases.iter().any(fits))
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
    /// the enctype's default. Nothing may have authenticated them, so a count below the default or above
    /// [`MAX_ITERATIONS`] is refused.
    pub fn string_to_key(
        &'static self,
        password: &[u8],
        salt: &[u8],
        params: Option<&[u8]>,
    ) -> Result<Key, CryptoError> {
        let iterations = self.iterations(params)?;
        Ok(self.stretch(password, salt, iterations))
    }

    fn stretch(&'static self, password: &[u8], salt: &[u8], iterations: u32) -> Key {
        let salt = [self.salt_prefix, salt].concat();
        let mut stretched = Zeroizing::new([0; 32]);
        let stretched = &mut stretched[..self.key_length];
        self.profile.pbkdf2(password, &salt, iterations, stretched);
        let mut key = self.blank_key();
        self.profile
            .derive(stretched, &mut [(b"kerberos", &mut key)]);
        stack::wipe();
        Key::of(self, key)
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
            found if found < self.default_iterations => Err(CryptoError::TooFewIterations {
                least: self.default_iterations,
                found,
            }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::read;

    #[test]
    fn rfc3962_string_to_key() {
        let cases = read("rfc3962_string_to_key.txt");
        assert_eq!(cases.len(), 7);
        for case in cases {
            let (password, salt) = (case.bytes("password"), case.bytes("salt"));
            let iterations = case.number("iterations");
            for (enctype, stretched, key) in [
                (AES128_CTS_HMAC_SHA1_96, "pbkdf2_128", "key_128"),
                (AES256_CTS_HMAC_SHA1_96, "pbkdf2_256", "key_256"),
            ] {
                let mut output = vec![0; enctype.key_length];
                enctype
                    .profile
                    .pbkdf2(&password, &salt, iterations, &mut output);
                assert_eq!(output, case.bytes(stretched), "{}", case.name());
                let made = enctype.stretch(&password, &salt, iterations);
                assert_eq!(*made.expose(), *case.bytes(key), "{}", case.name());
            }
        }
    }

    #[test]
    fn rfc8009_string_to_key() {
        let cases = read("rfc8009_string_to_key.txt");
        assert_eq!(cases.len(), 2);
        for case in cases {
            let enctype = Enctype::from_number(case.number("enctype") as i32).expect("known");
            let (password, salt) = (case.bytes("password"), case.bytes("salt"));
            let prefixed = [enctype.salt_prefix, &salt].concat();
            assert_eq!(prefixed, case.bytes("saltp"), "{}", case.name());
            let params = case.number("iterations").to_be_bytes();
            for params in [Some(&params[..]), None] {
                let key = enctype.string_to_key(&password, &salt, params);
                let key = key.expect("the default count");
                assert_eq!(*key.expose(), *case.bytes("key"), "{}", case.name());
            }
        }
    }

    #[test]
    fn mit_string_to_key() {
        let cases = read("mit_string_to_key.txt");
        assert_eq!(cases.len(), 16);
        for case in cases {
            let enctype = Enctype::from_number(case.number("enctype") as i32).expect("known");
            let (password, salt) = (case.bytes("password"), case.bytes("salt"));
            let params = case.has("params").then(|| case.bytes("params"));
            let key = enctype.string_to_key(&password, &salt, params.as_deref());
            let key = key.expect("counts that MIT takes");
            assert_eq!(*key.expose(), *case.bytes("key"), "{}", case.name());
        }
    }

    #[test]
    fn hostile_parameters_are_refused() {
        for enctype in Enctype::all() {
            let refused = |params: &[u8]| enctype.string_to_key(b"p", b"s", Some(params)).err();
            for (octets, count) in [
                ([0, 0, 0, 0], 1 << 32),
                ([0xff; 4], 0xffff_ffff),
                ((MAX_ITERATIONS + 1).to_be_bytes(), 0x0040_0001),
            ] {
                let too_many = CryptoError::TooManyIterations(count);
                assert_eq!(refused(&octets), Some(too_many), "{enctype}");
            }
            for length in [0, 1, 2, 3, 5, 8] {
                let wrong = CryptoError::ParametersLength(length);
                assert_eq!(refused(&vec![0; length]), Some(wrong), "{enctype}");
            }
            let least = enctype.default_iterations;
            for found in [1, 1000, least - 1] {
                let too_few = CryptoError::TooFewIterations { least, found };
                assert_eq!(refused(&found.to_be_bytes()), Some(too_few), "{enctype}");
            }
            assert_eq!(enctype.iterations(Some(&least.to_be_bytes())), Ok(least));
            let most = MAX_ITERATIONS.to_be_bytes();
            assert_eq!(enctype.iterations(Some(&most)), Ok(MAX_ITERATIONS));
        }
    }

    #[test]
    fn rows_are_found_by_number_and_name() {
        for row in Enctype::all() {
            assert_eq!(Enctype::from_number(row.number), Some(row));
            for name in row.aliases.iter().chain([&row.name]) {
                assert_eq!(Enctype::from_name(name), Some(row), "{name}");
                let upper = name.to_uppercase();
                assert_eq!(Enctype::from_name(&upper), Some(row), "{upper}");
            }
        }
        for number in [i32::MIN, -1, 0, 1, 16, 21, 23, i32::MAX] {
            assert_eq!(Enctype::from_number(number), None);
        }
        for name in ["", "aes", "aes128", "des3-cbc-sha1", "aes256-cts "] {
            assert_eq!(Enctype::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn rows_say_what_the_registries_say() {
        let facts = |row: &Enctype| (row.number, row.checksum_type, row.checksum_length);
        let rows: Vec<_> = Enctype::all().iter().map(facts).collect();
        assert_eq!(
            rows,
            [(17, 15, 12), (18, 16, 12), (19, 19, 16), (20, 20, 24)]
        );
        for (constant, number) in [
            (AES128_CTS_HMAC_SHA1_96, 17),
            (AES256_CTS_HMAC_SHA1_96, 18),
            (AES128_CTS_HMAC_SHA256_128, 19),
            (AES256_CTS_HMAC_SHA384_192, 20),
        ] {
            assert_eq!(constant.number, number);
        }
    }
}
