//! AES in CBC mode with ciphertext stealing and an initial vector of zeros (RFC 3962 §5, RFC 8009 §5: CBC-CS3), in place.
//!
//! Both directions run a hook beside the cipher, so that a message goes through the processor's caches once: CBC
//! encryption waits for its own last block most of the time, and a hash in between costs little.

use core::ops::Range;

use aes::cipher::consts::U16;
use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt,
    BlockSizeUser,
};
use zeroize::Zeroize;

/// Bytes in a cipher block.
pub(crate) const BLOCK: usize = 16;

/// Blocks decrypted at once: enough for the widest backend to run full, few enough for the stack.
pub(crate) const AT_ONCE: usize = 32;

type Block = Array<u8, U16>;

/// Encrypts `buffer`, which has at least one block, in place.
///
/// Before the bytes of a range are encrypted, `before` sees the buffer and that range. The ranges follow each other,
/// `stride` bytes (a multiple of the block) each and then the rest. All in front of a range is ciphertext, and final but for
/// the block just before it, which stealing may still cut.
pub(crate) fn encrypt<A: BlockCipherEncrypt<BlockSize = U16>>(
    cipher: &A,
    buffer: &mut [u8],
    stride: usize,
    before: impl FnMut(&[u8], Range<usize>),
) {
    cipher.encrypt_with_backend(Encrypt {
        buffer,
        stride,
        before,
    });
}

/// One closure for the whole message, so that the backend is chosen once a message and not once a block.
struct Encrypt<'a, F> {
    buffer: &'a mut [u8],
    stride: usize,
    before: F,
}

impl<F> BlockSizeUser for Encrypt<'_, F> {
    type BlockSize = U16;
}

impl<F: FnMut(&[u8], Range<usize>)> BlockCipherEncClosure for Encrypt<'_, F> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(mut self, backend: &B) {
        let whole = blocks_before_last(self.buffer.len()) * BLOCK;
        let mut chain = Block::default();
        let mut at = 0;
        while at + self.stride <= whole {
            let range = at..at + self.stride;
            (self.before)(self.buffer, range.clone());
            encrypt_blocks(backend, &mut self.buffer[range], &mut chain);
            at += self.stride;
        }
        (self.before)(self.buffer, at..self.buffer.len());
        encrypt_blocks(backend, &mut self.buffer[at..whole], &mut chain);
        encrypt_last(backend, self.buffer, whole, chain);
    }
}

#[inline(always)]
fn encrypt_blocks<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    bytes: &mut [u8],
    chain: &mut Block,
) {
    let (blocks, _) = Block::slice_as_chunks_mut(bytes);
    for block in blocks {
        xor(chain, block);
        backend.encrypt_block(chain.into());
        *block = *chain;
    }
}

/// Encrypts the last block, which may be short, and puts it in front of the one it follows, which is cut.
#[inline(always)]
fn encrypt_last<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    buffer: &mut [u8],
    whole: usize,
    chain: Block,
) {
    let (front, last) = buffer.split_at_mut(whole);
    let mut padded = Block::default();
    padded[..last.len()].copy_from_slice(last);
    xor(&mut padded, &chain);
    backend.encrypt_block((&mut padded).into());
    match front.last_chunk_mut::<BLOCK>() {
        Some(before) => {
            last.copy_from_slice(&chain[..last.len()]);
            *before = padded.into();
        }
        None => last.copy_from_slice(&padded),
    }
}

/// Decrypts `buffer`, which has at least one block, in place; `after` sees each piece of plaintext in its order.
pub(crate) fn decrypt<A: BlockCipherDecrypt<BlockSize = U16>>(
    cipher: &A,
    buffer: &mut [u8],
    mut after: impl FnMut(&[u8]),
) {
    let (front, last) = buffer.split_at_mut(blocks_before_last(buffer.len()) * BLOCK);
    decrypt_last(cipher, front, last);
    let mut chain = Block::default();
    for bytes in front.chunks_mut(AT_ONCE * BLOCK) {
        let (blocks, _) = Block::slice_as_chunks_mut(bytes);
        decrypt_blocks(cipher, blocks, &mut chain);
        after(bytes);
    }
    after(last);
}

/// Puts the last block's plaintext into its place, and in front of it the ciphertext block that was cut, made whole again.
#[inline]
fn decrypt_last<A: BlockCipherDecrypt<BlockSize = U16>>(
    cipher: &A,
    front: &mut [u8],
    last: &mut [u8],
) {
    let Some(before) = front.last_chunk_mut::<BLOCK>() else {
        let (blocks, _) = Block::slice_as_chunks_mut(last);
        return cipher.decrypt_blocks(blocks);
    };
    let mut mixed = Block::from(*before);
    cipher.decrypt_block(&mut mixed);
    before[..last.len()].copy_from_slice(last);
    before[last.len()..].copy_from_slice(&mixed[last.len()..]);
    for (byte, mixed) in last.iter_mut().zip(&mixed) {
        *byte ^= mixed;
    }
    // With the ciphertext, which is no secret, it would give the last block's plaintext.
    mixed.zeroize();
}

/// CBC over at most [`AT_ONCE`] blocks: the copy that stays on the stack is ciphertext.
#[inline]
pub(crate) fn decrypt_blocks<A: BlockCipherDecrypt<BlockSize = U16>>(
    cipher: &A,
    blocks: &mut [Block],
    chain: &mut Block,
) {
    let mut ciphertext = [Block::default(); AT_ONCE];
    let ciphertext = &mut ciphertext[..blocks.len()];
    ciphertext.copy_from_slice(blocks);
    cipher.decrypt_blocks(blocks);
    for (block, previous) in blocks
        .iter_mut()
        .zip(core::iter::once(&*chain).chain(ciphertext.iter()))
    {
        xor(block, previous);
    }
    if let Some(last) = ciphertext.last() {
        *chain = *last;
    }
}

/// How many whole blocks stand before the last one, which has 1 to 16 bytes.
const fn blocks_before_last(length: usize) -> usize {
    (length - 1) / BLOCK
}

#[inline(always)]
fn xor(block: &mut Block, other: &Block) {
    let mixed = u128::from_ne_bytes((*block).into()) ^ u128::from_ne_bytes((*other).into());
    *block = mixed.to_ne_bytes().into();
}

#[cfg(test)]
mod tests {
    use aes::cipher::KeyInit;
    use aes::{Aes128, Aes256};

    use super::*;
    use crate::vectors::read;

    #[test]
    fn rfc3962_appendix_b() {
        let cases = read("rfc3962_cts.txt");
        assert_eq!(cases.len(), 6);
        for case in cases {
            let cipher = Aes128::new_from_slice(&case.bytes("key")).expect("16 bytes");
            let (input, output) = (case.bytes("input"), case.bytes("output"));
            for stride in [16, 64, 128] {
                let mut buffer = input.clone();
                encrypt(&cipher, &mut buffer, stride, |_, _| {});
                assert_eq!(buffer, output, "{} by {stride}", case.name());
            }
            let next = &output[(output.len() - 1) / 16 * 16 - 16..][..16];
            assert_eq!(next, case.bytes("next_iv"), "{}", case.name());
            let mut buffer = output;
            decrypt(&cipher, &mut buffer, |_| {});
            assert_eq!(buffer, input, "{}", case.name());
        }
    }

    /// The same, block by block from the definition, to compare long messages with.
    fn by_definition(cipher: &Aes256, plaintext: &[u8]) -> Vec<u8> {
        let mut chain = Block::default();
        let mut out = Vec::new();
        for piece in plaintext.chunks(BLOCK) {
            chain.iter_mut().zip(piece).for_each(|(a, b)| *a ^= b);
            cipher.encrypt_block(&mut chain);
            out.extend_from_slice(&chain);
        }
        if let Some(before) = out.len().checked_sub(2 * BLOCK) {
            let cut: Vec<_> = out.drain(before..before + BLOCK).collect();
            out.extend_from_slice(&cut);
        }
        out.truncate(plaintext.len());
        out
    }

    #[test]
    fn every_length_agrees_with_the_definition() {
        let cipher = Aes256::new_from_slice(&[0x42; 32]).expect("32 bytes");
        for length in (BLOCK..600).chain([1023, 1024, 1025, 4096, 5000]) {
            let plaintext: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let ciphertext = by_definition(&cipher, &plaintext);
            for stride in [64, 128] {
                let mut buffer = plaintext.clone();
                let mut seen = 0;
                encrypt(&cipher, &mut buffer, stride, |bytes, next| {
                    assert_eq!(next.start, seen, "{length} bytes");
                    assert_eq!(bytes[next.clone()], plaintext[next.clone()]);
                    let last = seen.saturating_sub(BLOCK);
                    assert_eq!(bytes[..last], ciphertext[..last], "final in front");
                    seen = next.end;
                });
                assert_eq!(seen, length);
                assert_eq!(buffer, ciphertext, "{length} bytes by {stride}");
            }
            let (mut buffer, mut pieces) = (ciphertext, Vec::new());
            decrypt(&cipher, &mut buffer, |piece| {
                pieces.extend_from_slice(piece)
            });
            assert_eq!(buffer, plaintext, "{length} bytes");
            assert_eq!(pieces, plaintext, "{length} bytes in pieces");
        }
    }
}
