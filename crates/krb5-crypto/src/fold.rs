//! n-fold (RFC 3961 §5.1).

/// Stretches or shrinks `input`, which is not empty, to `N` bytes to which each of its bits contributes.
///
/// `input` is repeated, each time rotated right by 13 more bits, until its length is a multiple of `N`; the pieces of
/// `N` bytes are added in ones' complement. Here byte `i` of that long string goes straight to its column of the sum.
pub(crate) fn n_fold<const N: usize>(input: &[u8]) -> [u8; N] {
    let mut columns = [0_u32; N];
    for i in 0..least_common_multiple(N, input.len()) {
        columns[i % N] += u32::from(rotated_byte(input, i));
    }
    while carry_around(&mut columns) {}
    columns.map(|column| column as u8)
}

/// Byte `i` of the endless string of repetitions, each rotated right by 13 bits more than the one before.
fn rotated_byte(input: &[u8], i: usize) -> u8 {
    let bits = input.len() * 8;
    let (repetition, byte) = (i / input.len(), i % input.len());
    let start = (byte * 8 + bits - repetition * 13 % bits) % bits;
    let (first, shift) = (start / 8, start % 8);
    let pair = u16::from_be_bytes([input[first], input[(first + 1) % input.len()]]);
    (pair << shift >> 8) as u8
}

/// Leaves one byte in each column; says whether a carry left the first column and came back into the last.
fn carry_around<const N: usize>(columns: &mut [u32; N]) -> bool {
    let mut carry = 0;
    for column in columns.iter_mut().rev() {
        *column += carry;
        carry = *column >> 8;
        *column &= 0xff;
    }
    columns[N - 1] += carry;
    carry != 0
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

#[cfg(test)]
mod tests {
    use super::n_fold;
    use crate::vectors::read;

    #[test]
    fn rfc3961_a1() {
        let cases = read("rfc3961_n_fold.txt");
        assert_eq!(cases.len(), 11);
        for case in cases {
            let (input, output) = (case.bytes("input"), case.bytes("output"));
            let folded = match case.number("bits") {
                56 => n_fold::<7>(&input).to_vec(),
                64 => n_fold::<8>(&input).to_vec(),
                128 => n_fold::<16>(&input).to_vec(),
                168 => n_fold::<21>(&input).to_vec(),
                192 => n_fold::<24>(&input).to_vec(),
                256 => n_fold::<32>(&input).to_vec(),
                other => panic!("{other}-fold"),
            };
            assert_eq!(folded, output, "{}", case.name());
        }
    }
}
