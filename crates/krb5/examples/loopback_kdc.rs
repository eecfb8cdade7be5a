//! A realm on loopback: `loopback_kdc PORT KEYTAB` serves EXAMPLE.ORG over UDP and TCP and writes the services' keys.
//!
//! For development only. The user is `alice` and her password `correct horse`; the services are `HTTP/localhost` and
//! `host/localhost`. Point a `krb5.conf` at it:
//!
//! ```text
//! [libdefaults]
//!     default_realm = EXAMPLE.ORG
//! [realms]
//!     EXAMPLE.ORG = { kdc = 127.0.0.1:PORT }
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime};

use krb5::formats::keytab::{Keytab, KeytabEntry};
use krb5::kdc::{Kdc, Policy, Principals};
use krb5::principal::Principal;
use krb5_crypto::Enctype;
use wire::random::Random;
use wire::time::Timestamp;

const REALM: &str = "EXAMPLE.ORG";
const DATAGRAM: usize = 1400;

struct Urandom;

impl Random for Urandom {
    fn fill(&self, out: &mut [u8]) {
        let mut source = File::open("/dev/urandom").expect("/dev/urandom opens");
        source.read_exact(out).expect("/dev/urandom gives bytes");
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.expect("the clock is past 1970").as_micros();
    Timestamp::from_micros(since as i64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments
        .next()
        .ok_or("usage: loopback_kdc PORT KEYTAB")?
        .parse()?;
    let keytab = arguments.next().ok_or("usage: loopback_kdc PORT KEYTAB")?;
    let kdc = realm(&keytab)?;

    let udp = UdpSocket::bind(("127.0.0.1", port))?;
    let tcp = TcpListener::bind(("127.0.0.1", port))?;
    println!("{REALM} on {}", udp.local_addr()?);
    std::thread::scope(|threads| {
        threads.spawn(|| serve_datagrams(&kdc, &udp));
        for stream in tcp.incoming().flatten() {
            if let Err(error) = serve_stream(&kdc, stream) {
                eprintln!("{error}");
            }
        }
    });
    Ok(())
}

fn realm(keytab: &str) -> Result<Kdc, Box<dyn Error>> {
    let of_aes = |row: &&Enctype| (17..=20).contains(&row.number());
    let etypes: Vec<_> = Enctype::all().iter().filter(of_aes).rev().collect();
    let mut principals = Principals::new(REALM, &etypes, &Urandom);
    let mut entries = Vec::new();
    principals.add_password(Principal::user("alice", REALM), b"correct horse", &etypes)?;
    for service in ["HTTP", "host"] {
        principals.add_random(
            Principal::service(service, "localhost", REALM),
            &etypes,
            &Urandom,
        );
    }
    for name in principals.names().filter(|name| !name.is_krbtgt()) {
        entries.extend(principals.keys(name).iter().map(|key| KeytabEntry {
            principal: name.clone(),
            timestamp: now(),
            kvno: key.kvno,
            key: key.key.clone(),
        }));
    }
    let others = Vec::new();
    std::fs::write(keytab, &*Keytab { entries, others }.encode()?)?;
    Ok(Kdc::new(principals, Policy::default()))
}

fn serve_datagrams(kdc: &Kdc, socket: &UdpSocket) {
    let mut buffer = [0; 65_535];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        let reply = kdc.reply_within(DATAGRAM, &buffer[..length], now(), &Urandom);
        if !reply.is_empty() {
            let _ = socket.send_to(&reply, peer);
        }
    }
}

fn serve_stream(kdc: &Kdc, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut request = Vec::new();
    let length = u32::from_be_bytes(length).min(1 << 20);
    (&mut stream)
        .take(u64::from(length))
        .read_to_end(&mut request)?;
    let reply = kdc.reply(&request, now(), &Urandom);
    stream.write_all(&(reply.len() as u32).to_be_bytes())?;
    stream.write_all(&reply)
}
