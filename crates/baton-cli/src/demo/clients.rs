//! The clients: threads that speak with the service through the front door, as `baton connect` does.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use baton::{Context, Credential, Environment, Flags, Initiator, Name, Order, Step};

use super::part::PATIENCE;
use crate::knc;

/// The service's name.
pub(crate) const SERVICE: &str = "host@localhost";
const THREADS: usize = 8;
/// The messages of one conversation.
const LENGTHS: [usize; 4] = [5, 300, 4_000, 20_000];

/// Who the clients are and where they go.
pub(crate) struct Clients {
    pub(crate) env: Environment,
    pub(crate) users: Vec<(String, Credential)>,
    pub(crate) door: SocketAddr,
}

/// An established conversation.
pub(crate) struct Conversation {
    context: Context,
    socket: TcpStream,
    /// How long it took from the connection to the context.
    pub(crate) handshake: Duration,
    /// What the client began with.
    pub(crate) request: Vec<u8>,
    counts: Counts,
}

/// What a client has sent and had back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// What many conversations came to.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) counts: Counts,
    pub(crate) handshakes: Vec<Duration>,
    pub(crate) took: Duration,
}

impl Clients {
    /// A handshake of one of the users.
    pub(crate) fn connect(&self, number: usize) -> Result<Conversation, String> {
        let (_, credential) = &self.users[number % self.users.len()];
        let flags = Flags::MUTUAL | Flags::SEQUENCE | Flags::REPLAY | Flags::CONF | Flags::INTEG;
        let name = Name::hostbased_service(SERVICE);
        let begun = Instant::now();
        let mut socket = connect(self.door).map_err(text)?;
        let start = Initiator::new(&self.env, credential, &name)
            .flags(flags)
            .start();
        let Step::Continue { token, next } = start.map_err(text)? else {
            return Err("the service would not prove itself".to_owned());
        };
        socket.write_all(&knc::frame(&token)).map_err(text)?;
        let answer = read_frame(&mut socket)?.ok_or("the front door closed the connection")?;
        match next.step(&answer).map_err(|failure| text(failure.error))? {
            Step::Done { context, .. } => Ok(Conversation {
                context,
                socket,
                handshake: begun.elapsed(),
                request: token,
                counts: Counts::default(),
            }),
            Step::Continue { .. } => Err("the handshake does not end".to_owned()),
        }
    }

    /// As many whole conversations, several at once.
    pub(crate) fn converse(&self, conversations: usize) -> Result<Figures, String> {
        let (next, figures) = (AtomicUsize::new(0), Mutex::new(Figures::default()));
        let begun = Instant::now();
        let results = thread::scope(|scope| {
            let work = || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= conversations {
                        return Ok(());
                    }
                    let mut conversation = self.connect(number)?;
                    for length in LENGTHS {
                        conversation.echo(length)?;
                    }
                    let (handshake, counts) = (conversation.handshake, conversation.finish()?);
                    let mut figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
                    figures.handshakes.push(handshake);
                    figures.counts += counts;
                }
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended.collect::<Vec<Result<Result<(), String>, _>>>()
        });
        for result in results {
            result.map_err(|_| "a client's thread failed")??;
        }
        let mut figures = figures.into_inner().unwrap_or_else(PoisonError::into_inner);
        figures.took = begun.elapsed();
        Ok(figures)
    }

    /// Sends `request` as it is, from the port that it gives with the connection.
    pub(crate) fn send_request(&self, request: &[u8]) -> Result<(TcpStream, u16), String> {
        let mut socket = connect(self.door).map_err(text)?;
        let port = socket.local_addr().map_err(text)?.port();
        socket.write_all(&knc::frame(request)).map_err(text)?;
        Ok((socket, port))
    }
}

impl Conversation {
    /// Sends a message and has it back, whole, encrypted and in order.
    pub(crate) fn echo(&mut self, length: usize) -> Result<(), String> {
        let message: Vec<u8> = (0..length).map(|at| (at * 31 + length) as u8).collect();
        let sealed = self.context.wrap(true, &message).map_err(text)?;
        self.socket.write_all(&knc::frame(&sealed)).map_err(text)?;
        let mut back = Vec::with_capacity(length);
        while back.len() < length {
            let token = read_frame(&mut self.socket)?.ok_or("the conversation ended early")?;
            let part = self.context.unwrap(&token).map_err(text)?;
            if part.order != Order::InOrder || !part.confidential {
                return Err("a message came out of order or in clear".to_owned());
            }
            back.extend(part.data);
        }
        if back != message {
            return Err("another message came back than was sent".to_owned());
        }
        self.counts += Counts {
            messages: 2,
            bytes: 2 * length,
        };
        Ok(())
    }

    /// Ends it, and waits for the service's end.
    pub(crate) fn finish(mut self) -> Result<Counts, String> {
        self.socket.shutdown(Shutdown::Write).map_err(text)?;
        match read_frame(&mut self.socket)? {
            None => Ok(self.counts),
            Some(_) => Err("more came back than was sent".to_owned()),
        }
    }

    /// The client's port, by which the front door's log knows it.
    pub(crate) fn port(&self) -> Result<u16, String> {
        Ok(self.socket.local_addr().map_err(text)?.port())
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// The next frame's token; none at the end.
fn read_frame(socket: &mut TcpStream) -> Result<Option<Vec<u8>>, String> {
    let mut length = [0; knc::HEADER];
    match socket.read(&mut length).map_err(text)? {
        0 => return Ok(None),
        count => socket.read_exact(&mut length[count..]).map_err(text)?,
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > knc::DEFAULT_MAX_TOKEN {
        return Err("a frame is too long".to_owned());
    }
    let mut token = vec![0; length];
    socket.read_exact(&mut token).map_err(text)?;
    Ok(Some(token))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
