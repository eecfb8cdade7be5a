//! SASL (RFC 4422) with GSS-API, both sides: responses and challenges in and out, whatever protocol carries them.
//!
//! - `GSSAPI` (RFC 4752): Kerberos, and then the choice of a security layer.
//! - `GS2-KRB5` and `GS2-KRB5-PLUS` (RFC 5801): Kerberos for TLS connections, without layers; `-PLUS` binds to the TLS connection.
//! - `GSS-SPNEGO` (Microsoft's): SPNEGO; the layer follows from the context's flags.
//!
//! A [`Client`] or a [`Server`] is described and started; each step takes what the peer sent and gives what goes to it. At the end is
//! an [`Established`]: the context, the layer, and as whom the client wants to act. Whether it may is the server's to
//! decide ([`Established::client`], [`Established::authzid`]).
//!
//! ```
//! use baton::sasl::{Client, ClientStep, SaslMechanism, Server, ServerStep};
//! use baton::Name;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use baton::realm::DevelopmentRealm;
//! # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("imap/localhost").start()?;
//! # let env = realm.environment()?;
//! # let (alice, service) = (realm.credential(&env, "alice")?, realm.acceptor(&env)?);
//! let imap = Name::hostbased_service("imap@localhost");
//! let mut client = Client::new(SaslMechanism::Gssapi, &env, &alice, &imap).start()?;
//! let mut server = Server::new(SaslMechanism::Gssapi, &env, &service).start();
//! let (client, server) = loop {
//!     // `response` travels to the server, which decodes it from its protocol's Base64 or the like:
//!     let response = client.response().to_vec();
//!     match server.step(&response)? {
//!         ServerStep::Challenge { challenge, next } => {
//!             server = next;
//!             let ClientStep::Respond { next, .. } = client else { panic!("the client is done") };
//!             client = next.step(&challenge)?;
//!         }
//!         ServerStep::Done { established: server, .. } => match client {
//!             ClientStep::Done { established: client, .. } => break (client, server),
//!             ClientStep::Respond { .. } => panic!("the client is not done"),
//!         },
//!     }
//! };
//! assert_eq!(server.client().to_string(), "alice@EXAMPLE.TEST");
//! // From here on all data is framed and wrapped: `client.into_stream(socket)`.
//! # let _ = client;
//! # Ok(())
//! # }
//! ```

mod client;
mod gs2;
mod layers;
mod server;

use gss_core::error::Error;
use gss_core::flags::Flags;

use crate::stream::{SecureStream, StreamError, StreamOptions};
use crate::{Context, Name};

pub use client::{Client, ClientExchange, ClientStep};
pub use gs2::HeaderError;
pub use layers::{Layer, LayerError, Layers};
pub use server::{Server, ServerExchange, ServerStep};

/// A mechanism of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaslMechanism {
    /// `GSSAPI` (RFC 4752).
    Gssapi,
    /// `GS2-KRB5` (RFC 5801).
    Gs2Krb5,
    /// `GS2-KRB5-PLUS` (RFC 5801): with channel bindings.
    Gs2Krb5Plus,
    /// `GSS-SPNEGO`.
    GssSpnego,
}

impl SaslMechanism {
    /// All of them, in the order in which a client that has a TLS connection prefers them.
    pub const ALL: [Self; 4] = [
        Self::Gs2Krb5Plus,
        Self::Gs2Krb5,
        Self::GssSpnego,
        Self::Gssapi,
    ];

    /// The name in SASL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gssapi => "GSSAPI",
            Self::Gs2Krb5 => "GS2-KRB5",
            Self::Gs2Krb5Plus => "GS2-KRB5-PLUS",
            Self::GssSpnego => "GSS-SPNEGO",
        }
    }

    /// The mechanism with this name (RFC 4422 §3.1: upper case).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name() == name)
    }
}

/// What an exchange came to.
#[derive(Debug)]
pub struct Established {
    context: Context,
    layer: Layer,
    authzid: Option<String>,
    max_sent_frame: u32,
    max_frame: u32,
}

impl Established {
    /// The context: names and flags.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Who authenticated itself.
    pub fn client(&self) -> &Name {
        &self.context.facts().initiator
    }

    /// As whom the client wants to act, if it says so. A server has to decide whether it may (RFC 4422 §3.4.1).
    pub fn authzid(&self) -> Option<&str> {
        self.authzid.as_deref()
    }

    /// What protects data from here on.
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// The context alone, where there is no layer or the caller frames messages itself.
    pub fn into_context(self) -> Context {
        self.context
    }

    /// A stream with the layer that was agreed on. SASL's layers have no end of their own (RFC 4422 §3.7): the transport's close is the end. Without a layer there is
    /// no such stream.
    pub fn into_stream<S>(self, transport: S) -> Result<SecureStream<S>, StreamError> {
        let options = self.stream_options().ok_or(StreamError::Unsuitable)?;
        SecureStream::new(self.context, transport, options)
    }

    /// The options of that stream, for `stream::asynchronous`.
    pub fn stream_options(&self) -> Option<StreamOptions> {
        let options = StreamOptions::default()
            .end_by_close()
            .max_frame(self.max_frame as usize)
            .max_sent_frame(self.max_sent_frame);
        match self.layer {
            Layer::None => None,
            Layer::Integrity => Some(options.integrity_only()),
            Layer::Confidentiality => Some(options),
        }
    }

    fn new(context: Context, layer: Layer, authzid: Option<String>) -> Self {
        Self {
            context,
            layer,
            authzid,
            // Where no message says what the peer takes, it is what peers take by default.
            max_sent_frame: 65_536,
            max_frame: layers::MAX_BUFFER,
        }
    }
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// The handshake.
    #[error("the handshake failed: {error}")]
    Handshake {
        /// Why.
        error: Error,
        /// A token that the peer may be sent, where its protocol has a place for that (RFC 5801 §4).
        token: Option<Vec<u8>>,
    },
    /// A token of SPNEGO where `GSSAPI` asks for Kerberos (RFC 4752 §3.2).
    #[error(
        "the client's token is one of SPNEGO; GSSAPI is for Kerberos alone (GSS-SPNEGO would take it)"
    )]
    OtherMechanism,
    /// The choice of a security layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The header of GS2.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A message under the context was not good.
    #[error("a message is not good: {0}")]
    Message(Error),
    /// A message under the context was not the next one.
    #[error("a message is not the next one: somebody on the way has changed the exchange")]
    OutOfOrder,
    /// The peer said something where it had to be silent.
    #[error("the peer sent data where an empty message was expected")]
    Unexpected,
    /// The context lacks mutual authentication, which GS2 needs (RFC 5801 §8).
    #[error("the server did not authenticate itself")]
    NotMutual,
    /// The context is not bound to the header of GS2, so anybody could have changed that.
    #[error("the client's context is not bound to the GS2 header")]
    NotBound,
    /// `GS2-KRB5-PLUS` without a channel to bind to.
    #[error("GS2-KRB5-PLUS needs the bindings of a channel: `bindings`")]
    NoBindings,
    /// The name to act as has a NUL in it (RFC 4422 §3.4.1).
    #[error("the authorization identity must not contain a NUL")]
    Authzid,
}

impl From<gss_core::mechanism::Failure> for SaslError {
    fn from(failure: gss_core::mechanism::Failure) -> Self {
        Self::Handshake {
            error: failure.error,
            token: failure.token,
        }
    }
}

impl From<Error> for SaslError {
    fn from(error: Error) -> Self {
        Self::Handshake { error, token: None }
    }
}

/// The layers that a context can have.
fn available(context: &Context) -> Layers {
    let flags = context.facts().flags;
    let mut layers = Layers::NONE_ALONE;
    if flags.contains(Flags::INTEG) {
        layers = layers.and(Layer::Integrity);
    }
    if flags.contains(Flags::INTEG | Flags::CONF) {
        layers = layers.and(Layer::Confidentiality);
    }
    layers
}

/// What is in a message of the exchange itself, which is the next one.
fn unwrap(context: &Context, token: &[u8]) -> Result<Vec<u8>, SaslError> {
    let message = context.unwrap(token).map_err(SaslError::Message)?;
    match message.order {
        crate::Order::InOrder => Ok(message.data),
        _ => Err(SaslError::OutOfOrder),
    }
}
