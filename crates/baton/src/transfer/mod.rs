//! Handing over a live connection (rule T11): context, descriptors and bytes in one message over a Unix socket.
//!
//! The one-time key travels in the message and no once-store is shared. Which processes may get it is settled by the socket:
//!
//! - [`Channel::pair`] makes a private pair. Whoever holds the other end was given it, and [`Policy::holder`] names them; the
//!   other end may belong to another user.
//! - A [named](Channel::named) socket can be reached by many. Its receiver proves who it is at each transfer: it answers a fresh
//!   challenge with `SCM_CREDENTIALS`, which the kernel verifies at the time of sending. What the kernel says of the socket's
//!   maker (`SO_PEERCRED`) is not asked: it names whoever made the socket, at the time it was made.
//!
//! ```
//! use baton::transfer::{Channel, Sending, receive_over, send_over};
//! use std::os::fd::AsFd;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use baton::realm::DevelopmentRealm;
//! # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
//! # let env = realm.environment()?;
//! # let (client, server) = realm.contexts(&env, "alice", "HTTP/localhost")?;
//! # let (connection, _peer) = std::os::unix::net::UnixStream::pair()?;
//! let (here, there) = Channel::pair()?; // `there` is given to another process
//! let sending = Sending { descriptors: &[connection.as_fd()], extra: b"unsent", ..Sending::default() };
//! send_over(&here, server, &sending).map_err(|(_, error)| error)?;
//!
//! let received = receive_over(&env, &there)?;
//! assert_eq!(received.extra, b"unsent");
//! assert_eq!(received.descriptors.len(), 1);
//! let sealed = client.wrap(true, b"hello")?;
//! assert_eq!(received.context.unwrap(&sealed)?.data, b"hello");
//! # Ok(())
//! # }
//! ```

mod channel;
mod error;
mod inbox;
mod packet;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use gss_transfer::identity::Identity;
use gss_transfer::import::Importer;
use once::{Limits, OnceStore};
use wire::fields::{FieldReader, FieldWriter};
use zeroize::Zeroizing;

pub use channel::{Channel, MAX_DESCRIPTORS, MAX_MESSAGE};
pub use error::CarryError;
pub use gss_transfer::Carrier;
pub use gss_transfer::policy::Policy;

use crate::context::{Context, ExportOptions, import_refused};
use crate::environment::Environment;
use crate::{Error, identity};
use channel::Incoming;
use inbox::Arrived;
use packet::Peer;

/// What goes along with a context, and how it is exported.
#[derive(Clone, Debug, Default)]
pub struct Sending<'a> {
    /// Open descriptors, the connection's socket first as a rule; at most [`MAX_DESCRIPTORS`].
    pub descriptors: &'a [BorrowedFd<'a>],
    /// Bytes that the receiver needs: what was read and not yet handled, for example.
    pub extra: &'a [u8],
    /// Who may take the context over. By default, whoever holds the other end of a private pair; over a named socket as
    /// the configuration says.
    pub policy: Option<Policy>,
    /// How long the message is good.
    pub lifetime: Option<Duration>,
}

/// A context that was handed over, and what came along.
#[derive(Debug)]
pub struct Received {
    /// The context.
    pub context: Context,
    /// The descriptors, in the order in which they were sent, all close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// The bytes.
    pub extra: Vec<u8>,
}

/// A message without a context, for whatever two processes have to tell each other over the same channel.
#[derive(Debug)]
pub struct Note {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The descriptors.
    pub descriptors: Vec<OwnedFd>,
    /// The effective user whose process sent it, as the kernel says; known on a [named](Channel::named) socket. Anybody may
    /// send a note: whoever acts on one looks here first.
    pub from: Option<u32>,
}

/// What [`Channel::receive`] found.
#[derive(Debug)]
pub enum Arrival {
    /// A context.
    Context(Box<Received>),
    /// A message without one.
    Note(Note),
    /// Nothing yet; only on a channel that does not block.
    Nothing,
    /// The other end is closed, and will send nothing more.
    Closed,
}

/// Hands `context` over, with whatever `sending` adds, to the receiver at the other end of `channel`.
///
/// The receiver can take it over from the moment the last byte is sent, which is when this returns; before that it
/// cannot, and a failure gives the context back as it was. What was sent is the receiver's, also while it waits in the socket:
/// a program that must know that it was taken over has the receiver say so in a [note](Channel::send_note).
///
/// On a channel that does not block, a full socket is the failure [`CarryError::WouldBlock`], and nothing was sent. A message
/// that was begun is finished on any channel, waiting for a few seconds if the other end does not read; if it cannot be, the
/// channel is of no further use.
///
/// On a [named](Channel::named) channel this asks the other end first, and waits for the answer for a few seconds. Both ends
/// may do so at once: messages that come meanwhile are kept, and [`Channel::receive`] gives them. A program that waits
/// with `poll` asks it after each call of this, because the socket does not show them any more.
pub fn send_over(
    channel: &Channel,
    context: Context,
    sending: &Sending<'_>,
) -> Result<(), (Context, Error)> {
    match try_send(channel, &context, sending) {
        Ok(()) => {
            context.leave();
            Ok(())
        }
        Err(Cause::Transfer(error)) => Err(context.export_refused(error)),
        Err(Cause::Carry(error)) => Err(context.send_failed(error.into())),
    }
}

/// Waits for the next context that comes over `channel`. Notes before it are an error; a program that uses both asks
/// [`Channel::receive`].
pub fn receive_over(env: &Environment, channel: &Channel) -> Result<Received, Error> {
    match channel.receive(env)? {
        Arrival::Context(received) => Ok(*received),
        Arrival::Note(_) => Err(CarryError::Unexpected.into()),
        Arrival::Nothing => Err(CarryError::WouldBlock.into()),
        Arrival::Closed => Err(CarryError::Closed.into()),
    }
}

impl Channel {
    /// Sends a message without a context.
    pub fn send_note(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let mut body = Vec::with_capacity(bytes.len() + HEADROOM);
        let mut fields = FieldWriter::new(&mut body, VERSION);
        fields
            .bytes(EXTRA, bytes)
            .number(DESCRIPTORS, descriptors.len() as u64);
        Ok(self.send(&body, descriptors)?)
    }

    /// The next message: waits for it unless the channel does not block.
    ///
    /// An altered message, or one that is not for us, is an error, and the one after it can still be received.
    pub fn receive(&self, env: &Environment) -> Result<Arrival, Error> {
        let Arrived {
            body,
            descriptors,
            from,
        } = match self.next()? {
            Incoming::Message(arrived) => arrived,
            Incoming::Nothing => return Ok(Arrival::Nothing),
            Incoming::Closed => return Ok(Arrival::Closed),
        };
        let message = Message::read(&body, descriptors.len())?;
        let extra = message.extra.to_vec();
        match message.transfer {
            None => Ok(Arrival::Note(Note {
                bytes: extra,
                descriptors,
                from: from.map(|peer| peer.user),
            })),
            Some((token, deposit)) => {
                self.check_sender(from)?;
                let context = self
                    .import(env, token, deposit)
                    .map_err(|error| import_refused(env, error))?;
                Ok(Arrival::Context(Box::new(Received {
                    context,
                    descriptors,
                    extra,
                })))
            }
        }
    }

    /// Puts the deposit into a store of our own and takes it from there: one way in for both carriers.
    fn import(
        &self,
        env: &Environment,
        token: &[u8],
        deposit: &[u8],
    ) -> Result<Context, gss_transfer::Error> {
        if !env.config().transfer.enabled {
            return Err(gss_transfer::Error::SwitchedOff);
        }
        let limits = Limits {
            marks: 1,
            mark_segments: 1,
            deposits: 1,
            ..Limits::default()
        };
        let store = OnceStore::memory_with(&limits, Arc::clone(env.clock()));
        let carrier = self.carrier();
        Importer {
            store: &store,
            carrier,
            identify: &identity::of_this_process,
            now: env.now(),
            mechanisms: &env.mechanisms(),
        }
        .receive(token, deposit)
        // The one-time key was looked at; an import does this itself.
        .inspect_err(|_| crate::stack::wipe())?;
        Context::import_from(env, &store, carrier, token)
    }
}

enum Cause {
    Transfer(gss_transfer::Error),
    Carry(CarryError),
}

fn try_send(channel: &Channel, context: &Context, sending: &Sending<'_>) -> Result<(), Cause> {
    if sending.descriptors.len() > MAX_DESCRIPTORS {
        return Err(Cause::Carry(CarryError::TooManyDescriptors));
    }
    let carrier = channel.carrier();
    let policy = sending.policy.clone().or_else(|| match carrier {
        Carrier::PrivateSocket => Some(Policy::holder()),
        _ => None,
    });
    let options = ExportOptions {
        policy,
        lifetime: sending.lifetime,
        half_open: None,
    };
    if carrier == Carrier::NamedSocket {
        prove(channel, context, &options)?;
    }
    let (leaving, sealed) = context.seal(&options, carrier).map_err(Cause::Transfer)?;
    let (token, deposit) = sealed.into_parts();
    let room = token.len() + deposit.len() + sending.extra.len() + HEADROOM;
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    FieldWriter::new(&mut body, VERSION)
        .bytes(TOKEN, &token)
        .bytes(DEPOSIT, &deposit)
        .bytes(EXTRA, sending.extra)
        .number(DESCRIPTORS, sending.descriptors.len() as u64);
    channel
        .send(&body, sending.descriptors)
        .map_err(Cause::Carry)?;
    leaving.gone();
    Ok(())
}

/// The receiver at the other end of a named socket shows who it is, now, and whether the policy names it. The policy's bounds
/// it checks itself, as it would for a token.
fn prove(channel: &Channel, context: &Context, options: &ExportOptions) -> Result<(), Cause> {
    let terms = context.terms(options).map_err(Cause::Transfer)?;
    let random = context.environment().random();
    let Peer { user, group } = channel.challenge(random).map_err(Cause::Carry)?;
    let peer = Identity {
        user,
        groups: vec![group],
        ..Identity::default()
    };
    terms
        .names(&peer, Carrier::NamedSocket)
        .map_err(|refusal| Cause::Transfer(gss_transfer::Error::Refused(refusal)))
}

const VERSION: u8 = 1;
const TOKEN: u8 = 1;
const DEPOSIT: u8 = 2;
const EXTRA: u8 = 3;
const DESCRIPTORS: u8 = 4;
/// More than the fields' numbers and lengths.
const HEADROOM: usize = 64;

/// A message as it was sent.
struct Message<'a> {
    transfer: Option<(&'a [u8], &'a [u8])>,
    extra: &'a [u8],
}

impl<'a> Message<'a> {
    fn read(body: &'a [u8], descriptors: usize) -> Result<Self, CarryError> {
        let mut fields = FieldReader::new(body, VERSION)?;
        let transfer = match fields.optional(TOKEN)? {
            Some(token) => Some((token, fields.bytes(DEPOSIT)?)),
            None => None,
        };
        let extra = fields.bytes(EXTRA)?;
        let sent = fields.number(DESCRIPTORS)?;
        fields.finish()?;
        if sent != descriptors as u64 {
            return Err(CarryError::DescriptorsLost);
        }
        Ok(Self { transfer, extra })
    }
}
