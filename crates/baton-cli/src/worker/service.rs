//! The service behind: where it is, how it is reached, and what it is told of the client.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::process::Pid;

use super::relay::Socket;

/// Where conversations go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The first of these addresses that answers.
    Forward(Vec<SocketAddr>),
    /// A socket in the file system; told of the client in its first lines if `header`.
    Unix { path: PathBuf, header: bool },
    /// A program for each conversation, its standard input and output one socket.
    Program(Vec<OsString>),
}

/// A stream socket to the service.
pub(crate) enum Service {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The client, as the service is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) principal: String,
    /// The name in the form of RFC 2743 §3.2.
    pub(crate) export_name: Vec<u8>,
    pub(crate) address: SocketAddr,
}

/// How far an attempt to reach the service came.
pub(crate) enum Attempt {
    /// Connected.
    Open(Service),
    /// A program was started.
    Started(Service, Pid),
    /// The socket will tell.
    Pending(Service),
    /// The service has no room just now.
    Later,
}

impl Target {
    /// Begins to reach the service. Of several addresses, tries the one numbered `attempt`.
    pub(crate) fn connect(&self, attempt: usize, client: &Client) -> io::Result<Attempt> {
        match self {
            Self::Forward(addresses) => {
                let address = addresses.get(attempt).ok_or(ErrorKind::AddrNotAvailable)?;
                let stream = TcpStream::connect(*address)?;
                Ok(Attempt::Pending(Service::Tcp(stream)))
            }
            Self::Unix { path, .. } => match UnixStream::connect(path) {
                Ok(stream) => Ok(Attempt::Open(Service::Unix(stream))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Attempt::Later),
                Err(error) => Err(error),
            },
            Self::Program(command) => start(command, client),
        }
    }

    /// How many attempts there are.
    pub(crate) fn attempts(&self) -> usize {
        match self {
            Self::Forward(addresses) => addresses.len(),
            Self::Unix { .. } | Self::Program(_) => 1,
        }
    }

    /// What the service is sent before any data.
    pub(crate) fn greeting(&self, client: &Client) -> Vec<u8> {
        match self {
            Self::Unix { header: true, .. } => client.header(),
            _ => Vec::new(),
        }
    }
}

fn start(command: &[OsString], client: &Client) -> io::Result<Attempt> {
    let (program, arguments) = command.split_first().ok_or(ErrorKind::InvalidInput)?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let output = theirs.try_clone()?;
    let variables = client.variables();
    let child = Command::new(program)
        .args(arguments)
        // These are about our log.
        .env_remove("RUST_LOG")
        .env_remove("NO_COLOR")
        .envs(
            variables
                .iter()
                .map(|(name, value)| (format!("KNC_{name}"), value)),
        )
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(OwnedFd::from(output)))
        .spawn()?;
    let id = Pid::from_raw(child.id() as i32).ok_or(ErrorKind::InvalidData)?;
    Ok(Attempt::Started(
        Service::Unix(UnixStream::from_std(ours)),
        id,
    ))
}

impl Client {
    /// What knc(1) tells a service, by its names.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let address = self.address.ip().to_canonical();
        let by_family = match address {
            IpAddr::V4(_) => "REMOTE_IP",
            IpAddr::V6(_) => "REMOTE_IP6",
        };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        vec![
            ("MECH", "krb5".to_owned()),
            ("CREDS", self.principal.clone()),
            ("EXPORT_NAME", hex(&self.export_name)),
            (by_family, address.to_string()),
            ("REMOTE_ADDR", address.to_string()),
            ("REMOTE_PORT", self.address.port().to_string()),
            (
                "VERSION",
                concat!("baton ", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
        ]
    }

    fn header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in self.variables() {
            out.extend(format!("{name}:{value}\n").bytes());
        }
        out.extend(b"END\n");
        out
    }
}

impl Service {
    /// The socket of a descriptor that another worker sent.
    pub(crate) fn from_fd(fd: OwnedFd, tcp: bool) -> io::Result<Self> {
        if tcp {
            let stream = std::net::TcpStream::from(fd);
            stream.set_nonblocking(true)?;
            Ok(Self::Tcp(TcpStream::from_std(stream)))
        } else {
            let stream = std::os::unix::net::UnixStream::from(fd);
            stream.set_nonblocking(true)?;
            Ok(Self::Unix(UnixStream::from_std(stream)))
        }
    }

    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// Whether it is; an error if it never will be.
    pub(crate) fn connected(&self) -> io::Result<bool> {
        let Self::Tcp(stream) = self else {
            return Ok(true);
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl From<Service> for OwnedFd {
    fn from(service: Service) -> Self {
        match service {
            Service::Tcp(stream) => std::net::TcpStream::from(stream).into(),
            Service::Unix(stream) => std::os::unix::net::UnixStream::from(stream).into(),
        }
    }
}

impl AsFd for Service {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Service {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Service {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Service {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        }
    }

    fn reset_is_end(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl Socket for TcpStream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        TcpStream::shutdown(self, how)
    }

    fn reset_is_end(&self) -> bool {
        false
    }
}

impl Source for Service {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interest),
            Self::Unix(stream) => stream.register(registry, token, interest),
        }
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interest),
            Self::Unix(stream) => stream.reregister(registry, token, interest),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client {
            principal: "alice@EXAMPLE.COM".to_owned(),
            export_name: vec![4, 1, 0xab],
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn a_service_is_told_of_its_client_in_lines() {
        let target = Target::Unix {
            path: "/nowhere".into(),
            header: true,
        };
        let expected = format!(
            "MECH:krb5\nCREDS:alice@EXAMPLE.COM\nEXPORT_NAME:0401AB\nREMOTE_IP:127.0.0.9\n\
             REMOTE_ADDR:127.0.0.9\nREMOTE_PORT:77\nVERSION:baton {}\nEND\n",
            env!("CARGO_PKG_VERSION")
        );
        for address in ["127.0.0.9:77", "[::ffff:127.0.0.9]:77"] {
            let greeting = target.greeting(&client(address));
            assert_eq!(String::from_utf8(greeting).unwrap(), expected);
        }
        let plain = Target::Unix {
            path: "/nowhere".into(),
            header: false,
        };
        assert!(plain.greeting(&client("[::1]:5")).is_empty());
    }

    #[test]
    fn an_address_of_version_6_has_its_own_name() {
        let variables = client("[::1]:5").variables();
        assert!(variables.contains(&("REMOTE_IP6", "::1".to_owned())));
        assert!(variables.iter().all(|(name, _)| *name != "REMOTE_IP"));
    }
}
