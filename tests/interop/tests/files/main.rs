//! Keytabs, credential caches and `krb5.conf`: what theirs write is read by ours, and the other way round.
#![allow(missing_docs)]

mod ccaches;
mod configuration;
mod keytabs;
