//! A client's handshake: from the first byte until its context is established, or not.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use baton::{Acceptor, Context, Credential, Environment, Flags, Handshake, Step};
use mio::net::TcpStream;
use thiserror::Error;

use super::authorise::Authorisation;
use crate::knc::{self, FrameError, MAX_HANDSHAKE_TOKEN};

/// How much is read at once. What is read beyond the handshake travels with the connection, in one packet with its context.
const READ: usize = 8 * 1024;

/// What a conversation has to have: without sequence detection a message could be left out or come twice.
pub(crate) const REQUIRED: [(Flags, &str); 4] = [
    (Flags::MUTUAL, "mutual authentication"),
    (Flags::SEQUENCE, "sequence detection"),
    (Flags::INTEG, "integrity"),
    (Flags::CONF, "confidentiality"),
];

/// Why a client is not served.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("it closed the connection {0}")]
    Closed(&'static str),
    #[error("its connection failed: {0}")]
    Connection(#[from] io::Error),
    #[error("{0}")]
    Handshake(baton::Error),
    #[error("{name} did not ask for {missing}")]
    Flags { name: String, missing: &'static str },
    #[error("{0} is not allowed")]
    NotAllowed(String),
    #[error("its handshake took too long")]
    TooLong,
    #[error("newer handshakes need its place")]
    PushedOut,
    #[error("no worker takes it")]
    NoWorker,
    #[error("{name} cannot be handed to a worker: {error}")]
    NotHandedOver { name: String, error: baton::Error },
}

/// What an acceptor needs.
pub(crate) struct Service {
    pub(crate) env: Environment,
    pub(crate) credential: Credential,
    pub(crate) authorisation: Authorisation,
}

/// A connection whose handshake is not over.
pub(crate) struct Greeting {
    pub(crate) socket: TcpStream,
    pub(crate) address: SocketAddr,
    pub(crate) deadline: Instant,
    received: Vec<u8>,
    unsent: Vec<u8>,
    stage: Stage,
}

enum Stage {
    Begins,
    GoesOn(Handshake),
    Established(Context),
    /// Between two others.
    Over,
}

/// A connection that a worker can carry.
pub(crate) struct Established {
    pub(crate) socket: TcpStream,
    pub(crate) address: SocketAddr,
    pub(crate) deadline: Instant,
    pub(crate) context: Context,
    /// What the client has said after its handshake.
    pub(crate) received: Vec<u8>,
}

/// How far it came.
pub(crate) enum Outcome {
    Waits(Greeting),
    Established(Established),
    Refused(Refusal),
}

impl Greeting {
    pub(crate) fn new(socket: TcpStream, address: SocketAddr, deadline: Instant) -> Self {
        Self {
            socket,
            address,
            deadline,
            received: Vec::new(),
            unsent: Vec::new(),
            stage: Stage::Begins,
        }
    }

    /// Goes on as far as what has arrived allows.
    pub(crate) fn go_on(mut self, service: &Service) -> Outcome {
        match self.try_go_on(service) {
            Ok(false) => Outcome::Waits(self),
            Ok(true) => match self.stage {
                Stage::Established(context) => Outcome::Established(Established {
                    socket: self.socket,
                    address: self.address,
                    deadline: self.deadline,
                    context,
                    received: self.received,
                }),
                _ => Outcome::Refused(Refusal::NoWorker),
            },
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// Whether the context is established and the client has been told.
    fn try_go_on(&mut self, service: &Service) -> Result<bool, Refusal> {
        loop {
            if !self.flush()? {
                return Ok(false);
            }
            if matches!(self.stage, Stage::Established(_)) {
                return Ok(true);
            }
            let first = knc::first_token(&self.received, MAX_HANDSHAKE_TOKEN)?;
            if let Some((token, used)) = first {
                let token = token.to_vec();
                self.received.drain(..used);
                self.step(&token, service)?;
            } else if !self.read()? {
                return Ok(false);
            }
        }
    }

    /// One step of the handshake, with the client's token.
    fn step(&mut self, token: &[u8], service: &Service) -> Result<(), Refusal> {
        let step = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::GoesOn(handshake) => handshake.step(token),
            _ => Acceptor::new(&service.env, &service.credential).step(token),
        };
        let answer = match step {
            Ok(Step::Continue { token, next }) => {
                self.stage = Stage::GoesOn(next);
                Some(token)
            }
            Ok(Step::Done { token, context }) => {
                // Before the client is told that it is served.
                self.stage = Stage::Established(check(context, &service.authorisation)?);
                token
            }
            Err(failure) => {
                // The client may learn why; if it does not listen, that is its affair.
                if let Some(token) = failure.token {
                    let _ = self.socket.write(&knc::frame(&token));
                    let _ = self.socket.shutdown(Shutdown::Write);
                }
                return Err(Refusal::Handshake(failure.error));
            }
        };
        if let Some(token) = answer {
            self.unsent.extend(knc::frame(&token));
        }
        Ok(())
    }

    /// Whether something arrived.
    fn read(&mut self) -> Result<bool, Refusal> {
        let mut buffer = [0; READ];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(self.closed()),
                Ok(count) => {
                    self.received.extend_from_slice(&buffer[..count]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn closed(&self) -> Refusal {
        match (&self.stage, self.received.is_empty()) {
            (_, false) => Refusal::Frame(FrameError::Cut),
            (Stage::Begins, true) => Refusal::Closed("before it said anything"),
            (_, true) => Refusal::Closed("before its handshake was over"),
        }
    }

    /// Whether everything is sent.
    fn flush(&mut self) -> Result<bool, Refusal> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

/// A context that a conversation may use, of a client that is admitted.
fn check(context: Context, authorisation: &Authorisation) -> Result<Context, Refusal> {
    let facts = context.facts();
    let name = facts.initiator.to_string();
    for (flag, missing) in REQUIRED {
        if !facts.flags.contains(flag) {
            return Err(Refusal::Flags { name, missing });
        }
    }
    match authorisation.admits(&name) {
        true => Ok(context),
        false => Err(Refusal::NotAllowed(name)),
    }
}
