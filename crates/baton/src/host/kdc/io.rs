//! How an exchange with KDCs waits: by holding up its thread, or as a task of a runtime.
//!
//! The exchange itself is written once, as a future. With [`Blocking`] that future never waits for anybody but the kernel, so
//! that one poll finishes it: [`at_once`].

use std::future::{Future, ready};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use krb5::formats::settings::Settings;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::locate::{self, LocateError};
use super::transport::{Endpoint, Expected, Waiting};

/// What an exchange needs of the system.
pub(crate) trait Io: Copy + Send + Sync {
    /// Which of `sockets` are ready, once one is or it is `until`.
    fn ready(
        self,
        sockets: &[Waiting<'_>],
        until: Instant,
    ) -> impl Future<Output = io::Result<Vec<bool>>> + Send;

    /// The KDCs of `realm`.
    fn locate(
        self,
        settings: &Settings,
        realm: &[u8],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Endpoint>, LocateError>> + Send;
}

/// Holds up the thread.
#[derive(Clone, Copy)]
pub(crate) struct Blocking;

impl Io for Blocking {
    fn ready(
        self,
        sockets: &[Waiting<'_>],
        until: Instant,
    ) -> impl Future<Output = io::Result<Vec<bool>>> + Send {
        ready(poll_until(sockets, until))
    }

    fn locate(
        self,
        settings: &Settings,
        realm: &[u8],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Endpoint>, LocateError>> + Send {
        ready(locate::endpoints(settings, realm, deadline))
    }
}

fn poll_until(sockets: &[Waiting<'_>], until: Instant) -> io::Result<Vec<bool>> {
    let timeout = until.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(timeout).ok();
    let mut fds: Vec<_> = sockets
        .iter()
        .map(|one| {
            let flags = match one.expected {
                Expected::Room => PollFlags::OUT,
                Expected::Datagram | Expected::Bytes => PollFlags::IN,
            };
            PollFd::from_borrowed_fd(one.socket, flags)
        })
        .collect();
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
}

/// What comes of a future that holds up its thread instead of waiting to be woken.
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("`Blocking` never leaves a future pending"),
    }
}

/// A task of tokio's runtime. The sockets are the same; the names of KDCs are looked up in a thread, as tokio itself does it.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy)]
pub(crate) struct Tokio;

#[cfg(feature = "tokio")]
impl Io for Tokio {
    async fn ready(self, sockets: &[Waiting<'_>], until: Instant) -> io::Result<Vec<bool>> {
        let sockets: Vec<_> = sockets
            .iter()
            .map(Registered::new)
            .collect::<io::Result<_>>()?;
        let any = std::future::poll_fn(|cx| {
            // Each is polled, so that each wakes this task.
            let mut found = Vec::with_capacity(sockets.len());
            for socket in &sockets {
                found.push(match socket.poll_ready(cx) {
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    polled => polled.is_ready(),
                });
            }
            match found.contains(&true) {
                true => Poll::Ready(Ok(found)),
                false => Poll::Pending,
            }
        });
        match tokio::time::timeout_at(until.into(), any).await {
            Ok(found) => found,
            Err(_) => Ok(vec![false; sockets.len()]),
        }
    }

    async fn locate(
        self,
        settings: &Settings,
        realm: &[u8],
        deadline: Instant,
    ) -> Result<Vec<Endpoint>, LocateError> {
        let (settings, name) = (settings.clone(), realm.to_vec());
        let lookup = move || locate::endpoints(&settings, &name, deadline);
        match tokio::task::spawn_blocking(lookup).await {
            Ok(found) => found,
            Err(_) => Err(LocateError::Stopped(
                String::from_utf8_lossy(realm).into_owned(),
            )),
        }
    }
}

/// A second descriptor of a socket, known to the runtime for as long as it is waited for.
#[cfg(feature = "tokio")]
enum Registered {
    Datagram(tokio::net::UdpSocket),
    ToRead(tokio::net::TcpStream),
    ToWrite(tokio::net::TcpStream),
}

#[cfg(feature = "tokio")]
impl Registered {
    fn new(one: &Waiting<'_>) -> io::Result<Self> {
        let socket = one.socket.try_clone_to_owned()?;
        Ok(match one.expected {
            Expected::Datagram => Self::Datagram(tokio::net::UdpSocket::from_std(socket.into())?),
            Expected::Bytes => Self::ToRead(tokio::net::TcpStream::from_std(socket.into())?),
            Expected::Room => Self::ToWrite(tokio::net::TcpStream::from_std(socket.into())?),
        })
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Datagram(socket) => socket.poll_recv_ready(cx),
            Self::ToRead(stream) => stream.poll_read_ready(cx),
            Self::ToWrite(stream) => stream.poll_write_ready(cx),
        }
    }
}
