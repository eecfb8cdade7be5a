//! Other processes: the test's own program again, which does what it is told over a private channel.
//!
//! A test file that starts workers has a test of its own named `worker`, which does nothing unless it is run as one.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use baton::transfer::{Arrival, Channel, Sending, send_over};
use baton::{
    Acceptor, Context, Environment, ExportOptions, HalfOpen, Handshake, Order, Policy, Step, Token,
};
use rustix::process::{Pid, Signal, kill_process, setpgid, setsid};

use super::Site;

const STORE: &str = "BATON_TEST_STORE";
const ENCTYPE: &str = "BATON_TEST_ENCTYPE";

/// What a worker answers: what it was asked for, or the status.
pub type Answer = Result<Vec<u8>, String>;

/// A process that we started, and that ends with this value.
pub struct Worker {
    child: Child,
    pub channel: Channel,
    site: Site,
}

impl Worker {
    /// A process of this user that shares the once-store in `store`.
    pub fn start(store: &Path) -> Self {
        Self::start_as(store, None)
    }

    /// The same, of another user. Only root can.
    pub fn start_as(store: &Path, user: Option<u32>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        Self::start_by(command, store)
    }

    /// The same, of this user, in a process namespace of its own: what a container is to its host. Only root can.
    pub fn start_apart(store: &Path) -> Self {
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--kill-child", "--"])
            .arg(std::env::current_exe().unwrap());
        Self::start_by(command, store)
    }

    fn start_by(mut command: Command, store: &Path) -> Self {
        let (ours, theirs) = Channel::pair().unwrap();
        command
            .args(["--exact", "worker", "--nocapture", "--test-threads=1"])
            .env(STORE, store)
            .env(ENCTYPE, "18")
            .stdin(Stdio::from(theirs.into_descriptor()))
            .stdout(Stdio::null());
        Self {
            child: command.spawn().unwrap(),
            channel: ours,
            site: Site::in_memory(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells the worker to do something.
    pub fn tell(&self, what: u8, bytes: &[u8]) {
        self.channel
            .send_note(&[&[what], bytes].concat(), &[])
            .unwrap();
    }

    /// What it answers; `None` if it is gone.
    pub fn answer(&self) -> Option<Answer> {
        match self.channel.receive(&self.site.env).ok()? {
            Arrival::Note(note) => Some(match note.bytes.split_first() {
                Some((b'+', bytes)) => Ok(bytes.to_vec()),
                Some((_, status)) => Err(String::from_utf8_lossy(status).into_owned()),
                None => panic!("an empty answer"),
            }),
            Arrival::Closed => None,
            other => panic!("{other:?}"),
        }
    }

    pub fn call(&self, what: u8, bytes: &[u8]) -> Answer {
        self.tell(what, bytes);
        self.answer().expect("the worker is gone")
    }

    pub fn import(&self, token: &Token) -> Answer {
        self.call(b'I', token.as_ref())
    }

    /// Goes on with the handshake that it has, or accepts a new one.
    pub fn step(&self, token: &[u8]) -> Result<Stepped, String> {
        let answer = self.call(b'H', token)?;
        Ok(match answer.split_first() {
            Some((b'c', token)) => Stepped::Continue(token.to_vec()),
            Some((b'd', [])) => Stepped::Done(None),
            Some((b'd', token)) => Stepped::Done(Some(token.to_vec())),
            other => panic!("{other:?}"),
        })
    }

    /// Its handshake, half open.
    pub fn export_half_open(&self, half_open: HalfOpen) -> Result<Token, String> {
        let sides = matches!(half_open, HalfOpen::BothSides);
        self.call(b'X', &[u8::from(sides)]).map(Token::from)
    }

    /// Takes an acceptor's handshake over.
    pub fn import_half_open(&self, token: &Token) -> Answer {
        self.call(b'Y', token.as_ref())
    }

    /// Takes an initiator's handshake over.
    pub fn import_initiator(&self, token: &Token) -> Answer {
        self.call(b'y', token.as_ref())
    }

    pub fn export(&self) -> Result<Token, String> {
        self.call(b'E', &[]).map(Token::from)
    }

    /// The worker has the other end of `client`'s context, and both understand each other.
    pub fn converse(&self, client: &Context) {
        let sealed = client.wrap(true, b"to the worker").unwrap();
        let heard = self.call(b'U', &sealed).unwrap();
        assert_eq!(heard, [&[0], &b"to the worker"[..]].concat());
        let said = self.call(b'W', b"from the worker").unwrap();
        let message = client.unwrap(&said).unwrap();
        assert_eq!(message.data, b"from the worker");
        assert_eq!(message.order, Order::InOrder);
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a worker's step came to, with the token for the peer.
#[derive(Debug, PartialEq, Eq)]
pub enum Stepped {
    Continue(Vec<u8>),
    Done(Option<Vec<u8>>),
}

/// Is a worker, if this process was started as one.
pub fn worker() {
    let Some(store) = std::env::var_os(STORE).map(PathBuf::from) else {
        return;
    };
    let stdin = std::io::stdin();
    let channel = Channel::private(stdin.as_fd().try_clone_to_owned().unwrap());
    let mut worker = Working {
        site: Site::in_directory(&store),
        context: None,
        handshake: None,
        descriptors: Vec::new(),
    };
    loop {
        let answer = match channel.receive(&worker.site.env) {
            Ok(Arrival::Note(note)) => worker.obey(&note.bytes, note.descriptors),
            Ok(Arrival::Context(received)) => {
                worker.context = Some(received.context);
                worker.descriptors = received.descriptors;
                Ok(received.extra)
            }
            Ok(Arrival::Closed) => std::process::exit(0),
            Ok(Arrival::Nothing) => unreachable!("the channel blocks"),
            Err(error) => Err(error),
        };
        let bytes = match answer {
            Ok(bytes) => [b"+", &bytes[..]].concat(),
            Err(error) => format!("-{:?}", error.major()).into_bytes(),
        };
        if channel.send_note(&bytes, &[]).is_err() {
            std::process::exit(0);
        }
    }
}

struct Working {
    site: Site,
    context: Option<Context>,
    handshake: Option<Handshake>,
    descriptors: Vec<OwnedFd>,
}

impl Working {
    fn env(&self) -> &Environment {
        &self.site.env
    }

    fn obey(&mut self, note: &[u8], descriptors: Vec<OwnedFd>) -> Result<Vec<u8>, baton::Error> {
        let (what, bytes) = note.split_first().expect("a command");
        match what {
            // Accepts a context.
            b'A' => {
                let cred = super::acceptor(18);
                let step = Acceptor::new(self.env(), &cred).step(bytes);
                let Step::Done { token, context } = step.map_err(|failure| failure.error)? else {
                    panic!("one step is enough")
                };
                self.context = Some(context);
                Ok(token.unwrap_or_default())
            }
            b'H' => {
                let cred = super::acceptor(18);
                let step = match self.handshake.take() {
                    Some(next) => next.step(bytes),
                    None => Acceptor::new(self.env(), &cred).step(bytes),
                };
                Ok(match step.map_err(|failure| failure.error)? {
                    Step::Continue { token, next } => {
                        self.handshake = Some(next);
                        [b"c", &token[..]].concat()
                    }
                    Step::Done { token, context } => {
                        self.context = Some(context);
                        [b"d", &token.unwrap_or_default()[..]].concat()
                    }
                })
            }
            b'X' => {
                let sides = match bytes[0] {
                    0 => HalfOpen::Acceptors,
                    _ => HalfOpen::BothSides,
                };
                let options = ExportOptions::default().half_open(sides);
                let exported = self.handshake.take().expect("a handshake").export(&options);
                exported.map(Token::into_bytes).map_err(|(next, error)| {
                    self.handshake = Some(next);
                    error
                })
            }
            b'Y' => {
                let cred = super::acceptor(18);
                let next = Acceptor::new(self.env(), &cred).import(&Token::from(bytes))?;
                self.handshake = Some(next);
                Ok(Vec::new())
            }
            b'y' => {
                let next = Handshake::import(self.env(), &Token::from(bytes), None)?;
                self.handshake = Some(next);
                Ok(Vec::new())
            }
            b'I' => {
                let token = Token::from(bytes);
                self.context = Some(Context::import(self.env(), &token)?);
                Ok(Vec::new())
            }
            b'E' => {
                let options = ExportOptions::default();
                self.export(|context| context.export(&options).map(Token::into_bytes))
            }
            // Exports for its own session alone.
            b'e' => {
                let options = ExportOptions::default().policy(policy(bytes[0]));
                self.export(|context| context.export(&options).map(Token::into_bytes))
            }
            b'W' => self.context().wrap(true, bytes),
            b'U' => {
                let message = self.context().unwrap(bytes)?;
                let order = message.order as u8;
                Ok([&[order], &message.data[..]].concat())
            }
            b'S' => {
                setsid().unwrap();
                Ok(Vec::new())
            }
            b'G' => {
                setpgid(None, None).unwrap();
                Ok(Vec::new())
            }
            // Answers one message on the connection that came with the context.
            b'C' => {
                let mut connection = UnixStream::from(self.descriptors.remove(0));
                let mut token = Vec::new();
                connection.read_to_end(&mut token).unwrap();
                let message = self.context().unwrap(&token)?;
                let reply = self.context().wrap(true, &message.data)?;
                connection.write_all(&reply).unwrap();
                Ok(Vec::new())
            }
            // Sends bytes as they are.
            b'R' => {
                let socket = descriptors.into_iter().next().unwrap();
                rustix::net::send(&socket, bytes, rustix::net::SendFlags::empty()).unwrap();
                Ok(Vec::new())
            }
            // Waits for a context on the named socket that was sent along.
            b'N' => {
                let socket = descriptors.into_iter().next().unwrap();
                let channel = Channel::named(socket).unwrap();
                let received = baton::transfer::receive_over(self.env(), &channel)?;
                self.context = Some(received.context);
                Ok(received.extra)
            }
            // Sends its context over the private socket that was sent along.
            b'P' => {
                let socket = descriptors.into_iter().next().unwrap();
                let channel = Channel::private(socket);
                self.export(|context| {
                    send_over(&channel, context, &Sending::default()).map(|()| Vec::new())
                })
            }
            other => panic!("command {other}"),
        }
    }

    fn context(&self) -> &Context {
        self.context.as_ref().expect("a context")
    }

    fn export(
        &mut self,
        export: impl FnOnce(Context) -> Result<Vec<u8>, (Context, baton::Error)>,
    ) -> Result<Vec<u8>, baton::Error> {
        let context = self.context.take().expect("a context");
        export(context).map_err(|(context, error)| {
            self.context = Some(context);
            error
        })
    }
}

fn policy(which: u8) -> Policy {
    match which {
        b's' => Policy::same_user().within_session(),
        b'g' => Policy::same_user().within_process_group(),
        b'u' => Policy::same_user().within_unit(),
        b'0' => Policy::nobody(),
        other => panic!("policy {other}"),
    }
}
