//! What the linker says of the library that it makes.

use std::arch::global_asm;

// A constant that each library may have one of its own of: `cargo xtask capi` links it in front of this one, which is weak.
global_asm!(
    ".pushsection .rodata.baton_dialect,\"a\"",
    ".weak baton_dialect",
    "baton_dialect:",
    ".byte 0",
    ".popsection",
);

// SAFETY: it is above, a byte that nobody writes.
unsafe extern "C" {
    safe static baton_dialect: u8;
}

/// Where the two libraries that this one stands in for answer differently to the same call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// MIT's `libgssapi_krb5.so.2`.
    Mit,
    /// GNU's `libgss.so.3`.
    Gnu,
}

impl Dialect {
    /// That of this library.
    pub fn current() -> Self {
        match baton_dialect {
            0 => Self::Mit,
            _ => Self::Gnu,
        }
    }
}
