//! Getting tickets: the exchanges of `krb5` run over the network, with the credential cache before and behind them.

mod again;
pub(crate) mod impersonation;
pub(crate) mod service;

use std::time::{Duration, Instant};

pub use krb5::exchange::as_exchange::Secret;
use krb5::exchange::as_exchange::{AsExchange, AsOptions};
pub use krb5::exchange::impersonation::ImpersonationError;
pub use krb5::exchange::service_ticket::ServiceTicketError;
pub use krb5::exchange::tgs::{ExchangeError, Obtained};
use krb5::exchange::tgs::{Progress, TgsExchange, TgsOptions};
use krb5::formats::ccache::{Credential, CredentialCache, TimeOffset};
use krb5::formats::keytab::Keytab;
use krb5::formats::settings::Settings;
use krb5::messages::kdc_options;
use krb5::principal::Principal;
use wire::random::Random;
use wire::time::{Clock, Timestamp};

use super::ccache::{CcacheStore, CcacheStoreError};
use super::kdc::{Blocking, DEADLINE, Io, KdcAccessError, Kdcs, at_once};

/// What getting tickets needs of the world.
pub struct Client<'a> {
    /// `krb5.conf`.
    pub settings: &'a Settings,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Randomness fit for keys.
    pub random: &'a dyn Random,
    /// How long one call may take in all; else what `krb5.conf` says, else [`DEADLINE`].
    pub timeout: Option<Duration>,
}

/// Why there is no ticket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// No KDC answered.
    #[error(transparent)]
    Kdc(#[from] KdcAccessError),
    /// The KDC refused, or its answer is not to be believed.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The credential cache does not work.
    #[error(transparent)]
    Cache(#[from] CcacheStoreError),
    /// The keytab has no key of the client.
    #[error("the keytab has no key for {0}")]
    NoKey(Principal),
    /// The cache has no ticket that others can be got with.
    #[error("the credential cache has no ticket-granting ticket for the realm {0}")]
    NoTicketGrantingTicket(String),
    /// The ticket-granting ticket has ended.
    #[error("the ticket-granting ticket for {0} has expired: get a new one")]
    Expired(String),
    /// The KDC gives no ticket in a user's name.
    #[error(transparent)]
    Impersonation(#[from] ImpersonationError),
    /// The cache has tickets to act for its client with, and that of the client's which allows it is missing or has ended.
    #[error("{service} has no ticket of {user} any more to act for {user} with")]
    NoEvidence {
        /// Who acts.
        service: Principal,
        /// For whom.
        user: Principal,
    },
    /// The tickets are those of a service that acts for somebody, and cannot act for others too.
    #[error("{service} acts for {user} with these tickets: act for others with its own")]
    ActsAlready {
        /// Who acts.
        service: Principal,
        /// For whom.
        user: Principal,
    },
    /// The cache says that somebody acts for its client whose name is none.
    #[error("the credential cache's setting proxy_impersonator is no principal's name: {0}")]
    Impersonator(String),
    /// The KDCs lead to no ticket for the service.
    #[error(transparent)]
    Way(ServiceTicketError),
}

/// What to ask of an initial ticket beyond what `krb5.conf` says.
#[derive(Clone, Debug, Default)]
pub struct InitialOptions {
    /// For which service, if not the ticket-granting one.
    pub server: Option<Principal>,
    /// For how long.
    pub lifetime: Option<Duration>,
    /// For how long it is to be renewable.
    pub renew_lifetime: Option<Duration>,
    /// Whether it can be forwarded.
    pub forwardable: Option<bool>,
    /// Whether it is proxiable.
    pub proxiable: Option<bool>,
}

/// A service's ticket, and by how much its KDC's clock is ahead of ours.
pub struct Found {
    /// The ticket.
    pub credential: Credential,
    /// The offset, as the cache knows it.
    pub time_offset: Option<TimeOffset>,
}

/// For how long a ticket is asked where nobody says, as by MIT's code.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long a ticket must still be good to be worth using: shorter than that it may end on the way.
const WORTHWHILE: Duration = Duration::from_secs(1);

impl Client<'_> {
    /// An initial ticket of `client` (RFC 4120 §3.1), not stored anywhere yet.
    pub fn get_initial_credential(
        &self,
        client: &Principal,
        secret: Secret,
        options: &InitialOptions,
    ) -> Result<Obtained, TicketError> {
        at_once(self.initial_credential(Blocking, client, secret, options))
    }

    /// The same, waiting as `io` does.
    pub(crate) async fn initial_credential(
        &self,
        io: impl Io,
        client: &Principal,
        secret: Secret,
        options: &InitialOptions,
    ) -> Result<Obtained, TicketError> {
        let request = self.initial_request(client, options);
        let mut kdcs = Kdcs::new(self.settings, self.deadline(), io);
        let mut progress = AsExchange::start(request, secret, self.clock.now(), self.random)?;
        loop {
            match progress {
                Progress::Done(obtained) => return Ok(*obtained),
                Progress::Send {
                    realm,
                    bytes,
                    stream,
                    next,
                } => {
                    let reply = kdcs.ask(&realm, &bytes, stream).await?;
                    progress = next.next(&reply, self.clock.now(), self.random)?;
                }
            }
        }
    }

    /// An initial ticket of `client` into `cache`, which is made anew: what `kinit` does.
    pub fn log_in(
        &self,
        client: &Principal,
        secret: Secret,
        options: &InitialOptions,
        cache: &CcacheStore,
    ) -> Result<Credential, TicketError> {
        let obtained = self.get_initial_credential(client, secret, options)?;
        let mut contents = CredentialCache::new(client.clone());
        contents.version = self.settings.ccache_type;
        contents.time_offset = self.settings.kdc_timesync.then(|| {
            // MIT's programs expect the field to be there.
            obtained.time_offset.unwrap_or_default()
        });
        contents.credentials.push(obtained.credential.clone());
        cache.replace(&contents)?;
        Ok(obtained.credential)
    }

    /// Runs a TGS exchange with what `krb5.conf` says about all of them.
    async fn ask(
        &self,
        io: impl Io,
        mut request: TgsOptions,
        kdc_now: Timestamp,
    ) -> Result<Credential, TicketError> {
        request.etypes = self.settings.default_tgs_enctypes.clone();
        request.clock_skew = self.settings.clockskew;
        self.exchange(io, request, kdc_now).await
    }

    async fn exchange(
        &self,
        io: impl Io,
        request: TgsOptions,
        kdc_now: Timestamp,
    ) -> Result<Credential, TicketError> {
        let started = TgsExchange::start(request, kdc_now, self.random)?;
        let next = |machine: TgsExchange, reply: &[u8], now| machine.next(reply, now);
        let reply = self.run(io, kdc_now, started, next).await?;
        Ok(reply.credential)
    }

    fn initial_request(&self, client: &Principal, options: &InitialOptions) -> AsOptions {
        let settings = self.settings;
        let mut request = AsOptions::new(client.clone());
        request.server = options.server.clone();
        request.lifetime = options
            .lifetime
            .or(settings.ticket_lifetime)
            .unwrap_or(LIFETIME);
        let renewable = |lifetime: &Duration| !lifetime.is_zero();
        request.renew_lifetime = options
            .renew_lifetime
            .or(settings.renew_lifetime)
            .filter(renewable);
        for (wanted, flag) in [
            (
                options.forwardable.unwrap_or(settings.forwardable),
                kdc_options::FORWARDABLE,
            ),
            (
                options.proxiable.unwrap_or(settings.proxiable),
                kdc_options::PROXIABLE,
            ),
        ] {
            if wanted {
                request.flags |= flag;
            }
        }
        request.etypes = settings.default_tkt_enctypes.clone();
        request.clock_skew = settings.clockskew;
        request.kdc_timesync = settings.kdc_timesync;
        request
    }

    fn deadline(&self) -> Instant {
        let timeout = self
            .timeout
            .or(self.settings.request_timeout)
            .unwrap_or(DEADLINE);
        let now = Instant::now();
        now.checked_add(timeout).unwrap_or(now + DEADLINE)
    }
}

/// The keys of `client` in `keytab`, for [`Client::get_initial_credential`].
pub fn keys_of(client: &Principal, keytab: &Keytab) -> Result<Secret, TicketError> {
    let entries = keytab
        .entries
        .iter()
        .filter(|entry| entry.principal == *client);
    let keys: Vec<_> = entries
        .map(|entry| (entry.kvno, entry.key.clone()))
        .collect();
    if keys.is_empty() {
        return Err(TicketError::NoKey(client.clone()));
    }
    Ok(Secret::Keys(keys))
}

/// The ticket-granting ticket of the client's realm.
fn ticket_granting(
    cache: &CredentialCache,
    kdc_now: Timestamp,
) -> Result<&Credential, TicketError> {
    let realm = cache.principal.realm();
    let name = Principal::krbtgt(realm);
    let tickets = cache.tickets().filter(|ticket| ticket.server == name);
    let newest = tickets.max_by_key(|ticket| ticket.endtime);
    let shown = || String::from_utf8_lossy(realm).into_owned();
    match newest {
        None => Err(TicketError::NoTicketGrantingTicket(shown())),
        Some(ticket) if ticket.endtime <= kdc_now => Err(TicketError::Expired(shown())),
        Some(ticket) => Ok(ticket),
    }
}

fn shifted(now: Timestamp, offset: Option<TimeOffset>) -> Timestamp {
    let offset = offset.unwrap_or_default();
    let micros = i64::from(offset.seconds) * 1_000_000 + i64::from(offset.micros);
    Timestamp::from_micros(now.micros().saturating_add(micros))
}

#[cfg(test)]
mod tests;
