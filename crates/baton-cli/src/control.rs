//! What the front door and a worker tell each other, beside the connections they hand over: short messages on a socketpair that
//! the front door made, one message a packet, with a descriptor where the message has one.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The versions of a connection's state that this program writes and reads, oldest and newest.
pub(crate) const VERSIONS: Versions = Versions {
    oldest: 1,
    newest: 1,
};
const LONGEST: usize = 32;

/// A range of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) oldest: u8,
    pub(crate) newest: u8,
}

impl Versions {
    /// The newest version that both know.
    pub(crate) fn agree(self, other: Self) -> Option<u8> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest && newest >= other.oldest).then_some(newest)
    }
}

/// What the front door tells a worker.
#[derive(Debug)]
pub(crate) enum Order {
    /// Hand every connection over to the worker at the other end of this socket, then end.
    HandOver(OwnedFd),
    /// Take connections over from the worker at the other end of this socket.
    TakeOver(OwnedFd),
}

/// What a worker tells the front door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is ready.
    Ready(Versions),
    /// How many conversations it carries now, and how many it has been handed by the front door so far.
    Load { carried: u32, received: u64 },
    /// It has handed these many over, and kept these because they could not be.
    HandedOver { given: u32, kept: u32 },
}

/// A pair of connected sockets, one message a packet. Both ends never block.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// Sends one message, or says that it would block.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = fd.map(|fd| [fd]);
    if let Some(fds) = &fds {
        // The space was made for one descriptor.
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Receives one message; none at the end of the other side.
pub(crate) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, Option<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = loop {
        match recvmsg(
            &socket,
            &mut [IoSliceMut::new(buffer)],
            &mut ancillary,
            flags,
        ) {
            Err(Errno::INTR) => {}
            // A peer that ended with messages unread: for us, its end.
            Err(Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok((received.bytes > 0).then_some((received.bytes, fd)))
}

impl Order {
    /// Sends this order.
    pub(crate) fn send(&self, socket: impl AsFd) -> io::Result<()> {
        match self {
            Self::HandOver(fd) => send(socket, b"H", Some(fd.as_fd())),
            Self::TakeOver(fd) => send(socket, b"T", Some(fd.as_fd())),
        }
    }

    /// Receives an order; none once the front door has gone.
    pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<Self>> {
        let mut buffer = [0; LONGEST];
        let Some((length, fd)) = receive(socket, &mut buffer)? else {
            return Ok(None);
        };
        match (&buffer[..length], fd) {
            (b"H", Some(fd)) => Ok(Some(Self::HandOver(fd))),
            (b"T", Some(fd)) => Ok(Some(Self::TakeOver(fd))),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }
}

impl Report {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Ready(versions) => vec![b'R', versions.oldest, versions.newest],
            Self::Load { carried, received } => {
                [&b"L"[..], &carried.to_le_bytes(), &received.to_le_bytes()].concat()
            }
            Self::HandedOver { given, kept } => {
                [&b"O"[..], &given.to_le_bytes(), &kept.to_le_bytes()].concat()
            }
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match (kind, rest) {
            (b'R', &[oldest, newest]) => Some(Self::Ready(Versions { oldest, newest })),
            (b'L', rest) => {
                let (carried, received) = rest.split_first_chunk()?;
                Some(Self::Load {
                    carried: u32::from_le_bytes(*carried),
                    received: u64::from_le_bytes(received.try_into().ok()?),
                })
            }
            (b'O', rest) => {
                let (given, kept) = rest.split_first_chunk()?;
                Some(Self::HandedOver {
                    given: u32::from_le_bytes(*given),
                    kept: u32::from_le_bytes(kept.try_into().ok()?),
                })
            }
            _ => None,
        }
    }

    /// Sends this report.
    pub(crate) fn send(self, socket: impl AsFd) -> io::Result<()> {
        send(socket, &self.bytes(), None)
    }

    /// Receives a report; none once the worker has ended.
    pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<Self>> {
        let mut buffer = [0; LONGEST];
        match receive(socket, &mut buffer)? {
            None => Ok(None),
            Some((length, _)) => Self::parse(&buffer[..length])
                .map(Some)
                .ok_or_else(|| ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn reports_arrive_and_any_other_length_is_refused() {
        let (ours, theirs) = pair().unwrap();
        for report in [
            Report::Ready(VERSIONS),
            Report::Load {
                carried: 7,
                received: 1 << 40,
            },
            Report::HandedOver { given: 3, kept: 9 },
        ] {
            report.send(&theirs).unwrap();
            assert_eq!(Report::receive(&ours).unwrap(), Some(report));
            let bytes = report.bytes();
            for cut in 0..bytes.len() {
                assert_eq!(Report::parse(&bytes[..cut]), None, "{report:?} {cut}");
            }
            assert_eq!(Report::parse(&[&bytes[..], b"x"].concat()), None);
            for bit in 0..bytes.len() * 8 {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                // Any number may be reported, so another one is another report; another kind is none.
                let again = Report::parse(&other).map(|report| report.bytes());
                assert_eq!(again, (bit >= 8).then_some(other), "{report:?} {bit}");
            }
        }
        let blocked = Report::receive(&ours).unwrap_err();
        assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
        drop(theirs);
        // A process that another test starts has a copy of the other end between its fork and its exec.
        let deadline = Instant::now() + Duration::from_secs(20);
        let end = loop {
            match Report::receive(&ours) {
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline =>
                {
                    thread::sleep(Duration::from_millis(1));
                }
                other => break other,
            }
        };
        assert_eq!(end.unwrap(), None);
    }

    #[test]
    fn orders_carry_their_descriptor_or_are_refused() {
        let (ours, theirs) = pair().unwrap();
        let (inner, outer) = pair().unwrap();
        Order::HandOver(outer).send(&ours).unwrap();
        let Some(Order::HandOver(fd)) = Order::receive(&theirs).unwrap() else {
            panic!("another order");
        };
        Report::Ready(VERSIONS).send(&fd).unwrap();
        assert!(Report::receive(&inner).unwrap().is_some());
        for wrong in [&b"H"[..], b"T", b"?", b"HH"] {
            send(&ours, wrong, None).unwrap();
            let error = Order::receive(&theirs).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
        drop(ours);
        assert!(Order::receive(&theirs).unwrap().is_none());
    }

    #[test]
    fn versions_agree_on_the_newest_that_both_know() {
        let versions = |oldest, newest| Versions { oldest, newest };
        for (one, other, agreed) in [
            ((1, 1), (1, 1), Some(1)),
            ((1, 3), (2, 5), Some(3)),
            ((2, 5), (1, 3), Some(3)),
            ((1, 2), (3, 4), None),
            ((3, 4), (1, 2), None),
        ] {
            let agreed_here = versions(one.0, one.1).agree(versions(other.0, other.1));
            assert_eq!(agreed_here, agreed, "{one:?} {other:?}");
        }
    }
}
