//! The token: an opaque frame around sealed state.
//!
//! ```text
//! length of the OID, 32 bits, most significant first  \ the outer frame of MIT's mechanism glue
//! mechanism OID, contents octets                       /
//! version                                     1 byte   \ the header
//! tag                                        16 bytes  /
//! AES-256-GCM-SIV(state, 0x80, 0x00 to a multiple of 32 bytes) and its 16 bytes of tag
//! ```
//!
//! The key is derived from the deposit's one-time key (SP 800-108 in counter mode with HMAC-SHA-256), bound to everything the
//! deposit says and to the store; the frame and the header are associated data. The nonce is zero, because a key seals once.

use aes_gcm_siv::aead::{AeadInOut, KeyInit};
use aes_gcm_siv::{Aes256GcmSiv, Nonce, Tag as SealTag};
use gss_core::oid::Oid;
use hmac::digest::Output;
use hmac::{Hmac, Mac};
use once::Tag;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::deposit::Deposit;

/// The version of the token's layout.
const VERSION: u8 = 1;
/// State is padded to a multiple of this, so that a token's length tells little.
const PAD_TO: usize = 32;
const SEAL_TAG: usize = 16;
/// The longest state that is sealed: many times what a context has, and far below the cipher's own limit.
const MAX_STATE: usize = 16 * 1024 * 1024;
const TAG: usize = 16;

/// A state that is longer than any context's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the context's state is longer than {MAX_STATE} bytes")]
pub struct TooLong;

/// Why bytes are not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The outer frame is cut, or its lengths are not those of a token.
    #[error("the token's frame is not whole")]
    Frame,
    /// The mechanism is not one of ours.
    #[error("the token is of a mechanism that is not known here")]
    Mechanism,
    /// The version is not known.
    #[error("version {0} of the token is unknown")]
    Version(u8),
    /// The sealed part has a length that no token has.
    #[error("the token is cut or extended")]
    Length,
    /// The seal is broken: a bit of the token is not what the exporter wrote.
    #[error("the token's seal is broken")]
    Seal,
    /// What was sealed has no padding. Nobody but the exporter can cause this.
    #[error("the token's padding is wrong")]
    Padding,
}

/// How long a token of `state_length` bytes of state is.
pub const fn token_length(mechanism: Oid, state_length: usize) -> usize {
    head_length(mechanism) + padded(state_length) + SEAL_TAG
}

const fn head_length(mechanism: Oid) -> usize {
    4 + mechanism.bytes().len() + 1 + TAG
}

const fn padded(state_length: usize) -> usize {
    (state_length / PAD_TO + 1) * PAD_TO
}

/// The token of `state`.
pub(crate) fn seal(
    mechanism: Oid,
    tag: &Tag,
    deposit: &Deposit,
    store: &[u8],
    state: &[u8],
) -> Result<Vec<u8>, TooLong> {
    if state.len() > MAX_STATE {
        return Err(TooLong);
    }
    let mut token = Vec::with_capacity(token_length(mechanism, state.len()));
    put_frame(mechanism, &mut token);
    token.push(VERSION);
    token.extend_from_slice(tag.bytes());
    seal_behind(&mut token, state, &cipher(deposit, tag, store))?;
    Ok(token)
}

/// Begins a token with the outer frame of MIT's mechanism glue.
pub(crate) fn put_frame(mechanism: Oid, token: &mut Vec<u8>) {
    token.extend_from_slice(&(mechanism.bytes().len() as u32).to_be_bytes());
    token.extend_from_slice(mechanism.bytes());
}

/// Appends `state`, sealed and bound to what `token` begins with. The token has room for it, because a vector that grows leaves
/// its old bytes behind.
pub(crate) fn seal_behind(
    token: &mut Vec<u8>,
    state: &[u8],
    cipher: &Aes256GcmSiv,
) -> Result<(), TooLong> {
    if state.len() > MAX_STATE {
        return Err(TooLong);
    }
    let head = token.len();
    token.extend_from_slice(state);
    token.push(0x80);
    token.resize(head + padded(state.len()), 0);
    // Encrypted where it lies: no second copy of the plaintext exists.
    let (associated, body) = token.split_at_mut(head);
    let sealed = cipher.encrypt_inout_detached(&Nonce::default(), associated, body.into());
    let Ok(seal) = sealed else {
        // Its plaintext must not stay in the buffer.
        token.zeroize();
        return Err(TooLong);
    };
    token.extend_from_slice(&seal);
    Ok(())
}

/// How many bytes [`seal_behind`] appends.
pub(crate) const fn sealed_length(state_length: usize) -> usize {
    padded(state_length) + SEAL_TAG
}

/// What stands in the outer frame, and what follows it.
pub(crate) fn split_frame(token: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (length, rest) = token.split_first_chunk::<4>().ok_or(Malformed::Frame)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Malformed::Frame)?;
    rest.split_at_checked(length).ok_or(Malformed::Frame)
}

/// The sealed part of a token.
pub(crate) struct Body<'a> {
    head: &'a [u8],
    body: &'a [u8],
    seal: SealTag,
}

impl<'a> Body<'a> {
    /// What stands in `token` behind a head of this length.
    pub(crate) fn behind(head: usize, token: &'a [u8]) -> Result<Self, Malformed> {
        let (head, rest) = token.split_at_checked(head).ok_or(Malformed::Frame)?;
        let (body, seal) = rest
            .split_last_chunk::<SEAL_TAG>()
            .ok_or(Malformed::Length)?;
        if body.is_empty() || body.len() % PAD_TO != 0 {
            return Err(Malformed::Length);
        }
        Ok(Self {
            head,
            body,
            seal: (*seal).into(),
        })
    }

    /// The state, if nothing of the token was altered and `cipher` is the one that sealed it.
    pub(crate) fn open(&self, cipher: &Aes256GcmSiv) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let mut state = Zeroizing::new(self.body.to_vec());
        cipher
            .decrypt_inout_detached(
                &Nonce::default(),
                self.head,
                state.as_mut_slice().into(),
                &self.seal,
            )
            .map_err(|_| Malformed::Seal)?;
        let length = state
            .iter()
            .rposition(|byte| *byte != 0)
            .filter(|last| state[*last] == 0x80 && padded(*last) == state.len())
            .ok_or(Malformed::Padding)?;
        state.truncate(length);
        Ok(state)
    }
}

/// A token's parts, read but not trusted.
pub(crate) struct Envelope<'a> {
    pub(crate) mechanism: Oid,
    pub(crate) tag: Tag,
    body: Body<'a>,
}

impl<'a> Envelope<'a> {
    /// Reads the frame and the header of `token`, which must be of one of `mechanisms`.
    pub(crate) fn parse(
        token: &'a [u8],
        mechanisms: impl IntoIterator<Item = Oid>,
    ) -> Result<Self, Malformed> {
        let (oid, rest) = split_frame(token)?;
        let mechanism = mechanisms
            .into_iter()
            .find(|mechanism| mechanism.bytes() == oid)
            .ok_or(Malformed::Mechanism)?;
        let (version, rest) = rest.split_first().ok_or(Malformed::Frame)?;
        if *version != VERSION {
            return Err(Malformed::Version(*version));
        }
        let tag = rest.first_chunk::<TAG>().ok_or(Malformed::Frame)?;
        Ok(Self {
            mechanism,
            tag: Tag::from_bytes(*tag),
            body: Body::behind(head_length(mechanism), token)?,
        })
    }

    /// The state, if the token is the one that was sealed under `deposit`.
    pub(crate) fn open(
        &self,
        deposit: &Deposit,
        store: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        self.body.open(&cipher(deposit, &self.tag, store))
    }
}

fn cipher(deposit: &Deposit, tag: &Tag, store: &[u8]) -> Aes256GcmSiv {
    cipher_for(
        &deposit.key,
        b"baton context transfer",
        &deposit.bound_to(tag, store),
    )
}

/// A key that seals once, derived from `key` for `context`.
pub(crate) fn cipher_for(key: &[u8; 32], label: &[u8], context: &[u8]) -> Aes256GcmSiv {
    let mut key = derive(key, label, context);
    let cipher = Aes256GcmSiv::new(&key);
    key.as_mut_slice().zeroize();
    cipher
}

/// SP 800-108 in counter mode with HMAC-SHA-256: 256 bits.
pub(crate) fn derive(key: &[u8; 32], label: &[u8], context: &[u8]) -> Output<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length of key will do");
    mac.update(&1u32.to_be_bytes());
    mac.update(label);
    mac.update(&[0]);
    mac.update(context);
    mac.update(&256u32.to_be_bytes());
    mac.finalize().into_bytes()
}
