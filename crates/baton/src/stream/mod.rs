//! Streams over a context: what is written is wrapped, what is read was verified, decrypted and in order.
//!
//! [`initiate`] and [`accept`] do the handshake over the transport (a socket, mostly) and give a [`SecureStream`], which is
//! [`Read`](std::io::Read) and [`Write`](std::io::Write); where a context is there already, [`SecureStream::new`] takes it.
//! With the feature `tokio` the module `asynchronous` has the same for tasks.
//!
//! On the wire is a frame a token: its length in 4 bytes, the most significant first, as `knc` and `baton serve` have it and as
//! SASL's security layers do (RFC 4422 §3.7). Between two frames nothing is buffered here, so that context and socket can be
//! [taken out](SecureStream::into_parts) again, and handed on.
//!
//! # What a stream insists on
//!
//! - Each message is the next one. One that is missing, repeated or late ends the stream with an error: order is information to
//!   a program that sees messages (RFC 2743 §1.2.3), but to one that sees a stream of bytes it is damage.
//! - Each message is encrypted, unless [`StreamOptions::integrity_only`] says otherwise.
//! - The end is authentic: [`SecureStream::finish`] sends an empty message, and a transport that ends without one was cut off.
//!   [`StreamOptions::end_by_close`] is for peers that just close, such as `knc`.
//!
//! ```
//! use std::io::{Read, Write};
//! use baton::stream::{self, StreamOptions};
//! use baton::{Acceptor, Initiator, Name};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use baton::realm::DevelopmentRealm;
//! # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("host/localhost").start()?;
//! # let env = realm.environment()?;
//! # let (alice, service) = (realm.credential(&env, "alice")?, realm.acceptor(&env)?);
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # let server_env = env.clone();
//! # let server = std::thread::spawn(move || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let env = server_env;
//! let (socket, _) = listener.accept()?;
//! let mut stream = stream::accept(socket, Acceptor::new(&env, &service), StreamOptions::default())?;
//! println!("{} is here", stream.context().facts().initiator);
//! stream.write_all(b"welcome")?;
//! stream.finish()?;
//! # Ok(())
//! # });
//!
//! // and the client:
//! let socket = std::net::TcpStream::connect(address)?;
//! let name = Name::hostbased_service("host@localhost");
//! let mut stream = stream::initiate(socket, Initiator::new(&env, &alice, &name), StreamOptions::default())?;
//! let mut text = String::new();
//! stream.read_to_string(&mut text)?;
//! assert_eq!(text, "welcome");
//! # server.join().unwrap().map_err(|error| error.to_string())?;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "tokio")]
pub mod asynchronous;
mod blocking;
mod frames;
mod handshake;

use std::io;

use gss_core::error::Error;
use gss_core::flags::Flags;
use gss_core::sequence::Order;

use crate::Context;

pub use blocking::{SecureReader, SecureStream, SecureWriter, accept, initiate};
pub use handshake::MAX_HANDSHAKE_TOKEN;

/// How a stream is framed, protected and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    max_frame: usize,
    max_sent_frame: u32,
    max_message: usize,
    confidential: bool,
    close_is_end: bool,
}

impl Default for StreamOptions {
    /// Frames of up to 1 MiB are read, and such of at most 64 KiB of plaintext are written, as `baton serve` and both dialects
    /// of `knc` have it.
    fn default() -> Self {
        Self {
            max_frame: 1 << 20,
            max_sent_frame: 66_048,
            max_message: 64 * 1024,
            confidential: true,
            close_is_end: false,
        }
    }
}

impl StreamOptions {
    /// Refuses a peer's frame of more than `bytes` by its header alone.
    #[must_use]
    pub const fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Writes no frame of more than `bytes`, which is what the peer takes (RFC 4752 §3.1).
    #[must_use]
    pub const fn max_sent_frame(mut self, bytes: u32) -> Self {
        self.max_sent_frame = bytes;
        self
    }

    /// Integrity without confidentiality: messages can be read by anybody on the way, and changed by nobody.
    #[must_use]
    pub const fn integrity_only(mut self) -> Self {
        self.confidential = false;
        self
    }

    /// A transport that ends between two frames is the end, and [`finish`](SecureStream::finish) sends nothing. Nobody authenticates such an
    /// end: whoever is on the way can cut a stream off between two messages.
    #[must_use]
    pub const fn end_by_close(mut self) -> Self {
        self.close_is_end = true;
        self
    }

    /// Whether `context` can carry such a stream.
    fn suits(&self, context: &Context) -> Result<(), StreamError> {
        let wanted = Flags::SEQUENCE | Flags::INTEG | Flags::CONF.when(self.confidential);
        if context.facts().flags.contains(wanted) {
            Ok(())
        } else {
            Err(StreamError::Unsuitable)
        }
    }
}

/// Why a stream ended, or did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The transport.
    #[error("the transport failed")]
    Io(#[source] io::Error),
    /// The handshake was refused, here or, as its text says, by the peer.
    #[error("the handshake failed: {0}")]
    Handshake(Error),
    /// The peer closed in the middle of the handshake. A peer that refuses without a reason does just that.
    #[error("the peer closed the connection within the handshake: its log may say why")]
    ClosedInHandshake,
    /// The handshake goes on and on.
    #[error("the handshake did not end within {0} steps")]
    EndlessHandshake(usize),
    /// The context has no sequence detection, or no confidentiality where it is needed.
    #[error(
        "the context cannot carry a stream: ask for SEQUENCE, INTEG and (unless integrity_only) CONF"
    )]
    Unsuitable,
    /// A message could not be wrapped or unwrapped.
    #[error("a message is not good: {0}")]
    Message(Error),
    /// A message that is not the next one.
    #[error("a message is out of order ({0:?}): one was lost, repeated or held back on its way")]
    OutOfOrder(Order),
    /// A message that is not encrypted.
    #[error("a message came unencrypted")]
    NotConfidential,
    /// A frame that is longer than the limit.
    #[error("a frame of {length} bytes is longer than the {limit} that are taken")]
    TooLong {
        /// What its header says.
        length: usize,
        /// What is taken.
        limit: usize,
    },
    /// A frame without a token.
    #[error("a frame is empty")]
    EmptyFrame,
    /// The transport ended within a frame, or before the message that ends the stream.
    #[error(
        "the stream was cut off: the transport ended without the peer's word that this is the end"
    )]
    CutOff,
    /// What the peer takes is less than any token needs.
    #[error("the peer takes frames of {0} bytes, which no message fits into")]
    NoRoom(u32),
    /// Something was written after the end.
    #[error("the stream has been finished: nothing can be written any more")]
    Finished,
    /// The stream ended with an error before.
    #[error("the stream ended with an error before")]
    Broken,
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match &error {
            StreamError::Io(cause) => cause.kind(),
            StreamError::ClosedInHandshake | StreamError::CutOff => io::ErrorKind::UnexpectedEof,
            StreamError::Finished | StreamError::Broken => io::ErrorKind::BrokenPipe,
            StreamError::Unsuitable | StreamError::NoRoom(_) => io::ErrorKind::InvalidInput,
            StreamError::Handshake(_)
            | StreamError::EndlessHandshake(_)
            | StreamError::Message(_)
            | StreamError::OutOfOrder(_)
            | StreamError::NotConfidential
            | StreamError::TooLong { .. }
            | StreamError::EmptyFrame => io::ErrorKind::InvalidData,
        };
        match error {
            StreamError::Io(cause) => cause,
            error => Self::new(kind, error),
        }
    }
}
