//! What a call leaves behind on the stack.

use std::hint::black_box;

/// How far below its caller [`wipe`] reaches: more than any function of this crate and those below it uses.
const REACH: usize = 64 * 1024;

/// Overwrites the part of this thread's stack that calls which have returned were using.
///
/// Keys are moved into boxes that wipe themselves, but a compiler may have spilled a round key or a temporary into a frame that
/// nobody owns any more. Run after the last use of a key, this makes "no byte of it is left" true for this thread.
#[inline(never)]
pub(crate) fn wipe() {
    let mut frame = [0u8; REACH];
    // Looks at the array, so that the zeros are really written.
    black_box(&mut frame);
}
