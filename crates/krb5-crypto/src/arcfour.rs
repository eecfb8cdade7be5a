//! RC4 with HMAC-MD5 (RFC 4757), which RFC 8429 deprecates.

use hmac::digest::Digest;
use md4::Md4;
use md5::Md5;
use rc4::{KeyInit, Rc4, StreamCipher};
use sha1::Sha1;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::cipher::Seal;
use crate::mac::{Hmac, Sign, same};
use crate::pieces::{self, Piece};
use crate::profile::Profile;
use crate::{CryptoError, IntegrityError, KeyUsage};

/// arcfour-hmac.
pub(crate) struct ArcfourHmac;

/// "signaturekey" with the zero octet that RFC 4757 §4 counts in.
const SIGNATURE_KEY: &[u8] = b"signaturekey\0";

impl Profile for ArcfourHmac {
    /// RFC 4757 §2: neither salt nor iterations.
    fn string_to_key(
        &self,
        password: &[u8],
        _salt: &[u8],
        _iterations: u32,
        key: &mut [u8],
    ) -> Result<(), CryptoError> {
        let text = str::from_utf8(password).map_err(|_| CryptoError::PasswordNotText)?;
        let mut hash = Md4::new();
        for unit in text.encode_utf16() {
            let mut unit = unit.to_le_bytes();
            hash.update(unit);
            unit.zeroize();
        }
        let mut digest = hash.finalize();
        key.copy_from_slice(&digest);
        digest.zeroize();
        Ok(())
    }

    /// RFC 4757 §5.
    fn prf(&self, key: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(Hmac::<Sha1>::new(key).of(&[input]).to_vec())
    }

    fn sealer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Seal> {
        Box::new(Sealer(salted(key, message_type(usage))))
    }

    fn signer(&self, key: &[u8], usage: KeyUsage) -> Box<dyn Sign> {
        Box::new(Signer::new(key, usage))
    }
}

/// T of RFC 4757 §3. The numbers are RFC 4120's but for one: §3 has T = 8 also where a TGS-REP is under a subkey (usage 9), and
/// MIT, Heimdal and Windows all have 9 there.
fn message_type(usage: KeyUsage) -> [u8; 4] {
    match usage {
        KeyUsage::AS_REP_ENC_PART => KeyUsage::TGS_REP_ENC_PART_SESSION_KEY.0.to_le_bytes(),
        KeyUsage(number) => number.to_le_bytes(),
    }
}

/// HMAC under the HMAC of `message_type`: K1 of RFC 4757 §5, which without an export restriction is K2 too.
fn salted(key: &[u8], message_type: [u8; 4]) -> Hmac<Md5> {
    let mut salted = Hmac::<Md5>::new(key).of(&[&message_type]);
    let key = Hmac::new(&salted);
    salted.zeroize();
    key
}

/// Applies the key stream whose key is the HMAC of `salt`.
fn apply<'a>(key: &Hmac<Md5>, salt: &[u8], parts: impl IntoIterator<Item = &'a mut [u8]>) {
    let mut stream_key = key.of(&[salt]);
    let mut stream = Rc4::new_from_slice(&stream_key).expect("16 bytes");
    stream_key.zeroize();
    for part in parts {
        stream.apply_keystream(part);
    }
}

/// The key of one usage; wipes itself.
struct Sealer(Hmac<Md5>);

impl Seal for Sealer {
    fn seal(&self, message: &mut [u8], checksum: &mut [u8]) {
        checksum.copy_from_slice(&self.0.of(&[message]));
        apply(&self.0, checksum, [&mut *message]);
    }

    fn open(&self, message: &mut [u8], checksum: &[u8]) -> Result<(), IntegrityError> {
        apply(&self.0, checksum, [&mut *message]);
        let verdict = same(&self.0.of(&[message]), checksum);
        if verdict.is_err() {
            message.fill(0);
        }
        verdict
    }

    fn seal_pieces(&self, pieces: &mut [Piece<'_>], checksum: &mut [u8]) {
        checksum.copy_from_slice(&self.0.over(pieces.iter().map(Piece::bytes)));
        apply(&self.0, checksum, pieces::sealed_mut(pieces));
    }

    fn open_pieces(&self, pieces: &mut [Piece<'_>], checksum: &[u8]) -> Result<(), IntegrityError> {
        apply(&self.0, checksum, pieces::sealed_mut(pieces));
        let verdict = same(&self.0.over(pieces.iter().map(Piece::bytes)), checksum);
        if verdict.is_err() {
            pieces::wipe(pieces);
        }
        verdict
    }
}

impl ZeroizeOnDrop for Sealer {}

/// Checksum type -138 (RFC 4757 §4); wipes itself.
pub(crate) struct Signer {
    key: Hmac<Md5>,
    message_type: [u8; 4],
}

impl Signer {
    /// With a key of whatever enctype and length.
    pub(crate) fn new(key: &[u8], usage: KeyUsage) -> Self {
        let mut signing = Hmac::<Md5>::new(key).of(&[SIGNATURE_KEY]);
        let key = Hmac::new(&signing);
        signing.zeroize();
        Self {
            key,
            message_type: message_type(usage),
        }
    }
}

impl Sign for Signer {
    fn sign(&self, parts: &[&[u8]], out: &mut [u8]) {
        let mut hash = Md5::new_with_prefix(self.message_type);
        for part in parts {
            hash.update(part);
        }
        out.copy_from_slice(&self.key.of(&[&hash.finalize()])[..out.len()]);
    }
}

impl ZeroizeOnDrop for Signer {}

/// A key of enctype 23 as the tokens of RFC 4757 §7 use it; wipes itself.
///
/// Their checksum is the first 8 bytes of the key's [`MacKey`](crate::MacKey): under usage 15 that of a MIC token, under
/// usage 13 that of a wrap token.
pub struct ArcfourTokens(Box<TokenKeys>);

/// Boxed, so that whoever moves them leaves no copy behind.
struct TokenKeys {
    messages: Hmac<Md5>,
    sequences: Hmac<Md5>,
}

impl ArcfourTokens {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut local = Zeroizing::new([0; 16]);
        for (local, byte) in local.iter_mut().zip(key) {
            *local = byte ^ 0xf0;
        }
        Self(Box::new(TokenKeys {
            messages: salted(&*local, [0; 4]),
            sequences: salted(key, [0; 4]),
        }))
    }

    /// Encrypts or decrypts confounder, message and padding, the parts of one token, in place. The sequence number is the token's.
    pub fn message<'a>(&self, sequence: u32, parts: impl IntoIterator<Item = &'a mut [u8]>) {
        apply(&self.0.messages, &sequence.to_be_bytes(), parts);
    }

    /// Encrypts or decrypts the SND_SEQ field of a token whose SGN_CKSUM is `checksum`.
    pub fn sequence_number(&self, checksum: [u8; 8], field: &mut [u8; 8]) {
        apply(&self.0.sequences, &checksum, [&mut field[..]]);
    }
}

impl ZeroizeOnDrop for ArcfourTokens {}
