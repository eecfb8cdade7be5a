//! The sockets of a development realm: datagrams and streams (RFC 4120 §7.2.1, §7.2.2) on one port.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Datagram,
    Stream,
}

/// Answers one request; what gets an empty answer gets none.
pub(super) type Answer = dyn Fn(&[u8], Way) -> Vec<u8> + Send + Sync;

/// The longest request that is read; a ticket with a large PAC has some tens of kilobytes.
const MAX_REQUEST: usize = 256 * 1024;
/// A reply longer than this is asked for again over a stream.
pub(super) const MAX_DATAGRAM: usize = 1400;
/// How long a peer that stalls is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many ports are tried for one that is free for both.
const ATTEMPTS: usize = 32;

/// Threads that serve until this value is dropped.
pub(super) struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Serves `answer` on `address`; port 0 is any that is free.
    pub(super) fn start(address: SocketAddr, answer: Arc<Answer>) -> io::Result<Self> {
        let (udp, tcp) = bind(address)?;
        let address = tcp.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        {
            let (answer, stop) = (Arc::clone(&answer), Arc::clone(&stop));
            thread::Builder::new()
                .name("kdc-udp".into())
                .spawn(move || serve_datagrams(&udp, &*answer, &stop))?;
        }
        let ours = Arc::clone(&stop);
        thread::Builder::new()
            .name("kdc-tcp".into())
            .spawn(move || serve_streams(&tcp, &answer, &ours))?;
        Ok(Self { address, stop })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes both threads, so that they look. If that fails they go on until the process ends, answering nobody who matters.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
        if let Ok(socket) = UdpSocket::bind((self.address.ip(), 0)) {
            let _ = socket.send_to(&[], self.address);
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    for _ in 0..ATTEMPTS {
        let tcp = TcpListener::bind(address)?;
        match UdpSocket::bind(tcp.local_addr()?) {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn serve_datagrams(socket: &UdpSocket, answer: &Answer, stop: &AtomicBool) {
    let mut buffer = vec![0; 65_536];
    loop {
        let received = socket.recv_from(&mut buffer);
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // An error here is an earlier reply that found nobody (ICMP), not an end.
        let Ok((length, peer)) = received else {
            continue;
        };
        let reply = answer(&buffer[..length], Way::Datagram);
        if !reply.is_empty() {
            let _ = socket.send_to(&reply, peer);
        }
    }
}

fn serve_streams(listener: &TcpListener, answer: &Arc<Answer>, stop: &AtomicBool) {
    for stream in listener.incoming() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let answer = Arc::clone(answer);
        let spawned = thread::Builder::new()
            .name("kdc-peer".into())
            .spawn(move || {
                if let Err(error) = serve_stream(stream, &*answer) {
                    tracing::debug!(%error, "a peer of the development realm went away");
                }
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "the development realm cannot serve a peer");
        }
    }
}

fn serve_stream(mut stream: TcpStream, answer: &Answer) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    loop {
        let mut length = [0; 4];
        if stream.read(&mut length[..1])? == 0 {
            return Ok(());
        }
        stream.read_exact(&mut length[1..])?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // Grows with what arrives, not with what was announced.
        let mut request = Vec::new();
        (&mut stream)
            .take(length as u64)
            .read_to_end(&mut request)?;
        if request.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let reply = answer(&request, Way::Stream);
        if reply.is_empty() {
            return Ok(());
        }
        let mut out = Vec::with_capacity(reply.len() + 4);
        out.extend_from_slice(&(reply.len() as u32).to_be_bytes());
        out.extend_from_slice(&reply);
        stream.write_all(&out)?;
    }
}
