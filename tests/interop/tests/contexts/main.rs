//! Contexts between ours and theirs: each as initiator and as acceptor, MIT's library and Heimdal's, all enctypes.
#![allow(missing_docs)]

mod anonymous;
mod buffers;
mod dce;
mod delegation;
mod enctypes;
mod handshakes;
mod inquiries;
mod lucid;
mod messages;
mod order;
mod parties;
mod refusals;
mod replay_cache;
mod transfer;
