//! `baton connect`: the client's end of a Kerberised connection.

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use baton::{Context, Credential, Environment, Flags, Initiator, Name, Step};
use clap::Args;

use crate::knc::{
    self, DEFAULT_MAX_TOKEN, FrameError, Incoming, MAX_HANDSHAKE_TOKEN, MAX_PLAINTEXT, Meaning,
};
use crate::serve::resolve;
use crate::worker::relay::Protection;

/// How long a connection may take to be made, and each answer of the handshake to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to a Kerberised service
///
/// Standard input goes to the service and its answers to standard output; with `--listen`, so does each connection to a local
/// port. The ticket is taken from the credential cache, or got with what is there.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectArgs {
    /// The service's name, its host's, and the port
    #[arg(value_name = "SERVICE@HOST:PORT")]
    target: Target,
    /// Connect to this address instead of the host's own
    #[arg(long, value_name = "HOST:PORT")]
    via: Option<String>,
    /// Listen here, and connect once for each local connection
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// The credential cache; by default what krb5.conf and KRB5CCNAME say
    #[arg(long, value_name = "CACHE")]
    ccache: Option<String>,
}

/// `SERVICE@HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    service: String,
    host: String,
    port: u16,
}

impl FromStr for Target {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (service, place) = text
            .split_once('@')
            .ok_or("no `@` between service and host")?;
        let (host, port) = place
            .rsplit_once(':')
            .ok_or("no `:` between host and port")?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or("no `]` after the address")?,
            None if host.contains(':') => return Err("an IPv6 address needs `[` and `]`"),
            None => host,
        };
        if service.is_empty() || host.is_empty() {
            return Err("the service or the host is empty");
        }
        Ok(Self {
            service: service.to_owned(),
            host: host.to_owned(),
            port: port
                .parse()
                .map_err(|_| "the port is no number below 65536")?,
        })
    }
}

impl Target {
    fn name(&self) -> Name {
        Name::hostbased_service(&format!("{}@{}", self.service, self.host))
    }

    fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Runs until both directions have ended, or for ever where it listens.
pub(crate) fn run(args: &ConnectArgs) -> Result<(), Box<dyn Error>> {
    let client = Arc::new(Client::new(args)?);
    let Some(address) = args.listen else {
        let connection = client.connect()?;
        return carry(connection, io::stdin(), io::stdout(), end_standard_output);
    };
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    tracing::info!(target: "connect", "listening on {}", listener.local_addr()?);
    loop {
        let (local, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(target: "connect", "accepting: {error}");
                thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        let client = Arc::clone(&client);
        thread::Builder::new().spawn(move || match client.carry_local(&local) {
            Ok(()) => tracing::info!(target: "connect", "{peer} has finished"),
            Err(error) => tracing::warn!(target: "connect", "{peer} was broken off: {error}"),
        })?;
    }
}

/// Whoever reads our output sees its end, while input may still go on.
fn end_standard_output() {
    let nothing = File::options().write(true).open("/dev/null");
    let ended = nothing.and_then(|nothing| Ok(rustix::stdio::dup2_stdout(&nothing)?));
    if let Err(error) = ended {
        tracing::warn!(target: "connect", "the output's end is not passed on: {error}");
    }
}

/// Who connects, and where to.
struct Client {
    env: Environment,
    credential: Credential,
    name: Name,
    place: String,
}

struct Connection {
    context: Context,
    socket: TcpStream,
    /// What came after the handshake.
    received: Vec<u8>,
}

impl Client {
    fn new(args: &ConnectArgs) -> Result<Self, Box<dyn Error>> {
        let env = Environment::from_env()?;
        Ok(Self {
            credential: Credential::initiator(&env, args.ccache.as_deref())?,
            env,
            name: args.target.name(),
            place: args.via.clone().unwrap_or_else(|| args.target.place()),
        })
    }

    fn carry_local(&self, local: &TcpStream) -> Result<(), Box<dyn Error>> {
        let connection = self.connect()?;
        let _ = local.set_nodelay(true);
        let end_output = || drop(local.shutdown(Shutdown::Write));
        carry(
            connection,
            local.try_clone()?,
            local.try_clone()?,
            end_output,
        )
    }

    fn connect(&self) -> Result<Connection, Box<dyn Error>> {
        let mut socket = self.reach()?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let flags = Flags::MUTUAL | Flags::SEQUENCE | Flags::REPLAY | Flags::CONF | Flags::INTEG;
        let mut step = Initiator::new(&self.env, &self.credential, &self.name)
            .flags(flags)
            .start()?;
        let mut received = Vec::new();
        loop {
            match step {
                Step::Continue { token, next } => {
                    socket.write_all(&knc::frame(&token))?;
                    let answer = next_token(&mut socket, &mut received, MAX_HANDSHAKE_TOKEN)?
                        .ok_or("the service closed the connection during the handshake")?;
                    step = next.step(&answer).map_err(|failure| failure.error)?;
                }
                Step::Done { token, context } => {
                    if let Some(token) = token {
                        socket.write_all(&knc::frame(&token))?;
                    }
                    if !context.facts().flags.contains(flags.without(Flags::REPLAY)) {
                        return Err("the service does not protect what is needed".into());
                    }
                    socket.set_read_timeout(None)?;
                    return Ok(Connection {
                        context,
                        socket,
                        received,
                    });
                }
            }
        }
    }

    fn reach(&self) -> Result<TcpStream, Box<dyn Error>> {
        let mut last = None;
        for address in resolve(&self.place)? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = Some(format!("{address}: {error}")),
            }
        }
        Err(last.unwrap_or_else(|| "no address".to_owned()).into())
    }
}

/// The next token; none at the end between two frames.
fn next_token(
    from: &mut impl Read,
    received: &mut Vec<u8>,
    limit: usize,
) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    let mut buffer = [0; 64 * 1024];
    loop {
        if let Some((token, used)) = knc::first_token(received, limit)? {
            let token = token.to_vec();
            received.drain(..used);
            return Ok(Some(token));
        }
        match from.read(&mut buffer) {
            Ok(0) if received.is_empty() => return Ok(None),
            Ok(0) => return Err(FrameError::Cut.into()),
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Carries both directions until both have ended.
fn carry(
    connection: Connection,
    input: impl Read + Send + 'static,
    output: impl Write,
    end_output: impl FnOnce(),
) -> Result<(), Box<dyn Error>> {
    let context = Arc::new(connection.context);
    let socket = connection.socket;
    let sender = {
        let (context, socket) = (Arc::clone(&context), socket.try_clone()?);
        thread::spawn(move || send(&context, input, socket))
    };
    let received = receive(&context, &socket, connection.received, output);
    end_output();
    if received.is_err() {
        // A sender that waits for input would wait in vain.
        let _ = socket.shutdown(Shutdown::Both);
        return received;
    }
    match sender.join() {
        Ok(sent) => sent.map_err(Into::into),
        Err(_) => Err("the sending thread failed".into()),
    }
}

/// From the input to the service; at its end, half-closes.
fn send(context: &Context, mut input: impl Read, mut socket: TcpStream) -> Result<(), String> {
    let mut buffer = vec![0; MAX_PLAINTEXT];
    let mut out = Vec::new();
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                out.clear();
                knc::put_frame(&mut out, |out| {
                    Protection::wrap(context, &buffer[..count], out)
                })?;
                // Who reads no more may still have something to say.
                if socket.write_all(&out).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("reading the input: {error}")),
        }
    }
    let _ = socket.shutdown(Shutdown::Write);
    Ok(())
}

/// From the service to the output, until the service has finished.
fn receive(
    context: &Context,
    mut socket: &TcpStream,
    mut received: Vec<u8>,
    mut output: impl Write,
) -> Result<(), Box<dyn Error>> {
    let mut incoming = Incoming::default();
    let mut message = Vec::new();
    while let Some(token) = next_token(&mut socket, &mut received, DEFAULT_MAX_TOKEN)? {
        message.clear();
        Protection::unwrap(context, &token, &mut message)?;
        match incoming.message(&message)? {
            Meaning::Data => {
                output.write_all(&message)?;
                output.flush()?;
            }
            Meaning::Nothing => {}
            Meaning::Finished | Meaning::Both => return Ok(()),
            Meaning::StopsReading => drop(socket.shutdown(Shutdown::Write)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knc::HEADER;

    #[test]
    fn a_target_is_service_host_and_port() {
        let target = |service: &str, host: &str, port| {
            Ok(Target {
                service: service.to_owned(),
                host: host.to_owned(),
                port,
            })
        };
        assert_eq!("HTTP@web.x:80".parse(), target("HTTP", "web.x", 80));
        assert_eq!("host@[::1]:5".parse(), target("host", "::1", 5));
        assert_eq!("host@[::1]:5".parse::<Target>().unwrap().place(), "[::1]:5");
        for wrong in [
            "",
            "host",
            "host@",
            "@h:1",
            "s@:1",
            "s@h",
            "s@h:",
            "s@h:65536",
            "s@::1:5",
            "s@[::1:5",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_read_whole_or_not_at_all() {
        let bytes = [knc::frame(b"one"), knc::frame(b"two")].concat();
        for cut in 0..=bytes.len() {
            let mut received = Vec::new();
            let mut from = &bytes[..cut];
            let mut tokens = Vec::new();
            let end = loop {
                match next_token(&mut from, &mut received, 3) {
                    Ok(Some(token)) => tokens.push(token),
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            assert_eq!(tokens.len(), cut / (HEADER + 3));
            assert_eq!(end, cut % (HEADER + 3) == 0, "{cut}");
        }
    }
}
