//! Messages in packets over a Unix socket.
//!
//! A message is parts and a last packet, which has the descriptors; it exists once the last packet is there. Both ends may send
//! at once: whoever reads, a receiver or a sender that waits for a proof, puts what comes into the [inbox](super::inbox).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gss_transfer::Carrier;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socketpair, sockopt};
use rustix::process::geteuid;
use wire::random::{Random, array};

use super::error::CarryError;
use super::inbox::{Arrived, Inbox};
use super::packet::{self, BODY, Head, Kind, Peer, Read};

/// How many descriptors a message can have.
pub const MAX_DESCRIPTORS: usize = 32;
/// How long a message can be.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// How long a message that was begun, or a proof, may take to go on.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often what nothing tells of is looked at.
const STEP: Duration = Duration::from_millis(5);
/// How many packets one call reads at most: more than two of the longest messages have.
const MOST_PACKETS: usize = 2 * (MAX_MESSAGE / BODY) + 64;

/// One end of a socket over which contexts are handed over: `SOCK_SEQPACKET` of `AF_UNIX`.
///
/// It may be [given](AsFd) to another process as a descriptor, and made a channel again there. Threads may share a channel.
/// Of the processes that hold one end, one at a time may send and one may receive: packets of two long messages would mix,
/// and both be refused. For the same reason a child of `fork` makes a channel of its own from the descriptor, once its
/// parent does not use it any more.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    carrier: Carrier,
    trusted: Vec<u32>,
    sending: Mutex<Sending>,
    inbox: Mutex<Inbox>,
    /// The thread that was reading does not read any more.
    turn: Condvar,
}

#[derive(Debug, Default)]
struct Sending {
    broken: bool,
}

/// What came.
pub(super) enum Incoming {
    Message(Arrived),
    Nothing,
    Closed,
}

/// How long to wait for what is not there.
#[derive(Clone, Copy)]
enum Patience {
    /// As the socket does: without end, or not at all.
    Sockets,
    Until(Instant),
}

/// A thread's turn to read.
struct Turn<'a> {
    channel: &'a Channel,
    buffer: Vec<u8>,
}

impl Channel {
    /// A private pair: one end for us, the other for whomever we give it to.
    pub fn pair() -> std::io::Result<(Self, Self)> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self::private(one), Self::private(other)))
    }

    /// An end of a private pair, which was made by [`pair`](Self::pair) and came here as a descriptor: by inheritance, or over
    /// another channel. Who calls this says that no stranger holds the other end.
    pub fn private(socket: OwnedFd) -> Self {
        Self::new(socket, Carrier::PrivateSocket)
    }

    /// A connected `SOCK_SEQPACKET` socket that has, or had, a name in the file system: a sender makes its receiver prove who it
    /// is, and a receiver believes contexts of its own user and of root alone.
    pub fn named(socket: OwnedFd) -> std::io::Result<Self> {
        // Before anything can arrive: the kernel then adds to each packet who sent it.
        sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self::new(socket, Carrier::NamedSocket))
    }

    fn new(socket: OwnedFd, carrier: Carrier) -> Self {
        Self {
            socket,
            carrier,
            trusted: Vec::new(),
            sending: Mutex::default(),
            inbox: Mutex::default(),
            turn: Condvar::new(),
        }
    }

    /// The same, believing contexts of these users too: they can make up any client's name.
    #[must_use]
    pub fn trusting(mut self, users: impl Into<Vec<u32>>) -> Self {
        self.trusted = users.into();
        self
    }

    /// Whether a context that `from` sent is to be believed.
    pub(super) fn check_sender(&self, from: Option<Peer>) -> Result<(), CarryError> {
        if self.carrier != Carrier::NamedSocket {
            return Ok(());
        }
        let user = from.ok_or(CarryError::NotProved)?.user;
        if user == 0 || user == geteuid().as_raw() || self.trusted.contains(&user) {
            Ok(())
        } else {
            Err(CarryError::Stranger(user))
        }
    }

    /// Whether calls wait.
    pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
        Ok(ioctl_fionbio(&self.socket, nonblocking)?)
    }

    /// The descriptor, to be given away.
    pub fn into_descriptor(self) -> OwnedFd {
        self.socket
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Sends one message.
    pub(super) fn send(
        &self,
        body: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), CarryError> {
        if body.len() > MAX_MESSAGE {
            return Err(CarryError::TooLong);
        }
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(CarryError::TooManyDescriptors);
        }
        let mut state = lock(&self.sending);
        if state.broken {
            return Err(CarryError::Broken);
        }
        // Tells two messages apart, no more: not a secret.
        let mut message = [0; 8];
        // From the kernel each time: what `fork` copies would give two senders the same.
        getrandom::fill(&mut message).map_err(CarryError::Random)?;
        let chunks = body.chunks(BODY);
        let last = chunks.len().saturating_sub(1);
        for (index, chunk) in chunks.enumerate() {
            let (kind, with) = match index == last {
                true => (Kind::Last, descriptors),
                false => (Kind::Part, &[][..]),
            };
            let head = Head {
                kind,
                index: index as u32,
                message,
            };
            let sent = match index {
                // Before the first packet nothing has happened, and the caller may choose not to wait.
                0 => self.send_packet(SendFlags::empty(), head, chunk, with),
                _ => self.send_patiently(head, chunk, with),
            };
            if let Err(error) = sent {
                state.broken = index > 0;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The next message.
    pub(super) fn next(&self) -> Result<Incoming, CarryError> {
        match self.read_until(Patience::Sockets, Inbox::take) {
            Ok(arrived) => Ok(Incoming::Message(arrived)),
            Err(CarryError::WouldBlock) => Ok(Incoming::Nothing),
            Err(CarryError::Closed) => Ok(Incoming::Closed),
            Err(other) => Err(other),
        }
    }

    /// Asks the other end who it is. Messages that come before the answer are kept for [`next`](Self::next).
    pub(super) fn challenge(&self, random: &dyn Random) -> Result<Peer, CarryError> {
        let sending = lock(&self.sending);
        if sending.broken {
            return Err(CarryError::Broken);
        }
        let waits = self.blocks()?;
        let challenge = array(random);
        lock(&self.inbox).ask(Some(challenge));
        let head = Head::of(Kind::Challenge);
        let sent = match waits {
            true => self.send_patiently(head, &challenge, &[]),
            false => self.send_packet(SendFlags::empty(), head, &challenge, &[]),
        };
        let until = Patience::Until(Instant::now() + PATIENCE);
        let answered = sent.and_then(|()| self.read_until(until, Inbox::answer));
        lock(&self.inbox).ask(None);
        answered
    }

    /// Reads until `found` finds in the inbox what it looks for, or lets the thread read whose turn it is.
    fn read_until<T>(
        &self,
        patience: Patience,
        mut found: impl FnMut(&mut Inbox) -> Option<Result<T, CarryError>>,
    ) -> Result<T, CarryError> {
        for _ in 0..MOST_PACKETS {
            let mut inbox = lock(&self.inbox);
            loop {
                if let Some(found) = found(&mut inbox) {
                    return found;
                }
                if !inbox.reading {
                    break;
                }
                inbox = self.wait_for_turn(inbox, patience)?;
            }
            let mut turn = self.take_turn(inbox);
            let read = match turn.read(patience)? {
                Read::Packet(packet) => Ok(packet),
                Read::Unreadable(error) => Err(error),
                Read::Closed => return Err(CarryError::Closed),
            };
            lock(&self.inbox).put(read, &|from| self.check_sender(from));
            self.prove();
        }
        Err(CarryError::Flooded)
    }

    fn wait_for_turn<'a>(
        &'a self,
        inbox: MutexGuard<'a, Inbox>,
        patience: Patience,
    ) -> Result<MutexGuard<'a, Inbox>, CarryError> {
        let left = match patience {
            Patience::Sockets if self.blocks()? => {
                return Ok(self
                    .turn
                    .wait(inbox)
                    .unwrap_or_else(PoisonError::into_inner));
            }
            Patience::Sockets => return Err(CarryError::WouldBlock),
            Patience::Until(deadline) => left_until(deadline)?,
        };
        let waited = self.turn.wait_timeout(inbox, left);
        Ok(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn take_turn<'a>(&'a self, mut inbox: MutexGuard<'_, Inbox>) -> Turn<'a> {
        inbox.reading = true;
        Turn {
            channel: self,
            buffer: std::mem::take(&mut inbox.buffer),
        }
    }

    /// Answers the other end's challenge as soon as there is room; tells whether there was.
    fn prove(&self) -> bool {
        let Some(challenge) = lock(&self.inbox).owed else {
            return true;
        };
        let head = Head::of(Kind::Proof);
        let sent = self.send_packet(SendFlags::DONTWAIT, head, &challenge, &[]);
        if matches!(sent, Err(CarryError::WouldBlock)) {
            return false;
        }
        // Whoever asked may be gone; what it sent before is still to be read.
        lock(&self.inbox).owed = None;
        true
    }

    fn send_patiently(
        &self,
        head: Head,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), CarryError> {
        let deadline = Instant::now() + PATIENCE;
        let mut waited = false;
        loop {
            match self.send_packet(SendFlags::DONTWAIT, head, bytes, descriptors) {
                Err(CarryError::WouldBlock) => {
                    // Where it is not the socket that is full, nothing tells when there is room.
                    if std::mem::replace(&mut waited, true) {
                        std::thread::sleep(STEP);
                    }
                    self.wait(PollFlags::OUT, Some(deadline))?;
                }
                other => return other,
            }
        }
    }

    fn send_packet(
        &self,
        flags: SendFlags,
        head: Head,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), CarryError> {
        let tells = self.carrier == Carrier::NamedSocket;
        packet::send(self.as_fd(), tells, flags, head, bytes, descriptors)
    }

    fn wait(&self, what: PollFlags, deadline: Option<Instant>) -> Result<(), CarryError> {
        loop {
            let left = deadline.map(left_until).transpose()?;
            let timeout = left.map(|left| Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut fds = [PollFd::new(&self.socket, what)];
            match poll(&mut fds, timeout.as_ref()) {
                // Left over is less than the clock's step, or nothing.
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn blocks(&self) -> Result<bool, CarryError> {
        Ok(!fcntl_getfl(&self.socket)?.contains(OFlags::NONBLOCK))
    }
}

impl Turn<'_> {
    /// One packet.
    fn read(&mut self, patience: Patience) -> Result<Read, CarryError> {
        let channel = self.channel;
        loop {
            let deadline = match patience {
                Patience::Sockets => None,
                Patience::Until(deadline) => left_until(deadline).map(|_| Some(deadline))?,
            };
            let proved = channel.prove();
            match packet::receive(channel.as_fd(), &mut self.buffer) {
                Err(CarryError::WouldBlock) => {}
                other => return other,
            }
            if deadline.is_none() && !channel.blocks()? {
                return Err(CarryError::WouldBlock);
            }
            let mut what = PollFlags::IN;
            what.set(PollFlags::OUT, !proved);
            channel.wait(what, deadline)?;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut inbox = lock(&self.channel.inbox);
        inbox.reading = false;
        inbox.buffer = std::mem::take(&mut self.buffer);
        self.channel.turn.notify_all();
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn left_until(deadline: Instant) -> Result<Duration, CarryError> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(CarryError::TimedOut),
        false => Ok(left),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
