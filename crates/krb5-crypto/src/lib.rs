//! Kerberos cryptography (RFC 3961, 3962, 4757, 6803, 8009): enctypes, checksums, key derivation, string-to-key, PRF.
//!
//! An [`Enctype`] is a row of one table. A [`Key`] belongs to one enctype, wipes itself and cannot be printed, cloned or
//! compared. It encrypts and signs single messages itself; for many messages under one [`KeyUsage`] it gives a
//! [`CipherKey`] or a [`MacKey`], whose schedules are expanded once and which work in place, also where the message lies in
//! several [pieces](Piece).
//!
//! ```
//! use krb5_crypto::{Enctype, KeyUsage};
//! # struct Fixed;
//! # impl wire::random::Random for Fixed { fn fill(&self, out: &mut [u8]) { out.fill(7) } }
//! # let random = &Fixed;
//! let enctype = Enctype::from_number(18).unwrap();
//! let key = enctype.string_to_key(b"password", b"EXAMPLE.ORGalice", None)?;
//! let ciphertext = key.encrypt(KeyUsage::AP_REP_ENC_PART, random, b"hello");
//! assert_eq!(*key.decrypt(KeyUsage::AP_REP_ENC_PART, &ciphertext)?, b"hello");
//! assert!(key.decrypt(KeyUsage::TICKET, &ciphertext).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Triple DES and RC4 are [deprecated](Enctype::is_deprecated) (RFC 8429), and whoever chooses enctypes leaves them out unless told
//! otherwise; for their older tokens (RFC 1964, RFC 4757 §7) a key gives [`TripleDesCbc`] or [`ArcfourTokens`]. Left out: DES and
//! RC4 with 56 bits (RFC 6649), and the cipher state carried from one message to the next, which no protocol here uses.
#![deny(unsafe_code)]

mod arcfour;
mod batch;
mod camellia;
mod cipher;
mod cts;
mod enctype;
mod error;
#[allow(unsafe_code)]
mod fast;
mod fold;
mod hmac_md5;
mod key;
mod mac;
mod pieces;
mod profile;
mod stack;
mod triple_des;
mod usage;
#[cfg(test)]
mod vectors;

pub use arcfour::ArcfourTokens;
pub use batch::{Batched, open_many, seal_many};
pub use cipher::CipherKey;
pub use enctype::{
    AES128_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA256_128, AES256_CTS_HMAC_SHA1_96,
    AES256_CTS_HMAC_SHA384_192, ARCFOUR_HMAC, CAMELLIA128_CTS_CMAC, CAMELLIA256_CTS_CMAC,
    DES3_CBC_SHA1, Enctype, MAX_ITERATIONS,
};
pub use error::{CryptoError, IntegrityError};
pub use key::Key;
pub use mac::{Checksum, MacKey};
pub use pieces::Piece;
pub use triple_des::TripleDesCbc;
pub use usage::KeyUsage;
