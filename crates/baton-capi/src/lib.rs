//! The C entry points of GSS-API (RFC 2744): thin, checked, over the crate [`baton`].
//!
//! - [`abi`] has what C sees, [`ptr`] every dereference of a pointer of C's, and `boundary` the one way in and out: a panic is
//!   caught, outputs are set in one place, and an error is a status, a minor code and a text that `gss_display_status` gives.
//! - [`handles`] checks what a program holds: a handle is a number in a table and never a pointer, so one that was deleted,
//!   copied or made up is found out, and nothing is read through it.
//! - A file an object has the calls: `name`, `cred`, `context`, `message`, `transfer`, `oid`, `buffer`, `status`.
#![deny(unsafe_code)]
#![allow(
    unreachable_pub,
    reason = "what C calls is found by its name, in whatever module it is"
)]

pub mod abi;
mod boundary;
mod buffer;
mod context;
mod cred;
mod environment;
mod gnu;
pub mod handles;
mod impersonation;
mod inquire;
mod iov;
mod libkrb5;
mod local;
mod mech;
mod message;
mod name;
mod oid;
mod options;
pub mod ptr;
mod status;
mod symbols;
mod token;
mod transfer;
mod unavailable;
