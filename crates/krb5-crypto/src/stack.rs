//! The stack below a call that handled keys.

/// Overwrites the stack below its caller's frame.
///
/// A primitive wipes its values when they are dropped, but moving a value leaves a copy behind that no `Drop` sees.
/// Whoever derives keys calls this after the call that handled them. It is best effort, as any wiping of a stack from
/// safe code is: `tests/wiping.rs` looks at what is left in the process.
#[inline(never)]
pub(crate) fn wipe() {
    core::hint::black_box(&mut [0_u64; 1024]);
}
