//! A client's connection in a worker: from the moment it arrives until it ends or moves on.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use baton::Context;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::process::Pid;
use thiserror::Error;

use super::relay::{Broken, Carried, Relay, Scratch, Turn};
use super::service::{Attempt, Client, Service, Target};
use crate::passing::Parcel;
use crate::state::State;

/// How long the service may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// What all conversations of a worker have in common.
pub(crate) struct Rules {
    pub(crate) target: Target,
    pub(crate) max_token: usize,
    /// `None`: never.
    pub(crate) idle: Option<Duration>,
}

/// Why a conversation ended before both sides had finished.
#[derive(Debug, Error)]
pub(crate) enum Cause {
    #[error("{0}")]
    Broken(#[from] Broken),
    #[error("the service cannot be reached: {0}")]
    Unreachable(io::Error),
    #[error("nothing was said for {} seconds", .0.as_secs())]
    Idle(Duration),
    #[error("its socket cannot be used: {0}")]
    Socket(#[from] io::Error),
}

/// What the worker is to do with it.
pub(crate) enum Next {
    /// Wait for its sockets or its time.
    Wait,
    /// Give it another turn.
    Again,
    /// It is over.
    End(Result<(), Cause>),
}

pub(crate) struct Conversation {
    pub(crate) client: Client,
    since: Instant,
    last: Instant,
    stage: Stage,
    /// Programs started for it and not seen to end.
    pub(crate) program: Option<Pid>,
}

enum Stage {
    Opening(Opening),
    Open(Relay<Context, TcpStream, Service>),
    /// Between two others, or over.
    Gone,
}

/// The service has not answered yet.
struct Opening {
    context: Context,
    socket: TcpStream,
    carried: Carried,
    pending: Option<Service>,
    attempt: usize,
    /// When the next address has its turn.
    attempt_until: Instant,
    until: Instant,
}

/// The tokens of a conversation's two sockets.
#[derive(Clone, Copy)]
pub(crate) struct Tokens {
    pub(crate) client: Token,
    pub(crate) service: Token,
}

impl Conversation {
    /// Begins, or goes on with, what a parcel holds.
    pub(crate) fn unpack(
        parcel: Parcel,
        rules: &Rules,
        registry: &Registry,
        tokens: Tokens,
    ) -> Result<(Self, Next), (Client, Cause)> {
        let client = client_of(&parcel.context, parcel.state.address);
        match Self::start(parcel, &client, rules, registry, tokens) {
            Ok(stage) => {
                let now = Instant::now();
                let mut conversation = Self {
                    client,
                    since: now,
                    last: now,
                    stage,
                    program: None,
                };
                let next = match conversation.stage {
                    Stage::Opening(_) => conversation.open(rules, registry, tokens),
                    _ => Next::Again,
                };
                Ok((conversation, next))
            }
            Err(cause) => Err((client, cause)),
        }
    }

    fn start(
        parcel: Parcel,
        client: &Client,
        rules: &Rules,
        registry: &Registry,
        tokens: Tokens,
    ) -> Result<Stage, Cause> {
        let socket = std::net::TcpStream::from(parcel.client);
        socket.set_nonblocking(true)?;
        // Frames are written whole, so waiting for more to send would only delay them.
        socket.set_nodelay(true)?;
        // A client that has vanished without a word is noticed, however long it may be silent.
        rustix::net::sockopt::set_socket_keepalive(&socket, true).map_err(io::Error::from)?;
        let mut socket = TcpStream::from_std(socket);
        registry.register(&mut socket, tokens.client, BOTH)?;
        let State {
            service,
            mut carried,
            ..
        } = parcel.state;
        match (parcel.service, service) {
            (Some(fd), Some(tcp)) => {
                let mut service = Service::from_fd(fd, tcp)?;
                registry.register(&mut service, tokens.service, BOTH)?;
                let relay = Relay::new(parcel.context, socket, service, rules.max_token, carried);
                Ok(Stage::Open(relay))
            }
            _ => {
                carried.to_service = rules.target.greeting(client);
                let now = Instant::now();
                let until = now + CONNECT_TIMEOUT;
                Ok(Stage::Opening(Opening {
                    context: parcel.context,
                    socket,
                    carried,
                    pending: None,
                    attempt: 0,
                    attempt_until: share(now, until, rules.target.attempts()),
                    until,
                }))
            }
        }
    }

    /// Notes what the poll said, and goes on.
    pub(crate) fn event(
        &mut self,
        event: &Event,
        rules: &Rules,
        registry: &Registry,
        tokens: Tokens,
        scratch: &mut Scratch,
    ) -> Next {
        match &mut self.stage {
            Stage::Open(relay) => {
                match event.token() == tokens.client {
                    true => relay.client_ready.note(event),
                    false => relay.service_ready.note(event),
                }
                self.turn(scratch)
            }
            Stage::Opening(_) if event.token() == tokens.service => {
                self.open(rules, registry, tokens)
            }
            Stage::Opening(_) | Stage::Gone => Next::Wait,
        }
    }

    /// Moves what can be moved.
    pub(crate) fn turn(&mut self, scratch: &mut Scratch) -> Next {
        let Stage::Open(relay) = &mut self.stage else {
            return Next::Wait;
        };
        let before = relay.counts();
        let turn = relay.turn(scratch);
        if relay.counts() != before {
            self.last = Instant::now();
        }
        match turn {
            Ok(Turn::Waits) => Next::Wait,
            Ok(Turn::Yields) => Next::Again,
            Ok(Turn::Ended) => Next::End(Ok(())),
            Err(broken) => Next::End(Err(broken.into())),
        }
    }

    /// Looks at the time.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        rules: &Rules,
        registry: &Registry,
        tokens: Tokens,
    ) -> Next {
        match &self.stage {
            Stage::Opening(opening) if now >= opening.until => {
                Next::End(Err(Cause::Unreachable(ErrorKind::TimedOut.into())))
            }
            Stage::Opening(opening)
                if opening.pending.is_none() || now >= opening.attempt_until =>
            {
                self.open(rules, registry, tokens)
            }
            Stage::Open(relay) if relay.lingers_until().is_some_and(|until| now >= until) => {
                Next::End(Ok(()))
            }
            Stage::Open(_) => match rules.idle {
                Some(idle) if now.duration_since(self.last) >= idle => {
                    Next::End(Err(Cause::Idle(idle)))
                }
                _ => Next::Wait,
            },
            Stage::Opening(_) | Stage::Gone => Next::Wait,
        }
    }

    /// Whether its time has to be looked at often.
    pub(crate) fn is_timed(&self) -> bool {
        match &self.stage {
            Stage::Opening(_) => true,
            Stage::Open(relay) => relay.lingers_until().is_some(),
            Stage::Gone => false,
        }
    }

    fn open(&mut self, rules: &Rules, registry: &Registry, tokens: Tokens) -> Next {
        let Stage::Opening(mut opening) = std::mem::replace(&mut self.stage, Stage::Gone) else {
            return Next::Wait;
        };
        match opening.reach(rules, &self.client, registry, tokens) {
            Ok(Some((service, program))) => {
                self.program = program;
                self.stage = Stage::Open(Relay::new(
                    opening.context,
                    opening.socket,
                    service,
                    rules.max_token,
                    opening.carried,
                ));
                Next::Again
            }
            Ok(None) => {
                self.stage = Stage::Opening(opening);
                Next::Wait
            }
            Err(error) => Next::End(Err(Cause::Unreachable(error))),
        }
    }

    /// Takes it apart so that another worker can go on, if it is at a point where that can be.
    pub(crate) fn pack(self, registry: &Registry) -> Result<Packed, Box<Self>> {
        let Self {
            client,
            since,
            last,
            stage,
            program,
        } = self;
        match stage {
            Stage::Opening(mut opening) => {
                let _ = registry.deregister(&mut opening.socket);
                if let Some(service) = &mut opening.pending {
                    let _ = registry.deregister(service);
                }
                opening.carried.to_service.clear();
                Ok(Packed {
                    state: State {
                        address: client.address,
                        service: None,
                        carried: opening.carried,
                    },
                    context: opening.context,
                    socket: opening.socket,
                    service: None,
                    client,
                })
            }
            Stage::Open(mut relay) if relay.lingers_until().is_none() => {
                let _ = registry.deregister(&mut relay.client);
                let _ = registry.deregister(&mut relay.service);
                let state = State {
                    address: client.address,
                    service: Some(relay.service.is_tcp()),
                    carried: relay.carried(),
                };
                Ok(Packed {
                    state,
                    context: relay.protection,
                    socket: relay.client,
                    service: Some(relay.service),
                    client,
                })
            }
            stage => Err(Box::new(Self {
                client,
                since,
                last,
                stage,
                program,
            })),
        }
    }

    /// Who it was and what was said, for the log.
    pub(crate) fn log_end(&self, result: &Result<(), Cause>) {
        let [up, down] = match &self.stage {
            Stage::Open(relay) => relay.counts(),
            Stage::Opening(_) | Stage::Gone => [0, 0],
        };
        let Client {
            principal, address, ..
        } = &self.client;
        let seconds = self.since.elapsed().as_secs_f64();
        match result {
            Ok(()) => tracing::info!(
                target: "serve",
                "{principal} from {address} has finished: {up} bytes to the service, {down} to the client, {seconds:.3} s"
            ),
            Err(cause) => tracing::warn!(
                target: "serve",
                "{principal} from {address} was broken off: {cause}; {up} bytes to the service, {down} to the client, {seconds:.3} s"
            ),
        }
    }
}

/// A conversation taken apart.
pub(crate) struct Packed {
    pub(crate) context: Context,
    pub(crate) socket: TcpStream,
    pub(crate) service: Option<Service>,
    pub(crate) state: State,
    pub(crate) client: Client,
}

impl Packed {
    /// The conversation goes on in this worker.
    pub(crate) fn unpack(
        self,
        rules: &Rules,
        registry: &Registry,
        tokens: Tokens,
    ) -> Result<(Conversation, Next), (Client, Cause)> {
        let parcel = Parcel {
            context: self.context,
            client: into_fd(self.socket),
            service: self.service.map(OwnedFd::from),
            state: self.state,
        };
        Conversation::unpack(parcel, rules, registry, tokens)
    }
}

fn into_fd(socket: TcpStream) -> OwnedFd {
    OwnedFd::from(std::net::TcpStream::from(socket))
}

impl Opening {
    /// The service, once it is reached. Tries one address after another.
    fn reach(
        &mut self,
        rules: &Rules,
        client: &Client,
        registry: &Registry,
        tokens: Tokens,
    ) -> io::Result<Option<(Service, Option<Pid>)>> {
        loop {
            let failed = match self.pending.take() {
                Some(service) => match service.connected() {
                    Ok(true) => return Ok(Some((service, None))),
                    // An address that does not answer leaves time for the others.
                    Ok(false) if Instant::now() >= self.attempt_until => ErrorKind::TimedOut.into(),
                    Ok(false) => {
                        self.pending = Some(service);
                        return Ok(None);
                    }
                    Err(error) => error,
                },
                None => match rules.target.connect(self.attempt, client) {
                    Ok(Attempt::Later) => return Ok(None),
                    Ok(Attempt::Open(mut service)) => {
                        registry.register(&mut service, tokens.service, BOTH)?;
                        return Ok(Some((service, None)));
                    }
                    Ok(Attempt::Started(mut service, program)) => {
                        registry.register(&mut service, tokens.service, BOTH)?;
                        return Ok(Some((service, Some(program))));
                    }
                    Ok(Attempt::Pending(mut service)) => {
                        registry.register(&mut service, tokens.service, BOTH)?;
                        self.pending = Some(service);
                        return Ok(None);
                    }
                    Err(error) => error,
                },
            };
            self.attempt += 1;
            if self.attempt >= rules.target.attempts() {
                return Err(failed);
            }
            let left = rules.target.attempts() - self.attempt;
            self.attempt_until = share(Instant::now(), self.until, left);
        }
    }
}

/// Until when the first of `attempts` goes on, so that the others have as long.
fn share(now: Instant, until: Instant, attempts: usize) -> Instant {
    let attempts = u32::try_from(attempts.max(1)).unwrap_or(u32::MAX);
    now + until.saturating_duration_since(now) / attempts
}

/// The client of a context, as the service is told of it.
pub(crate) fn client_of(context: &Context, address: SocketAddr) -> Client {
    let facts = context.facts();
    Client {
        principal: facts.initiator.to_string(),
        export_name: export_name(facts.mechanism.bytes(), facts.initiator.text()),
        address,
    }
}

/// The contiguous string of RFC 2743 §3.2.
fn export_name(mechanism: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = vec![4, 1];
    out.extend((mechanism.len() as u16 + 2).to_be_bytes());
    out.extend([6, mechanism.len() as u8]);
    out.extend(mechanism);
    out.extend((name.len() as u32).to_be_bytes());
    out.extend(name);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_share_the_time() {
        let now = Instant::now();
        let until = now + Duration::from_secs(12);
        for (attempts, seconds) in [(0, 12), (1, 12), (2, 6), (3, 4)] {
            let expected = now + Duration::from_secs(seconds);
            assert_eq!(share(now, until, attempts), expected, "{attempts}");
        }
        assert_eq!(share(until, now, 2), until, "none is left");
    }

    #[test]
    fn an_exported_name_has_the_standards_shape() {
        let name = export_name(&[0x2a, 0x86], b"al@R");
        let expected = [&[4, 1, 0, 4, 6, 2, 0x2a, 0x86, 0, 0, 0, 4][..], b"al@R"].concat();
        assert_eq!(name, expected);
    }
}
