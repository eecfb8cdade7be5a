//! One conversation: messages from the client unwrapped to the service, and the service's data wrapped to the client.
//!
//! Nothing here waits. Each side's readiness is remembered, because the poll reports a change once; a direction that cannot
//! write does not read, so what is buffered is bounded by one frame a direction. A conversation at rest holds no buffer at all:
//! work is done in the worker's [`Scratch`].

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::knc::{self, DataAfterEnd, FrameError, Incoming, MAX_PLAINTEXT, Meaning};

/// How long a finished conversation waits for the client to close: a close with bytes unread would destroy the last
/// ones on their way to it.
pub(crate) const LINGER: Duration = Duration::from_secs(5);
/// How many reads a direction gets before others have their turn.
const TURN: usize = 8;
/// How much is read from the client at once.
const READ: usize = 128 * 1024;

/// Protects messages: a security context, or in tests none.
pub(crate) trait Protection {
    /// Appends the token of `message` to `out`.
    fn wrap(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), String>;
    /// Appends the message of `token` to `out`; the message came encrypted and in order.
    fn unwrap(&self, token: &[u8], out: &mut Vec<u8>) -> Result<(), String>;
}

/// A connected stream socket that never blocks.
pub(crate) trait Socket: Read + Write {
    /// Ends one direction.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    /// Whether a reset is the ordinary end: a local process that exits with input unread resets its socket.
    fn reset_is_end(&self) -> bool;
}

/// Why a conversation was broken off.
#[derive(Debug, Error)]
pub(crate) enum Broken {
    #[error("the client's message: {0}")]
    Frame(#[from] FrameError),
    #[error("the client's message: {0}")]
    AfterEnd(#[from] DataAfterEnd),
    #[error("the client's message: {0}")]
    Unwrap(String),
    #[error("wrapping: {0}")]
    Wrap(String),
    #[error("the client's connection: {0}")]
    Client(io::Error),
    #[error("the service's connection: {0}")]
    Service(io::Error),
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing more can be done until a socket is ready.
    Waits,
    /// More could be done, and others wait for their turn.
    Yields,
    /// Both directions have ended.
    Ended,
}

/// Buffers that all conversations of a worker share.
pub(crate) struct Scratch {
    read: Box<[u8]>,
    frames: Vec<u8>,
    message: Vec<u8>,
    out: Vec<u8>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            read: vec![0; READ].into(),
            frames: Vec::new(),
            message: Vec::new(),
            out: Vec::new(),
        }
    }
}

/// What travels when a conversation changes its worker, beside the context and the two sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Bytes from the client that are no whole frame, or none looked at.
    pub(crate) frames: Vec<u8>,
    /// A message's bytes that the service has not taken.
    pub(crate) to_service: Vec<u8>,
    /// Frames' bytes that the client has not taken.
    pub(crate) to_client: Vec<u8>,
    /// The messages so far.
    pub(crate) incoming: Incoming,
    /// The client's connection has ended in this direction.
    pub(crate) client_closed: bool,
    /// The service has been told the end.
    pub(crate) inbound_ended: bool,
    /// The service has ended.
    pub(crate) service_closed: bool,
    /// The client, a `libknc`, has been sent the command that says so.
    pub(crate) end_command_sent: bool,
    /// The client has been told the end.
    pub(crate) outbound_ended: bool,
    /// Bytes of data to the service and to the client so far.
    pub(crate) counts: [u64; 2],
}

/// Bytes that were not taken yet.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    from: usize,
}

enum Flush {
    Done,
    Blocked,
    Failed(io::Error),
}

impl Unsent {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    /// Writes what is left; what is done with costs no memory.
    fn flush(&mut self, to: &mut impl Write) -> Flush {
        while self.from < self.bytes.len() {
            match to.write(&self.bytes[self.from..]) {
                Ok(0) => return Flush::Failed(ErrorKind::WriteZero.into()),
                Ok(count) => self.from += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Flush::Blocked,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Flush::Failed(error),
            }
        }
        *self = Self::default();
        Flush::Done
    }

    /// Writes `bytes`, after whatever is left; keeps what is not taken.
    fn send(&mut self, bytes: &[u8], to: &mut impl Write) -> Flush {
        debug_assert!(self.rest().is_empty(), "sent before the rest was taken");
        let mut at = 0;
        while at < bytes.len() {
            match to.write(&bytes[at..]) {
                Ok(0) => return Flush::Failed(ErrorKind::WriteZero.into()),
                Ok(count) => at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.bytes = bytes[at..].to_vec();
                    self.from = 0;
                    return Flush::Blocked;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Flush::Failed(error),
            }
        }
        Flush::Done
    }
}

/// What the poll said of a socket and no call has contradicted since.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Ready {
    const UNKNOWN: Self = Self {
        read: true,
        write: true,
    };

    /// Adds what an event says.
    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        self.read |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.write |= event.is_writable() || event.is_write_closed() || event.is_error();
    }
}

/// A conversation.
pub(crate) struct Relay<P, C, S> {
    pub(crate) protection: P,
    pub(crate) client: C,
    pub(crate) service: S,
    pub(crate) client_ready: Ready,
    pub(crate) service_ready: Ready,
    max_token: usize,
    frames: Vec<u8>,
    to_service: Unsent,
    to_client: Unsent,
    incoming: Incoming,
    client_closed: bool,
    inbound_ended: bool,
    service_closed: bool,
    end_command_sent: bool,
    outbound_ended: bool,
    lingers_until: Option<Instant>,
    counts: [u64; 2],
}

impl<P: Protection, C: Socket, S: Socket> Relay<P, C, S> {
    /// Begins, or goes on where another worker left off.
    pub(crate) fn new(
        protection: P,
        client: C,
        service: S,
        max_token: usize,
        carried: Carried,
    ) -> Self {
        Self {
            protection,
            client,
            service,
            client_ready: Ready::UNKNOWN,
            service_ready: Ready::UNKNOWN,
            max_token,
            frames: carried.frames,
            to_service: Unsent {
                bytes: carried.to_service,
                from: 0,
            },
            to_client: Unsent {
                bytes: carried.to_client,
                from: 0,
            },
            incoming: carried.incoming,
            client_closed: carried.client_closed,
            inbound_ended: carried.inbound_ended,
            service_closed: carried.service_closed,
            end_command_sent: carried.end_command_sent,
            outbound_ended: carried.outbound_ended,
            lingers_until: None,
            counts: carried.counts,
        }
    }

    /// What another worker needs to go on.
    pub(crate) fn carried(&self) -> Carried {
        Carried {
            frames: self.frames.clone(),
            to_service: self.to_service.rest().to_vec(),
            to_client: self.to_client.rest().to_vec(),
            incoming: self.incoming,
            client_closed: self.client_closed,
            inbound_ended: self.inbound_ended,
            service_closed: self.service_closed,
            end_command_sent: self.end_command_sent,
            outbound_ended: self.outbound_ended,
            counts: self.counts,
        }
    }

    /// Bytes of data to the service and to the client so far.
    pub(crate) fn counts(&self) -> [u64; 2] {
        self.counts
    }

    /// When it is over whatever the client does, if both directions have ended.
    pub(crate) fn lingers_until(&self) -> Option<Instant> {
        self.lingers_until
    }

    /// Moves what can be moved in both directions.
    pub(crate) fn turn(&mut self, scratch: &mut Scratch) -> Result<Turn, Broken> {
        let outbound = self.outbound(scratch)?;
        let inbound = self.inbound(scratch)?;
        // What came in may have ended the way out.
        let outbound = match outbound {
            Turn::Waits => self.outbound(scratch)?,
            _ => outbound,
        };
        if self.inbound_ended && self.outbound_ended {
            self.lingers_until
                .get_or_insert_with(|| Instant::now() + LINGER);
            if self.client_closed {
                return Ok(Turn::Ended);
            }
        }
        let yields = inbound == Turn::Yields || outbound == Turn::Yields;
        Ok(if yields { Turn::Yields } else { Turn::Waits })
    }

    /// From the client to the service.
    fn inbound(&mut self, scratch: &mut Scratch) -> Result<Turn, Broken> {
        let mut frames = match self.frames.is_empty() {
            true => mem::take(&mut scratch.frames),
            false => mem::take(&mut self.frames),
        };
        let mut at = 0;
        let result = self.inbound_frames(&mut frames, &mut at, scratch);
        if at == frames.len() {
            frames.clear();
        } else if at > 0 || frames.capacity() > 2 * frames.len() {
            self.frames = frames[at..].to_vec();
            frames.clear();
        } else {
            self.frames = mem::take(&mut frames);
        }
        if frames.capacity() > scratch.frames.capacity() {
            scratch.frames = frames;
        }
        result
    }

    fn inbound_frames(
        &mut self,
        frames: &mut Vec<u8>,
        at: &mut usize,
        scratch: &mut Scratch,
    ) -> Result<Turn, Broken> {
        for _ in 0..TURN {
            while self.flush_to_service()? {
                let next = knc::first_token(&frames[*at..], self.max_token)?;
                let Some((token, used)) = next else { break };
                scratch.message.clear();
                self.protection
                    .unwrap(token, &mut scratch.message)
                    .map_err(Broken::Unwrap)?;
                *at += used;
                self.message(&scratch.message)?;
            }
            if !self.to_service.rest().is_empty() {
                return Ok(Turn::Waits);
            }
            frames.drain(..*at);
            *at = 0;
            if self.client_closed {
                self.end_inbound(frames)?;
                return Ok(Turn::Waits);
            }
            if !self.client_ready.read || !self.read_client(frames, scratch)? {
                return Ok(Turn::Waits);
            }
        }
        Ok(Turn::Yields)
    }

    fn message(&mut self, message: &[u8]) -> Result<(), Broken> {
        let meaning = self.incoming.message(message)?;
        match meaning {
            Meaning::Data if self.inbound_ended => {}
            Meaning::Data => {
                self.counts[0] += message.len() as u64;
                let flush = self.to_service.send(message, &mut self.service);
                self.service_flushed(flush)?;
            }
            Meaning::Nothing => {}
            Meaning::Finished => self.tell_service_end(),
            Meaning::StopsReading => self.stop_reading_service(),
            Meaning::Both => {
                self.tell_service_end();
                self.stop_reading_service();
            }
        }
        Ok(())
    }

    /// Whether nothing is left that the service has not taken.
    fn flush_to_service(&mut self) -> Result<bool, Broken> {
        if self.to_service.rest().is_empty() {
            return Ok(true);
        }
        if !self.service_ready.write {
            return Ok(false);
        }
        let flush = self.to_service.flush(&mut self.service);
        self.service_flushed(flush)?;
        Ok(self.to_service.rest().is_empty())
    }

    fn service_flushed(&mut self, flush: Flush) -> Result<(), Broken> {
        match flush {
            Flush::Done => {}
            Flush::Blocked => self.service_ready.write = false,
            // The service reads no more; what it still says goes on to the client.
            Flush::Failed(error) if reads_no_more(&error) => {
                self.to_service = Unsent::default();
                self.inbound_ended = true;
            }
            Flush::Failed(error) => return Err(Broken::Service(error)),
        }
        Ok(())
    }

    /// Whether bytes arrived, or the end.
    fn read_client(&mut self, frames: &mut Vec<u8>, scratch: &mut Scratch) -> Result<bool, Broken> {
        match self.client.read(&mut scratch.read) {
            Ok(0) => self.client_closed = true,
            Ok(_) if self.inbound_ended && self.outbound_ended => {}
            Ok(count) => frames.extend_from_slice(&scratch.read[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.client_ready.read = false;
                return Ok(false);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Nothing was left to be said.
            Err(_) if self.inbound_ended && self.outbound_ended => self.client_closed = true,
            Err(error) => return Err(Broken::Client(error)),
        }
        Ok(true)
    }

    fn end_inbound(&mut self, frames: &mut Vec<u8>) -> Result<(), Broken> {
        if self.inbound_ended {
            frames.clear();
        } else {
            self.incoming.half_close(frames.len())?;
            self.tell_service_end();
        }
        Ok(())
    }

    fn tell_service_end(&mut self) {
        if !self.inbound_ended {
            self.inbound_ended = true;
            // A service that has gone already needs no telling.
            let _ = self.service.shutdown(Shutdown::Write);
        }
    }

    fn stop_reading_service(&mut self) {
        if !self.service_closed {
            self.service_closed = true;
            let _ = self.service.shutdown(Shutdown::Read);
        }
    }

    /// From the service to the client.
    fn outbound(&mut self, scratch: &mut Scratch) -> Result<Turn, Broken> {
        for _ in 0..TURN {
            if !self.flush_to_client()? || self.outbound_ended {
                return Ok(Turn::Waits);
            }
            if self.service_closed {
                self.tell_client_end(scratch)?;
                continue;
            }
            if !self.service_ready.read {
                return Ok(Turn::Waits);
            }
            match self.service.read(&mut scratch.read[..MAX_PLAINTEXT]) {
                Ok(0) => self.service_closed = true,
                Ok(count) => {
                    self.counts[1] += count as u64;
                    scratch.out.clear();
                    self.put_message(&scratch.read[..count], &mut scratch.out)?;
                    self.send_to_client(&scratch.out)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.service_ready.read = false;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_reset(&error) && self.service.reset_is_end() => {
                    self.service_closed = true;
                }
                Err(error) => return Err(Broken::Service(error)),
            }
        }
        Ok(Turn::Yields)
    }

    fn put_message(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        knc::put_frame(out, |out| self.protection.wrap(message, out)).map_err(Broken::Wrap)
    }

    fn tell_client_end(&mut self, scratch: &mut Scratch) -> Result<(), Broken> {
        scratch.out.clear();
        if self.incoming.commands && !mem::replace(&mut self.end_command_sent, true) {
            for message in knc::END_COMMAND {
                self.put_message(message, &mut scratch.out)?;
            }
            self.send_to_client(&scratch.out)?;
        }
        if self.to_client.rest().is_empty() {
            self.outbound_ended = true;
            // The client may have gone; the way in will tell.
            let _ = self.client.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    fn send_to_client(&mut self, frame: &[u8]) -> Result<(), Broken> {
        match self.to_client.send(frame, &mut self.client) {
            Flush::Done => Ok(()),
            Flush::Blocked => {
                self.client_ready.write = false;
                Ok(())
            }
            Flush::Failed(error) => Err(Broken::Client(error)),
        }
    }

    /// Whether nothing is left that the client has not taken.
    fn flush_to_client(&mut self) -> Result<bool, Broken> {
        if self.to_client.rest().is_empty() {
            return Ok(true);
        }
        if !self.client_ready.write {
            return Ok(false);
        }
        match self.to_client.flush(&mut self.client) {
            Flush::Done => Ok(true),
            Flush::Blocked => {
                self.client_ready.write = false;
                Ok(false)
            }
            Flush::Failed(error) => Err(Broken::Client(error)),
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

fn reads_no_more(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe || is_reset(error)
}

#[cfg(test)]
mod tests;
