//! A client that negotiates, and whose favourite the service does not have: both MICs must come.

use gss_core::error::{Error, Major};
use gss_core::host::Host;
use gss_core::mechanism::{self, Failure, SecurityContext};
use gss_krb5::{InitOptions, ServiceTicket, initiate};
use gss_spnego::{Initiator, Offer};

use super::{Kernel, Site};
use baton::{Flags, Oid};

/// Its side of the handshake.
pub struct Client {
    /// What it has to say.
    pub token: Vec<u8>,
    next: Option<Box<dyn mechanism::Handshake>>,
    pub context: Option<Box<dyn SecurityContext>>,
}

/// A mechanism that nobody else has.
struct Favourite;

struct Waits;

impl mechanism::Handshake for Waits {
    fn step(self: Box<Self>, _: &[u8], _: &Host<'_>) -> Result<mechanism::Step, Failure> {
        Err(Error::new(Major::Failure, "nobody answers").into())
    }
}

impl Offer for Favourite {
    fn oid(&self) -> Oid {
        Oid::NT_USER_NAME
    }

    fn initiate(self: Box<Self>, _: &Host<'_>) -> Result<mechanism::Step, Failure> {
        Ok(mechanism::Step::Continue {
            token: b"first".to_vec(),
            next: Box::new(Waits),
        })
    }
}

struct Kerberos(ServiceTicket);

impl Offer for Kerberos {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }

    fn initiate(self: Box<Self>, host: &Host<'_>) -> Result<mechanism::Step, Failure> {
        let options = InitOptions {
            flags: Flags::MUTUAL | Flags::REPLAY | Flags::SEQUENCE,
            ..InitOptions::new(std::sync::Arc::new(Kernel))
        };
        initiate(&self.0, &self.0.server, &options, host)
    }
}

impl Client {
    /// Its first token.
    pub fn start(site: &Site) -> Self {
        let offers: Vec<Box<dyn Offer>> = vec![
            Box::new(Favourite),
            Box::new(Kerberos(site.service_ticket())),
        ];
        let mut client = Self {
            token: Vec::new(),
            next: None,
            context: None,
        };
        let clock = site.clock.shared();
        client.came_to(Initiator::new(offers).start(&host(&*clock)));
        client
    }

    /// Goes on with the service's token.
    pub fn go_on(&mut self, token: &[u8]) {
        let clock = wire::time::Timestamp::from_micros(super::now().micros());
        let clock = move || clock;
        let next = self.next.take().unwrap();
        self.came_to(next.step(token, &host(&clock)));
    }

    fn came_to(&mut self, step: Result<mechanism::Step, Failure>) {
        match step.unwrap() {
            mechanism::Step::Continue { token, next } => {
                self.token = token;
                self.next = Some(next);
            }
            mechanism::Step::Done { token, context } => {
                self.token = token.unwrap_or_default();
                self.context = Some(context);
            }
        }
    }
}

fn host(clock: &dyn wire::time::Clock) -> Host<'_> {
    Host {
        clock,
        random: &Kernel,
        replay: None,
        shared_replay: None,
    }
}
