//! Writing secrets into a buffer that is allocated once.

use zeroize::Zeroizing;

/// Runs `write` twice: to count its bytes, and to put them into a buffer of just that capacity. A vector that grew
/// would leave copies of the keys in it behind.
pub(super) fn written_exactly(write: impl Fn(&mut dyn FnMut(&[u8]))) -> Zeroizing<Vec<u8>> {
    let mut length = 0;
    write(&mut |bytes| length += bytes.len());
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    write(&mut |bytes| out.extend_from_slice(bytes));
    debug_assert_eq!(out.len(), length);
    out
}
