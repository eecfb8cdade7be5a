//! `baton serve`: a Kerberised front door for any service.

use std::error::Error;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton::{Config, Credential, Environment, Store};
use clap::{ArgGroup, Args};
use listenfd::ListenFd;

use crate::front_door::authorise::{Authorisation, Pattern};
use crate::front_door::{FrontDoor, Settings};
use crate::inherited;
use crate::knc::DEFAULT_MAX_TOKEN;
use crate::limits::raise_descriptor_limit;
use crate::user::User;
use crate::worker::WorkerArgs;

/// Accepts Kerberos clients and carries their data to a service
///
/// One process holds the keytab and does the handshakes; workers, which run as another user where that is possible and never
/// see the keytab, carry the conversations. SIGHUP replaces the workers without dropping a conversation; SIGTERM ends the
/// program when the last conversation has ended, or at the drain timeout.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("service").required(true).args(["forward", "unix", "program"]))]
pub(crate) struct ServeArgs {
    /// Address and port to listen on; may be left out where systemd hands sockets over
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<SocketAddr>,
    /// Keys of the service; by default what krb5.conf and KRB5_KTNAME say
    #[arg(long, value_name = "FILE")]
    keytab: Option<PathBuf>,
    /// Where replayed handshakes are noticed: one directory for all acceptors with these keys; by default this user's
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// How many worker processes carry conversations
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=512))]
    workers: u16,
    /// Carry conversations to a TCP service
    #[arg(long, value_name = "HOST:PORT")]
    forward: Option<String>,
    /// Carry conversations to a Unix socket
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Tell the service at the Unix socket of each client, in lines KEY:VALUE before the data, closed by END
    #[arg(long)]
    unix_header: bool,
    /// Start a program for each conversation, which is its standard input and output
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
    /// Who the workers run as, by name or number, when started as root
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Admit only these clients; `*` stands for any characters. May be given more than once
    #[arg(long, value_name = "PRINCIPAL")]
    allow: Vec<Pattern>,
    /// Refuse these clients, whatever is allowed
    #[arg(long, value_name = "PRINCIPAL")]
    deny: Vec<Pattern>,
    /// How many connections there may be at once
    #[arg(long, default_value_t = 20_000)]
    max_connections: usize,
    /// How many of them may be in their handshake: one more ends the oldest
    #[arg(long, default_value_t = 1024, value_parser = positive)]
    max_handshakes: usize,
    /// Seconds a handshake may take
    #[arg(long, default_value_t = 15.0, value_parser = seconds)]
    handshake_timeout: f64,
    /// Seconds of silence after which a conversation ends; 0: never
    #[arg(long, default_value_t = 7200)]
    idle_timeout: u64,
    /// The longest frame taken from a client, in bytes
    #[arg(long, default_value_t = DEFAULT_MAX_TOKEN, value_parser = frame_length)]
    max_frame: usize,
    /// Seconds that conversations have to end after SIGTERM
    #[arg(long, default_value_t = 30.0, value_parser = seconds)]
    drain_timeout: f64,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a number above 0 is needed".to_owned()),
        Ok(number) => Ok(number),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=1e9).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds is needed".to_owned()),
    }
}

/// A conversation's unsent bytes travel in one message, which bounds what a frame may be.
fn frame_length(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(length @ 1024..=4_194_304) => Ok(length),
        _ => Err("a number from 1024 to 4194304 is needed".to_owned()),
    }
}

/// Runs until it is told to end.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Box<dyn Error>> {
    if args.unix_header && args.unix.is_none() {
        return Err("--unix-header needs --unix".into());
    }
    raise_descriptor_limit();
    let user = User::for_workers(args.user.as_deref())?;
    let keytab = args.keytab.as_deref();
    let env = Environment::new(Config {
        store: Store::File {
            directory: args.store.clone(),
        },
        ..Config::from_env()?
    })?;
    let named = match keytab {
        Some(path) => Some(path.to_str().ok_or("the keytab's path is not UTF-8")?),
        None => None,
    };
    let credential = Credential::acceptor(&env, named)?;
    if let Some(keytab) = keytab {
        look_at_keytab(keytab, user.as_ref())?;
    }
    let listeners = listeners(&args.listen)?;
    look_at_inherited(user.as_ref())?;
    let settings = Settings {
        workers: args.workers,
        user,
        worker: worker_args(args)?,
        forward: args.forward.clone(),
        authorisation: Authorisation {
            allow: args.allow.clone(),
            deny: args.deny.clone(),
        },
        max_connections: args.max_connections,
        max_handshakes: args.max_handshakes,
        handshake_timeout: Duration::from_secs_f64(args.handshake_timeout),
        drain_timeout: Duration::from_secs_f64(args.drain_timeout),
    };
    FrontDoor::new(settings, env, credential, listeners)?.run()
}

/// Says what is wrong with a keytab before the first client does.
fn look_at_keytab(keytab: &Path, user: Option<&User>) -> Result<(), Box<dyn Error>> {
    let path = keytab.to_str().unwrap_or_default();
    let path = path.strip_prefix("FILE:").unwrap_or(path);
    let metadata = std::fs::metadata(path).map_err(|error| format!("{path}: {error}"))?;
    if metadata.permissions().mode() & 0o004 != 0 {
        tracing::warn!(target: "serve", "{path} can be read by every user of this host, the workers' included");
    }
    if user.is_none() {
        tracing::info!(target: "serve", "not started as root: workers run as the same user, which may read {path}");
    }
    Ok(())
}

/// Says which descriptors workers would get beside their own, and refuses to give another user what it could not open.
fn look_at_inherited(user: Option<&User>) -> Result<(), Box<dyn Error>> {
    for inherited in inherited::find()? {
        let (number, name) = (inherited.number, inherited.name.display());
        if inherited.is_private && user.is_some() {
            return Err(format!(
                "descriptor {number} is open ({name}), and workers would inherit it: start with it closed, for example with `{number}<&-`"
            )
            .into());
        }
        tracing::warn!(target: "serve", "descriptor {number} is open ({name}), and workers and programs inherit it");
    }
    Ok(())
}

fn worker_args(args: &ServeArgs) -> Result<WorkerArgs, Box<dyn Error>> {
    Ok(WorkerArgs {
        name: String::new(),
        uid: None,
        gid: None,
        max_frame: args.max_frame,
        idle_timeout: args.idle_timeout,
        forward: match &args.forward {
            Some(service) => resolve(service)?,
            None => Vec::new(),
        },
        unix: args.unix.clone(),
        unix_header: args.unix_header,
        program: args.program.clone(),
    })
}

/// The addresses of `HOST:PORT`.
pub(crate) fn resolve(service: &str) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
    let addresses: Vec<_> = service
        .to_socket_addrs()
        .map_err(|error| format!("{service}: {error}"))?
        .collect();
    match addresses.is_empty() {
        true => Err(format!("{service} has no address").into()),
        false => Ok(addresses),
    }
}

fn listeners(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Box<dyn Error>> {
    let mut listeners = Vec::new();
    let mut given = ListenFd::from_env();
    for index in 0..given.len() {
        listeners.extend(given.take_tcp_listener(index)?);
    }
    for address in addresses {
        let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
        listeners.push(listener);
    }
    match listeners.is_empty() {
        true => Err("no --listen, and systemd hands no sockets over".into()),
        false => Ok(listeners),
    }
}
