//! A service's ticket: from the cache, else by way of as many realms as it takes, whose tickets the cache keeps too.

use krb5::exchange::service_ticket::{
    ServiceTicketError, ServiceTicketExchange, ServiceTicketOptions,
};
use krb5::exchange::tgs::Progress;
use krb5::formats::ccache::{Credential, CredentialCache};
use krb5::formats::settings::{DomainRealm, Settings};
use krb5::messages::{Ticket, ticket_flags};
use krb5::principal::{NT_SRV_HST, Principal};
use krb5_crypto::Enctype;
use wire::time::Timestamp;

use super::impersonation::impersonator;
use super::{Client, Found, TicketError, WORTHWHILE, shifted};
use crate::host::ccache::CcacheStore;
use crate::host::kdc::{Blocking, Io, Kdcs, at_once};

impl Client<'_> {
    /// A ticket for `server`: the one in `cache` if there is one that is good for long enough and of an enctype that may be used, else one
    /// from the KDCs (RFC 4120 §3.3), which is then stored in `cache`.
    ///
    /// A service of a host whose realm nothing but the default realm tells is looked for by the KDCs, from the client's own on
    /// (RFC 6806 §8).
    pub fn get_service_ticket(
        &self,
        server: &Principal,
        cache: &CcacheStore,
    ) -> Result<Found, TicketError> {
        at_once(self.service_ticket(Blocking, server, cache))
    }

    /// The same, waiting as `io` does.
    pub(crate) async fn service_ticket(
        &self,
        io: impl Io,
        server: &Principal,
        cache: &CcacheStore,
    ) -> Result<Found, TicketError> {
        let contents = cache.read()?;
        if let Some(service) = impersonator(&contents)? {
            return self
                .proxy_ticket(io, &contents, &service, server, cache)
                .await;
        }
        let time_offset = contents.time_offset.filter(|_| self.settings.kdc_timesync);
        let kdc_now = shifted(self.clock.now(), time_offset);
        let asked = asked_for(server, self.settings);
        if let Some(found) = self.cached(&contents, &[&asked, server], kdc_now) {
            return Ok(Found {
                credential: with_its_own_name(found.clone()),
                time_offset,
            });
        }
        let (credential, granting) = self.reach(io, &contents, &asked, kdc_now).await?;
        for ticket in &granting {
            cache.store(ticket)?;
        }
        // Under the name that it is asked for by, as MIT's library has it.
        let mut stored = credential.clone();
        stored.server = asked;
        cache.store(&stored)?;
        Ok(Found {
            credential,
            time_offset,
        })
    }

    /// A ticket of the cache's client for one of `servers` that will do.
    fn cached<'c>(
        &self,
        contents: &'c CredentialCache,
        servers: &[&Principal],
        kdc_now: Timestamp,
    ) -> Option<&'c Credential> {
        let usable = |ticket: &&Credential| {
            servers.contains(&&ticket.server)
                && ticket.client == contents.principal
                && !ticket.is_skey
                && ticket.flags & ticket_flags::INVALID == 0
                && ticket.endtime > kdc_now + WORTHWHILE
                && is_permitted(ticket, &self.settings.permitted_enctypes)
        };
        let usable = contents.tickets().filter(usable);
        usable.max_by_key(|one| one.endtime)
    }

    /// A ticket for `server` from the KDCs, and ticket-granting tickets that were got on the way to it.
    pub(super) async fn reach(
        &self,
        io: impl Io,
        contents: &CredentialCache,
        server: &Principal,
        kdc_now: Timestamp,
    ) -> Result<(Credential, Vec<Credential>), TicketError> {
        let options = self.way(contents, server, kdc_now);
        let started = ServiceTicketExchange::start(options, kdc_now, self.random);
        let reached = match started {
            Ok(progress) => {
                let next = |machine: ServiceTicketExchange, reply: &[u8], now| {
                    machine.next(reply, now, self.random)
                };
                self.run(io, kdc_now, progress, next).await
            }
            Err(error) => Err(error.into()),
        };
        match reached {
            Ok(reached) => Ok((reached.credential, reached.granting)),
            Err(TicketError::NoTicketGrantingTicket(realm)) => {
                let name = Principal::krbtgt(&realm);
                let ended = contents.tickets().any(|ticket| ticket.server == name);
                Err(match ended {
                    true => TicketError::Expired(realm),
                    false => TicketError::NoTicketGrantingTicket(realm),
                })
            }
            Err(error) => Err(error),
        }
    }

    fn way(
        &self,
        contents: &CredentialCache,
        server: &Principal,
        kdc_now: Timestamp,
    ) -> ServiceTicketOptions {
        let client = &contents.principal;
        let start = contents.config("start_realm", None);
        let granting = contents.tickets().filter(|ticket| {
            ticket.server.is_krbtgt()
                && ticket.client == *client
                && !ticket.is_skey
                && ticket.endtime > kdc_now
        });
        ServiceTicketOptions {
            server: server.clone(),
            start_realm: start.unwrap_or(client.realm()).to_vec(),
            granting: granting.cloned().collect(),
            fallback_realm: fallback_realm(server, self.settings),
            capaths: self.settings.capaths.clone(),
            flags: 0,
            etypes: self.settings.default_tgs_enctypes.clone(),
            clock_skew: self.settings.clockskew,
        }
    }

    /// Runs a machine of exchanges with KDCs to its end.
    pub(super) async fn run<M, D, E>(
        &self,
        io: impl Io,
        kdc_now: Timestamp,
        mut progress: Progress<M, D>,
        next: impl Fn(M, &[u8], Timestamp) -> Result<Progress<M, D>, E>,
    ) -> Result<D, TicketError>
    where
        TicketError: From<E>,
    {
        let mut kdcs = Kdcs::new(self.settings, self.deadline(), io);
        let began = self.clock.now();
        loop {
            match progress {
                Progress::Done(end) => return Ok(*end),
                Progress::Send {
                    realm,
                    bytes,
                    stream,
                    next: machine,
                } => {
                    let reply = kdcs.ask(&realm, &bytes, stream).await?;
                    let passed = self.clock.now().micros().saturating_sub(began.micros());
                    let now = Timestamp::from_micros(kdc_now.micros().saturating_add(passed));
                    progress = next(machine, &reply, now)?;
                }
            }
        }
    }
}

impl From<ServiceTicketError> for TicketError {
    fn from(error: ServiceTicketError) -> Self {
        match error {
            ServiceTicketError::Exchange(cause) => Self::Exchange(cause),
            ServiceTicketError::NoTicketGrantingTicket(realm) => {
                Self::NoTicketGrantingTicket(String::from_utf8_lossy(&realm).into_owned())
            }
            other => Self::Way(other),
        }
    }
}

/// The name to ask by: without a realm, where the realm is but the default one.
pub(crate) fn asked_for(server: &Principal, settings: &Settings) -> Principal {
    let default = settings.default_realm.as_deref().unwrap_or_default();
    let guessed = server.realm() == default.as_bytes()
        && host_of(server).is_some_and(|host| settings.domain_realm.configured(host).is_none());
    match guessed {
        true => server.clone().with_realm(b""),
        false => server.clone(),
    }
}

/// The host of a service on a host.
fn host_of(server: &Principal) -> Option<&str> {
    match server.components() {
        [_, host] if server.name_type() == NT_SRV_HST => str::from_utf8(host).ok(),
        _ => None,
    }
}

/// Where to look for a service in the end whose realm no KDC knows: in the realm that is called like the host's domain,
/// else in the default realm.
fn fallback_realm(server: &Principal, settings: &Settings) -> Option<Vec<u8>> {
    let by_domain = host_of(server).and_then(DomainRealm::fallback);
    let realm = by_domain.or_else(|| settings.default_realm.clone())?;
    Some(realm.into_bytes())
}

/// The name in the ticket in place of the one that it was asked for by.
pub(super) fn with_its_own_name(mut credential: Credential) -> Credential {
    if credential.server.realm().is_empty()
        && let Ok(ticket) = Ticket::decode(&credential.ticket)
    {
        credential.server = ticket.sname.in_realm(ticket.realm);
    }
    credential
}

fn is_permitted(ticket: &Credential, enctypes: &[&'static Enctype]) -> bool {
    let mut enctypes = enctypes.iter();
    ticket.key.usable().is_some() && enctypes.any(|one| one.number() == ticket.key.enctype())
}
