//! Messages in packets over a Unix socket.
//!
//! A packet is `kind, version, index (32 bits), message (64 random bits), bytes`. A message is parts and a last packet, which has the
//! descriptors; it exists once the last packet is there, and a packet goes to one reader, so of two processes that read one
//! socket each gets whole messages or none.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gss_transfer::Carrier;
use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, UCred, recvmsg,
    sendmsg, socketpair, sockopt,
};
use rustix::process::{getegid, geteuid, getpid};
use wire::random::{Random, array};
use wire::read::Reader;
use zeroize::{Zeroize, Zeroizing};

use super::error::CarryError;

/// How many descriptors a message can have.
pub const MAX_DESCRIPTORS: usize = 32;
/// How long a message can be.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// How long a packet is at most: what a socket's default buffer holds several of.
const PACKET: usize = 32 * 1024;
const HEADER: usize = 14;
const VERSION: u8 = 1;
const CHALLENGE: usize = 32;
/// How long a message that was begun may take to go on.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Part = 1,
    Last = 2,
    /// "Who are you, now?"
    Challenge = 3,
    /// The challenge again, with credentials.
    Proof = 4,
}

/// One end of a socket over which contexts are handed over: `SOCK_SEQPACKET` of `AF_UNIX`.
///
/// It may be [given](AsFd) to another process as a descriptor, and made a channel again there.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    carrier: Carrier,
    trusted: Vec<u32>,
    sending: Mutex<Sending>,
    receiving: Mutex<Receiving>,
}

#[derive(Debug, Default)]
struct Sending {
    broken: bool,
}

/// The parts of a message whose last packet has not come.
#[derive(Default)]
struct Receiving {
    message: u64,
    parts: Vec<Zeroizing<Vec<u8>>>,
    length: usize,
    /// For the packet that is being received; between packets it holds zeros.
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Receiving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes in {} parts", self.length, self.parts.len())
    }
}

/// What came.
pub(super) enum Incoming {
    Message {
        body: Zeroizing<Vec<u8>>,
        descriptors: Vec<OwnedFd>,
        /// Known on a named socket.
        from: Option<Peer>,
    },
    Nothing,
    Closed,
}

/// Who the kernel says has sent a packet, when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) user: u32,
    pub(super) group: u32,
}

struct Packet {
    kind: Kind,
    index: u32,
    message: u64,
    bytes: Zeroizing<Vec<u8>>,
    descriptors: Vec<OwnedFd>,
    peer: Option<Peer>,
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
            receiving: Mutex::default(),
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
        let mut id = [0; 8];
        // Tells two messages apart, no more: not a secret, so the system's hasher is random enough.
        id.copy_from_slice(&fresh_number().to_be_bytes());
        let chunks: Vec<&[u8]> = body.chunks(PACKET - HEADER).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let last = index + 1 == chunks.len();
            let kind = if last { Kind::Last } else { Kind::Part };
            let header = header(kind, index as u32, id);
            let with = if last { descriptors } else { &[] };
            let sent = match self.send_packet(&header, chunk, with) {
                // Before the first packet nothing has happened, and the caller may choose not to wait.
                Err(CarryError::WouldBlock) if index > 0 => {
                    self.send_patiently(&header, chunk, with)
                }
                other => other,
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
        let mut state = lock(&self.receiving);
        loop {
            let packet = match self.receive_packet(&mut state.buffer) {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(Incoming::Closed),
                Err(CarryError::WouldBlock) => return Ok(Incoming::Nothing),
                Err(error) => {
                    state.forget();
                    return Err(error);
                }
            };
            match packet.kind {
                Kind::Part | Kind::Last => {
                    if let Some(message) = state.add(packet)? {
                        return Ok(message);
                    }
                }
                Kind::Challenge => self.prove(&packet)?,
                // The answer to a challenge that was given up.
                Kind::Proof => {}
            }
        }
    }

    /// Asks the other end who it is. No other message may be on its way from there.
    pub(super) fn challenge(&self, random: &dyn Random) -> Result<Peer, CarryError> {
        let _sending = lock(&self.sending);
        let mut receiving = lock(&self.receiving);
        let challenge: [u8; CHALLENGE] = array(random);
        let header = header(Kind::Challenge, 0, [0; 8]);
        self.send_packet(&header, &challenge, &[])?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.wait(PollFlags::IN, deadline)?;
            let packet = match self.receive_packet(&mut receiving.buffer) {
                Ok(packet) => packet.ok_or(CarryError::Closed)?,
                Err(CarryError::WouldBlock) => continue,
                Err(error) => return Err(error),
            };
            if packet.kind != Kind::Proof {
                return Err(CarryError::NotProved);
            }
            // An older proof is the answer to a challenge that was given up.
            if packet.bytes.as_slice() == challenge {
                return packet.peer.ok_or(CarryError::NotProved);
            }
        }
    }

    fn prove(&self, challenge: &Packet) -> Result<(), CarryError> {
        let header = header(Kind::Proof, 0, [0; 8]);
        self.send_packet(&header, &challenge.bytes, &[])
    }

    fn send_patiently(
        &self,
        header: &[u8],
        chunk: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), CarryError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.wait(PollFlags::OUT, deadline)?;
            match self.send_packet(header, chunk, descriptors) {
                Err(CarryError::WouldBlock) => {}
                other => return other,
            }
        }
    }

    fn wait(&self, what: PollFlags, deadline: Instant) -> Result<(), CarryError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut fds = [PollFd::new(&self.socket, what)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) => return Err(CarryError::TimedOut),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn send_packet(
        &self,
        header: &[u8],
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), CarryError> {
        let parts = [IoSlice::new(header), IoSlice::new(bytes)];
        retry_on_intr(|| {
            let mut space =
                [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(descriptors));
            }
            if self.carrier == Carrier::NamedSocket {
                // Without this the kernel tells the real user, not the effective one.
                control.push(SendAncillaryMessage::ScmCredentials(UCred {
                    pid: getpid(),
                    uid: geteuid(),
                    gid: getegid(),
                }));
            }
            sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    /// One packet; `None` at the end.
    fn receive_packet(&self, buffer: &mut Vec<u8>) -> Result<Option<Packet>, CarryError> {
        buffer.resize(PACKET, 0);
        let mut descriptors = Vec::new();
        let mut peer = None;
        let received = retry_on_intr(|| {
            let mut space =
                [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(buffer)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )?;
            for message in control.drain() {
                match message {
                    RecvAncillaryMessage::ScmRights(rights) => descriptors.extend(rights),
                    RecvAncillaryMessage::ScmCredentials(credentials) => {
                        peer = Some(Peer {
                            user: credentials.uid.as_raw(),
                            group: credentials.gid.as_raw(),
                        });
                    }
                    _ => {}
                }
            }
            Ok(received)
        })?;
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut reader = Reader::new(&buffer[..received.bytes]);
        let header = read_header(&mut reader);
        let bytes = Zeroizing::new(reader.rest().to_vec());
        buffer[..received.bytes].zeroize();
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(CarryError::Packet);
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(CarryError::DescriptorsLost);
        }
        let (kind, index, message) = header.ok_or(CarryError::Packet)?;
        Ok(Some(Packet {
            kind,
            index,
            message,
            bytes,
            descriptors,
            peer,
        }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Receiving {
    /// Adds a packet; gives the message whose last one it is.
    fn add(&mut self, packet: Packet) -> Result<Option<Incoming>, CarryError> {
        let index = self.parts.len();
        // A message may begin anew where an earlier one was not finished, as after a sender that died.
        if packet.index == 0 {
            self.forget();
            self.message = packet.message;
        } else if packet.index as usize != index || packet.message != self.message {
            self.forget();
            return Err(CarryError::Packet);
        }
        self.length += packet.bytes.len();
        if self.length > MAX_MESSAGE {
            self.forget();
            return Err(CarryError::TooLong);
        }
        self.parts.push(packet.bytes);
        if packet.kind == Kind::Part {
            return Ok(None);
        }
        let mut body = Zeroizing::new(Vec::with_capacity(self.length));
        for part in &self.parts {
            body.extend_from_slice(part);
        }
        self.forget();
        Ok(Some(Incoming::Message {
            body,
            descriptors: packet.descriptors,
            from: packet.peer,
        }))
    }

    fn forget(&mut self) {
        self.parts.clear();
        self.length = 0;
    }
}

fn header(kind: Kind, index: u32, message: [u8; 8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = kind as u8;
    header[1] = VERSION;
    header[2..6].copy_from_slice(&index.to_be_bytes());
    header[6..].copy_from_slice(&message);
    header
}

fn read_header(reader: &mut Reader<'_>) -> Option<(Kind, u32, u64)> {
    let kind = match reader.u8().ok()? {
        1 => Kind::Part,
        2 => Kind::Last,
        3 => Kind::Challenge,
        4 => Kind::Proof,
        _ => return None,
    };
    if reader.u8().ok()? != VERSION {
        return None;
    }
    Some((kind, reader.u32_be().ok()?, reader.u64_be().ok()?))
}

fn fresh_number() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
