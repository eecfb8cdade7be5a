//! Stands between a client and a KDC, and counts what goes by which way.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What becomes of datagrams.
#[derive(Clone)]
pub(crate) enum Datagrams {
    /// The KDC gets them.
    Forwarded,
    /// Nobody gets them, as behind a firewall.
    Dropped,
    /// Each is answered with this.
    Answered(Vec<u8>),
}

/// Serves until the process ends.
pub(crate) struct Relay {
    pub(crate) port: u16,
    datagrams: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
}

impl Relay {
    /// In front of the KDC on `kdc`.
    pub(crate) fn start(kdc: u16, policy: Datagrams) -> Self {
        let (tcp, udp) = both();
        let relay = Self {
            port: tcp.local_addr().unwrap().port(),
            datagrams: Arc::default(),
            streams: Arc::default(),
        };
        let (datagrams, streams) = (Arc::clone(&relay.datagrams), Arc::clone(&relay.streams));
        thread::spawn(move || serve_datagrams(&udp, kdc, &policy, &datagrams));
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                streams.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || forward(stream, kdc));
            }
        });
        relay
    }

    /// Datagrams and streams that have arrived since the last call.
    pub(crate) fn arrived(&self) -> (usize, usize) {
        (
            self.datagrams.swap(0, Ordering::Relaxed),
            self.streams.swap(0, Ordering::Relaxed),
        )
    }
}

fn both() -> (TcpListener, UdpSocket) {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (tcp, udp);
        }
    }
}

fn serve_datagrams(socket: &UdpSocket, kdc: u16, policy: &Datagrams, count: &AtomicUsize) {
    let mut buffer = [0; 65_536];
    while let Ok((length, client)) = socket.recv_from(&mut buffer) {
        count.fetch_add(1, Ordering::Relaxed);
        let reply = match policy {
            Datagrams::Dropped => continue,
            Datagrams::Answered(reply) => Ok(reply.clone()),
            Datagrams::Forwarded => ask(kdc, &buffer[..length]),
        };
        if let Ok(reply) = reply {
            let _ = socket.send_to(&reply, client);
        }
    }
}

fn ask(kdc: u16, request: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, kdc))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.send(request)?;
    let mut reply = vec![0; 65_536];
    let length = socket.recv(&mut reply)?;
    reply.truncate(length);
    Ok(reply)
}

/// One request and its reply, each after its length (RFC 4120 §7.2.2).
fn forward(mut client: TcpStream, kdc: u16) -> io::Result<()> {
    let mut kdc = TcpStream::connect((Ipv4Addr::LOCALHOST, kdc))?;
    kdc.write_all(&message(&mut client)?)?;
    client.write_all(&message(&mut kdc)?)?;
    client.shutdown(Shutdown::Write)
}

fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut message = length.to_vec();
    message.resize(4 + u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(&mut message[4..])?;
    Ok(message)
}
