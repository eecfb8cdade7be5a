//! n-fold (RFC 3961 §5.1).

/// Stretches or shrinks `input`, which is not empty, to `N` bytes to which each of its bits contributes.
///
/// `input` is repeated, each time rotated right by 13 more bits, until its length is a multiple of `N`; the pieces of
/// `N` bytes are added in ones' complement. Here each byte of that long string goes straight to its column of the sum.
pub(crate) fn n_fold<const N: usize>(input: &[u8]) -> [u8; N] {
    let bits = input.len() * 8;
    let mut columns = [0_u32; N];
    let (mut column, mut start) = (0, 0);
    for _ in 0..least_common_multiple(N, input.len()) / input.len() {
        for _ in 0..input.len() {
            columns[column] += u32::from(byte_at(input, start));
            column = step(column, 1, N);
            start = step(start, 8, bits);
        }
        start = step(start, bits - 13 % bits, bits);
    }
    while carry_around(&mut columns) {}
    columns.map(|column| column as u8)
}

/// The eight bits from bit `start` on, around the end.
fn byte_at(input: &[u8], start: usize) -> u8 {
    let first = start / 8;
    let pair = [input[first], input[step(first, 1, input.len())]];
    (u16::from_be_bytes(pair) << (start % 8) >> 8) as u8
}

/// `at + by`, around `end`, which neither exceeds. No division: a key derivation spends most of its time here.
fn step(at: usize, by: usize, end: usize) -> usize {
    match at + by {
        beyond if beyond >= end => beyond - end,
        within => within,
    }
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
