//! Tickets in users' names ([MS-SFU]), and the caches that MIT's library keeps them in: the user's, with the setting
//! `proxy_impersonator`, the user's ticket for the service that acts, and that service's own tickets.

use std::sync::Arc;

use krb5::exchange::impersonation::{
    ImpersonationOptions, ProxyTicketExchange, SelfTicketExchange,
};
use krb5::formats::ccache::{Credential, CredentialCache};
use krb5::formats::keytab::Keytab;
use krb5::principal::{NT_SRV_HST, Principal};
use wire::time::Timestamp;

use super::service::with_its_own_name;
use super::{Client, Found, TicketError, WORTHWHILE, shifted};
use crate::host::ccache::CcacheStore;
use crate::host::kdc::Io;

/// The setting that tells who acts for the cache's client.
const IMPERSONATOR: &str = "proxy_impersonator";

/// Who acts for the client of `contents` with the tickets in it, if they are not the client's own.
pub(crate) fn impersonator(contents: &CredentialCache) -> Result<Option<Principal>, TicketError> {
    let Some(name) = contents.config(IMPERSONATOR, None) else {
        return Ok(None);
    };
    let parsed = Principal::parse_bytes(name, None);
    let parsed = parsed.map_err(|_| TicketError::Impersonator(shown(name)))?;
    Ok(Some(parsed))
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// A cache in which `own`, a cache of the service that acts, and the user's ticket for it come together.
pub(crate) fn cache_for_user(own: &CredentialCache, evidence: Credential) -> CredentialCache {
    let mut cache = CredentialCache::new(evidence.client.clone());
    cache.version = own.version;
    cache.time_offset = own.time_offset;
    cache.credentials.clone_from(&own.credentials);
    cache.credentials.push(evidence);
    cache.set_config(IMPERSONATOR, None, &own.principal.to_bytes());
    cache
}

/// The ticket with which `service` acts for the client of `contents`: one that names it, else one that was not got by acting,
/// because a service may have other names as such than it has as a client.
fn evidence<'c>(
    contents: &'c CredentialCache,
    service: &Principal,
    kdc_now: Timestamp,
) -> Option<&'c Credential> {
    let shown = contents.tickets().filter(|ticket| {
        ticket.client == contents.principal
            && ticket.second_ticket.is_empty()
            && !ticket.server.is_krbtgt()
            && ticket.endtime > kdc_now
    });
    shown.max_by_key(|ticket| (ticket.server == *service, ticket.endtime))
}

impl Client<'_> {
    /// A ticket of `user` for the client of `own` (S4U2Self), which a key in `keytab` opens where the KDC does not vouch for
    /// the user. It is not stored.
    pub(crate) async fn self_ticket(
        &self,
        io: impl Io,
        own: &CredentialCache,
        user: &Principal,
        keytab: Arc<Keytab>,
    ) -> Result<Credential, TicketError> {
        let kdc_now = self.kdc_now(own);
        let options = ImpersonationOptions {
            keytab,
            ..self.impersonation(own, &own.principal, user, kdc_now)
        };
        let started = SelfTicketExchange::start(options, kdc_now, self.random)?;
        let next =
            |machine: SelfTicketExchange, reply: &[u8], now| machine.next(reply, now, self.random);
        self.run(io, kdc_now, started, next).await
    }

    /// A ticket for `server` of the client of `contents`, for whom `service` acts: the evidence itself if it is for that, else
    /// one from the cache or the KDC (S4U2Proxy), which is then stored.
    pub(super) async fn proxy_ticket(
        &self,
        io: impl Io,
        contents: &CredentialCache,
        service: &Principal,
        server: &Principal,
        cache: &CcacheStore,
    ) -> Result<Found, TicketError> {
        let kdc_now = self.kdc_now(contents);
        let user = &contents.principal;
        let found = |credential| Found {
            credential: with_its_own_name(credential),
            time_offset: contents.time_offset.filter(|_| self.settings.kdc_timesync),
        };
        let evidence = evidence(contents, service, kdc_now);
        let evidence = evidence.ok_or_else(|| TicketError::NoEvidence {
            service: service.clone(),
            user: user.clone(),
        })?;
        // A host's realm is not told by its name: MIT's library leaves it to the KDC, and to the cache.
        let on_host = server.name_type() == NT_SRV_HST;
        let asked = match on_host {
            true => server.clone().with_realm(b""),
            false => server.clone(),
        };
        let is_for =
            |one: &Principal| *server == *one || on_host && asked == one.clone().with_realm(b"");
        if is_for(service) || is_for(&evidence.server) {
            return Ok(found(evidence.clone()));
        }
        let cached = contents.tickets().find(|ticket| {
            ticket.client == *user
                && ticket.server == asked
                && ticket.second_ticket == evidence.ticket
                && ticket.endtime > kdc_now + WORTHWHILE
                && ticket.key.usable().is_some()
        });
        if let Some(ticket) = cached {
            return Ok(found(ticket.clone()));
        }
        let options = self.impersonation(contents, service, user, kdc_now);
        let started = ProxyTicketExchange::start(options, server, evidence, kdc_now, self.random)?;
        let next = |machine: ProxyTicketExchange, reply: &[u8], now| machine.next(reply, now);
        let credential = self.run(io, kdc_now, started, next).await?;
        let mut stored = credential.clone();
        stored.server = asked;
        cache.store(&stored)?;
        Ok(found(credential))
    }

    fn impersonation(
        &self,
        contents: &CredentialCache,
        service: &Principal,
        user: &Principal,
        kdc_now: Timestamp,
    ) -> ImpersonationOptions {
        let granting = contents.tickets().filter(|ticket| {
            ticket.client == *service && ticket.server.is_krbtgt() && ticket.endtime > kdc_now
        });
        ImpersonationOptions {
            service: service.clone(),
            granting: granting.cloned().collect(),
            user: user.clone(),
            keytab: Arc::default(),
            capaths: self.settings.capaths.clone(),
            etypes: self.settings.default_tgs_enctypes.clone(),
            clock_skew: self.settings.clockskew,
        }
    }

    fn kdc_now(&self, contents: &CredentialCache) -> Timestamp {
        let time_offset = contents.time_offset.filter(|_| self.settings.kdc_timesync);
        shifted(self.clock.now(), time_offset)
    }
}
