//! An allocator that counts, and input that says it is longer than it is: what the tests share that watch how much a parser takes.
//!
//! It replaces the process's allocator, so such a test is in a test binary of its own, which takes this file in by its path.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, and what a thread takes from it: other threads are the test harness's.
struct Counting;

thread_local! {
    // Without a destructor and made at compile time, so that looking at them allocates nothing.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// A wrapper around an allocator cannot be written without `unsafe`. `realloc` and `alloc_zeroed` are the trait's own,
// which come down to these two: a vector that grows counts with its old and its new place.
//
// SAFETY: each call is handed to the system's allocator as it came, which fulfils the trait's contract; counting
// allocates nothing and cannot panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // What one thread allocates another may free: the sum goes round.
        let live = LIVE.get().wrapping_add_unsigned(layout.size());
        LIVE.set(live);
        PEAK.set(PEAK.get().max(live));
        // SAFETY: the caller's layout, unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get().wrapping_sub_unsigned(layout.size()));
        // SAFETY: `at` came from `System.alloc` with this layout, as the caller vouches.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The most that `parse` held at a time, beyond what it was given and has freed.
pub(crate) fn peak(parse: impl FnOnce()) -> usize {
    LIVE.set(0);
    PEAK.set(0);
    parse();
    PEAK.get().unsigned_abs()
}

/// `good` cut at every length, with every bit flipped, and with a huge length or count at every place.
pub(crate) fn damaged(good: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = (0..=good.len()).map(|length| good[..length].to_vec());
    let flipped = (0..good.len() * 8).map(|bit| {
        let mut other = good.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        other
    });
    let huge: [&[u8]; 4] = [
        b"\x84\xff\xff\xff\xff",
        b"\x84\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
    ];
    let spliced = huge.into_iter().flat_map(move |length| {
        (0..good.len()).map(move |at| {
            // In place of a DER length's one byte, or of a counter's four.
            let over = if length.len() == 5 { 1 } else { 4 };
            let mut other = good.to_vec();
            other.splice(at..(at + over).min(good.len()), length.iter().copied());
            other
        })
    });
    cut.chain(flipped).chain(spliced)
}
