//! The processes of the demonstration beside the front door: the service, and processes between which contexts change hands.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use baton::kerberos::settings::Settings;
use baton::transfer::{Arrival, Channel};
use baton::{
    Acceptor, Config, Context, Credential, Environment, ExportOptions, Step, Store, Token,
};
use clap::Args;

use super::report::Refusal;

/// A process of the demonstration
#[derive(Args, Clone, Debug)]
pub(crate) struct PartArgs {
    /// Be the service: says everything back to whoever connects, until standard input ends
    #[arg(long)]
    echo: bool,
    /// Be a process that takes contexts over by this once-store
    #[arg(long)]
    store: Option<PathBuf>,
    /// Accept with the keys in this keytab
    #[arg(long)]
    keytab: Option<PathBuf>,
}

/// What a process is told to do; an answer is `+` and bytes, or `-` and a [`Refusal`].
pub(crate) mod order {
    /// Accept the context of the token that follows.
    pub(crate) const ACCEPT: u8 = b'A';
    /// Import the token that follows.
    pub(crate) const IMPORT: u8 = b'I';
    /// Export the context.
    pub(crate) const EXPORT: u8 = b'E';
    /// Wrap what follows.
    pub(crate) const WRAP: u8 = b'W';
    /// Unwrap what follows.
    pub(crate) const UNWRAP: u8 = b'U';
}

/// Is what the arguments say, until the demonstration ends.
pub(crate) fn run(args: &PartArgs) -> Result<(), Box<dyn Error>> {
    match args.echo {
        true => echo(),
        false => Holder::new(args)?.run(),
    }
}

fn echo() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            // One that cannot be served is one that the client misses.
            let _ = thread::Builder::new().spawn(move || say_back(&connection));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn say_back(mut connection: &TcpStream) {
    // Else the last part of an answer waits for the acknowledgement of the one before.
    let _ = connection.set_nodelay(true);
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        if connection.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = connection.shutdown(Shutdown::Write);
}

/// A process that holds a context, or none.
struct Holder {
    env: Environment,
    credential: Option<Credential>,
    channel: Channel,
    context: Option<Context>,
}

impl Holder {
    fn new(args: &PartArgs) -> Result<Self, Box<dyn Error>> {
        let env = Environment::new(Config {
            settings: Some(Settings::default()),
            store: Store::File {
                directory: args.store.clone(),
            },
            ..Config::default()
        })?;
        let credential = match &args.keytab {
            Some(path) => Some(Credential::acceptor(&env, path.to_str())?),
            None => None,
        };
        Ok(Self {
            env,
            credential,
            channel: Channel::private(io::stdin().as_fd().try_clone_to_owned()?),
            context: None,
        })
    }

    fn run(mut self) -> Result<(), Box<dyn Error>> {
        loop {
            let done = match self.channel.receive(&self.env) {
                Ok(Arrival::Note(note)) => self.obey(&note.bytes),
                Ok(Arrival::Context(received)) => {
                    self.context = Some(received.context);
                    Ok(Vec::new())
                }
                Ok(Arrival::Nothing) => continue,
                Ok(Arrival::Closed) => return Ok(()),
                Err(error) => Err(error.into()),
            };
            self.channel.send_note(&encode(done), &[])?;
        }
    }

    fn obey(&mut self, note: &[u8]) -> Result<Vec<u8>, Refusal> {
        let (order, bytes) = note.split_first().ok_or_else(|| refusal("no order"))?;
        match *order {
            order::ACCEPT => self.accept(bytes),
            order::IMPORT => {
                self.context = Some(Context::import(&self.env, &Token::from(bytes))?);
                Ok(Vec::new())
            }
            order::EXPORT => self.export(),
            order::WRAP => Ok(self.context()?.wrap(true, bytes)?),
            order::UNWRAP => Ok(self.context()?.unwrap(bytes)?.data),
            _ => Err(refusal("an order that this process does not know")),
        }
    }

    fn accept(&mut self, token: &[u8]) -> Result<Vec<u8>, Refusal> {
        let credential = self.credential.as_ref();
        let credential = credential.ok_or_else(|| refusal("this process has no keytab"))?;
        let step = Acceptor::new(&self.env, credential).step(token);
        match step.map_err(|failure| failure.error)? {
            Step::Done { token, context } => {
                self.context = Some(context);
                Ok(token.unwrap_or_default())
            }
            Step::Continue { .. } => Err(refusal("the handshake is not over")),
        }
    }

    fn export(&mut self) -> Result<Vec<u8>, Refusal> {
        let context = self.context.take();
        let context = context.ok_or_else(|| refusal(NO_CONTEXT))?;
        match context.export(&ExportOptions::default()) {
            Ok(token) => Ok(token.into_bytes()),
            Err((context, error)) => {
                self.context = Some(context);
                Err(error.into())
            }
        }
    }

    fn context(&self) -> Result<&Context, Refusal> {
        self.context.as_ref().ok_or_else(|| refusal(NO_CONTEXT))
    }
}

/// How long the demonstration waits for an answer; the processes themselves wait for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const NO_CONTEXT: &str = "this process has no context";

fn refusal(reason: &str) -> Refusal {
    Refusal {
        status: super::report::status(baton::Major::NoContext),
        reason: reason.to_owned(),
    }
}

fn encode(done: Result<Vec<u8>, Refusal>) -> Vec<u8> {
    match done {
        Ok(bytes) => [b"+", &bytes[..]].concat(),
        Err(Refusal { status, reason }) => format!("-{status}\n{reason}").into_bytes(),
    }
}

/// What [`encode`] made.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    match bytes.split_first() {
        Some((b'+', bytes)) => Ok(bytes.to_vec()),
        Some((_, refusal)) => {
            let text = String::from_utf8_lossy(refusal);
            let (status, reason) = text.split_once('\n').unwrap_or((&text, ""));
            Err(Refusal {
                status: status.to_owned(),
                reason: reason.to_owned(),
            })
        }
        None => Err(refusal("an empty answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_through() {
        assert_eq!(decode(&encode(Ok(b"-x".to_vec()))), Ok(b"-x".to_vec()));
        let refused = refusal("one\ntwo");
        assert_eq!(decode(&encode(Err(refused.clone()))), Err(refused));
    }
}
