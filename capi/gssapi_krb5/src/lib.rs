//! `libgssapi_krb5.so.2`: the entry points of [`baton_capi`] for the linker, which gives them the versions of `symbols.txt`
//! (`cargo xtask capi`).
#![forbid(unsafe_code)]

pub use baton_capi;
