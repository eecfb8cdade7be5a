//! Kerberos 5 without I/O (RFC 4120): its [messages], its [file formats](formats), its [exchanges](exchange) as machines that
//! are fed bytes and give bytes, the [PAC](pac) of Windows, and a [KDC](kdc) of the same kind for development realms.
//!
//! Clock, randomness and keys come in as arguments; sockets and files are somebody else's. Nothing here knows GSS-API.
#![forbid(unsafe_code)]

pub mod exchange;
pub mod formats;
pub mod kdc;
pub mod messages;
pub mod pac;
pub mod principal;
