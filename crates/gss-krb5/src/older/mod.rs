//! The tokens of RFC 1964, as Triple DES and RC4 (RFC 4757 §7) have them.
//!
//! A token has a frame, as those of a handshake have. Behind it are eight bytes that name the token and its algorithms, the
//! sequence number (encrypted with the checksum mixed in, so that neither fits another token), and the checksum. A Wrap token
//! goes on with a confounder, the data and its padding, all of which may be encrypted. The frame's length counts all of them,
//! but in DCE style, where it ends with the confounder and the caller pads its data.

mod receiver;
mod sender;

use gss_core::framing::{self, FrameError};
use gss_core::message::with_list;
use gss_core::oid::Oid;
use krb5_crypto::{ArcfourTokens, Checksum, Key, KeyUsage, MacKey, Piece, TripleDesCbc};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::{Malformed, PeerMisbehaved};
use crate::keys::Role;

/// TOK_ID, SGN_ALG, SEAL_ALG and filler.
const NAMES: usize = 8;
const SND_SEQ: usize = 8;
/// Bytes in a confounder.
pub(crate) const CONFOUNDER: usize = 8;
const NO_SEAL: [u8; 2] = [0xff, 0xff];
const FILLER: [u8; 2] = [0xff, 0xff];

/// Whether messages under keys of this enctype travel in tokens of RFC 1964: it is none of the "newer" ones (RFC 4121 §1).
pub(crate) const fn has_older_tokens(enctype: i32) -> bool {
    matches!(enctype, 16 | 23)
}

/// Which kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mic,
    Wrap,
}

impl Kind {
    const fn tok_id(self) -> [u8; 2] {
        match self {
            Self::Mic => [1, 1],
            Self::Wrap => [2, 1],
        }
    }
}

/// A key as these tokens use it. The same one serves both directions: the sequence number tells who sent a token.
pub(crate) struct Older {
    cipher: Cipher,
    wrap: MacKey,
    mic: MacKey,
}

enum Cipher {
    TripleDes(TripleDesCbc),
    Arcfour(ArcfourTokens),
}

/// What is in front of a token's data, but for the confounder.
pub(crate) struct Front<'a> {
    frame: &'a mut [u8],
    names: &'a mut [u8],
    snd_seq: &'a mut [u8; SND_SEQ],
    checksum: &'a mut [u8],
}

impl Older {
    /// `None` if the key's tokens are those of RFC 4121.
    pub(crate) fn new(key: &Key) -> Option<Self> {
        let arcfour = key.arcfour_tokens().map(Cipher::Arcfour);
        let cipher = arcfour.or_else(|| key.triple_des_cbc().map(Cipher::TripleDes))?;
        // RFC 1964 knows no usages. Of Triple DES there is one for both kinds, of RC4 one for each.
        let (wrap, mic) = match cipher {
            Cipher::TripleDes(_) => (23, 23),
            Cipher::Arcfour(_) => (13, 15),
        };
        Some(Self {
            cipher,
            wrap: key.mac(KeyUsage(wrap)),
            mic: key.mac(KeyUsage(mic)),
        })
    }

    const fn sgn_alg(&self) -> [u8; 2] {
        match self.cipher {
            Cipher::TripleDes(_) => [4, 0],
            Cipher::Arcfour(_) => [0x11, 0],
        }
    }

    const fn seal_alg(&self) -> [u8; 2] {
        match self.cipher {
            Cipher::TripleDes(_) => [2, 0],
            Cipher::Arcfour(_) => [0x10, 0],
        }
    }

    /// RC4's is the first half of its HMAC.
    const fn checksum_length(&self) -> usize {
        match self.cipher {
            Cipher::TripleDes(_) => 20,
            Cipher::Arcfour(_) => 8,
        }
    }

    /// What the data is padded to a multiple of.
    pub(crate) const fn block(&self) -> usize {
        match self.cipher {
            Cipher::TripleDes(_) => 8,
            Cipher::Arcfour(_) => 1,
        }
    }

    /// How many bytes of padding follow `data` bytes: at least one, which tells how many.
    pub(crate) const fn padding(&self, data: usize) -> usize {
        self.block() - data % self.block()
    }

    /// How many bytes there are between the frame and the data.
    pub(crate) const fn between(&self, kind: Kind) -> usize {
        let confounder = match kind {
            Kind::Mic => 0,
            Kind::Wrap => CONFOUNDER,
        };
        NAMES + SND_SEQ + self.checksum_length() + confounder
    }

    /// How many bytes there are in front of the data, where the frame counts `framed` bytes of what follows the front.
    pub(crate) fn front_length(&self, kind: Kind, framed: usize) -> usize {
        let between = self.between(kind);
        framing::header_length(Oid::KRB5, between + framed) + between
    }

    /// The parts of `front`, which is all that is in front of the data, and the confounder, which a MIC token has not.
    fn split<'a>(&self, kind: Kind, front: &'a mut [u8]) -> Option<(Front<'a>, &'a mut [u8])> {
        let frame = front.len().checked_sub(self.between(kind))?;
        let (frame, rest) = front.split_at_mut(frame);
        let (names, rest) = rest.split_at_mut(NAMES);
        let (snd_seq, rest) = rest.split_first_chunk_mut()?;
        let (checksum, confounder) = rest.split_at_mut(self.checksum_length());
        let front = Front {
            frame,
            names,
            snd_seq,
            checksum,
        };
        Some((front, confounder))
    }

    /// Writes what of a token does not depend on its data: `front` has the [length](Self::front_length) for `framed`.
    pub(crate) fn begin<'a>(
        &self,
        kind: Kind,
        sealed: bool,
        framed: usize,
        front: &'a mut [u8],
    ) -> (Front<'a>, &'a mut [u8]) {
        let (front, confounder) = self.split(kind, front).expect("the length was computed");
        framing::put_header(Oid::KRB5, self.between(kind) + framed, front.frame);
        let seal_alg = if sealed { self.seal_alg() } else { NO_SEAL };
        let names = [kind.tok_id(), self.sgn_alg(), seal_alg, FILLER];
        front.names.copy_from_slice(names.as_flattened());
        (front, confounder)
    }

    /// Completes a MIC token of the message that is `parts` one after another.
    pub(crate) fn sign(&self, from: Role, seq: u32, front: Front<'_>, parts: &[&[u8]]) {
        let checksum = checksum(&self.mic, front.names, parts.iter().copied());
        self.complete(from, seq, front, &checksum);
    }

    /// Completes a Wrap token whose confounder, data and padding are `pieces`.
    pub(crate) fn seal(
        &self,
        from: Role,
        seq: u32,
        sealed: bool,
        front: Front<'_>,
        pieces: &mut [Piece<'_>],
    ) {
        let checksum = checksum(&self.wrap, front.names, pieces.iter().map(bytes));
        self.complete(from, seq, front, &checksum);
        if sealed {
            self.crypt(seq, pieces, Way::Encrypt);
        }
    }

    /// The sequence number is encrypted with the checksum mixed in, which is why that comes first.
    fn complete(&self, from: Role, seq: u32, front: Front<'_>, checksum: &[u8]) {
        let length = front.checksum.len();
        front.checksum.copy_from_slice(&checksum[..length]);
        let number = match self.cipher {
            Cipher::TripleDes(_) => seq.to_le_bytes(),
            Cipher::Arcfour(_) => seq.to_be_bytes(),
        };
        let (first, last) = front.snd_seq.split_at_mut(number.len());
        first.copy_from_slice(&number);
        last.fill(from.indicator());
        self.crypt_number(front.checksum, front.snd_seq, Way::Encrypt);
    }

    /// Checks what of a received token does not depend on its data. `framed` is what the frame should count of what follows
    /// the front; a front of another length than that of such a token is an error with both lengths.
    pub(crate) fn parse<'a>(
        &self,
        kind: Kind,
        framed: usize,
        front: &'a mut [u8],
    ) -> Result<(Received<'a>, &'a mut [u8]), Malformed> {
        let (front, confounder) = self.split(kind, front).ok_or(Malformed::Short)?;
        let header = framing::header(front.frame).ok_or(Malformed::Frame(FrameError::Malformed))?;
        if header.oid != Oid::KRB5.bytes() {
            return Err(Malformed::Frame(FrameError::OtherMechanism));
        }
        if header.start != front.frame.len() || header.inner != self.between(kind) + framed {
            return Err(Malformed::Frame(FrameError::Malformed));
        }
        let [tok_id, sgn_alg, seal_alg, filler] =
            [0, 2, 4, 6].map(|at| [front.names[at], front.names[at + 1]]);
        if tok_id != kind.tok_id() {
            return Err(Malformed::TokenId);
        }
        if filler != FILLER {
            return Err(Malformed::Filler);
        }
        let sealed = kind == Kind::Wrap && seal_alg == self.seal_alg();
        if sgn_alg != self.sgn_alg() || !sealed && seal_alg != NO_SEAL {
            return Err(Malformed::Algorithm);
        }
        Ok((Received { front, sealed }, confounder))
    }

    /// Verifies a MIC token of the message that is `parts` one after another; its number.
    pub(crate) fn verify(
        &self,
        peer: Role,
        token: Received<'_>,
        parts: &[&[u8]],
    ) -> Result<u32, PeerMisbehaved> {
        let (seq, indicator) = self.number(&token.front)?;
        let expected = checksum(&self.mic, token.front.names, parts.iter().copied());
        verify(peer, indicator, token.front.checksum, &expected)?;
        Ok(seq)
    }

    /// Decrypts and verifies a Wrap token whose confounder, data and padding are `pieces`; its number.
    pub(crate) fn open(
        &self,
        peer: Role,
        token: Received<'_>,
        pieces: &mut [Piece<'_>],
    ) -> Result<u32, PeerMisbehaved> {
        let (seq, indicator) = self.number(&token.front)?;
        if token.sealed {
            self.crypt(seq, pieces, Way::Decrypt);
        }
        let expected = checksum(&self.wrap, token.front.names, pieces.iter().map(bytes));
        verify(peer, indicator, token.front.checksum, &expected)?;
        Ok(seq)
    }

    /// The sequence number and the indicator of who sent it, which is there four times.
    fn number(&self, front: &Front<'_>) -> Result<(u32, u8), PeerMisbehaved> {
        let mut field = *front.snd_seq;
        self.crypt_number(front.checksum, &mut field, Way::Decrypt);
        let [a, b, c, d, indicator, rest @ ..] = field;
        if rest != [indicator; 3] {
            return Err(PeerMisbehaved::Integrity);
        }
        let number = match self.cipher {
            Cipher::TripleDes(_) => u32::from_le_bytes([a, b, c, d]),
            Cipher::Arcfour(_) => u32::from_be_bytes([a, b, c, d]),
        };
        Ok((number, indicator))
    }

    fn crypt_number(&self, checksum: &[u8], field: &mut [u8; SND_SEQ], way: Way) {
        let (salt, _) = checksum.split_first_chunk().expect("8 bytes or 20");
        match (&self.cipher, way) {
            (Cipher::TripleDes(key), Way::Encrypt) => key.encrypt(*salt, field),
            (Cipher::TripleDes(key), Way::Decrypt) => key.decrypt(*salt, field),
            (Cipher::Arcfour(key), _) => key.sequence_number(*salt, field),
        }
    }

    fn crypt(&self, seq: u32, pieces: &mut [Piece<'_>], way: Way) {
        match &self.cipher {
            Cipher::TripleDes(key) => cbc(key, pieces, way),
            Cipher::Arcfour(key) => key.message(seq, pieces.iter_mut().filter_map(sealed)),
        }
    }
}

/// A received token whose front is well formed.
pub(crate) struct Received<'a> {
    front: Front<'a>,
    pub(crate) sealed: bool,
}

#[derive(Clone, Copy)]
enum Way {
    Encrypt,
    Decrypt,
}

fn checksum<'p>(
    mac: &MacKey,
    names: &'p [u8],
    parts: impl ExactSizeIterator<Item = &'p [u8]>,
) -> Checksum {
    with_list(
        parts.len() + 1,
        || &[][..],
        |list| {
            list[0] = names;
            list[1..]
                .iter_mut()
                .zip(parts)
                .for_each(|(entry, part)| *entry = part);
            mac.sign(list)
        },
    )
}

/// Who sent a token is looked at last: without integrity the indicator says nothing.
fn verify(peer: Role, indicator: u8, found: &[u8], expected: &[u8]) -> Result<(), PeerMisbehaved> {
    if !bool::from(expected[..found.len()].ct_eq(found)) {
        return Err(PeerMisbehaved::Integrity);
    }
    if indicator != peer.indicator() {
        return Err(PeerMisbehaved::Reflected);
    }
    Ok(())
}

fn bytes<'p>(piece: &'p Piece<'_>) -> &'p [u8] {
    match piece {
        Piece::Seal(bytes) => bytes,
        Piece::Sign(bytes) => bytes,
    }
}

fn sealed<'p>(piece: &'p mut Piece<'_>) -> Option<&'p mut [u8]> {
    match piece {
        Piece::Seal(bytes) => Some(bytes),
        Piece::Sign(_) => None,
    }
}

/// Triple DES over whole blocks, of which one may lie in several pieces: such a one is copied and put back.
fn cbc(key: &TripleDesCbc, pieces: &mut [Piece<'_>], way: Way) {
    const BLOCK: usize = 8;
    let mut vector = [0; BLOCK];
    let mut crypt = |blocks: &mut [u8]| {
        let last = |blocks: &[u8]| blocks.last_chunk().copied().unwrap_or_default();
        match way {
            Way::Encrypt => {
                key.encrypt(vector, blocks);
                vector = last(blocks);
            }
            Way::Decrypt => {
                let next = last(blocks);
                key.decrypt(vector, blocks);
                vector = next;
            }
        }
    };
    // Where the bytes of the block that is not whole yet are: piece and place in it.
    let mut gathered = [(0, 0); BLOCK];
    let mut count = 0;
    for index in 0..pieces.len() {
        let Some(mut rest) = sealed(&mut pieces[index]) else {
            continue;
        };
        let mut at = 0;
        while !rest.is_empty() {
            if count == 0 && rest.len() >= BLOCK {
                let (whole, later) = rest.split_at_mut(rest.len() / BLOCK * BLOCK);
                at += whole.len();
                crypt(whole);
                rest = later;
                continue;
            }
            gathered[count] = (index, at);
            count += 1;
            at += 1;
            rest = &mut rest[1..];
            if count == BLOCK {
                let mut block =
                    Zeroizing::new(gathered.map(|(piece, at)| bytes(&pieces[piece])[at]));
                crypt(&mut *block);
                for ((piece, at), byte) in gathered.iter().zip(*block) {
                    if let Some(bytes) = sealed(&mut pieces[*piece]) {
                        bytes[*at] = byte;
                    }
                }
                count = 0;
                rest = match sealed(&mut pieces[index]) {
                    Some(bytes) => &mut bytes[at..],
                    None => break,
                };
            }
        }
    }
}
