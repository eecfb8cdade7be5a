//! GSS-API version 2 (RFC 2743) in memory-safe Rust with its own Kerberos 5, and security contexts that really change hands.
//!
//! - An [`Environment`] is made of an explicit [`Config`]; the process's environment is a source of defaults, never required.
//! - A [`Credential`] has an acceptor's keys or an initiator's tickets.
//! - [`Initiator`] and [`Acceptor`] run a handshake in [steps](Step), which ends with a [`Context`].
//! - [`stream`] makes `Read` and `Write` of a context and a socket, and with the feature `tokio` `AsyncRead` and `AsyncWrite`.
//! - [`http`] has both sides of `Negotiate`, whatever carries the header fields.
//! - [`sasl`] has the exchanges of `GSSAPI`, `GS2-KRB5`, `GS2-KRB5-PLUS` and `GSS-SPNEGO`.
//! - [`mechanisms`] tells what there is, [`status`] what codes mean, [`tls`] how a TLS connection is bound to.
//! - A context wraps, unwraps, signs and verifies, and can be [exported](Context::export) to, or
//!   [sent over](transfer::send_over) to, another process, which then has it and nobody else.
#![forbid(unsafe_code)]

mod config;
mod context;
mod copied;
mod counts;
mod credential;
mod environment;
mod half_open;
mod handshake;
pub mod host;
pub mod http;
mod identity;
mod impersonation;
mod inquire;
mod local;
pub mod mechanisms;
mod messages;
mod names;
mod neg_mechs;
mod negotiate;
pub mod realm;
pub mod sasl;
mod stack;
pub mod status;
pub mod stream;
pub mod tickets;
pub mod tls;
pub mod transfer;
mod world;

pub use config::{Config, Replay, Store, StoreOptions, Transfer};
pub use context::{Context, ExportOptions, Message, Token};
pub use counts::TransferCounts;
pub use credential::{
    Acquire, CredStore, Credential, CredentialError, CredentialFacts, ElementFacts, Lifetime,
    StoreCred, Stored, TokenError, Usage, Verify, VerifyError,
};
pub use environment::Environment;
pub use gss_core::attribute::MechAttribute;
pub use gss_core::bindings::ChannelBindings;
pub use gss_core::error::{Error, Major, Supplementary};
pub use gss_core::flags::Flags;
pub use gss_core::inquire::{Lucid, LucidProtocol, SessionKey};
pub use gss_core::mechanism::{Facts, Failure, PrfKey, Unwrapped};
pub use gss_core::message::{BufferError, BufferKind, IoVec, IovLengths, Room};
pub use gss_core::name::attributes::{Attribute, AttributeError, AttributeValue};
pub use gss_core::name::{MechName, Name};
pub use gss_core::oid::{Oid, OidError};
pub use gss_core::sequence::Order;
pub use gss_transfer::policy::Policy;
pub use half_open::{HalfOpen, HalfOpenKeys, ServiceKeys};
pub use handshake::{Acceptor, Handshake, Initiator, Step};
pub use local::LocalNameError;
pub use messages::InPlace;
pub use names::NameError;
pub use neg_mechs::NegMechs;
pub use once::ReplayAfterReset;

/// The frame of a mechanism's first token (RFC 2743 §3.1).
pub mod framing {
    pub use gss_core::framing::{FrameError, frame, unframe};
}

/// The types of Kerberos underneath: principals, keys, keytabs, credential caches, settings.
pub mod kerberos {
    pub use krb5::formats::{ccache, conf, keytab, settings};
    pub use krb5::principal::{Principal, PrincipalError};
    pub use krb5_crypto::{Enctype, Key};
}
