//! AES-CBC with ciphertext stealing over a message that lies in several places, without copying it together.

use aes::cipher::consts::U16;
use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt,
    BlockSizeUser,
};
use zeroize::{Zeroize, Zeroizing};

use crate::cts::{self, BLOCK};

type Block = Array<u8, U16>;

/// A part of a message that lies in several places. The parts follow each other as if they were joined.
pub enum Piece<'a> {
    /// Encrypted where it lies, and covered by the checksum.
    Seal(&'a mut [u8]),
    /// Left as it is, and covered by the checksum.
    Sign(&'a [u8]),
}

impl Piece<'_> {
    /// What the checksum covers.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Seal(bytes) => bytes,
            Self::Sign(bytes) => bytes,
        }
    }

    fn sealed(&self) -> &[u8] {
        match self {
            Self::Seal(bytes) => bytes,
            Self::Sign(_) => &[],
        }
    }
}

/// How many bytes of `pieces` are encrypted.
pub(crate) fn sealed_length(pieces: &[Piece<'_>]) -> usize {
    pieces.iter().map(|piece| piece.sealed().len()).sum()
}

/// What of `pieces` is encrypted, piece by piece.
pub(crate) fn sealed_mut<'a>(pieces: &'a mut [Piece<'_>]) -> impl Iterator<Item = &'a mut [u8]> {
    pieces.iter_mut().filter_map(|piece| match piece {
        Piece::Seal(bytes) => Some(&mut **bytes),
        Piece::Sign(_) => None,
    })
}

/// Wipes what was to be decrypted.
pub(crate) fn wipe(pieces: &mut [Piece<'_>]) {
    sealed_mut(pieces).for_each(|bytes| bytes.fill(0));
}

/// What of `pieces` is encrypted, in a copy, with which `change` does what it has to before it is put back: for the cipher whose
/// blocks nobody needs in a hurry.
pub(crate) fn by_copy(pieces: &mut [Piece<'_>], change: impl FnOnce(&mut [u8])) {
    let length = sealed_length(pieces);
    let mut copy = Zeroizing::new(vec![0; length]);
    Place::default().read(pieces, &mut copy);
    change(&mut copy);
    Place::default().write(pieces, &copy);
}

/// Encrypts the [`Seal`](Piece::Seal) pieces, at least one block, where they lie.
pub(crate) fn encrypt<A: BlockCipherEncrypt<BlockSize = U16>>(
    cipher: &A,
    pieces: &mut [Piece<'_>],
) {
    let mut place = Place::default();
    let mut chain = Block::default();
    let mut tail = place.each_block(pieces, |blocks| {
        cipher.encrypt_with_backend(Encrypt {
            blocks,
            chain: &mut chain,
        });
    });
    // With the chain mixed into its first block, the rest is a message with an initial vector of zeros.
    let rest = tail.gather(pieces);
    mix(rest, &chain);
    cts::encrypt(cipher, rest, BLOCK, |_, _| {});
    tail.scatter(pieces);
}

/// Decrypts the [`Seal`](Piece::Seal) pieces, at least one block, where they lie.
pub(crate) fn decrypt<A: BlockCipherDecrypt<BlockSize = U16>>(
    cipher: &A,
    pieces: &mut [Piece<'_>],
) {
    let mut place = Place::default();
    let mut chain = Block::default();
    let mut tail = place.each_block(pieces, |blocks| {
        cts::decrypt_blocks(cipher, blocks, &mut chain);
    });
    let rest = tail.gather(pieces);
    cts::decrypt(cipher, rest, |_| {});
    mix(rest, &chain);
    tail.scatter(pieces);
}

fn mix(rest: &mut [u8], chain: &Block) {
    rest.iter_mut().zip(chain).for_each(|(a, b)| *a ^= b);
}

struct Encrypt<'a> {
    blocks: &'a mut [Block],
    chain: &'a mut Block,
}

impl BlockSizeUser for Encrypt<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Encrypt<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        for block in self.blocks {
            self.chain
                .iter_mut()
                .zip(&*block)
                .for_each(|(a, b)| *a ^= b);
            backend.encrypt_block((&mut *self.chain).into());
            *block = *self.chain;
        }
    }
}

/// Where in the pieces the next byte to encrypt or decrypt is.
#[derive(Clone, Copy, Default)]
struct Place {
    piece: usize,
    at: usize,
}

/// The last two blocks, which stealing ties together; the last one may be short.
struct Tail {
    place: Place,
    bytes: Zeroizing<[u8; 2 * BLOCK]>,
    length: usize,
}

impl Place {
    /// Hands whole blocks, but for the last two, to `each`: many at a time where they lie, and one that lies in several
    /// pieces as a copy that is put back. Gives what is left.
    fn each_block(&mut self, pieces: &mut [Piece<'_>], mut each: impl FnMut(&mut [Block])) -> Tail {
        let mut left = sealed_length(pieces);
        let tail = left - (left.saturating_sub(1) / BLOCK).saturating_sub(1) * BLOCK;
        while left > tail {
            let run = self.run(pieces);
            let whole = run.len().min(left - tail) / BLOCK * BLOCK;
            if whole > 0 {
                let (blocks, _) = Block::slice_as_chunks_mut(&mut run[..whole]);
                blocks.chunks_mut(cts::AT_ONCE).for_each(&mut each);
                self.at += whole;
                left -= whole;
            } else {
                let mut block = Block::default();
                let mut there = *self;
                there.read(pieces, &mut block);
                each(core::slice::from_mut(&mut block));
                self.write(pieces, &block);
                block.zeroize();
                left -= BLOCK;
            }
        }
        Tail {
            place: *self,
            bytes: Zeroizing::default(),
            length: left,
        }
    }

    /// The bytes from here to the end of the piece, of which there are some.
    fn run<'p>(&mut self, pieces: &'p mut [Piece<'_>]) -> &'p mut [u8] {
        while self.at == pieces[self.piece].sealed().len() {
            *self = Self {
                piece: self.piece + 1,
                at: 0,
            };
        }
        match &mut pieces[self.piece] {
            Piece::Seal(bytes) => &mut bytes[self.at..],
            Piece::Sign(_) => unreachable!("nothing of it is sealed"),
        }
    }

    fn read(&mut self, pieces: &mut [Piece<'_>], mut out: &mut [u8]) {
        while !out.is_empty() {
            let run = self.run(pieces);
            let length = run.len().min(out.len());
            let (now, later) = out.split_at_mut(length);
            now.copy_from_slice(&run[..length]);
            out = later;
            self.at += length;
        }
    }

    fn write(&mut self, pieces: &mut [Piece<'_>], mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let run = self.run(pieces);
            let length = run.len().min(bytes.len());
            let (now, later) = bytes.split_at(length);
            run[..length].copy_from_slice(now);
            bytes = later;
            self.at += length;
        }
    }
}

impl Tail {
    fn gather(&mut self, pieces: &mut [Piece<'_>]) -> &mut [u8] {
        let mut place = self.place;
        let bytes = &mut self.bytes[..self.length];
        place.read(pieces, bytes);
        bytes
    }

    fn scatter(mut self, pieces: &mut [Piece<'_>]) {
        self.place.write(pieces, &self.bytes[..self.length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Enctype, IntegrityError, KeyUsage};

    /// `whole` cut into pieces of these lengths, with something signed in front of each.
    fn cut<'a>(mut whole: &'a mut [u8], lengths: &[usize]) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        for length in lengths {
            let (now, later) = whole.split_at_mut((*length).min(whole.len()));
            pieces.push(Piece::Sign(b"between"));
            pieces.push(Piece::Seal(now));
            whole = later;
        }
        pieces.push(Piece::Seal(whole));
        pieces
    }

    fn joined(pieces: &[Piece<'_>]) -> Vec<u8> {
        pieces
            .iter()
            .flat_map(|piece| piece.bytes().to_vec())
            .collect()
    }

    const CUTS: [&[usize]; 9] = [
        &[],
        &[0],
        &[1],
        &[15],
        &[16, 16],
        &[17, 0, 3],
        &[5, 5, 5, 5, 5, 5, 5],
        &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        &[100, 28, 4],
    ];

    #[test]
    fn pieces_encrypt_as_the_whole_does() {
        for enctype in Enctype::all() {
            let key = Enctype::string_to_key(enctype, b"password", b"salt", None).unwrap();
            let cipher = key.cipher(KeyUsage::KG_USAGE_ACCEPTOR_SEAL);
            let room = enctype.checksum_length();
            let lengths = (enctype.confounder_length()..100).chain([512, 1000, 5000]);
            for length in lengths.filter(|length| enctype.padded_length(*length) == *length) {
                let message: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
                let mut expected = vec![0; length + room];
                enctype
                    .split_checksum_mut(&mut expected)
                    .0
                    .copy_from_slice(&message);
                cipher.seal_in_place(&mut expected);
                let (ciphertext, checksum) = enctype.split_checksum_mut(&mut expected);
                for lengths in CUTS {
                    let mut buffer = message.clone();
                    let mut pieces = cut(&mut buffer, lengths);
                    let mut found = vec![0; room];
                    cipher.seal_pieces(&mut pieces, &mut found);
                    // Only without anything signed between is the checksum that of the whole.
                    let whole = lengths.is_empty();
                    assert_eq!(found == checksum, whole, "{length} {lengths:?}");
                    assert_eq!(cipher.open_pieces(&mut pieces, &found), Ok(()));
                    assert_eq!(buffer, message, "{enctype} {length} {lengths:?}");
                    let mut pieces = cut(&mut buffer, lengths);
                    cipher.seal_pieces(&mut pieces, &mut found);
                    // RC4's key stream is that of the checksum.
                    let same = whole || enctype.number() != 23;
                    assert_eq!(buffer == ciphertext, same, "{enctype} {length} {lengths:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_signed_or_sealed_and_altered_is_refused() {
        for enctype in Enctype::all() {
            let key = Enctype::string_to_key(enctype, b"password", b"salt", None).unwrap();
            let cipher = key.cipher(KeyUsage::KG_USAGE_ACCEPTOR_SEAL);
            let mut sealed = *b"a message of more than two blocks, in some parts";
            let mut checksum = vec![0; enctype.checksum_length()];
            cipher.seal_pieces(&mut cut(&mut sealed, &[20, 9]), &mut checksum);
            for bit in 0..sealed.len() * 8 {
                let mut other = sealed;
                other[bit / 8] ^= 1 << (bit % 8);
                let verdict = cipher.open_pieces(&mut cut(&mut other, &[20, 9]), &checksum);
                assert_eq!(verdict, Err(IntegrityError::Mismatch), "{enctype} {bit}");
                assert!(
                    !other.windows(7).any(|part| part == b"message"),
                    "{enctype} {bit}"
                );
            }
            for bit in 0..checksum.len() * 8 {
                let (mut other, mut wrong) = (sealed, checksum.clone());
                wrong[bit / 8] ^= 1 << (bit % 8);
                let verdict = cipher.open_pieces(&mut cut(&mut other, &[20, 9]), &wrong);
                assert_eq!(verdict, Err(IntegrityError::Mismatch), "{enctype} {bit}");
            }
            // The same bytes with what is signed elsewhere are another message.
            let mut other = sealed;
            let verdict = cipher.open_pieces(&mut cut(&mut other, &[21, 9]), &checksum);
            assert_eq!(verdict, Err(IntegrityError::Mismatch), "{enctype}");
            let mut pieces = cut(&mut sealed, &[20, 9]);
            assert_eq!(cipher.open_pieces(&mut pieces, &checksum), Ok(()));
            let again = joined(&pieces);
            assert!(again.starts_with(b"betweena message of more"), "{enctype}");
        }
    }

    #[test]
    fn a_message_or_a_checksum_of_another_length_is_refused() {
        for enctype in Enctype::all() {
            let key = Enctype::string_to_key(enctype, b"password", b"salt", None).unwrap();
            let cipher = key.cipher(KeyUsage::KG_USAGE_ACCEPTOR_SEAL);
            let room = enctype.checksum_length();
            for length in 0..enctype.confounder_length() {
                let mut short = vec![0; length];
                let verdict = cipher.open_pieces(&mut cut(&mut short, &[3]), &vec![0; room]);
                let (wanted, found) = (enctype.overhead(), length + room);
                assert_eq!(verdict, Err(IntegrityError::TooShort { wanted, found }));
            }
            for found in (0..64).filter(|found| *found != room) {
                let mut message = [0; 40];
                let verdict = cipher.open_pieces(&mut cut(&mut message, &[3]), &vec![0; found]);
                let wanted = room;
                assert_eq!(
                    verdict,
                    Err(IntegrityError::ChecksumLength { wanted, found })
                );
            }
        }
    }
}
