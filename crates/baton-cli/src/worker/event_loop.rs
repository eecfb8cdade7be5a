//! What a worker waits for, and what it does then.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use baton::transfer::{Arrival, Channel, Received};
use baton::{Config, Environment};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::process::{WaitOptions, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use super::conversation::{Conversation, Next, Rules, Tokens};
use super::handover::{self, Answer, Giving, Held};
use super::relay::Scratch;
use crate::control::{Order, Report, VERSIONS};
use crate::passing::{self, Parcel};
use crate::signals::Signals;

const PASSING: Token = Token(0);
const CONTROL: Token = Token(1);
const CHILDREN: Token = Token(2);
const GIVING: Token = Token(3);
const FIRST_TAKING: usize = 4;
/// Where the tokens of conversations begin; below it, the workers that are taken over from.
const FIRST_SLOT: usize = 1024;
/// How many connections are taken at once before those that are here have their turn.
const ARRIVALS: usize = 64;
/// How often time is looked at while something depends on it soon.
const SOON: Duration = Duration::from_millis(100);

const READ: Interest = Interest::READABLE;

pub(crate) struct EventLoop {
    name: String,
    rules: Rules,
    env: Environment,
    poll: Poll,
    scratch: Scratch,
    /// Where the front door hands connections over, until it closes this.
    passing: Option<Channel>,
    /// Where it gives orders, as long as it lives.
    control: Option<OwnedFd>,
    children: Signals,
    taking: Vec<Option<Channel>>,
    giving: Option<Giving>,
    slots: Vec<Option<Conversation>>,
    free: Vec<usize>,
    /// Channels and conversations that could go on at once.
    again: VecDeque<Token>,
    received: u64,
    reported: Option<(u32, u64)>,
    next_tick: Instant,
    timed: bool,
}

impl EventLoop {
    pub(crate) fn new(
        name: String,
        rules: Rules,
        passing: OwnedFd,
        control: OwnedFd,
    ) -> Result<Self, Box<dyn Error>> {
        let passing = Channel::private(passing);
        passing.set_nonblocking(true)?;
        let poll = Poll::new()?;
        let registry = poll.registry();
        register(registry, &passing, PASSING)?;
        register(registry, &control, CONTROL)?;
        // What asks the whole group to end is for the front door: workers end when it says so, or when they have nothing left
        // to carry after it has gone.
        let children = Signals::new(&[SIGCHLD, SIGHUP, SIGINT, SIGTERM])?;
        register(registry, &children, CHILDREN)?;
        Ok(Self {
            name,
            rules,
            env: Environment::new(Config::default())?,
            poll,
            scratch: Scratch::new(),
            passing: Some(passing),
            control: Some(control),
            children,
            taking: Vec::new(),
            giving: None,
            slots: Vec::new(),
            free: Vec::new(),
            again: VecDeque::new(),
            received: 0,
            reported: None,
            next_tick: Instant::now(),
            timed: false,
        })
    }

    /// Carries on until there is nothing to carry and nothing will come.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.report(Report::Ready(VERSIONS));
        let mut events = Events::with_capacity(1024);
        while !self.is_done() {
            self.report_load();
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => other?,
            }
            for event in &events {
                self.event(event);
            }
            for _ in 0..self.again.len() {
                match self.again.pop_front() {
                    Some(token) => self.go_on(token),
                    None => break,
                }
            }
            self.tick();
        }
        self.report_load();
        Ok(())
    }

    fn is_done(&self) -> bool {
        let comes = self.passing.is_some() || self.taking.iter().any(Option::is_some);
        !comes && self.carried() == 0 && self.giving.is_none()
    }

    fn carried(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn event(&mut self, event: &Event) {
        match event.token() {
            CONTROL => self.orders(),
            CHILDREN => self.reap(),
            GIVING => self.give(),
            Token(token) if token >= FIRST_SLOT => {
                let slot = (token - FIRST_SLOT) / 2;
                self.with(slot, |conversation, this| {
                    conversation.event(
                        event,
                        &this.rules,
                        this.poll.registry(),
                        tokens(slot),
                        &mut this.scratch,
                    )
                });
            }
            token => self.go_on(token),
        }
    }

    /// Goes on where a turn ended before the work did.
    fn go_on(&mut self, token: Token) {
        match token {
            PASSING => self.arrivals(),
            Token(token) if token >= FIRST_SLOT => {
                let slot = (token - FIRST_SLOT) / 2;
                self.with(slot, |conversation, this| {
                    conversation.turn(&mut this.scratch)
                });
            }
            Token(token) => self.take(token - FIRST_TAKING),
        }
    }

    /// Lets a conversation act, and does what it then needs.
    fn with(&mut self, slot: usize, act: impl FnOnce(&mut Conversation, &mut Self) -> Next) {
        let Some(mut conversation) = self.slots.get_mut(slot).and_then(Option::take) else {
            return;
        };
        let next = act(&mut conversation, self);
        self.settle(slot, conversation, next);
    }

    fn settle(&mut self, slot: usize, conversation: Conversation, next: Next) {
        match next {
            Next::Wait => {}
            Next::Again => self.again.push_back(tokens(slot).client),
            Next::End(result) => {
                conversation.log_end(&result);
                self.free.push(slot);
                return;
            }
        }
        self.timed |= conversation.is_timed();
        self.slots[slot] = Some(conversation);
    }

    /// Connections from the front door.
    fn arrivals(&mut self) {
        for _ in 0..ARRIVALS {
            let Some(channel) = &self.passing else {
                return;
            };
            match channel.receive(&self.env) {
                Ok(Arrival::Context(received)) => {
                    self.received += 1;
                    self.admit(*received);
                }
                Ok(Arrival::Nothing) => return,
                Ok(Arrival::Closed) => {
                    self.passing = None;
                    self.give();
                    return;
                }
                Ok(Arrival::Note(_)) => {}
                Err(error) => {
                    self.received += 1;
                    tracing::error!(target: "serve", "a connection was lost on its way here: {error}");
                }
            }
        }
        self.again.push_back(PASSING);
    }

    /// Begins to carry what came; tells whether it can be.
    fn admit(&mut self, received: Received) -> bool {
        let parcel = match Parcel::open(received) {
            Ok(parcel) => parcel,
            Err(error) => {
                tracing::error!(target: "serve", "a connection was lost on its way here: {error}");
                return false;
            }
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let registry = self.poll.registry();
        match Conversation::unpack(parcel, &self.rules, registry, tokens(slot)) {
            Ok((conversation, next)) => {
                self.settle(slot, conversation, next);
                true
            }
            Err((client, cause)) => {
                tracing::warn!(target: "serve", "{} from {} was broken off: {cause}", client.principal, client.address);
                self.free.push(slot);
                false
            }
        }
    }

    fn orders(&mut self) {
        while let Some(control) = &self.control {
            match Order::receive(control) {
                Ok(Some(Order::HandOver(fd))) => self.start_giving(fd),
                Ok(Some(Order::TakeOver(fd))) => self.start_taking(fd),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    tracing::warn!(target: "serve", "an order that worker {} does not know", self.name);
                }
                Ok(None) | Err(_) => {
                    let carried = self.carried();
                    if carried > 0 {
                        tracing::warn!(target: "serve", "the front door has gone; worker {} goes on with {carried} conversations", self.name);
                    }
                    self.control = None;
                    // What the front door handed over before it went is still to be received; behind it, `passing` says
                    // that it is closed.
                }
            }
        }
    }

    fn start_taking(&mut self, fd: OwnedFd) {
        let channel = Channel::private(fd);
        let index = self.taking.len();
        let greeted = channel
            .set_nonblocking(true)
            .and_then(|()| register(self.poll.registry(), &channel, Token(FIRST_TAKING + index)));
        if let Err(error) = greeted {
            tracing::error!(target: "serve", "worker {} cannot take over: {error}", self.name);
        } else if let Err(error) = handover::greet(&channel) {
            tracing::error!(target: "serve", "worker {} cannot take over: {error}", self.name);
        } else {
            self.taking.push(Some(channel));
        }
    }

    /// Conversations from an old worker.
    fn take(&mut self, index: usize) {
        for _ in 0..ARRIVALS {
            let Some(Some(channel)) = self.taking.get(index) else {
                return;
            };
            let has = match channel.receive(&self.env) {
                Ok(Arrival::Context(received)) => self.admit(*received),
                Ok(Arrival::Nothing) => return,
                Ok(Arrival::Note(_)) => continue,
                Ok(Arrival::Closed) => {
                    self.taking[index] = None;
                    return;
                }
                Err(error) => {
                    tracing::error!(target: "serve", "a conversation was lost on its way here: {error}");
                    false
                }
            };
            let Some(Some(channel)) = self.taking.get(index) else {
                return;
            };
            if handover::confirm(channel, has).is_err() {
                self.taking[index] = None;
                return;
            }
        }
        self.again.push_back(Token(FIRST_TAKING + index));
    }

    fn start_giving(&mut self, fd: OwnedFd) {
        let channel = Channel::private(fd);
        let started = channel
            .set_nonblocking(true)
            .and_then(|()| register(self.poll.registry(), &channel, GIVING));
        match started {
            Ok(()) if self.giving.is_none() => self.giving = Some(Giving::new(channel)),
            Ok(()) => {
                tracing::error!(target: "serve", "worker {} is handing over already", self.name)
            }
            Err(error) => {
                tracing::error!(target: "serve", "worker {} cannot hand over: {error}", self.name)
            }
        }
        self.give();
    }

    /// Hands conversations over as far as the new worker has confirmed them. Begins once the front door sends no more.
    fn give(&mut self) {
        while let Some(mut giving) = self.giving.take() {
            let goes_on = match giving.answer(&self.env) {
                Answer::Reads(versions) => {
                    giving.agreed = VERSIONS.agree(versions) == Some(VERSIONS.newest);
                    if !giving.agreed {
                        tracing::warn!(target: "serve", "the new worker reads versions {} to {} of a conversation's state, not {}", versions.oldest, versions.newest, VERSIONS.newest);
                    }
                    giving.agreed
                }
                Answer::Has => {
                    giving.given += u32::from(giving.unconfirmed.take().is_some());
                    true
                }
                Answer::Lost => {
                    self.lost(&mut giving, "the new worker could not use it");
                    true
                }
                Answer::Gone => {
                    self.lost(&mut giving, "the new worker went away with it");
                    false
                }
                Answer::Nothing => {
                    if giving.agreed && giving.unconfirmed.is_none() && self.passing.is_none() {
                        self.give_next(&mut giving)
                    } else {
                        self.giving = Some(giving);
                        return;
                    }
                }
            };
            if goes_on {
                self.giving = Some(giving);
            } else {
                self.end_giving(giving);
            }
        }
    }

    /// Sends the next conversation; tells whether there was one.
    fn give_next(&mut self, giving: &mut Giving) -> bool {
        while giving.at < self.slots.len() {
            let slot = giving.at;
            giving.at += 1;
            let Some(conversation) = self.slots[slot].take() else {
                continue;
            };
            let packed = match conversation.pack(self.poll.registry()) {
                Ok(packed) => packed,
                Err(conversation) => {
                    giving.kept += 1;
                    self.slots[slot] = Some(*conversation);
                    continue;
                }
            };
            let label = format!("{} from {}", packed.client.principal, packed.client.address);
            let (client, service) = (
                packed.socket.as_fd(),
                packed.service.as_ref().map(AsFd::as_fd),
            );
            match passing::send(
                &giving.channel,
                packed.context,
                client,
                service,
                &packed.state,
            ) {
                Ok(()) => {
                    self.free.push(slot);
                    giving.unconfirmed = Some(Held {
                        _socket: packed.socket,
                        _service: packed.service,
                        label,
                    });
                    return true;
                }
                Err((context, error)) => {
                    tracing::info!(target: "serve", "{label} stays with worker {} until it ends: {error}", self.name);
                    giving.kept += 1;
                    let packed = super::conversation::Packed { context, ..packed };
                    match packed.unpack(&self.rules, self.poll.registry(), tokens(slot)) {
                        Ok((conversation, next)) => self.settle(slot, conversation, next),
                        Err((_, cause)) => {
                            tracing::warn!(target: "serve", "{label} was broken off: {cause}");
                            self.free.push(slot);
                        }
                    }
                }
            }
        }
        false
    }

    fn lost(&self, giving: &mut Giving, why: &str) {
        if let Some(held) = giving.unconfirmed.take() {
            tracing::error!(target: "serve", "{} was broken off: {why}", held.label);
        }
    }

    fn end_giving(&mut self, giving: Giving) {
        let Giving { given, .. } = giving;
        let kept = self.carried() as u32;
        self.report(Report::HandedOver { given, kept });
    }

    fn reap(&mut self) {
        if !self.children.take().contains(&SIGCHLD) {
            return;
        }
        while let Ok(Some((program, status))) = wait(WaitOptions::NOHANG) {
            tracing::debug!(target: "serve", "program {program:?} has ended: {status:?}");
        }
    }

    /// How long there is nothing to do but wait for events.
    fn patience(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let needed = self.timed
            || self.reported != Some(self.load())
            || (self.carried() > 0 && self.rules.idle.is_some());
        needed.then(|| self.next_tick.saturating_duration_since(Instant::now()))
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let soon = now + SOON;
        if self.timed && self.next_tick > soon {
            self.next_tick = soon;
        }
        if now < self.next_tick {
            return;
        }
        self.timed = false;
        for slot in 0..self.slots.len() {
            self.with(slot, |conversation, this| {
                conversation.tick(now, &this.rules, this.poll.registry(), tokens(slot))
            });
        }
        let idle = self.rules.idle.unwrap_or(Duration::MAX);
        let step = match self.timed {
            true => SOON,
            false => (idle / 8).clamp(SOON, Duration::from_secs(30)),
        };
        self.next_tick = now + step;
    }

    fn load(&self) -> (u32, u64) {
        (self.carried() as u32, self.received)
    }

    fn report_load(&mut self) {
        let load = self.load();
        if self.reported != Some(load) {
            let (carried, received) = load;
            if self.report(Report::Load { carried, received }) {
                self.reported = Some(load);
            }
        }
    }

    /// Tells the front door; whether it was told.
    fn report(&mut self, report: Report) -> bool {
        let Some(control) = &self.control else {
            return true;
        };
        match report.send(control) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Ok(()) => true,
            // The order's side will notice that the front door has gone.
            Err(_) => true,
        }
    }
}

fn tokens(slot: usize) -> Tokens {
    Tokens {
        client: Token(FIRST_SLOT + 2 * slot),
        service: Token(FIRST_SLOT + 2 * slot + 1),
    }
}

fn register(registry: &mio::Registry, what: &impl AsFd, token: Token) -> io::Result<()> {
    let fd = what.as_fd().as_raw_fd();
    registry.register(&mut SourceFd(&fd), token, READ)
}
