//! An old worker hands its conversations over to a new one, one after another.
//!
//! The new worker speaks first: which versions of the state it reads. Each conversation is one message, and the old worker
//! keeps its sockets until the new one has said that it has them.

use baton::transfer::{Arrival, Channel};
use baton::{Environment, Error};

use crate::control::{VERSIONS, Versions};

/// The old worker's side.
pub(crate) struct Giving {
    pub(crate) channel: Channel,
    /// The new worker has said that it reads our version.
    pub(crate) agreed: bool,
    /// What the new worker has not confirmed yet; held so that nothing is closed before.
    pub(crate) unconfirmed: Option<Held>,
    /// Slots below this one have been looked at.
    pub(crate) at: usize,
    pub(crate) given: u32,
    pub(crate) kept: u32,
}

/// A conversation whose context is on its way.
pub(crate) struct Held {
    pub(crate) _socket: mio::net::TcpStream,
    pub(crate) _service: Option<super::service::Service>,
    pub(crate) label: String,
}

/// What the new worker said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It reads these versions.
    Reads(Versions),
    /// It has the last one.
    Has,
    /// It could not use the last one.
    Lost,
    /// Nothing yet.
    Nothing,
    /// It has gone, or speaks nonsense.
    Gone,
}

impl Giving {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            channel,
            agreed: false,
            unconfirmed: None,
            at: 0,
            given: 0,
            kept: 0,
        }
    }

    /// What the new worker answered.
    pub(crate) fn answer(&self, env: &Environment) -> Answer {
        match self.channel.receive(env) {
            Ok(Arrival::Note(note)) => match note.bytes[..] {
                [b'V', oldest, newest] => Answer::Reads(Versions { oldest, newest }),
                [b'A'] => Answer::Has,
                [b'N'] => Answer::Lost,
                _ => Answer::Gone,
            },
            Ok(Arrival::Nothing) => Answer::Nothing,
            Ok(Arrival::Context(_) | Arrival::Closed) | Err(_) => Answer::Gone,
        }
    }
}

/// The new worker's side: says what it reads.
pub(crate) fn greet(channel: &Channel) -> Result<(), Error> {
    channel.send_note(&[b'V', VERSIONS.oldest, VERSIONS.newest], &[])
}

/// The new worker's side: says whether it has what was sent last.
pub(crate) fn confirm(channel: &Channel, has: bool) -> Result<(), Error> {
    channel.send_note(if has { b"A" } else { b"N" }, &[])
}
