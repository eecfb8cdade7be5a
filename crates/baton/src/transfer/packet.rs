//! One packet on the socket: `kind, version, index (32 bits), message (64 random bits), bytes`.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, UCred, recvmsg, sendmsg,
};
use rustix::process::{getegid, geteuid, getpid};
use wire::read::Reader;
use zeroize::{Zeroize, Zeroizing};

use super::channel::MAX_DESCRIPTORS;
use super::error::CarryError;

/// How long a packet is at most: what a socket's default buffer holds several of.
const PACKET: usize = 32 * 1024;
const HEADER: usize = 14;
const VERSION: u8 = 1;
/// How many bytes of a message a packet has: each but the last has as many.
pub(super) const BODY: usize = PACKET - HEADER;
pub(super) const CHALLENGE: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Part = 1,
    Last = 2,
    /// "Who are you, now?"
    Challenge = 3,
    /// The challenge again, with credentials.
    Proof = 4,
}

/// Who the kernel says has sent a packet, when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// What a packet begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) index: u32,
    /// Which message it is of.
    pub(super) message: [u8; 8],
}

pub(super) struct Packet {
    pub(super) head: Head,
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) descriptors: Vec<OwnedFd>,
    /// Known on a named socket.
    pub(super) peer: Option<Peer>,
}

/// What a read found.
pub(super) enum Read {
    Packet(Packet),
    /// A packet that cannot be understood; the one after it can.
    Unreadable(CarryError),
    Closed,
}

impl Head {
    /// Of a packet that is no part of a message.
    pub(super) fn of(kind: Kind) -> Self {
        Self {
            kind,
            index: 0,
            message: [0; 8],
        }
    }

    fn encode(self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[0] = self.kind as u8;
        header[1] = VERSION;
        header[2..6].copy_from_slice(&self.index.to_be_bytes());
        header[6..].copy_from_slice(&self.message);
        header
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
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
        Some(Self {
            kind,
            index: reader.u32_be().ok()?,
            message: reader.u64_be().ok()?.to_be_bytes(),
        })
    }
}

/// Sends one packet, with this process's credentials if it `tells` them.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    tells: bool,
    flags: SendFlags,
    head: Head,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), CarryError> {
    let header = head.encode();
    let parts = [IoSlice::new(&header), IoSlice::new(bytes)];
    retry_on_intr(|| {
        let mut space =
            [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        if tells {
            // Without this the kernel tells the real user, not the effective one.
            control.push(SendAncillaryMessage::ScmCredentials(UCred {
                pid: getpid(),
                uid: geteuid(),
                gid: getegid(),
            }));
        }
        sendmsg(socket, &parts, &mut control, flags | SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Reads one packet by way of `buffer`, which holds zeros before and after, and does not wait for it.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Result<Read, CarryError> {
    buffer.resize(PACKET, 0);
    let mut descriptors = Vec::new();
    let mut peer = None;
    let received = retry_on_intr(|| {
        let mut space =
            [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = match recvmsg(socket, &mut parts, &mut control, flags) {
            // Told once, where the other end closed without having read all: what it sent before is still to be read.
            Err(Errno::CONNRESET) => recvmsg(socket, &mut parts, &mut control, flags)?,
            other => other?,
        };
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
        return Ok(Read::Closed);
    }
    let mut reader = Reader::new(&buffer[..received.bytes]);
    let head = Head::decode(&mut reader);
    let bytes = Zeroizing::new(reader.rest().to_vec());
    buffer[..received.bytes].zeroize();
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Ok(Read::Unreadable(CarryError::DescriptorsLost));
    }
    Ok(match head {
        Some(head) if !received.flags.contains(ReturnFlags::TRUNC) => Read::Packet(Packet {
            head,
            bytes,
            descriptors,
            peer,
        }),
        _ => Read::Unreadable(CarryError::Packet),
    })
}
