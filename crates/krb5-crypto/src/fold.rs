//! n-fold (RFC 3961 §5.1).

use zeroize::Zeroizing;

/// The longest constant, which is "kerberos" (RFC 3962 §4). Those of key usages have five bytes.
const LONGEST: usize = 8;

/// 128-fold: stretches `input` of 1 to 8 bytes to 16, to which each of its bits contributes.
///
/// `input` is repeated, each time rotated right by 13 more bits, until its length is a multiple of 16 bytes; these are added in
/// ones' complement.
///
/// # Panics
/// If `input` is empty or longer, which no constant is.
pub(crate) fn n_fold(input: &[u8]) -> [u8; 16] {
    assert!((1..=LONGEST).contains(&input.len()), "a constant's length");
    let bits = 8 * input.len() as u32;
    let (all, turn) = (u64::MAX >> (64 - bits), 13 % bits);
    let mut copy = input
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte));
    let (mut sum, mut open, mut room) = (0_u128, 0_u128, 128);
    // As many copies as the smallest common multiple has: a length is a power of two times an odd number, 16 is one alone.
    for _ in 0..16 >> input.len().trailing_zeros() {
        let low = u128::from(copy);
        if bits < room {
            room -= bits;
            open |= low << room;
        } else {
            // This copy fills the piece, and what is left of it begins the next one.
            let left = bits - room;
            sum = add_around(sum, open | low >> left);
            room = 128 - left;
            open = low.checked_shl(room).unwrap_or(0);
        }
        copy = (copy >> turn | copy << (bits - turn)) & all;
    }
    sum.to_be_bytes()
}

/// n-fold to the length of `out`, which for Triple DES is 8 or 21 bytes. The input may be a password, of any length; none at all
/// folds to zeros.
pub(crate) fn n_fold_any(input: &[u8], out: &mut [u8]) {
    let (bits, length) = (8 * input.len(), out.len());
    // Columns of the sum: not carried yet, so wider than a byte.
    let mut columns = Zeroizing::new(vec![0_u64; length]);
    // As many copies as the smallest common multiple has.
    let copies = if input.is_empty() {
        0
    } else {
        length / divisor(input.len(), length)
    };
    for at in 0..copies * input.len() {
        let (copy, byte) = (at / input.len(), at % input.len());
        // Where the byte's first bit stands in the input, of which this copy is rotated right 13 times as often as its number.
        let from = (8 * byte + 13 * copy * (bits - 1)) % bits;
        let pair = [input[from / 8], input[(from / 8 + 1) % input.len()]];
        let byte = u16::from_be_bytes(pair) << (from % 8) >> 8;
        columns[at % length] += u64::from(byte);
    }
    // Ones' complement: what is carried out at the front comes in again at the back.
    let mut carry = 0;
    loop {
        for column in columns.iter_mut().rev() {
            *column += carry;
            carry = *column >> 8;
            *column &= 0xff;
        }
        if carry == 0 {
            break;
        }
    }
    for (byte, column) in out.iter_mut().zip(&*columns) {
        *byte = *column as u8;
    }
}

/// The greatest common divisor.
const fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// Addition in ones' complement: a carry goes around.
fn add_around(a: u128, b: u128) -> u128 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u128::from(carry)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, n_fold, n_fold_any};
    use crate::vectors::read;

    /// To any length, from the definition, a bit at a time.
    fn by_definition(input: &[u8], length: usize) -> Vec<u8> {
        let bits = input.len() * 8;
        let copies = (1..)
            .find(|copies| (copies * input.len()).is_multiple_of(length))
            .expect("at the latest after `length`");
        let mut columns = vec![0_u32; length];
        for at in 0..copies * bits {
            let (copy, bit) = (at / bits, at % bits);
            let from = (bit + bits * copy * 13 - copy * 13) % bits;
            let set = input[from / 8] >> (7 - from % 8) & 1;
            columns[at / 8 % length] += u32::from(set) << (7 - at % 8);
        }
        loop {
            let mut carry = 0;
            for column in columns.iter_mut().rev() {
                *column += carry;
                carry = *column >> 8;
                *column &= 0xff;
            }
            if carry == 0 {
                break columns.iter().map(|column| *column as u8).collect();
            }
            columns[length - 1] += carry;
        }
    }

    #[test]
    fn rfc3961_a1() {
        let cases = read("rfc3961_n_fold.txt");
        assert_eq!(cases.len(), 11);
        let mut ours = 0;
        for case in cases {
            let (input, output) = (case.bytes("input"), case.bytes("output"));
            let bits = case.number("bits") as usize;
            assert_eq!(by_definition(&input, bits / 8), output, "{}", case.name());
            let mut folded = vec![0; bits / 8];
            n_fold_any(&input, &mut folded);
            assert_eq!(folded, output, "{}", case.name());
            if bits == 128 && input.len() <= LONGEST {
                assert_eq!(n_fold(&input)[..], output, "{}", case.name());
                ours += 1;
            }
        }
        assert_eq!(ours, 1, "\"kerberos\"");
    }

    #[test]
    fn any_length_agrees_with_the_definition() {
        for length in 1..=70 {
            let input: Vec<u8> = (0..length).map(|i| (i * 89 + length) as u8).collect();
            for to in 1..=24 {
                for input in [&input[..], &vec![0xff; length]] {
                    let mut folded = vec![1; to];
                    n_fold_any(input, &mut folded);
                    assert_eq!(folded, by_definition(input, to), "{length} to {to}");
                }
            }
        }
        let mut folded = [1; 21];
        n_fold_any(&[], &mut folded);
        assert_eq!(folded, [0; 21]);
    }

    #[test]
    fn every_length_agrees_with_the_definition() {
        let mut state = 1_u64;
        for length in (1..=LONGEST).cycle().take(8000) {
            state = state
                .wrapping_mul(0x5851_F42D_4C95_7F2D)
                .wrapping_add(0x1405_7B7E_F767_814F);
            let input = &(state ^ state >> 29).to_be_bytes()[..length];
            assert_eq!(n_fold(input)[..], by_definition(input, 16), "{input:?}");
        }
        for length in 1..=LONGEST {
            for byte in [0, 0xff] {
                let input = vec![byte; length];
                assert_eq!(n_fold(&input)[..], by_definition(&input, 16), "{input:?}");
            }
        }
    }
}
