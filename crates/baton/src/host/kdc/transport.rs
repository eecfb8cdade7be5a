//! One request to several KDCs, over datagrams and streams, under one deadline.
//!
//! KDCs are asked one after the other, each after a second of the one before being silent and at once when that one has
//! failed; those that were asked before may still answer. Nothing waits beyond the deadline.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use krb5::formats::settings::Transport;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use super::io::Io;

/// When the next step is taken while nobody answers.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// How long a KDC may be silent before the next one is asked too.
    next: Duration,
    /// After how long datagrams are sent again, once everyone was asked; doubled each time.
    again: Duration,
}

/// The times that MIT's code takes.
pub(super) const PACE: Pace = Pace {
    next: Duration::from_secs(1),
    again: Duration::from_secs(4),
};
/// The longest reply that is taken from a stream.
pub const MAX_REPLY: usize = 1 << 20;
/// The longest datagram.
const MAX_DATAGRAM: usize = 65_535;
/// How much is asked of a stream at once.
const CHUNK: usize = 16_384;

/// One KDC at one address, by one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(super) address: SocketAddr,
    pub(super) transport: Transport,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        write!(f, "{transport}/{}", self.address)
    }
}

/// A socket that something is expected of.
pub(crate) struct Waiting<'a> {
    pub(super) socket: BorrowedFd<'a>,
    pub(super) expected: Expected,
}

/// What is expected of a socket.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// A datagram.
    Datagram,
    /// A stream's next bytes.
    Bytes,
    /// Room for bytes on a stream.
    Room,
}

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the answer.
    Take,
    /// It is no answer, or says that this KDC cannot serve now.
    AskAnother,
}

/// Why nobody answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nobody can be asked that way.
    #[error("none of them can be reached by the transport that is needed")]
    NoEndpoint,
    /// The time is over; what each of those that were asked did.
    #[error("the time is over{}", Failures(.0))]
    Deadline(Vec<String>),
    /// Everyone has failed before the time was over; how each of them did.
    #[error("all have failed{}", Failures(.0))]
    AllFailed(Vec<String>),
    /// The request is longer than the framing can say.
    #[error("the request is too long to be sent")]
    TooLong,
    /// The system does not wait for sockets.
    #[error("cannot wait for replies: {0}")]
    Wait(io::Error),
}

struct Failures<'a>(&'a [String]);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = ": ";
        for failure in self.0 {
            write!(f, "{between}{failure}")?;
            between = ", ";
        }
        Ok(())
    }
}

/// Sends `request` to `endpoints` in their order until a reply is taken, or `deadline` is past; the reply and whose it is.
pub(super) async fn exchange(
    io: impl Io,
    endpoints: &[Endpoint],
    request: &[u8],
    deadline: Instant,
    pace: Pace,
    judge: &(dyn Fn(&[u8]) -> Verdict + Sync),
) -> Result<(Vec<u8>, Endpoint), TransportError> {
    if endpoints.is_empty() {
        return Err(TransportError::NoEndpoint);
    }
    let mut asking = Asking::new(endpoints, request, deadline, pace)?;
    loop {
        asking.ask_whom_it_is_time_for(Instant::now());
        if asking.is_hopeless() {
            return Err(TransportError::AllFailed(asking.failures));
        }
        let ready = io.ready(&asking.sockets(), asking.until()).await;
        let ready = ready.map_err(TransportError::Wait)?;
        if let Some(answer) = asking.go_on(&ready, judge) {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            return Err(TransportError::Deadline(asking.whole_story()));
        }
    }
}

struct Asking<'a> {
    waiting: std::slice::Iter<'a, Endpoint>,
    framed: Vec<u8>,
    deadline: Instant,
    asked: Vec<Conversation>,
    failures: Vec<String>,
    next_at: Instant,
    pace: Pace,
}

impl<'a> Asking<'a> {
    fn new(
        endpoints: &'a [Endpoint],
        request: &[u8],
        deadline: Instant,
        pace: Pace,
    ) -> Result<Self, TransportError> {
        let length = i32::try_from(request.len()).map_err(|_| TransportError::TooLong)?;
        Ok(Self {
            waiting: endpoints.iter(),
            framed: [&length.to_be_bytes()[..], request].concat(),
            deadline,
            asked: Vec::new(),
            failures: Vec::new(),
            next_at: Instant::now(),
            pace,
        })
    }

    fn ask_whom_it_is_time_for(&mut self, now: Instant) {
        // Nobody is waited for where nobody is left to answer.
        while self.asked.is_empty() || now >= self.next_at {
            let Some(endpoint) = self.waiting.next() else {
                if now >= self.next_at {
                    self.send_datagrams_again(now);
                }
                return;
            };
            match Conversation::begin(endpoint, &self.framed) {
                Ok(conversation) => {
                    self.asked.push(conversation);
                    let last = self.waiting.as_slice().is_empty();
                    self.next_at = now
                        + if last {
                            self.pace.again
                        } else {
                            self.pace.next
                        };
                }
                Err(error) => self.failures.push(format!("{endpoint}: {error}")),
            }
        }
    }

    fn send_datagrams_again(&mut self, now: Instant) {
        for conversation in &self.asked {
            if let Socket::Datagram(socket) = &conversation.socket {
                // What a lost datagram's loss is for: the next one may get through.
                _ = socket.send(&self.framed[4..]);
            }
        }
        self.pace.again *= 2;
        self.next_at = now + self.pace.again;
    }

    fn is_hopeless(&self) -> bool {
        self.asked.is_empty() && self.waiting.as_slice().is_empty()
    }

    /// When it is time for the next step, if nothing happens.
    fn until(&self) -> Instant {
        self.next_at.min(self.deadline)
    }

    fn sockets(&self) -> Vec<Waiting<'_>> {
        self.asked.iter().map(Conversation::waiting).collect()
    }

    /// Goes on with the conversations that are ready.
    fn go_on(
        &mut self,
        ready: &[bool],
        judge: &dyn Fn(&[u8]) -> Verdict,
    ) -> Option<(Vec<u8>, Endpoint)> {
        for index in (0..ready.len()).rev().filter(|index| ready[*index]) {
            let conversation = &mut self.asked[index];
            let failure = match conversation.go_on(&self.framed) {
                Ok(None) => continue,
                Ok(Some(reply)) if judge(&reply) == Verdict::Take => {
                    return Some((reply, conversation.endpoint.clone()));
                }
                Ok(Some(_)) => "it does not serve at the moment".to_owned(),
                Err(error) => error.to_string(),
            };
            let failed = self.asked.remove(index);
            self.failures
                .push(format!("{}: {failure}", failed.endpoint));
            if !self.waiting.as_slice().is_empty() {
                self.next_at = Instant::now();
            }
        }
        None
    }

    fn whole_story(mut self) -> Vec<String> {
        let silent = self
            .asked
            .iter()
            .map(|one| format!("{}: no answer", one.endpoint));
        self.failures.extend(silent);
        self.failures
    }
}

struct Conversation {
    endpoint: Endpoint,
    socket: Socket,
}

enum Socket {
    Datagram(UdpSocket),
    Stream(Stream),
}

struct Stream {
    socket: TcpStream,
    connected: bool,
    /// How many bytes of the request are not sent yet.
    unsent: usize,
    received: Vec<u8>,
}

impl Conversation {
    fn begin(endpoint: &Endpoint, framed: &[u8]) -> io::Result<Self> {
        let socket = match endpoint.transport {
            Transport::Udp => {
                let any: IpAddr = match endpoint.address {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((any, 0))?;
                // Connected: the kernel drops what comes from elsewhere, and tells us of closed ports.
                socket.connect(endpoint.address)?;
                socket.set_nonblocking(true)?;
                socket.send(&framed[4..])?;
                Socket::Datagram(socket)
            }
            Transport::Tcp => Socket::Stream(Stream::connect(endpoint.address, framed.len())?),
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            socket,
        })
    }

    fn waiting(&self) -> Waiting<'_> {
        let (socket, expected) = match &self.socket {
            Socket::Datagram(socket) => (socket.as_fd(), Expected::Datagram),
            Socket::Stream(stream) if stream.unsent > 0 => (stream.socket.as_fd(), Expected::Room),
            Socket::Stream(stream) => (stream.socket.as_fd(), Expected::Bytes),
        };
        Waiting { socket, expected }
    }

    /// Does what can be done without waiting; the reply once it is whole.
    fn go_on(&mut self, framed: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let step = match &mut self.socket {
            Socket::Datagram(socket) => datagram(socket),
            Socket::Stream(stream) => stream.go_on(framed),
        };
        match step {
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(None)
            }
            other => other,
        }
    }
}

fn datagram(socket: &UdpSocket) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(Some(buffer))
}

impl Stream {
    fn connect(address: SocketAddr, unsent: usize) -> io::Result<Self> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        match connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self {
            socket: TcpStream::from(socket),
            connected: false,
            unsent,
            received: Vec::new(),
        })
    }

    fn go_on(&mut self, framed: &[u8]) -> io::Result<Option<Vec<u8>>> {
        if !self.connected {
            sockopt::socket_error(&self.socket)??;
            self.connected = true;
        }
        while self.unsent > 0 {
            self.unsent -= self.socket.write(&framed[framed.len() - self.unsent..])?;
        }
        self.receive()
    }

    /// Grows by what arrives, never by what a length promises.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = [0; CHUNK];
        loop {
            let wanted = self.wanted()?.min(CHUNK);
            if wanted == 0 {
                return Ok(Some(self.received.split_off(4)));
            }
            match self.socket.read(&mut chunk[..wanted])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => self.received.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// How many bytes are missing: of the length, then of the reply.
    fn wanted(&self) -> io::Result<usize> {
        let Some((length, body)) = self.received.split_first_chunk() else {
            return Ok(4 - self.received.len());
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length == 0 || length > MAX_REPLY {
            let text = format!("a reply of {length} bytes");
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        Ok(length - body.len())
    }
}

#[cfg(test)]
mod tests;
