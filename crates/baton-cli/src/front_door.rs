//! The front door: listens, does the handshakes, and hands each client that may come in to a worker. It holds the keytab and
//! never touches a client's data.

pub(crate) mod authorise;
mod greeting;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use baton::transfer::Channel;
use baton::{Credential, Environment};
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::process::{Pid, WaitOptions, WaitStatus, getpid, set_child_subreaper, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use self::authorise::Authorisation;
use self::greeting::{Established, Greeting, Outcome, Refusal, Service};
use self::workers::{Starter, Worker};
use crate::control::{Order, Report, VERSIONS};
use crate::knc::Incoming;
use crate::passing;
use crate::serve::resolve;
use crate::signals::Signals;
use crate::state::State;
use crate::user::User;
use crate::worker::WorkerArgs;
use crate::worker::relay::Carried;

const SIGNALS: Token = Token(0);
const FIRST_LISTENER: usize = 1;
/// From here on, the even tokens are workers, the odd ones handshakes.
const FIRST: usize = 1024;
const READ: Interest = Interest::READABLE;
/// How many connections are accepted at once before others have their turn.
const ARRIVALS: usize = 64;
/// How many reports of one worker are read at once.
const REPORTS: usize = 64;
/// How often that many are read of one that has ended: more than its socket holds.
const LAST_TURNS: usize = 16;
/// How long a new generation of workers may take to be ready.
const STARTING: Duration = Duration::from_secs(15);
/// A worker that lived for less is not replaced at once.
const TOO_SHORT: Duration = Duration::from_secs(1);
/// How often what cannot go on is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// What the command line says.
pub(crate) struct Settings {
    pub(crate) workers: u16,
    pub(crate) user: Option<User>,
    pub(crate) worker: WorkerArgs,
    pub(crate) forward: Option<String>,
    pub(crate) authorisation: Authorisation,
    pub(crate) max_connections: usize,
    pub(crate) max_handshakes: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) drain_timeout: Duration,
}

pub(crate) struct FrontDoor {
    limits: Limits,
    service: Service,
    starter: Starter,
    forward: Option<String>,
    poll: Poll,
    signals: Signals,
    listeners: Vec<TcpListener>,
    /// When to accept again, where connections may be waiting.
    accept_at: Option<Instant>,
    /// By number, so that the oldest is the first.
    greetings: BTreeMap<usize, Greeting>,
    next_greeting: usize,
    /// Clients for whom no worker had room.
    waiting: VecDeque<Established>,
    workers: BTreeMap<usize, Worker>,
    next_worker: usize,
    /// Workers that may have more to say.
    reports_left: BTreeSet<usize>,
    generation: u64,
    /// A generation that takes over when all of it is ready.
    coming: Option<Coming>,
    /// Workers to be started, and when.
    due: Vec<(Instant, u16)>,
    listening: bool,
    /// Set when we have been told to end.
    ends_at: Option<Instant>,
}

struct Limits {
    workers: u16,
    connections: usize,
    handshakes: usize,
    handshake_timeout: Duration,
    drain_timeout: Duration,
}

struct Coming {
    generation: u64,
    deadline: Instant,
}

impl FrontDoor {
    pub(crate) fn new(
        settings: Settings,
        env: Environment,
        credential: Credential,
        listeners: Vec<std::net::TcpListener>,
    ) -> Result<Self, Box<dyn Error>> {
        // Programs of workers that have ended come to us, to be waited for.
        set_child_subreaper(Some(getpid()))?;
        let poll = Poll::new()?;
        let signals = Signals::new(&[SIGHUP, SIGINT, SIGTERM, SIGCHLD])?;
        register(&poll, &signals, SIGNALS)?;
        let listeners = listeners
            .into_iter()
            .map(|listener| {
                listener.set_nonblocking(true)?;
                Ok(TcpListener::from_std(listener))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            limits: Limits {
                workers: settings.workers,
                connections: settings.max_connections,
                handshakes: settings.max_handshakes,
                handshake_timeout: settings.handshake_timeout,
                drain_timeout: settings.drain_timeout,
            },
            service: Service {
                env,
                credential,
                authorisation: settings.authorisation,
            },
            starter: Starter::new(settings.user, settings.worker)?,
            forward: settings.forward,
            poll,
            signals,
            listeners,
            accept_at: None,
            greetings: BTreeMap::new(),
            next_greeting: 0,
            waiting: VecDeque::new(),
            workers: BTreeMap::new(),
            next_worker: 0,
            reports_left: BTreeSet::new(),
            generation: 1,
            coming: None,
            due: Vec::new(),
            listening: false,
            ends_at: None,
        })
    }

    /// Serves until told to end.
    pub(crate) fn run(mut self) -> Result<(), Box<dyn Error>> {
        for number in 0..self.limits.workers {
            self.start(self.generation, number)
                .map_err(|error| format!("a worker cannot be started: {error}"))?;
        }
        let mut events = Events::with_capacity(1024);
        while !self.is_done() {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => other?,
            }
            for event in &events {
                self.event(event.token())?;
            }
            for id in std::mem::take(&mut self.reports_left) {
                self.reports(id)?;
            }
            if self.accept_at.is_some_and(|when| when <= Instant::now()) {
                self.accept_at = None;
                self.accept();
            }
            self.tick();
        }
        tracing::info!(target: "serve", "ended");
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.ends_at.is_some() && self.workers.is_empty()
    }

    fn event(&mut self, token: Token) -> Result<(), Box<dyn Error>> {
        match token {
            SIGNALS => self.signalled()?,
            Token(token) if token < FIRST => self.accept(),
            Token(token) if token.is_multiple_of(2) => self.reports((token - FIRST) / 2)?,
            Token(token) => self.greet((token - FIRST) / 2),
        }
        Ok(())
    }

    // Clients.

    fn accept(&mut self) {
        for index in 0..self.listeners.len() {
            for turn in 0.. {
                if turn == ARRIVALS {
                    self.accept_at = Some(Instant::now());
                    break;
                }
                match self.listeners[index].accept() {
                    Ok((socket, address)) => self.admit(socket, address),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // The client has gone before we came.
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        tracing::error!(target: "serve", "accepting: {error}");
                        self.accept_at = Some(Instant::now() + RETRY);
                        break;
                    }
                }
            }
        }
    }

    fn admit(&mut self, mut socket: mio::net::TcpStream, address: SocketAddr) {
        if self.connections() >= self.limits.connections {
            tracing::warn!(target: "serve", "refused {address}: {} connections are the limit", self.limits.connections);
            return;
        }
        if self.greetings.len() >= self.limits.handshakes
            && let Some((_, oldest)) = self.greetings.pop_first()
        {
            refuse(oldest.address, &Refusal::PushedOut);
        }
        let number = self.next_greeting;
        self.next_greeting += 1;
        let token = Token(FIRST + 2 * number + 1);
        let interest = READ | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut socket, token, interest) {
            refuse(address, &Refusal::Connection(error));
            return;
        }
        let _ = socket.set_nodelay(true);
        let deadline = Instant::now() + self.limits.handshake_timeout;
        let greeting = Greeting::new(socket, address, deadline);
        self.greetings.insert(number, greeting);
        self.greet(number);
    }

    fn connections(&self) -> usize {
        let carried: usize = self.workers.values().map(Worker::load).sum();
        carried + self.greetings.len() + self.waiting.len()
    }

    fn greet(&mut self, number: usize) {
        let Some(greeting) = self.greetings.remove(&number) else {
            return;
        };
        let address = greeting.address;
        match greeting.go_on(&self.service) {
            Outcome::Waits(greeting) => drop(self.greetings.insert(number, greeting)),
            Outcome::Refused(refusal) => refuse(address, &refusal),
            Outcome::Established(mut established) => {
                // What is polled here is the same open socket that the worker gets.
                let _ = self.poll.registry().deregister(&mut established.socket);
                if let Some(established) = self.hand_over(established) {
                    self.waiting.push_back(established);
                }
            }
        }
    }

    /// Hands a client to the worker that has least to carry; gives it back if none has room.
    fn hand_over(&mut self, established: Established) -> Option<Established> {
        let mut ready: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.is_ready && worker.generation == self.generation)
            .map(|(id, worker)| (worker.load(), worker.sent(), *id))
            .collect();
        ready.sort_unstable();
        let Established {
            socket,
            address,
            deadline,
            mut context,
            received,
        } = established;
        let name = context.facts().initiator.to_string();
        let state = State {
            address,
            service: None,
            carried: Carried {
                frames: received,
                incoming: Incoming::default(),
                ..Carried::default()
            },
        };
        for (.., id) in ready {
            let Some(worker) = self.workers.get_mut(&id) else {
                continue;
            };
            let Some(channel) = &worker.passing else {
                continue;
            };
            match passing::send(channel, context, socket.as_fd(), None, &state) {
                Ok(()) => {
                    worker.note_sent();
                    tracing::info!(target: "serve", "{name} from {address} is with worker {} (process {})", worker.name, worker.pid);
                    return None;
                }
                Err((back, error)) if passing::would_block(&error) => context = back,
                Err((back, error)) if passing::is_gone(&error) => {
                    worker.note_failed();
                    worker.passing = None;
                    context = back;
                }
                Err((_, error)) => {
                    worker.note_failed();
                    refuse(address, &Refusal::NotHandedOver { name, error });
                    return None;
                }
            }
        }
        Some(Established {
            socket,
            address,
            deadline,
            context,
            received: state.carried.frames,
        })
    }

    // Workers.

    fn start(&mut self, generation: u64, number: u16) -> io::Result<()> {
        let worker = self.starter.start(generation, number)?;
        let id = self.next_worker;
        self.next_worker += 1;
        let token = Token(FIRST + 2 * id);
        register(&self.poll, &worker.control, token)?;
        tracing::info!(target: "serve", "worker {} is process {}", worker.name, worker.pid);
        self.workers.insert(id, worker);
        Ok(())
    }

    /// What a worker says, up to a number; a worker that says more has its next turn after the others.
    fn reports(&mut self, id: usize) -> Result<(), Box<dyn Error>> {
        for _ in 0..REPORTS {
            let Some(worker) = self.workers.get_mut(&id).filter(|w| w.is_believed()) else {
                return Ok(());
            };
            match Report::receive(&worker.control) {
                Ok(Some(Report::Ready(versions))) => match versions.agree(VERSIONS) {
                    Some(version) if version == VERSIONS.newest => {
                        worker.is_ready = true;
                        self.ready()?;
                    }
                    _ => {
                        tracing::error!(target: "serve", "worker {} reads versions {} to {} of a connection's state, not {}", worker.name, versions.oldest, versions.newest, VERSIONS.newest);
                        worker.condemn();
                        return Ok(());
                    }
                },
                Ok(Some(Report::Load { carried, received })) => {
                    if !worker.note_load(carried, received) {
                        tracing::error!(target: "serve", "worker {} reports {received} connections, which cannot be: {} were handed to it", worker.name, worker.sent());
                        worker.condemn();
                        return Ok(());
                    }
                }
                Ok(Some(Report::HandedOver { given, kept })) => {
                    tracing::info!(target: "serve", "worker {} has handed {given} conversations over and keeps {kept} until they end", worker.name);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::InvalidData => {}
                // It has ended, and will be waited for.
                Ok(None) | Err(_) => return Ok(()),
            }
        }
        self.reports_left.insert(id);
        Ok(())
    }

    /// A worker has become ready.
    fn ready(&mut self) -> Result<(), Box<dyn Error>> {
        let generation = match &self.coming {
            Some(coming) => coming.generation,
            None => self.generation,
        };
        let ready = self
            .workers
            .values()
            .filter(|worker| worker.generation == generation && worker.is_ready)
            .count();
        if ready < usize::from(self.limits.workers) {
            return Ok(());
        }
        if !self.listening {
            self.listen()?;
        }
        if self.coming.take().is_some() {
            self.change_generation(generation);
        }
        Ok(())
    }

    fn listen(&mut self) -> io::Result<()> {
        self.listening = true;
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            let token = Token(FIRST_LISTENER + index);
            self.poll.registry().register(listener, token, READ)?;
            tracing::info!(target: "serve", "listening on {}", listener.local_addr()?);
        }
        Ok(())
    }

    /// SIGHUP: starts the workers that are to take over.
    fn replace_workers(&mut self) {
        if self.ends_at.is_some() {
            return;
        }
        if self.coming.is_some() || !self.listening {
            tracing::warn!(target: "serve", "workers are being started already");
            return;
        }
        if let Some(service) = &self.forward {
            match resolve(service) {
                Ok(addresses) => self.starter.args.forward = addresses,
                Err(error) => {
                    tracing::warn!(target: "serve", "the service's addresses stay as they were: {error}")
                }
            }
        }
        let generation = 1 + self
            .workers
            .values()
            .map(|w| w.generation)
            .max()
            .unwrap_or(self.generation)
            .max(self.generation);
        self.coming = Some(Coming {
            generation,
            deadline: Instant::now() + STARTING,
        });
        for number in 0..self.limits.workers {
            if let Err(error) = self.start(generation, number) {
                self.give_up_coming(&format!("a worker cannot be started: {error}"));
                return;
            }
        }
    }

    fn give_up_coming(&mut self, why: &str) {
        let Some(coming) = self.coming.take() else {
            return;
        };
        tracing::error!(target: "serve", "the workers stay as they are: {why}");
        for worker in self
            .workers
            .values()
            .filter(|w| w.generation == coming.generation)
        {
            worker.kill();
        }
    }

    /// The workers of `generation` take over.
    fn change_generation(&mut self, generation: u64) {
        let old = std::mem::replace(&mut self.generation, generation);
        self.due.clear();
        let new: Vec<usize> = self.ids_of(generation);
        for (id, taker) in self.ids_of(old).into_iter().zip(new.iter().cycle()) {
            if let Err(error) = self.order_handover(id, *taker) {
                tracing::error!(target: "serve", "conversations stay with their worker until they end: {error}");
            }
            if let Some(worker) = self.workers.get_mut(&id) {
                // It takes what is on its way, and then no more.
                worker.passing = None;
            }
        }
        tracing::info!(target: "serve", "generation {generation} of workers has taken over");
    }

    fn ids_of(&self, generation: u64) -> Vec<usize> {
        let of = |(id, worker): (&usize, &Worker)| (worker.generation == generation).then_some(*id);
        self.workers.iter().filter_map(of).collect()
    }

    fn order_handover(&self, from: usize, to: usize) -> io::Result<()> {
        let (Some(from), Some(to)) = (self.workers.get(&from), self.workers.get(&to)) else {
            return Ok(());
        };
        let (one, other) = Channel::pair()?;
        Order::TakeOver(other.into_descriptor()).send(&to.control)?;
        Order::HandOver(one.into_descriptor()).send(&from.control)
    }

    fn reap(&mut self) -> Result<(), Box<dyn Error>> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let id = self
                .workers
                .iter()
                .find_map(|(id, worker)| (worker.pid == pid).then_some(*id));
            // Otherwise it was a program that a worker left behind.
            if let Some(id) = id {
                // What it has said before its end, which is no more than its socket holds.
                for _ in 0..LAST_TURNS {
                    self.reports_left.remove(&id);
                    self.reports(id)?;
                    if !self.reports_left.contains(&id) {
                        break;
                    }
                }
                self.reports_left.remove(&id);
                if let Some(worker) = self.workers.remove(&id) {
                    self.ended(&worker, pid, status)?;
                }
            }
        }
        Ok(())
    }

    fn ended(
        &mut self,
        worker: &Worker,
        pid: Pid,
        status: WaitStatus,
    ) -> Result<(), Box<dyn Error>> {
        let Worker { name, .. } = worker;
        let how = describe(status);
        let expected = worker.generation < self.generation || self.ends_at.is_some();
        if expected && status.exit_status() == Some(0) {
            tracing::info!(target: "serve", "worker {name} (process {pid}) has ended");
            return Ok(());
        }
        let lost = worker.load();
        tracing::error!(target: "serve", "worker {name} (process {pid}) {how}; {lost} conversations are lost");
        if let Some(coming) = &self.coming
            && coming.generation == worker.generation
        {
            self.give_up_coming("a new one did not live");
        } else if !self.listening {
            return Err(format!("worker {name} {how} before it was ready").into());
        } else if worker.generation == self.generation && self.ends_at.is_none() {
            let number = name
                .rsplit('.')
                .next()
                .and_then(|number| number.parse().ok());
            let now = Instant::now();
            let short = worker.started.elapsed() < TOO_SHORT;
            let when = if short { now + TOO_SHORT } else { now };
            self.due.push((when, number.unwrap_or(0)));
        }
        Ok(())
    }

    // Signals and time.

    fn signalled(&mut self) -> Result<(), Box<dyn Error>> {
        for signal in self.signals.take() {
            match signal {
                SIGCHLD => self.reap()?,
                SIGHUP => self.replace_workers(),
                SIGINT | SIGTERM => self.end(),
                _ => {}
            }
        }
        Ok(())
    }

    /// SIGTERM: no new clients; a second one does not wait for those that are here.
    fn end(&mut self) {
        let now = Instant::now();
        if self.ends_at.is_some() {
            self.ends_at = Some(now);
            return;
        }
        for mut listener in self.listeners.drain(..) {
            let _ = self.poll.registry().deregister(&mut listener);
        }
        self.due.clear();
        self.give_up_coming("the program ends");
        self.ends_at = Some(now + self.limits.drain_timeout);
        tracing::info!(target: "serve", "ending: {} connections have {:?} to end", self.connections(), self.limits.drain_timeout);
    }

    fn tick(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.greetings.first_entry() {
            if entry.get().deadline > now {
                break;
            }
            refuse(entry.get().address, &Refusal::TooLong);
            entry.remove();
        }
        for _ in 0..self.waiting.len() {
            let Some(established) = self.waiting.pop_front() else {
                break;
            };
            if established.deadline <= now {
                refuse(established.address, &Refusal::NoWorker);
            } else if let Some(established) = self.hand_over(established) {
                self.waiting.push_back(established);
            }
        }
        if self
            .coming
            .as_ref()
            .is_some_and(|coming| coming.deadline <= now)
        {
            self.give_up_coming("new ones were not ready in time");
        }
        let due = std::mem::take(&mut self.due);
        for (when, number) in due {
            if when > now {
                self.due.push((when, number));
            } else if let Err(error) = self.start(self.generation, number) {
                tracing::error!(target: "serve", "a worker cannot be started: {error}");
                self.due.push((now + TOO_SHORT, number));
            }
        }
        self.tick_ending(now);
    }

    fn tick_ending(&mut self, now: Instant) {
        let Some(ends_at) = self.ends_at else {
            return;
        };
        if self.greetings.is_empty() && self.waiting.is_empty() {
            for worker in self.workers.values_mut() {
                worker.passing = None;
            }
        }
        if ends_at <= now {
            self.greetings.clear();
            self.waiting.clear();
            let left: usize = self.workers.values().map(Worker::load).sum();
            if left > 0 {
                tracing::warn!(target: "serve", "{left} conversations are broken off");
            }
            for worker in self.workers.values() {
                worker.kill();
            }
            // They are waited for, and this is not said again.
            self.ends_at = Some(now + STARTING);
        }
    }

    /// How long there is nothing to do but wait for events.
    fn patience(&self) -> Option<Duration> {
        let now = Instant::now();
        if !self.reports_left.is_empty() {
            return Some(Duration::ZERO);
        }
        let greeting = self.greetings.first_key_value().map(|(_, g)| g.deadline);
        let waiting = self.waiting.front().map(|_| now + RETRY);
        let coming = self.coming.as_ref().map(|coming| coming.deadline);
        let due = self.due.iter().map(|(when, _)| *when).min();
        [greeting, waiting, coming, due, self.accept_at, self.ends_at]
            .into_iter()
            .flatten()
            .min()
            .map(|when| when.saturating_duration_since(now))
    }
}

fn refuse(address: SocketAddr, refusal: &Refusal) {
    tracing::warn!(target: "serve", "refused {address}: {refusal}");
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("has ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "has ended".to_owned(),
    }
}

fn register(poll: &Poll, what: &impl AsFd, token: Token) -> io::Result<()> {
    let fd = what.as_fd().as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), token, READ)
}
